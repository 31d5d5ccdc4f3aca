// Calling functions: values, identity, errors, limits.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BSON } from "realm-web";
import { Server, call, refused } from "../harness.mjs";

let server, user;
before(async () => {
  server = await Server.start();
  user = await server.user("caller");
});
after(() => server.stop());

test("arguments go in and a result comes out", async () => {
  assert.equal(await user.functions.sum(1, 2, 3), 6);
  assert.deepEqual(await user.functions.echo({ a: [1, { b: null }] }), { a: [1, { b: null }] });
  assert.equal(await user.callFunction("echo", "text"), "text");
});

const EVERY_TYPE = [
  `{"$numberInt":"42"}`,
  `{"$numberLong":"9007199254740993"}`,
  `{"$numberLong":"5"}`,
  `{"$numberDouble":"3.0"}`,
  `{"$numberDouble":"-0.0"}`,
  `{"$numberDouble":"NaN"}`,
  `{"$numberDouble":"Infinity"}`,
  `{"$numberDecimal":"12.50"}`,
  `{"$oid":"5fd45718cface356de9d104d"}`,
  `{"$date":{"$numberLong":"1600000000123"}}`,
  `{"$date":{"$numberLong":"-62135596800000"}}`,
  `{"$binary":{"base64":"//8=","subType":"00"}}`,
  `{"$binary":{"base64":"yO2rw/c4TKO2jauSqRR4ow==","subType":"04"}}`,
  `{"$timestamp":{"t":123,"i":4}}`,
  `{"$regularExpression":{"pattern":"^a","options":"i"}}`,
  `{"$code":"f()"}`,
  `{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}`,
  `{"$symbol":"s"}`,
  `{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"5fd45718cface356de9d104d"}}}`,
  `{"$minKey":1}`,
  `{"$maxKey":1}`,
  `{"$undefined":true}`,
  `null`,
  `true`,
  `"text \\"quoted\\" \\u2028 \\n é 😀"`,
  `[]`,
  `{}`,
  `[{"a":[{"$numberInt":"1"},{"$numberDouble":"1.0"}]}]`,
  `{"":{"$numberInt":"1"},"a.b":{"$numberInt":"2"}}`,
];

for (const text of EVERY_TYPE) {
  test(`a function returns ${text} as it got it`, async () => {
    const reply = await call(server, user, "echo", `[${text}]`);
    assert.equal(reply.status, 200, reply.text);
    assert.match(reply.type, /^application\/json/);
    const normal = (json) => JSON.stringify(JSON.parse(json));
    assert.equal(normal(reply.text), normal(text));
  });
}

test("types that a function makes arrive as they are", async () => {
  const reply = await call(server, user, "makeTypes", "[]");
  assert.deepEqual(JSON.parse(reply.text), {
    int: { $numberInt: "7" },
    long: { $numberLong: "9007199254740993" },
    double: { $numberDouble: "3.0" },
    decimal: { $numberDecimal: "12.50" },
    id: { $oid: "5fd45718cface356de9d104d" },
    date: { $date: { $numberLong: "1600000000123" } },
    binary: { $binary: { base64: "//8=", subType: "00" } },
    nothing: null,
    list: [{ $numberInt: "1" }, "two", false],
    regexp: { $regularExpression: { pattern: "^a", options: "i" } },
    min: { $minKey: 1 },
    max: { $maxKey: 1 },
  });
  const decoded = await user.functions.makeTypes();
  assert.ok(decoded.id instanceof BSON.ObjectId);
});

test("context tells who is calling and with what", async () => {
  const me = await user.functions.whoami();
  assert.equal(me.id, user.id);
  assert.equal(me.type, "normal");
  assert.equal(me.data.email, user.email);
  assert.equal(me.system, false);
  assert.equal(me.environment, "testing");
  assert.equal(me.color, "green");
  assert.deepEqual(me.greeting, { text: "hello", times: 2 });
});

test("a private function answers other functions, not clients", async () => {
  assert.equal(await user.functions.outer(20), 41);
  await refused(user.functions.hidden(20), 403, "NotCallable");
});

test("can_evaluate guards a function", async () => {
  await refused(user.functions.adminOnly(), 400, "FunctionExecutionError", `rule not matched for function "adminOnly"`);
});

test("run_as_system is the callee's, not the caller's", async () => {
  const stranger = await server.user("stranger");
  const notes = stranger.mongoClient("mongodb-atlas").db("shop").collection("notes");
  await notes.insertOne({ owner_id: stranger.id, text: "private" });
  const seen = await user.functions.seeEverything();
  assert.equal(seen.system, true);
  assert.equal(seen.count, 1);
});

test("an unknown function is a 404", async () => {
  await refused(user.functions.nothingHere(), 404, "FunctionNotFound", "function not found: 'nothingHere'");
});

test("an unknown service is told as the service did", async () => {
  await refused(user.callFunction.call(user, "x"), 404, "FunctionNotFound");
  const reply = await call(server, user, "find", "[{}]", "no-such-service");
  assert.equal(reply.status, 400);
  const body = JSON.parse(reply.text);
  assert.equal(body.error_code, "FunctionExecutionError");
  assert.match(body.error, /Cannot access member 'find' of undefined/);
});

test("what a function throws reaches the caller", async () => {
  await refused(user.functions.throwing(), 400, "FunctionExecutionError", "out of cheese");
  await refused(user.functions.throwing("reference"), 400, "FunctionExecutionError", "ReferenceError: 'missing' is not defined");
  await refused(user.functions.throwing("member"), 400, "FunctionExecutionError", "TypeError: Cannot access member 'db' of undefined");
  const error = await refused(user.functions.throwing(), 400, "FunctionExecutionError");
  assert.match(error.link, /logs\?co_id=[0-9a-f]{24}/);
});

test("runaway recursion is one call's error", async () => {
  await refused(user.functions.crash(), 400, "FunctionExecutionError");
  assert.equal(await user.functions.sum(1, 1), 2);
});

test("an endless function is stopped and others go on meanwhile", async () => {
  const endless = refused(user.functions.endless(), 400, "ExecutionTimeLimitExceeded");
  for (let n = 0; n < 20; n++) assert.equal(await user.functions.sum(n, 1), n + 1);
  await endless;
  assert.equal(await user.functions.sum(1, 1), 2);
});

test("nothing a call leaves in the realm is there for the next", async () => {
  for (let n = 0; n < 30; n++) {
    assert.deepEqual(await user.functions.trace(), ["undefined", "undefined", true]);
  }
});
