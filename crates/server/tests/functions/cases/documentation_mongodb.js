// What the pages about MongoDB in functions show: reading, writing, aggregating, transactions.
//- functions/insertOne.js {"run_as_system":true}
exports = async function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  await items.deleteMany({});
  const bricks = { name: "bricks", quantity: 10, category: "toys", reviews: [{ username: "builder", comment: "They hold." }] };
  return items.insertOne(bricks)
    .then((result) => { console.log(`inserted ${typeof result.insertedId}`); return result; })
    .catch((error) => console.error(`not inserted: ${error}`));
};
//= insertOne
//> {"insertedId":{"$oid":"…"}}
//~ inserted object
//- functions/insertMany.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  const one = { name: "basket", category: "sports", quantity: 20, reviews: [] };
  const two = { name: "football", category: "sports", quantity: 30, reviews: [] };
  return items.insertMany([one, two]).then((result) => { console.log(`${result.insertedIds.length} items`); return result.insertedIds.length; });
};
//= insertMany
//> {"$numberInt":"2"}
//~ 2 items
//- functions/findOne.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  return items.findOne({ quantity: { $gte: 25 } }, { name: 1, quantity: 1, _id: 0 })
    .then((found) => { console.log(found ? `found: ${found}` : "nothing"); return found; });
};
//= findOne
//> {"name":"football","quantity":{"$numberInt":"30"}}
//~ found: [object Object]
//- functions/findMany.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  return items.find({ "reviews.0": { $exists: true } }, { _id: 0, reviews: 0 }).sort({ name: 1 }).toArray()
    .then((all) => { console.log(`${all.length} found`); all.forEach((item) => console.log(item.name)); return all; });
};
//= findMany
//> [{"name":"bricks","quantity":{"$numberInt":"10"},"category":"toys"}]
//~ 1 found
//~ bricks
//- functions/sortedOne.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("items").find({}).sort({ quantity: -1 }).next().then((found) => found.name);
//= sortedOne
//> "football"
//- functions/count.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  return items.count({ "reviews.0": { $exists: true } }).then((n) => console.log(`${n} with a review`)).catch((error) => console.error("failed", error));
};
//= count
//> {"$undefined":true}
//~ 1 with a review
//- functions/updateOne.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  return items.updateOne({ name: "bricks" }, { $set: { name: "blocks", price: 20.99, category: "toys" } }, { upsert: false })
    .then(({ matchedCount, modifiedCount }) => matchedCount && modifiedCount);
};
//= updateOne
//> {"$numberInt":"1"}
//- functions/updateMany.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("items").updateMany({}, { $mul: { quantity: 10 } }, { upsert: false });
//= updateMany
//> {"matchedCount":{"$numberInt":"3"},"modifiedCount":{"$numberInt":"3"}}
//- functions/upsert.js {"run_as_system":true}
exports = function () {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  const update = { $inc: { quantity: 5 } };
  return items.updateOne({ name: "board games" }, update, { upsert: true })
    .then(({ upsertedId }) => (upsertedId ? "inserted" : `increased by ${update.$inc.quantity}`));
};
//= upsert
//> "inserted"
//= upsert
//> "increased by 5"
//- functions/push.js {"run_as_system":true}
exports = async () => {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  await items.updateOne({ name: "football" }, { $push: { reviews: { username: "fan", comment: "It is round." } } });
  await items.updateOne({ name: "football" }, { $addToSet: { tags: "ball" } });
  await items.updateOne({ name: "football" }, { $addToSet: { tags: "ball" } });
  await items.updateOne({ name: "football" }, { $rename: { category: "kind" } });
  await items.updateOne({ name: "football" }, { $pull: { tags: "none" } });
  return items.findOne({ "reviews.0.username": "fan" }, { _id: 0 });
};
//= push
//> {"name":"football","quantity":{"$numberInt":"300"},"reviews":[{"username":"fan","comment":"It is round."}],"tags":["ball"],"kind":"sports"}
//- functions/patterns.js {"run_as_system":true}
exports = async () => {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  const { _id } = await items.findOne({ name: "football" });
  const names = async (query) => (await items.find(query).sort({ name: 1 }).toArray()).map((item) => item.name).join();
  return [
    await names({ _id: BSON.ObjectId(_id.toString()) }),
    await names({ createdAt: { $gte: new Date("2019-01-01T00:00:00.000Z"), $lt: new Date("2020-01-01T00:00:00.000Z") } }),
    await names({ name: "football", quantity: { $gt: 0 } }),
    await names({ reviews: [{ username: "fan", comment: "It is round." }] }),
    await names({ reviews: { $all: [{ username: "fan", comment: "It is round." }] } }),
    await names({ reviews: { $elemMatch: { username: "fan", comment: "It is round." } } }),
    await names({ quantity: { $gt: 0, $lte: 200 } }),
    await names({ $or: [{ quantity: { $gt: 200 } }, { reviews: { $size: 0 } }] }),
    await names({ name: { $regex: BSON.BSONRegExp(".+BALL", "i") } }),
    await names({ reviews: { $size: 1 } }),
    await names({ name: { $lt: BSON.MaxKey, $gt: BSON.MinKey } }),
  ];
};
//= patterns
//> ["football","","football","football","football","football","basket,blocks,board games","basket,football","football","blocks,football","basket,blocks,board games,football"]
//- functions/grades.js {"run_as_system":true}
exports = async () => {
  const students = context.services.get("mongodb-atlas").db("%DB%").collection("students");
  await students.insertMany([{ _id: 1, grades: [85, 82, 80] }, { _id: 2, grades: [88, 90, 92] }, { _id: 3, grades: [85, 100, 90] }]);
  await students.updateMany({}, { $inc: { "grades.$[]": 10 } });
  await students.updateMany({}, { $set: { "grades.$[grade]": 100 } }, { arrayFilters: [{ grade: { $gt: 100 } }] });
  return students.find().sort({ _id: 1 }).toArray().then((all) => all.map((one) => one.grades.join(" ")));
};
//= grades
//> ["95 92 90","98 100 100","95 100 100"]
//- functions/findOneAnd.js {"run_as_system":true}
exports = async () => {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  const updated = await items.findOneAndUpdate({ name: "blocks" }, { $set: { name: "lego", price: 30 } }, { returnNewDocument: true });
  const replaced = await items.findOneAndReplace({ name: "lego" }, { name: "blocks", price: 20.99, category: "toys" }, { returnNewDocument: false });
  const deleted = await items.findOneAndDelete({ quantity: { $gte: 25 } }, { sort: { quantity: -1 } });
  return [updated.name, replaced.name, deleted.name];
};
//= findOneAnd
//> ["lego","lego","football"]
//- functions/deletes.js {"run_as_system":true}
exports = async () => {
  const items = context.services.get("mongodb-atlas").db("%DB%").collection("items");
  const { deletedCount } = await items.deleteOne({ name: "blocks" });
  return [deletedCount, (await items.deleteMany({ reviews: { $size: 0 } })).deletedCount];
};
//= deletes
//> [{"$numberInt":"1"},{"$numberInt":"1"}]
//- functions/bulk.js {"run_as_system":true}
exports = async function () {
  const one = { name: "velvet", quantity: 20, reviews: [] };
  const two = { name: "turtleneck", quantity: 30, reviews: [] };
  const collection = context.services.get("mongodb-atlas").db("%DB%").collection("purchases");
  return await collection.bulkWrite([{ insertOne: one }, { insertOne: two }], { ordered: true });
};
//= bulk
//> null
//- functions/aggregate.js {"run_as_system":true}
exports = async function () {
  const purchases = context.services.get("mongodb-atlas").db("%DB%").collection("sales");
  await purchases.insertMany([
    { customerId: 1, items: [{ name: "a", quantity: 1 }, { name: "b", quantity: 2 }] },
    { customerId: 1, items: [{ name: "c", quantity: 1 }] },
    { customerId: 2, items: [] },
  ]);
  const pipeline = [
    { $group: { _id: "$customerId", numPurchases: { $sum: 1 }, numItemsPurchased: { $sum: { $size: "$items" } } } },
    { $addFields: { averageNumItemsPurchased: { $divide: ["$numItemsPurchased", "$numPurchases"] } } },
    { $sort: { _id: 1 } },
  ];
  return purchases.aggregate(pipeline).toArray().then((customers) => {
    for (const customer of customers) console.log(`customer ${customer._id}: ${customer.averageNumItemsPurchased}`);
    return customers;
  });
};
//= aggregate
//> [{"_id":{"$numberInt":"1"},"numPurchases":{"$numberInt":"2"},"numItemsPurchased":{"$numberInt":"3"},"averageNumItemsPurchased":{"$numberDouble":"1.5"}},{"_id":{"$numberInt":"2"},"numPurchases":{"$numberInt":"1"},"numItemsPurchased":{"$numberInt":"0"},"averageNumItemsPurchased":{"$numberDouble":"0.0"}}]
//~ customer 1: 1.5
//~ customer 2: 0
//- functions/unwind.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("sales")
  .aggregate([{ $unwind: { path: "$items", includeArrayIndex: "itemIndex" } }, { $match: { customerId: 1 } }, { $sort: { "items.name": 1 } }, { $project: { _id: 0, itemIndex: 1, "items.name": 1 } }]);
