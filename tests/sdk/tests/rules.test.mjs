// Roles with field permissions, filters, schemas and custom user data, through
// realm-web, on the app in `teams`.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { BSON } from "realm-web";
import { Server, refused } from "../harness.mjs";

const teams = fileURLToPath(new URL("../teams", import.meta.url));
const tasksOf = (user) => user.mongoClient("mongodb-atlas").db("work").collection("tasks");

let server, ada, bob, eve, lead;
before(async () => {
  server = await Server.start(teams);
  [ada, bob, eve, lead] = await Promise.all(["red", "red", "blue", "lead"].map((team) => server.user(team)));
});
after(() => server.stop());

/** A task of ada's, with what members may not see. */
async function task(fields = {}) {
  const { insertedId } = await tasksOf(ada).insertOne({
    owner_id: ada.id, team: "red", title: "t", state: "draft", salary: 10, internal: "i",
    audit: { by: "ada", ip: "::1" }, ...fields,
  });
  return insertedId;
}

test("custom user data is in the first token, made by the user creation function", async () => {
  assert.deepEqual(ada.customData.teams, ["red"]);
  assert.equal(lead.customData.lead, true);
  await assert.rejects(server.user("banned"), (error) => error.errorCode === "FunctionExecutionError");
});

test("each role sees its own fields", async () => {
  const _id = await task();
  const full = await tasksOf(lead).findOne({ _id });
  assert.deepEqual(Object.keys(full).sort(), ["_id", "audit", "internal", "owner_id", "salary", "state", "team", "title"]);
  const own = await tasksOf(ada).findOne({ _id });
  assert.equal(own.salary, 10);
  // The filter's projection is for all but leads.
  assert.equal("internal" in own, false);
  const member = await tasksOf(bob).findOne({ _id });
  assert.equal("salary" in member, false);
  assert.deepEqual(member.audit, { by: "ada" });
  assert.equal(await tasksOf(eve).findOne({ _id }), null);
  assert.equal(await tasksOf(eve).count({ _id }), 0);
});

test("what is hidden is not there for aggregations either", async () => {
  const _id = await task({ salary: 99 });
  const pipeline = [{ $match: { _id } }, { $group: { _id: null, most: { $max: "$salary" }, n: { $sum: 1 } } }];
  assert.deepEqual(await tasksOf(bob).aggregate(pipeline), [{ _id: null, most: null, n: 1 }]);
  assert.deepEqual(await tasksOf(ada).aggregate(pipeline), [{ _id: null, most: 99, n: 1 }]);
  assert.deepEqual(await tasksOf(eve).aggregate(pipeline), []);
  assert.deepEqual(await tasksOf(bob).aggregate([{ $match: { _id, salary: 99 } }]), []);
});

