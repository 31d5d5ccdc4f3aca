// Streams of the web: ReadableStream, WritableStream, TransformStream.

const errors = require("_errors");

const STATE = Symbol("state");
const MAKE = Symbol("make");
const hide = (target, state) => Object.defineProperty(target, STATE, { value: state });
const of = (target, name) => {
  if (target?.[STATE] === undefined) throw errors.coded(TypeError, "ERR_INVALID_THIS", `Value of "this" must be of type ${name}`);
  return target[STATE];
};
const invalidState = (text) => errors.coded(TypeError, "ERR_INVALID_STATE", `Invalid state: ${text}`);

// A promise with its ends; nobody has to look when it is rejected.
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {});
  return made;
}
const resolved = (value) => Promise.resolve(value);
const promised = async (body, self, ...args) => (body === undefined ? undefined : Reflect.apply(body, self, args));

function method(source, name) {
  const body = source?.[name];
  if (body !== undefined && typeof body !== "function") throw errors.invalidType(`source.${name}`, "Function", body);
  return body;
}

function markOf(strategy, fallback) {
  const mark = strategy?.highWaterMark ?? fallback;
  if (typeof mark !== "number" || Number.isNaN(mark) || mark < 0) {
    throw errors.coded(RangeError, "ERR_INVALID_ARG_VALUE", `The property 'strategy.highWaterMark' is invalid. Received ${mark}`);
  }
  return mark;
}
const sizeOf = (strategy) => (strategy?.size === undefined ? () => 1 : (chunk) => strategy.size(chunk));

