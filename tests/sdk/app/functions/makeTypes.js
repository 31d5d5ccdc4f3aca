exports = () => ({
  int: BSON.Int32(7),
  long: BSON.Long.fromString("9007199254740993"),
  double: BSON.Double(3),
  decimal: BSON.Decimal128.fromString("12.50"),
  id: new BSON.ObjectId("5fd45718cface356de9d104d"),
  date: new Date(1600000000123),
  binary: BSON.Binary.fromBase64("//8="),
  nothing: null,
  list: [1, "two", false],
  regexp: BSON.BSONRegExp("^a", "i"),
  min: BSON.MinKey,
  max: BSON.MaxKey,
});
