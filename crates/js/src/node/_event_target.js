// Events of the web: `Event`, `EventTarget`, `AbortController`, `AbortSignal`.

const errors = require("_errors");

const NONE = 0;
const AT_TARGET = 2;
const STATE = Symbol("state");
const LISTENERS = Symbol("listeners");
const HANDLERS = Symbol("handlers");
const INTERNAL = Symbol("internal");

const stateOf = (event) => {
  if (!event?.[STATE]) throw errors.coded(TypeError, "ERR_INVALID_THIS", 'Value of "this" must be of type Event');
  return event[STATE];
};

class Event {
  constructor(type, options = undefined) {
    if (arguments.length === 0) throw errors.missingArguments("type");
    if (options !== undefined && options !== null) errors.validateObject(options, "options", { allowArray: true, allowFunction: true });
    Object.defineProperty(this, STATE, {
      value: {
        type: `${type}`, bubbles: Boolean(options?.bubbles), cancelable: Boolean(options?.cancelable),
        composed: Boolean(options?.composed), target: null, dispatched: false, prevented: false, stopped: false,
        propagates: true, time: inner.now(),
      },
    });
    Object.defineProperty(this, "isTrusted", { value: false, enumerable: true, configurable: false });
  }
  get type() { return stateOf(this).type; }
  get target() { return stateOf(this).target; }
  get currentTarget() { return stateOf(this).dispatched ? stateOf(this).target : null; }
  get srcElement() { return stateOf(this).target; }
  get bubbles() { return stateOf(this).bubbles; }
  get cancelable() { return stateOf(this).cancelable; }
  get composed() { return stateOf(this).composed; }
  get defaultPrevented() { return stateOf(this).cancelable && stateOf(this).prevented; }
  get returnValue() { return !this.defaultPrevented; }
  get timeStamp() { return stateOf(this).time; }
  get eventPhase() { return stateOf(this).dispatched ? AT_TARGET : NONE; }
  get cancelBubble() { return !stateOf(this).propagates; }
  set cancelBubble(value) { if (value) this.stopPropagation(); }
  composedPath() { return stateOf(this).dispatched ? [stateOf(this).target] : []; }
  preventDefault() { stateOf(this).prevented = true; }
  stopPropagation() { stateOf(this).propagates = false; }
  stopImmediatePropagation() {
    stateOf(this).stopped = true;
    stateOf(this).propagates = false;
  }
  initEvent(type, bubbles = false, cancelable = false) {
    const state = stateOf(this);
    if (state.dispatched) return;
    Object.assign(state, { type: `${type}`, bubbles: Boolean(bubbles), cancelable: Boolean(cancelable) });
  }
  static NONE = NONE;
  static CAPTURING_PHASE = 1;
  static AT_TARGET = AT_TARGET;
  static BUBBLING_PHASE = 3;
}
tag(Event, "Event");
for (const name of ["type", "target", "currentTarget", "bubbles", "cancelable", "defaultPrevented", "timeStamp", "preventDefault",
  "stopPropagation", "stopImmediatePropagation", "composedPath"]) {
  Object.defineProperty(Event.prototype, name, { enumerable: true });
}

class CustomEvent extends Event {
  #detail;
  constructor(type, options = undefined) {
    if (arguments.length === 0) throw errors.missingArguments("type");
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() { return this.#detail; }
}
tag(CustomEvent, "CustomEvent");

function tag(Class, name) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });
}

// ---- Targets: lists of listeners by type.

const listenersOn = (target) => {
  if (target?.[LISTENERS] === undefined) {
    throw errors.coded(TypeError, "ERR_INVALID_THIS", 'Value of "this" must be of type EventTarget');
  }
  return target[LISTENERS];
};

class EventTarget {
  constructor() {
    Object.defineProperty(this, LISTENERS, { value: new Map() });
  }
  addEventListener(type, listener, options = {}) {
    const lists = listenersOn(this);
    if (arguments.length < 2) throw errors.missingArguments("type", "listener");
    const { capture, once, signal } = typeof options === "boolean" ? { capture: options } : options ?? {};
    if (listener === null || listener === undefined) return;
    if (typeof listener !== "function" && typeof listener !== "object") {
      throw errors.invalidType("listener", "EventListener", listener);
    }
    errors.validateAbortSignal(signal, "options.signal");
    if (signal?.aborted) return;
    type = `${type}`;
    const list = lists.get(type) ?? [];
    if (list.some((known) => known.listener === listener && known.capture === Boolean(capture))) return;
    list.push({ listener, capture: Boolean(capture), once: Boolean(once), removed: false });
    lists.set(type, list);
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener, options), { once: true });
  }
  removeEventListener(type, listener, options = {}) {
    const lists = listenersOn(this);
    if (arguments.length < 2) throw errors.missingArguments("type", "listener");
    const capture = Boolean(typeof options === "boolean" ? options : options?.capture);
    const list = lists.get(`${type}`) ?? [];
    const index = list.findIndex((known) => known.listener === listener && known.capture === capture);
    if (index < 0) return;
    list[index].removed = true;
    lists.set(`${type}`, list.filter((_, other) => other !== index));
  }
  dispatchEvent(event) {
    listenersOn(this);
    if (!(event instanceof Event)) throw errors.invalidType("event", "Event", event);
    if (event[STATE].dispatched) throw errors.coded(Error, "ERR_EVENT_RECURSION", `The event "${event.type}" is already being dispatched`);
    dispatch(this, event);
    return !event.defaultPrevented;
  }
}
tag(EventTarget, "EventTarget");
for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"]) {
  Object.defineProperty(EventTarget.prototype, name, { enumerable: true });
}