//= unwind
//> [{"items":{"name":"a"},"itemIndex":{"$numberLong":"0"}},{"items":{"name":"b"},"itemIndex":{"$numberLong":"1"}},{"items":{"name":"c"},"itemIndex":{"$numberLong":"0"}}]
//- functions/distinct.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("sales").distinct("customerId", {})
  .then((all) => { console.log(JSON.stringify(all)); return all.length; })
  .catch((error) => console.error(error));
//= distinct
//> {"$numberInt":"2"}
//~ [1,2]
//- functions/names.js {"run_as_system":true}
exports = () => {
  const client = context.services.get("mongodb-atlas");
  const databases = client.admin().getDBNames();
  return [databases.includes("%DB%"), client.db("%DB%").getCollectionNames().includes("sales")];
};
//= names
//> [true,true]
//- functions/trade.js {"run_as_system":true}
exports = function () {
  const client = context.services.get("mongodb-atlas");
  const db = client.db("%DB%");
  const accounts = db.collection("accounts");
  const trades = db.collection("trades");
  accounts.insertOne({ name: "henry", points: 42 });
  accounts.insertOne({ name: "michelle", points: 144 });
  trade(client, accounts, trades, "michelle", "henry", 5);
  return "traded";
};
async function trade(client, accounts, trades, to, from, points) {
  const session = client.startSession();
  try {
    await session.withTransaction(async () => {
      await accounts.updateOne({ name: from }, { $inc: { points: -1 * points } }, { session });
      await accounts.updateOne({ name: to }, { $inc: { points } }, { session });
      await trades.insertOne({ to, from, points }, { session });
    });
  } catch (error) {
    await session.abortTransaction();
  } finally {
    await session.endSession();
  }
}
//- functions/traded.js {"run_as_system":true}
exports = async () => [
  await context.services.get("mongodb-atlas").db("%DB%").collection("trades").count(),
  await context.services.get("mongodb-atlas").db("%DB%").collection("accounts").count(),
];
//= trade
//> "traded"
//= traded
//> [{"$numberInt":"1"},{"$numberInt":"2"}]
//- functions/merge.js {"run_as_system":true}
exports = function (change) {
  const db = context.services.get("mongodb-atlas").db("%DB%");
  if (!change.documentKey) return;
  const id = change.documentKey._id;
  if (change.operationType === "delete") return db.collection("copies").deleteOne({ _id: id.toString() });
  return db.collection("sales").aggregate([{ $match: { customerId: id } }, { $limit: 1 }, { $project: { _id: { $toString: "$customerId" } } }, { $merge: "copies" }]);
};
//- functions/copies.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("copies").find().toArray();
//= merge [{"operationType":"insert","documentKey":{"_id":{"$numberInt":"1"}}}]
//> []
//= copies
//> [{"_id":"1"}]
//= merge [{"operationType":"delete","documentKey":{"_id":{"$numberInt":"1"}}}]
//> {"deletedCount":{"$numberInt":"1"}}
//= merge [{"operationType":"invalidate"}]
//> {"$undefined":true}
//- functions/materialize.js {"run_as_system":true}
exports = function (change) {
  const { fullDocument: { productId } } = change;
  context.services.get("mongodb-atlas").db("%DB%").collection("totals").updateOne({ _id: productId }, { $inc: { total: 1 } }, { upsert: true });
};
//- functions/totals.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("totals").findOne({ _id: "p" });
//= materialize [{"fullDocument":{"productId":"p"}}]
//> {"$undefined":true}
//= materialize [{"fullDocument":{"productId":"p"}}]
//> {"$undefined":true}
//= totals
//> {"_id":"p","total":{"$numberInt":"2"}}
