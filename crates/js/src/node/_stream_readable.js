// Streams that are read.

const base = require("_stream_base");
const errors = require("_errors");
const process = require("process");
const { Buffer } = require("buffer");
const EventEmitter = require("events");

const { Stream, errorOrDestroy, prependListener } = base;
const PAUSED = Symbol("paused");
const HIGHEST_MARK = 1 << 30;

class ReadableState {
  constructor(options, stream, isDuplex) {
    this.objectMode = Boolean(options?.objectMode || (isDuplex && options?.readableObjectMode));
    this.highWaterMark = options
      ? base.highWaterMark(this.objectMode, options, "readableHighWaterMark", isDuplex)
      : base.getDefaultHighWaterMark(false);
    // Chunks from `first` on; those before it were read.
    this.buffer = [];
    this.first = 0;
    this.length = 0;
    this.pipes = [];
    this.flowing = null;
    this.ended = false;
    this.endEmitted = false;
    this.reading = false;
    this.constructed = true;
    // Inside of `_read`, where what is pushed must not be emitted at once.
    this.sync = true;
    this.needReadable = false;
    this.emittedReadable = false;
    this.readableListening = false;
    this.resumeScheduled = false;
    this[PAUSED] = null;
    this.errorEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
    this.destroyed = false;
    this.errored = null;
    this.closed = false;
    this.closeEmitted = false;
    this.defaultEncoding = options?.defaultEncoding || "utf8";
    // Targets of pipes that asked to wait.
    this.awaitDrainWriters = new Set();
    this.readingMore = false;
    this.dataEmitted = false;
    this.decoder = null;
    this.encoding = null;
    if (options?.encoding) setDecoder(this, options.encoding);
  }
  get paused() { return this[PAUSED] !== false && this[PAUSED] !== null; }
  get pipesCount() { return this.pipes.length; }
}

function setDecoder(state, encoding) {
  const { StringDecoder } = require("string_decoder");
  state.decoder = new StringDecoder(encoding);
  state.encoding = state.decoder.encoding;
}

function Readable(options) {
  if (!(this instanceof Readable)) return new Readable(options);
  this._readableState = new ReadableState(options, this, this instanceof require("_stream_duplex").Duplex);
  if (options) {
    if (typeof options.read === "function") this._read = options.read;
    if (typeof options.destroy === "function") this._destroy = options.destroy;
    if (typeof options.construct === "function") this._construct = options.construct;
    if (options.signal) require("_stream_ends").addAbortSignal(options.signal, this);
  }
  Stream.call(this, options);
  base.construct(this, () => {
    if (this._readableState.needReadable) readMore(this);
  });
}
Object.setPrototypeOf(Readable.prototype, Stream.prototype);
Object.setPrototypeOf(Readable, Stream);
Readable.ReadableState = ReadableState;

Readable.prototype.destroy = base.destroy;
Readable.prototype._undestroy = base.undestroy;
Readable.prototype._destroy = function (error, callback) { callback(error); };
Readable.prototype[EventEmitter.captureRejectionSymbol] = function (error) { this.destroy(error); };

// ---- In.

Readable.prototype.push = function (chunk, encoding) { return put(this, chunk, encoding, false); };
Readable.prototype.unshift = function (chunk, encoding) { return put(this, chunk, encoding, true); };

function put(stream, chunk, encoding, toFront) {
  const state = stream._readableState;
  if (!state.objectMode) {
    if (typeof chunk === "string") {
      encoding = encoding || state.defaultEncoding;
      if (state.encoding !== encoding) {
        chunk = Buffer.from(chunk, encoding);
        if (toFront && state.encoding) chunk = chunk.toString(state.encoding);
        else encoding = "";
      }
    } else if (chunk instanceof Buffer) {
      encoding = "";
    } else if (ArrayBuffer.isView(chunk)) {
      chunk = bufferOf(chunk);
      encoding = "";
    } else if (chunk !== null && chunk !== undefined) {
      errorOrDestroy(stream, errors.invalidType("chunk", ["string", "Buffer", "TypedArray", "DataView"], chunk));
      return false;
    }
  }
  if (chunk === null) {
    state.reading = false;
    endOfInput(stream, state);
    return false;
  }
  if (state.objectMode || chunk?.length > 0) {
    if (toFront) {
      if (state.endEmitted) errorOrDestroy(stream, errors.coded(Error, "ERR_STREAM_UNSHIFT_AFTER_END_EVENT", "stream.unshift() after end event"));
      else if (state.destroyed || state.errored) return false;
      else keep(stream, state, chunk, true);
    } else if (state.ended) {
      errorOrDestroy(stream, errors.coded(Error, "ERR_STREAM_PUSH_AFTER_EOF", "stream.push() after EOF"));
    } else if (state.destroyed || state.errored) {
      return false;
    } else {
      state.reading = false;
      if (state.decoder && !encoding) {
        chunk = state.decoder.write(chunk);
        if (state.objectMode || chunk.length !== 0) keep(stream, state, chunk, false);
        else readMore(stream);
      } else {
        keep(stream, state, chunk, false);
      }
    }
  } else if (!toFront) {
    state.reading = false;
    readMore(stream);
  }
  return !state.ended && (state.length < state.highWaterMark || state.length === 0);
}

