// What every stream has: the legacy base with `pipe`, how streams are made,
// destroyed and fail, and how much they buffer.

const EventEmitter = require("events");
const errors = require("_errors");
const process = require("process");

const CONSTRUCT = Symbol("construct");
const DESTROY = Symbol("destroy");

let byteMark = 16 * 1024;
let objectMark = 16;

function Stream(options) {
  EventEmitter.call(this, options);
}
Object.setPrototypeOf(Stream.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Stream, EventEmitter);

// The pipe of streams before there were Readable and Writable.
Stream.prototype.pipe = function (target, options) {
  const source = this;
  const onData = (chunk) => {
    if (target.writable && target.write(chunk) === false) source.pause?.();
  };
  const onDrain = () => {
    if (source.readable) source.resume?.();
  };
  let ended = false;
  const onEnd = () => {
    if (ended) return;
    ended = true;
    target.end();
  };
  const onClose = () => {
    if (ended) return;
    ended = true;
    if (typeof target.destroy === "function") target.destroy();
  };
  const onError = function (error) {
    clean();
    if (EventEmitter.listenerCount(this, "error") === 0) this.emit("error", error);
  };
  const clean = () => {
    source.removeListener("data", onData);
    target.removeListener("drain", onDrain);
    source.removeListener("end", onEnd);
    source.removeListener("close", onClose);
    source.removeListener("error", onError);
    target.removeListener("error", onError);
    for (const [emitter, name] of [[source, "end"], [source, "close"], [target, "close"]]) emitter.removeListener(name, clean);
  };
  source.on("data", onData);
  target.on("drain", onDrain);
  if (!target._isStdio && options?.end !== false) {
    source.on("end", onEnd);
    source.on("close", onClose);
  }
  prependListener(source, "error", onError);
  prependListener(target, "error", onError);
  for (const [emitter, name] of [[source, "end"], [source, "close"], [target, "close"]]) emitter.on(name, clean);
  target.emit("pipe", source);
  return target;
};

function prependListener(emitter, name, listener) {
  if (typeof emitter.prependListener === "function") emitter.prependListener(name, listener);
  else emitter.on(name, listener);
}

// ---- How much is buffered.

function highWaterMark(objectMode, options, key, isDuplex) {
  let mark = options?.highWaterMark;
  let name = "highWaterMark";
  if (mark === undefined || mark === null) {
    if (isDuplex) {
      mark = options?.[key];
      name = key;
    }
  }
  if (mark === undefined || mark === null) return objectMode ? objectMark : byteMark;
  if (!Number.isInteger(mark) || mark < 0) throw errors.invalidValue(`options.${name}`, mark);
  return Math.floor(mark);
}

function setDefaultHighWaterMark(objectMode, value) {
  errors.validateInteger(value, "value", 0);
  if (objectMode) objectMark = value;
  else byteMark = value;
}

// ---- The end of a stream. Each side has its state; a duplex has two.

const both = (stream) => [stream._readableState, stream._writableState].filter((state) => state);
const has = (stream, key) => Boolean(stream._readableState?.[key] || stream._writableState?.[key]);

function note(stream, error) {
  for (const state of both(stream)) state.errored ??= error;
}

function emitError(stream, error) {
  if (has(stream, "errorEmitted")) return;
  for (const state of both(stream)) state.errorEmitted = true;
  stream.emit("error", error);
}

function emitClose(stream) {
  for (const state of both(stream)) state.closeEmitted = true;
  if (has(stream, "emitClose")) stream.emit("close");
}

function emitErrorAndClose(stream, error) {
  emitError(stream, error);
  emitClose(stream);
}

function destroy(error, callback) {
  if (has(this, "destroyed")) {
    if (typeof callback === "function") callback();
    return this;
  }
  if (error) note(this, error);
  for (const state of both(this)) state.destroyed = true;
  const main = this._writableState ?? this._readableState;
  if (main !== undefined && !main.constructed) {
    this.once(DESTROY, (late) => finish(this, error ?? late, callback));
  } else {
    finish(this, error, callback);
  }
  return this;
}

function finish(stream, error, callback) {
  let called = false;
  const onDestroyed = (late) => {
    if (called) return;
    called = true;
    if (late) note(stream, late);
    for (const state of both(stream)) state.closed = true;
    if (typeof callback === "function") callback(late);
    if (late) process.nextTick(emitErrorAndClose, stream, late);
    else process.nextTick(emitClose, stream);
  };
  try {
    stream._destroy(error || null, onDestroyed);
  } catch (thrown) {
    onDestroyed(thrown);
  }
}

function undestroy() {
  const readable = this._readableState;
  if (readable) {
    Object.assign(readable, {
      constructed: true, closed: false, closeEmitted: false, destroyed: false, errored: null, errorEmitted: false,
      reading: false, ended: readable.readable === false, endEmitted: readable.readable === false,
    });
  }
  const writable = this._writableState;
  if (writable) {
    const never = writable.writable === false;
    Object.assign(writable, {
      constructed: true, destroyed: false, closed: false, closeEmitted: false, errored: null, errorEmitted: false,
      finalCalled: false, prefinished: false, ended: never, ending: never, finished: never,
    });
  }
}

