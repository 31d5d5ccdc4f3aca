// What the server does in Rust for values: bytes, ids, Extended JSON.

import { randomBytes } from "node:crypto";

let counter = randomBytes(3).readUIntBE(0, 3);
const unique = randomBytes(5).toString("hex");

/** The natives of the BSON classes. */
export const natives = {
  objectId() {
    counter = (counter + 1) & 0xffffff;
    const seconds = Math.floor(Date.now() / 1000);
    return seconds.toString(16).padStart(8, "0") + unique + counter.toString(16).padStart(6, "0");
  },
  decimal(text) {
    if (!/^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf(?:inity)?|nan)$/i.test(text)) {
      throw new TypeError(`${text} is not a valid Decimal128`);
    }
    return text;
  },
  utf8: (text) => new Uint8Array(Buffer.from(String(text), "utf8")),
  text: (bytes) => Buffer.from(bytes).toString("utf8"),
  toBase64: (bytes) => Buffer.from(bytes).toString("base64"),
  fromBase64: (text) => {
    const bytes = Buffer.from(text, "base64");
    if (bytes.toString("base64") !== text) throw new TypeError("the text is not base64");
    return new Uint8Array(bytes);
  },
};

/** `EJSON` for the classes of a world. */
export function extendedJson({ BSON, Binary, longOf, prototypes }) {
  const kinds = new Map(prototypes.map((prototype) => [prototype._bsontype, prototype]));
  const number = (n) => {
    if (Object.is(n, -0)) return { $numberDouble: "-0.0" };
    if (!Number.isFinite(n)) return { $numberDouble: Number.isNaN(n) ? "NaN" : n > 0 ? "Infinity" : "-Infinity" };
    if (!Number.isInteger(n)) return { $numberDouble: String(n) };
    return n === (n | 0) ? { $numberInt: String(n) } : { $numberDouble: `${n}.0` };
  };
  const classes = {
    ObjectId: (value) => ({ $oid: value._v }),
    Long: (value) => ({ $numberLong: value._v }),
    Int32: (value) => ({ $numberInt: String(value._v) }),
    Double: (value) => ({ $numberDouble: number(value._v).$numberDouble ?? `${value._v}.0` }),
    Decimal128: (value) => ({ $numberDecimal: value._v }),
    Binary: (value) => ({ $binary: { base64: value.toBase64(), subType: value._x.toString(16).padStart(2, "0") } }),
    Timestamp: (value) => ({ $timestamp: { t: value._v, i: value._x } }),
    BSONRegExp: (value) => ({ $regularExpression: { pattern: value._v, options: value._x } }),
    Code: (value) => ({ $code: value._v, ...(value._x === undefined ? {} : { $scope: plain(value._x) }) }),
    BSONSymbol: (value) => ({ $symbol: value._v }),
    Key: (value) => (value === BSON.MinKey ? { $minKey: 1 } : { $maxKey: 1 }),
  };
  function plain(value, above = []) {
    if (typeof value === "number") return number(value);
    if (typeof value === "bigint") return { $numberLong: String(value) };
    if (value === undefined) return { $undefined: true };
    if (typeof value !== "object" || value === null) return value;
    if (above.includes(value)) throw new TypeError("a circular value cannot be Extended JSON");
    const inside = [...above, value];
    if (value instanceof Date) return { $date: { $numberLong: String(value.getTime()) } };
    if (value instanceof RegExp) return { $regularExpression: { pattern: value.source, options: value.flags } };
    if (value instanceof Uint8Array) return { $binary: { base64: natives.toBase64(value), subType: "00" } };
    const known = classes[value._bsontype];
    if (known !== undefined && value instanceof kinds.get(value._bsontype)?.constructor) return known(value);
    if (known !== undefined && Object.getPrototypeOf(value) === kinds.get(value._bsontype)) return known(value);
    if (typeof value.toJSON === "function") return plain(value.toJSON(), inside);
    if (Array.isArray(value)) return value.map((item) => plain(item === undefined || typeof item === "function" ? null : item, inside));
    const kept = Object.entries(value).filter(([, inner]) => typeof inner !== "function" && typeof inner !== "symbol");
    return Object.fromEntries(kept.map(([key, inner]) => [key, plain(inner, inside)]));
  }
  const read = {
    $oid: (id) => new BSON.ObjectId(id),
    $numberInt: (n) => Number(n),
    $numberDouble: (n) => Number(n),
    $numberLong: (n) => longOf(n),
    $numberDecimal: (text) => new BSON.Decimal128(text),
    $date: (date) => new Date(typeof date === "object" ? Number(date.$numberLong) : date),
    $binary: ({ base64, subType }) => new Binary(natives.fromBase64(base64), parseInt(subType, 16)),
    $timestamp: (timestamp) => new BSON.Timestamp(timestamp),
    $regularExpression: ({ pattern, options }) => new BSON.BSONRegExp(pattern, options),
    $symbol: (text) => new BSON.Symbol(text),
    $undefined: () => undefined,
    $minKey: () => BSON.MinKey,
    $maxKey: () => BSON.MaxKey,
  };
  function rich(value) {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(rich);
    const keys = Object.keys(value);
    if (keys.length === 1 && Object.hasOwn(read, keys[0])) return read[keys[0]](value[keys[0]]);
    if (keys[0] === "$code") return new BSON.Code(value.$code, value.$scope === undefined ? undefined : rich(value.$scope));
    return Object.fromEntries(keys.map((key) => [key, rich(value[key])]));
  }
  return {
    stringify: (value, ...rest) => JSON.stringify(plain(value), null, rest.find((part) => typeof part === "number")),
    parse: (text) => rich(JSON.parse(text)),
    serialize: (value) => plain(value),
    deserialize: (value) => rich(value),
  };
}
