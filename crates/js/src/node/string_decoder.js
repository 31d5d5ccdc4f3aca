// `string_decoder`: text out of chunks of bytes that may end within a character.

const { Buffer } = require("buffer");
const { invalidType, unknownEncoding } = require("_errors");

const NAMES = { "utf-8": "utf8", "ucs2": "utf16le", "ucs-2": "utf16le", "utf-16le": "utf16le", binary: "latin1" };

// How many bytes at the end wait for more.
function incomplete(bytes, encoding) {
  const { length } = bytes;
  if (encoding === "base64" || encoding === "base64url") return length % 3;
  if (encoding === "utf16le") {
    const odd = length % 2;
    // A high surrogate waits for the low one.
    return length >= 2 && (bytes[length - odd - 1] & 0xfc) === 0xd8 ? odd + 2 : odd;
  }
  if (encoding !== "utf8") return 0;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back];
    if ((byte & 0xc0) === 0x80) continue;
    return back < needed(byte) ? back : 0;
  }
  return 0;
}
const needed = (lead) => (lead >= 0xf0 && lead < 0xf5 ? 4 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 1);

function total(bytes, encoding) {
  if (bytes.length === 0) return 0;
  if (encoding === "utf8") return needed(bytes[0]);
  return encoding === "utf16le" ? (bytes.length > 1 ? 4 : 2) : 3;
}

function StringDecoder(encoding) {
  const name = encoding === undefined || encoding === null || encoding === "" ? "utf8" : String(encoding).toLowerCase();
  if (!Buffer.isEncoding(name)) throw unknownEncoding(encoding);
  this.encoding = NAMES[name] ?? name;
  Object.defineProperty(this, "_rest", { value: Buffer.alloc(0), writable: true, configurable: true, enumerable: false });
}

StringDecoder.prototype.write = function write(chunk) {
  if (typeof chunk === "string") return chunk;
  if (!ArrayBuffer.isView(chunk)) throw invalidType("buf", ["Buffer", "TypedArray", "DataView"], chunk);
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const all = this._rest.length === 0 ? bytes : Buffer.concat([this._rest, bytes]);
  const end = all.length - incomplete(all, this.encoding);
  // A copy: the chunk may be written to later.
  this._rest = Buffer.from(all.subarray(end));
  return all.toString(this.encoding, 0, end);
};

StringDecoder.prototype.end = function end(chunk) {
  const text = chunk === undefined ? "" : this.write(chunk);
  const rest = this._rest;
  this._rest = Buffer.alloc(0);
  return text + rest.toString(this.encoding);
};

StringDecoder.prototype.text = function text(chunk, offset) {
  this._rest = Buffer.alloc(0);
  return this.write(chunk.slice(offset));
};

for (const [name, get] of Object.entries({
  lastChar() {
    const shown = Buffer.alloc(4);
    shown.set(this._rest);
    return shown;
  },
  lastNeed() { return total(this._rest, this.encoding) - this._rest.length; },
  lastTotal() { return total(this._rest, this.encoding); },
})) Object.defineProperty(StringDecoder.prototype, name, { configurable: true, enumerable: true, get });

exports.StringDecoder = StringDecoder;
