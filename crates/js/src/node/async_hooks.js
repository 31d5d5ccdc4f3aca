// `async_hooks`: values that follow a call through its promises and timers.

const errors = require("_errors");
const context = require("_async_context");

// One for each store: the context is a map from these to values.
class AsyncLocalStorage {
  #defaultValue;
  #name;
  constructor(options = {}) {
    this.#defaultValue = options?.defaultValue;
    this.#name = options?.name ?? "";
  }
  get name() { return this.#name; }
  static bind(body) { return AsyncResource.bind(body); }
  static snapshot() {
    const kept = context.get();
    return (body, ...args) => context.run(kept, () => body(...args));
  }
  getStore() {
    const map = context.get();
    return map !== undefined && map.has(this) ? map.get(this) : this.#defaultValue;
  }
  enterWith(store) { context.set(new Map(context.get()).set(this, store)); }
  run(store, body, ...args) { return context.run(new Map(context.get()).set(this, store), () => Reflect.apply(body, null, args)); }
  exit(body, ...args) {
    const without = new Map(context.get());
    without.delete(this);
    return context.run(without, () => Reflect.apply(body, null, args));
  }
  disable() {
    const without = new Map(context.get());
    without.delete(this);
    context.set(without);
  }
}

let last = 1;

class AsyncResource {
  #context = context.get();
  #id = ++last;
  #trigger;
  constructor(type, options = {}) {
    errors.validateString(type, "type");
    this.#trigger = typeof options === "number" ? options : options?.triggerAsyncId ?? 1;
  }
  runInAsyncScope(body, self, ...args) { return context.run(this.#context, () => Reflect.apply(body, self, args)); }
  emitDestroy() { return this; }
  asyncId() { return this.#id; }
  triggerAsyncId() { return this.#trigger; }
  bind(body, self) {
    errors.validateFunction(body, "fn");
    const resource = this;
    const bound = self === undefined
      ? function (...args) { return resource.runInAsyncScope(body, this, ...args); }
      : (...args) => resource.runInAsyncScope(body, self, ...args);
    Object.defineProperty(bound, "length", { value: body.length, configurable: true });
    return bound;
  }
  static bind(body, type, self) { return new AsyncResource(type || body.name || "bound-anonymous-fn").bind(body, self); }
}

Object.assign(exports, {
  AsyncLocalStorage, AsyncResource,
  // Nothing calls such hooks.
  createHook: (callbacks) => {
    errors.validateObject(callbacks, "callbacks");
    return {
      enable() { return this; },
      disable() { return this; },
    };
  },
  executionAsyncId: () => 1,
  triggerAsyncId: () => 0,
  executionAsyncResource: () => ({}),
  asyncWrapProviders: Object.freeze({ __proto__: null }),
});
