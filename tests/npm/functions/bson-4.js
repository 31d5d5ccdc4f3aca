exports = async () => {
  const { ObjectId, serialize, deserialize, EJSON } = require("bson-4");
  return [EJSON.stringify(deserialize(serialize({ a: 1.5, _id: ObjectId("507f1f77bcf86cd799439011"), n: [null, true, "ü"] })))];
};
