// The caller's tasks, counted by state.
exports = async function () {
  const tasks = context.services.get("mongodb-atlas").db("todo").collection("tasks");
  const groups = await tasks
    .aggregate([
      { $match: { owner_id: context.user.id } },
      { $group: { _id: "$done", count: { $sum: 1 } } },
    ])
    .toArray();
  const count = (done) => groups.find((group) => group._id === done)?.count ?? 0;
  return { open: count(false), done: count(true) };
};