// An error destroys a stream, unless it was made not to destroy itself.
function errorOrDestroy(stream, error, soon) {
  if (has(stream, "destroyed")) return;
  if (has(stream, "autoDestroy")) {
    stream.destroy(error);
  } else if (error) {
    note(stream, error);
    if (soon) process.nextTick(emitError, stream, error);
    else emitError(stream, error);
  }
}

// `_construct`, before anything is read or written.
function construct(stream, callback) {
  if (typeof stream._construct !== "function") return;
  for (const state of both(stream)) state.constructed = false;
  stream.once(CONSTRUCT, callback);
  if (stream.listenerCount(CONSTRUCT) > 1) return;
  process.nextTick(() => {
    let called = false;
    const onConstructed = (error) => {
      if (called) {
        errorOrDestroy(stream, error ?? errors.coded(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
        return;
      }
      called = true;
      for (const state of both(stream)) state.constructed = true;
      if (has(stream, "destroyed")) stream.emit(DESTROY, error);
      else if (error) errorOrDestroy(stream, error, true);
      else process.nextTick(() => stream.emit(CONSTRUCT));
    };
    try {
      stream._construct((error) => process.nextTick(onConstructed, error));
    } catch (thrown) {
      process.nextTick(onConstructed, thrown);
    }
  });
}

const isRequest = (stream) => typeof stream?.setHeader === "function" && typeof stream.abort === "function";

// Destroys anything that looks like a stream.
function destroyer(stream, error) {
  if (!stream || stream.destroyed || has(stream, "destroyed")) return;
  const reason = error || (isFinished(stream) ? undefined : new errors.AbortError());
  if (isRequest(stream)) stream.abort();
  else if (isRequest(stream.req)) stream.req.abort();
  else if (typeof stream.destroy === "function") stream.destroy(reason);
  else if (typeof stream.close === "function") stream.close();
  if (!stream.destroyed) stream[Symbol.for("nodejs.stream.destroyed")] = true;
}

// ---- What kind of stream something is.

const isReadable = (stream) => Boolean(stream && typeof stream.pipe === "function" && typeof stream.on === "function"
  && (!stream._writableState || stream._readableState?.readable !== false)
  && (!stream._writableState || stream._readableState));
const isWritable = (stream) => Boolean(stream && typeof stream.write === "function" && typeof stream.on === "function"
  && (!stream._readableState || stream._writableState?.writable !== false));
const isNodeStream = (stream) => Boolean(stream && (stream._readableState || stream._writableState
  || (typeof stream.write === "function" && typeof stream.on === "function")
  || (typeof stream.pipe === "function" && typeof stream.on === "function")));
const isReadableStream = (stream) => Boolean(stream && !isNodeStream(stream)
  && typeof stream.pipeThrough === "function" && typeof stream.getReader === "function" && typeof stream.cancel === "function");
const isWritableStream = (stream) => Boolean(stream && !isNodeStream(stream)
  && typeof stream.getWriter === "function" && typeof stream.abort === "function");
const isTransformStream = (stream) => Boolean(stream && !isNodeStream(stream)
  && isReadableStream(stream.readable) && isWritableStream(stream.writable));
const isIterable = (value) => value !== null && value !== undefined
  && (typeof value[Symbol.asyncIterator] === "function" || typeof value[Symbol.iterator] === "function");

const isReadableEnded = (stream) => stream.readableEnded ?? (stream._readableState ? stream._readableState.endEmitted : undefined);
const isWritableEnded = (stream) => stream.writableEnded ?? (stream._writableState ? stream._writableState.ended : undefined);
const isWritableFinished = (stream) => stream.writableFinished ?? (stream._writableState
  ? stream._writableState.finished || (stream._writableState.ended && stream._writableState.length === 0)
  : undefined);
function isFinished(stream) {
  if (stream.destroyed) return true;
  if (stream.readable && isReadable(stream) && !isReadableEnded(stream)) return false;
  if (stream.writable && isWritable(stream) && !isWritableEnded(stream)) return false;
  return true;
}

Object.assign(exports, {
  Stream, prependListener, highWaterMark, setDefaultHighWaterMark,
  getDefaultHighWaterMark: (objectMode) => (objectMode ? objectMark : byteMark),
  destroy, undestroy, errorOrDestroy, construct, destroyer, note,
  is: {
    readable: isReadable, writable: isWritable, node: isNodeStream, readableStream: isReadableStream,
    writableStream: isWritableStream, transformStream: isTransformStream, iterable: isIterable,
    readableEnded: isReadableEnded, writableEnded: isWritableEnded, writableFinished: isWritableFinished,
    request: isRequest,
    web: (stream) => isReadableStream(stream) || isWritableStream(stream) || isTransformStream(stream),
  },
});
