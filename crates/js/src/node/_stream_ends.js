// When streams end: `finished`, `pipeline`, `compose`, and signals that abort.

const base = require("_stream_base");
const errors = require("_errors");
const process = require("process");
const { is, destroyer } = base;

const prematureClose = () => errors.coded(Error, "ERR_STREAM_PREMATURE_CLOSE", "Premature close");
const isRequest = (stream) => is.request(stream);

// Calls back once when a stream has ended, failed or closed; answers a
// function that stops listening.
function eos(stream, options, callback) {
  if (arguments.length === 2) {
    callback = options;
    options = {};
  } else if (options === null || options === undefined) {
    options = {};
  } else {
    errors.validateObject(options, "options");
  }
  errors.validateFunction(callback, "callback");
  errors.validateAbortSignal(options.signal, "options.signal");
  if (is.web(stream)) return webEnd(stream, options, callback);
  if (!is.node(stream)) throw errors.invalidType("stream", ["ReadableStream", "WritableStream", "Stream"], stream);

  let called = false;
  const done = (error) => {
    if (called) return;
    called = true;
    if (error === undefined) callback.call(stream);
    else callback.call(stream, error);
  };
  const reads = options.readable ?? is.readable(stream);
  const writes = options.writable ?? is.writable(stream);
  const w = stream._writableState;
  const r = stream._readableState;
  let closes = willEmitClose(stream) && is.readable(stream) === reads && is.writable(stream) === writes;
  let written = writableDone(stream, false);
  let read = readableDone(stream, false);

  const onLegacyFinish = () => {
    if (!stream.writable) onFinish();
  };
  const onFinish = () => {
    written = true;
    if (stream.destroyed) closes = false;
    if (closes && (!stream.readable || reads)) return;
    if (!reads || read) done();
  };
  const onEnd = () => {
    read = true;
    if (stream.destroyed) closes = false;
    if (closes && (!stream.writable || writes)) return;
    if (!writes || written) done();
  };
  const onError = (error) => done(error);
  let closed = Boolean(w?.closed || r?.closed || stream.closed === true && !w && !r);
  const onClose = () => {
    closed = true;
    const errored = (w?.errored ?? r?.errored) || undefined;
    if (errored && typeof errored !== "boolean") return done(errored);
    if (reads && !read && is.readable(stream) && !readableDone(stream, false)) return done(prematureClose());
    if (writes && !written && !writableDone(stream, false)) return done(prematureClose());
    return done();
  };
  const onRequest = () => stream.req.on("finish", onFinish);

  const listeners = [];
  const listen = (emitter, name, listener) => {
    emitter.on(name, listener);
    listeners.push([emitter, name, listener]);
  };
  if (isRequest(stream)) {
    listen(stream, "complete", onFinish);
    if (!closes) listen(stream, "abort", onClose);
    if (stream.req) onRequest();
    else listen(stream, "request", onRequest);
  } else if (writes && !w) {
    listen(stream, "end", onLegacyFinish);
    listen(stream, "close", onLegacyFinish);
  }
  if (!closes && typeof stream.aborted === "boolean") listen(stream, "aborted", onClose);
  listen(stream, "end", onEnd);
  listen(stream, "finish", onFinish);
  if (options.error !== false) listen(stream, "error", onError);
  listen(stream, "close", onClose);

  if (closed) {
    process.nextTick(onClose);
  } else if (w?.errorEmitted || r?.errorEmitted) {
    if (!closes) process.nextTick(onClose);
  } else if (!reads && (!closes || stream.readable) && (written || stream.writable === false)) {
    process.nextTick(onClose);
  } else if (!writes && (!closes || stream.writable) && (read || stream.readable === false)) {
    process.nextTick(onClose);
  } else if (r && stream.req && stream.aborted) {
    process.nextTick(onClose);
  }

  const clean = () => {
    called = true;
    for (const [emitter, name, listener] of listeners) emitter.removeListener(name, listener);
    if (stream.req) stream.req.removeListener("finish", onFinish);
  };
  if (options.signal && !closed) {
    const abort = () => {
      const before = callback;
      clean();
      before.call(stream, new errors.AbortError(undefined, { cause: options.signal.reason }));
    };
    if (options.signal.aborted) {
      process.nextTick(abort);
    } else {
      const original = callback;
      options.signal.addEventListener("abort", abort, { once: true });
      callback = function (...args) {
        options.signal.removeEventListener("abort", abort);
        original.apply(this, args);
      };
    }
  }
  return clean;
}

