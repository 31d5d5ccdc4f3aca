// Copies of values, and ports that pass them: `structuredClone`,
// `MessageChannel`.

const errors = require("_errors");
const { Event, EventTarget, handler } = require("_event_target");

const uncloneable = (value) => new DOMException(`${require("_inspect").inspect(value, { depth: 0 })} could not be cloned.`, "DataCloneError");

const errorClasses = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

// A deep copy; `moved` are buffers that the original loses.
function copy(value, seen) {
  if (typeof value === "symbol") throw new DOMException(`${String(value)} could not be cloned.`, "DataCloneError");
  if (typeof value === "function") throw uncloneable(value);
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const keep = (made) => {
    seen.set(value, made);
    return made;
  };
  const kind = inner.kind(value);
  switch (kind) {
    case "Boolean": case "Number": case "String": case "BigInt": return keep(Object(value.valueOf()));
    case "Date": return keep(new Date(Date.prototype.getTime.call(value)));
    case "RegExp": return keep(new RegExp(value.source, value.flags));
    case "ArrayBuffer": return keep(value.slice(0));
    case "Map": {
      const made = keep(new Map());
      for (const [key, entry] of [...Map.prototype.entries.call(value)]) made.set(copy(key, seen), copy(entry, seen));
      return made;
    }
    case "Set": {
      const made = keep(new Set());
      for (const entry of [...Set.prototype.values.call(value)]) made.add(copy(entry, seen));
      return made;
    }
    case "Error": {
      const Class = errorClasses[value.name] ?? Error;
      const fresh = keep(new Class());
      for (const key of ["message", "stack"]) {
        if (typeof value[key] === "string") Object.defineProperty(fresh, key, { value: value[key], writable: true, configurable: true });
      }
      if (Object.hasOwn(value, "cause")) Object.defineProperty(fresh, "cause", { value: copy(value.cause, seen), writable: true, configurable: true });
      return fresh;
    }
    case "Array": {
      const made = keep(new Array(value.length));
      for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
      return made;
    }
    case "Promise": case "WeakMap": case "WeakSet": case "WeakRef": case "Symbol": case "Proxy": case "Generator":
      throw new DOMException(`#<${kind}> could not be cloned.`, "DataCloneError");
    default:
  }
  if (ArrayBuffer.isView(value)) {
    const buffer = copy(value.buffer, seen);
    if (kind === "DataView") return keep(new DataView(buffer, value.byteOffset, value.byteLength));
    const Class = globalThis[kind];
    return keep(new Class(buffer, value.byteOffset, value.length));
  }
  const made = keep({});
  for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
  return made;
}

function structuredClone(value, options) {
  if (arguments.length === 0) throw errors.coded(TypeError, "ERR_MISSING_ARGS", "The value argument must be specified");
  if (options !== undefined && (typeof options !== "object" || options === null)) throw errors.invalidType("options", "Object", options);
  const moved = [...(options?.transfer ?? [])];
  const seen = new Map();
  for (const buffer of moved) {
    if (inner.kind(buffer) !== "ArrayBuffer") throw new DOMException("Value not transferable", "DataCloneError");
    if (buffer.detached || seen.has(buffer)) throw new DOMException("ArrayBuffer cannot be transferred", "DataCloneError");
    seen.set(buffer, buffer.slice(0));
  }
  const made = copy(value, seen);
  for (const buffer of moved) buffer.transfer();
  return made;
}

// ---- Ports.

class MessageEvent extends Event {
  #init;
  constructor(type, init = {}) {
    super(type, init);
    this.#init = init;
  }
  get data() { return this.#init.data ?? null; }
  get origin() { return this.#init.origin ?? ""; }
  get lastEventId() { return this.#init.lastEventId ?? ""; }
  get source() { return this.#init.source ?? null; }
  get ports() { return this.#init.ports ?? []; }
}

const MAKE = Symbol("make");

class MessagePort extends EventTarget {
  #other;
  #waiting = [];
  #started = false;
  #closed = false;
  #listeners = new Map();
  constructor(key) {
    if (key !== MAKE) throw errors.coded(TypeError, "ERR_CONSTRUCT_CALL_INVALID", "Constructor cannot be called");
    super();
  }
  static [MAKE]() {
    const [one, two] = [new MessagePort(MAKE), new MessagePort(MAKE)];
    one.#other = two;
    two.#other = one;
    return [one, two];
  }
  static receive(port) {
    return port.#waiting.length > 0 ? { message: port.#waiting.shift() } : undefined;
  }
  postMessage(value, transfer) {
    const message = structuredClone(value, { transfer: Array.isArray(transfer) ? transfer : transfer?.transfer ?? [] });
    const other = this.#other;
    if (this.#closed || other.#closed) return;
    other.#waiting.push(message);
    if (other.#started) other.#deliver();
  }
  #deliver() {
    inner.timers.setImmediate(() => {
      if (!this.#started || this.#closed || this.#waiting.length === 0) return;
      this.dispatchEvent(new MessageEvent("message", { data: this.#waiting.shift() }));
    });
  }
  start() {
    if (this.#started) return;
    this.#started = true;
    for (const _ of this.#waiting) this.#deliver();
  }
  close(callback) {
    if (this.#closed) return;
    this.#closed = true;
    this.#other.#closed = true;
    for (const port of [this, this.#other]) inner.timers.setImmediate(() => port.dispatchEvent(new Event("close")));
    if (typeof callback === "function") this.once("close", callback);
  }
  on(name, listener) {
    const wrapped = (event) => listener.call(this, name === "message" ? event.data : event);
    this.#listeners.set(listener, wrapped);
    this.addEventListener(name, wrapped);
    if (name === "message") this.start();
    return this;
  }
  once(name, listener) {
    return this.on(name, function once(...args) {
      this.off(name, once);
      listener.apply(this, args);
    });
  }
  off(name, listener) {
    this.removeEventListener(name, this.#listeners.get(listener) ?? listener);
    return this;
  }
  ref() {}
  unref() {}
}
const pair = MessagePort[MAKE];
delete MessagePort[MAKE];
const { receive } = MessagePort;
delete MessagePort.receive;
Object.assign(MessagePort.prototype, { addListener: MessagePort.prototype.on, removeListener: MessagePort.prototype.off });
handler(MessagePort, "message");
const onMessage = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
Object.defineProperty(MessagePort.prototype, "onmessage", {
  ...onMessage,
  set(value) {
    onMessage.set.call(this, value);
    this.start();
  },
});

class MessageChannel {
  constructor() {
    [this.port1, this.port2] = pair();
  }
}

Object.assign(exports, { structuredClone, MessageChannel, MessagePort, MessageEvent, receiveMessageOnPort: receive });
