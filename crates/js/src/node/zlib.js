// `zlib`: compression is native and works on the whole of what it is given.
// Streams collect their input; what they have is given out when they end or are
// flushed: nothing of a call's state may live outside of its realm.

const { Buffer } = require("buffer");
const { coded, invalidType, validateFunction } = require("_errors");
const native = inner.node;

const constants = Object.assign(Object.create(null), {
  Z_NO_FLUSH: 0, Z_PARTIAL_FLUSH: 1, Z_SYNC_FLUSH: 2, Z_FULL_FLUSH: 3, Z_FINISH: 4, Z_BLOCK: 5,
  Z_OK: 0, Z_STREAM_END: 1, Z_NEED_DICT: 2, Z_ERRNO: -1, Z_STREAM_ERROR: -2, Z_DATA_ERROR: -3, Z_MEM_ERROR: -4,
  Z_BUF_ERROR: -5, Z_VERSION_ERROR: -6,
  Z_NO_COMPRESSION: 0, Z_BEST_SPEED: 1, Z_BEST_COMPRESSION: 9, Z_DEFAULT_COMPRESSION: -1,
  Z_FILTERED: 1, Z_HUFFMAN_ONLY: 2, Z_RLE: 3, Z_FIXED: 4, Z_DEFAULT_STRATEGY: 0, ZLIB_VERNUM: 4880,
  DEFLATE: 1, INFLATE: 2, GZIP: 3, GUNZIP: 4, DEFLATERAW: 5, INFLATERAW: 6, UNZIP: 7, BROTLI_DECODE: 8, BROTLI_ENCODE: 9,
  Z_MIN_WINDOWBITS: 8, Z_MAX_WINDOWBITS: 15, Z_DEFAULT_WINDOWBITS: 15, Z_MIN_CHUNK: 64, Z_MAX_CHUNK: Infinity,
  Z_DEFAULT_CHUNK: 16384, Z_MIN_MEMLEVEL: 1, Z_MAX_MEMLEVEL: 9, Z_DEFAULT_MEMLEVEL: 8, Z_MIN_LEVEL: -1, Z_MAX_LEVEL: 9,
  Z_DEFAULT_LEVEL: -1,
  BROTLI_OPERATION_PROCESS: 0, BROTLI_OPERATION_FLUSH: 1, BROTLI_OPERATION_FINISH: 2, BROTLI_OPERATION_EMIT_METADATA: 3,
  BROTLI_PARAM_MODE: 0, BROTLI_MODE_GENERIC: 0, BROTLI_MODE_TEXT: 1, BROTLI_MODE_FONT: 2, BROTLI_DEFAULT_MODE: 0,
  BROTLI_PARAM_QUALITY: 1, BROTLI_MIN_QUALITY: 0, BROTLI_MAX_QUALITY: 11, BROTLI_DEFAULT_QUALITY: 11,
  BROTLI_PARAM_LGWIN: 2, BROTLI_MIN_WINDOW_BITS: 10, BROTLI_MAX_WINDOW_BITS: 24, BROTLI_LARGE_MAX_WINDOW_BITS: 30,
  BROTLI_DEFAULT_WINDOW: 22, BROTLI_PARAM_LGBLOCK: 3, BROTLI_MIN_INPUT_BLOCK_BITS: 16, BROTLI_MAX_INPUT_BLOCK_BITS: 24,
  BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING: 4, BROTLI_PARAM_SIZE_HINT: 5, BROTLI_PARAM_LARGE_WINDOW: 6,
  BROTLI_PARAM_NPOSTFIX: 7, BROTLI_PARAM_NDIRECT: 8,
  BROTLI_DECODER_RESULT_ERROR: 0, BROTLI_DECODER_RESULT_SUCCESS: 1, BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: 2,
  BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: 3, BROTLI_DECODER_PARAM_DISABLE_RING_BUFFER_REALLOCATION: 0,
  BROTLI_DECODER_PARAM_LARGE_WINDOW: 1, BROTLI_DECODER_NO_ERROR: 0, BROTLI_DECODER_SUCCESS: 1,
  BROTLI_DECODER_NEEDS_MORE_INPUT: 2, BROTLI_DECODER_NEEDS_MORE_OUTPUT: 3,
});
const ERRORS = ["Z_OK", "Z_STREAM_END", "Z_NEED_DICT", "Z_ERRNO", "Z_STREAM_ERROR", "Z_DATA_ERROR", "Z_MEM_ERROR", "Z_BUF_ERROR", "Z_VERSION_ERROR"];
const codes = {};
for (const name of ERRORS) codes[name] = constants[name];
for (const name of ERRORS) codes[constants[name]] = name;