class CountQueuingStrategy {
  #mark;
  constructor(init) {
    errors.validateObject(init, "init");
    if (init.highWaterMark === undefined) throw errors.coded(TypeError, "ERR_MISSING_OPTION", "init.highWaterMark is required");
    this.#mark = +init.highWaterMark;
  }
  get highWaterMark() { return this.#mark; }
  get size() { return () => 1; }
}
class ByteLengthQueuingStrategy {
  #mark;
  constructor(init) {
    errors.validateObject(init, "init");
    if (init.highWaterMark === undefined) throw errors.coded(TypeError, "ERR_MISSING_OPTION", "init.highWaterMark is required");
    this.#mark = +init.highWaterMark;
  }
  get highWaterMark() { return this.#mark; }
  get size() { return (chunk) => chunk.byteLength; }
}

// ---- Reading.

class ReadableStreamDefaultController {
  constructor(key, stream) {
    if (key !== MAKE) throw errors.coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    hide(this, stream);
  }
  get desiredSize() { return roomOf(of(this, "ReadableStreamDefaultController")); }
  enqueue(chunk = undefined) { enqueue(of(this, "ReadableStreamDefaultController"), chunk); }
  close() { closeWhenRead(of(this, "ReadableStreamDefaultController")); }
  error(error = undefined) { fail(of(this, "ReadableStreamDefaultController"), error); }
}
class ReadableByteStreamController extends ReadableStreamDefaultController {
  get byobRequest() { return null; }
  enqueue(chunk) {
    if (!ArrayBuffer.isView(chunk)) throw errors.invalidType("chunk", ["Buffer", "TypedArray", "DataView"], chunk);
    if (chunk.byteLength === 0) throw invalidState("chunk ArrayBuffer is zero-length or detached");
    super.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }
}

const roomOf = (s) => (s.state === "errored" ? null : s.state === "closed" ? 0 : s.mark - s.total);

function enqueue(s, chunk) {
  if (s.state !== "readable" || s.closing) throw invalidState(s.closing ? "Controller is already closed" : "Controller is already closed");
  if (s.reads.length > 0) {
    answer(s, chunk);
  } else {
    let size;
    try {
      size = s.size(chunk);
      if (typeof size !== "number" || Number.isNaN(size) || size < 0 || size === Infinity) throw errors.coded(RangeError, "ERR_INVALID_ARG_VALUE", `The argument 'size' is invalid. Received ${size}`);
    } catch (error) {
      fail(s, error);
      throw error;
    }
    s.queue.push({ chunk, size });
    s.total += size;
  }
  pull(s);
}

// Gives a chunk to who waits; into its own memory when it brought some.
function answer(s, chunk) {
  const { resolve, view } = s.reads.shift();
  if (view === undefined) {
    resolve({ value: chunk, done: false });
    return;
  }
  const { filled, rest } = fillView(view, chunk);
  if (rest !== undefined) {
    s.queue.unshift({ chunk: rest, size: rest.byteLength });
    s.total += rest.byteLength;
  }
  resolve({ value: filled, done: false });
}

function fillView(view, bytes) {
  const target = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const count = Math.min(target.length, bytes.length);
  target.set(bytes.subarray(0, count));
  const unit = view.BYTES_PER_ELEMENT ?? 1;
  const filled = new view.constructor(view.buffer, view.byteOffset, Math.floor(count / unit));
  return { filled, rest: count < bytes.length ? bytes.subarray(count) : undefined };
}

function closeWhenRead(s) {
  if (s.state !== "readable" || s.closing) throw invalidState("Controller is already closed");
  s.closing = true;
  if (s.queue.length === 0) close(s);
}

function close(s) {
  if (s.state !== "readable") return;
  s.state = "closed";
  for (const { resolve, view } of s.reads.splice(0)) {
    resolve({ value: view === undefined ? undefined : new view.constructor(view.buffer, view.byteOffset, 0), done: true });
  }
  s.closed.resolve();
}

function fail(s, error) {
  if (s.state !== "readable") return;
  s.state = "errored";
  s.error = error;
  s.queue = [];
  s.total = 0;
  for (const { reject } of s.reads.splice(0)) reject(error);
  s.closed.reject(error);
}

function pull(s) {
  if (!s.started || s.state !== "readable" || s.closing || !(s.reads.length > 0 || roomOf(s) > 0)) return;
  if (s.pulling) {
    s.again = true;
    return;
  }
  s.pulling = true;
  promised(s.pull, s.source, s.controller).then(() => {
    s.pulling = false;
    if (s.again) {
      s.again = false;
      pull(s);
    }
  }, (error) => fail(s, error));
}

function readFrom(s, view) {
  s.disturbed = true;
  if (s.state === "errored") return Promise.reject(s.error);
  if (s.queue.length > 0) {
    const { chunk, size } = s.queue.shift();
    s.total = Math.max(0, s.total - size);
    let value = chunk;
    if (view !== undefined) {
      const { filled, rest } = fillView(view, chunk);
      if (rest !== undefined) {
        s.queue.unshift({ chunk: rest, size: rest.byteLength });
        s.total += rest.byteLength;
      }
      value = filled;
    }
    if (s.closing && s.queue.length === 0) close(s);
    else pull(s);
    return resolved({ value, done: false });
  }
  if (s.state === "closed") return resolved({ value: undefined, done: true });
  const wait = deferred();
  s.reads.push({ ...wait, view });
  pull(s);
  return wait.promise;
}

async function cancelStream(s, reason) {
  s.disturbed = true;
  if (s.state === "closed") return;
  if (s.state === "errored") throw s.error;
  s.queue = [];
  s.total = 0;
  close(s);
  await promised(s.cancel, s.source, reason);
}

class ReadableStream {
  constructor(source = {}, strategy = {}) {
    if (source === null) throw errors.invalidType("source", "Object", source);
    const bytes = source.type !== undefined;
    if (bytes && `${source.type}` !== "bytes") throw errors.invalidValue("source.type", source.type);
    const s = {
      state: "readable", error: undefined, queue: [], total: 0, mark: markOf(strategy, bytes ? 0 : 1),
      size: bytes ? (chunk) => chunk.byteLength : sizeOf(strategy), reads: [], closed: deferred(), reader: undefined, source, bytes,
      pull: method(source, "pull"), cancel: method(source, "cancel"),
      started: false, pulling: false, again: false, closing: false, disturbed: false,
    };
    hide(this, s);
    s.controller = new (bytes ? ReadableByteStreamController : ReadableStreamDefaultController)(MAKE, s);
    const start = method(source, "start");
    const value = start === undefined ? undefined : Reflect.apply(start, source, [s.controller]);
    resolved(value).then(() => {
      s.started = true;
      pull(s);
    }, (error) => fail(s, error));
  }
  get locked() { return of(this, "ReadableStream").reader !== undefined; }
  async cancel(reason = undefined) {
    const s = of(this, "ReadableStream");
    if (s.reader !== undefined) throw invalidState("ReadableStream is locked");
    return cancelStream(s, reason);
  }
  getReader(options = undefined) {
    if (options?.mode === undefined) return new ReadableStreamDefaultReader(this);
    if (`${options.mode}` !== "byob") throw errors.invalidValue("options.mode", options.mode);
    return new ReadableStreamBYOBReader(this);
  }
  pipeThrough(transform, options) {
    if (!(transform?.readable instanceof ReadableStream)) throw errors.invalidType("transform.readable", "ReadableStream", transform?.readable);
    if (!(transform.writable instanceof WritableStream)) throw errors.invalidType("transform.writable", "WritableStream", transform.writable);
    this.pipeTo(transform.writable, options).catch(() => {});
    return transform.readable;
  }
  async pipeTo(target, options = {}) {
    const s = of(this, "ReadableStream");
    if (!(target instanceof WritableStream)) throw errors.invalidType("destination", "WritableStream", target);
    const { preventClose, preventAbort, preventCancel, signal } = options ?? {};
    if (signal !== undefined) errors.validateAbortSignal(signal, "options.signal");
    if (s.reader !== undefined) throw invalidState("The ReadableStream is locked");
    if (target.locked) throw invalidState("The WritableStream is locked");
    const reader = this.getReader();
    const writer = target.getWriter();
    const stop = deferred();
    const onAbort = () => stop.reject(signal.reason);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    // Which side failed decides which one is told.
    let failed = "signal";
    const guard = (promise, side) => Promise.race([
      promise.catch((error) => {
        failed = side;
        throw error;
      }),
      stop.promise,
    ]);
    const targetFailed = new Promise((_, reject) => {
      writer.closed.then(() => {
        failed = "target";
        reject(invalidState("Destination WritableStream is closed"));
      }, (error) => {
        failed = "target";
        reject(error);
      });
    });
    targetFailed.catch(() => {});
    try {
      for (;;) {
        await Promise.race([guard(writer.ready, "target"), targetFailed]);
        const { value, done } = await Promise.race([guard(reader.read(), "source"), targetFailed]);
        if (done) break;
        writer.write(value).catch(() => {});
      }
      if (!preventClose) {
        writer[STATE].piping = true;
        await guard(writer.close(), "target");
      } else {
        await guard(writer.ready, "target");
      }
    } catch (error) {
      const ends = [];
      if (failed !== "target" && !preventAbort) ends.push(writer.abort(error));
      if (failed !== "source" && !preventCancel) ends.push(cancelStream(s, error));
      await Promise.allSettled(ends);
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      reader.releaseLock();
      writer.releaseLock();
    }
  }
  tee() {
    const reader = this.getReader();
    const branches = [];
    const canceled = [];
    let reading = false;
    const cancel = deferred();
    const branch = (index) => ({
      async pull() {
        if (reading) return;
        reading = true;
        try {
          const { value, done } = await reader.read();
          reading = false;
          for (const [at, controller] of branches.entries()) {
            if (canceled[at]) continue;
            if (done) controller.close();
            else controller.enqueue(value);
          }
        } catch (error) {
          for (const controller of branches) controller.error(error);
        }
      },
      async cancel(reason) {
        canceled[index] = { reason };
        if (canceled[0] && canceled[1]) cancel.resolve(reader.cancel(canceled.map((each) => each.reason)));
        return cancel.promise;
      },
      start(controller) { branches[index] = controller; },
    });
    return [new ReadableStream(branch(0), { highWaterMark: 0 }), new ReadableStream(branch(1), { highWaterMark: 0 })];
  }
  values(options = undefined) {
    const reader = this.getReader();
    let ended = false;
    const iterator = {
      async next() {
        if (ended) return { value: undefined, done: true };
        let result;
        try {
          result = await reader.read();
        } catch (error) {
          ended = true;
          reader.releaseLock();
          throw error;
        }
        if (result.done) {
          ended = true;
          reader.releaseLock();
        }
        return result;
      },
      async return(value) {
        if (!ended) {
          ended = true;
          const done = options?.preventCancel ? undefined : reader.cancel(value);
          reader.releaseLock();
          await done;
        }
        return { value, done: true };
      },
    };
    return Object.setPrototypeOf(iterator, asyncIteratorPrototype);
  }
  [Symbol.asyncIterator](options) { return this.values(options); }
  static from(iterable) {
    const make = iterable?.[Symbol.asyncIterator] ?? iterable?.[Symbol.iterator];
    if (typeof make !== "function") throw errors.coded(TypeError, "ERR_ARG_NOT_ITERABLE", `${iterable} must be iterable`);
    const iterator = make.call(iterable);
    return new ReadableStream({
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(await value);
      },
      async cancel(reason) { await iterator.return?.(reason); },
    }, { highWaterMark: 0 });
  }
}
const asyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}.prototype));

