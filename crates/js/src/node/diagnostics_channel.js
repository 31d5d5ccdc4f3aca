// `diagnostics_channel`: named places where packages tell and hear of things.

const { invalidType } = require("_errors");

const channels = new Map();

class Channel {
  #subscribers = [];
  #stores = new Map();
  constructor(name) { this.name = name; }
  get hasSubscribers() { return this.#subscribers.length > 0 || this.#stores.size > 0; }
  subscribe(listener) {
    if (typeof listener !== "function") throw invalidType("subscription", "function", listener);
    this.#subscribers = [...this.#subscribers, listener];
  }
  unsubscribe(listener) {
    const index = this.#subscribers.indexOf(listener);
    if (index < 0) return false;
    this.#subscribers = this.#subscribers.filter((_, other) => other !== index);
    return true;
  }
  publish(message) {
    for (const listener of this.#subscribers) {
      try {
        listener(message, this.name);
      } catch (error) {
        require("process").nextTick(() => { throw error; });
      }
    }
  }
  bindStore(store, transform) { this.#stores.set(store, transform); }
  unbindStore(store) { return this.#stores.delete(store); }
  runStores(message, body, self, ...args) {
    let run = () => {
      this.publish(message);
      return Reflect.apply(body, self, args);
    };
    for (const [store, transform] of this.#stores) {
      const inside = run;
      run = () => store.run(transform ? transform(message) : message, inside);
    }
    return run();
  }
}

function channel(name) {
  if (typeof name !== "string" && typeof name !== "symbol") throw invalidType("channel", ["string", "symbol"], name);
  if (!channels.has(name)) channels.set(name, new Channel(name));
  return channels.get(name);
}

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"];

class TracingChannel {
  constructor(names) {
    for (const event of EVENTS) this[event] = typeof names === "string" ? channel(`tracing:${names}:${event}`) : names[event];
  }
  get hasSubscribers() { return EVENTS.some((event) => this[event]?.hasSubscribers); }
  subscribe(handlers) { for (const event of EVENTS) if (handlers[event]) this[event]?.subscribe(handlers[event]); }
  unsubscribe(handlers) {
    let done = true;
    for (const event of EVENTS) if (handlers[event] && !this[event]?.unsubscribe(handlers[event])) done = false;
    return done;
  }
  traceSync(body, context = {}, self, ...args) {
    return this.start.runStores(context, () => {
      try {
        return (context.result = Reflect.apply(body, self, args));
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
  tracePromise(body, context = {}, self, ...args) {
    const settle = (value, key) => {
      context[key] = value;
      if (key === "error") this.error.publish(context);
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
    };
    return this.start.runStores(context, () => {
      try {
        return Promise.resolve(Reflect.apply(body, self, args)).then(
          (value) => {
            settle(value, "result");
            return value;
          },
          (error) => {
            settle(error, "error");
            throw error;
          });
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
  traceCallback(body, position = -1, context = {}, self, ...args) {
    const index = position < 0 ? args.length + position : position;
    const callback = args[index];
    args.splice(index, 1, (...results) => {
      if (results[0]) {
        context.error = results[0];
        this.error.publish(context);
      } else {
        context.result = results[1];
      }
      return this.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(callback, undefined, results);
        } finally {
          this.asyncEnd.publish(context);
        }
      });
    });
    return this.traceSync(body, context, self, ...args);
  }
}

Object.assign(exports, {
  channel, Channel,
  hasSubscribers: (name) => channels.get(name)?.hasSubscribers ?? false,
  subscribe: (name, listener) => channel(name).subscribe(listener),
  unsubscribe: (name, listener) => channel(name).unsubscribe(listener),
  tracingChannel: (names) => new TracingChannel(names),
});