// Class, function, native format, whether it compresses.
const KINDS = {
  Deflate: ["deflate", "zlib", true], Inflate: ["inflate", "zlib", false],
  Gzip: ["gzip", "gzip", true], Gunzip: ["gunzip", "gzip", false],
  DeflateRaw: ["deflateRaw", "raw", true], InflateRaw: ["inflateRaw", "raw", false],
  Unzip: ["unzip", "any", false],
  BrotliCompress: ["brotliCompress", "brotli", true], BrotliDecompress: ["brotliDecompress", "brotli", false],
};

const MAX_LENGTH = require("buffer").kMaxLength;

function checked(options, name, low, high, fallback) {
  const value = options[name];
  if (value === undefined || Number.isNaN(value)) return fallback;
  if (typeof value !== "number") throw invalidType(`options.${name}`, "number", value);
  if (!(value >= low && value <= high)) {
    const range = high === Infinity ? `>= ${low}` : `>= ${low} and <= ${high}`;
    throw coded(RangeError, "ERR_OUT_OF_RANGE", `The value of "options.${name}" is out of range. It must be ${range}. Received ${value}`);
  }
  return value;
}

function settingsOf(name, options = {}) {
  options ??= {};
  const [, format, compresses] = KINDS[name];
  const isBrotli = format === "brotli";
  const last = isBrotli ? 2 : 4;
  const settings = {
    format, compresses,
    chunkSize: checked(options, "chunkSize", 64, Infinity, 16384),
    flush: checked(options, "flush", 0, isBrotli ? 3 : 5, isBrotli ? 0 : 0),
    finishFlush: checked(options, "finishFlush", 0, isBrotli ? 3 : 5, last),
    max: checked(options, "maxOutputLength", 1, MAX_LENGTH, MAX_LENGTH),
    info: Boolean(options.info),
  };
  // What ends before its end is an error, unless it was asked for.
  settings.partial = settings.finishFlush !== last;
  if (isBrotli) {
    const params = options.params ?? {};
    settings.level = params[constants.BROTLI_PARAM_QUALITY] ?? 11;
    settings.windowBits = params[constants.BROTLI_PARAM_LGWIN] ?? 22;
    settings.mode = params[constants.BROTLI_PARAM_MODE] ?? 0;
    return settings;
  }
  const hasWindow = options.windowBits !== undefined && options.windowBits !== null && options.windowBits !== 0;
  settings.windowBits = hasWindow ? checked(options, "windowBits", name === "Gzip" ? 9 : 8, 15, 15) : 15;
  settings.level = checked(options, "level", -1, 9, -1);
  checked(options, "memLevel", 1, 9, 8);
  checked(options, "strategy", 0, 4, 0);
  const { dictionary } = options;
  if (dictionary !== undefined) {
    if (!ArrayBuffer.isView(dictionary) && !(dictionary instanceof ArrayBuffer)) {
      throw invalidType("options.dictionary", ["Buffer", "TypedArray", "DataView", "ArrayBuffer"], dictionary);
    }
    settings.dictionary = bytesOf(dictionary);
  }
  return settings;
}

