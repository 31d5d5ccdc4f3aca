// `timers/promises`.

const errors = require("_errors");
const { timers } = inner;

const aborted = (signal) => new errors.AbortError(undefined, { cause: signal.reason });

function checked(options = {}) {
  errors.validateObject(options, "options");
  errors.validateAbortSignal(options.signal, "options.signal");
  if (options.ref !== undefined) errors.validateBoolean(options.ref, "options.ref");
  return options;
}

// One timer; `start` and `stop` are its functions.
async function once(start, stop, value, options) {
  const { signal, ref = true } = checked(options);
  if (signal?.aborted) throw aborted(signal);
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      stop(timer);
      reject(aborted(signal));
    };
    const timer = start(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    });
    if (!ref) timer.unref();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

const setTimeout = (delay, value, options) =>
  once((callback) => timers.setTimeout(callback, delay), timers.clearTimeout, value, options);
const setImmediate = (value, options) => once((callback) => timers.setImmediate(callback), timers.clearImmediate, value, options);

async function* setInterval(delay, value, options) {
  const { signal, ref = true } = checked(options);
  if (signal?.aborted) throw aborted(signal);
  let rings = 0;
  let wake = () => {};
  const timer = timers.setInterval(() => {
    rings++;
    wake();
  }, delay);
  if (!ref) timer.unref();
  const onAbort = () => wake();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      if (signal?.aborted) throw aborted(signal);
      if (rings === 0) await new Promise((resolve) => { wake = resolve; });
      for (; rings > 0; rings--) yield value;
    }
  } finally {
    timers.clearInterval(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

Object.assign(exports, {
  setTimeout, setImmediate, setInterval,
  scheduler: {
    wait: (delay, options) => setTimeout(delay, undefined, options),
    yield: () => setImmediate(),
  },
});