const bufferOf = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const sizeOf = (state, chunk) => (state.objectMode ? 1 : chunk.length);

function keep(stream, state, chunk, toFront) {
  if (state.flowing && state.length === 0 && !state.sync && stream.listenerCount("data") > 0) {
    state.awaitDrainWriters.clear();
    state.dataEmitted = true;
    stream.emit("data", chunk);
  } else {
    state.length += sizeOf(state, chunk);
    if (!toFront) state.buffer.push(chunk);
    else if (state.first > 0) state.buffer[--state.first] = chunk;
    else state.buffer.unshift(chunk);
    if (state.needReadable) emitReadable(stream);
  }
  readMore(stream);
}

function endOfInput(stream, state) {
  if (state.ended) return;
  const rest = state.decoder?.end();
  if (rest?.length) {
    state.buffer.push(rest);
    state.length += sizeOf(state, rest);
  }
  state.ended = true;
  if (state.sync) {
    emitReadable(stream);
  } else {
    state.needReadable = false;
    state.emittedReadable = true;
    tellReadable(stream);
  }
}

function emitReadable(stream) {
  const state = stream._readableState;
  state.needReadable = false;
  if (state.emittedReadable) return;
  state.emittedReadable = true;
  process.nextTick(tellReadable, stream);
}

function tellReadable(stream) {
  const state = stream._readableState;
  if (!state.destroyed && !state.errored && (state.length > 0 || state.ended)) {
    stream.emit("readable");
    state.emittedReadable = false;
  }
  state.needReadable = !state.flowing && !state.ended && state.length <= state.highWaterMark;
  flow(stream);
}

// Fills the buffer, in a later tick.
function readMore(stream) {
  const state = stream._readableState;
  if (state.readingMore || !state.constructed) return;
  state.readingMore = true;
  process.nextTick(() => {
    while (!state.reading && !state.ended && (state.length < state.highWaterMark || (state.flowing && state.length === 0))) {
      const before = state.length;
      stream.read(0);
      if (state.length === before) break;
    }
    state.readingMore = false;
  });
}

// ---- Out.

Readable.prototype.isPaused = function () {
  return this._readableState[PAUSED] === true || this._readableState.flowing === false;
};

Readable.prototype.setEncoding = function (encoding) {
  const state = this._readableState;
  setDecoder(state, encoding);
  let text = "";
  for (const chunk of state.buffer.slice(state.first)) text += state.decoder.write(chunk);
  state.buffer = text === "" ? [] : [text];
  state.first = 0;
  state.length = text.length;
  return this;
};

function wanted(state, n) {
  if (n <= 0 || (state.length === 0 && state.ended)) return 0;
  if (state.objectMode) return 1;
  if (Number.isNaN(n)) return state.flowing && state.length > 0 ? state.buffer[state.first].length : state.length;
  if (n <= state.length) return n;
  return state.ended ? state.length : 0;
}

// `n` of what is buffered, as one chunk.
function take(state, n) {
  if (state.length === 0) return null;
  let taken;
  if (state.objectMode) {
    taken = state.buffer[state.first];
    state.buffer[state.first++] = undefined;
  } else if (!n || n >= state.length) {
    const rest = state.first === 0 ? state.buffer : state.buffer.slice(state.first);
    if (state.decoder) taken = rest.join("");
    else taken = rest.length === 1 ? rest[0] : Buffer.concat(rest, state.length);
    state.buffer = [];
    state.first = 0;
    return taken;
  } else {
    const parts = [];
    for (let left = n; left > 0;) {
      const chunk = state.buffer[state.first];
      if (chunk.length <= left) {
        parts.push(chunk);
        left -= chunk.length;
        state.buffer[state.first++] = undefined;
      } else {
        parts.push(chunk.slice(0, left));
        state.buffer[state.first] = chunk.slice(left);
        left = 0;
      }
    }
    if (state.decoder) taken = parts.join("");
    else taken = parts.length === 1 ? parts[0] : Buffer.concat(parts, n);
  }
  if (state.first > 512) {
    state.buffer = state.buffer.slice(state.first);
    state.first = 0;
  }
  return taken;
}

