exports = async function (fails) {
  const client = context.services.get("mongodb-atlas");
  const items = client.db("shop").collection("items");
  const session = client.startSession();
  try {
    await session.withTransaction(async () => {
      await items.updateOne({ _id: 1 }, { $inc: { left: -1 } }, { session });
      await items.insertOne({ _id: 3, left: 9 }, { session });
      if (fails) throw new Error("no");
    });
  } catch (error) {
    console.warn(error.message);
  }
  return items.find({}, { left: 1 }).sort({ _id: -1 });
};
