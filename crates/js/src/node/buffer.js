// `buffer`: Node's class Buffer over Uint8Array. Encodings, comparing and
// searching are native.

const {
  coded, invalidType, invalidValue, outOfRange, unknownEncoding, missingArguments,
  validateArray, validateInteger, validateNumber, validateString,
} = require("_errors");
const native = inner.node;

const MAX_LENGTH = 2 ** 32;
const MAX_STRING_LENGTH = 536870888;
const customInspect = Symbol.for("nodejs.util.inspect.custom");
const isBytes = (value) => value instanceof Uint8Array;
const isArrayBuffer = (value) => value instanceof ArrayBuffer;
const BYTES = ["Buffer", "Uint8Array"];

// ---- Encodings.

const ENCODINGS = {
  utf8: "utf8", "utf-8": "utf8", ucs2: "ucs2", "ucs-2": "ucs2", utf16le: "ucs2", "utf-16le": "ucs2",
  latin1: "latin1", binary: "latin1", ascii: "ascii", base64: "base64", base64url: "base64url", hex: "hex",
  __proto__: null,
};
// The one name of an encoding; undefined for none.
const encodingOf = (name) => ENCODINGS[name] ?? ENCODINGS[String(name).toLowerCase()];

function knownEncoding(name) {
  if (name === undefined) return "utf8";
  const encoding = encodingOf(name);
  if (encoding === undefined) throw unknownEncoding(name);
  return encoding;
}

function units(text) {
  const made = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at++) made[at] = text.charCodeAt(at);
  return made;
}

// The bytes of a text, as a Uint8Array of their own.
function encode(text, encoding) {
  if (encoding === "ucs2") return new Uint8Array(units(text).buffer);
  // Halves of pairs do not cross to the host.
  if ((encoding === "latin1" || encoding === "ascii") && !text.isWellFormed()) return Uint8Array.from(units(text));
  return native("buffer.encode", text, encoding);
}

function decode(bytes, encoding) {
  if (bytes.length === 0) return "";
  if (encoding !== "ucs2") return native("buffer.decode", bytes, encoding);
  const copy = new Uint8Array(bytes.length & ~1);
  copy.set(bytes.length & 1 ? new Uint8Array(bytes.buffer, bytes.byteOffset, copy.length) : bytes);
  const all = new Uint16Array(copy.buffer);
  let text = "";
  for (let at = 0; at < all.length; at += 4096) text += String.fromCharCode.apply(null, all.subarray(at, at + 4096));
  return text;
}

// ---- Making buffers.

class FastBuffer extends Uint8Array {}

// Bytes that nobody else holds become a buffer without a copy.
const own = (bytes) => new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.length);

function Buffer(first, encodingOrOffset, length) {
  if (typeof first === "number") {
    if (typeof encodingOrOffset === "string") throw invalidType("string", "string", first);
    return Buffer.alloc(first);
  }
  return Buffer.from(first, encodingOrOffset, length);
}
Object.defineProperty(Buffer, Symbol.species, { configurable: true, enumerable: false, get: () => FastBuffer });
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
Object.defineProperty(Buffer.prototype, "constructor", { value: Buffer, writable: true, configurable: true, enumerable: false });

const size = (value) => validateNumber(value, "size", 0, MAX_LENGTH);

function fromText(text, encoding) {
  const known = typeof encoding !== "string" || encoding.length === 0 ? "utf8" : knownEncoding(encoding);
  return text.length === 0 ? new FastBuffer() : own(encode(text, known));
}

function fromArrayBuffer(buffer, offset, length) {
  offset = offset === undefined ? 0 : +offset || 0;
  const most = buffer.byteLength - offset;
  if (most < 0) throw outOfBounds("offset");
  if (length === undefined) length = most;
  else {
    length = +length;
    if (!(length > 0)) length = 0;
    else if (length > most) throw outOfBounds("length");
  }
  return new FastBuffer(buffer, offset, length);
}

const fromArrayLike = (list) => (list.length > 0 ? new FastBuffer(list) : new FastBuffer());

function fromObject(value) {
  if (value._bsontype === "Binary" && isBytes(value._v)) return fromArrayLike(value._v);
  if (value.length !== undefined || isArrayBuffer(value.buffer)) {
    return typeof value.length === "number" ? fromArrayLike(value) : new FastBuffer();
  }
  if (value.type === "Buffer" && Array.isArray(value.data)) return fromArrayLike(value.data);
  return undefined;
}

