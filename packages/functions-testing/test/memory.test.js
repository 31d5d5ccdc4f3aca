// What the data source in memory does; each line is a call and its answer, as
// the server gives it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { memory } from "../index.js";
import { prelude } from "../prelude.js";
import { extendedJson, natives } from "../values.js";

export const DOCUMENTS = [
  { _id: 1, a: 1, tags: ["x", "y"], in: { n: 5 }, list: [{ k: 1, v: 1 }, { k: 2, v: 9 }] },
  { _id: 2, a: 2, tags: [], in: { n: 7 } },
  { _id: 3, a: "text", none: null },
];

/** Action, arguments, answer: each on a fresh collection of the documents. */
export const CASES = [
  ["find", { query: { a: 1 }, project: { a: 1 } }, [{ _id: 1, a: 1 }]],
  ["find", { query: { a: { $gte: 2 } }, project: { _id: 1 } }, [{ _id: 2 }]],
  ["find", { query: { tags: "y" }, project: { _id: 1 } }, [{ _id: 1 }]],
  ["find", { query: { "in.n": { $in: [5, 7] }, _id: { $ne: 1 } }, project: { "in.n": 1, _id: 0 } }, [{ in: { n: 7 } }]],
  ["find", { query: { none: null }, project: { _id: 1 }, sort: { _id: -1 } }, [{ _id: 3 }, { _id: 2 }, { _id: 1 }]],
  ["find", { query: { none: { $exists: true } }, project: { _id: 1 } }, [{ _id: 3 }]],
  ["find", { query: { $or: [{ a: "text" }, { "list.v": { $gt: 5 } }] }, project: { _id: 1 } }, [{ _id: 1 }, { _id: 3 }]],
  ["find", { query: { list: { $elemMatch: { k: 1, v: 9 } } } }, []],
  ["find", { query: { list: { $elemMatch: { k: 2, v: 9 } } }, project: { _id: 1 } }, [{ _id: 1 }]],
  ["find", { query: { a: { $regex: "^TE", $options: "i" } }, project: { _id: 1 } }, [{ _id: 3 }]],
  ["find", { query: { a: { $not: { $gt: 1 } } }, project: { _id: 1 } }, [{ _id: 1 }, { _id: 3 }]],
  ["find", { query: { tags: { $size: 0 } }, project: { _id: 1 } }, [{ _id: 2 }]],
  ["find", { query: { tags: { $all: ["y", "x"] } }, project: { _id: 1 } }, [{ _id: 1 }]],
  ["find", { query: {}, project: { _id: 1 }, sort: { a: 1 }, skip: 1, limit: 1 }, [{ _id: 2 }]],
  ["findOne", { query: { a: 9 } }, null],
  ["count", { query: { a: { $lt: 9 } } }, 2],
  ["distinct", { field: "tags", query: {} }, ["x", "y"]],
  ["insertOne", { document: { _id: 9 } }, { insertedId: 9 }],
  ["insertMany", { documents: [{ _id: 8 }, { _id: 9 }] }, { insertedIds: [8, 9] }],
  ["updateOne", { query: { _id: 1 }, update: { $set: { "in.m": 1 }, $inc: { a: 4 } } }, { matchedCount: 1, modifiedCount: 1 }, { _id: 1, a: 5, tags: ["x", "y"], in: { n: 5, m: 1 } }],
  ["updateOne", { query: { _id: 1 }, update: { $push: { tags: { $each: ["z", "a"] } }, $unset: { in: "" } } }, { matchedCount: 1, modifiedCount: 1 }, { _id: 1, a: 1, tags: ["x", "y", "z", "a"] }],
  ["updateOne", { query: { _id: 1 }, update: { $pull: { tags: "x" }, $min: { a: 0 }, $rename: { in: "out" } } }, { matchedCount: 1, modifiedCount: 1 }, { _id: 1, a: 0, tags: ["y"], out: { n: 5 } }],
  ["updateOne", { query: { _id: 1 }, update: { $addToSet: { tags: "x" } } }, { matchedCount: 1, modifiedCount: 0 }],
  ["updateOne", { query: { _id: 7, b: 1 }, update: { $set: { c: 2 }, $setOnInsert: { d: 3 } }, upsert: true }, { matchedCount: 0, modifiedCount: 0, upsertedId: 7 }],
  ["updateMany", { query: { a: { $exists: true } }, update: { $set: { b: 1 } } }, { matchedCount: 3, modifiedCount: 3 }],
  ["replaceOne", { query: { _id: 1 }, update: { b: 1 } }, { matchedCount: 1, modifiedCount: 1 }, { _id: 1, b: 1 }],
  ["deleteOne", { query: {} }, { deletedCount: 1 }],
  ["deleteMany", { query: { a: { $in: [1, "text"] } } }, { deletedCount: 2 }],
  ["findOneAndUpdate", { filter: { _id: 2 }, update: { $inc: { a: 1 } }, projection: { a: 1 } }, { _id: 2, a: 2 }],
  ["findOneAndUpdate", { filter: { _id: 2 }, update: { $inc: { a: 1 } }, projection: { a: 1 }, returnNewDocument: true }, { _id: 2, a: 3 }],
  ["findOneAndDelete", { filter: {}, sort: { _id: -1 }, projection: { _id: 1 } }, { _id: 3 }],
  ["aggregate", { pipeline: [{ $match: { a: { $gte: 1 } } }, { $group: { _id: null, sum: { $sum: "$a" }, top: { $max: "$in.n" } } }] }, [{ _id: null, sum: 3, top: 7 }]],
  ["aggregate", { pipeline: [{ $unwind: "$tags" }, { $project: { _id: 0, tag: "$tags" } }, { $sort: { tag: -1 } }] }, [{ tag: "y" }, { tag: "x" }]],
  ["aggregate", { pipeline: [{ $sort: { _id: -1 } }, { $skip: 1 }, { $limit: 1 }, { $count: "n" }] }, [{ n: 1 }]],
  ["bulkWrite", { operations: [{ insertOne: { document: { _id: 9 } } }, { updateOne: { filter: { _id: 9 }, update: { $set: { a: 1 } } } }, { deleteOne: { filter: { _id: 1 } } }] }, null],
];

