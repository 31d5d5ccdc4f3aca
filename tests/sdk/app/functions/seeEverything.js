exports = async () => {
  const notes = context.services.get("mongodb-atlas").db("shop").collection("notes");
  return { system: context.runningAsSystem(), count: await notes.count({}) };
};
