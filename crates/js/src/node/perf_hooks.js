// `perf_hooks`: marks and measures; nothing observes the process.

const errors = require("_errors");

class PerformanceEntry {
  constructor(name, entryType, startTime, duration, detail) {
    Object.assign(this, { name, entryType, startTime, duration });
    if (detail !== undefined) this.detail = detail;
  }
  toJSON() {
    const { name, entryType, startTime, duration, detail } = this;
    return detail === undefined ? { name, entryType, startTime, duration } : { name, entryType, startTime, duration, detail };
  }
}
class PerformanceMark extends PerformanceEntry {
  constructor(name, options = {}) {
    super(`${name}`, "mark", options.startTime ?? performance.now(), 0, options.detail ?? null);
  }
}
class PerformanceMeasure extends PerformanceEntry {}

let entries = [];
const observers = new Set();

function note(entry) {
  entries.push(entry);
  for (const observer of observers) observer.note(entry);
  return entry;
}

function timeOf(mark) {
  if (typeof mark === "number") return mark;
  const found = entries.findLast((entry) => entry.entryType === "mark" && entry.name === `${mark}`);
  if (found === undefined) throw new DOMException(`The "${mark}" performance mark has not been set`, "SyntaxError");
  return found.startTime;
}

class Performance extends require("_event_target").EventTarget {
  get timeOrigin() { return Date.now() - this.now(); }
  now() { return inner.now() - inner.began(); }
  mark(name, options) { return note(new PerformanceMark(name, options)); }
  measure(name, startOrOptions, end) {
    errors.validateString(name, "name");
    const options = typeof startOrOptions === "object" && startOrOptions !== null ? startOrOptions : { start: startOrOptions, end };
    const from = options.start === undefined
      ? options.duration !== undefined && options.end !== undefined ? timeOf(options.end) - options.duration : 0
      : timeOf(options.start);
    const to = options.end !== undefined ? timeOf(options.end) : options.duration !== undefined ? from + options.duration : this.now();
    return note(new PerformanceMeasure(name, "measure", from, to - from, options.detail ?? null));
  }
  getEntries() { return [...entries].sort((a, b) => a.startTime - b.startTime); }
  getEntriesByName(name, type) {
    return this.getEntries().filter((entry) => entry.name === `${name}` && (type === undefined || entry.entryType === type));
  }
  getEntriesByType(type) { return this.getEntries().filter((entry) => entry.entryType === type); }
  clearMarks(name) { clear("mark", name); }
  clearMeasures(name) { clear("measure", name); }
  clearResourceTimings() {}
  setResourceTimingBufferSize() {}
  timerify(body) {
    errors.validateFunction(body, "fn");
    return function (...args) {
      return new.target ? Reflect.construct(body, args, new.target) : Reflect.apply(body, this, args);
    };
  }
  eventLoopUtilization() { return { idle: 0, active: 0, utilization: 0 }; }
  toJSON() { return { timeOrigin: this.timeOrigin, eventLoopUtilization: this.eventLoopUtilization() }; }
}
Object.defineProperty(Performance.prototype, Symbol.toStringTag, { value: "Performance", configurable: true });
const performance = new Performance();

function clear(type, name) {
  entries = entries.filter((entry) => entry.entryType !== type || (name !== undefined && entry.name !== `${name}`));
}

class PerformanceObserver {
  #callback;
  #types = new Set();
  #waiting = [];
  constructor(callback) {
    errors.validateFunction(callback, "callback");
    this.#callback = callback;
  }
  static get supportedEntryTypes() { return ["mark", "measure"]; }
  observe(options = {}) {
    for (const type of options.entryTypes ?? [options.type]) this.#types.add(type);
    observers.add(this);
    if (options.buffered) for (const entry of entries) this.note(entry);
  }
  disconnect() {
    observers.delete(this);
    this.#waiting = [];
  }
  takeRecords() { return this.#waiting.splice(0); }
  note(entry) {
    if (!this.#types.has(entry.entryType)) return;
    this.#waiting.push(entry);
    if (this.#waiting.length > 1) return;
    inner.timers.setImmediate(() => {
      const list = this.takeRecords();
      if (list.length === 0) return;
      this.#callback({
        getEntries: () => list,
        getEntriesByName: (name) => list.filter((each) => each.name === name),
        getEntriesByType: (type) => list.filter((each) => each.entryType === type),
      }, this);
    });
  }
}

const histogram = () => ({
  count: 0, min: 0, max: 0, mean: 0, stddev: 0, exceeds: 0, percentiles: new Map(),
  record() {}, recordDelta() {}, reset() {}, enable: () => true, disable: () => true, percentile: () => 0, add() {},
});

Object.assign(exports, {
  Performance, PerformanceEntry, PerformanceMark, PerformanceMeasure, PerformanceObserver, performance,
  PerformanceResourceTiming: class PerformanceResourceTiming extends PerformanceEntry {},
  PerformanceObserverEntryList: class PerformanceObserverEntryList {},
  createHistogram: histogram,
  monitorEventLoopDelay: histogram,
  constants: Object.freeze({
    NODE_PERFORMANCE_GC_MAJOR: 4, NODE_PERFORMANCE_GC_MINOR: 1, NODE_PERFORMANCE_GC_INCREMENTAL: 8, NODE_PERFORMANCE_GC_WEAKCB: 16,
    NODE_PERFORMANCE_GC_FLAGS_NO: 0, NODE_PERFORMANCE_GC_FLAGS_CONSTRUCT_RETAINED: 2, NODE_PERFORMANCE_GC_FLAGS_FORCED: 4,
    NODE_PERFORMANCE_GC_FLAGS_SYNCHRONOUS_PHANTOM_PROCESSING: 8, NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE: 16,
    NODE_PERFORMANCE_GC_FLAGS_ALL_EXTERNAL_MEMORY: 32, NODE_PERFORMANCE_GC_FLAGS_SCHEDULE_IDLE: 64,
  }),
});
