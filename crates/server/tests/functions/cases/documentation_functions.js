// What the pages about functions show: definitions, context, errors, retries, tests, global modules.
//- functions/hello.js
exports = function (name) { return `Hello, ${name ?? "stranger"}!`; };
//= hello ["you"]
//> "Hello, you!"
//= hello
//> "Hello, stranger!"
//- functions/said.js
exports = function Hello(name) { console.log(`Said hello to ${name}`); return `Hello, ${name}!`; };
//= said ["Bob"]
//> "Hello, Bob!"
//~ Said hello to Bob
//- functions/sum.js
exports = function sum(a, b) { return a + b; };
//- functions/difference.js
exports = function difference(a, b) { return context.functions.execute("sum", a, -1 * b); };
//= difference [{"$numberInt":"5"},{"$numberInt":"3"}]
//> {"$numberInt":"2"}
//- values/theme.json
{"name":"theme","value":{"colors":{"red":"#ee1111","blue":"#1111ee"}},"from_secret":false}
//- functions/theme.js
exports = function () { const theme = context.values.get("theme"); console.log(theme.colors); console.log(theme.colors.red); };
//= theme
//> {"$undefined":true}
//~ {"red":"#ee1111","blue":"#1111ee"}
//~ #ee1111
//- values/greeting.json
{"name":"greeting","value":"beautiful world","from_secret":false}
//- functions/greets.js
function greet() { return "hello " + context.values.get("greeting"); }
exports = greet;
if (typeof module !== "undefined") { module.exports = greet; }
//= greets
//> "hello beautiful world"
//- functions/tag.js
exports = async function () {
  switch (context.environment.tag) {
    case "": return "none";
    case "qa": return "quality";
    default: return "other";
  }
};
//= tag
//> "quality"
//- functions/asSystem.js
exports = function () { return context.runningAsSystem() ? "rules are skipped" : "rules hold"; };
//= asSystem
//> "rules hold"
//- functions/users.js
exports = async function () {
  const response = await context.http.get({ url: "%HTTP%/echo" });
  return EJSON.parse(response.body.text()).target;
};
//= users
//> "/echo"
//- functions/messages.js
exports = async function (verb) {
  const response = await context.http[verb]({ url: "%HTTP%/echo", body: { msg: "in the body" }, encodeBodyAsJSON: true });
  const { method, body } = EJSON.parse(response.body.text());
  return [method, EJSON.parse(body)];
};
//= messages ["post"]
//> ["POST",{"msg":"in the body"}]
//= messages ["put"]
//> ["PUT",{"msg":"in the body"}]
//= messages ["patch"]
//> ["PATCH",{"msg":"in the body"}]
//- functions/deletes.js
exports = async function () { const response = await context.http.delete({ url: "%HTTP%/echo" }); return response.statusCode; };
//= deletes
//> {"$numberInt":"200"}
//- functions/head.js
exports = async function () { const response = await context.http.head({ url: "%HTTP%/echo" }); return response.body.text(); };
//= head
//> ""
//- services/myHttp/config.json
{"name":"myHttp","type":"http","config":{},"version":1}
//- services/myHttp/rules/all.json
{"name":"all","actions":["get","post"],"when":{}}
//- functions/service.js
exports = async function () {
  const http = context.services.get("myHttp");
  try {
    const response = await http.get({ url: "%HTTP%/echo" });
    return JSON.parse(response.body.text()).method;
  } catch (error) {
    console.error(error);
  }
};
//= service
//> "GET"
//- functions/action.js
exports = () => context.services.get("myHttp").post({
  url: "%HTTP%/echo", headers: { "Content-Type": ["application/json"] }, body: { msg: "from an action" },
}).then((response) => JSON.parse(response.body.text()).body);
//= action
//> "{\"msg\":\"from an action\"}"
//- functions/handles.js
function willThrow() {
  try { throw new Error("always"); } catch (error) { console.error("An error occurred. Error:" + error.message); }
}
exports = willThrow;
//= handles
//> {"$undefined":true}
//~ An error occurred. Error:always
//- functions/mightFail.js
async function sleep(ms) { await new Promise((resolve) => setTimeout(resolve, ms)); }
const TRIES_MAX = 3;
let tries = 0;
let message = "";
async function mightFail(...inputs) {
  if (tries === TRIES_MAX) { console.error(`Reached maximum number of retries (${TRIES_MAX})`); console.error("Error:", message); return; }
  let result;
  try { result = await flaky(...inputs); } catch (error) {
    message = error.message;
    await sleep(1);
    tries++;
    result = await mightFail(...inputs);
  }
  return result;
}
async function flaky(at) { await sleep(1); if (tries === at) return true; throw new Error("broken"); }
exports = mightFail;
//= mightFail [2]
//> true
//= mightFail [9]
//> {"$undefined":true}
//~ Reached maximum number of retries (3)
//~ Error: broken
//- functions/handleRetry.js {"private":true,"run_as_system":true}
const RETRIES_MAX = 5;
async function handleRetry(toRetry, name, operationId, previous, ...args) {
  try {
    return await toRetry(...args);
  } catch (error) {
    if (previous === RETRIES_MAX) throw new Error(`Maximum number of attempts reached (${RETRIES_MAX}) for function '${name}': ${error.message}`);
    const entry = { operationId, errorMessage: error.message, timestamp: new Date(), retries: previous + 1, args, functionName: name };
    await context.services.get("mongodb-atlas").db("%DB%").collection("failed").insertOne(entry);
    return;
  }
}
exports = handleRetry;
//- functions/addition.js
function additionOrFailure(a, b) { if (a < 0) throw new Error("Uh oh!!"); return a + b; }
exports = (a, b, operationId = new BSON.ObjectId(), retries = 0) =>
  context.functions.execute("handleRetry", additionOrFailure, "addition", operationId, retries, a, b);
