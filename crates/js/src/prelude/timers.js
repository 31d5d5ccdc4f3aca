// ---- Timers.

// Keeps what follows a call (`async_hooks`) for a callback.
let inContext = (callback) => callback;

// What `setTimeout` and `setInterval` answer. A number stands for it too.
class Timeout {
  #id;
  #start;
  #keeps = true;
  constructor(callback, delay, args, repeats) {
    requireCallback(callback);
    callback = inContext(callback);
    delay = Number(delay);
    if (!(delay >= 1 && delay <= 0x7fffffff)) delay = 1;
    this.#start = () => natives.timer(() => {
      if (!repeats) this.#id = undefined;
      callback.apply(this, args);
    }, delay, repeats);
    this.#id = this.#start();
  }
  ref() { return this.#keep(true); }
  unref() { return this.#keep(false); }
  hasRef() { return this.#keeps; }
  #keep(keeps) {
    this.#keeps = keeps;
    if (this.#id !== undefined) natives.keepTimer(this.#id, keeps);
    return this;
  }
  refresh() {
    if (this.#id === undefined) return this;
    natives.clearTimer(this.#id);
    this.#id = this.#start();
    return this.#keep(this.#keeps);
  }
  close() {
    clear(this);
    return this;
  }
  [Symbol.toPrimitive]() { return this.#id ?? 0; }
  static clear(timeout) {
    natives.clearTimer(timeout.#id);
    timeout.#id = undefined;
  }
}

// What `setImmediate` answers.
class Immediate {
  #id;
  #keeps = true;
  constructor(callback, args) {
    requireCallback(callback);
    callback = inContext(callback);
    this.#id = natives.timer(() => callback.apply(this, args), 0, false);
  }
  ref() { return this.#keep(true); }
  unref() { return this.#keep(false); }
  hasRef() { return this.#keeps; }
  #keep(keeps) {
    this.#keeps = keeps;
    natives.keepTimer(this.#id, keeps);
    return this;
  }
  static clear(immediate) { natives.clearTimer(immediate.#id); }
}

const requireCallback = (callback) => {
  if (typeof callback !== "function") requireBuiltin("_errors").validateFunction(callback, "callback");
};
const clear = (timer) => {
  if (timer instanceof Timeout) Timeout.clear(timer);
  else if (timer instanceof Immediate) Immediate.clear(timer);
  else if (typeof timer === "number" || typeof timer === "string") natives.clearTimer(Number(timer));
};

const timers = {
  setTimeout(callback, delay, ...args) { return new Timeout(callback, delay, args, false); },
  setInterval(callback, delay, ...args) { return new Timeout(callback, delay, args, true); },
  setImmediate(callback, ...args) { return new Immediate(callback, args); },
  clearTimeout(timer) { clear(timer); },
  clearInterval(timer) { clear(timer); },
  clearImmediate(timer) { clear(timer); },
  queueMicrotask(callback) {
    requireCallback(callback);
    settled.then(inContext(() => callback())).catch(uncaught);
  },
};
for (const name of ["setTimeout", "setImmediate"]) {
  Object.defineProperty(timers[name], Symbol.for("nodejs.util.promisify.custom"), {
    enumerable: true,
    get: () => requireBuiltin("timers/promises")[name],
  });
}
const settled = Promise.resolve();
// An error outside of any promise: the call fails with it.
const uncaught = (error) => { natives.timer(() => { throw error; }, 0, false); };

