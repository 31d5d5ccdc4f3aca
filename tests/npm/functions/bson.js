exports = async () => {
  const { ObjectId, serialize, deserialize, EJSON, Long, Decimal128, UUID } = require("bson");
  const bytes = serialize({ _id: new ObjectId("507f1f77bcf86cd799439011"), l: Long.fromNumber(7), d: Decimal128.fromString("1.5"), at: new Date(0), b: Buffer.from("x") });
  return [Buffer.from(bytes).toString("hex"), EJSON.stringify(deserialize(bytes)), ObjectId.isValid("x"), UUID.generate().length, new ObjectId().toHexString().length];
};
