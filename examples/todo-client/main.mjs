// A client of the to-do app, on the stock realm-web SDK:
//   cd examples/todo-client && npm install && node main.mjs [app id] [url]
import * as Realm from "realm-web";

const [id = "todo-local", baseUrl = "http://127.0.0.1:9090"] = process.argv.slice(2);
const app = new Realm.App({ id, baseUrl });

const email = `ada-${Date.now()}@example.com`;
await app.emailPasswordAuth.registerUser({ email, password: "correct horse" });
const ada = await app.logIn(Realm.Credentials.emailPassword(email, "correct horse"));
console.log("logged in as", ada.id);

console.log(await ada.functions.greeting("Ada"));
await ada.functions.addTask("read the guide");
const shared = await ada.functions.addTask("try the SDK", { shared: true });

const tasks = (user) => user.mongoClient("mongodb-atlas").db("todo").collection("tasks");
await tasks(ada).updateOne({ _id: shared._id }, { $set: { done: true, notes: "only for me" } });
console.log("my tasks:", await tasks(ada).find({}, { sort: { summary: 1 } }));
console.log("in numbers:", await ada.functions.summary());

// Somebody else sees what is shared, without the notes, and may not change it.
const guest = await app.logIn(Realm.Credentials.anonymous());
console.log("a guest sees:", await tasks(guest).findOne({ _id: shared._id }));
try {
  await tasks(guest).updateOne({ _id: shared._id }, { $set: { summary: "mine now" } });
} catch (error) {
  console.log("a guest may not write:", error.error);
}
