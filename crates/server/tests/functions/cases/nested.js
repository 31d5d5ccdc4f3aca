// Functions that call functions, in one realm (functions-runtime.md §2, §8).
//- functions/add.js
exports = (a, b) => a + b;
//- functions/addLater.js
exports = async (a, b) => a + b;
//- functions/sync.js
exports = () => { const sum = context.functions.execute("add", 1, 2); return [typeof sum, sum]; };
//= sync
//> ["number",{"$numberInt":"3"}]
//- functions/later.js
exports = async () => { const sum = context.functions.execute("addLater", 1, 2); return [sum instanceof Promise, await sum]; };
//= later
//> [true,{"$numberInt":"3"}]
//- functions/live.js
exports = () => {
  const passed = { n: 1 };
  const back = context.functions.execute("identity", passed);
  return [back === passed, context.functions.execute("identity", undefined), context.functions.execute("identity", new Map()) instanceof Map];
};
//- functions/identity.js
exports = (value) => value;
//= live
//> [true,{"$undefined":true},true]
//- functions/callback.js
exports = () => context.functions.execute("twice", (n) => n + 1, 5);
//- functions/twice.js
exports = (f, n) => f(f(n));
//= callback
//> {"$numberInt":"7"}
//- functions/catches.js
exports = () => {
  try { context.functions.execute("fails"); } catch (error) { return [error.name, error.message, error.extra, error instanceof RangeError]; }
};
//- functions/fails.js
exports = () => { throw Object.assign(new RangeError("inner"), { extra: { n: 1 } }); };
//= catches
//> ["RangeError","inner",{"n":{"$numberInt":"1"}},true]
//- functions/passes.js
exports = async () => context.functions.execute("fails");
//= passes
//! FunctionExecutionError: RangeError: inner
//- functions/missing.js
exports = () => context.functions.execute("nobody");
//= missing
//! FunctionExecutionError: Error: function not found: 'nobody'
//- functions/fresh.js
let n = 0;
exports = (depth) => { n++; if (depth > 0) context.functions.execute("fresh", depth - 1); return n; };
//= fresh [3]
//> {"$numberInt":"1"}
//- functions/global.js
exports = () => { globalThis.shared = 1; return context.functions.execute("readsGlobal"); };
//- functions/readsGlobal.js
exports = () => globalThis.shared;
//= global
//> {"$numberInt":"1"}
//- functions/logs.js
exports = () => { console.log("outer"); context.functions.execute("logsInner"); };
//- functions/logsInner.js
exports = () => { console.log("inner"); };
//= logs
//> {"$undefined":true}
//~ outer
//~ inner
//- functions/sameContext.js
exports = () => context.functions.execute("whoInner") === context.user.id;
//- functions/whoInner.js
exports = () => context.user.id;
//= sameContext
//> true
