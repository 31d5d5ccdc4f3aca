// Options that only the system has, and aggregations on a database (functions-runtime.md §2.1).
//- data_sources/mongodb-atlas/default_rule.json
{"roles":[{"name":"all","apply_when":{},"insert":true,"delete":true,"read":true,"write":true,"search":true}]}
//- functions/system.js {"run_as_system":true}
exports = (code) => context.functions.execute("evaluate", code);
//- functions/evaluate.js
exports = async (code) => {
  const db = context.services.get("mongodb-atlas").db("%DB%");
  const c = db.collection("c");
  const collation = { locale: "en", strength: 2 };
  return await eval(`(async () => ${code})()`).catch((error) => [error.code, error.message]);
};
//= system ["c.insertMany([{ _id: 1, t: 'a' }, { _id: 2, t: 'A' }, { _id: 3, t: 'b' }])"]
//> {"insertedIds":[{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"}]}
//= system ["c.find({ t: 'A' }, {}, { collation }).toArray().then((all) => all.length)"]
//> {"$numberInt":"2"}
//= system ["c.count({ t: 'A' }, { collation })"]
//> {"$numberInt":"2"}
//= system ["c.distinct('t', {}, { collation }).then((all) => all.length)"]
//> {"$numberInt":"2"}
//= system ["c.aggregate([{ $match: { t: 'A' } }, { $count: 'n' }], { collation }).next()"]
//> {"n":{"$numberInt":"2"}}
//= system ["c.updateMany({ t: 'A' }, { $set: { n: 1 } }, { collation })"]
//> {"matchedCount":{"$numberInt":"2"},"modifiedCount":{"$numberInt":"2"}}
//= system ["c.findOneAndUpdate({ t: 'B' }, { $set: { n: 2 } }, { collation }).then((found) => found._id)"]
//> {"$numberInt":"3"}
//= system ["c.bulkWrite([{ updateOne: { filter: { t: 'B' }, update: { $set: { n: 3 } }, collation } }]).then(() => c.findOne({ t: 'b' }, { n: 1, _id: 0 }))"]
//> {"n":{"$numberInt":"3"}}
//= system ["c.find({}, {}, { hint: { _id: 1 }, maxTimeMS: 5000, comment: 'why' }).toArray().then((all) => all.length)"]
//> {"$numberInt":"3"}
//= system ["c.find({}, {}, { readConcern: { level: 'majority' } }).toArray().then((all) => all.length)"]
//> {"$numberInt":"3"}
//= system ["c.insertOne({ _id: 4 }, { writeConcern: { w: 'majority' } })"]
//> {"insertedId":{"$numberInt":"4"}}
//= system ["c.deleteMany({ t: 'A' }, { collation, writeConcern: { w: 1 } })"]
//> {"deletedCount":{"$numberInt":"2"}}
//= evaluate ["c.find({ t: 'A' }, {}, { collation }).toArray()"]
//> ["InvalidParameter","the option 'collation' is not supported"]
//= evaluate ["c.insertOne({ _id: 5 }, { writeConcern: { w: 1 } })"]
//> ["InvalidParameter","the option 'writeConcern' is not supported"]
//= system ["db.aggregate([{ $documents: [{ n: 1 }, { n: 2 }] }, { $group: { _id: null, sum: { $sum: '$n' } } }]).toArray()"]
//> [{"_id":null,"sum":{"$numberInt":"3"}}]
//= system ["db.aggregate([{ $documents: [{ n: 3 }] }, { $lookup: { from: 'c', localField: 'n', foreignField: '_id', as: 'found' } }, { $project: { 'found.t': 1 } }]).next()"]
//> {"found":[{"t":"b"}]}
//= system ["db.aggregate([{ $changeStream: {} }]).toArray()"]
//> ["InvalidParameter","an aggregation on a database begins with $documents"]
//= system ["db.aggregate([]).toArray()"]
//> ["InvalidParameter","an aggregation on a database begins with $documents"]
//= evaluate ["db.aggregate([{ $documents: [{ n: 1 }] }]).toArray()"]
//> ["NoMatchingRuleFound","an aggregation on a database needs a system function"]
//= system ["context.services.get('mongodb-atlas').db('admin').aggregate([{ $documents: [{ n: 1 }] }]).toArray()"]
//> ["MongoDBError","not authorized on admin to execute command"]
