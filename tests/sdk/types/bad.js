// @ts-check
// Each line with a mark is wrong, and nothing else is.

exports = async () => {
  context.usr; // wrong
  context.user.email; // wrong
  context.values.find("a"); // wrong
  context.user.id = "other"; // wrong
  context.environment.tag === "live"; // wrong
  const tasks = context.services.get("mongodb-atlas").db("a").collection("b");
  tasks.findAll(); // wrong
  (await tasks.updateOne({}, {})).matched; // wrong
  tasks.insertMany({ a: 1 }); // wrong
  BSON.ObjectID5(); // wrong
  BSON.MinKey(); // wrong
  utils.jwt.encode("HS1", {}, "a"); // wrong
  utils.crypto.hmac("a", "b", "md5", "hex"); // wrong
  context.http.get("https://example.com"); // wrong
  window.alert(1); // wrong
};
