// Blob and File: bytes with a type.

const { Buffer } = require("buffer");
const errors = require("_errors");

const hold = Symbol("bytes");

const partOf = (part, endings) => {
  if (part instanceof Blob) return part[hold];
  if (part instanceof ArrayBuffer) return Buffer.from(part.slice(0));
  if (ArrayBuffer.isView(part)) return Buffer.from(part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength));
  const text = `${part}`.toWellFormed?.() ?? `${part}`;
  return Buffer.from(endings === "native" ? text.replace(/\r\n?|\n/g, "\n") : text);
};

class Blob {
  constructor(parts = [], options = {}) {
    if (parts === null || typeof parts !== "object" || typeof parts[Symbol.iterator] !== "function") {
      throw errors.invalidType("sources", "a sequence", parts);
    }
    const type = options?.type === undefined ? "" : `${options.type}`;
    const pieces = Array.from(parts, (part) => partOf(part, options?.endings));
    Object.defineProperty(this, hold, { value: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces) });
    Object.defineProperty(this, "_type", { value: /[^\x20-\x7e]/.test(type) ? "" : type.toLowerCase() });
  }
  get size() { return this[hold].length; }
  get type() { return this._type; }
  slice(start = 0, end = this.size, type = "") {
    const within = (at) => Math.trunc(at < 0 ? Math.max(this.size + at, 0) : Math.min(at, this.size)) || 0;
    return new Blob([this[hold].subarray(within(start), Math.max(within(start), within(end)))], { type });
  }
  async arrayBuffer() {
    const bytes = this[hold];
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }
  async bytes() { return new Uint8Array(await this.arrayBuffer()); }
  async text() { return this[hold].toString("utf8"); }
  stream() {
    const bytes = new Uint8Array(this[hold]);
    return new (require("stream/web").ReadableStream)({
      start(controller) {
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
      },
    });
  }
  get [Symbol.toStringTag]() { return "Blob"; }
}

class File extends Blob {
  #name;
  #lastModified;
  constructor(parts, name, options = {}) {
    if (arguments.length < 2) throw errors.missingArguments("sources", "fileName");
    super(parts, options);
    this.#name = `${name}`;
    this.#lastModified = options?.lastModified === undefined ? Date.now() : Math.trunc(Number(options.lastModified)) || 0;
  }
  get name() { return this.#name; }
  get lastModified() { return this.#lastModified; }
  get webkitRelativePath() { return ""; }
  get [Symbol.toStringTag]() { return "File"; }
}
for (const [Class, names] of [[Blob, ["size", "type", "slice", "arrayBuffer", "text", "stream"]], [File, ["name", "lastModified"]]]) {
  for (const name of names) Object.defineProperty(Class.prototype, name, { enumerable: true });
}

// For built-in modules: the bytes of a blob, which nobody else writes.
Object.assign(exports, { Blob, File, bytesIn: (blob) => blob[hold] });
