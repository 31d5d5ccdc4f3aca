// Streams that are written.

const base = require("_stream_base");
const errors = require("_errors");
const process = require("process");
const { Buffer } = require("buffer");
const EventEmitter = require("events");

const { Stream, errorOrDestroy } = base;
const FINISHED = Symbol("finished");
const nothing = () => {};

class WritableState {
  constructor(options, stream, isDuplex) {
    this.objectMode = Boolean(options?.objectMode || (isDuplex && options?.writableObjectMode));
    this.highWaterMark = options
      ? base.highWaterMark(this.objectMode, options, "writableHighWaterMark", isDuplex)
      : base.getDefaultHighWaterMark(false);
    this.finalCalled = false;
    this.needDrain = false;
    this.ending = false;
    this.ended = false;
    this.finished = false;
    this.destroyed = false;
    this.decodeStrings = options?.decodeStrings !== false;
    this.defaultEncoding = options?.defaultEncoding || "utf8";
    this.length = 0;
    this.writing = false;
    this.corked = 0;
    // Inside of `_write`, where its callback must not run at once.
    this.sync = true;
    this.bufferProcessing = false;
    this.onwrite = (error) => onWritten(stream, error);
    this.writecb = null;
    this.writelen = 0;
    this.afterWrites = null;
    // What waits: from `first` on.
    this.buffered = [];
    this.first = 0;
    this.pendingcb = 0;
    this.constructed = true;
    this.prefinished = false;
    this.errorEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
    this.errored = null;
    this.closed = false;
    this.closeEmitted = false;
    this[FINISHED] = [];
  }
  getBuffer() { return this.buffered.slice(this.first); }
  get bufferedRequestCount() { return this.buffered.length - this.first; }
}

function Writable(options) {
  const isDuplex = this instanceof require("_stream_duplex").Duplex;
  if (!isDuplex && !Function.prototype[Symbol.hasInstance].call(Writable, this)) return new Writable(options);
  this._writableState = new WritableState(options, this, isDuplex);
  if (options) {
    if (typeof options.write === "function") this._write = options.write;
    if (typeof options.writev === "function") this._writev = options.writev;
    if (typeof options.destroy === "function") this._destroy = options.destroy;
    if (typeof options.final === "function") this._final = options.final;
    if (typeof options.construct === "function") this._construct = options.construct;
    if (options.signal) require("_stream_ends").addAbortSignal(options.signal, this);
  }
  Stream.call(this, options);
  base.construct(this, () => startWaiting(this));
}
Object.setPrototypeOf(Writable.prototype, Stream.prototype);
Object.setPrototypeOf(Writable, Stream);
Writable.WritableState = WritableState;

function startWaiting(stream) {
  if (!stream._writableState.writing) writeWaiting(stream);
  finishMaybe(stream);
}

// Duplex streams are writable, though they do not inherit from here.
Object.defineProperty(Writable, Symbol.hasInstance, {
  value(object) {
    if (Function.prototype[Symbol.hasInstance].call(this, object)) return true;
    return this === Writable && object?._writableState instanceof WritableState;
  },
});

Writable.prototype.pipe = function () {
  errorOrDestroy(this, errors.coded(Error, "ERR_STREAM_CANNOT_PIPE", "Cannot pipe, not readable"));
};

const destroyedError = (name) => errors.coded(Error, "ERR_STREAM_DESTROYED", `Cannot call ${name} after a stream was destroyed`);