test("actions", async () => {
  for (const [action, args, wanted, afterwards] of CASES) {
    const world = prelude(natives);
    world.EJSON = extendedJson(world);
    const data = memory({ "d.c": DOCUMENTS });
    const source = data.connect(world);
    const got = await source.run(action, { ...args, database: "d", collection: "c" });
    assert.deepEqual(got, wanted, `${action} ${JSON.stringify(args)}`);
    if (afterwards !== undefined) {
      const { list, ...now } = data.documents("d", "c").find(({ _id }) => _id === 1);
      assert.deepEqual(now, afterwards, `${action} ${JSON.stringify(args)}`);
    }
  }
});

test("what is not there says so", async () => {
  const world = prelude(natives);
  world.EJSON = extendedJson(world);
  const source = memory({ "d.c": DOCUMENTS }).connect(world);
  const run = (action, args) => source.run(action, { ...args, database: "d", collection: "c" });
  for (const [action, args] of [
    ["find", { query: { $where: "1" } }],
    ["find", { query: { a: { $near: [] } } }],
    ["updateOne", { query: {}, update: { $bit: { a: 1 } } }],
    ["updateOne", { query: {}, update: { $set: { "list.$[].k": 1 } } }],
    ["aggregate", { pipeline: [{ $lookup: {} }] }],
    ["mapReduce", {}],
  ]) {
    await assert.rejects(run(action, args), /not in memory\(\); use server\(\)/, `${action} ${JSON.stringify(args)}`);
  }
  await assert.rejects(run("insertOne", { document: { _id: 1 } }), /duplicate key/);
  await assert.rejects(run("updateOne", { query: { _id: 1 }, update: { $set: { _id: 2 } } }), /cannot be changed/);
});

test("Extended JSON keeps every type", () => {
  const world = prelude(natives);
  const EJSON = extendedJson(world);
  const text = JSON.stringify({
    a: { $oid: "5f1f4a4a4a4a4a4a4a4a4a4a" }, b: { $numberLong: "9007199254740993" }, c: { $numberDouble: "1.5" }, d: { $numberInt: "7" },
    e: { $date: { $numberLong: "5" } }, f: { $binary: { base64: "AQI=", subType: "04" } }, g: { $numberDecimal: "1.10" },
    h: { $timestamp: { t: 1, i: 2 } }, i: { $regularExpression: { pattern: "a", options: "i" } }, j: { $undefined: true },
    k: { $minKey: 1 }, l: [{ $maxKey: 1 }, null, true, "x"], m: { $code: "f" }, n: { $numberDouble: "-0.0" },
  });
  assert.equal(EJSON.stringify(EJSON.parse(text)), text);
  assert.equal(EJSON.stringify({ f: () => 1, n: 2 ** 40, z: NaN }), '{"n":{"$numberDouble":"1099511627776.0"},"z":{"$numberDouble":"NaN"}}');
  const loop = {};
  loop.loop = loop;
  assert.throws(() => EJSON.stringify(loop), TypeError);
});
