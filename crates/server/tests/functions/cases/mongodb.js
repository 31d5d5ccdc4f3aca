// Every method of a collection: arguments, options, what it resolves to (functions-runtime.md §2.1).
//- functions/run.js {"run_as_system":true}
exports = async (code) => {
  const client = context.services.get("mongodb-atlas");
  const db = client.db("%DB%");
  const c = db.collection("c");
  return await eval(`(async () => { ${/\breturn\b/.test(code) ? code : `return ${code}`} })()`);
};
//= run ["c.insertOne({ _id: 1, n: 1, t: 'a' })"]
//> {"insertedId":{"$numberInt":"1"}}
//= run ["c.insertOne({ t: 'temporary' })"]
//> {"insertedId":{"$oid":"…"}}
//= run ["c.deleteOne({ t: 'temporary' })"]
//> {"deletedCount":{"$numberInt":"1"}}
//= run ["c.insertMany([{ _id: 2, n: 2, t: 'a' }, { _id: 'three', n: 3, t: 'b' }, { _id: 4, n: 4, t: 'b', list: [1, 5, 9] }])"]
//> {"insertedIds":[{"$numberInt":"2"},"three",{"$numberInt":"4"}]}
//= run ["const r = await c.insertMany([{ _id: 1 }, { _id: 90 }], { ordered: false }).catch((error) => error.code); return [r, await c.count({ _id: 90 })]"]
//> ["MongoDBError",{"$numberInt":"1"}]
//= run ["const r = await c.insertMany([{ _id: 1 }, { _id: 91 }]).catch((error) => error.code); return [r, await c.count({ _id: 91 }), await c.deleteMany({ _id: { $gt: 80 } })]"]
//> ["MongoDBError",{"$numberInt":"0"},{"deletedCount":{"$numberInt":"1"}}]
//= run ["c.find().toArray().then((all) => all.length)"]
//> {"$numberInt":"4"}
//= run ["c.find({ t: 'a' }, { _id: 0, n: 1 }).sort({ n: -1 }).toArray()"]
//> [{"n":{"$numberInt":"2"}},{"n":{"$numberInt":"1"}}]
//= run ["c.find({}, { n: 1, _id: 0 }).sort({ n: 1 }).skip(1).limit(2).toArray()"]
//> [{"n":{"$numberInt":"2"}},{"n":{"$numberInt":"3"}}]
//= run ["c.find({}, { n: 1, _id: 0 }, { sort: { n: -1 }, limit: 1, skip: 1 }).toArray()"]
//> [{"n":{"$numberInt":"3"}}]
//= run ["const k = c.find({ t: 'a' }).sort({ n: 1 }); return [(await k.next()).n, (await k.next()).n, await k.next(), await k.next()]"]
//> [{"$numberInt":"1"},{"$numberInt":"2"},{"$undefined":true},{"$undefined":true}]
//= run ["const k = c.find({ t: 'a' }).sort({ n: 1 }); await k.next(); return (await k.toArray()).map((d) => d.n)"]
//> [{"$numberInt":"2"}]
//= run ["const k = c.find(); await k.next(); try { k.limit(1) } catch (error) { return error.message }"]
//> "limit must be called before the cursor is read"
//= run ["c.find({ t: 'a' }, { _id: 1 }).sort({ n: 1 })"]
//> [{"_id":{"$numberInt":"1"}},{"_id":{"$numberInt":"2"}}]
//= run ["return { found: c.find({ n: 1 }, { _id: 1 }), all: [c.aggregate([{ $count: 'n' }])] }"]
//> {"found":[{"_id":{"$numberInt":"1"}}],"all":[[{"n":{"$numberInt":"4"}}]]}
//= run ["const k = await c.find({ n: 1 }); return (await k.toArray()).length"]
//> {"$numberInt":"1"}
//= run ["const seen = []; for await (const d of c.find().sort({ n: 1 })) seen.push(d.n); return seen"]
//> [{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"},{"$numberInt":"4"}]
//= run ["const seen = []; await c.find().sort({ n: 1 }).map((d) => d.n).forEach((n) => { seen.push(n) }); return seen.length"]
//> {"$numberInt":"4"}
//= run ["c.findOne({ n: 2 })"]
//> {"_id":{"$numberInt":"2"},"n":{"$numberInt":"2"},"t":"a"}
//= run ["c.findOne({ n: 2 }, { t: 1, _id: 0 })"]
//> {"t":"a"}
//= run ["c.findOne({ n: 99 })"]
//> null
//= run ["c.findOne().then((d) => typeof d)"]
//> "object"
//= run ["c.updateOne({ n: 1 }, { $set: { t: 'c' } })"]
//> {"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}
//= run ["c.updateOne({ n: 1 }, { $set: { t: 'c' } })"]
//> {"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"0"}}
//= run ["c.updateOne({ n: 99 }, { $set: { t: 'c' } })"]
//> {"matchedCount":{"$numberInt":"0"},"modifiedCount":{"$numberInt":"0"}}
//= run ["c.updateMany({ t: 'b' }, { $inc: { m: 1 } })"]
//> {"matchedCount":{"$numberInt":"2"},"modifiedCount":{"$numberInt":"2"}}
//= run ["c.updateOne({ _id: 'up' }, { $inc: { n: 5 } }, { upsert: true })"]
//> {"matchedCount":{"$numberInt":"0"},"modifiedCount":{"$numberInt":"0"},"upsertedId":"up"}
//= run ["c.updateOne({ _id: 'up' }, { $inc: { n: 5 } }, { upsert: true })"]
//> {"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}
//= run ["c.updateOne({ _id: 4 }, { $set: { 'list.$[big]': 0 } }, { arrayFilters: [{ big: { $gt: 4 } }] })"]
//> {"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}
//= run ["c.updateMany({ _id: 4 }, { $inc: { 'list.$[]': 1 } }).then(() => c.findOne({ _id: 4 })).then((d) => d.list)"]
//> [{"$numberInt":"2"},{"$numberInt":"1"},{"$numberInt":"1"}]
//= run ["c.updateOne({ _id: 4 }, [{ $set: { sum: { $sum: '$list' } } }]).then(() => c.findOne({ _id: 4 }, { sum: 1, _id: 0 }))"]
//> {"sum":{"$numberInt":"4"}}
//= run ["c.replaceOne({ _id: 4 }, { n: 4 })"]
//> {"matchedCount":{"$numberInt":"1"},"modifiedCount":{"$numberInt":"1"}}
//= run ["c.findOneAndUpdate({ _id: 4 }, { $set: { n: 5 } })"]
//> {"_id":{"$numberInt":"4"},"n":{"$numberInt":"4"}}
//= run ["c.findOneAndUpdate({ _id: 4 }, { $set: { n: 6 } }, { returnNewDocument: true, projection: { n: 1, _id: 0 } })"]
//> {"n":{"$numberInt":"6"}}
//= run ["c.findOneAndUpdate({}, { $set: { top: true } }, { sort: { n: -1 }, returnNewDocument: true }).then((d) => d._id)"]
//> "up"
//= run ["c.findOneAndUpdate({ _id: 77 }, { $set: { n: 6 } })"]
//> null
//= run ["c.findOneAndUpdate({ _id: 77 }, { $set: { n: 6 } }, { upsert: true, returnNewDocument: true })"]
//> {"_id":{"$numberInt":"77"},"n":{"$numberInt":"6"}}
//= run ["c.findOneAndUpdate({ _id: 78 }, { $set: { n: 6 } }, { upsert: true })"]
//> null
//= run ["c.findOneAndReplace({ _id: 78 }, { n: 7 })"]
//> {"_id":{"$numberInt":"78"},"n":{"$numberInt":"6"}}
//= run ["c.findOneAndReplace({ _id: 78 }, { n: 8 }, { returnNewDocument: true })"]
//> {"_id":{"$numberInt":"78"},"n":{"$numberInt":"8"}}
//= run ["c.findOneAndReplace({ _id: 78 }, { $set: { n: 1 } }).catch((error) => error.message)"]
//> "the replace operation document must not contain atomic operators"
//= run ["c.findOneAndDelete({ _id: { $in: [77, 78] } }, { sort: { n: -1 }, projection: { n: 1, _id: 0 } })"]
//> {"n":{"$numberInt":"8"}}
//= run ["c.findOneAndDelete({ _id: 78 })"]
//> null
//= run ["c.deleteMany({ _id: { $in: [77, 'up'] } })"]
//> {"deletedCount":{"$numberInt":"2"}}
//= run ["c.deleteOne({ _id: 'nobody' })"]
//> {"deletedCount":{"$numberInt":"0"}}
//= run ["c.aggregate([{ $match: { n: { $lte: 3 } } }, { $group: { _id: null, sum: { $sum: '$n' } } }]).toArray()"]
//> [{"_id":null,"sum":{"$numberInt":"6"}}]
//= run ["c.aggregate([{ $sort: { n: 1 } }, { $project: { _id: 0, n: 1 } }]).skip(1).next()"]
//> {"n":{"$numberInt":"2"}}
//= run ["c.aggregate([{ $match: { n: 99 } }]).next()"]
//> {"$undefined":true}
//= run ["c.count()"]
//> {"$numberInt":"4"}
//= run ["c.count({ n: { $lte: 2 } })"]
//> {"$numberInt":"2"}
//= run ["return [await c.countDocuments({ t: 'b' }), await c.estimatedDocumentCount()]"]
//> [{"$numberInt":"1"},{"$numberInt":"4"}]
//= run ["c.distinct('t', {}).then((all) => all.sort())"]
//> ["a","b","c"]
//= run ["c.distinct('n', { n: { $lte: 2 } })"]
//> [{"$numberInt":"1"},{"$numberInt":"2"}]
//= run ["c.bulkWrite([{ insertOne: { document: { _id: 'b1' } } }, { insertOne: { _id: 'b2' } }, { updateOne: { filter: { _id: 'b1' }, update: { $set: { n: 1 } } } }, { updateOne: { filter: { _id: 'b3' }, update: { $set: { n: 3 } }, upsert: true } }, { replaceOne: { filter: { _id: 'b2' }, replacement: { n: 8 } } }, { updateMany: { filter: { _id: 'b2' }, update: { $inc: { n: 1 } } } }, { deleteOne: { filter: { _id: 'b1' } } }, { deleteMany: { filter: { _id: 'none' } } }])"]
//> null
//= run ["c.find({ _id: /^b/ }).sort({ _id: 1 }).toArray()"]
//> [{"_id":"b2","n":{"$numberInt":"9"}},{"_id":"b3","n":{"$numberInt":"3"}}]
//= run ["const r = await c.bulkWrite([{ insertOne: { document: { _id: 'b2' } } }, { insertOne: { document: { _id: 'b4' } } }], { ordered: false }).catch((error) => error.code); return [r, await c.count({ _id: 'b4' })]"]
//> ["MongoDBError",{"$numberInt":"1"}]
//= run ["const r = await c.bulkWrite([{ insertOne: { document: { _id: 'b2' } } }, { insertOne: { document: { _id: 'b5' } } }]).catch((error) => error.code); return [r, await c.count({ _id: 'b5' })]"]
//> ["MongoDBError",{"$numberInt":"0"}]
//= run ["c.bulkWrite([{ dropIt: {} }]).catch((error) => error.message)"]
//> "a bulk operation is one of …"
//= run ["const bulk = c.initializeOrderedBulkOp(); bulk.insert({ _id: 'o1', n: 1 }); bulk.insert({ _id: 'o2', n: 1 }); bulk.find({ _id: /^o/ }).update({ $inc: { n: 1 } }); bulk.find({ _id: 'o2' }).deleteOne(); bulk.find({ _id: 'o3' }).upsert().updateOne({ $set: { n: 3 } }); await bulk.execute(); return c.find({ _id: /^o/ }).sort({ _id: 1 }).toArray()"]
//> [{"_id":"o1","n":{"$numberInt":"2"}},{"_id":"o3","n":{"$numberInt":"3"}}]
//= run ["const bulk = c.initializeUnorderedBulkOp(); bulk.find({ _id: /^[bo]/ }).delete(); return bulk.execute().then(() => c.count())"]
//> {"$numberInt":"4"}
//= run ["c.insertOne({ _id: 1 }).catch((error) => [error.code, error.message.includes('uplicate key'), error instanceof Error])"]
//> ["MongoDBError",true,true]
//= run ["c.insertMany([]).catch((error) => error.message)"]
//> "must provide at least one element"
//= run ["c.find({ $who: 1 }).toArray().catch((error) => error.message.split('.')[0])"]
//> "unknown top level operator: $who"
//= run ["return [db.getCollectionNames(), await db.getCollectionNames(), client.admin().getDBNames().includes('%DB%')]"]
//> [["c"],["c"],true]
//= run ["c.insertOne({ _id: 'undefined', a: undefined, b: null, f: () => 1 }).then(() => c.findOneAndDelete({ _id: 'undefined' }))"]
//> {"_id":"undefined","b":null}
//= run ["const id = new BSON.ObjectId(); await c.insertOne({ _id: id, at: new Date(5), big: BSON.Long.MAX_VALUE }); const d = await c.findOneAndDelete({ _id: id }); return [d._id.equals(id), d.at, d.big, d.at instanceof Date]"]
//> [true,{"$date":{"$numberLong":"5"}},{"$numberLong":"9223372036854775807"},true]
//= run ["Promise.all([c.count({ n: 1 }), c.count({ n: 2 }), c.findOne({ n: 3 }, { _id: 1 })])"]
//> [{"$numberInt":"1"},{"$numberInt":"1"},{"_id":"three"}]
