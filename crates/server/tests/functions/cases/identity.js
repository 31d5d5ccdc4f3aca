// As whom a function runs (functions-runtime.md §1, §2).
//- functions/who.js
exports = () => [context.user.id, context.runningAsSystem()];
//= who
//> ["%USER%",false]
//- functions/system.js {"run_as_system":true}
exports = () => [context.user.id, context.user.type, context.runningAsSystem()];
//= system
//> ["%USER%","normal",true]
//- functions/wins.js {"run_as_system":true,"run_as_user_id":"5fd45718cface356de9d104d"}
exports = () => context.runningAsSystem();
//= wins
//> true
//- functions/nobody.js {"run_as_user_id":"5fd45718cface356de9d104d"}
exports = () => 1;
//= nobody
//! FunctionExecutionError: user not found: '5fd45718cface356de9d104d'
//- functions/chosen.js {"run_as_user_id_script_source":"exports = () => context.user.id"}
exports = () => [context.user.id, context.runningAsSystem()];
//= bob: chosen
//> ["%USER%",false]
//- functions/chosenSystem.js {"run_as_user_id_script_source":"exports = async () => ({ runAsSystem: true })"}
exports = () => context.runningAsSystem();
//= chosenSystem
//> true
//- functions/frames.js
exports = async () => {
  const inside = context.functions.execute("system");
  const passed = await context.functions.execute("calls", () => context.runningAsSystem());
  return [inside[2], context.runningAsSystem(), ...passed];
};
//- functions/calls.js {"run_as_system":true}
exports = async (f) => [context.runningAsSystem(), await f()];
//= frames
//> [true,false,true,false]
//- functions/inherits.js {"run_as_system":true}
exports = () => context.functions.execute("inner");
//- functions/inner.js {"private":true}
exports = () => context.runningAsSystem();
//= inherits
//> true
//- data_sources/mongodb-atlas/%DB%/notes/rules.json
{"database":"%DB%","collection":"notes","roles":[{"name":"owner","apply_when":{"owner":"%%user.id"},
 "insert":true,"delete":true,"read":true,"write":true,"search":true}]}
//- functions/write.js
exports = (owner) => context.services.get("mongodb-atlas").db("%DB%").collection("notes").insertOne({ owner: owner ?? context.user.id });
//- functions/read.js
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("notes").count();
//- functions/readAll.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("notes").count();
//- functions/readBoth.js
exports = async () => [await context.functions.execute("readAll"), await context.functions.execute("read")];
//= write
//> {"insertedId":{"$oid":"…"}}
//= bob: write
//> {"insertedId":{"$oid":"…"}}
//= write ["somebody"]
//! FunctionExecutionError: Error: insert not permitted
//= read
//> {"$numberInt":"1"}
//= readBoth
//> [{"$numberInt":"2"},{"$numberInt":"1"}]
//- functions/other.js
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("other").count();
//= other
//! FunctionExecutionError: Error: no rule exists for namespace '%DB%.other'
