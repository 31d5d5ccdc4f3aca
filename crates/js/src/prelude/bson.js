// What every realm holds before a function runs: BSON classes, EJSON,
// console, timers, utils, and the makers of `context`. Runs once, into the
// image; `natives` are the host's own functions.
(function (natives) {
"use strict";

const define = (target, name, value) =>
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
const unsupported = (what) => {
  throw new Error(`${what} is not supported yet`);
};

// ---- BSON classes: `_v` is the content, `_x` a second part.

const prototypes = [];
const inspectBson = function () { return requireBuiltin("_inspect").bson(this); };
function bsonClass(name, fill, methods) {
  const Class = function (...args) {
    if (!(this instanceof Class)) return new Class(...args);
    fill.apply(this, args);
  };
  define(Class, "name", name);
  define(Class.prototype, "_bsontype", name);
  define(Class.prototype, Symbol.for("nodejs.util.inspect.custom"), inspectBson);
  for (const [key, method] of Object.entries(methods)) define(Class.prototype, key, method);
  prototypes.push(Class.prototype);
  return Class;
}

const getters = (Class, all) => {
  for (const [name, get] of Object.entries(all)) Object.defineProperty(Class.prototype, name, { get, configurable: true });
};

const hexOf = (bytes) => Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join("");
const bytesOf = (hex) => {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new TypeError("the text is not hexadecimal");
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
};

const ObjectId = bsonClass("ObjectId", function (id) {
  if (id === undefined || id === null) this._v = natives.objectId();
  else if (typeof id === "string" && /^[0-9a-fA-F]{24}$/.test(id)) this._v = id.toLowerCase();
  else if (id instanceof ObjectId) this._v = id._v;
  else if (id.length === 12) this._v = hexOf(typeof id === "string" ? Array.from(id, (c) => c.charCodeAt(0) & 255) : id);
  else throw new TypeError("Argument passed in must be a single String of 12 bytes or a string of 24 hex characters");
}, {
  toString() { return this._v; },
  toHexString() { return this._v; },
  toJSON() { return this._v; },
  equals(other) { return other != null && String(other._v ?? other).toLowerCase() === this._v; },
  getTimestamp() { return new Date(parseInt(this._v.slice(0, 8), 16) * 1000); },
});
getters(ObjectId, { id() { return bytesOf(this._v); } });
ObjectId.isValid = (id) => id instanceof ObjectId || (typeof id === "string" && (/^[0-9a-fA-F]{24}$/.test(id) || id.length === 12));
ObjectId.createFromHexString = (hex) => new ObjectId(hex);
ObjectId.createFromTime = (seconds) => new ObjectId(`${(seconds >>> 0).toString(16).padStart(8, "0")}0000000000000000`);

const Long = bsonClass("Long", function (low, high) {
  const n = (BigInt(high | 0) << 32n) | BigInt.asUintN(32, BigInt(Math.trunc(low ?? 0)));
  this._v = BigInt.asIntN(64, n).toString();
}, {
  toString(radix) { return radix === undefined ? this._v : BigInt(this._v).toString(radix); },
  toJSON() { return Number(this._v); },
  valueOf() { return Number(this._v); },
  toNumber() { return Number(this._v); },
  toInt() { return Number(BigInt.asIntN(32, BigInt(this._v))); },
  toBigInt() { return BigInt(this._v); },
  getLowBits() { return this.toInt(); },
  getHighBits() { return Number(BigInt(this._v) >> 32n); },
  isZero() { return this._v === "0"; },
  isNegative() { return this._v.startsWith("-"); },
  isPositive() { return !this.isNegative(); },
  isOdd() { return (BigInt(this._v) & 1n) === 1n; },
  isEven() { return !this.isOdd(); },
  not() { return longOf(~BigInt(this._v)); },
  compare(other) { const a = BigInt(this._v), b = bigOf(other); return a < b ? -1 : a > b ? 1 : 0; },
});
const bigOf = (n) => (n instanceof Long ? BigInt(n._v) : typeof n === "number" ? BigInt(Math.trunc(n)) : BigInt(String(n)));
const longMethods = (names, method) => {
  for (const name of names.split(" ")) define(Long.prototype, name, method);
};
for (const [names, result] of Object.entries({
  "add": (a, b) => a + b,
  "subtract sub": (a, b) => a - b,
  "multiply mul": (a, b) => a * b,
  "divide div": (a, b) => a / b,
  "modulo mod rem": (a, b) => a % b,
  "and": (a, b) => a & b,
  "or": (a, b) => a | b,
  "xor": (a, b) => a ^ b,
  "shiftLeft shl": (a, b) => a << (b & 63n),
  "shiftRight shr": (a, b) => a >> (b & 63n),
})) longMethods(names, function (other) { return longOf(result(BigInt(this._v), bigOf(other))); });
for (const [names, holds] of Object.entries({
  "equals eq": (order) => order === 0,
  "notEquals neq ne": (order) => order !== 0,
  "lessThan lt": (order) => order < 0,
  "lessThanOrEqual lte le": (order) => order <= 0,
  "greaterThan gt": (order) => order > 0,
  "greaterThanOrEqual gte ge": (order) => order >= 0,
})) longMethods(names, function (other) { return holds(this.compare(other)); });
longMethods("negate neg", function () { return longOf(-BigInt(this._v)); });
getters(Long, {
  low() { return this.getLowBits(); },
  high() { return this.getHighBits(); },
  unsigned() { return false; },
});
const longOf = (n) => Object.defineProperty(Object.create(Long.prototype), "_v", { value: BigInt.asIntN(64, BigInt(n)).toString(), writable: true, enumerable: true, configurable: true });
Long.fromNumber = (n) => longOf(Math.trunc(n));
Long.fromString = (s) => longOf(s);
Long.fromInt = Long.fromNumber;
Long.fromBigInt = longOf;
Long.fromBits = (low, high) => new Long(low, high);
Long.fromValue = (value) => longOf(bigOf(value));
Long.isLong = (value) => value instanceof Long;
for (const [name, value] of Object.entries({
  ZERO: 0n, ONE: 1n, NEG_ONE: -1n, MAX_VALUE: (1n << 63n) - 1n, MIN_VALUE: -(1n << 63n),
})) Long[name] = longOf(value);

const numeric = {
  toString() { return String(this._v); },
  toJSON() { return this._v; },
  valueOf() { return this._v; },
};
const Double = bsonClass("Double", function (n) { this._v = Number(n ?? 0); }, numeric);
const Int32 = bsonClass("Int32", function (n) { this._v = Number(n ?? 0) | 0; }, numeric);
for (const Class of [Double, Int32]) getters(Class, { value() { return this._v; } });

const Decimal128 = bsonClass("Decimal128", function (text) { this._v = natives.decimal(String(text ?? 0)); }, {
  toString() { return this._v; },
  toJSON() { return { $numberDecimal: this._v }; },
});
Decimal128.fromString = (text) => new Decimal128(text);

const Binary = bsonClass("Binary", function (bytes, subtype) {
  // A copy, the quick way where there is one.
  this._v = typeof bytes === "string" ? natives.utf8(bytes) : bytes instanceof Uint8Array ? new Uint8Array(bytes) : Uint8Array.from(bytes ?? []);
  this._x = subtype ?? 0;
}, {
  toHex() { return hexOf(this._v); },
  toBase64() { return natives.toBase64(this._v); },
  text() { return natives.text(this._v); },
  toString(encoding) { return encoding === "base64" ? this.toBase64() : encoding === "hex" ? this.toHex() : this.text(); },
  toJSON() { return this.toBase64(); },
  length() { return this._v.length; },
  value() { return this._v; },
});
getters(Binary, {
  buffer() { return this._v; },
  sub_type() { return this._x; },
  position() { return this._v.length; },
});
Object.assign(Binary, {
  SUBTYPE_DEFAULT: 0, SUBTYPE_FUNCTION: 1, SUBTYPE_BYTE_ARRAY: 2, SUBTYPE_UUID_OLD: 3, SUBTYPE_UUID: 4, SUBTYPE_MD5: 5,
  SUBTYPE_ENCRYPTED: 6, SUBTYPE_USER_DEFINED: 128,
});
// The documentation's own sample ends with the padding of base64.
Binary.fromHex = (hex, subtype) => new Binary(bytesOf(String(hex).replace(/=+$/, "")), subtype);
Binary.fromBase64 = (text, subtype) => new Binary(natives.fromBase64(text), subtype);
Binary.fromText = (text) => new Binary(text);

const Timestamp = bsonClass("Timestamp", function (low, high) {
  if (typeof low === "object" && low !== null) { this._v = low.t; this._x = low.i; }
  else { this._v = high ?? 0; this._x = low ?? 0; }
}, {
  getHighBits() { return this._v; },
  getLowBits() { return this._x; },
  toString() { return ((BigInt(this._v) << 32n) | BigInt(this._x)).toString(); },
  toJSON() { return { $timestamp: { t: this._v, i: this._x } }; },
});
getters(Timestamp, { t() { return this._v; }, i() { return this._x; } });

const BSONRegExp = bsonClass("BSONRegExp", function (pattern, options) {
  this._v = String(pattern);
  this._x = [...(options ?? "")].sort().join("");
}, {
  toString() { return `/${this._v}/${this._x}`; },
});
getters(BSONRegExp, { pattern() { return this._v; }, options() { return this._x; } });

const Code = bsonClass("Code", function (code, scope) {
  this._v = String(code);
  if (scope !== undefined) this._x = scope;
}, { toString() { return this._v; } });
getters(Code, { code() { return this._v; }, scope() { return this._x; } });
const BSONSymbol = bsonClass("BSONSymbol", function (text) { this._v = String(text); }, {
  toString() { return this._v; },
  valueOf() { return this._v; },
});
bsonClass("DBPointer", function () {}, {});
// A reference is a plain document; the old pointer type is only carried through.
function DBRef(collection, id, database) {
  return { $ref: collection, $id: id, ...(database === undefined ? {} : { $db: database }) };
}
const Key = bsonClass("Key", function (which) { this._v = which; }, {
  toString() { return this._v === "min" ? "MinKey" : "MaxKey"; },
});
const MinKey = new Key("min");
const MaxKey = new Key("max");

const BSON = { ObjectId, ObjectID: ObjectId, Long, Double, Int32, Decimal128, Binary, Timestamp, BSONRegExp, Code, BSONSymbol, Symbol: BSONSymbol, DBRef, MinKey, MaxKey };