//- functions/retries.js {"run_as_system":true}
exports = async () => {
  const { args, retries, functionName, operationId } = await context.services.get("mongodb-atlas").db("%DB%").collection("failed").findOne();
  const again = await context.functions.execute(functionName, ...args.map(Math.abs), operationId, retries);
  return [again, retries, functionName, operationId instanceof BSON.ObjectId];
};
//= addition [{"$numberInt":"1"},{"$numberInt":"2"}]
//> {"$numberInt":"3"}
//= addition [{"$numberInt":"-1"},{"$numberInt":"2"}]
//> {"$undefined":true}
//= addition [{"$numberInt":"-1"},{"$numberInt":"2"},null,{"$numberInt":"5"}]
//! FunctionExecutionError: Error: Maximum number of attempts reached (5) for function 'addition': Uh oh!!
//= retries
//> [{"$numberInt":"3"},{"$numberInt":"1"},"addition",true]
//- functions/globals.js
const globals = {
  jsonParse: () => JSON.parse('{"answer":"42","at":"2020-03-02T16:46:47.977Z"}'),
  jsonStringify: () => JSON.stringify({ answer: 42, at: new Date("2020-03-02T16:46:47.977Z") }),
  ejsonParse: () => EJSON.parse('{"answer":{"$numberLong":"42"},"at":{"$date":{"$numberLong":"1583167607977"}}}'),
  ejsonStringify: () => EJSON.stringify({ answer: BSON.Long(42), at: new Date("2020-03-02T16:46:47.977Z") }),
  objectId: () => [new BSON.ObjectId("5e58667d902d38559c802b13"), typeof new BSON.ObjectId()],
  regexp: () => BSON.BSONRegExp("the great", "ig"),
  // The documentation's own sample ends with what base64 would end with.
  hex: () => BSON.Binary.fromHex("54657374206d65737361676520706c656173652069676e6f7265=").toHex(),
  base64: () => BSON.Binary.fromBase64("VGVzdCBtZXNzYWdlIHBsZWFzZSBpZ25vcmU=").text(),
  numbers: () => [BSON.Int32(42), BSON.Long(600206158, 342), BSON.Double(1234.5678), BSON.Decimal128.fromString("1234.5678910123456")],
  hmac: () => utils.crypto.hmac("hello!", "super-secret", "sha256", "base64"),
  hash: () => utils.crypto.hash("sha256", "hello!").toBase64(),
};
exports = (name) => globals[name]();
//= globals ["jsonParse"]
//> {"answer":"42","at":"2020-03-02T16:46:47.977Z"}
//= globals ["jsonStringify"]
//> "{\"answer\":42,\"at\":\"2020-03-02T16:46:47.977Z\"}"
//= globals ["ejsonParse"]
//> {"answer":{"$numberLong":"42"},"at":{"$date":{"$numberLong":"1583167607977"}}}
//= globals ["ejsonStringify"]
//> "{\"answer\":{\"$numberLong\":\"42\"},\"at\":{\"$date\":{\"$numberLong\":\"1583167607977\"}}}"
//= globals ["objectId"]
//> [{"$oid":"5e58667d902d38559c802b13"},"object"]
//= globals ["regexp"]
//> {"$regularExpression":{"pattern":"the great","options":"gi"}}
//= globals ["hex"]
//> "54657374206d65737361676520706c656173652069676e6f7265"
//= globals ["base64"]
//> "Test message please ignore"
//= globals ["numbers"]
//> [{"$numberInt":"42"},{"$numberLong":"1469479021390"},{"$numberDouble":"1234.5678"},{"$numberDecimal":"1234.5678910123456"}]
//= globals ["hmac"]
//> "SUXd6PRMaTXXgBGaGsIHzaDWgTSa6C3D44lRGrvRak0="
//= globals ["hash"]
//> "zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs="
