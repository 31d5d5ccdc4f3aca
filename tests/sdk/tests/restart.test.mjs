// Nothing is lost when the process dies, and a changed function is served at once.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Server, collection } from "../harness.mjs";

let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

test("users, sessions, documents and the deployed revision survive kill -9", async () => {
  const user = await server.user("ada");
  const key = await user.apiKeys.create("kept");
  const { insertedId } = await collection(user, "notes").insertOne({ owner_id: user.id, text: "kept" });
  const before = { appId: server.appId, publicKey: server.publicKey };

  await server.kill();
  await server.run();

  assert.deepEqual({ appId: server.appId, publicKey: server.publicKey }, before);
  assert.equal((await collection(user, "notes").findOne({ _id: insertedId })).text, "kept");
  assert.equal(await user.functions.sum(1, 2), 3);
  await user.refreshCustomData();
  assert.equal((await user.apiKeys.fetch(key._id)).name, "kept");
  await server.administrator();
});

test("a changed function file is served to a running client", async () => {
  const user = await server.user("bob");
  assert.equal(await user.functions.version(), "first");
  const deployed = server.line((line) => line.event === "deployed");
  await writeFile(join(server.app, "functions/version.js"), `exports = () => "second";\n`);
  await deployed;
  assert.equal(await user.functions.version(), "second");
});

test("a broken file keeps the last good deployment and is reported with file and line", async () => {
  const user = await server.user("eve");
  const failed = server.line((line) => line.event === "rejected");
  await writeFile(join(server.app, "functions/version.js"), `exports = () => {\n  return "third"\n\n  ;;) };\n`);
  const report = await failed;
  assert.ok(
    report.findings.some(({ path, line }) => path === "functions/version.js" && line === 4),
    JSON.stringify(report),
  );
  assert.equal(await user.functions.version(), "second");
  const deployed = server.line((line) => line.event === "deployed");
  await writeFile(join(server.app, "functions/version.js"), `exports = () => "fourth";\n`);
  await deployed;
  assert.equal(await user.functions.version(), "fourth");
});

test("the deployed revision survives too", async () => {
  const user = await server.user("kim");
  await server.kill();
  await server.run();
  assert.equal(await user.functions.version(), "fourth");
});