test("a member changes what the fields allow", async () => {
  const _id = await task({ state: "open" });
  const tasks = tasksOf(bob);
  assert.deepEqual(await tasks.updateOne({ _id }, { $set: { state: "done" } }), { matchedCount: 1, modifiedCount: 1 });
  await refused(tasks.updateOne({ _id }, { $set: { state: "closed" } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(tasks.updateOne({ _id }, { $set: { title: "his" } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(tasks.updateOne({ _id }, { $set: { state: "done", salary: 1 } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(tasks.updateOne({ _id }, { $rename: { salary: "assignee" } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(tasks.deleteOne({ _id }), 400, "NoMatchingRuleFound", "delete not permitted");
  await refused(tasks.insertOne({ owner_id: ada.id, team: "red", title: "x" }), 400, "NoMatchingRuleFound", "insert not permitted");
  // A function of the rule decides about the value.
  await tasks.updateOne({ _id }, { $set: { assignee: bob.id } });
  await refused(tasks.updateOne({ _id }, { $set: { assignee: "nobody" } }), 400, "NoMatchingRuleFound", "update not permitted");
  const after = await tasksOf(lead).findOne({ _id });
  assert.equal(after.state, "done");
  assert.equal(after.assignee, bob.id);
  assert.equal(after.salary, 10);
});

test("findOneAndUpdate gives back only what may be read", async () => {
  const _id = await task();
  const seen = await tasksOf(bob).findOneAndUpdate({ _id }, { $set: { state: "open" } }, { returnNewDocument: true });
  assert.equal(seen.state, "open");
  assert.equal("salary" in seen, false);
  assert.equal("internal" in seen, false);
});

test("an owner gives nothing away and leaves closed tasks alone", async () => {
  const _id = await task();
  const tasks = tasksOf(ada);
  await refused(tasks.updateOne({ _id }, { $set: { owner_id: bob.id } }), 400, "NoMatchingRuleFound", "update not permitted");
  await tasks.updateOne({ _id }, { $set: { state: "closed" } });
  await refused(tasks.updateOne({ _id }, { $set: { state: "open" } }), 400, "NoMatchingRuleFound", "update not permitted");
  await refused(tasks.deleteOne({ _id }), 400, "NoMatchingRuleFound", "delete not permitted");
  await tasksOf(lead).updateOne({ _id }, { $set: { state: "draft" } });
  assert.deepEqual(await tasks.deleteOne({ _id }), { deletedCount: 1 });
});

test("one refused document refuses them all", async () => {
  const marks = [await task({ mark: "m" }), await task({ mark: "m", state: "closed" }), await task({ mark: "m" })];
  await refused(tasksOf(ada).updateMany({ mark: "m" }, { $set: { title: "new" } }), 400, "NoMatchingRuleFound", "update not permitted");
  const all = await tasksOf(lead).find({ _id: { $in: marks } });
  assert.deepEqual(all.map(({ title }) => title), ["t", "t", "t"]);
});

test("a filter hides archived tasks from all but leads", async () => {
  const _id = await task();
  await tasksOf(lead).updateOne({ _id }, { $set: { archived: true } });
  assert.equal(await tasksOf(ada).findOne({ _id }), null);
  assert.deepEqual(await tasksOf(ada).updateOne({ _id }, { $set: { title: "x" } }), { matchedCount: 0, modifiedCount: 0 });
  // A client's key does not take the place of the filter's.
  assert.equal(await tasksOf(ada).findOne({ _id, archived: true }), null);
  assert.equal((await tasksOf(lead).findOne({ _id })).archived, true);
});

test("the schema refuses what is not a task", async () => {
  const schema = (promise, verb) => refused(promise, 400, "SchemaValidationFailedWrite", `${verb} not permitted`);
  const good = { owner_id: ada.id, team: "red", title: "t" };
  const tasks = tasksOf(ada);
  await schema(tasks.insertOne({ ...good, title: "" }), "insert");
  await schema(tasks.insertOne({ ...good, title: undefined, points: 1 }), "insert");
  await schema(tasks.insertOne({ ...good, points: 1.5 }), "insert");
  await schema(tasks.insertOne({ ...good, points: null }), "insert");
  await schema(tasks.insertOne({ ...good, labels: ["a", "a"] }), "insert");
  await schema(tasks.insertMany([good, { ...good, points: -1 }]), "insert");
  assert.equal(await tasks.count({ points: { $exists: true } }), 0);
  const { insertedId: _id } = await tasks.insertOne({ ...good, points: 1, labels: ["a", "b"] });
  await schema(tasks.updateOne({ _id }, { $unset: { title: "" } }), "update");
  await schema(tasks.updateOne({ _id }, { $push: { labels: "a" } }), "update");
  // A `validate` expression holds for leads as well.
  await schema(tasksOf(lead).updateOne({ _id }, { $set: { owner_id: bob.id } }), "update");
  assert.deepEqual((await tasks.findOne({ _id })).labels, ["a", "b"]);
});

test("custom user data is as of the token until it is refreshed", async () => {
  const user = await server.user("green");
  const _id = await task({ team: "red" });
  await user.functions.joinTeam("red");
  assert.equal(await tasksOf(user).findOne({ _id }), null);
  await user.refreshCustomData();
  assert.deepEqual(user.customData.teams, ["green", "red"]);
  assert.equal((await tasksOf(user).findOne({ _id })).title, "t");
});

test("two users watch: each is told what is theirs to see", async () => {
  const streams = [ada, bob, eve].map((user) => tasksOf(user).watch());
  const first = streams.map((stream) => stream.next());
  // A stream starts at an unknown moment: markers until each has told one.
  let waiting = true;
  Promise.all(first).then(() => (waiting = false));
  while (waiting) {
    await tasksOf(lead).insertMany(["red", "blue"].map((team) => ({ owner_id: lead.id, team, title: "marker" })));
    await task({ title: "marker" });
    await Promise.race([...first, new Promise(setImmediate)]);
  }
  const _id = await task({ title: "watched" });
  await tasksOf(ada).updateOne({ _id }, { $set: { salary: 11, state: "open" } });
  await tasksOf(lead).updateOne({ _id }, { $set: { archived: true } });
  await tasksOf(lead).updateOne({ _id }, { $set: { archived: false, team: "blue" } });
  await tasksOf(lead).deleteOne({ _id });
  const told = await Promise.all(streams.map(async (stream) => {
    const events = [];
    for await (const event of stream) {
      if (String(event.documentKey._id) !== String(_id)) continue;
      events.push(event);
      if (event.operationType === "delete") return events;
    }
  }));
  const kinds = (events) => events.map((event) => event.operationType);
  const [owner, member, stranger] = told;
  // While it is archived the filter keeps it back.
  assert.deepEqual(kinds(owner), ["insert", "update", "update", "delete"]);
  assert.equal(owner[1].fullDocument.salary, 11);
  assert.deepEqual(owner[1].updateDescription.updatedFields, { salary: 11, state: "open" });
  // It left the member's team, and came to the stranger's.
  assert.deepEqual(kinds(member), ["insert", "update", "delete"]);
  assert.deepEqual(member[1].updateDescription.updatedFields, { state: "open" });
  assert.equal(member.some(({ fullDocument }) => fullDocument && "salary" in fullDocument), false);
  assert.deepEqual(kinds(stranger), ["update", "delete"]);
  for (const events of told) {
    assert.deepEqual(Object.keys(events.at(-1).documentKey), ["_id"]);
    assert.equal(events.at(-1).fullDocument ?? null, null);
  }
});

test("an administrator is told why", async () => {
  const _id = await task();
  const administrator = await server.administrator();
  const asked = (user, name, rest) => administrator("POST", `/apps/${server.appId}/debug/explain_request`, {
    user_id: user.id, service: "mongodb-atlas", name,
    arguments: [BSON.EJSON.serialize({ database: "work", collection: "tasks", query: { _id }, ...rest }, { relaxed: false })],
  });
  const { status, body } = await asked(bob, "updateOne", { update: { $set: { title: "his" } } });
  assert.equal(status, 200);
  assert.equal(body.allowed, false);
  assert.equal(body.error_code, "NoMatchingRuleFound");
  assert.equal(body.decisions[0].role, "member");
  assert.equal(body.decisions[0].reason, "no write permission on field 'title'");
  const { body: read } = await asked(bob, "findOne", {});
  assert.deepEqual(read.decisions[0].hidden_fields, ["salary", "audit.ip"]);
  const { body: closed } = await asked(eve, "findOne", {});
  assert.equal(closed.decisions[0].role, null);
  assert.deepEqual(closed.result, null);
});