function webEnd(stream, options, callback) {
  let cleaned = false;
  const done = (error) => {
    if (!cleaned) process.nextTick(() => callback.call(stream, error));
  };
  require("_stream_web").closedOf(stream).then(() => done(), done);
  if (options.signal) {
    const abort = () => done(new errors.AbortError(undefined, { cause: options.signal.reason }));
    if (options.signal.aborted) abort();
    else options.signal.addEventListener("abort", abort, { once: true });
  }
  return () => { cleaned = true; };
}

function willEmitClose(stream) {
  const state = stream._writableState ?? stream._readableState;
  if (!state) return isRequest(stream) && stream._closed !== undefined;
  return Boolean(state.autoDestroy && state.emitClose && state.closed === false);
}
function readableDone(stream, strict) {
  const r = stream._readableState;
  if (!is.readable(stream)) return null;
  if (!r) return null;
  if (r.errored) return false;
  return Boolean(r.endEmitted || (!strict && r.ended === true && r.length === 0));
}
function writableDone(stream, strict) {
  const w = stream._writableState;
  if (stream.writableFinished === true) return true;
  if (!w || w.errored) return w ? false : null;
  return Boolean(w.finished || (!strict && w.ended === true && w.length === 0));
}

function addAbortSignal(signal, stream) {
  if (signal === undefined || signal === null) throw errors.invalidType("signal", "AbortSignal", signal);
  errors.validateAbortSignal(signal, "signal");
  if (!is.node(stream) && !is.web(stream)) {
    throw errors.invalidType("stream", ["ReadableStream", "WritableStream", "Stream"], stream);
  }
  const abort = () => {
    const error = new errors.AbortError(undefined, { cause: signal.reason });
    if (is.node(stream)) stream.destroy(error);
    else (stream.cancel ?? stream.abort).call(stream, error);
  };
  if (signal.aborted) {
    abort();
  } else {
    signal.addEventListener("abort", abort, { once: true });
    eos(stream, () => signal.removeEventListener("abort", abort));
  }
  return stream;
}

// ---- Pipelines: streams, iterables and functions, one behind the other.

function popCallback(streams) {
  errors.validateFunction(streams.at(-1), "streams[stream.length - 1]");
  return streams.pop();
}

function pipeline(...streams) {
  const callback = popCallback(streams);
  return run(streams, callback);
}

function watch(stream, reading, writing) {
  let finished = false;
  stream.on("close", () => { finished = true; });
  const clean = eos(stream, { readable: reading, writable: writing }, (error) => { finished = !error; });
  return {
    destroy(error) {
      if (finished) return;
      finished = true;
      destroyer(stream, error || errors.coded(Error, "ERR_STREAM_DESTROYED", "Cannot call pipe after a stream was destroyed"));
    },
    clean,
  };
}

// What an iterable gives, written to a stream.
async function pump(iterable, writable, done, { end }) {
  let failure;
  let wake = null;
  const resume = (error) => {
    if (error) failure = error;
    wake?.();
    wake = null;
  };
  const wait = () => new Promise((resolve, reject) => {
    if (failure) reject(failure);
    else wake = () => (failure ? reject(failure) : resolve());
  });
  const onDrain = () => resume();
  writable.on("drain", onDrain);
  const clean = eos(writable, { readable: false }, resume);
  try {
    if (writable.writableNeedDrain) await wait();
    for await (const chunk of iterable) {
      if (!writable.write(chunk)) await wait();
    }
    if (end) {
      writable.end();
      await wait();
    }
    done();
  } catch (error) {
    done(failure !== error ? failure ?? error : error);
  } finally {
    clean();
    writable.removeListener("drain", onDrain);
  }
}

