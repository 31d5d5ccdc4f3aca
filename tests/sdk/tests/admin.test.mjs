// What administrators do, seen by running clients.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, refused } from "../harness.mjs";

let server;
let admin;
let app;
before(async () => {
  server = await Server.start();
  const project = await server.administrator();
  admin = (method, path, body) => project(method, `/apps/${server.appId}${path}`, body);
  app = await server.user("admin-test");
});
after(() => server.stop());

const run = (query, body) => admin("POST", `/debug/execute_function?${query}`, body);
const runSource = (query, body) => admin("POST", `/debug/execute_function_source?${query}`, body);

test("a debug run shows result, logs and time", async () => {
  const { status, body } = await run("run_as_system=true", {
    name: "sum",
    arguments: [{ $numberInt: "40" }, { $numberInt: "2" }],
  });
  assert.equal(status, 200);
  assert.deepEqual(body.result, { $numberInt: "42" });
  assert.deepEqual([body.logs, body.error_logs, body.error], [[], [], undefined]);
  assert.match(body.stats.execution_time, /^[\d.]+ms$/);
});

test("a debug run acts as the user it names", async () => {
  const as = await run(`user_id=${app.id}`, { name: "whoami", arguments: null });
  assert.equal(as.body.result.id, app.id, JSON.stringify(as.body));
  const missing = await run("user_id=0123456789abcdef01234567", { name: "whoami" });
  assert.deepEqual([missing.status, missing.body.error_code], [404, "UserNotFound"]);
  const nobody = await run("", { name: "whoami" });
  assert.deepEqual([nobody.status, nobody.body.error_code], [400, "MissingParameter"]);
});

test("a function that throws is an answer with its logs", async () => {
  const source = `exports = () => { console.log("before", { a: 1 }); console.error("bad"); throw new Error("broken"); };`;
  const { status, body } = await runSource("run_as_system=true", {
    source,
    eval_source: "exports()",
  });
  assert.equal(status, 200);
  assert.equal(body.result, null);
  assert.match(body.error, /broken/);
  assert.equal(body.error_code, "FunctionExecutionError");
  assert.equal(body.logs.length, 1);
  assert.match(body.logs[0], /^before/);
  assert.deepEqual(body.error_logs, ["bad"]);
});

test("a source is run without being deployed", async () => {
  const before = await admin("GET", "/deployments");
  const { body } = await runSource("run_as_system=true", {
    source: "exports = (n) => context.functions.execute('sum', n, 1);",
    eval_source: "exports(41)",
  });
  assert.deepEqual(body.result, { $numberInt: "42" }, JSON.stringify(body));
  assert.deepEqual((await admin("GET", "/deployments")).body, before.body);
  const wrong = await runSource("run_as_system=true", { source: "exports = (" });
  assert.deepEqual([wrong.status, wrong.body.error_code], [400, "FunctionSyntaxError"]);
});

test("a debug run of a service action obeys the user's rules", async () => {
  const find = (query) =>
    run(query, {
      service: "mongodb-atlas",
      name: "count",
      arguments: [{ database: "shop", collection: "orders", query: {} }],
    });
  const orders = app.mongoClient("mongodb-atlas").db("shop").collection("orders");
  await orders.insertOne({ owner_id: app.id, item: "pen", quantity: 1 });
  const stranger = await server.user("stranger");
  assert.deepEqual((await find(`user_id=${app.id}`)).body.result, { $numberLong: "1" });
  assert.deepEqual((await find(`user_id=${stranger.id}`)).body.result, { $numberLong: "0" });
});

test("a function that is made, changed and deleted by an administrator is so for clients", async () => {
  await refused(app.callFunction("fresh"), 404, "FunctionNotFound");
  const made = await admin("POST", "/functions", { name: "fresh", source: "exports = () => 1;" });
  assert.equal(made.status, 201);
  assert.equal(await app.callFunction("fresh"), 1);
  const path = `/functions/${made.body._id}`;
  const put = (body) => admin("PUT", path, body);
  assert.equal((await put({ name: "fresh", source: "exports = () => 2;" })).status, 204);
  assert.equal(await app.callFunction("fresh"), 2);
  const broken = await put({ name: "fresh", source: "exports = (" });
  assert.deepEqual([broken.status, broken.body.error_code], [400, "FunctionSyntaxError"]);
  assert.equal(await app.callFunction("fresh"), 2);
  await put({ name: "fresh", private: true });
  await refused(app.callFunction("fresh"), 403, "NotCallable");
  await admin("DELETE", path);
  await refused(app.callFunction("fresh"), 404, "FunctionNotFound");
});

