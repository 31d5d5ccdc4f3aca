import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { loadApp, memory } from "../index.js";

const directory = fileURLToPath(new URL("../example", import.meta.url));

test("a function reads and writes", async () => {
  const data = memory({ "todo.tasks": [{ _id: 1, owner_id: "u1", done: false }, { _id: 2, owner_id: "u2", done: false }] });
  const app = loadApp(directory, { user: { id: "u1" }, services: { "mongodb-atlas": data } });
  assert.deepEqual([...app.functions].sort(), ["addTask", "audit", "broken", "everything", "shop/total", "stock"]);
  const id = await app.call("addTask", "milk");
  assert.ok(id instanceof app.BSON.ObjectId);
  assert.equal(data.documents("todo", "tasks").length, 3);
  await assert.rejects(app.call("addTask", "bread"), /finish a task first: 2 are open/);
  // Each call begins anew.
  assert.deepEqual(app.logs, [{ level: "log", text: "added milk 1" }]);
});

test("functions call functions", async () => {
  const orders = [
    { customer: "ann", paid: true, items: [{ price: 2 }, { price: 3 }] },
    { customer: "bob", paid: true, items: [{ price: 1 }] },
    { customer: "bob", paid: false, items: [{ price: 100 }] },
  ];
  const app = loadApp(directory, { services: { "mongodb-atlas": memory({ "shop.orders": orders }) } });
  const rows = await app.call("shop/total", (row) => row);
  assert.deepEqual(rows, [{ _id: "ann", total: 5, count: 2 }, { _id: "bob", total: 1, count: 1 }]);
  // The callee runs as its caller does; the function that was handed over stays the caller's.
  assert.deepEqual(await app.call("audit"), [true, ["anntrue", "bobtrue"]]);
  await assert.rejects(app.call("nothing"), /function not found: 'nothing'/);
});

test("everything else of the context", async () => {
  const app = loadApp(directory, {
    secrets: { apiKeySecret: "s3cret" },
    environment: { tag: "qa", values: {} },
    http: { get: async ({ url }) => ({ statusCode: 200, body: new app.BSON.Binary(JSON.stringify({ url })) }) },
  });
  assert.deepEqual(await app.call("everything"), {
    secret: "s3cret",
    none: true,
    hmac: "SUXd6PRMaTXXgBGaGsIHzaDWgTSa6C3D44lRGrvRak0=",
    hash: "zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs=",
    aes: "é",
    jwt: "a",
    module: "undefined",
    reply: { url: "https://example.com" },
    id: "5f1f4a4a4a4a4a4a4a4a4a4a",
    tag: "qa",
  });
  await assert.rejects(loadApp(directory).call("everything"), /context.http.get is not there in tests/);
});

test("transactions, cursors as results, logs", async () => {
  const items = () => memory({ "shop.items": [{ _id: 1, left: 5 }, { _id: 2, left: 0 }] });
  const app = loadApp(directory, { services: { "mongodb-atlas": items() } });
  assert.deepEqual(await app.call("stock", true), [{ _id: 2, left: 0 }, { _id: 1, left: 5 }]);
  assert.deepEqual(app.logs, [{ level: "warn", text: "no" }]);
  assert.deepEqual(await app.call("stock", false), [{ _id: 3, left: 9 }, { _id: 2, left: 0 }, { _id: 1, left: 4 }]);
});

test("errors have the lines of the file", async () => {
  const failed = await loadApp(directory).call("broken").catch((error) => error);
  assert.match(failed.stack, /functions\/broken\.js:2:\d+/);
});
