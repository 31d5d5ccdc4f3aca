// Sessions and transactions (functions-runtime.md §2.1).
//- functions/run.js {"run_as_system":true}
exports = async (code) => {
  const client = context.services.get("mongodb-atlas");
  const c = client.db("%DB%").collection("c");
  await c.deleteMany({});
  await c.insertOne({ _id: 0, n: 0 });
  return await eval(`(async () => { ${code} })()`);
};
//= run ["const session = client.startSession(); try { return await session.withTransaction(async () => { await c.insertOne({ _id: 1 }, { session }); await c.updateOne({ _id: 0 }, { $inc: { n: 1 } }, { session }); return [await c.count({ _id: 1 }), await c.count({ _id: 1 }, { session })]; }); } finally { await session.endSession(); }"]
//> [{"$numberInt":"0"},{"$numberInt":"1"}]
//= run ["const session = client.startSession(); await session.withTransaction(async () => { await c.insertOne({ _id: 1 }, { session }) }); await session.endSession(); return c.count()"]
//> {"$numberInt":"2"}
//= run ["const session = client.startSession(); try { await session.withTransaction(async () => { await c.insertOne({ _id: 1 }, { session }); throw new Error('no'); }); } catch (error) { await session.abortTransaction(); return [error.message, await c.count()]; } finally { await session.endSession(); }"]
//> ["no",{"$numberInt":"1"}]
//= run ["const session = client.startSession(); session.startTransaction(); await c.insertOne({ _id: 1 }, { session }); const inside = session.inTransaction(); await session.commitTransaction(); return [inside, session.inTransaction(), await c.count()]"]
//> [true,false,{"$numberInt":"2"}]
//= run ["const session = client.startSession(); session.startTransaction(); await c.insertOne({ _id: 1 }, { session }); await session.abortTransaction(); await session.abortTransaction(); await session.endSession(); return c.count()"]
//> {"$numberInt":"1"}
//= run ["const session = client.startSession(); session.startTransaction(); await c.insertOne({ _id: 1 }, { session }); await session.endSession(); return c.count()"]
//> {"$numberInt":"1"}
//= run ["const session = client.startSession(); session.startTransaction(); try { session.startTransaction() } catch (error) { return error.message }"]
//> "a transaction is already in progress"
//= run ["const session = client.startSession(); await session.withTransaction(async () => { for (const method of [() => c.findOne({ _id: 0 }, {}, { session }), () => c.find({}, {}, { session }).toArray(), () => c.aggregate([{ $match: {} }], { session }).toArray(), () => c.distinct('n', {}, { session }), () => c.findOneAndUpdate({ _id: 0 }, { $inc: { n: 1 } }, { session }), () => c.findOneAndReplace({ _id: 0 }, { n: 5 }, { session }), () => c.bulkWrite([{ insertOne: { document: { _id: 9 } } }], { session }), () => c.insertMany([{ _id: 7 }, { _id: 8 }], { session }), () => c.updateMany({}, { $set: { m: 1 } }, { session }), () => c.deleteOne({ _id: 8 }, { session }), () => c.deleteMany({ _id: 7 }, { session }), () => c.findOneAndDelete({ _id: 9 }, { session })]) await method(); }, { readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } }); return c.find().toArray()"]
//> [{"_id":{"$numberInt":"0"},"n":{"$numberInt":"5"},"m":{"$numberInt":"1"}}]
//= run ["const session = client.startSession(); session.startTransaction(); await c.insertOne({ _id: 1 }, { session }); const committed = session.commitTransaction(); session.endSession(); await committed; return c.count({ _id: 1 })"]
//> {"$numberInt":"1"}
//= run ["const session = client.startSession(); await session.commitTransaction(); await session.endSession(); return 'nothing to end'"]
//> "nothing to end"
//= run ["return c.insertOne({}, { session: {} })"]
//! FunctionExecutionError: TypeError: the option 'session' is not a session
//- functions/both.js {"run_as_system":true}
exports = async () => {
  const client = context.services.get("mongodb-atlas");
  const c = client.db("%DB%").collection("counter");
  await c.insertOne({ _id: 1, n: 0 });
  const once = async () => {
    const session = client.startSession();
    await session.withTransaction(async () => {
      const { n } = await c.findOne({ _id: 1 }, {}, { session });
      await c.updateOne({ _id: 1 }, { $set: { n: n + 1 } }, { session });
    });
  };
  await Promise.all(Array.from({ length: 10 }, once));
  return (await c.findOne({ _id: 1 })).n;
};
//= both
//> {"$numberInt":"10"}
//- functions/left.js {"run_as_system":true}
exports = async () => {
  const client = context.services.get("mongodb-atlas");
  const session = client.startSession();
  session.startTransaction();
  await client.db("%DB%").collection("left").insertOne({ _id: 1 }, { session });
};
//- functions/after.js {"run_as_system":true}
exports = () => context.services.get("mongodb-atlas").db("%DB%").collection("left").insertOne({ _id: 1 });
//= left
//> {"$undefined":true}
//= after
//> {"insertedId":{"$numberInt":"1"}}
