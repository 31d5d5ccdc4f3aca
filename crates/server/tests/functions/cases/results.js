// What a call returns, and what it gets (functions-runtime.md §7).
//- functions/echo.js
exports = (value) => value;
//= echo [{"$numberInt":"5"}]
//> {"$numberInt":"5"}
//= echo [5]
//> {"$numberInt":"5"}
//= echo [{"$numberDouble":"5.0"}]
//> {"$numberDouble":"5.0"}
//= echo [5.5]
//> {"$numberDouble":"5.5"}
//= echo [{"$numberLong":"5"}]
//> {"$numberLong":"5"}
//= echo [{"$numberLong":"9007199254740993"}]
//> {"$numberLong":"9007199254740993"}
//= echo [{"$numberDouble":"NaN"}]
//> {"$numberDouble":"NaN"}
//= echo [{"$numberDouble":"-Infinity"}]
//> {"$numberDouble":"-Infinity"}
//= echo [{"$numberDouble":"-0.0"}]
//> {"$numberDouble":"-0.0"}
//= echo [{"$numberDecimal":"1.10"}]
//> {"$numberDecimal":"1.10"}
//= echo [{"$oid":"5fd45718cface356de9d104d"}]
//> {"$oid":"5fd45718cface356de9d104d"}
//= echo [{"$date":{"$numberLong":"1600000000123"}}]
//> {"$date":{"$numberLong":"1600000000123"}}
//= echo [{"$date":"2020-09-13T12:26:40Z"}]
//> {"$date":{"$numberLong":"1600000000000"}}
//= echo [{"$binary":{"base64":"AQID","subType":"04"}}]
//> {"$binary":{"base64":"AQID","subType":"04"}}
//= echo [{"$regularExpression":{"pattern":"^a","options":"i"}}]
//> {"$regularExpression":{"pattern":"^a","options":"i"}}
//= echo [{"$timestamp":{"t":1,"i":2}}]
//> {"$timestamp":{"t":1,"i":2}}
//= echo [{"$minKey":1}]
//> {"$minKey":1}
//= echo [{"$maxKey":1}]
//> {"$maxKey":1}
//= echo [{"$undefined":true}]
//> {"$undefined":true}
//= echo []
//> {"$undefined":true}
//= echo [null]
//> null
//= echo [{"a":[{"b":{"$numberInt":"1"}}],"c":"text","d":true}]
//> {"a":[{"b":{"$numberInt":"1"}}],"c":"text","d":true}
//= echo [{"__proto__":1}]
//> {"__proto__":{"$numberInt":"1"}}
//- functions/returns.js
const results = {
  pi: () => 3.14,
  int: () => 42,
  sum: () => 1 + 2,
  half: () => 1 / 2,
  whole: () => 4 / 2,
  overflow: () => 2147483647 + 1,
  date: () => new Date(0),
  invalid: () => new Date(NaN),
  id: () => new BSON.ObjectId("5fd45718cface356de9d104d"),
  promise: () => Promise.resolve({ a: Promise.resolve(1) }),
  thenable: () => ({ then: (done) => done("then") }),
  nothing: () => undefined,
  fields: () => ({ a: undefined, b: null, c: () => 1, d: Symbol("s"), e: 1 }),
  list: () => [undefined, () => 1, , 1],
  json: () => JSON.stringify({ a: 1 }),
  regexp: () => /a+b/gi,
  bytes: () => new Uint8Array([1, 2]),
  big: () => 12345678901234567890n,
  map: () => new Map([["a", 1]]),
  boxed: () => [new Number(1.5), new String("s"), new Boolean(true)],
  instance: () => { class Point { constructor() { this.x = 1; } get y() { return 2; } } return new Point(); },
  error: () => new Error("returned"),
  text: () => "a\u0000\"\n€😀",
  nested: () => ({ a: [{ b: new BSON.Int32(1), c: BSON.Double(2), d: BSON.Long(3) }] }),
};
exports = (name) => results[name]();
//= returns ["pi"]
//> {"$numberDouble":"3.14"}
//= returns ["int"]
//> {"$numberInt":"42"}
//= returns ["sum"]
//> {"$numberInt":"3"}
//= returns ["half"]
//> {"$numberDouble":"0.5"}
//= returns ["overflow"]
//> {"$numberDouble":"2147483648.0"}
//= returns ["date"]
//> {"$date":{"$numberLong":"0"}}
//= returns ["invalid"]
//> null
//= returns ["id"]
//> {"$oid":"5fd45718cface356de9d104d"}
//= returns ["thenable"]
//> "then"
//= returns ["nothing"]
//> {"$undefined":true}
//= returns ["fields"]
//> {"a":{"$undefined":true},"b":null,"e":{"$numberInt":"1"}}
//= returns ["list"]
//> [{"$undefined":true},null,{"$undefined":true},{"$numberInt":"1"}]
//= returns ["json"]
//> "{\"a\":1}"
//= returns ["regexp"]
//> {"$regularExpression":{"pattern":"a+b","options":"i"}}
//= returns ["bytes"]
//> {"$binary":{"base64":"AQI=","subType":"00"}}
//= returns ["instance"]
//> {"x":{"$numberInt":"1"}}
//= returns ["text"]
//> "a\u0000\"\n€😀"
//= returns ["nested"]
//> {"a":[{"b":{"$numberInt":"1"},"c":{"$numberDouble":"2.0"},"d":{"$numberLong":"3"}}]}
//- functions/circular.js
exports = () => { const all = {}; all.all = all; return all; };
//= circular
//! FunctionExecutionError: TypeError: the result cannot be returned: the value contains itself or is nested too deeply
//- functions/arguments.js
exports = (id, date, long, double, binary, decimal) => [
  id instanceof BSON.ObjectId, date instanceof Date, long instanceof BSON.Long, typeof double, binary instanceof BSON.Binary,
  decimal instanceof BSON.Decimal128, long + 1, String(long), String(decimal), binary.text(), `${id}`,
];
//= arguments [{"$oid":"5fd45718cface356de9d104d"},{"$date":{"$numberLong":"5"}},{"$numberLong":"41"},{"$numberDouble":"1.0"},{"$binary":{"base64":"aGk=","subType":"00"}},{"$numberDecimal":"0.1"}]
//> [true,true,true,"number",true,true,{"$numberInt":"42"},"41","0.1","hi","5fd45718cface356de9d104d"]
//- functions/arithmetic.js
exports = (a, b) => a + b;
//= arithmetic [{"$numberInt":"1"},{"$numberInt":"2"}]
//> {"$numberInt":"3"}
//= arithmetic [{"$numberDouble":"1.5"},{"$numberInt":"2"}]
//> {"$numberDouble":"3.5"}
//= arithmetic ["a","b"]
//> "ab"
