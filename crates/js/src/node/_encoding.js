// TextEncoder and TextDecoder.

const { coded, invalidType } = require("_errors");
const native = inner.node;
const customInspect = Symbol.for("nodejs.util.inspect.custom");

class TextEncoder {
  get encoding() { return "utf-8"; }

  encode(input = "") {
    return native("buffer.encode", `${input}`, "utf8");
  }

  encodeInto(source, target) {
    if (typeof source !== "string") throw invalidType("src", "string", source);
    if (!(target instanceof Uint8Array)) throw invalidType("dest", "Uint8Array", target);
    // No unit of text takes less than a byte.
    const bytes = native("buffer.encode", source.slice(0, target.length), "utf8");
    let written = Math.min(bytes.length, target.length);
    if (written < bytes.length) while (written > 0 && (bytes[written] & 0xc0) === 0x80) written--;
    const fits = bytes.subarray(0, written);
    target.set(fits);
    return { read: native("buffer.decode", fits, "utf8").length, written };
  }
}

class TextDecoder {
  #name;
  #fatal;
  #ignoreBom;
  // Bytes that wait for the rest of their character.
  #rest = new Uint8Array(0);
  #started = false;

  constructor(label = "utf-8", options = {}) {
    const name = native("text.label", `${label}`);
    if (name === null) throw coded(RangeError, "ERR_ENCODING_NOT_SUPPORTED", `The "${label}" encoding is not supported`);
    if (options !== null && typeof options !== "object" && typeof options !== "function") throw invalidType("options", "Object", options);
    this.#name = name;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBom = Boolean(options?.ignoreBOM);
  }

  get encoding() { return this.#name; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBom; }

  decode(input = new Uint8Array(0), options = {}) {
    let bytes;
    if (input instanceof ArrayBuffer) bytes = new Uint8Array(input);
    else if (ArrayBuffer.isView(input)) bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    else throw invalidType("list", ["ArrayBuffer", "ArrayBufferView"], input);
    if (this.#rest.length > 0) {
      const all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
      bytes = all;
    }
    const more = Boolean(options?.stream);
    const waits = more ? native("text.waits", bytes, this.#name) : 0;
    this.#rest = bytes.slice(bytes.length - waits);
    if (waits > 0) bytes = bytes.subarray(0, bytes.length - waits);
    const keepBom = this.#ignoreBom || this.#started;
    this.#started = more && (this.#started || bytes.length > 0);
    const text = bytes.length === 0 ? "" : native("text.decode", bytes, this.#name, this.#fatal, keepBom);
    if (text === null) {
      this.#rest = new Uint8Array(0);
      this.#started = false;
      throw coded(TypeError, "ERR_ENCODING_INVALID_ENCODED_DATA", `The encoded data was not valid for encoding ${this.#name}`);
    }
    return text;
  }

  [customInspect]() {
    return `TextDecoder { encoding: '${this.#name}', fatal: ${this.#fatal}, ignoreBOM: ${this.#ignoreBom} }`;
  }
}

for (const Class of [TextEncoder, TextDecoder]) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { configurable: true, value: Class.name });
}
Object.assign(exports, { TextEncoder, TextDecoder });
