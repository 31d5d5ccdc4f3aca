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
function bsonClass(name, fill, methods) {
  const Class = function (...args) {
    if (!(this instanceof Class)) return new Class(...args);
    fill.apply(this, args);
  };
  define(Class, "name", name);
  define(Class.prototype, "_bsontype", name);
  for (const [key, method] of Object.entries(methods)) define(Class.prototype, key, method);
  prototypes.push(Class.prototype);
  return Class;
}

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
ObjectId.isValid = (id) => id instanceof ObjectId || (typeof id === "string" && (/^[0-9a-fA-F]{24}$/.test(id) || id.length === 12));
ObjectId.createFromHexString = (hex) => new ObjectId(hex);

const Long = bsonClass("Long", function (low, high) {
  const n = (BigInt(high | 0) << 32n) | BigInt.asUintN(32, BigInt(Math.trunc(low ?? 0)));
  this._v = BigInt.asIntN(64, n).toString();
}, {
  toString() { return this._v; },
  toJSON() { return Number(this._v); },
  valueOf() { return Number(this._v); },
  toNumber() { return Number(this._v); },
  toInt() { return Number(BigInt.asIntN(32, BigInt(this._v))); },
  toBigInt() { return BigInt(this._v); },
  equals(other) { return String(other) === this._v; },
  compare(other) { const a = BigInt(this._v), b = BigInt(String(other)); return a < b ? -1 : a > b ? 1 : 0; },
});
const longOf = (n) => Object.defineProperty(Object.create(Long.prototype), "_v", { value: BigInt.asIntN(64, BigInt(n)).toString(), writable: true, enumerable: true, configurable: true });
Long.fromNumber = (n) => longOf(Math.trunc(n));
Long.fromString = (s) => longOf(s);
Long.fromInt = Long.fromNumber;
Long.fromBigInt = longOf;
Long.fromBits = (low, high) => new Long(low, high);

const numeric = {
  toString() { return String(this._v); },
  toJSON() { return this._v; },
  valueOf() { return this._v; },
};
const Double = bsonClass("Double", function (n) { this._v = Number(n ?? 0); }, numeric);
const Int32 = bsonClass("Int32", function (n) { this._v = Number(n ?? 0) | 0; }, numeric);

const Decimal128 = bsonClass("Decimal128", function (text) { this._v = natives.decimal(String(text ?? 0)); }, {
  toString() { return this._v; },
  toJSON() { return { $numberDecimal: this._v }; },
});
Decimal128.fromString = (text) => new Decimal128(text);