function write(stream, chunk, encoding, callback) {
  const state = stream._writableState;
  if (typeof encoding === "function") {
    callback = encoding;
    encoding = state.defaultEncoding;
  } else {
    if (!encoding) encoding = state.defaultEncoding;
    else if (encoding !== "buffer" && !Buffer.isEncoding(encoding)) {
      throw errors.unknownEncoding(encoding);
    }
    if (typeof callback !== "function") callback = nothing;
  }
  if (chunk === null) throw errors.coded(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
  if (!state.objectMode) {
    if (typeof chunk === "string") {
      if (state.decodeStrings) {
        chunk = Buffer.from(chunk, encoding);
        encoding = "buffer";
      }
    } else if (chunk instanceof Buffer) {
      encoding = "buffer";
    } else if (ArrayBuffer.isView(chunk)) {
      chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      encoding = "buffer";
    } else {
      throw errors.invalidType("chunk", ["string", "Buffer", "TypedArray", "DataView"], chunk);
    }
  }
  let error;
  if (state.ending) error = errors.coded(Error, "ERR_STREAM_WRITE_AFTER_END", "write after end");
  else if (state.destroyed) error = destroyedError("write");
  if (error) {
    process.nextTick(callback, error);
    errorOrDestroy(stream, error, true);
    return error;
  }
  state.pendingcb++;
  const size = state.objectMode ? 1 : chunk.length;
  state.length += size;
  // Asked before the write, which may drain it.
  const room = state.length < state.highWaterMark;
  if (!room) state.needDrain = true;
  if (state.writing || state.corked || state.errored || !state.constructed) {
    state.buffered.push({ chunk, encoding, callback });
  } else {
    start(stream, state, false, size, chunk, encoding, callback);
  }
  return room && !state.errored && !state.destroyed;
}

// One `_write` or `_writev`.
function start(stream, state, many, size, chunk, encoding, callback) {
  state.writelen = size;
  state.writecb = callback;
  state.writing = true;
  state.sync = true;
  if (state.destroyed) state.onwrite(destroyedError("write"));
  else if (many) stream._writev(chunk, state.onwrite);
  else stream._write(chunk, encoding, state.onwrite);
  state.sync = false;
}

function onWritten(stream, error) {
  const state = stream._writableState;
  const { sync, writecb: callback, writelen: size } = state;
  if (typeof callback !== "function") {
    errorOrDestroy(stream, errors.coded(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
    return;
  }
  state.writing = false;
  state.writecb = null;
  state.length -= size;
  state.writelen = 0;
  if (error) {
    state.errored ??= error;
    if (stream._readableState) stream._readableState.errored ??= error;
    const tell = () => {
      --state.pendingcb;
      callback(error);
      failWaiting(state);
      errorOrDestroy(stream, error);
    };
    if (sync) process.nextTick(tell);
    else tell();
    return;
  }
  if (state.buffered.length > state.first) writeWaiting(stream);
  if (!sync) {
    afterWrite(stream, state, [callback]);
  } else if (state.afterWrites === null) {
    const callbacks = (state.afterWrites = [callback]);
    process.nextTick(() => {
      state.afterWrites = null;
      afterWrite(stream, state, callbacks);
    });
  } else {
    state.afterWrites.push(callback);
  }
}

function afterWrite(stream, state, callbacks) {
  const drains = !state.ending && !stream.destroyed && state.length === 0 && state.needDrain;
  if (drains) {
    state.needDrain = false;
    stream.emit("drain");
  }
  for (const callback of callbacks) {
    state.pendingcb--;
    callback(null);
  }
  if (state.destroyed) failWaiting(state);
  finishMaybe(stream);
}

function failWaiting(state) {
  if (state.writing) return;
  const waiting = state.getBuffer();
  state.buffered = [];
  state.first = 0;
  for (const { chunk, callback } of waiting) {
    state.length -= state.objectMode ? 1 : chunk.length;
    callback(state.errored ?? destroyedError("write"));
  }
  for (const callback of state[FINISHED].splice(0)) callback(state.errored ?? destroyedError("end"));
}

function writeWaiting(stream) {
  const state = stream._writableState;
  if (state.corked || state.bufferProcessing || state.destroyed || !state.constructed) return;
  const count = state.bufferedRequestCount;
  if (count === 0) return;
  state.bufferProcessing = true;
  if (count > 1 && stream._writev) {
    state.pendingcb -= count - 1;
    const chunks = state.getBuffer();
    chunks.allBuffers = chunks.every(({ encoding }) => encoding === "buffer");
    const size = state.length;
    state.buffered = [];
    state.first = 0;
    const callback = (error) => {
      for (const each of chunks) each.callback(error);
    };
    start(stream, state, true, size, chunks, "", callback);
  } else {
    do {
      const { chunk, encoding, callback } = state.buffered[state.first];
      state.buffered[state.first++] = undefined;
      start(stream, state, false, state.objectMode ? 1 : chunk.length, chunk, encoding, callback);
    } while (state.first < state.buffered.length && !state.writing);
    if (state.first >= state.buffered.length) {
      state.buffered = [];
      state.first = 0;
    } else if (state.first > 256) {
      state.buffered.splice(0, state.first);
      state.first = 0;
    }
  }
  state.bufferProcessing = false;
}

Writable.prototype.write = function (chunk, encoding, callback) {
  return write(this, chunk, encoding, callback) === true;
};
Writable.prototype._write = function (chunk, encoding, callback) {
  if (!this._writev) throw errors.coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _write() method is not implemented");
  this._writev([{ chunk, encoding }], callback);
};
Writable.prototype._writev = null;

Writable.prototype.cork = function () { this._writableState.corked++; };
Writable.prototype.uncork = function () {
  const state = this._writableState;
  if (state.corked === 0) return;
  state.corked--;
  if (!state.writing) writeWaiting(this);
};

Writable.prototype.setDefaultEncoding = function (encoding) {
  const name = typeof encoding === "string" ? encoding.toLowerCase() : encoding;
  if (!Buffer.isEncoding(name)) throw errors.unknownEncoding(encoding);
  this._writableState.defaultEncoding = name;
  return this;
};

// ---- The end.

Writable.prototype.end = function (chunk, encoding, callback) {
  const state = this._writableState;
  if (typeof chunk === "function") {
    callback = chunk;
    chunk = null;
    encoding = null;
  } else if (typeof encoding === "function") {
    callback = encoding;
    encoding = null;
  }
  let error;
  if (chunk !== null && chunk !== undefined) {
    const result = write(this, chunk, encoding);
    if (result instanceof Error) error = result;
  }
  if (state.corked) {
    state.corked = 1;
    this.uncork();
  }
  if (!error) {
    if (!state.errored && !state.ending) {
      state.ending = true;
      finishMaybe(this, true);
      state.ended = true;
    } else if (state.finished) {
      error = errors.coded(Error, "ERR_STREAM_ALREADY_FINISHED", "Cannot call end after a stream was finished");
    } else if (state.destroyed) {
      error = destroyedError("end");
    }
  }
  if (typeof callback === "function") {
    if (error) process.nextTick(callback, error);
    else if (state.finished) process.nextTick(callback);
    else if (state.errored) process.nextTick(callback, state.errored);
    else state[FINISHED].push(callback);
  }
  return this;
};

const mayFinish = (state) => state.ending && !state.destroyed && state.constructed && state.length === 0 && !state.errored
  && state.buffered.length === 0 && !state.finished && !state.writing && !state.errorEmitted && !state.closeEmitted;

function final(stream, state) {
  let called = false;
  const onFinal = (error) => {
    if (called) {
      errorOrDestroy(stream, error ?? errors.coded(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
      return;
    }
    called = true;
    state.pendingcb--;
    if (error) {
      for (const callback of state[FINISHED].splice(0)) callback(error);
      errorOrDestroy(stream, error, state.sync);
    } else if (mayFinish(state)) {
      state.prefinished = true;
      stream.emit("prefinish");
      state.pendingcb++;
      process.nextTick(finish, stream, state);
    }
  };
  state.sync = true;
  state.pendingcb++;
  try {
    stream._final(onFinal);
  } catch (error) {
    onFinal(error);
  }
  state.sync = false;
}

function finishMaybe(stream, soon) {
  const state = stream._writableState;
  if (!mayFinish(state)) return;
  if (!state.prefinished && !state.finalCalled) {
    if (typeof stream._final === "function" && !state.destroyed) {
      state.finalCalled = true;
      final(stream, state);
    } else {
      state.prefinished = true;
      stream.emit("prefinish");
    }
  }
  if (state.pendingcb !== 0 || !mayFinish(state)) return;
  state.pendingcb++;
  if (soon) {
    process.nextTick(() => {
      if (mayFinish(state)) finish(stream, state);
      else state.pendingcb--;
    });
  } else {
    finish(stream, state);
  }
}

function finish(stream, state) {
  state.pendingcb--;
  state.finished = true;
  for (const callback of state[FINISHED].splice(0)) callback();
  stream.emit("finish");
  if (!state.autoDestroy) return;
  const other = stream._readableState;
  if (!other || (other.autoDestroy && (other.endEmitted || other.readable === false))) stream.destroy();
}

Writable.prototype.destroy = function (error, callback) {
  const state = this._writableState;
  if (!state.destroyed && (state.first < state.buffered.length || state[FINISHED].length > 0)) {
    process.nextTick(failWaiting, state);
  }
  base.destroy.call(this, error, callback);
  return this;
};
Writable.prototype._undestroy = base.undestroy;
Writable.prototype._destroy = function (error, callback) { callback(error); };
Writable.prototype[EventEmitter.captureRejectionSymbol] = function (error) { this.destroy(error); };

// ---- What can be asked.

const state = (key, other) => ({ get() { return this._writableState ? this._writableState[key] : other; } });
const getters = {
  closed: state("closed", false),
  errored: state("errored", null),
  destroyed: {
    get() { return this._writableState ? this._writableState.destroyed : false; },
    set(value) {
      if (this._writableState) this._writableState.destroyed = value;
    },
  },
  writable: {
    get() {
      const w = this._writableState;
      return Boolean(w && w.writable !== false && !w.destroyed && !w.errored && !w.ending && !w.ended);
    },
    set(value) {
      if (this._writableState) this._writableState.writable = Boolean(value);
    },
  },
  writableFinished: state("finished", false),
  writableObjectMode: state("objectMode", false),
  writableBuffer: { get() { return this._writableState?.getBuffer(); } },
  writableEnded: state("ending", false),
  writableNeedDrain: {
    get() {
      const w = this._writableState;
      return w ? !w.destroyed && !w.ending && w.needDrain : false;
    },
  },
  writableHighWaterMark: state("highWaterMark"),
  writableCorked: state("corked", 0),
  writableLength: state("length"),
  writableAborted: {
    get() {
      const w = this._writableState;
      return Boolean(w.writable !== false && (w.destroyed || w.errored) && !w.finished);
    },
  },
};
for (const [name, descriptor] of Object.entries(getters)) {
  Object.defineProperty(Writable.prototype, name, { configurable: true, ...descriptor });
}

Writable.fromWeb = (stream, options) => require("_stream_web").writableFromWeb(stream, options);
Writable.toWeb = (stream) => require("_stream_web").writableToWeb(stream);
Object.assign(exports, { Writable });
module.exports = Writable;
