// What readable streams share with arrays: `map`, `filter`, `reduce` and so on.

const errors = require("_errors");
const Readable = require("_stream_readable");

const aborted = (signal) => new errors.AbortError(undefined, { cause: signal.reason });

function requireFunction(value, name) {
  if (typeof value !== "function") throw errors.invalidType(name, ["Function", "AsyncFunction"], value);
}

function checked(options) {
  if (options === undefined || options === null) return {};
  errors.validateObject(options, "options");
  errors.validateAbortSignal(options.signal, "options.signal");
  concurrencyOf(options);
  return options;
}

function concurrencyOf(options) {
  const concurrency = options.concurrency === undefined ? 1 : Math.floor(options.concurrency);
  errors.validateInteger(concurrency, "options.concurrency", 1);
  return concurrency;
}

// Results in order, of at most `concurrency` calls at a time.
async function* mapped(stream, each, options) {
  const { AbortController } = require("_event_target");
  const concurrency = concurrencyOf(options);
  const controller = new AbortController();
  const abort = () => controller.abort(options.signal.reason);
  if (options.signal?.aborted) throw aborted(options.signal);
  options.signal?.addEventListener("abort", abort, { once: true });
  const running = [];
  const iterator = stream[Symbol.asyncIterator]();
  let done = false;
  try {
    for (;;) {
      while (!done && running.length < concurrency) {
        const next = await iterator.next();
        if (options.signal?.aborted) throw aborted(options.signal);
        if (next.done) {
          done = true;
          break;
        }
        let result;
        try {
          result = Promise.resolve(each(next.value, { signal: controller.signal }));
        } catch (error) {
          result = Promise.reject(error);
        }
        result.catch(() => {});
        running.push(result);
      }
      if (running.length === 0) return;
      const result = await running.shift();
      if (options.signal?.aborted) throw aborted(options.signal);
      yield result;
    }
  } finally {
    controller.abort();
    options.signal?.removeEventListener("abort", abort);
    if (!done) await iterator.return?.();
  }
}

async function* kept(stream, each, options) {
  const pairs = mapped(stream, async (value, context) => [await each(value, context), value], options);
  for await (const [keeps, value] of pairs) {
    if (keeps) yield value;
  }
}

async function* flattened(stream, each, options) {
  for await (const values of mapped(stream, each, options)) yield* values;
}

async function* plain(stream, options) {
  for await (const value of stream) {
    if (options.signal?.aborted) throw aborted(options.signal);
    yield value;
  }
}

async function* dropped(stream, count, options) {
  for await (const value of plain(stream, options)) {
    if (count-- <= 0) yield value;
  }
}

async function* taken(stream, count, options) {
  if (count <= 0) return;
  for await (const value of plain(stream, options)) {
    if (count-- > 0) yield value;
    if (count <= 0) return;
  }
}

function countOf(number) {
  number = Number(number);
  if (Number.isNaN(number)) return 0;
  if (number < 0) throw errors.outOfRange("number", ">= 0", number);
  return number;
}

// Those that answer streams.
const streams = {
  map(each, options) {
    requireFunction(each, "fn");
    return Readable.from(mapped(this, each, checked(options)));
  },
  filter(each, options) {
    requireFunction(each, "fn");
    return Readable.from(kept(this, each, checked(options)));
  },
  flatMap(each, options) {
    requireFunction(each, "fn");
    return Readable.from(flattened(this, each, checked(options)));
  },
  drop(number, options) {
    return Readable.from(dropped(this, countOf(number), checked(options)));
  },
  take(number, options) {
    return Readable.from(taken(this, countOf(number), checked(options)));
  },
  asIndexedPairs(options) {
    const source = plain(this, checked(options));
    return Readable.from((async function* () {
      let index = 0;
      for await (const value of source) yield [index++, value];
    })());
  },
  compose(stream, options) {
    checked(options);
    const composed = require("_stream_ends").compose(this, stream);
    if (options?.signal) require("_stream_ends").addAbortSignal(options.signal, composed);
    return composed;
  },
};

// Those that answer promises.
const promises = {
  async forEach(each, options) {
    requireFunction(each, "fn");
    for await (const _ of mapped(this, async (value, context) => { await each(value, context); }, checked(options)));
  },
  async toArray(options) {
    const all = [];
    for await (const value of plain(this, checked(options))) all.push(value);
    return all;
  },
  async some(each, options) {
    requireFunction(each, "fn");
    for await (const _ of kept(this, each, checked(options))) return true;
    return false;
  },
  async every(each, options) {
    requireFunction(each, "fn");
    const fails = async (...args) => !(await each(...args));
    for await (const _ of kept(this, fails, checked(options))) return false;
    return true;
  },
  async find(each, options) {
    requireFunction(each, "fn");
    for await (const value of kept(this, each, checked(options))) return value;
    return undefined;
  },
  async reduce(each, ...rest) {
    requireFunction(each, "reducer");
    const hasInitial = rest.length > 0;
    let value = rest[0];
    const options = checked(rest[1]);
    if (options.signal?.aborted) {
      const error = aborted(options.signal);
      this.once("error", () => {});
      this.destroy(error);
      throw error;
    }
    let any = false;
    for await (const next of plain(this, options)) {
      if (!any && !hasInitial) value = next;
      else value = await each(value, next, { signal: options.signal });
      any = true;
    }
    if (!any && !hasInitial) throw errors.coded(TypeError, "ERR_MISSING_ARGS", "Reduce of an empty stream requires an initial value");
    return value;
  },
};

for (const [name, method] of [...Object.entries(streams), ...Object.entries(promises)]) {
  Object.defineProperty(Readable.prototype, name, { value: method, writable: true, configurable: true, enumerable: false });
}
