// Documents under rules, through realm-web's MongoDB client.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BSON } from "realm-web";
import { Server, call, collection, refused } from "../harness.mjs";

let server, ada, bob;
before(async () => {
  server = await Server.start();
  [ada, bob] = await Promise.all([server.user("ada"), server.user("bob")]);
});
after(() => server.stop());

test("an owner creates, reads, changes and deletes", async () => {
  const notes = collection(ada, "notes");
  const { insertedId } = await notes.insertOne({ owner_id: ada.id, text: "one", n: 1 });
  assert.ok(insertedId instanceof BSON.ObjectId);
  const note = await notes.findOne({ _id: insertedId });
  assert.equal(note.text, "one");
  assert.deepEqual(await notes.updateOne({ _id: insertedId }, { $inc: { n: 2 } }), { matchedCount: 1, modifiedCount: 1 });
  assert.equal((await notes.findOne({ _id: insertedId })).n, 3);
  assert.deepEqual(await notes.deleteOne({ _id: insertedId }), { deletedCount: 1 });
  assert.equal(await notes.findOne({ _id: insertedId }), null);
});

test("a stranger sees and changes nothing", async () => {
  const { insertedId } = await collection(ada, "notes").insertOne({ owner_id: ada.id, text: "mine" });
  const notes = collection(bob, "notes");
  assert.equal(await notes.findOne({ _id: insertedId }), null);
  assert.deepEqual(await notes.find({ _id: insertedId }), []);
  assert.equal(await notes.count({ _id: insertedId }), 0);
  await refused(notes.updateOne({ _id: insertedId }, { $set: { text: "his" } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(notes.deleteMany({ _id: insertedId }), 400, "NoMatchingRuleFound", "delete not permitted");
  assert.equal((await collection(ada, "notes").findOne({ _id: insertedId })).text, "mine");
});

test("nobody inserts in another's name", async () => {
  await refused(collection(bob, "notes").insertOne({ owner_id: ada.id, text: "forged" }), 400, "NoMatchingRuleFound", "insert not permitted");
  assert.equal(await collection(ada, "notes").count({ text: "forged" }), 0);
});

test("a collection without rules is closed", async () => {
  await assert.rejects(collection(ada, "nowhere").find({}), (error) => error.errorCode === "NoMatchingRuleFound");
});

test("find sorts, limits and projects", async () => {
  const notes = collection(ada, "notes");
  await notes.deleteMany({});
  await notes.insertMany([3, 1, 2].map((n) => ({ owner_id: ada.id, n, extra: "x" })));
  const found = await notes.find({}, { sort: { n: -1 }, limit: 2, projection: { n: 1, _id: 0 } });
  assert.deepEqual(found, [{ n: 3 }, { n: 2 }]);
  assert.equal(await notes.count({ n: { $gte: 2 } }), 2);
});

test("insertMany gives the ids in order", async () => {
  const ids = [new BSON.ObjectId(), new BSON.ObjectId()];
  const { insertedIds } = await collection(ada, "notes").insertMany(ids.map((_id) => ({ _id, owner_id: ada.id })));
  assert.deepEqual(insertedIds.map(String), ids.map(String));
});

test("a duplicate _id is told as MongoDB tells it", async () => {
  const notes = collection(ada, "notes");
  const { insertedId } = await notes.insertOne({ owner_id: ada.id });
  const error = await refused(notes.insertOne({ _id: insertedId, owner_id: ada.id }), 400, "MongoDBError", "Duplicate key error");
  assert.match(error.error, /E11000/);
});

test("upsert says what it inserted", async () => {
  const notes = collection(ada, "notes");
  const done = await notes.updateOne({ owner_id: ada.id, key: "k" }, { $set: { n: 1 } }, { upsert: true });
  assert.equal(done.matchedCount, 0);
  assert.ok(done.upsertedId);
  const again = await notes.updateOne({ owner_id: ada.id, key: "k" }, { $set: { n: 2 } }, { upsert: true });
  assert.deepEqual(again, { matchedCount: 1, modifiedCount: 1 });
});

test("findOneAnd… returns the old or the new document", async () => {
  const notes = collection(ada, "notes");
  const { insertedId: _id } = await notes.insertOne({ owner_id: ada.id, n: 1 });
  assert.equal((await notes.findOneAndUpdate({ _id }, { $set: { n: 2 } })).n, 1);
  assert.equal((await notes.findOneAndUpdate({ _id }, { $set: { n: 3 } }, { returnNewDocument: true })).n, 3);
  assert.equal((await notes.findOneAndReplace({ _id }, { owner_id: ada.id, n: 4 }, { returnNewDocument: true })).n, 4);
  const reply = await call(server, ada, "findOneAndDelete", JSON.stringify([{ database: "shop", collection: "notes", filter: { _id: { $oid: String(_id) } } }]), "mongodb-atlas");
  assert.equal(reply.status, 200, reply.text);
  assert.equal(await notes.findOne({ _id }), null);
  assert.equal(await notes.findOneAndUpdate({ _id }, { $set: { n: 5 } }), null);
});

test("aggregate works on what the caller may see", async () => {
  const [mine, his] = [collection(ada, "orders"), collection(bob, "orders")];
  await mine.insertMany([1, 2, 3].map((n) => ({ owner_id: ada.id, quantity: n })));
  await his.insertOne({ owner_id: bob.id, quantity: 100 });
  const sum = [{ $group: { _id: null, total: { $sum: "$quantity" }, n: { $sum: 1 } } }];
  assert.deepEqual(await mine.aggregate(sum), [{ _id: null, total: 6, n: 3 }]);
  assert.deepEqual(await his.aggregate([{ $match: {} }, { $count: "n" }]), [{ n: 1 }]);
});

test("an updateMany that meets one refused document changes none", async () => {
  const post = (user) => ({ author: user.id, published: true, title: "same", batch: 1 });
  await collection(ada, "posts").insertOne(post(ada));
  await collection(bob, "posts").insertOne(post(bob));
  await refused(collection(ada, "posts").updateMany({ batch: 1 }, { $set: { title: "changed" } }), 400, "NoMatchingRuleFound", "update not permitted");
  const titles = (await collection(ada, "posts").find({ batch: 1 })).map(({ title }) => title);
  assert.deepEqual(titles, ["same", "same"]);
});

test("readers see published posts without the draft field", async () => {
  const { insertedIds } = await collection(ada, "posts").insertMany([
    { author: ada.id, published: true, title: "out", draft: "secret" },
    { author: ada.id, published: false, title: "soon", draft: "secret" },
  ]);
  const found = await collection(bob, "posts").find({ _id: { $in: insertedIds } });
  assert.deepEqual(found.map(({ title, draft }) => [title, draft]), [["out", undefined]]);
  const own = await collection(ada, "posts").find({ _id: { $in: insertedIds } });
  assert.deepEqual(own.map(({ draft }) => draft), ["secret", "secret"]);
});

test("a reader may not write", async () => {
  const { insertedId } = await collection(ada, "posts").insertOne({ author: ada.id, published: true, title: "fixed" });
  await refused(collection(bob, "posts").updateOne({ _id: insertedId }, { $set: { title: "bent" } }), 400, "NoMatchingRuleFound", "update not permitted");
  assert.equal((await collection(ada, "posts").findOne({ _id: insertedId })).title, "fixed");
});

test("a schema guards what users write", async () => {
  const orders = collection(ada, "orders");
  await refused(orders.insertOne({ owner_id: ada.id, quantity: "many" }), 400, "SchemaValidationFailedWrite", "insert not permitted");
  await refused(orders.insertOne({ owner_id: ada.id }), 400, "SchemaValidationFailedWrite", "insert not permitted");
  const { insertedId } = await orders.insertOne({ owner_id: ada.id, quantity: 2 });
  await refused(orders.updateOne({ _id: insertedId }, { $set: { quantity: 0 } }), 400, "SchemaValidationFailedWrite", "update not permitted");
  assert.equal((await orders.findOne({ _id: insertedId })).quantity, 2);
});

test("unknown operators are named", async () => {
  const notes = collection(ada, "notes");
  await refused(notes.find({ $who: 1 }), 400, "MongoDBError", "unknown top level operator: $who");
  await refused(notes.updateOne({}, { $who: { a: 1 } }), 400, "MongoDBError", "Unknown modifier: $who");
  await refused(notes.aggregate([{ $who: 1 }]), 400, "MongoDBError", "Unrecognized pipeline stage name: '$who'");
});

test("operators for the system only are refused", async () => {
  const notes = collection(ada, "notes");
  await assert.rejects(notes.find({ $where: "true" }), (error) => error.statusCode === 400);
  await assert.rejects(notes.aggregate([{ $lookup: { from: "posts", as: "p", localField: "a", foreignField: "b" } }]), (error) => error.statusCode === 400);
});