function run(streams, callback, options) {
  if (streams.length === 1 && Array.isArray(streams[0])) streams = streams[0];
  if (streams.length < 2) throw missingStreams();
  const { AbortController } = require("_event_target");
  const { Duplex, PassThrough } = require("_stream_duplex");
  const controller = new AbortController();
  const signal = controller.signal;
  const outer = options?.signal;
  errors.validateAbortSignal(outer, "options.signal");
  const lasts = [];
  const destroys = [];
  let failure;
  let value;
  let left = 0;
  let settled = false;
  const abort = () => finish(new errors.AbortError(undefined, { cause: outer?.reason }));
  const finish = (error, final) => {
    if (error && (!failure || failure.code === "ERR_STREAM_PREMATURE_CLOSE")) failure = error;
    if (!failure && !final) return;
    while (destroys.length > 0) destroys.shift()(failure);
    outer?.removeEventListener("abort", abort);
    controller.abort();
    if (!final || settled) return;
    settled = true;
    if (!failure) for (const clean of lasts) clean();
    process.nextTick(callback, failure, value);
  };
  const step = (error) => finish(error, --left === 0);
  if (outer?.aborted) process.nextTick(abort);
  else outer?.addEventListener("abort", abort, { once: true });

  let current;
  for (const [index, stream] of streams.entries()) {
    const reading = index < streams.length - 1;
    const writing = index > 0;
    const end = reading || options?.end !== false;
    const isLast = index === streams.length - 1;
    if (is.node(stream)) {
      if (end) {
        const watched = watch(stream, reading, writing);
        destroys.push(watched.destroy);
        if (is.readable(stream) && isLast) lasts.push(watched.clean);
      }
      const onError = (error) => {
        if (error && error.name !== "AbortError" && error.code !== "ERR_STREAM_PREMATURE_CLOSE") finish(error);
      };
      stream.on("error", onError);
      if (is.readable(stream) && isLast) lasts.push(() => stream.removeListener("error", onError));
    }
    if (index === 0) {
      current = typeof stream === "function" ? stream({ signal }) : stream;
      if (typeof stream === "function" && !is.iterable(current)) {
        throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected Iterable, AsyncIterable or Stream to be returned from the "source" function but got ${typeof current}.`);
      }
      if (!is.iterable(current) && !is.node(current) && !is.web(current)) {
        current = Duplex.from(current);
      }
    } else if (typeof stream === "function") {
      const source = is.transformStream(current) ? current.readable : current;
      current = stream(is.iterable(source) ? source : require("_stream_readable").wrap(source), { signal });
      if (!isLast) {
        if (!is.iterable(current)) {
          throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected AsyncIterable to be returned from the "transform[${index - 1}]" function but got ${typeof current}.`);
        }
        continue;
      }
      // The last function's value, as a stream.
      const through = new PassThrough({ objectMode: true });
      if (typeof current?.then === "function") {
        left++;
        current.then((result) => {
          value = result;
          if (result !== null && result !== undefined) through.write(result);
          if (end) through.end();
          process.nextTick(step);
        }, (error) => {
          through.destroy(error);
          process.nextTick(step, error);
        });
      } else if (is.iterable(current)) {
        left++;
        pump(current, through, step, { end });
      } else {
        throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected AsyncIterable or Promise to be returned from the "destination" function but got ${typeof current}.`);
      }
      current = through;
      const watched = watch(current, false, true);
      destroys.push(watched.destroy);
      lasts.push(watched.clean);
    } else if (is.node(stream)) {
      if (is.node(current) && is.readable(current)) {
        left += 2;
        const clean = pipe(current, stream, step, { end });
        if (isLast && is.readable(stream)) lasts.push(clean);
      } else if (is.iterable(current) || is.readableStream(current) || is.transformStream(current)) {
        left++;
        pump(is.transformStream(current) ? current.readable : current, stream, step, { end });
      } else {
        throw errors.invalidType("val", ["Readable", "Iterable", "AsyncIterable", "ReadableStream", "TransformStream"], current);
      }
      current = stream;
    } else if (is.web(stream)) {
      left++;
      const source = is.transformStream(current) ? current.readable : current;
      const iterable = is.iterable(source) ? source : require("_stream_readable").wrap(source);
      require("_stream_web").pumpToWeb(iterable, stream, step, { end });
      current = stream;
    } else {
      current = Duplex.from(stream);
    }
  }
  if (outer?.aborted || signal.aborted) process.nextTick(abort);
  return current;
}

function pipe(source, target, step, { end }) {
  let ended = false;
  target.on("close", () => {
    if (!ended) step(prematureClose());
  });
  source.pipe(target, { end: false });
  if (end) {
    const finish = () => {
      ended = true;
      target.end();
    };
    if (is.readableEnded(source)) process.nextTick(finish);
    else source.once("end", finish);
  } else {
    step();
  }
  eos(source, { readable: true, writable: false }, (error) => {
    const r = source._readableState;
    if (error && error.code === "ERR_STREAM_PREMATURE_CLOSE" && r?.ended && !r.errored && !r.errorEmitted) {
      // Some streams close before the one behind them has read all.
      source.once("end", step).once("error", step);
    } else {
      step(error);
    }
  });
  return eos(target, { readable: false, writable: true }, step);
}

const missingStreams = () => errors.missingArguments("streams");

// Several streams as one: written at its first, read at its last.
function compose(...streams) {
  const { Duplex } = require("_stream_duplex");
  if (streams.length === 0) throw missingStreams();
  if (streams.length === 1) return Duplex.from(streams[0]);
  const originals = [...streams];
  if (typeof streams[0] === "function") streams[0] = Duplex.from(streams[0]);
  if (typeof streams.at(-1) === "function") streams[streams.length - 1] = Duplex.from(streams.at(-1));
  for (const [index, stream] of streams.entries()) {
    if (!is.node(stream)) continue;
    if (index < streams.length - 1 && !is.readable(stream)) {
      throw errors.invalidValue(`streams[${index}]`, originals[index], "must be readable");
    }
    if (index > 0 && !is.writable(stream)) {
      throw errors.invalidValue(`streams[${index}]`, originals[index], "must be writable");
    }
  }
  let onDrain;
  let onFinish;
  let onReadable;
  let onClose;
  const head = streams[0];
  let finished = false;
  const tail = pipeline(...streams, (error) => {
    const callback = onClose;
    onClose = undefined;
    finished = true;
    if (callback) callback(error);
    else if (error) whole.destroy(error);
    else if (!reads && !writes) whole.destroy();
  });
  const writes = is.writable(head);
  const reads = is.readable(tail);
  const whole = new Duplex({
    writableObjectMode: Boolean(head?.writableObjectMode),
    readableObjectMode: Boolean(tail?.readableObjectMode),
    writable: writes,
    readable: reads,
  });
  if (writes) {
    whole._write = (chunk, encoding, callback) => {
      if (head.write(chunk, encoding)) callback();
      else onDrain = callback;
    };
    whole._final = (callback) => {
      head.end();
      onFinish = callback;
    };
    head.on("drain", () => {
      const callback = onDrain;
      onDrain = undefined;
      callback?.();
    });
    eos(tail, () => {
      const callback = onFinish;
      onFinish = undefined;
      callback?.();
    });
  }
  if (reads) {
    tail.on("readable", () => {
      const callback = onReadable;
      onReadable = undefined;
      callback?.();
    });
    tail.on("end", () => whole.push(null));
    whole._read = () => {
      for (;;) {
        const chunk = tail.read();
        if (chunk === null) {
          onReadable = whole._read;
          return;
        }
        if (!whole.push(chunk)) return;
      }
    };
  }
  whole._destroy = (error, callback) => {
    if (!error && !finished) error = new errors.AbortError();
    onReadable = undefined;
    onDrain = undefined;
    onFinish = undefined;
    if (finished) callback(error);
    else onClose = callback;
    destroyer(tail, error);
  };
  return whole;
}

// ---- As promises.

function finishedPromise(stream, options) {
  if (options?.cleanup) errors.validateBoolean(options.cleanup, "cleanup");
  return new Promise((resolve, reject) => {
    const clean = eos(stream, options ?? {}, (error) => {
      if (options?.cleanup) clean();
      if (error) reject(error);
      else resolve();
    });
  });
}

function pipelinePromise(...streams) {
  return new Promise((resolve, reject) => {
    let options;
    const last = streams.at(-1);
    if (last && typeof last === "object" && !is.node(last) && !is.iterable(last) && !is.web(last)) options = streams.pop();
    run(streams, (error, value) => {
      if (error) reject(error);
      else resolve(value);
    }, options);
  });
}

Object.assign(exports, { eos, addAbortSignal, pipeline, compose, promises: { finished: finishedPromise, pipeline: pipelinePromise } });