const outOfBounds = (name) =>
  coded(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS",
    name ? `"${name}" is outside of buffer bounds` : "Attempt to access memory outside buffer bounds");

Object.assign(Buffer, {
  poolSize: 8192,
  from: function from(value, encodingOrOffset, length) {
    if (typeof value === "string") return fromText(value, encodingOrOffset);
    if (typeof value === "object" && value !== null) {
      if (isArrayBuffer(value)) return fromArrayBuffer(value, encodingOrOffset, length);
      const inside = value.valueOf?.();
      if (inside != null && inside !== value && (typeof inside === "string" || typeof inside === "object")) {
        return Buffer.from(inside, encodingOrOffset, length);
      }
      const made = fromObject(value);
      if (made !== undefined) return made;
      if (typeof value[Symbol.toPrimitive] === "function") {
        const primitive = value[Symbol.toPrimitive]("string");
        if (typeof primitive === "string") return fromText(primitive, encodingOrOffset);
      }
    }
    throw invalidType("first argument", ["string", "Buffer", "ArrayBuffer", "Array", "Array-like Object"], value);
  },
  copyBytesFrom(view, offset, length) {
    if (!ArrayBuffer.isView(view) || view instanceof DataView) throw invalidType("view", "TypedArray", view);
    if (offset !== undefined) validateInteger(offset, "offset", 0);
    if (length !== undefined) validateInteger(length, "length", 0);
    offset ??= 0;
    const part = view.slice(offset, length === undefined ? undefined : offset + length);
    return new FastBuffer(part.buffer, 0, part.byteLength);
  },
  of(...items) {
    return new FastBuffer(items);
  },
  // Some packages call these with `new`.
  alloc: function alloc(length, fill, encoding) {
    size(length);
    if (fill === undefined || fill === 0 || length <= 0) return new FastBuffer(length);
    if (encoding !== undefined) validateString(encoding, "encoding");
    return fillIn(new FastBuffer(length), fill, encoding);
  },
  allocUnsafe: function allocUnsafe(length) {
    size(length);
    return new FastBuffer(length);
  },
  allocUnsafeSlow: function allocUnsafeSlow(length) {
    size(length);
    return new FastBuffer(length);
  },
  isBuffer: (value) => value instanceof Buffer,
  compare(one, other) {
    if (!isBytes(one)) throw invalidType("buf1", BYTES, one);
    if (!isBytes(other)) throw invalidType("buf2", BYTES, other);
    return one === other ? 0 : native("buffer.compare", one, other);
  },
  isEncoding: (name) => typeof name === "string" && name.length > 0 && encodingOf(name) !== undefined,
  concat(list, length) {
    validateArray(list, "list");
    if (list.length === 0) return new FastBuffer();
    if (length === undefined) {
      length = 0;
      for (const part of list) if (part?.length) length += part.length;
    } else validateInteger(length, "length", 0, MAX_LENGTH);
    const all = new FastBuffer(length);
    let at = 0;
    for (let index = 0; index < list.length; index++) {
      const part = list[index];
      if (!isBytes(part)) throw invalidType(`list[${index}]`, BYTES, part);
      if (at + part.length > length) {
        all.set(part.subarray(0, Math.max(length - at, 0)), at);
        at = length;
      } else {
        all.set(part, at);
        at += part.length;
      }
    }
    return all;
  },
  byteLength(text, encoding) {
    if (typeof text !== "string") {
      if (ArrayBuffer.isView(text) || isArrayBuffer(text)) return text.byteLength;
      throw invalidType("string", ["string", "Buffer", "ArrayBuffer"], text);
    }
    switch (encodingOf(encoding)) {
      case "ucs2": return text.length * 2;
      case "latin1": case "ascii": return text.length;
      case "hex": return text.length >>> 1;
      case "base64": case "base64url": {
        let end = text.length;
        if (text.endsWith("=")) end -= text.endsWith("==") ? 2 : 1;
        return (end * 3) >>> 2;
      }
      default: return native("buffer.length", text);
    }
  },
});

function SlowBuffer(length) {
  size(length);
  return new FastBuffer(length);
}
Object.setPrototypeOf(SlowBuffer.prototype, Uint8Array.prototype);
Object.setPrototypeOf(SlowBuffer, Uint8Array);

// ---- Filling and searching.

