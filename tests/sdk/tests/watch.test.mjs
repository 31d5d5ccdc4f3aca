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

/** Opens a stream and waits until it tells of a marker document. */
async function opened(user, options) {
  const stream = collection(user, "notes").watch(options);
  const first = stream.next();
  let told = false;
  first.then(() => (told = true));
  while (!told) {
    await collection(user, "notes").insertOne({ owner_id: user.id, marker: true });
    await Promise.race([first, new Promise(setImmediate)]);
  }
  return stream;
}

/** The next event that is not a marker's. */
async function next(stream) {
  for (;;) {
    const { value } = await stream.next();
    if (!value?.fullDocument?.marker) return value;
  }
}

test("a filter chooses among events", async () => {
  const user = await server.user("filtering");
  const filter = { $or: [{ "fullDocument.marker": true }, { "fullDocument.age": { $gt: 10 } }] };
  const stream = await opened(user, { filter });
  const notes = collection(user, "notes");
  await notes.insertOne({ owner_id: user.id, age: 5 });
  await notes.insertOne({ owner_id: user.id, age: 50 });
  assert.equal((await next(stream)).fullDocument.age, 50);
});

test("text with lines and percent signs arrives as it was", async () => {
  const user = await server.user("escaping");
  const stream = await opened(user);
  const text = "50%\n\r%0A %25 é 😀";
  await collection(user, "notes").insertOne({ owner_id: user.id, text });
  assert.equal((await next(stream)).fullDocument.text, text);
});

test("a stream ends when its user logs out or is disabled", async () => {
  const admin = await server.administrator();
  for (const end of [
    (user) => user.logOut(),
    (user) => admin("PUT", `/apps/${server.appId}/users/${user.id}/disable`),
  ]) {
    const user = await server.user("leaving");
    const stream = await opened(user);
    await end(user);
    await assert.rejects(next(stream), (error) => error.errorCode === "InvalidSession" || /invalid session/.test(error.message));
  }
});
