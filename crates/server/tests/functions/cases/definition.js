// Forms of a function's file (functions-runtime.md §1).
//- functions/anonymous.js
exports = function (a, b) { return a + b; };
//= anonymous [{"$numberInt":"1"},{"$numberInt":"2"}]
//> {"$numberInt":"3"}
//- functions/named.js
exports = function outer(n) { return n === 0 ? "done" : outer(n - 1); };
//= named [3]
//> "done"
//- functions/arrow.js
exports = (...all) => all.length;
//= arrow [1,2,3,4]
//> {"$numberInt":"4"}
//- functions/awaits.js
exports = async (n) => { const m = await n; return m * 2; };
//= awaits [21]
//> {"$numberInt":"42"}
//- functions/declared.js
function later() { return helper(); }
exports = later;
function helper() { return "hoisted"; }
//= declared
//> "hoisted"
//- functions/last.js
exports = () => "first";
exports = () => "last";
//= last
//> "last"
//- functions/assigned.js
let f;
f = exports = function () { return f === exports; };
//= assigned
//> true
//- functions/class.js
class Greeter { constructor(name) { this.name = name; } greet() { return `hello ${this.name}`; } }
exports = (name) => new Greeter(name).greet();
//= class ["you"]
//> "hello you"
//- functions/generator.js
exports = function () { function* count() { yield 1; yield 2; } return [...count()]; };
//= generator
//> [{"$numberInt":"1"},{"$numberInt":"2"}]
//- functions/deep/er/down.js
exports = () => "down";
//= deep/er/down
//> "down"
//- functions/isolated.js
let calls = 0;
exports = () => { globalThis.left = (globalThis.left ?? 0) + 1; Object.prototype.left = 1; return [++calls, globalThis.left]; };
//= isolated
//> [{"$numberInt":"1"},{"$numberInt":"1"}]
//= isolated
//> [{"$numberInt":"1"},{"$numberInt":"1"}]
//- functions/jest.js
function greet(word) { return "hello " + word; }
exports = greet;
if (typeof module !== "undefined") { module.exports = { greet }; }
//= jest ["jest"]
//> "hello jest"
//- functions/types.js
exports = () => [typeof module, typeof require, typeof exports, typeof context, typeof __dirname];
//= types
//> ["undefined","function","function","object","undefined"]
//- functions/requires.js
const { setTimeout: wait } = require("timers");
exports = () => typeof wait === "function" && require("timers") === require("node:timers");
//= requires
//> true
//- functions/missing.js
exports = () => { try { return require("no-such-package"); } catch (error) { return [error.code, error.message]; } };
//= missing
//> ["MODULE_NOT_FOUND","Cannot find module 'no-such-package'…]
//- functions/relative.js
exports = () => require("./anonymous");
//= relative
//! FunctionExecutionError: Error: Cannot find module './anonymous'…
//- functions/number.js
exports = 5;
//= number
//! FunctionExecutionError: TypeError: exports is not a function
//- functions/nothing.js
const unused = 1;
//= nothing
//! FunctionExecutionError: TypeError: exports is not a function
//- functions/top.js
throw new RangeError("at the top");
exports = () => 1;
//= top
//! FunctionExecutionError: RangeError: at the top
//- functions/undrained.js {"run_as_system":true}
exports = async function (write) {
  const kept = context.services.get("mongodb-atlas").db("%DB%").collection("undrained");
  if (write) { later(kept); return "before"; }
  return kept.count();
};
async function later(kept) {
  await kept.insertOne({ n: 1 });
  await new Promise((done) => setTimeout(done, 5));
  await kept.insertOne({ n: 2 });
}
//= undrained [true]
//> "before"
//= undrained [false]
//> {"$numberInt":"2"}
//- functions/drop.js {"private":true}
exports = () => 1;
//= drop
//! NotCallable: function 'drop' is private
//- functions/callsPrivate.js
exports = () => context.functions.execute("drop");
//= callsPrivate
//> {"$numberInt":"1"}
//- functions/ifAlice.js {"can_evaluate":{"%%user.data.email":"alice@example.com"}}
exports = () => "in";
//= ifAlice
//> "in"
//= bob: ifAlice
//! FunctionExecutionError: rule not matched for function "ifAlice"
//- functions/ifEmpty.js {"can_evaluate":{}}
exports = () => "in";
//= bob: ifEmpty
//> "in"
//- functions/ifFunction.js {"can_evaluate":{"%%true":{"%function":{"name":"startsWith","arguments":["%%user.data.email","bob"]}}}}
exports = () => "in";
//- functions/startsWith.js {"private":true}
exports = (text, start) => text.startsWith(start);
//= bob: ifFunction
//> "in"
//= ifFunction
//! FunctionExecutionError: rule not matched for function "ifFunction"
//- functions/ifThrows.js {"can_evaluate":{"%%true":{"%function":{"name":"throws"}}}}
exports = () => "in";
//- functions/throws.js {"private":true}
exports = () => { throw new Error("no"); };
//= ifThrows
//! FunctionExecutionError: …
//= noSuchFunction
//! FunctionNotFound: function not found: 'noSuchFunction'