function nextPowerOfTwo(n) {
  if (n > HIGHEST_MARK) throw errors.outOfRange("size", "<= 1GiB", n);
  return 2 ** Math.ceil(Math.log2(n));
}

Readable.prototype.read = function (n) {
  n = n === undefined ? NaN : Number.isInteger(n) ? n : Number.parseInt(n, 10);
  const state = this._readableState;
  const asked = n;
  if (n > state.highWaterMark) state.highWaterMark = nextPowerOfTwo(n);
  if (n !== 0) state.emittedReadable = false;
  const enough = state.highWaterMark === 0 ? state.length > 0 : state.length >= state.highWaterMark;
  if (n === 0 && state.needReadable && (enough || state.ended)) {
    if (state.length === 0 && state.ended) endReadable(this);
    else emitReadable(this);
    return null;
  }
  n = wanted(state, n);
  if (n === 0 && state.ended) {
    if (state.length === 0) endReadable(this);
    return null;
  }
  const calls = state.needReadable || state.length === 0 || state.length - n < state.highWaterMark;
  if (calls && !(state.ended || state.reading || state.destroyed || state.errored || !state.constructed)) {
    state.reading = true;
    state.sync = true;
    if (state.length === 0) state.needReadable = true;
    try {
      this._read(state.highWaterMark);
    } catch (error) {
      errorOrDestroy(this, error);
    }
    state.sync = false;
    // What was pushed at once may be read at once.
    if (!state.reading) n = wanted(state, asked);
  }
  const chunk = n > 0 ? take(state, n) : null;
  if (chunk === null) {
    state.needReadable = state.length <= state.highWaterMark;
    n = 0;
  } else {
    state.length -= n;
    state.awaitDrainWriters.clear();
  }
  if (state.length === 0) {
    if (!state.ended) state.needReadable = true;
    if (asked !== n && state.ended) endReadable(this);
  }
  if (chunk !== null && !state.errorEmitted && !state.closeEmitted) {
    state.dataEmitted = true;
    this.emit("data", chunk);
  }
  return chunk;
};

Readable.prototype._read = function () {
  throw errors.coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _read() method is not implemented");
};

function endReadable(stream) {
  const state = stream._readableState;
  if (state.endEmitted) return;
  state.ended = true;
  process.nextTick(() => {
    if (state.errored || state.closeEmitted || state.endEmitted || state.length !== 0) return;
    state.endEmitted = true;
    stream.emit("end");
    if (stream.writable && stream.allowHalfOpen === false) {
      process.nextTick(() => {
        if (stream.writable && !stream.writableEnded && !stream.destroyed) stream.end();
      });
    } else if (state.autoDestroy) {
      const other = stream._writableState;
      if (!other || (other.autoDestroy && (other.finished || other.writable === false))) stream.destroy();
    }
  });
}

// ---- Pipes.