function fillIn(buffer, value, offset, end, encoding) {
  if (typeof value === "string") {
    if (offset === undefined || typeof offset === "string") {
      encoding = offset;
      offset = undefined;
    } else if (typeof end === "string") {
      encoding = end;
      end = undefined;
    }
    if (encoding !== undefined) validateString(encoding, "encoding");
    encoding = encoding === "" ? "utf8" : knownEncoding(encoding);
  }
  if (offset === undefined) {
    offset = 0;
    end = buffer.length;
  } else {
    validateInteger(offset, "offset", 0, MAX_LENGTH);
    if (end === undefined) end = buffer.length;
    else validateInteger(end, "end", 0, buffer.length);
  }
  if (offset >= end) return buffer;
  if (value === "") value = 0;
  if (typeof value !== "string" && !isBytes(value)) {
    return Uint8Array.prototype.fill.call(buffer, value & 255, offset, end);
  }
  const pattern = typeof value === "string" ? encode(value, encoding) : value;
  if (pattern.length === 0) throw invalidValue("value", value);
  let done = Math.min(pattern.length, end - offset);
  buffer.set(pattern.subarray(0, done), offset);
  for (; offset + done < end; done *= 2) buffer.copyWithin(offset + done, offset, Math.min(offset + done, end - done));
  return buffer;
}

// Where a search begins; -1 for nowhere.
function searchStart(length, offset, needle, forward) {
  if (offset < 0) return offset + length >= 0 ? length + offset : forward || needle === 0 ? 0 : -1;
  if (offset + needle <= length) return offset;
  return needle === 0 ? length : forward ? -1 : length - 1;
}

function find(buffer, value, offset, encoding, forward) {
  if (!isBytes(buffer)) throw invalidType("buffer", BYTES, buffer);
  if (typeof offset === "string") {
    encoding = offset;
    offset = undefined;
  }
  offset = +offset;
  offset = Number.isNaN(offset) ? (forward ? 0 : buffer.length) : Math.trunc(Math.min(Math.max(offset, -0x80000000), 0x7fffffff));
  if (typeof value === "number") {
    const start = searchStart(buffer.length, offset, 1, forward);
    if (start < 0 || buffer.length === 0) return -1;
    const search = forward ? Uint8Array.prototype.indexOf : Uint8Array.prototype.lastIndexOf;
    return search.call(buffer, value & 255, start);
  }
  let needle = value;
  const known = typeof value === "string" ? knownEncoding(encoding) : encodingOf(encoding);
  if (typeof value === "string") needle = encode(value, known);
  else if (!isBytes(value)) throw invalidType("value", ["number", "string", "Buffer", "Uint8Array"], value);
  const start = searchStart(buffer.length, offset, needle.length, forward);
  if (needle.length === 0) return start;
  if (start < 0 || needle.length > buffer.length) return -1;
  return native("buffer.find", buffer, needle, start, forward, known === "ucs2" ? 2 : 1);
}

// ---- Numbers.

function boundary(value, length, name) {
  if (!Number.isInteger(value)) {
    validateNumber(value, name);
    throw outOfRange(name ?? "offset", "an integer", value);
  }
  if (length < 0) throw outOfBounds();
  throw outOfRange(name ?? "offset", `>= ${name === "byteLength" ? 1 : 0} and <= ${length}`, value);
}

function place(buffer, offset, bytes) {
  if (typeof offset !== "number") throw invalidType("offset", "number", offset);
  if (!(offset >= 0 && offset + bytes <= buffer.length) || !Number.isInteger(offset)) boundary(offset, buffer.length - bytes, "offset");
}

function read(buffer, offset, bytes, little, signed) {
  place(buffer, offset, bytes);
  let value = 0;
  if (little) for (let at = bytes - 1; at >= 0; at--) value = value * 256 + buffer[offset + at];
  else for (let at = 0; at < bytes; at++) value = value * 256 + buffer[offset + at];
  if (!signed) return value;
  // Integers of 32 bits stay such, for the types that documents have.
  if (bytes <= 4) return (value << (32 - 8 * bytes)) >> (32 - 8 * bytes);
  if (value >= 2 ** (8 * bytes - 1)) value -= 2 ** (8 * bytes);
  return value === (value | 0) ? value | 0 : value;
}

