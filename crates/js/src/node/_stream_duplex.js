// Streams with two sides: Duplex, Transform, PassThrough.

const base = require("_stream_base");
const errors = require("_errors");
const process = require("process");

// Set before the two below are loaded: they ask for it when they make streams.
exports.Duplex = Duplex;
exports.Transform = Transform;
exports.PassThrough = PassThrough;
const Readable = require("_stream_readable");
const Writable = require("_stream_writable");

function Duplex(options) {
  if (!(this instanceof Duplex)) return new Duplex(options);
  Readable.call(this, options);
  Writable.call(this, options);
  this.allowHalfOpen = options?.allowHalfOpen !== false;
  if (options?.readable === false) {
    Object.assign(this._readableState, { readable: false, ended: true, endEmitted: true });
  }
  if (options?.writable === false) {
    Object.assign(this._writableState, { writable: false, ending: true, ended: true, finished: true });
  }
}
Object.setPrototypeOf(Duplex.prototype, Readable.prototype);
Object.setPrototypeOf(Duplex, Readable);
for (const key of Reflect.ownKeys(Writable.prototype)) {
  if (key in Duplex.prototype && typeof key === "string" && !key.startsWith("writable") && key !== "destroy") continue;
  Object.defineProperty(Duplex.prototype, key, Object.getOwnPropertyDescriptor(Writable.prototype, key));
}
delete Duplex.prototype.constructor;
Object.defineProperty(Duplex.prototype, "constructor", { value: Duplex, writable: true, configurable: true });
Object.defineProperty(Duplex.prototype, "destroyed", {
  configurable: true,
  get() {
    return Boolean(this._readableState?.destroyed && this._writableState?.destroyed);
  },
  set(value) {
    if (this._readableState && this._writableState) {
      this._readableState.destroyed = value;
      this._writableState.destroyed = value;
    }
  },
});
Duplex.fromWeb = (pair, options) => require("_stream_web").duplexFromWeb(pair, options);
Duplex.toWeb = (duplex) => require("_stream_web").duplexToWeb(duplex);
Duplex.from = (body) => require("_stream_from").duplexFrom(body);

const CALLBACK = Symbol("callback");

function Transform(options) {
  if (!(this instanceof Transform)) return new Transform(options);
  // A side without a buffer must not be filled through the other one.
  const readableMark = options ? base.highWaterMark(Boolean(options.objectMode || options.readableObjectMode), options, "readableHighWaterMark", true) : null;
  if (readableMark === 0) {
    options = { ...options, highWaterMark: null, readableHighWaterMark: readableMark, writableHighWaterMark: options.writableHighWaterMark || 0 };
  }
  Duplex.call(this, options);
  this._readableState.sync = false;
  this[CALLBACK] = null;
  if (options) {
    if (typeof options.transform === "function") this._transform = options.transform;
    if (typeof options.flush === "function") this._flush = options.flush;
  }
  this.on("prefinish", function () {
    if (this._final !== flushAtEnd) flushAtEnd.call(this);
  });
}
Object.setPrototypeOf(Transform.prototype, Duplex.prototype);
Object.setPrototypeOf(Transform, Duplex);

function flushAtEnd(callback) {
  if (typeof this._flush !== "function" || this.destroyed) {
    this.push(null);
    callback?.();
    return;
  }
  this._flush((error, data) => {
    if (error) {
      if (callback) callback(error);
      else this.destroy(error);
      return;
    }
    if (data !== null && data !== undefined) this.push(data);
    this.push(null);
    callback?.();
  });
}
Transform.prototype._final = flushAtEnd;

Transform.prototype._transform = function () {
  throw errors.coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _transform() method is not implemented");
};

Transform.prototype._write = function (chunk, encoding, callback) {
  const readable = this._readableState;
  const writable = this._writableState;
  const before = readable.length;
  this._transform(chunk, encoding, (error, value) => {
    if (error) {
      callback(error);
      return;
    }
    if (value !== null && value !== undefined) this.push(value);
    // Goes on when the other side has room; at the end in any case.
    if (writable.ended || before === readable.length || readable.length < readable.highWaterMark) callback();
    else this[CALLBACK] = callback;
  });
};

Transform.prototype._read = function () {
  const callback = this[CALLBACK];
  if (!callback) return;
  this[CALLBACK] = null;
  callback();
};

function PassThrough(options) {
  if (!(this instanceof PassThrough)) return new PassThrough(options);
  Transform.call(this, options);
}
Object.setPrototypeOf(PassThrough.prototype, Transform.prototype);
Object.setPrototypeOf(PassThrough, Transform);
PassThrough.prototype._transform = function (chunk, encoding, callback) { callback(null, chunk); };

// Two streams: what is written to one is read from the other.
exports.duplexPair = (options) => {
  const sides = [];
  for (const index of [0, 1]) {
    let release = null;
    sides.push(new Duplex({
      ...options,
      read() {
        const callback = release;
        release = null;
        callback?.();
      },
      write(chunk, _, callback) {
        if (chunk.length === 0) process.nextTick(callback);
        else sides[1 - index].accept(chunk, callback);
      },
      final(callback) {
        sides[1 - index].on("end", callback);
        sides[1 - index].push(null);
      },
    }));
    Object.defineProperty(sides[index], "accept", {
      value(chunk, callback) {
        this.push(chunk);
        release = callback;
      },
    });
  }
  return sides;
};