Readable.prototype.pipe = function (target, options) {
  const source = this;
  const state = this._readableState;
  state.pipes.push(target);
  const ends = options?.end !== false && !target._isStdio;
  const onEnd = () => target.end();
  const onSourceEnd = ends ? onEnd : () => source.unpipe(target);
  let cleaned = false;
  let onDrain;
  const pause = () => {
    if (!cleaned) {
      state.awaitDrainWriters.add(target);
      source.pause();
    }
    if (onDrain === undefined) {
      onDrain = () => {
        state.awaitDrainWriters.delete(target);
        if (state.awaitDrainWriters.size === 0 && source.listenerCount("data") > 0) source.resume();
      };
      target.on("drain", onDrain);
    }
  };
  const onData = (chunk) => {
    if (target.write(chunk) === false) pause();
  };
  const onUnpipe = (which, info) => {
    if (which !== source || info?.hasUnpiped !== false) return;
    info.hasUnpiped = true;
    clean();
  };
  const onError = (error) => {
    source.unpipe(target);
    target.removeListener("error", onError);
    if (EventEmitter.listenerCount(target, "error") === 0) {
      const end = target._writableState ?? target._readableState;
      if (end && !end.errorEmitted) errorOrDestroy(target, error);
      else target.emit("error", error);
    }
  };
  const onClose = () => {
    target.removeListener("finish", onFinish);
    source.unpipe(target);
  };
  const onFinish = () => {
    target.removeListener("close", onClose);
    source.unpipe(target);
  };
  const clean = () => {
    target.removeListener("close", onClose);
    target.removeListener("finish", onFinish);
    if (onDrain) target.removeListener("drain", onDrain);
    target.removeListener("error", onError);
    target.removeListener("unpipe", onUnpipe);
    source.removeListener("end", onSourceEnd);
    source.removeListener("data", onData);
    cleaned = true;
    // Nobody else would tell the source that this target is ready.
    if (onDrain && state.awaitDrainWriters.has(target) && (!target._writableState || target._writableState.needDrain)) onDrain();
  };
  if (state.endEmitted) process.nextTick(onSourceEnd);
  else source.once("end", onSourceEnd);
  target.on("unpipe", onUnpipe);
  source.on("data", onData);
  prependListener(target, "error", onError);
  target.once("close", onClose);
  target.once("finish", onFinish);
  target.emit("pipe", source);
  if (target.writableNeedDrain === true) pause();
  else if (!state.flowing) source.resume();
  return target;
};

Readable.prototype.unpipe = function (target) {
  const state = this._readableState;
  if (state.pipes.length === 0) return this;
  const gone = target ? state.pipes.filter((pipe) => pipe === target).slice(0, 1) : state.pipes;
  if (gone.length === 0) return this;
  if (target) {
    state.pipes.splice(state.pipes.indexOf(target), 1);
    if (state.pipes.length === 0) this.pause();
  } else {
    state.pipes = [];
    this.pause();
  }
  for (const pipe of gone) pipe.emit("unpipe", this, { hasUnpiped: false });
  return this;
};

// ---- Listeners decide how a stream is read.

Readable.prototype.on = function (name, listener) {
  const result = Stream.prototype.on.call(this, name, listener);
  const state = this._readableState;
  if (name === "data") {
    state.readableListening = this.listenerCount("readable") > 0;
    if (state.flowing !== false) this.resume();
  } else if (name === "readable" && !state.endEmitted && !state.readableListening) {
    state.readableListening = state.needReadable = true;
    state.flowing = false;
    state.emittedReadable = false;
    if (state.length > 0) emitReadable(this);
    else if (!state.reading) process.nextTick(() => this.read(0));
  }
  return result;
};
Readable.prototype.addListener = Readable.prototype.on;

Readable.prototype.removeListener = function (name, listener) {
  const result = Stream.prototype.removeListener.call(this, name, listener);
  if (name === "readable") process.nextTick(updateListening, this);
  return result;
};
Readable.prototype.off = Readable.prototype.removeListener;

Readable.prototype.removeAllListeners = function (...names) {
  const result = Stream.prototype.removeAllListeners.apply(this, names);
  if (names.length === 0 || names[0] === "readable") process.nextTick(updateListening, this);
  return result;
};

function updateListening(stream) {
  const state = stream._readableState;
  state.readableListening = stream.listenerCount("readable") > 0;
  if (state.resumeScheduled && state[PAUSED] === false) state.flowing = true;
  else if (stream.listenerCount("data") > 0) stream.resume();
  else if (!state.readableListening) state.flowing = null;
}

Readable.prototype.resume = function () {
  const state = this._readableState;
  if (!state.flowing) {
    state.flowing = !state.readableListening;
    if (!state.resumeScheduled) {
      state.resumeScheduled = true;
      process.nextTick(() => {
        if (!state.reading) this.read(0);
        state.resumeScheduled = false;
        this.emit("resume");
        flow(this);
        if (state.flowing && !state.reading) this.read(0);
      });
    }
  }
  state[PAUSED] = false;
  return this;
};

Readable.prototype.pause = function () {
  if (this._readableState.flowing !== false) {
    this._readableState.flowing = false;
    this.emit("pause");
  }
  this._readableState[PAUSED] = true;
  return this;
};

function flow(stream) {
  const state = stream._readableState;
  while (state.flowing && stream.read() !== null);
}

