// The console and the log (functions-runtime.md §3).
//- functions/kinds.js
exports = () => { console.log("log"); console.info("info"); console.debug("debug"); console.warn("warn"); console.error("error"); };
//= kinds
//> {"$undefined":true}
//~ log
//~ info
//~ debug
//~ warn
//~ error
//- functions/joined.js
exports = () => { console.log("a", 1, true, null, undefined, 2.5); console.log(); };
//= joined
//> {"$undefined":true}
//~ a 1 true null undefined 2.5
//~ 
//- functions/objects.js
exports = () => { console.log({ a: 1, b: ["c"] }, [1, 2]); console.log(new BSON.ObjectId("5fd45718cface356de9d104d")); };
//= objects
//> {"$undefined":true}
//~ {"a":1,"b":["c"]} [1,2]
//~ {"$oid":"5fd45718cface356de9d104d"}
//- functions/last.js
exports = () => { for (let n = 0; n < 30; n++) console.log(`line ${n}`); };
//= last
//> {"$undefined":true}
//~ line 5
//~ line 6
//~ line 7
//~ line 8
//~ line 9
//~ line 10
//~ line 11
//~ line 12
//~ line 13
//~ line 14
//~ line 15
//~ line 16
//~ line 17
//~ line 18
//~ line 19
//~ line 20
//~ line 21
//~ line 22
//~ line 23
//~ line 24
//~ line 25
//~ line 26
//~ line 27
//~ line 28
//~ line 29
//- functions/mapped.js
exports = () => { ["a", "b"].forEach((value) => console.log(value)); Promise.resolve("c").then(console.log); return 1; };
//= mapped
//> {"$numberInt":"1"}
//~ a
//~ b
//~ c
//- functions/failed.js
exports = () => { console.log("before"); throw new Error("after"); };
//= failed
//! FunctionExecutionError: Error: after
//~ before
