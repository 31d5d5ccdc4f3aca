// Extended JSON (functions-runtime.md §3).
//- functions/run.js
exports = (code) => eval(code);
//= run ["EJSON.stringify({ a: 1, b: 1.5, c: new Date(1583167607977), d: 'x', e: null, f: [true] })"]
//> "{\"a\":{\"$numberInt\":\"1\"},\"b\":{\"$numberDouble\":\"1.5\"},\"c\":{\"$date\":{\"$numberLong\":\"1583167607977\"}},\"d\":\"x\",\"e\":null,\"f\":[true]}"
//= run ["EJSON.stringify(BSON.ObjectId('5fd45718cface356de9d104d'))"]
//> "{\"$oid\":\"5fd45718cface356de9d104d\"}"
//= run ["EJSON.stringify({ a: BSON.Long(42) })"]
//> "{\"a\":{\"$numberLong\":\"42\"}}"
//= run ["EJSON.parse('{\"answer\":{\"$numberLong\":\"42\"},\"submittedAt\":{\"$date\":{\"$numberLong\":\"1583167607977\"}}}')"]
//> {"answer":{"$numberLong":"42"},"submittedAt":{"$date":{"$numberLong":"1583167607977"}}}
//= run ["const v = EJSON.parse('{\"answer\":{\"$numberLong\":\"42\"},\"at\":{\"$date\":\"2020-01-01T00:00:00Z\"}}'); [v.answer instanceof BSON.Long, v.answer + 0, v.at instanceof Date, v.at.getTime()]"]
//> [true,{"$numberInt":"42"},true,{"$numberDouble":"1577836800000.0"}]
//= run ["EJSON.parse('{\"a\":1,\"b\":2.5,\"c\":{\"$numberDouble\":\"3\"},\"d\":3000000000}')"]
//> {"a":{"$numberInt":"1"},"b":{"$numberDouble":"2.5"},"c":{"$numberDouble":"3.0"},"d":{"$numberLong":"3000000000"}}
//= run ["EJSON.parse('{\"_id\":{\"$oid\":\"5fd45718cface356de9d104d\"}}')._id.toString()"]
//> "5fd45718cface356de9d104d"
//= run ["EJSON.parse(EJSON.stringify({ r: /a/i, b: BSON.Binary.fromText('x'), t: BSON.Decimal128.fromString('1.0') }))"]
//> {"r":{"$regularExpression":{"pattern":"a","options":"i"}},"b":{"$binary":{"base64":"eA==","subType":"00"}},"t":{"$numberDecimal":"1.0"}}
//= run ["EJSON.stringify({ a: 1 }, null, 2)"]
//> "{\n  \"a\": {\n    \"$numberInt\": \"1\"\n  }\n}"
//= run ["EJSON.stringify([undefined, 1])"]
//> "…1…"
//= run ["EJSON.serialize({ id: BSON.ObjectId('5fd45718cface356de9d104d') }).id.$oid"]
//> "5fd45718cface356de9d104d"
//= run ["EJSON.deserialize({ id: { $oid: '5fd45718cface356de9d104d' } }).id instanceof BSON.ObjectId"]
//> true
//= run ["try { EJSON.parse('{\"a\"') } catch (error) { error.name }"]
//> "SyntaxError"
//= run ["try { EJSON.parse('{\"$oid\":\"nope\"}') } catch (error) { error.name }"]
//> "SyntaxError"
//= run ["JSON.parse(JSON.stringify({ date: new Date(0), n: BSON.Int32(1), l: BSON.Long(2), d: BSON.Double(2.5) }))"]
//> {"date":"1970-01-01T00:00:00.000Z","n":{"$numberDouble":"1.0"},"l":{"$numberDouble":"2.0"},"d":{"$numberDouble":"2.5"}}