// An old stream, as a Readable.
Readable.prototype.wrap = function (old) {
  let paused = false;
  old.on("data", (chunk) => {
    if (!this.push(chunk) && old.pause) {
      paused = true;
      old.pause();
    }
  });
  old.on("end", () => this.push(null));
  old.on("error", (error) => errorOrDestroy(this, error));
  old.on("close", () => this.destroy());
  old.on("destroy", () => this.destroy());
  this._read = () => {
    if (paused && old.resume) {
      paused = false;
      old.resume();
    }
  };
  for (const key of Object.keys(old)) {
    if (this[key] === undefined && typeof old[key] === "function") this[key] = old[key].bind(old);
  }
  return this;
};

// ---- Iteration.

Readable.prototype[Symbol.asyncIterator] = function () { return iterate(this); };
Readable.prototype.iterator = function (options) {
  if (options !== undefined) errors.validateObject(options, "options");
  return iterate(this, options);
};

Readable.prototype[Symbol.asyncDispose] = function () {
  let reason;
  if (!this.destroyed) {
    reason = this.readableEnded ? null : new errors.AbortError();
    this.destroy(reason);
  }
  return new Promise((resolve, reject) => {
    require("_stream_ends").eos(this, (error) => {
      if (error && error !== reason) reject(error);
      else resolve(null);
    });
  });
};

function iterate(stream, options) {
  if (typeof stream.read !== "function") stream = Readable.wrap(stream, { objectMode: true });
  const iterator = chunks(stream, options);
  iterator.stream = stream;
  return iterator;
}

async function* chunks(stream, options) {
  let wake = () => {};
  stream.on("readable", () => wake());
  let failure;
  const clean = require("_stream_ends").eos(stream, { writable: false }, (error) => {
    failure = error ?? null;
    wake();
  });
  try {
    for (;;) {
      const chunk = stream.destroyed ? null : stream.read();
      if (chunk !== null) yield chunk;
      else if (failure) throw failure;
      else if (failure === null) return;
      else await new Promise((resolve) => { wake = resolve; });
    }
  } catch (thrown) {
    failure = thrown;
    throw thrown;
  } finally {
    if ((failure || options?.destroyOnReturn !== false) && (failure === undefined || stream._readableState.autoDestroy)) {
      base.destroyer(stream, failure ?? null);
    } else {
      clean();
    }
  }
}

// ---- What can be asked.

const getters = {
  readable: {
    get() {
      const state = this._readableState;
      return Boolean(state && state.readable !== false && !state.destroyed && !state.errorEmitted && !state.endEmitted);
    },
    set(value) {
      if (this._readableState) this._readableState.readable = Boolean(value);
    },
  },
  readableDidRead: { get() { return this._readableState.dataEmitted; } },
  readableAborted: {
    get() {
      const state = this._readableState;
      return Boolean(state.readable !== false && (state.destroyed || state.errored) && !state.endEmitted);
    },
  },
  readableHighWaterMark: { get() { return this._readableState.highWaterMark; } },
  readableBuffer: { get() { return this._readableState?.buffer.slice(this._readableState.first); } },
  readableFlowing: {
    get() { return this._readableState.flowing; },
    set(value) {
      if (this._readableState) this._readableState.flowing = value;
    },
  },
  readableLength: { get() { return this._readableState.length; } },
  readableObjectMode: { get() { return this._readableState ? this._readableState.objectMode : false; } },
  readableEncoding: { get() { return this._readableState ? this._readableState.encoding : null; } },
  errored: { get() { return this._readableState ? this._readableState.errored : null; } },
  closed: { get() { return this._readableState ? this._readableState.closed : false; } },
  destroyed: {
    get() { return this._readableState ? this._readableState.destroyed : false; },
    set(value) {
      if (this._readableState) this._readableState.destroyed = value;
    },
  },
  readableEnded: { get() { return this._readableState ? this._readableState.endEmitted : false; } },
};
for (const [name, descriptor] of Object.entries(getters)) {
  Object.defineProperty(Readable.prototype, name, { configurable: true, ...descriptor });
}

Readable.wrap = (source, options) => new Readable({
  objectMode: source.readableObjectMode ?? source.objectMode ?? true,
  ...options,
  destroy(error, callback) {
    base.destroyer(source, error);
    callback(error);
  },
}).wrap(source);
Readable.from = (iterable, options) => require("_stream_from").from(Readable, iterable, options);
Readable.fromWeb = (stream, options) => require("_stream_web").readableFromWeb(stream, options);
Readable.toWeb = (stream, options) => require("_stream_web").readableToWeb(stream, options);
Readable._fromList = (n, state) => take(state, n);

module.exports = Readable;
