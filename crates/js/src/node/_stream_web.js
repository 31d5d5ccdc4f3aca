// Between Node's streams and the web's.

const errors = require("_errors");
const base = require("_stream_base");
const { closedOf, ReadableStream, WritableStream } = require("_web_streams");
const { Buffer } = require("buffer");

const ends = () => require("_stream_ends");
const premature = () => new errors.AbortError();

function readableFromWeb(stream, options = {}) {
  if (!(stream instanceof ReadableStream)) throw errors.invalidType("readableStream", "ReadableStream", stream);
  const Readable = require("_stream_readable");
  const reader = stream.getReader();
  let closed = false;
  const readable = new Readable({
    ...options,
    read() {
      reader.read().then(
        ({ value, done }) => readable.push(done ? null : typedBytes(value)),
        (error) => base.destroyer(readable, error));
    },
    destroy(error, callback) {
      const finish = () => callback(error);
      if (closed) finish();
      else reader.cancel(error).then(finish, finish);
    },
  });
  reader.closed.then(() => { closed = true; }, (error) => {
    closed = true;
    base.destroyer(readable, error);
  });
  return readable;
}
const typedBytes = (value) => (value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value);

function readableToWeb(readable, options = {}) {
  if (!base.is.readable(readable)) throw errors.invalidType("streamReadable", "stream.Readable", readable);
  const objectMode = readable.readableObjectMode;
  let canceled = false;
  readable.pause();
  return new ReadableStream({
    start(controller) {
      readable.on("data", (chunk) => {
        controller.enqueue(Buffer.isBuffer(chunk) && !objectMode ? new Uint8Array(chunk) : chunk);
        if (controller.desiredSize <= 0) readable.pause();
      });
      readable.pause();
      ends().eos(readable, { writable: false }, (error) => {
        if (canceled) return;
        if (error) controller.error(error.code === "ERR_STREAM_PREMATURE_CLOSE" ? premature() : error);
        else controller.close();
      });
    },
    pull() { readable.resume(); },
    cancel(reason) {
      canceled = true;
      base.destroyer(readable, reason);
    },
  }, options.strategy ?? (objectMode
    ? { highWaterMark: readable.readableHighWaterMark }
    : { highWaterMark: readable.readableHighWaterMark, size: (chunk) => chunk.byteLength ?? chunk.length ?? 1 }));
}

function writableFromWeb(stream, options = {}) {
  if (!(stream instanceof WritableStream)) throw errors.invalidType("writableStream", "WritableStream", stream);
  const Writable = require("_stream_writable");
  const writer = stream.getWriter();
  let closed = false;
  const writable = new Writable({
    ...options,
    write(chunk, encoding, callback) {
      writer.ready.then(() => writer.write(chunk)).then(() => callback(), callback);
    },
    final(callback) {
      writer.close().then(() => {
        closed = true;
        callback();
      }, callback);
    },
    destroy(error, callback) {
      const finish = () => callback(error);
      if (closed) finish();
      else (error ? writer.abort(error) : writer.close()).then(finish, finish);
    },
  });
  writer.closed.then(() => {
    closed = true;
    if (!writable.writableEnded) base.destroyer(writable, errors.coded(Error, "ERR_STREAM_PREMATURE_CLOSE", "Premature close"));
  }, (error) => {
    closed = true;
    base.destroyer(writable, error);
  });
  return writable;
}

function writableToWeb(writable) {
  if (!base.is.writable(writable)) throw errors.invalidType("streamWritable", "stream.Writable", writable);
  let ended = false;
  return new WritableStream({
    start(controller) {
      ends().eos(writable, { readable: false }, (error) => {
        if (!ended) controller.error(error ?? premature());
      });
    },
    write(chunk) {
      if (writable.write(chunk)) return undefined;
      return new Promise((resolve, reject) => {
        writable.once("drain", resolve);
        writable.once("error", reject);
      });
    },
    close() {
      ended = true;
      return new Promise((resolve, reject) => {
        ends().eos(writable, { readable: false }, (error) => (error ? reject(error) : resolve()));
        writable.end();
      });
    },
    abort(reason) {
      ended = true;
      base.destroyer(writable, reason);
    },
  }, { highWaterMark: writable.writableHighWaterMark, size: writable.writableObjectMode ? undefined : (chunk) => chunk?.byteLength ?? chunk?.length ?? 1 });
}

function duplexFromWeb(pair, options = {}) {
  const { Duplex } = require("_stream_duplex");
  const readable = readableFromWeb(pair.readable, options);
  const writable = writableFromWeb(pair.writable, options);
  return Duplex.from({ readable, writable });
}

function duplexToWeb(duplex) {
  return { readable: readableToWeb(duplex), writable: writableToWeb(duplex) };
}

async function pumpToWeb(iterable, stream, done, { end }) {
  const target = stream instanceof WritableStream ? stream : stream.writable;
  const writer = target.getWriter();
  try {
    for await (const chunk of iterable) {
      await writer.ready;
      writer.write(chunk).catch(() => {});
    }
    await writer.ready;
    if (end) await writer.close();
    done();
  } catch (error) {
    try {
      await writer.abort(error);
      done(error);
    } catch (late) {
      done(late);
    }
  }
}

Object.assign(exports, {
  readableFromWeb, readableToWeb, writableFromWeb, writableToWeb, duplexFromWeb, duplexToWeb, pumpToWeb,
  closedOf: (stream) => closedOf(stream.readable ?? stream),
});
