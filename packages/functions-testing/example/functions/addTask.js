let calls = 0;
exports = async function (summary) {
  calls++;
  const tasks = context.services.get("mongodb-atlas").db("todo").collection("tasks");
  const limit = context.values.get("openTaskLimit");
  const open = await tasks.count({ owner_id: context.user.id, done: false });
  if (open >= limit) throw new Error(`finish a task first: ${open} are open`);
  const { insertedId } = await tasks.insertOne({ owner_id: context.user.id, summary, done: false });
  console.log("added", summary, calls);
  return insertedId;
};
