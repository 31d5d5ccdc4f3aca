// Change streams over server-sent events.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, collection } from "../harness.mjs";

let server, ada, bob;
before(async () => {
  server = await Server.start();
  [ada, bob] = await Promise.all([server.user("ada"), server.user("bob")]);
});
after(() => server.stop());

/** Opens a stream and waits until the server has answered. */
async function open(user, name, options) {
  const stream = collection(user, name).watch(options);
  // The SDK connects at the first `next`; a marker document shows that the stream is live.
  return stream;
}

test("a stream tells inserts, updates and deletes of what the caller may read", async () => {
  const stream = await open(ada, "notes");
  const first = stream.next();
  const mine = collection(ada, "notes");
  const theirs = collection(bob, "notes");
  // Writes until the stream, which starts at an unknown moment, has told one.
  let told;
  const seen = first.then(({ value }) => (told = value));
  let written = 0;
  while (!told) {
    await theirs.insertOne({ owner_id: bob.id, text: "not for ada" });
    await mine.insertOne({ owner_id: ada.id, n: written++ });
    await Promise.race([seen, new Promise(setImmediate)]);
  }
  assert.equal(told.operationType, "insert");
  assert.equal(told.fullDocument.owner_id, ada.id);
  assert.deepEqual(told.ns, { db: "shop", coll: "notes" });

  const { insertedId } = await mine.insertOne({ owner_id: ada.id, text: "marked" });
  await mine.updateOne({ _id: insertedId }, { $set: { text: "changed" } });
  await mine.deleteOne({ _id: insertedId });
  const events = [];
  for await (const event of stream) {
    assert.notEqual(event.fullDocument?.owner_id, bob.id);
    if (String(event.documentKey._id) !== String(insertedId)) continue;
    events.push(event);
    if (event.operationType === "delete" || events.length === 3) break;
  }
  assert.deepEqual(events.slice(0, 2).map((event) => event.operationType), ["insert", "update"]);
  assert.deepEqual(events[1].updateDescription.updatedFields, { text: "changed" });
});

test("a stream without a valid session is refused with 401", async () => {
  const request = Buffer.from(
    JSON.stringify({ name: "watch", service: "mongodb-atlas", arguments: [{ database: "shop", collection: "notes" }] }),
  ).toString("base64");
  const reply = await server.fetch(
    `/api/client/v2.0/app/${server.clientAppId}/functions/call?baas_request=${encodeURIComponent(request)}&baas_at=`,
    { headers: { accept: "text/event-stream" } },
  );
  assert.equal(reply.status, 401);
  assert.equal(reply.headers.get("content-type"), "application/json");
  await reply.json();
});