const Binary = bsonClass("Binary", function (bytes, subtype) {
  this._v = typeof bytes === "string" ? natives.utf8(bytes) : Uint8Array.from(bytes ?? []);
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
Object.defineProperty(Binary.prototype, "buffer", { get() { return this._v; }, configurable: true });
Object.defineProperty(Binary.prototype, "sub_type", { get() { return this._x; }, configurable: true });
Binary.fromHex = (hex, subtype) => new Binary(bytesOf(hex), subtype);
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

const BSONRegExp = bsonClass("BSONRegExp", function (pattern, options) {
  this._v = String(pattern);
  this._x = [...(options ?? "")].sort().join("");
}, {
  toString() { return `/${this._v}/${this._x}`; },
});
Object.defineProperty(BSONRegExp.prototype, "pattern", { get() { return this._v; }, configurable: true });
Object.defineProperty(BSONRegExp.prototype, "options", { get() { return this._x; }, configurable: true });

const Code = bsonClass("Code", function (code, scope) {
  this._v = String(code);
  if (scope !== undefined) this._x = scope;
}, { toString() { return this._v; } });
Object.defineProperty(Code.prototype, "code", { get() { return this._v; }, configurable: true });
Object.defineProperty(Code.prototype, "scope", { get() { return this._x; }, configurable: true });
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

// ---- EJSON and console.

const EJSON = {
  stringify: (value, ...rest) => {
    const spaces = rest.find((part) => typeof part === "number");
    const text = natives.stringify(value);
    return spaces ? JSON.stringify(JSON.parse(text), null, spaces) : text;
  },
  parse: (text) => natives.parse(String(text)),
  serialize: (value) => JSON.parse(natives.stringify(value)),
  deserialize: (value) => natives.parse(JSON.stringify(value)),
};

// A value as the log shows it: strings bare, the rest as Extended JSON.
function inspect(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ? `${value.name}: ${value.message}\n${value.stack}` : String(value);
  if (value === undefined) return "undefined";
  if (typeof value === "function") return `[Function: ${value.name || "anonymous"}]`;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return natives.relaxed(value);
  } catch {
    return String(value);
  }
}
const line = (isError) => (...values) => natives.log(isError, values.map(inspect).join(" "));
const console = { log: line(false), info: line(false), debug: line(false), warn: line(true), error: line(true), trace: line(false) };

// ---- Timers.

const timer = (repeat) => (callback, delay, ...args) => {
  if (typeof callback !== "function") throw new TypeError("callback is not a function");
  return natives.timer(() => callback(...args), Math.max(0, Number(delay) || 0), repeat);
};

// ---- utils.

const bytesIn = (value) => (typeof value === "string" ? natives.utf8(value) : value instanceof Binary ? value._v : Uint8Array.from(value));
const utils = {
  crypto: {
    hash: (algorithm, input) => new Binary(natives.hash(algorithm, bytesIn(input))),
    hmac: (input, secret, algorithm, format) => {
      const bytes = natives.hmac(algorithm, bytesIn(secret), bytesIn(input));
      return format === "base64" ? natives.toBase64(bytes) : hexOf(bytes);
    },
    encrypt: () => unsupported("utils.crypto.encrypt"),
    decrypt: () => unsupported("utils.crypto.decrypt"),
    sign: () => unsupported("utils.crypto.sign"),
    verify: () => unsupported("utils.crypto.verify"),
  },
  jwt: {
    encode: () => unsupported("utils.jwt.encode"),
    decode: () => unsupported("utils.jwt.decode"),
  },
};

// ---- MongoDB.

// Cursors that nobody has read yet.
let unread = 0;

// A result that has not been asked for yet: `run` gets what the methods added.
class Cursor {
  #run;
  #add;
  #map = (row) => row;
  #rows;
  #at = 0;
  constructor(run, add) {
    this.#run = run;
    this.#add = add;
    unread++;
  }
  #with(name, value) {
    if (this.#rows !== undefined) throw new Error(`${name} must be called before the cursor is read`);
    this.#add(name, value);
    return this;
  }
  #read() {
    if (this.#rows === undefined) {
      unread--;
      this.#rows = this.#run();
    }
    return this.#rows;
  }
  sort(value) { return this.#with("sort", value); }
  limit(value) { return this.#with("limit", value); }
  skip(value) { return this.#with("skip", value); }
  project(value) { return this.#with("project", value); }
  projection(value) { return this.#with("project", value); }
  map(each) {
    const before = this.#map;
    this.#map = (row) => each(before(row));
    return this;
  }
  async toArray() {
    const rest = (await this.#read()).slice(this.#at);
    this.#at = Infinity;
    return rest.map((row) => this.#map(row));
  }
  async next() {
    const rows = await this.#read();
    return this.#at < rows.length ? this.#map(rows[this.#at++]) : undefined;
  }
  async hasNext() {
    return this.#at < (await this.#read()).length;
  }
  async forEach(each) {
    while (await this.hasNext()) await each(await this.next());
  }
  async count() {
    return (await this.#read()).length;
  }
  async close() {
    this.#at = Infinity;
  }
  async *[Symbol.asyncIterator]() {
    while (await this.hasNext()) yield await this.next();
  }
}

const number = (value) => (value instanceof Long ? Number(value._v) : value);

function makeCollection(frame, service, database, collection) {
  const run = (action, args, options) => {
    const { session, ...rest } = options ?? {};
    return natives.call(frame, "mongodb", {
      service, action, arguments: { ...rest, ...args, database, collection },
      ...(session === undefined || session === null ? {} : { session: Session.number(session) }),
    });
  };
  return {
    find: (query, project, options) => {
      const args = { query, project };
      return new Cursor(() => run("find", args, options), (name, value) => { args[name] = value; });
    },
    findOne: (query, project, options) => run("findOne", { query, project }, options),
    findOneAndUpdate: (filter, update, options) => run("findOneAndUpdate", { filter, update }, options),
    findOneAndReplace: (filter, update, options) => run("findOneAndReplace", { filter, update }, options),
    findOneAndDelete: (filter, options) => run("findOneAndDelete", { filter }, options),
    insertOne: (document, options) => run("insertOne", { document }, options),
    insertMany: (documents, options) => run("insertMany", { documents }, options),
    updateOne: (query, update, options) => run("updateOne", { query, update }, options),
    updateMany: (query, update, options) => run("updateMany", { query, update }, options),
    replaceOne: (query, update, options) => run("replaceOne", { query, update }, options),
    deleteOne: (query, options) => run("deleteOne", { query }, options),
    deleteMany: (query, options) => run("deleteMany", { query }, options),
    aggregate: (pipeline, options) => {
      const stages = [...pipeline];
      return new Cursor(() => run("aggregate", { pipeline: stages }, options), (name, value) => { stages.push({ [`$${name}`]: value }); });
    },
    count: (query, options) => run("count", { query }, options).then(number),
    countDocuments: (query, options) => run("count", { query }, options).then(number),
    distinct: (field, query, options) => run("distinct", { field, query }, options),
    bulkWrite: (operations, options) => run("bulkWrite", { operations }, options),
    watch: () => unsupported("watch inside functions"),
  };
}

// What the server calls a write that met another one.
const meets = (error) => error?.code === "MongoDBError" && /WriteConflict|write conflict/i.test(error.message);
const TRANSACTION_TRIES_MAX = 20;

class Session {
  #frame;
  #service;
  #number;
  constructor(frame, service) {
    this.#frame = frame;
    this.#service = service;
  }
  // The number of the transaction that an operation joins; none outside of one.
  static number(session) {
    if (!(session instanceof Session)) throw new TypeError("the option 'session' is not a session");
    return session.#number;
  }
  async #end(how) {
    const number = this.#number;
    if (number === undefined) return;
    this.#number = undefined;
    await natives.call(this.#frame, "transaction", { service: this.#service, session: number, how });
  }
  startTransaction() {
    if (this.#number !== undefined) throw new Error("a transaction is already in progress");
    this.#number = natives.number();
  }
  commitTransaction() { return this.#end("commit"); }
  abortTransaction() { return this.#end("abort"); }
  endSession() { return this.#end("abort"); }
  async withTransaction(body) {
    for (let tries = 1; ; tries++) {
      this.startTransaction();
      try {
        const result = await body(this);
        await this.#end("commit");
        return result;
      } catch (error) {
        await this.#end("abort");
        if (!meets(error) || tries === TRANSACTION_TRIES_MAX) throw error;
      }
    }
  }
}

const act = (frame, service, action, sent) =>
  natives.call(frame, "service", { service, action, arguments: sent ?? {} });
// svc.s3("us-east-1").PutObject({…}) is the action s3:PutObject.
const awsService = (frame, name, service, region) => new Proxy({}, {
  get: (_, operation) => (typeof operation === "symbol" || operation === "then" || operation === "toJSON"
    ? undefined
    : (sent) => act(frame, name, `${service}:${operation}`, { ...sent, region })),
});

function makeService(frame, name, type) {
  if (type !== "mongodb-atlas" && type !== "mongodb" && type !== "datalake") {
    return new Proxy({}, {
      get: (_, action) => (typeof action === "symbol" || action === "then" || action === "toJSON"
        ? undefined
        : type === "aws" ? (region) => awsService(frame, name, action, region)
        : (sent) => act(frame, name, action, sent)),
    });
  }
  const names = (database) => natives.sync(frame, "names", { service: name, database });
  const getDBNames = () => names();
  return {
    db: (database) => ({
      collection: (collection) => makeCollection(frame, name, database, collection),
      getCollectionNames: () => names(database),
      aggregate: () => unsupported("aggregate on a database"),
    }),
    startSession: () => new Session(frame, name),
    admin: () => ({ getDBNames }),
    getDBNames,
  };
}

const http = {};
for (const verb of ["get", "post", "put", "patch", "delete", "head"]) {
  http[verb] = () => unsupported(`context.http.${verb}`);
}

// What most functions never look at is made when they do.
const lazy = (target, name, make) => {
  const set = (value) => Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: true });
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = make();
      set(value);
      return value;
    },
    set,
  });
};

function makeContext(frame) {
  const context = {
    values: { get: (name) => natives.value(frame, String(name)) },
    functions: { execute: (name, ...args) => natives.enter(frame, String(name))(...args) },
    services: {
      get: (name) => {
        const services = natives.field(frame, "services");
        return Object.hasOwn(services, name) ? makeService(frame, name, services[name]) : undefined;
      },
    },
    http,
    runningAsSystem: () => natives.field(frame, "system"),
  };
  for (const name of ["user", "environment", "request"]) lazy(context, name, () => natives.field(frame, name));
  lazy(context, "app", () => natives.sync(frame, "app", {}));
  return context;
}

const require = (name) => {
  throw new Error(`Cannot find module '${name}': npm dependencies and Node built-ins are not supported yet`);
};

// Cursors in a result stand for their documents, wherever they are.
async function unfold(value, seen = new Set()) {
  if (value instanceof Cursor) return value.toArray();
  if (unread === 0 || typeof value !== "object" || value === null || seen.has(value)) return value;
  seen.add(value);
  for (const key of Object.keys(value)) {
    const inner = value[key];
    const unfolded = await unfold(inner, seen);
    if (unfolded !== inner) value[key] = unfolded;
  }
  return value;
}
const settle = async (value) => unfold(await value);

for (const [name, value] of Object.entries({
  BSON, EJSON, console, utils,
  setTimeout: timer(false), setInterval: timer(true), setImmediate: (callback, ...args) => timer(false)(callback, 0, ...args),
  clearTimeout: natives.clearTimer, clearInterval: natives.clearTimer, clearImmediate: natives.clearTimer,
  global: globalThis,
})) define(globalThis, name, value);
// Stack frames must not hand out the prelude's functions, nor the natives.
Error.prepareStackTrace = (_, frames) => frames;
delete Object.getPrototypeOf(new Error().stack[0]).getFunction;
Error.prepareStackTrace = undefined;
// Nobody to share memory with, and a history of engine bugs.
delete globalThis.Atomics;
delete globalThis.SharedArrayBuffer;
// The engine's own generator starts from the image and would repeat itself.
define(Math, "random", natives.random);

return {
  prototypes, MinKey, MaxKey,
  // Makes a function of its factory, in a frame.
  load: (factory, frame) => {
    const loaded = factory(makeContext(frame), require, console);
    if (typeof loaded !== "function") throw new TypeError("exports is not a function");
    return loaded;
  },
  waits: (value) => unread > 0 || typeof value.then === "function",
  settle,
};
})
