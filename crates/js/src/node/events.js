// Emitters of events. Listeners of one name are a function, or an array when
// there are several: packages look.

const errors = require("_errors");

const errorMonitor = Symbol("events.errorMonitor");
const captureRejection = Symbol.for("nodejs.rejection");
const capture = Symbol("kCapture");
let defaultMaxListeners = 10;
let captureDefault = false;

function EventEmitter(options) {
  EventEmitter.init.call(this, options);
}
EventEmitter.prototype._events = undefined;
EventEmitter.prototype._eventsCount = 0;
EventEmitter.prototype._maxListeners = undefined;
Object.defineProperty(EventEmitter.prototype, capture, { value: false, writable: true, enumerable: false });

EventEmitter.init = function (options) {
  // A prototype's own table is not this object's.
  if (this._events === undefined || this._events === Object.getPrototypeOf(this)._events) {
    this._events = Object.create(null);
    this._eventsCount = 0;
  }
  this._maxListeners = this._maxListeners || undefined;
  if (options?.captureRejections) {
    errors.validateBoolean(options.captureRejections, "options.captureRejections");
    define(this, capture, true);
  } else if (captureDefault) {
    define(this, capture, true);
  }
};

const define = (target, name, value) =>
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
const inspectLazily = (value) => require("_inspect").inspect(value);

function methods(target, table) {
  for (const [name, method] of Object.entries(table)) target[name] = method;
}

function limitOf(emitter) {
  return emitter._maxListeners === undefined ? defaultMaxListeners : emitter._maxListeners;
}

function warnOfLeak(emitter, name, count) {
  const warning = new Error(
    `Possible EventEmitter memory leak detected. ${count} ${String(name)} listeners added to ${inspectLazily(emitter).split("\n")[0]}. `
    + "Use emitter.setMaxListeners() to increase limit");
  warning.name = "MaxListenersExceededWarning";
  warning.emitter = emitter;
  warning.type = name;
  warning.count = count;
  require("process").emitWarning(warning);
}

function add(emitter, name, listener, first) {
  errors.validateFunction(listener, "listener");
  let events = emitter._events;
  if (events === undefined) {
    events = emitter._events = Object.create(null);
    emitter._eventsCount = 0;
  } else if (events.newListener !== undefined) {
    emitter.emit("newListener", name, listener.listener ?? listener);
    // A listener may have put another table there.
    events = emitter._events;
  }
  const known = events[name];
  if (known === undefined) {
    events[name] = listener;
    emitter._eventsCount++;
    return emitter;
  }
  let list = known;
  if (typeof known === "function") list = events[name] = first ? [listener, known] : [known, listener];
  else if (first) list.unshift(listener);
  else list.push(listener);
  const limit = limitOf(emitter);
  if (limit > 0 && list.length > limit && !list.warned) {
    list.warned = true;
    warnOfLeak(emitter, name, list.length);
  }
  return emitter;
}

// A listener that takes itself away before it runs.
function onceOnly(emitter, name, listener) {
  errors.validateFunction(listener, "listener");
  let fired = false;
  const wrapped = function (...args) {
    if (fired) return undefined;
    emitter.removeListener(name, wrapped);
    fired = true;
    return listener.apply(emitter, args);
  };
  wrapped.listener = listener;
  return wrapped;
}

// What a listener's promise is rejected with becomes an event.
function catchRejection(emitter, promise, name, args) {
  const then = promise.then;
  if (typeof then !== "function") return;
  then.call(promise, undefined, (reason) => {
    require("process").nextTick(() => {
      if (typeof emitter[captureRejection] === "function") {
        emitter[captureRejection](reason, name, ...args);
        return;
      }
      const before = emitter[capture];
      try {
        // A rejection while the error is handled must not come back here.
        define(emitter, capture, false);
        emitter.emit("error", reason);
      } finally {
        define(emitter, capture, before);
      }
    });
  });
}