function write(buffer, value, offset, bytes, little, signed) {
  value = +value;
  if (bytes === 1 && typeof offset !== "number") throw invalidType("offset", "number", offset);
  const bits = 8 * bytes - (signed ? 1 : 0);
  const min = signed ? -(2 ** bits) : 0, max = 2 ** bits - 1;
  if (value > max || value < min) {
    throw outOfRange("value", bytes <= 4 ? `>= ${min} and <= ${max}`
      : signed ? `>= -(2 ** ${bits}) and < 2 ** ${bits}` : `>= 0 and < 2 ** ${bits}`, value);
  }
  place(buffer, offset, bytes);
  value = Math.trunc(value) || 0;
  if (value < 0) value += 2 ** (8 * bytes);
  for (let at = 0; at < bytes; at++) {
    buffer[little ? offset + at : offset + bytes - 1 - at] = value % 256;
    value = Math.floor(value / 256);
  }
  return offset + bytes;
}

function width(bytes) {
  if (typeof bytes !== "number") throw invalidType("byteLength", "number", bytes);
  if (!(bytes >= 1 && bytes <= 6) || !Number.isInteger(bytes)) boundary(bytes, 6, "byteLength");
}

const methods = Buffer.prototype;
const add = (made) => Object.assign(methods, made);
for (const [ending, little] of [["LE", true], ["BE", false]]) {
  for (const [kind, signed] of [["UInt", false], ["Uint", false], ["Int", true]]) {
    for (const bits of [8, 16, 32]) {
      if (bits === 8 && !little) continue;
      const name = `${kind}${bits}${bits === 8 ? "" : ending}`;
      add({
        [`read${name}`](offset = 0) { return read(this, offset, bits / 8, little, signed); },
        [`write${name}`](value, offset = 0) { return write(this, value, offset, bits / 8, little, signed); },
      });
    }
    add({
      [`read${kind}${ending}`](offset, byteLength) {
        if (offset === undefined) throw invalidType("offset", "number", offset);
        width(byteLength);
        return read(this, offset, byteLength, little, signed);
      },
      [`write${kind}${ending}`](value, offset, byteLength) {
        width(byteLength);
        return write(this, value, offset, byteLength, little, signed);
      },
    });
  }
  for (const [name, Type] of [["Float", Float32Array], ["Double", Float64Array], ["BigUInt64", BigUint64Array], ["BigInt64", BigInt64Array]]) {
    const cell = new Type(1), bytes = new Uint8Array(cell.buffer), count = bytes.length;
    const isBig = name.startsWith("Big");
    const readName = `read${name}${ending}`, writeName = `write${name}${ending}`;
    add({
      [readName](offset = 0) {
        place(this, offset, count);
        for (let at = 0; at < count; at++) bytes[little ? at : count - 1 - at] = this[offset + at];
        return cell[0];
      },
      [writeName](value, offset = 0) {
        if (isBig) {
          const min = name === "BigInt64" ? -(2n ** 63n) : 0n, past = name === "BigInt64" ? 2n ** 63n : 2n ** 64n;
          if (value >= past || value < min) {
            throw outOfRange("value", min < 0n ? ">= -(2n ** 63n) and < 2n ** 63n" : ">= 0n and < 2n ** 64n", value);
          }
          if (typeof value !== "bigint") throw new TypeError("Cannot mix BigInt and other types, use explicit conversions");
        }
        place(this, offset, count);
        cell[0] = isBig ? value : +value;
        for (let at = 0; at < count; at++) this[offset + at] = bytes[little ? at : count - 1 - at];
        return offset + count;
      },
    });
    if (name === "BigUInt64") {
      methods[`readBigUint64${ending}`] = methods[readName];
      methods[`writeBigUint64${ending}`] = methods[writeName];
    }
  }
}

// ---- Texts.

