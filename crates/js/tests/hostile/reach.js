// Looks for the host's own functions: in everything that can be reached, and in
// everything that passes through the language's own methods while the built-in
// modules work.
// Names that nothing else has.
const HOST = [
  "objectId", "decimal", "utf8", "relaxed", "timer", "clearTimer", "keepTimer", "sync", "enter", "field", "builtin", "node", "host",
  "kind", "proxy", "setContext", "followContext", "namespace", "requireBuiltin", "inContext", "onTimers",
];
exports = async function (...names) {
  const text = Function.prototype.toString;
  const call = Function.prototype.call.bind(Function.prototype.call);
  const { ownKeys, getPrototypeOf, getOwnPropertyDescriptor } = Reflect;
  const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
  const native = (value) => typeof value === "function" && /\[native code\]/.test(call(text, value)) && !value.name.startsWith("bound ");
  const SetOf = Set, add = Set.prototype.add, has = Set.prototype.has;

  // Everything that can be reached from some values, by properties, prototypes
  // and accessors.
  function reach(from, seen) {
    const todo = [...from];
    while (todo.length > 0) {
      const value = todo.pop();
      if (!isObject(value) || call(has, seen, value)) continue;
      call(add, seen, value);
      let keys = [];
      try {
        keys = ownKeys(value);
        todo.push(getPrototypeOf(value));
      } catch {}
      for (const key of keys) {
        let property;
        try { property = getOwnPropertyDescriptor(value, key); } catch {}
        if (property === undefined) continue;
        if ("value" in property) todo.push(property.value);
        else {
          todo.push(property.get, property.set);
          try { todo.push(value[key]); } catch {}
        }
      }
      if (value instanceof Map) for (const [key, inner] of value) todo.push(key, inner);
      if (value instanceof SetOf) for (const inner of value) todo.push(inner);
    }
    return seen;
  }
  // What the language has.
  const known = reach([globalThis, (function* () {})(), (async function* () {})(), async () => {}, new Map().keys(), [].keys(), "".matchAll(/a/g), new Set().keys(), [].values().map((x) => x), ""[Symbol.iterator]()], new SetOf());

  // What passes through its methods.
  const passed = [];
  const record = (value) => { if (isObject(value)) passed[passed.length] = value; };
  const { apply, construct } = Reflect;
  const define = Object.defineProperty;
  const undo = [];
  for (const owner of [
    Function.prototype, Array.prototype, Map.prototype, Set.prototype, WeakMap.prototype, WeakSet.prototype, Promise.prototype, Promise,
    Object, Reflect, JSON, String.prototype, RegExp.prototype, Symbol.prototype, Number.prototype, ArrayBuffer.prototype, Array,
    getPrototypeOf(Uint8Array.prototype), getPrototypeOf(Uint8Array), getPrototypeOf([].keys()), getPrototypeOf(new Map().keys()), Error.prototype, Date.prototype, Proxy,
  ]) {
    for (const key of ownKeys(owner)) {
      const property = getOwnPropertyDescriptor(owner, key);
      const before = property.value;
      if (typeof before !== "function" || !property.configurable || key === "constructor") continue;
      undo[undo.length] = [owner, key, property];
      define(owner, key, {
        ...property,
        value: function (...all) { record(this); for (let i = 0; i < all.length; i++) record(all[i]); const made = new.target ? construct(before, all) : apply(before, this, all); record(made); return made; },
      });
    }
  }
  for (const name of ["inner", "host", "node", "natives", "sync", "packages", "kind", "proxy", "promise", "log", "now", "timers", "then", "exports", "frame"]) {
    if (name in Object.prototype) continue;
    define(Object.prototype, name, { configurable: true, get() { record(this); return undefined; }, set(value) { record(this); record(value); define(this, name, { value, writable: true, configurable: true, enumerable: true }); } });
  }
  const failed = [];
  for (const name of names) {
    try { record(require(name)); } catch (error) { failed[failed.length] = `${name}: ${error}`; }
  }
  const attempts = [
    () => require("crypto").createHash("sha256").update("a").digest("hex"),
    () => require("zlib").gunzipSync(require("zlib").gzipSync("abc")),
    () => require("util").inspect({ a: new Map([[1, new Proxy({}, {})]]), [Symbol.toStringTag]: "x" }),
    () => require("util").inspect(new Proxy(() => 0, {}), { showProxy: true }),
    () => new URL("http://a/b?c=d").searchParams.get("c"),
    () => Buffer.from("abc").toString("base64"),
    () => new Intl.DateTimeFormat("de", { timeZone: "Europe/Berlin" }).format(new Date(0)),
    () => structuredClone({ a: [1, new Date()] }),
    () => console.log({ a: 1 }, new Error("x"), [new Map()]),
    () => require("nothing"),
    () => import("nothing"),
    () => require("fs").readFileSync("/etc/passwd"),
    () => require("module").createRequire("/a.js")("fs"),
    () => EJSON.parse(EJSON.stringify({ a: BSON.ObjectId() })),
    () => utils.jwt.decode(utils.jwt.encode("HS256", { a: 1 }, "s"), "s"),
    () => utils.crypto.encrypt("aes", "a", "0123456789abcdef"),
    () => context.services.get("mongodb-atlas").db("d").collection("c").find({ a: 1 }).toArray(),
    () => context.http.get({ url: "http://127.0.0.1:1/" }),
    () => context.functions.execute("nothing"),
    () => new Promise((done) => setTimeout(done, 1)),
    () => new Promise((done) => process.nextTick(done)),
    () => { const als = new (require("async_hooks").AsyncLocalStorage)(); return als.run(1, () => Promise.resolve(als.getStore())); },
    () => new Promise((done) => require("stream").Readable.from(["a"]).pipe(new (require("stream").PassThrough)()).on("finish", done)),
    () => crypto.subtle.digest("SHA-256", new Uint8Array(2)),
    () => new TextDecoder().decode(new Uint8Array([65])),
    () => typeof fetch === "function" && fetch("http://127.0.0.1:1/"),
    () => { const error = new Error("x"); Error.captureStackTrace(error); return error.stack; },
    () => (Error.prepareStackTrace = (error, frames) => frames, new Error("x").stack),
  ];
  for (let i = 0; i < attempts.length; i++) {
    try { record(await attempts[i]()); } catch (error) { record(error); }
  }
  for (const [owner, key, property] of undo) Object.defineProperty(owner, key, property);
  const found = new SetOf();
  const all = reach(passed, new SetOf());
  for (const value of all) if (native(value) && !known.has(value) && HOST.includes(value.name)) found.add(value.name);
  return { found: [...found].sort(), failed, wide: passed.length > 1000 && all.size > 1000 };
};