class Reader {
  #closed;
  constructor(stream) {
    if (!(stream instanceof ReadableStream)) throw errors.invalidType("stream", "ReadableStream", stream);
    const s = stream[STATE];
    if (s.reader !== undefined) throw invalidState("ReadableStream is locked");
    s.reader = this;
    hide(this, { s });
    this.#closed = deferred();
    s.closed.promise.then(this.#closed.resolve, this.#closed.reject);
  }
  get closed() { return this.#closed.promise; }
  async cancel(reason = undefined) {
    const { s } = of(this, "ReadableStreamDefaultReader");
    if (s === undefined) throw invalidState("The reader is not attached to a stream");
    return cancelStream(s, reason);
  }
  releaseLock() {
    const own = of(this, "ReadableStreamDefaultReader");
    if (own.s === undefined) return;
    const error = invalidState("Reader released");
    for (const { reject } of own.s.reads.splice(0)) reject(error);
    own.s.reader = undefined;
    own.s = undefined;
    this.#closed.reject(error);
    this.#closed = deferred();
    this.#closed.reject(error);
  }
}
class ReadableStreamDefaultReader extends Reader {
  async read() {
    const { s } = of(this, "ReadableStreamDefaultReader");
    if (s === undefined) throw invalidState("The reader is not attached to a stream");
    return readFrom(s);
  }
}
class ReadableStreamBYOBReader extends Reader {
  constructor(stream) {
    if (stream?.[STATE] && !stream[STATE].bytes) throw errors.invalidValue("stream", stream, "must be a byte stream");
    super(stream);
  }
  async read(view) {
    const { s } = of(this, "ReadableStreamBYOBReader");
    if (!ArrayBuffer.isView(view)) throw errors.invalidType("view", ["Buffer", "TypedArray", "DataView"], view);
    if (view.byteLength === 0) throw invalidState("View ArrayBuffer is zero-length or detached");
    if (s === undefined) throw invalidState("The reader is not attached to a stream");
    return readFrom(s, view);
  }
}

// ---- Writing.

class WritableStreamDefaultController {
  constructor(key, stream) {
    if (key !== MAKE) throw errors.coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    hide(this, stream);
  }
  get signal() { return of(this, "WritableStreamDefaultController").abort.signal; }
  error(error = undefined) { failWriting(of(this, "WritableStreamDefaultController"), error); }
}

const roomToWrite = (w) => (w.state === "errored" ? null : w.state === "closed" ? 0 : w.mark - w.total);

function failWriting(w, error) {
  if (w.state !== "writable") return;
  w.state = "errored";
  w.error = error;
  for (const { done } of w.queue.splice(0)) done.reject(error);
  w.total = 0;
  w.ready.reject(error);
  w.ready = deferred();
  w.ready.reject(error);
  w.closed.reject(error);
}

function updateReady(w) {
  if (w.state !== "writable") return;
  const blocked = roomToWrite(w) <= 0 && !w.closing;
  if (blocked && !w.blocked) w.ready = deferred();
  else if (!blocked && w.blocked) w.ready.resolve();
  w.blocked = blocked;
}

// Writes what waits, one chunk at a time, then closes.
async function advance(w) {
  if (w.busy || !w.started) return;
  w.busy = true;
  while (w.queue.length > 0 && w.state === "writable") {
    const { chunk, size, done, ends } = w.queue[0];
    try {
      if (ends) await promised(w.methods.close, w.sink);
      else await promised(w.methods.write, w.sink, chunk, w.controller);
    } catch (error) {
      done.reject(error);
      w.queue.shift();
      failWriting(w, error);
      break;
    }
    if (w.state !== "writable") {
      done.resolve();
      break;
    }
    w.queue.shift();
    w.total -= size;
    if (ends) {
      w.state = "closed";
      w.ready.resolve();
      w.closed.resolve();
    } else {
      updateReady(w);
    }
    done.resolve();
  }
  w.busy = false;
}

function closeWriting(w) {
  if (w.state === "closed") return Promise.reject(invalidState("WritableStream is closed"));
  if (w.closing) return Promise.reject(invalidState("Failure closing WritableStream"));
  if (w.state === "errored") return Promise.reject(w.error);
  w.closing = true;
  const done = deferred();
  w.queue.push({ size: 0, done, ends: true });
  updateReady(w);
  advance(w);
  return done.promise;
}

async function abortWriting(w, reason) {
  if (w.state !== "writable") return;
  w.abort.abort(reason);
  failWriting(w, reason);
  await promised(w.methods.abort, w.sink, reason);
}

class WritableStream {
  constructor(sink = {}, strategy = {}) {
    if (sink === null) throw errors.invalidType("sink", "Object", sink);
    if (sink.type !== undefined) throw errors.invalidValue("sink.type", sink.type);
    const { AbortController } = require("_event_target");
    const w = {
      state: "writable", error: undefined, queue: [], total: 0, mark: markOf(strategy, 1), size: sizeOf(strategy), sink, writer: undefined,
      methods: { write: method(sink, "write"), close: method(sink, "close"), abort: method(sink, "abort") },
      started: false, busy: false, closing: false, blocked: false, ready: deferred(), closed: deferred(), abort: new AbortController(),
    };
    w.ready.resolve();
    hide(this, w);
    w.controller = new WritableStreamDefaultController(MAKE, w);
    updateReady(w);
    const start = method(sink, "start");
    const value = start === undefined ? undefined : Reflect.apply(start, sink, [w.controller]);
    resolved(value).then(() => {
      w.started = true;
      advance(w);
    }, (error) => failWriting(w, error));
  }
  get locked() { return of(this, "WritableStream").writer !== undefined; }
  async abort(reason = undefined) {
    const w = of(this, "WritableStream");
    if (w.writer !== undefined) throw invalidState("WritableStream is locked");
    return abortWriting(w, reason);
  }
  async close() {
    const w = of(this, "WritableStream");
    if (w.writer !== undefined) throw invalidState("WritableStream is locked");
    return closeWriting(w);
  }
  getWriter() { return new WritableStreamDefaultWriter(this); }
}

class WritableStreamDefaultWriter {
  constructor(stream) {
    if (!(stream instanceof WritableStream)) throw errors.invalidType("stream", "WritableStream", stream);
    const w = stream[STATE];
    if (w.writer !== undefined) throw invalidState("WritableStream is locked");
    w.writer = this;
    hide(this, { w, released: undefined });
  }
  #own() {
    const { w } = of(this, "WritableStreamDefaultWriter");
    if (w === undefined) throw invalidState("Writer is not bound to a WritableStream");
    return w;
  }
  get closed() { return this[STATE].released ?? this.#own().closed.promise; }
  get ready() { return this[STATE].released ?? this.#own().ready.promise; }
  get desiredSize() { return roomToWrite(this.#own()); }
  async abort(reason = undefined) { return abortWriting(this.#own(), reason); }
  async close() { return closeWriting(this.#own()); }
  async write(chunk = undefined) {
    const w = this.#own();
    if (w.state === "errored") throw w.error;
    if (w.closing || w.state === "closed") throw invalidState("WritableStream is closed");
    let size;
    try {
      size = w.size(chunk);
    } catch (error) {
      failWriting(w, error);
      throw error;
    }
    const done = deferred();
    w.queue.push({ chunk, size, done, ends: false });
    w.total += size;
    updateReady(w);
    advance(w);
    return done.promise;
  }
  releaseLock() {
    const own = of(this, "WritableStreamDefaultWriter");
    if (own.w === undefined) return;
    own.w.writer = undefined;
    own.w = undefined;
    own.released = Promise.reject(invalidState("Writer has been released"));
    own.released.catch(() => {});
  }
}

// ---- Transforming.

class TransformStreamDefaultController {
  constructor(key, ends) {
    if (key !== MAKE) throw errors.coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    hide(this, ends);
  }
  get desiredSize() { return of(this, "TransformStreamDefaultController").readable.desiredSize; }
  enqueue(chunk = undefined) { of(this, "TransformStreamDefaultController").readable.enqueue(chunk); }
  error(error = undefined) { of(this, "TransformStreamDefaultController").fail(error); }
  terminate() {
    const ends = of(this, "TransformStreamDefaultController");
    ends.readable.close();
    ends.writable.error(invalidState("TransformStream terminated"));
  }
}

class TransformStream {
  constructor(transformer = {}, writableStrategy = {}, readableStrategy = {}) {
    if (transformer === null) throw errors.invalidType("transformer", "Object", transformer);
    const methods = { transform: method(transformer, "transform"), flush: method(transformer, "flush"), cancel: method(transformer, "cancel") };
    // Opens when the readable side wants more.
    let gate = deferred();
    const started = deferred();
    const ends = {
      fail(error) {
        ends.readable.error(error);
        ends.writable.error(error);
        gate.resolve();
      },
    };
    const controller = new TransformStreamDefaultController(MAKE, ends);
    const readable = new ReadableStream({
      start(inside) {
        ends.readable = inside;
        return started.promise;
      },
      pull() { gate.resolve(); },
      async cancel(reason) {
        ends.writable.error(reason);
        gate.resolve();
        await promised(methods.cancel, transformer, reason);
      },
    }, { highWaterMark: 0, ...readableStrategy });
    const writable = new WritableStream({
      start(inside) {
        ends.writable = inside;
        return started.promise;
      },
      async write(chunk) {
        if (readable[STATE].state === "readable" && roomOf(readable[STATE]) <= 0 && readable[STATE].reads.length === 0) {
          gate = deferred();
          await gate.promise;
          if (writable[STATE].state === "errored") throw writable[STATE].error;
        }
        try {
          if (methods.transform === undefined) controller.enqueue(chunk);
          else await Reflect.apply(methods.transform, transformer, [chunk, controller]);
        } catch (error) {
          ends.readable.error(error);
          throw error;
        }
      },
      async close() {
        try {
          await promised(methods.flush, transformer, controller);
        } catch (error) {
          ends.readable.error(error);
          throw error;
        }
        if (readable[STATE].state === "errored") throw readable[STATE].error;
        if (readable[STATE].state === "readable" && !readable[STATE].closing) ends.readable.close();
      },
      async abort(reason) {
        ends.readable.error(reason);
        await promised(methods.cancel, transformer, reason);
      },
    }, { highWaterMark: 1, ...writableStrategy });
    hide(this, { readable, writable });
    const start = method(transformer, "start");
    started.resolve(start === undefined ? undefined : Reflect.apply(start, transformer, [controller]));
  }
  get readable() { return of(this, "TransformStream").readable; }
  get writable() { return of(this, "TransformStream").writable; }
}

// ---- Text.

class TextEncoderStream {
  #pair;
  constructor() {
    const encoder = new TextEncoder();
    // The first half of a character that comes in two chunks.
    let half = "";
    this.#pair = new TransformStream({
      transform(chunk, controller) {
        let text = half + String(chunk);
        half = "";
        if (/[\ud800-\udbff]$/.test(text)) {
          half = text.at(-1);
          text = text.slice(0, -1);
        }
        if (text !== "") controller.enqueue(encoder.encode(text));
      },
      flush(controller) { if (half !== "") controller.enqueue(encoder.encode(half)); },
    });
  }
  get encoding() { return "utf-8"; }
  get readable() { return this.#pair.readable; }
  get writable() { return this.#pair.writable; }
}

class TextDecoderStream {
  #pair;
  #decoder;
  constructor(encoding = "utf-8", options = {}) {
    const decoder = (this.#decoder = new TextDecoder(encoding, options));
    this.#pair = new TransformStream({
      transform(chunk, controller) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== "") controller.enqueue(text);
      },
    });
  }
  get encoding() { return this.#decoder.encoding; }
  get fatal() { return this.#decoder.fatal; }
  get ignoreBOM() { return this.#decoder.ignoreBOM; }
  get readable() { return this.#pair.readable; }
  get writable() { return this.#pair.writable; }
}

// Node's own (de)compressing streams, in the web's form.
const compressing = (name, makers) => ({
  [name]: class {
    #pair;
    constructor(format) {
      errors.validateOneOf(format, "format", Object.keys(makers));
      this.#pair = require("stream").Duplex.toWeb(require("zlib")[makers[format]]());
    }
    get readable() { return this.#pair.readable; }
    get writable() { return this.#pair.writable; }
  },
})[name];
const CompressionStream = compressing("CompressionStream", { deflate: "createDeflate", "deflate-raw": "createDeflateRaw", gzip: "createGzip" });
const DecompressionStream = compressing("DecompressionStream", { deflate: "createInflate", "deflate-raw": "createInflateRaw", gzip: "createGunzip" });

const classes = {
  ReadableStream, ReadableStreamDefaultReader, ReadableStreamBYOBReader, ReadableStreamBYOBRequest: class ReadableStreamBYOBRequest {
    constructor() { throw errors.coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor"); }
  },
  ReadableByteStreamController, ReadableStreamDefaultController, TransformStream, TransformStreamDefaultController, WritableStream,
  WritableStreamDefaultController, WritableStreamDefaultWriter, ByteLengthQueuingStrategy, CountQueuingStrategy, TextEncoderStream,
  TextDecoderStream, CompressionStream, DecompressionStream,
};
for (const [name, Class] of Object.entries(classes)) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });
}

Object.assign(exports, classes);
// What adapters ask: the state of a stream, and a promise of its end.
exports.closedOf = (stream) => stream[STATE].closed.promise;
exports.stateOf = (stream) => stream[STATE];
