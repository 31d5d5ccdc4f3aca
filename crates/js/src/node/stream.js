// Node's streams.

const base = require("_stream_base");
const { Duplex, Transform, PassThrough, duplexPair } = require("_stream_duplex");
const Readable = require("_stream_readable");
const Writable = require("_stream_writable");
const ends = require("_stream_ends");
require("_stream_operators");

const { Stream } = base;
const isErrored = (stream) => Boolean(stream && (stream.readableErrored ?? stream.writableErrored ?? stream.errored
  ?? stream._readableState?.errored ?? stream._writableState?.errored));

Object.assign(Stream, {
  Stream, Readable, Writable, Duplex, Transform, PassThrough, duplexPair,
  finished: ends.eos,
  pipeline: ends.pipeline,
  compose: ends.compose,
  addAbortSignal: ends.addAbortSignal,
  promises: ends.promises,
  getDefaultHighWaterMark: base.getDefaultHighWaterMark,
  setDefaultHighWaterMark: base.setDefaultHighWaterMark,
  destroy: base.destroyer,
  isReadable: (stream) => (stream?.readable === undefined || !base.is.node(stream) && !base.is.web(stream)
    ? null
    : Boolean(base.is.readable(stream) && stream.readable && !base.is.readableEnded(stream))),
  isWritable: (stream) => (stream?.writable === undefined || !base.is.node(stream)
    ? null
    : Boolean(base.is.writable(stream) && stream.writable && !base.is.writableEnded(stream))),
  isErrored,
  isDestroyed: (stream) => (base.is.node(stream)
    ? Boolean(stream.destroyed || stream._writableState?.destroyed || stream._readableState?.destroyed)
    : null),
  isDisturbed: (stream) => Boolean(stream && (stream[Symbol.for("nodejs.stream.disturbed")]
    ?? (stream.readableDidRead || stream.readableAborted))),
  _isArrayBufferView: ArrayBuffer.isView,
  _isUint8Array: (value) => value instanceof Uint8Array,
  _uint8ArrayToBuffer: (bytes) => require("buffer").Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});
for (const [method, promise] of [[ends.eos, ends.promises.finished], [ends.pipeline, ends.promises.pipeline]]) {
  Object.defineProperty(method, Symbol.for("nodejs.util.promisify.custom"), { value: promise, configurable: true });
}

module.exports = Stream;
