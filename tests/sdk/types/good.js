// @ts-check
// What functions do, with the types that `backstitch types` writes.

const helper = (/** @type {number} */ n) => n + 1;

exports = async function everything(/** @type {string} */ summary, ...rest) {
  const client = context.services.get("mongodb-atlas");
  const tasks = client.db("todo").collection("tasks");
  const open = await tasks.count({ owner_id: context.user.id, done: false });
  if (open >= context.values.get("limit")) throw new Error(`${open} are open`);
  const { insertedId } = await tasks.insertOne({ summary, done: false });
  for await (const task of tasks.find({ done: false }).sort({ at: -1 }).limit(5)) console.log(task._id);
  const { matchedCount, upsertedId } = await tasks.updateOne({ _id: insertedId }, { $set: { done: true } }, { upsert: true });
  const before = await tasks.findOneAndUpdate({}, { $inc: { n: 1 } }, { returnNewDocument: true, sort: { _id: 1 } });
  if (before !== null) console.info(before.n, matchedCount, upsertedId);
  const [top] = await tasks.aggregate([{ $group: { _id: "$summary" } }]).toArray();
  await tasks.bulkWrite([{ insertOne: { document: { a: 1 } } }, { deleteMany: { filter: {} } }], { ordered: false });
  const session = client.startSession();
  await session.withTransaction(async () => {
    await tasks.deleteOne({ _id: 1 }, { session });
  });
  await session.endSession();

  const reply = await context.http.post({ url: "https://example.com", body: { a: 1 }, encodeBodyAsJSON: true });
  const answer = EJSON.parse(reply.body.text());
  const page = await fetch(new URL("/a?b=c", "https://example.com"), { method: "POST", headers: { a: "b" } });
  const form = new FormData();
  form.append("file", new Blob(["a"], { type: "text/plain" }), "a.txt");
  await fetch("https://example.com", { method: "POST", body: form, signal: AbortSignal.timeout(100) });
  setTimeout((n) => console.warn(n), 10, 5);

  const id = BSON.ObjectId("5f1f4a4a4a4a4a4a4a4a4a4a");
  const other = new BSON.ObjectId();
  const values = [BSON.Long.fromNumber(5).add(1), BSON.Int32(1), BSON.Double(1.5), BSON.MinKey, BSON.Decimal128.fromString("1.1")];
  const token = utils.jwt.encode("HS256", { sub: context.user.id }, "secret");
  const { header } = utils.jwt.decode(token, "secret", true);
  const secret = utils.crypto.encrypt("aes", summary, "0123456789abcdef");
  context.services.get("mail").send({ to: summary });
  const result = await context.functions.execute("other", rest, () => helper(1));
  return {
    top, answer, header, values, result,
    equal: id.equals(other),
    status: page.ok && (await page.json()),
    text: secret.toBase64() + Buffer.from("a").toString("hex") + utils.crypto.hash("sha256", "a").toHex(),
    system: context.runningAsSystem() || context.user.type === "system" || context.environment.tag === "qa",
    agent: context.request.requestHeaders["user-agent"],
  };
};

// One file for the server and for tests on Node.
if (typeof module !== "undefined") module.exports = exports;
