// The value that follows a call through promises and timers. The engine tells
// nothing of its jobs, but it reads `constructor` of each promise that is
// awaited or followed: there a first reaction is added, which runs right before
// the awaiting one and puts the value back.

const { get, set, follow, onTimers } = inner.context;
const { then } = Promise.prototype;
const Intrinsic = Promise;
let started = false;
let adding = false;

function run(value, body) {
  start();
  const before = get();
  set(value);
  try {
    return body();
  } finally {
    set(before);
  }
}

// From the first use on, so that calls without it pay nothing.
function start() {
  if (started) return;
  started = true;
  Object.defineProperty(Intrinsic.prototype, "constructor", {
    configurable: true,
    enumerable: false,
    get() {
      if (!adding && inner.promise(this) !== undefined) {
        adding = true;
        try {
          const kept = get();
          const back = () => set(kept);
          Reflect.apply(then, this, [back, back]);
        } finally {
          adding = false;
        }
      }
      return Intrinsic;
    },
    set(value) {
      Object.defineProperty(this, "constructor", { value, writable: true, enumerable: true, configurable: true });
    },
  });
  // What is awaited and is no promise becomes one that has a value at once.
  follow();
  onTimers((callback) => {
    const kept = get();
    return function (...args) {
      return run(kept, () => Reflect.apply(callback, this, args));
    };
  });
}

Object.assign(exports, {
  get, run,
  set: (value) => {
    start();
    set(value);
  },
});
