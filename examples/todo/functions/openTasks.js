// How many open tasks the caller has; private, for other functions.
exports = async function () {
  const tasks = context.services.get("mongodb-atlas").db("todo").collection("tasks");
  return tasks.count({ owner_id: context.user.id, done: false });
};