for (const [name, encoding] of [
  ["ascii", "ascii"], ["base64", "base64"], ["base64url", "base64url"], ["latin1", "latin1"], ["binary", "latin1"],
  ["hex", "hex"], ["ucs2", "ucs2"], ["utf16le", "ucs2"], ["utf8", "utf8"],
]) {
  add({
    [`${name}Slice`](start = 0, end = this.length) {
      if (start < 0 || end < 0 || end > this.length) throw coded(RangeError, "ERR_OUT_OF_RANGE", "Index out of range");
      return end <= start ? "" : decode(part(this, start, end), encoding);
    },
    [`${name}Write`](text, offset = 0, length = this.length - offset) {
      if (typeof text !== "string") throw coded(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
      if (offset < 0 || offset > this.length) throw outOfBounds("offset");
      return put(this, text, Math.trunc(offset), Math.min(length, this.length - offset), encoding);
    },
  });
}

const part = (buffer, start, end) => new FastBuffer(buffer.buffer, buffer.byteOffset + Math.trunc(start), Math.trunc(end) - Math.trunc(start));

// Writes what fits of a text, in whole characters.
function put(buffer, text, offset, length, encoding) {
  const bytes = encode(text, encoding);
  let fits = Math.min(bytes.length, length);
  if (fits < bytes.length) {
    if (encoding === "ucs2") fits &= ~1;
    else if (encoding === "utf8") while (fits > 0 && (bytes[fits] & 0xc0) === 0x80) fits--;
  }
  buffer.set(fits === bytes.length ? bytes : bytes.subarray(0, fits), offset);
  return fits;
}

const clamp = (value, length) => {
  value = Math.trunc(value) || 0;
  return value < 0 ? Math.max(value + length, 0) : Math.min(value, length);
};

function swap(buffer, bytes) {
  if (buffer.length % bytes !== 0) {
    throw coded(RangeError, "ERR_INVALID_BUFFER_SIZE", `Buffer size must be a multiple of ${bytes * 8}-bits`);
  }
  for (let at = 0; at < buffer.length; at += bytes) Uint8Array.prototype.reverse.call(part(buffer, at, at + bytes));
  return buffer;
}

const inspectBuffer = {
  [customInspect](depth, options) {
    const most = exports.INSPECT_MAX_BYTES;
    const shown = decode(part(this, 0, Math.min(most, this.length)), "hex").replace(/(.{2})/g, "$1 ").trim();
    const left = this.length - most;
    const more = left > 0 ? ` ... ${left} more byte${left > 1 ? "s" : ""}` : "";
    return `<${this.constructor.name} ${shown}${more}>`;
  },
}[customInspect];

add({
  copy(target, targetStart, sourceStart, sourceEnd) {
    if (!isBytes(target)) throw invalidType("target", BYTES, target);
    const whole = (value) => Math.trunc(+value) || 0;
    targetStart = targetStart === undefined ? 0 : whole(targetStart);
    if (targetStart < 0) throw outOfRange("targetStart", ">= 0", targetStart);
    sourceStart = sourceStart === undefined ? 0 : whole(sourceStart);
    if (sourceStart < 0 || sourceStart > this.length) throw outOfRange("sourceStart", `>= 0 && <= ${this.length}`, sourceStart);
    sourceEnd = sourceEnd === undefined ? this.length : whole(sourceEnd);
    if (sourceEnd < 0) throw outOfRange("sourceEnd", ">= 0", sourceEnd);
    const count = Math.min(sourceEnd - sourceStart, this.length - sourceStart, target.length - targetStart);
    if (count <= 0) return 0;
    Uint8Array.prototype.set.call(target, part(this, sourceStart, sourceStart + count), targetStart);
    return count;
  },
  toString(encoding, start, end) {
    const length = this.length;
    start = start === undefined || start <= 0 ? 0 : start >= length ? length : Math.trunc(start) || 0;
    end = end === undefined || end > length ? length : Math.trunc(end) || 0;
    if (end <= start) return "";
    const known = knownEncoding(encoding);
    return decode(start === 0 && end === length ? this : part(this, start, end), known);
  },
  equals(other) {
    if (!isBytes(other)) throw invalidType("otherBuffer", BYTES, other);
    return this === other || (this.length === other.length && native("buffer.compare", this, other) === 0);
  },
  inspect: inspectBuffer,
  compare(target, targetStart, targetEnd, sourceStart, sourceEnd) {
    if (!isBytes(target)) throw invalidType("target", BYTES, target);
    if (targetStart !== undefined) validateInteger(targetStart, "targetStart", 0, MAX_LENGTH);
    if (targetEnd !== undefined) validateInteger(targetEnd, "targetEnd", 0, target.length);
    if (sourceStart !== undefined) validateInteger(sourceStart, "sourceStart", 0, MAX_LENGTH);
    if (sourceEnd !== undefined) validateInteger(sourceEnd, "sourceEnd", 0, this.length);
    targetStart ??= 0;
    targetEnd ??= target.length;
    sourceStart ??= 0;
    sourceEnd ??= this.length;
    if (sourceStart >= sourceEnd) return targetStart >= targetEnd ? 0 : -1;
    if (targetStart >= targetEnd) return 1;
    return native("buffer.compare", part(this, sourceStart, sourceEnd), part(target, targetStart, targetEnd));
  },
  indexOf(value, offset, encoding) { return find(this, value, offset, encoding, true); },
  lastIndexOf(value, offset, encoding) { return find(this, value, offset, encoding, false); },
  includes(value, offset, encoding) { return find(this, value, offset, encoding, true) !== -1; },
  fill(value, offset, end, encoding) { return fillIn(this, value, offset, end, encoding); },
  write(text, offset, length, encoding) {
    let at = 0, most = this.length;
    if (length === undefined && typeof offset === "string") encoding = offset;
    else if (offset === undefined) encoding = undefined;
    else {
      validateInteger(offset, "offset", 0, this.length);
      at = offset;
      most = this.length - offset;
      if (typeof length === "string") encoding = length;
      else if (length !== undefined) {
        validateInteger(length, "length", 0, this.length);
        most = Math.min(most, length);
      }
    }
    if (typeof text !== "string") throw coded(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
    return put(this, text, at, most, encoding ? knownEncoding(encoding) : "utf8");
  },
  toJSON() { return { type: "Buffer", data: Array.from(this) }; },
  subarray(start, end) {
    start = clamp(start, this.length);
    end = end === undefined ? this.length : clamp(end, this.length);
    return new FastBuffer(this.buffer, this.byteOffset + start, Math.max(end - start, 0));
  },
  slice(start, end) { return this.subarray(start, end); },
  swap16() { return swap(this, 2); },
  swap32() { return swap(this, 4); },
  swap64() { return swap(this, 8); },
});
methods.toLocaleString = methods.toString;
Object.defineProperty(methods, customInspect, { value: inspectBuffer, writable: true, configurable: true, enumerable: false });
Object.defineProperties(methods, {
  parent: { enumerable: true, get() { return this instanceof Buffer ? this.buffer : undefined; } },
  offset: { enumerable: true, get() { return this instanceof Buffer ? this.byteOffset : undefined; } },
});

// ---- The module's functions.

function domException(message) {
  if (typeof DOMException === "function") return new DOMException(message, "InvalidCharacterError");
  const error = new Error(message);
  return Object.defineProperties(error, { name: { value: "InvalidCharacterError" }, code: { value: 5 } });
}

function transcode(source, from, to) {
  if (!isBytes(source)) throw invalidType("source", BYTES, source);
  const one = encodingOf(from), other = encodingOf(to);
  for (const name of [one, other]) {
    if (!["ucs2", "utf8", "ascii", "latin1"].includes(name)) {
      throw Object.assign(new Error("Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]"), { code: "U_ILLEGAL_ARGUMENT_ERROR", errno: 1 });
    }
  }
  let text = decode(source, one);
  if (other === "ascii") text = text.replace(/[^\0-\x7f]/gu, "?");
  if (other === "latin1") text = text.replace(/[^\0-\xff]/gu, "?");
  return own(encode(text, other));
}

const viewOf = (input) => {
  if (isArrayBuffer(input)) return new Uint8Array(input);
  if (!ArrayBuffer.isView(input)) throw invalidType("input", ["ArrayBuffer", "Buffer", "TypedArray"], input);
  return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
};

Object.assign(exports, {
  Buffer, SlowBuffer, transcode,
  isUtf8: (input) => native("buffer.isUtf8", viewOf(input)),
  isAscii: (input) => native("buffer.isAscii", viewOf(input)),
  kMaxLength: MAX_LENGTH,
  kStringMaxLength: MAX_STRING_LENGTH,
  btoa(input) {
    if (arguments.length === 0) throw missingArguments("input");
    const text = `${input}`;
    if (/[^\0-\xff]/.test(text)) throw domException("Invalid character");
    return decode(encode(text, "latin1"), "base64");
  },
  atob(input) {
    if (arguments.length === 0) throw missingArguments("input");
    const text = `${input}`.replace(/[\t\n\f\r ]/g, "");
    const data = text.length % 4 === 0 ? text.replace(/={1,2}$/, "") : text;
    if (/[^A-Za-z0-9+/]/.test(data)) throw domException("Invalid character");
    if (data.length % 4 === 1) throw domException("The string to be decoded is not correctly encoded.");
    return decode(encode(data, "base64"), "latin1");
  },
  constants: Object.freeze({ MAX_LENGTH, MAX_STRING_LENGTH }),
  INSPECT_MAX_BYTES: 50,
  resolveObjectURL: () => undefined,
});
for (const name of ["Blob", "File"]) {
  Object.defineProperty(exports, name, { enumerable: true, configurable: true, get: () => globalThis[name] });
}