function throwUnhandled(reason) {
  if (reason instanceof Error) throw reason;
  let shown;
  try {
    shown = inspectLazily(reason);
  } catch {
    shown = String(reason);
  }
  const unhandled = errors.coded(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`);
  unhandled.context = reason;
  throw unhandled;
}

function remove(emitter, name, index, known) {
  const events = emitter._events;
  const listener = index < 0 ? known : known[index];
  if (index < 0 || known.length === 1) {
    delete events[name];
    emitter._eventsCount--;
  } else {
    known.splice(index, 1);
    if (known.length === 1) events[name] = known[0];
  }
  if (events.removeListener !== undefined) emitter.emit("removeListener", name, listener.listener ?? listener);
}

const listOf = (emitter, name) => {
  const known = emitter._events?.[name];
  return known === undefined ? [] : typeof known === "function" ? [known] : known.slice();
};

methods(EventEmitter.prototype, {
  setMaxListeners: function setMaxListeners(n) {
    errors.validateNumber(n, "setMaxListeners", 0);
    this._maxListeners = n;
    return this;
  },
  getMaxListeners: function getMaxListeners() {
    return limitOf(this);
  },
  emit: function emit(name, ...args) {
    const events = this._events;
    if (name === "error") {
      if (events?.[errorMonitor] !== undefined) this.emit(errorMonitor, ...args);
      if (events?.error === undefined) throwUnhandled(args[0]);
    }
    const known = events?.[name];
    if (known === undefined) return false;
    const captures = this[capture];
    // A copy: listeners may be added and removed meanwhile.
    for (const listener of typeof known === "function" ? [known] : known.slice()) {
      const result = listener.apply(this, args);
      if (captures && result !== undefined && result !== null) catchRejection(this, result, name, args);
    }
    return true;
  },
  addListener: function addListener(name, listener) {
    return add(this, name, listener, false);
  },
  prependListener: function prependListener(name, listener) {
    return add(this, name, listener, true);
  },
  once: function once(name, listener) {
    this.on(name, onceOnly(this, name, listener));
    return this;
  },
  prependOnceListener: function prependOnceListener(name, listener) {
    this.prependListener(name, onceOnly(this, name, listener));
    return this;
  },
  removeListener: function removeListener(name, listener) {
    errors.validateFunction(listener, "listener");
    const known = this._events?.[name];
    if (known === undefined) return this;
    if (typeof known === "function") {
      if (known === listener || known.listener === listener) remove(this, name, -1, known);
      return this;
    }
    for (let index = known.length - 1; index >= 0; index--) {
      if (known[index] === listener || known[index].listener === listener) {
        remove(this, name, index, known);
        break;
      }
    }
    return this;
  },
  removeAllListeners: function removeAllListeners(name) {
    const events = this._events;
    if (events === undefined) return this;
    if (events.removeListener === undefined) {
      if (arguments.length === 0) {
        this._events = Object.create(null);
        this._eventsCount = 0;
      } else if (events[name] !== undefined) {
        delete events[name];
        this._eventsCount--;
      }
      return this;
    }
    if (arguments.length === 0) {
      for (const key of Reflect.ownKeys(events)) {
        if (key !== "removeListener") this.removeAllListeners(key);
      }
      this.removeAllListeners("removeListener");
      this._events = Object.create(null);
      this._eventsCount = 0;
      return this;
    }
    for (const listener of listOf(this, name).reverse()) this.removeListener(name, listener);
    return this;
  },
  listeners: function listeners(name) {
    return listOf(this, name).map((listener) => listener.listener ?? listener);
  },
  rawListeners: function rawListeners(name) {
    return listOf(this, name);
  },
  listenerCount: function listenerCount(name, listener) {
    const all = listOf(this, name);
    return listener === undefined ? all.length : all.filter((each) => each === listener || each.listener === listener).length;
  },
  eventNames: function eventNames() {
    return this._eventsCount > 0 ? Reflect.ownKeys(this._events) : [];
  },
});
EventEmitter.prototype.on = EventEmitter.prototype.addListener;
EventEmitter.prototype.off = EventEmitter.prototype.removeListener;

// ---- What is asked of the module.

const listenTo = (target, name, listener, flags) => {
  if (typeof target?.on === "function") {
    if (flags?.once) target.once(name, listener);
    else target.on(name, listener);
  } else if (typeof target?.addEventListener === "function") {
    target.addEventListener(name, listener, flags);
  } else {
    throw errors.invalidType("emitter", "EventEmitter", target);
  }
};
const stopListening = (target, name, listener, flags) => {
  if (typeof target.removeListener === "function") target.removeListener(name, listener);
  else target.removeEventListener(name, listener, flags);
};
const aborted = (signal) => new errors.AbortError(undefined, { cause: signal?.reason });

// The next event of a name, as an array of what was emitted with it.
async function once(emitter, name, options = {}) {
  errors.validateObject(options, "options");
  const signal = options.signal;
  errors.validateAbortSignal(signal, "options.signal");
  if (signal?.aborted) throw aborted(signal);
  return new Promise((resolve, reject) => {
    const settle = (end, value) => {
      stopListening(emitter, name, onEvent);
      if (typeof emitter.removeListener === "function") emitter.removeListener("error", onError);
      signal?.removeEventListener("abort", onAbort);
      end(value);
    };
    const onEvent = (...args) => settle(resolve, args);
    const onError = (error) => settle(reject, error);
    const onAbort = () => settle(reject, aborted(signal));
    listenTo(emitter, name, onEvent, { once: true });
    if (name !== "error" && typeof emitter.once === "function") emitter.once("error", onError);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

// Events of a name, for `for await`.
function on(emitter, name, options = {}) {
  errors.validateObject(options, "options");
  const signal = options.signal;
  errors.validateAbortSignal(signal, "options.signal");
  if (signal?.aborted) throw aborted(signal);
  const waiting = [];
  const arrived = [];
  const ends = options.close ?? [];
  let failure;
  let finished = false;
  const listener = (...args) => {
    if (waiting.length > 0) waiting.shift().resolve({ value: args, done: false });
    else arrived.push(args);
  };
  const fail = (error) => {
    if (waiting.length > 0) waiting.shift().reject(error);
    else failure = error;
    iterator.return();
  };
  const onAbort = () => fail(aborted(signal));
  const close = () => { iterator.return(); };
  const iterator = {
    next() {
      if (arrived.length > 0) return Promise.resolve({ value: arrived.shift(), done: false });
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        return Promise.reject(error);
      }
      if (finished) return Promise.resolve({ value: undefined, done: true });
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    return() {
      stopListening(emitter, name, listener);
      if (typeof emitter.removeListener === "function") emitter.removeListener("error", fail);
      for (const end of ends) stopListening(emitter, end, close);
      signal?.removeEventListener("abort", onAbort);
      finished = true;
      for (const { resolve } of waiting.splice(0)) resolve({ value: undefined, done: true });
      return Promise.resolve({ value: undefined, done: true });
    },
    throw(error) {
      if (!(error instanceof Error)) throw errors.invalidType("EventEmitter.AsyncIterator", "Error", error);
      failure = error;
      stopListening(emitter, name, listener);
      if (typeof emitter.removeListener === "function") emitter.removeListener("error", fail);
    },
    [Symbol.asyncIterator]() { return this; },
  };
  listenTo(emitter, name, listener);
  if (name !== "error" && typeof emitter.on === "function") emitter.on("error", fail);
  for (const end of ends) listenTo(emitter, end, close);
  signal?.addEventListener("abort", onAbort, { once: true });
  return Object.setPrototypeOf(iterator, Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}.prototype)));
}

function getEventListeners(target, name) {
  if (typeof target?.listeners === "function") return target.listeners(name);
  if (typeof target?.addEventListener === "function") return require("_event_target").listenersOf(target, name);
  throw errors.invalidType("emitter", ["EventEmitter", "EventTarget"], target);
}

function setMaxListeners(n = defaultMaxListeners, ...targets) {
  errors.validateNumber(n, "setMaxListeners", 0);
  if (targets.length === 0) defaultMaxListeners = n;
  for (const target of targets) {
    if (typeof target?.setMaxListeners === "function") target.setMaxListeners(n);
    else if (typeof target?.addEventListener !== "function") {
      throw errors.invalidType("eventTargets", ["EventEmitter", "EventTarget"], target);
    }
  }
}

// Calls back when a signal is aborted, also when it already is.
function addAbortListener(signal, listener) {
  if (signal === undefined) throw errors.invalidType("signal", "AbortSignal", signal);
  errors.validateAbortSignal(signal, "signal");
  errors.validateFunction(listener, "listener");
  const dispose = () => signal.removeEventListener("abort", listener);
  if (signal.aborted) queueMicrotask(() => listener());
  else signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose ?? Symbol.for("nodejs.dispose")]: dispose };
}

methods(EventEmitter, {
  EventEmitter, once, on, getEventListeners, setMaxListeners, addAbortListener, errorMonitor,
  captureRejectionSymbol: captureRejection,
  usingDomains: false,
  getMaxListeners: (target) => (typeof target?.getMaxListeners === "function" ? target.getMaxListeners() : defaultMaxListeners),
  listenerCount: (emitter, name) => (typeof emitter.listenerCount === "function"
    ? emitter.listenerCount(name)
    : EventEmitter.prototype.listenerCount.call(emitter, name)),
});
Object.defineProperty(EventEmitter, "defaultMaxListeners", {
  enumerable: true,
  get: () => defaultMaxListeners,
  set(n) {
    errors.validateNumber(n, "defaultMaxListeners", 0);
    defaultMaxListeners = n;
  },
});
Object.defineProperty(EventEmitter, "captureRejections", {
  enumerable: true,
  get: () => captureDefault,
  set(value) {
    errors.validateBoolean(value, "EventEmitter.captureRejections");
    captureDefault = value;
  },
});
Object.defineProperty(EventEmitter, "EventEmitterAsyncResource", {
  enumerable: true,
  configurable: true,
  get() {
    const { AsyncResource } = require("async_hooks");
    class EventEmitterAsyncResource extends EventEmitter {
      constructor(options) {
        super(typeof options === "object" ? options : undefined);
        this.asyncResource = new AsyncResource(typeof options === "string" ? options : options?.name ?? new.target.name);
      }
      emit(name, ...args) {
        return this.asyncResource.runInAsyncScope(super.emit, this, name, ...args);
      }
      emitDestroy() { this.asyncResource.emitDestroy(); }
      get asyncId() { return this.asyncResource.asyncId(); }
      get triggerAsyncId() { return this.asyncResource.triggerAsyncId(); }
    }
    Object.defineProperty(EventEmitter, "EventEmitterAsyncResource", { value: EventEmitterAsyncResource, writable: true });
    return EventEmitterAsyncResource;
  },
});

module.exports = EventEmitter;
