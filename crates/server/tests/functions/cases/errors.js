// Errors in the service's words (functions-runtime.md §7).
//- functions/fails.js
const failures = {
  reference: () => missing,
  member: () => context.services.get("no").db("d"),
  nothing: () => null.field,
  call: () => { const f = 5; return f(); },
  error: () => { throw new Error("mine"); },
  custom: () => { class Broken extends Error { constructor(m) { super(m); this.name = "Broken"; } } throw new Broken("custom"); },
  text: () => { throw "just text"; },
  object: () => { throw { a: 1, b: "c" }; },
  nobody: () => { throw undefined; },
  number: () => { throw 5; },
  later: async () => { await null; throw new TypeError("later"); },
  lost: () => { Promise.reject(new TypeError("lost")); return 1; },
  timer: () => { setTimeout(() => { throw new Error("in a timer"); }, 1); return 1; },
  never: () => new Promise(() => {}),
  code: () => { throw Object.assign(new Error("made up"), { code: "InvalidSession" }); },
  syntax: () => new Function("return (")(),
  deep: () => { const f = () => f(); return f(); },
  parse: () => EJSON.parse("{"),
  json: () => JSON.parse("{"),
};
exports = (name) => failures[name]();
//= fails ["reference"]
//! FunctionExecutionError: ReferenceError: 'missing' is not defined
//= fails ["member"]
//! FunctionExecutionError: TypeError: Cannot access member 'db' of undefined
//= fails ["nothing"]
//! FunctionExecutionError: TypeError: Cannot access member 'field' of null
//= fails ["call"]
//! FunctionExecutionError: TypeError: …
//= fails ["error"]
//! FunctionExecutionError: Error: mine
//= fails ["custom"]
//! FunctionExecutionError: Broken: custom
//= fails ["text"]
//! FunctionExecutionError: just text
//= fails ["object"]
//! FunctionExecutionError: {"a":1,"b":"c"}
//= fails ["nobody"]
//! FunctionExecutionError: undefined
//= fails ["number"]
//! FunctionExecutionError: 5
//= fails ["later"]
//! FunctionExecutionError: TypeError: later
//= fails ["lost"]
//! FunctionExecutionError: uncaught promise rejection: {"message":"lost","name":"TypeError"}
//= fails ["timer"]
//! FunctionExecutionError: Error: in a timer
//= fails ["never"]
//! FunctionExecutionError: Error: the function's promise never settles
//= fails ["code"]
//! FunctionExecutionError: Error: made up
//= fails ["syntax"]
//! FunctionExecutionError: SyntaxError: …
//= fails ["deep"]
//! FunctionExecutionError: RangeError: Maximum call stack size exceeded
//= fails ["parse"]
//! FunctionExecutionError: SyntaxError: …
//= fails ["json"]
//! FunctionExecutionError: SyntaxError: …
//- functions/handled.js
exports = async () => { const failed = Promise.reject(new Error("late")); await null; await null; try { await failed; } catch (error) { return error.message; } };
//= handled
//> "late"
//- functions/memory.js
exports = () => { const all = []; for (;;) all.push(new Array(1e6).fill(all.length)); };
//= memory
//! FunctionExecutionError: execution memory limit exceeded
//- functions/operations.js {"run_as_system":true}
exports = async () => {
  const c = context.services.get("mongodb-atlas").db("%DB%").collection("c");
  for (let n = 0; ; n++) await c.count();
};
//= operations
//! FunctionExecutionError: RangeError: a function may start 1000 operations at most
