// Adds a task for the caller and returns it.
exports = async function (summary, options = {}) {
  const tasks = context.services.get("mongodb-atlas").db("todo").collection("tasks");
  const limit = context.values.get("openTaskLimit");
  const open = await context.functions.execute("openTasks");
  if (open >= limit) {
    throw new Error(`finish a task first: ${open} of ${limit} are open`);
  }
  const task = {
    owner_id: context.user.id,
    summary,
    done: false,
    shared: options.shared === true,
  };
  const { insertedId } = await tasks.insertOne(task);
  console.log("added", summary);
  return { _id: insertedId, ...task };
};