test("values and secrets reach functions at once", async () => {
  const source = "exports = () => context.values.get('shown');";
  const call = async () =>
    (await runSource("run_as_system=true", { source, eval_source: "exports()" })).body.result;
  await admin("POST", "/secrets", { name: "hidden", value: "first" });
  const body = { name: "shown", value: "hidden", from_secret: true };
  assert.equal((await admin("POST", "/values", body)).status, 201);
  assert.equal(await call(), "first");
  const secret = (await admin("GET", "/secrets")).body.find(({ name }) => name === "hidden");
  await admin("PUT", `/secrets/${secret._id}`, { name: "hidden", value: "second" });
  assert.equal(await call(), "second");
});

test("rules that an administrator changes hold from then on", async () => {
  const services = await admin("GET", "/services");
  const rules = `/services/${services.body[0]._id}/rules`;
  const items = app.mongoClient("mongodb-atlas").db("shop").collection("items");
  await refused(items.insertOne({ n: 1 }), 403, "NoMatchingRuleFound");
  const role = { name: "all", apply_when: {}, insert: true, delete: true, search: true, read: true, write: true };
  const rule = { database: "shop", collection: "items", roles: [role] };
  const made = await admin("POST", rules, rule);
  assert.equal(made.status, 201);
  await items.insertOne({ n: 1 });
  assert.equal(await items.count(), 1);
  const closed = { ...rule, roles: [{ ...role, insert: false, write: false }] };
  await admin("PUT", `${rules}/${made.body._id}`, closed);
  await refused(items.insertOne({ n: 2 }), 400, "NoMatchingRuleFound");
  assert.equal(await items.count(), 1);
  await admin("DELETE", `${rules}/${made.body._id}`);
  await refused(items.count(), 403, "NoMatchingRuleFound");
});

test("function calls are in the log with their lines, user and error", async () => {
  const user = await server.user("logged");
  await user.callFunction("sum", 1, 2);
  await user.callFunction("throwing").catch(() => {});
  const { body } = await admin("GET", `/logs?type=FUNCTION&user_id=${user.id}`);
  assert.deepEqual(
    body.logs.map(({ function_name, error_code }) => [function_name, error_code]),
    [
      ["throwing", "FunctionExecutionError"],
      ["sum", undefined],
    ],
  );
  const [failed] = body.logs;
  assert.equal(failed.function_id.length, 24);
  assert.ok(failed.request_url.endsWith("/functions/call"));
  assert.ok(Number.isInteger(failed.mem_time_usage));
  const one = await admin("GET", `/logs?co_id=${failed.co_id}`);
  assert.deepEqual(one.body.logs, [failed]);
  const errors = await admin("GET", `/logs?errors_only=true&user_id=${user.id}`);
  assert.deepEqual(errors.body.logs, [failed]);
});

test("a disabled user is out, an enabled one back in, a deleted one gone", async () => {
  const user = await server.user("shut-out");
  await admin("PUT", `/users/${user.id}/disable`);
  await assert.rejects(user.callFunction("sum", 1, 2), (error) => error.statusCode === 401);
  await admin("PUT", `/users/${user.id}/enable`);
  const again = server.realm();
  const { Credentials } = await import("realm-web");
  const back = await again.logIn(Credentials.emailPassword(user.email, user.password));
  assert.equal(await back.callFunction("sum", 1, 2), 3);
  await admin("DELETE", `/users/${user.id}`);
  await assert.rejects(back.callFunction("sum", 1, 2), (error) => error.statusCode === 401);
});

test("a pushed configuration is what clients meet", async () => {
  const { body: pulled } = await admin("GET", "/pull");
  const version = pulled.functions.find(({ name }) => name === "version");
  const before = await app.callFunction("version");
  const source = version.source;
  version.source = "exports = () => 'pushed';";
  assert.equal((await admin("PATCH", "/push", pulled)).status, 204);
  assert.equal(await app.callFunction("version"), "pushed");
  version.source = source;
  assert.equal((await admin("PATCH", "/push", pulled)).status, 204);
  assert.equal(await app.callFunction("version"), before);
});
