// Streams of iterables, functions, promises and pairs.

const base = require("_stream_base");
const errors = require("_errors");
const process = require("process");
const { Buffer } = require("buffer");
const { is } = base;

function from(Readable, iterable, options) {
  if (typeof iterable === "string" || iterable instanceof Buffer) {
    return new Readable({
      objectMode: true,
      ...options,
      read() {
        this.push(iterable);
        this.push(null);
      },
    });
  }
  let iterator;
  if (typeof iterable?.[Symbol.asyncIterator] === "function") iterator = iterable[Symbol.asyncIterator]();
  else if (typeof iterable?.[Symbol.iterator] === "function") iterator = iterable[Symbol.iterator]();
  else throw errors.invalidType("iterable", "Iterable", iterable);
  let reading = false;
  const stream = new Readable({ objectMode: true, highWaterMark: 1, ...options });
  stream._read = function () {
    if (reading) return;
    reading = true;
    pull();
  };
  stream._destroy = function (error, callback) {
    close(error).then(
      () => process.nextTick(callback, error),
      (late) => process.nextTick(callback, late || error));
  };
  async function close(error) {
    const hasThrow = error !== undefined && error !== null && typeof iterator.throw === "function";
    if (hasThrow) {
      const { value, done } = await iterator.throw(error);
      await value;
      if (done) return;
    }
    if (typeof iterator.return === "function") {
      const { value } = await iterator.return();
      await value;
    }
  }
  async function pull() {
    try {
      for (;;) {
        const { value, done } = await iterator.next();
        if (done) {
          stream.push(null);
          return;
        }
        const chunk = typeof value?.then === "function" ? await value : value;
        if (chunk === null) {
          reading = false;
          throw errors.coded(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
        }
        if (!stream.push(chunk)) break;
      }
      reading = false;
    } catch (error) {
      stream.destroy(error);
    }
  }
  return stream;
}

// A function of an async iterable, as a stream that it reads from.
function throughFunction(body) {
  const { AbortController } = require("_event_target");
  const controller = new AbortController();
  let give;
  const next = () => new Promise((resolve) => { give = resolve; });
  let coming = next();
  async function* input() {
    for (;;) {
      const { chunk, done, callback } = await coming;
      process.nextTick(callback);
      if (done) return;
      if (controller.signal.aborted) throw new errors.AbortError(undefined, { cause: controller.signal.reason });
      coming = next();
      yield chunk;
    }
  }
  const value = body(input(), { signal: controller.signal });
  return {
    value,
    write(chunk, _, callback) { give({ chunk, done: false, callback }); },
    final(callback) { give({ done: true, callback }); },
    destroy(error, callback) {
      controller.abort();
      callback(error);
    },
  };
}

function duplexFrom(body) {
  const { Duplex } = require("_stream_duplex");
  const Readable = require("_stream_readable");
  if (body instanceof Duplex) return body;
  if (is.node(body)) {
    if (is.readable(body) && is.writable(body)) return pair(body, body);
    if (is.readable(body)) return pair(body, undefined);
    return pair(undefined, body);
  }
  if (is.web(body)) {
    if (is.readableStream(body)) return pair(Readable.fromWeb(body), undefined);
    if (is.writableStream(body)) return pair(undefined, require("_stream_writable").fromWeb(body));
    return Duplex.fromWeb(body);
  }
  if (typeof body === "function") {
    const { value, write, final, destroy } = throughFunction(body);
    if (is.iterable(value)) return from(Duplex, value, { objectMode: true, write, final, destroy });
    if (typeof value?.then === "function") {
      let stream;
      const settled = Promise.resolve(value).then((result) => {
        if (result !== null && result !== undefined) {
          throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected nully to be returned from the "body" function but got ${typeof result}.`);
        }
      }, (error) => base.destroyer(stream, error));
      stream = new Duplex({
        objectMode: true,
        readable: false,
        write,
        final(callback) {
          final(async () => {
            try {
              await settled;
              process.nextTick(callback, null);
            } catch (error) {
              process.nextTick(callback, error);
            }
          });
        },
        destroy,
      });
      return stream;
    }
    throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected Iterable, AsyncIterable or AsyncFunction to be returned from the "body" function but got ${typeof value}.`);
  }
  if (typeof body?.arrayBuffer === "function" && typeof body.stream === "function") return duplexFrom(body.arrayBuffer());
  if (is.iterable(body)) return from(Duplex, body, { objectMode: true, writable: false });
  if (typeof body?.writable === "object" || typeof body?.readable === "object") {
    const readable = body.readable ? (is.node(body.readable) ? body.readable : duplexFrom(body.readable)) : undefined;
    const writable = body.writable ? (is.node(body.writable) ? body.writable : duplexFrom(body.writable)) : undefined;
    return pair(readable, writable);
  }
  if (typeof body?.then === "function") {
    const stream = new Duplex({ objectMode: true, writable: false, read() {} });
    Promise.resolve(body).then((value) => {
      if (value !== null && value !== undefined) stream.push(value);
      stream.push(null);
    }, (error) => base.destroyer(stream, error));
    return stream;
  }
  throw errors.invalidType("body", [
    "Blob", "ReadableStream", "WritableStream", "Stream", "Iterable", "AsyncIterable", "Function",
    "{ readable, writable } pair", "Promise",
  ], body);
}

// One stream that reads from the first and writes to the second.
function pair(readable, writable) {
  const { Duplex } = require("_stream_duplex");
  const { eos } = require("_stream_ends");
  const source = readable && typeof readable.read !== "function" ? require("_stream_readable").wrap(readable) : readable;
  let reads = Boolean(source && is.readable(source));
  let writes = Boolean(writable && is.writable(writable));
  let onDrain;
  let onFinish;
  let onReadable;
  let onClose;
  const onEnd = (error) => {
    const callback = onClose;
    onClose = undefined;
    if (callback) callback(error);
    else if (error) whole.destroy(error);
  };
  const whole = new Duplex({
    readableObjectMode: Boolean(source?.readableObjectMode),
    writableObjectMode: Boolean(writable?.writableObjectMode),
    readable: reads,
    writable: writes,
  });
  if (writes) {
    eos(writable, (error) => {
      writes = false;
      if (error) base.destroyer(source, error);
      onEnd(error);
    });
    whole._write = (chunk, encoding, callback) => {
      if (writable.write(chunk, encoding)) callback();
      else onDrain = callback;
    };
    whole._final = (callback) => {
      writable.end();
      onFinish = callback;
    };
    writable.on("drain", () => {
      const callback = onDrain;
      onDrain = undefined;
      callback?.();
    });
    writable.on("finish", () => {
      const callback = onFinish;
      onFinish = undefined;
      callback?.();
    });
  }
  if (reads) {
    eos(source, (error) => {
      reads = false;
      if (error) base.destroyer(source, error);
      onEnd(error);
    });
    source.on("readable", () => {
      const callback = onReadable;
      onReadable = undefined;
      callback?.();
    });
    source.on("end", () => whole.push(null));
    whole._read = () => {
      for (;;) {
        const chunk = source.read();
        if (chunk === null) {
          onReadable = whole._read;
          return;
        }
        if (!whole.push(chunk)) return;
      }
    };
  }
  whole._destroy = (error, callback) => {
    if (!error && onClose !== undefined) error = new errors.AbortError();
    onReadable = undefined;
    onDrain = undefined;
    onFinish = undefined;
    if (!reads && !writes) {
      callback(error);
      return;
    }
    onClose = callback;
    base.destroyer(writable, error);
    base.destroyer(source, error);
  };
  return whole;
}

Object.assign(exports, { from, duplexFrom });
