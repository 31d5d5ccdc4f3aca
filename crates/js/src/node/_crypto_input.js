// What the parts of `crypto` share: bytes in and out, streams that are made
// only when they are used, callbacks.

const { Buffer } = require("buffer");
const { coded, invalidType, validateFunction } = require("_errors");

const later = globalThis.setImmediate;

const BYTES = ["ArrayBuffer", "Buffer", "TypedArray", "DataView"];
const VIEWS = ["Buffer", "TypedArray", "DataView"];

// A view's bytes, without a copy.
function view(value) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

const isBytes = (value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer;

// The bytes of a string or of a view.
function bytes(value, name, encoding) {
  if (typeof value === "string") return Buffer.from(value, encoding === "buffer" ? "utf8" : encoding);
  if (isBytes(value)) return view(value);
  throw invalidType(name, ["string", ...BYTES], value);
}

// Data of a stream: bytes of their own, since they are looked at later.
function data(value, encoding) {
  if (typeof value === "string") return Buffer.from(value, encoding === "buffer" ? "utf8" : encoding);
  if (ArrayBuffer.isView(value)) return new Uint8Array(view(value));
  throw invalidType("data", ["string", ...VIEWS], value);
}

const buffer = (made) => Buffer.from(made.buffer, made.byteOffset, made.byteLength);

// Bytes, or a text of them where an encoding is named.
function output(made, encoding) {
  const result = buffer(made);
  return encoding && encoding !== "buffer" && Buffer.isEncoding(encoding) ? result.toString(encoding) : result;
}

function joined(chunks) {
  if (chunks.length === 1) return chunks[0];
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

// Runs what may take long and gives its result to a callback.
function deferred(callback, run) {
  validateFunction(callback, "callback");
  later(() => {
    let result;
    try {
      result = run();
    } catch (error) {
      callback(error);
      return;
    }
    callback(null, result);
  });
}

// ---- Streams. `stream` is large, and most use only the methods of the class:
// it is loaded when a method of streams is first asked for.

const STREAM_METHODS = [
  "on", "once", "off", "addListener", "removeListener", "removeAllListeners", "prependListener", "emit",
  "listeners", "listenerCount", "setMaxListeners", "pipe", "unpipe", "write", "end", "read", "destroy", "pause",
  "resume", "isPaused", "setEncoding", "cork", "uncork", "push", "setDefaultEncoding", "compose", "toArray",
  "forEach", "map", "filter", Symbol.asyncIterator,
];

function lazyStream(Class, kind) {
  const { prototype } = Class;
  const linked = () => {
    const Stream = require("stream")[kind];
    for (const name of STREAM_METHODS) delete prototype[name];
    for (const name of ["_readableState", "_writableState"]) {
      Object.defineProperty(prototype, name, {
        configurable: true,
        get() {
          // Own from here on, so that what makes the stream does not come back here.
          this._readableState = undefined;
          this._writableState = undefined;
          Stream.call(this, this._options);
          return this[name];
        },
        set(value) { Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true }); },
      });
    }
    Object.setPrototypeOf(prototype, Stream.prototype);
  };
  for (const name of STREAM_METHODS) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      get() {
        linked();
        return this[name];
      },
    });
  }
}

const invalidState = (operation) => coded(Error, "ERR_CRYPTO_INVALID_STATE", operation
  ? `Invalid state for operation ${operation}` : "Invalid state");

// Classes of Node that can be called without `new`.
function callable(Class) {
  return new Proxy(Class, { apply: (target, _, args) => new target(...args) });
}

Object.assign(exports, {
  BYTES, VIEWS, view, isBytes, bytes, data, buffer, output, joined, deferred, lazyStream, invalidState, callable,
});
