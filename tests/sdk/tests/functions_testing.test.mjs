// The package for tests of functions on plain Node: its own tests, and whether
// its data source in memory answers as a server does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { loadApp, memory, server as remote } from "../../../packages/functions-testing/index.js";
import "../../../packages/functions-testing/test/app.test.js";
import { CASES, DOCUMENTS } from "../../../packages/functions-testing/test/memory.test.js";
import { prelude } from "../../../packages/functions-testing/prelude.js";
import { extendedJson, natives } from "../../../packages/functions-testing/values.js";
import { Server } from "../harness.mjs";

let server, source, world;
before(async () => {
  server = await Server.start();
  world = prelude(natives);
  world.EJSON = extendedJson(world);
  source = remote(server);
});
after(() => server.stop());

const place = { database: "memory", collection: "c" };

// Where both are doubles or 32-bit integers here, and 64-bit ones there.
const plain = (value) => JSON.parse(JSON.stringify(value ?? null), (_, inner) => inner);

test("memory answers as the server does", async () => {
  const there = source.connect(world);
  for (const [action, args, wanted] of CASES) {
    await there.run("deleteMany", { ...place, query: {} });
    await there.run("insertMany", { ...place, documents: DOCUMENTS });
    const answer = await there.run(action, { ...args, ...place });
    // Sets have no order.
    const ordered = action === "distinct" ? [...answer].sort() : answer;
    assert.deepEqual(plain(ordered), wanted, `${action} ${JSON.stringify(args)}`);
  }
  const here = memory({ "memory.c": DOCUMENTS }).connect(world);
  for (const [action, args] of [["insertOne", { document: { _id: 1 } }], ["updateOne", { query: { _id: 1 }, update: { $inc: { tags: 1 } } }]]) {
    await there.run("deleteMany", { ...place, query: {} });
    await there.run("insertMany", { ...place, documents: DOCUMENTS });
    for (const one of [here, there]) await assert.rejects(one.run(action, { ...args, ...place }), undefined, action);
  }
});

test("functions on Node use the data of a server", async () => {
  const app = loadApp(server.app, { services: { "mongodb-atlas": source } });
  assert.equal(await app.call("sum", 1, 2), 3);
  const users = loadApp(new URL("../../../packages/functions-testing/example", import.meta.url).pathname, {
    user: { id: "somebody" },
    services: { "mongodb-atlas": source },
  });
  const id = await users.call("addTask", "milk");
  const there = source.connect(world);
  const [task] = await there.run("find", { database: "todo", collection: "tasks", query: { owner_id: "somebody" } });
  assert.equal(task._id.toHexString(), id.toHexString());
  assert.equal(task.summary, "milk");
  // Whoever has no keys has nothing.
  const stranger = remote({ ...pick(server), privateKey: "wrong" }).connect(world);
  await assert.rejects(stranger.run("find", { ...place, query: {} }), /does not let the administrator in/);
});

const pick = ({ url, projectId, appId, publicKey }) => ({ url, projectId, appId, publicKey });
