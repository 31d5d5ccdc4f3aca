// The timers of the realm; `timers/promises` beside them.

Object.assign(exports, inner.timers);
delete exports.queueMicrotask;
Object.defineProperty(exports, "promises", {
  configurable: true,
  enumerable: true,
  get: () => require("timers/promises"),
});