function bytesOf(value) {
  if (typeof value === "string") return Buffer.from(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw invalidType("buffer", ["string", "Buffer", "TypedArray", "DataView", "ArrayBuffer"], value);
}

// Runs the whole of it. `segments`: bytes and how to flush after them, in turn.
function run(settings, segments) {
  const { format, level, windowBits, mode, dictionary, max } = settings;
  let made;
  try {
    made = settings.compresses
      ? native("zlib.compress", format, level, windowBits, mode, dictionary, segments, max)
      : native("zlib.decompress", format, segments[0], dictionary, settings.partial, max);
  } catch (error) {
    if (error.code === "ERR_BUFFER_TOO_LARGE") throw coded(RangeError, error.code, error.message);
    throw Object.assign(new Error(error.message), { errno: constants[error.code] ?? -1, code: error.code });
  }
  return Buffer.from(made.buffer, made.byteOffset, made.length);
}

// How brotli says it.
const FLUSHES = { 0: 0, 1: 2, 2: 4, 3: 0 };
const flushOf = (settings, flush) => (settings.format === "brotli" ? FLUSHES[flush] : flush);

function once(name, input, options) {
  const settings = settingsOf(name, options);
  const made = run(settings, [bytesOf(input), flushOf(settings, settings.finishFlush)]);
  return settings.info ? { buffer: made, engine: new exports[name](options) } : made;
}

// ---- Streams, made when one is first used.

function makeClass(name) {
  const { Transform } = require("stream");
  const base = zlibBase(Transform);
  const Class = { [name]: function (options) {
    if (!(this instanceof Class)) return new Class(options);
    base.init.call(this, settingsOf(name, options), options);
  } }[name];
  Object.setPrototypeOf(Class.prototype, base.prototype);
  Object.setPrototypeOf(Class, Transform);
  return Class;
}

let made;
function zlibBase(Transform) {
  if (made !== undefined) return made;
  const prototype = Object.create(Transform.prototype);
  made = {
    prototype,
    init(settings, options) {
      Transform.call(this, { autoDestroy: true, ...options });
      this.bytesWritten = 0;
      hide(this, "_settings", settings);
      hide(this, "_segments", []);
      hide(this, "_chunks", []);
      hide(this, "_given", 0);
      hide(this, "_waits", 0);
      hide(this, "_next", 65536);
    },
  };
  Object.assign(prototype, {
    _transform(chunk, encoding, callback) {
      const bytes = bytesOf(chunk);
      this.bytesWritten += bytes.length;
      this._chunks.push(bytes);
      const { flush } = this._settings;
      if (flush !== 0) return this._emit(flushOf(this._settings, flush), callback);
      // What is unpacked is given out before the end as well, each time that
      // twice as much has come.
      this._waits += bytes.length;
      if (!this._settings.compresses && this._waits >= this._next) {
        this._next = Math.max(this._next, this.bytesWritten);
        this._waits = 0;
        return this._emit(2, callback);
      }
      callback();
    },
    _flush(callback) {
      this._emit(flushOf(this._settings, this._settings.finishFlush), callback);
    },
    // Gives out what came of the input so far and was not given yet.
    _emit(flush, callback) {
      const settings = this._settings;
      try {
        const bytes = Buffer.concat(this._chunks);
        let all;
        if (settings.compresses) {
          this._segments.push(bytes, flush);
          this._chunks = [];
          all = run(settings, this._segments);
        } else {
          this._chunks = [bytes];
          // In between, the end may be still to come.
          const ends = flush === 4 && !settings.partial;
          all = run({ ...settings, partial: !ends }, this._chunks);
        }
        const size = Math.max(settings.chunkSize, 65536);
        for (let at = this._given; at < all.length; at += size) this.push(all.subarray(at, at + size));
        this._given = Math.max(this._given, all.length);
      } catch (error) {
        return callback(error);
      }
      callback();
    },
    flush(kind, callback) {
      if (typeof kind === "function" || (kind === undefined && callback === undefined)) {
        callback = kind;
        kind = this._settings.format === "brotli" ? 1 : 3;
      }
      if (this.writableFinished) {
        if (callback) process.nextTick(callback);
      } else if (this.writableEnded) {
        if (callback) this.once("end", callback);
      } else {
        // After what was written before it.
        const emit = () => this._emit(flushOf(this._settings, kind), (error) => (error ? this.destroy(error) : callback?.()));
        if (this.writableLength === 0) emit();
        else this.write(Buffer.alloc(0), emit);
      }
    },
    close(callback) {
      if (callback) require("stream").finished(this, () => callback());
      this.destroy();
    },
    params(level, strategy, callback) {
      checked({ level }, "level", -1, 9, -1);
      checked({ strategy }, "strategy", 0, 4, 0);
      // Only what has not begun can change.
      if (this._segments.length === 0) this._settings.level = level;
      if (callback) process.nextTick(callback, null);
    },
    reset() {
      this._segments = [];
      this._chunks = [];
      this._given = 0;
      this._waits = 0;
      this._next = 65536;
    },
  });
  return made;
}
const hide = (object, name, value) => Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });

// ---- The module.

for (const [name, [verb]] of Object.entries(KINDS)) {
  Object.defineProperty(exports, name, {
    configurable: true, enumerable: true,
    get() {
      const Class = makeClass(name);
      Object.defineProperty(exports, name, { value: Class, writable: true, configurable: true, enumerable: true });
      return Class;
    },
  });
  exports[`create${name}`] = (options) => new exports[name](options);
  exports[`${verb}Sync`] = { [`${verb}Sync`]: (input, options) => once(name, input, options) }[`${verb}Sync`];
  exports[verb] = { [verb](input, options, callback) {
    if (typeof options === "function") {
      callback = options;
      options = undefined;
    }
    validateFunction(callback, "callback");
    const settings = settingsOf(name, options), bytes = bytesOf(input);
    process.nextTick(() => {
      let made;
      try {
        made = run(settings, [bytes, flushOf(settings, settings.finishFlush)]);
        if (settings.info) made = { buffer: made, engine: new exports[name](options) };
      } catch (error) {
        return callback(error);
      }
      callback(null, made);
    });
  } }[verb];
}
Object.assign(exports, {
  crc32(data, value = 0) {
    if (typeof data !== "string" && !ArrayBuffer.isView(data)) throw invalidType("data", ["Buffer", "TypedArray", "DataView", "string"], data);
    return native("zlib.crc32", bytesOf(data), value);
  },
  constants: Object.freeze(constants),
  codes: Object.freeze(codes),
});
for (const name of Object.keys(constants)) {
  if (name.startsWith("Z_") || name.startsWith("ZLIB")) {
    Object.defineProperty(exports, name, { enumerable: false, value: constants[name] });
  }
}