function dispatch(target, event) {
  const state = event[STATE];
  state.target = target;
  state.dispatched = true;
  state.stopped = false;
  const { type } = state;
  for (const known of target[LISTENERS].get(type) ?? []) {
    if (known.removed) continue;
    if (known.once) target.removeEventListener(type, known.listener, known.capture);
    try {
      const { listener } = known;
      const result = typeof listener === "function" ? listener.call(target, event) : listener.handleEvent(event);
      if (typeof result?.then === "function") result.then(undefined, inner.uncaught);
    } catch (error) {
      inner.uncaught(error);
    }
    if (state.stopped) break;
  }
  state.dispatched = false;
}

const listenersOf = (target, type) => (target[LISTENERS]?.get(type) ?? []).map((known) => known.listener);

// `target.onNAME`, which is one listener among the others.
function handler(Class, name) {
  Object.defineProperty(Class.prototype, `on${name}`, {
    configurable: true,
    enumerable: true,
    get() { return this[HANDLERS]?.get(name)?.handler ?? null; },
    set(value) {
      if (this[HANDLERS] === undefined) Object.defineProperty(this, HANDLERS, { value: new Map() });
      let entry = this[HANDLERS].get(name);
      if (entry === undefined) {
        entry = { handler: null };
        this[HANDLERS].set(name, entry);
        this.addEventListener(name, function (event) {
          if (typeof entry.handler === "function") return entry.handler.call(this, event);
          return undefined;
        });
      }
      entry.handler = typeof value === "function" || (typeof value === "object" && value !== null) ? value : null;
    },
  });
}

// ---- Signals that abort.

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  constructor(key) {
    if (key !== INTERNAL) throw errors.coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    super();
  }
  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }
  static abort(reason = new DOMException("This operation was aborted", "AbortError")) {
    const signal = new AbortSignal(INTERNAL);
    signal.#aborted = true;
    signal.#reason = reason;
    return signal;
  }
  static timeout(delay) {
    errors.validateUint32(delay, "delay");
    const signal = new AbortSignal(INTERNAL);
    inner.timers.setTimeout(() => abort(signal,
      new DOMException("The operation was aborted due to timeout", "TimeoutError")), delay).unref();
    return signal;
  }
  static any(signals) {
    const all = [...signals];
    for (const [index, signal] of all.entries()) {
      if (!(signal instanceof AbortSignal)) throw errors.invalidType(`signals[${index}]`, "AbortSignal", signal);
    }
    const result = new AbortSignal(INTERNAL);
    const first = all.find((signal) => signal.aborted);
    if (first) {
      result.#aborted = true;
      result.#reason = first.reason;
      return result;
    }
    for (const signal of all) {
      signal.addEventListener("abort", () => abort(result, signal.reason), { once: true });
    }
    return result;
  }
  static [INTERNAL](signal, reason) {
    if (signal.#aborted) return;
    signal.#aborted = true;
    signal.#reason = reason;
    dispatch(signal, new Event("abort"));
  }
}
const abort = AbortSignal[INTERNAL];
delete AbortSignal[INTERNAL];
tag(AbortSignal, "AbortSignal");
handler(AbortSignal, "abort");

class AbortController {
  #signal = new AbortSignal(INTERNAL);
  get signal() { return this.#signal; }
  abort(reason = new DOMException("This operation was aborted", "AbortError")) { abort(this.#signal, reason); }
}
tag(AbortController, "AbortController");
for (const [Class, names] of [[AbortSignal, ["aborted", "reason", "throwIfAborted"]], [AbortController, ["signal", "abort"]]]) {
  for (const name of names) Object.defineProperty(Class.prototype, name, { enumerable: true });
}

Object.assign(exports, { Event, CustomEvent, EventTarget, AbortSignal, AbortController, listenersOf, handler });
