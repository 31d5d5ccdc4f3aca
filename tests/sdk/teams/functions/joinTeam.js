exports = async function (team) {
  const people = context.services.get("mongodb-atlas").db("work").collection("people");
  return people.updateOne({ user_id: context.user.id }, { $addToSet: { teams: team } });
};
