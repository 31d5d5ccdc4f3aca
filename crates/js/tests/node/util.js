const util = require("util");
const { inspect, format, types } = util;
const i = (value, options) => inspect(value, options);
class Empty {}
class Point { constructor(x, y) { this.x = x; this.y = y; } get sum() { return this.x + this.y; } }
class Deep extends Point {}

// Primitives.
t(() => [i("a"), i("it's"), i(`"it's"`), i("`'\""), i("\n\t\x00\x7f\u200b"), i("\ud83d"), i("😀")]);
t(() => [i(0), i(-0), i(NaN), i(1e21), i(5n), i(-5n), i(true), i(null), i(undefined), i(Symbol("a b")), i(Symbol())]);
t(() => i("x".repeat(10050)).slice(-40));
t(() => i({ a: "line\n".repeat(20) }));
t(() => i(1234567.891, { numericSeparator: true }) + i(-12345678n, { numericSeparator: true }));
// Objects.
t(() => i({}));
t(() => i({ a: 1, "b-c": 2, 3: 4, [Symbol("s")]: 5, __proto__: null }));
t(() => i({ ["__proto__"]: 1 }));
t(() => i({ a: { b: { c: { d: 1 } } } }));
t(() => i({ a: { b: { c: { d: 1 } } } }, { depth: 0 }));
t(() => i({ a: { b: { c: { d: 1 } } } }, { depth: null }));
t(() => i({ a: { b: { c: [1] } } }));
t(() => i({ a: { b: { c: new Map([[1, 2]]), e: new Empty(), f: Object.create(null), g: new Set() } } }));
t(() => i({ a: 1, b: "x", c: [1, 2, 3], d: { e: [], f: {} }, g: null, h: undefined }));
t(() => i({ name: "a long enough name", other: "another long enough text", third: "and a third one" }));
t(() => i({ users: [{ id: 1, name: "first", tags: ["a", "b"] }, { id: 2, name: "second", tags: [] }], total: 2 }));
t(() => i(new Point(1, 2)) + i(new Deep(1, 2)) + i(new Empty()));
t(() => i({ get a() { return 1; }, set b(_) {}, get c() { return 1; }, set c(_) {} }));
t(() => i({ get a() { return { x: 1 }; }, get b() { return 5; }, get c() { throw new Error("no"); } }, { getters: true }));
t(() => { const o = { a: 1 }; o.self = o; o.list = [o]; return i(o); });
t(() => { const a = {}; const b = { a }; a.b = b; return i([a, b]); });
t(() => i(Object.create({})) + i(Object.create(null)) + i(Object.create(Point.prototype)) + i(Object.create(Object.create(null))));
t(() => i({ [Symbol.toStringTag]: "Tag" }) + i(Object.create({ [Symbol.toStringTag]: "Tag" })));
t(() => { class Tagged { get [Symbol.toStringTag]() { return "T"; } } return i(new Tagged()); });
t(() => i(Object.defineProperty({}, "hidden", { value: 1 }), { showHidden: true }));
t(() => (function () { return i(arguments); })(1, "b"));
t(() => i(globalThis.constructor) + i(Math) + i(JSON) + i(Reflect).slice(0, 20));
t(() => i(new (class extends Object {})()));
t(() => i(new (class extends Array {})(3)) + i(new (class M extends Map {})([[1, 2]])));
t(() => i({ b: 1, a: 2, c: [3, 1] }, { sorted: true }));
// Arrays.
t(() => i([]) + i([1, "a", null, undefined, [2, [3, [4, [5]]]]]));
t(() => i([, 1, , , 2]) + i(new Array(5)) + i(Object.assign([1, 2], { key: "v", [-1]: 0 })));
t(() => i(Array.from({ length: 120 }, (_, n) => n)));
t(() => i(Array.from({ length: 30 }, (_, n) => `item ${n}`)));
t(() => i(Array.from({ length: 7 }, (_, n) => ({ n }))));
t(() => i(Array.from({ length: 101 }, () => "x")));
t(() => i(Array.from({ length: 5 }, (_, n) => n), { maxArrayLength: 2 }) + i([1], { maxArrayLength: 0 }));
t(() => i(["日本語", "b", "c", "d", "e", "f", "g", "h"]));
t(() => i([[1, 2, [3]], { a: [{}] }], { compact: false }));
t(() => i({ a: { b: 1, c: [1, 2] } }, { compact: true }));
t(() => i({ a: { b: 1, c: [1, 2] }, d: "x".repeat(70) }, { compact: true }));
t(() => i({ a: { b: 1, c: [1, 2] } }, { breakLength: 5 }));
t(() => i({ a: { b: { c: {} } } }, { compact: 1 }));
t(() => i([1.5, 2.25, 100, 3, 4, 5, 6, 7]));
t(() => i([1n, 22n, 333n, 4n, 5n, 6n, 7n]));
// Built-in classes.
t(() => i(new Map([["a", 1], [{ b: 2 }, new Map()]])) + i(new Map()) + i(new Set([1, [2], new Set(["x"])])) + i(new Set()));
t(() => i(new Map(Array.from({ length: 110 }, (_, n) => [n, n]))).slice(-60));
t(() => i(new WeakMap()) + i(new WeakSet()));
t(() => i([1].values()) + i("a"[Symbol.iterator]()) + i((function* () {})()));
t(() => i(new Date(0)) + i(new Date(NaN)) + i(Object.assign(new Date(0), { x: 1 })));
t(() => i(/a\/b/gi) + i(Object.assign(/x/, { y: 1 })));
t(() => i(new Uint8Array([1, 2, 3])) + i(new Float64Array(2)) + i(new BigInt64Array(1)) + i(Buffer.from("abc")) + i(new Uint8Array()));
t(() => i(new ArrayBuffer(3)) + i(new DataView(new ArrayBuffer(2))));
t(() => i(new Uint8Array(new ArrayBuffer(2)), { showHidden: true }));
t(() => i(Promise.resolve(5)) + i(new Promise(() => {})) + i(Promise.resolve({ a: [1] })));
t(() => { const p = Promise.reject(3); p.catch(() => {}); return i(p); });
t(() => i(new String("ab")) + i(new Number(-0)) + i(new Boolean(false)) + i(Object(5n)) + i(Object(Symbol("s"))) + i(Object.assign(new String("ab"), { x: 1 })));
t(() => i(function () {}) + i(function named() {}) + i(() => {}) + i(async () => {}) + i(function* g() {}) + i(async function* h() {}) + i(Object.assign(function f() {}, { a: 1 })));
t(() => i(Empty) + i(Deep) + i(class {}) + i(class extends Map {}) + i(Object.assign(class A {}, { b: 1 })));
t(() => i(Map) + i(parseInt) + i(Math.max) + i(Object.setPrototypeOf(function n() {}, null)));
t(() => i(new Proxy({ a: 1 }, {})) + i(new Proxy({ a: 1 }, {}), { showProxy: true }) + i(new Proxy(function f() {}, {})));
t(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return i(proxy) + i(proxy, { showProxy: true }); });
// Errors: what is not the place of the error.
const short = (text) => text.replace(/\n\s+(at |\.\.\. \d+ lines).*/g, "");
t(() => short(i(new Error("broken"))) + short(i(new TypeError())) + short(i(Object.assign(new RangeError("r"), { code: "E", extra: { a: 1 } }))));
t(() => short(i(new Error("outer", { cause: new TypeError("inside") }))));
t(() => short(i(new Error("outer", { cause: "text" }))));
t(() => short(i(new AggregateError([new Error("one")], "several"))));
t(() => short(i({ error: new Error("in\nside") })));
t(() => { class Mine extends Error {} return short(i(new Mine("m"))); });
t(() => { class Mine extends TypeError { constructor(m) { super(m); this.name = "Other"; } } return short(i(new Mine("m"))); });
t(() => { const e = new Error("m"); e.stack = "just a text"; return i(e); });
t(() => { const e = new Error("m"); e.name = "Renamed"; return short(i(e)); });
t(() => { try { Buffer.alloc("x"); } catch (e) { return short(i(e)); } });
// What classes say themselves.
t(() => i({ [inspect.custom](depth, options, own) { return `me ${depth} ${options.depth} ${own === inspect}`; } }));
t(() => i({ a: { [inspect.custom](depth) { return { depth }; } } }));
t(() => i({ a: { [inspect.custom]() { return "two\nlines"; } } }));
t(() => i({ [inspect.custom]() { return "x"; } }, { customInspect: false }));
t(() => i({ inspect() { return "old"; } }));
t(() => i({ a: 1, b: "x", c: null, d: undefined, e: [true], f: Symbol("s"), g: 5n, h: /x/, j: new Date(0), k() {} }, { colors: true }));
t(() => i({ a: { b: {} } }, false, 0, true));
t(() => { let deep = {}; for (let n = 0; n < 30; n++) deep = { deep }; return i(deep, { depth: 5 }); });
t(() => Object.keys(inspect.defaultOptions));

// Formats.
t(() => [format("a", "b", 5, { c: 1 }), format("%s %s", "a"), format("%s", "a", "b"), format(1, 2), format("%%"), format("%% %s", 1), format()]);
t(() => [format("%s", null), format("%s", undefined), format("%s", 5n), format("%s", -0), format("%s", Symbol("a")), format("%s", { a: { b: 1 } }), format("%s", [1, [2]])]);
t(() => [format("%s", new Error("e")).split("\n")[0], format("%s", new Date(0)), format("%s", new Point(1, 2)), format("%s", new (class A { toString() { return "own"; } })()), format("%s", { toString() { return "o"; } })]);
t(() => [format("%d", "5"), format("%d", 5n), format("%d", {}), format("%d", Symbol()), format("%d", "x"), format("%d", -0)]);
t(() => [format("%i", "5.9"), format("%i", 5.9), format("%f", "5.9x"), format("%f", Symbol()), format("%i", 7n), format("%i", "z")]);
t(() => [format("%j", { a: [1] }), format("%j", undefined), format("%j", "x")]);
t(() => { const o = {}; o.o = o; return format("%j", o); });
t(() => [format("%o", { a: [1, { b: 2 }] }), format("%O", { a: { b: { c: { d: {} } } } })]);
t(() => [format("%c x", "css"), format("%x", 1), format("%", 1), format("a%", 1)]);
t(() => [format("%s:%s", "a", "b", "c"), format(new Error("first")).split("\n")[0], format("x", Symbol("y")), format(["a"], "b")]);
t(() => util.formatWithOptions({ compact: true }, "%s %O", { a: {} }, { a: { b: 1 } }));
t(() => util.formatWithOptions({ colors: true }, "%O", { a: 1 }));

// The rest.
t(() => Object.keys(util).filter((name) => !name.startsWith("MIME")).sort());
t(() => Object.keys(types).sort());
const zoo = { date: new Date(), map: new Map(), set: new Set(), re: /x/, error: new Error(), promise: Promise.resolve(), proxy: new Proxy({}, {}), buffer: Buffer.alloc(1), view: new DataView(new ArrayBuffer(1)), ab: new ArrayBuffer(1), fn() {}, async: async () => {}, gen: function* () {}, it: (function* () {})(), box: Object(1), sym: Object(Symbol()), wm: new WeakMap(), ws: new WeakSet(), mi: new Map().keys(), si: new Set().values(), args: (function () { return arguments; })(), fake: Object.create(Date.prototype), text: "x", none: null };
t(() => Object.fromEntries(Object.keys(types).filter((name) => name !== "isExternal" && name !== "isKeyObject" && name !== "isCryptoKey").sort().map((name) => [name, Object.keys(zoo).filter((key) => types[name](zoo[key])).join()])));
t(() => require("util/types") === types);
await t(async () => util.promisify((a, callback) => callback(null, a + 1))(1));
await t(async () => util.promisify((callback) => callback(new RangeError("x")))());
await t(async () => { const o = { n: 5, get(callback) { callback(null, this.n); } }; return util.promisify(o.get).call(o); });
t(() => { const f = () => {}; f[util.promisify.custom] = () => 7; return [util.promisify(f)(), util.promisify(util.promisify(f)) === util.promisify(f)]; });
t(() => util.promisify(5));
t(() => [util.promisify(function named(a, b) {}).name, util.promisify(function named(a, b) {}).length]);
await t(async () => util.promisify(setTimeout)(1, "value"));
await t(async () => util.promisify(setImmediate)("value"));
await t(() => new Promise((resolve) => util.callbackify(async (a) => a + 1)(1, (error, value) => resolve([error, value]))));
await t(() => new Promise((resolve) => util.callbackify(async () => { throw new Error("x"); })((error) => resolve(error))));
await t(() => new Promise((resolve) => util.callbackify(() => Promise.reject(null))((error) => resolve([error.code, error.reason]))));
t(() => util.callbackify(async () => {})());
t(() => [util.callbackify(async function named(a) {}).name, util.callbackify(async function named(a) {}).length]);
t(() => { function A() {} function B() {} B.prototype.hi = () => "hi"; util.inherits(A, B); return [new A().hi(), A.super_ === B, Object.keys(A)]; });
t(() => util.inherits(function () {}, null));
t(() => util.inherits(function () {}, () => {}));
t(() => { const f = util.deprecate((a) => a * 2, "old", "DEP"); return [f(4), f.length]; });
t(() => { const log = util.debuglog("x"); log("nothing"); return [log.enabled, typeof util.debug]; });
t(() => [util.stripVTControlCharacters("\u001b[31mred\u001b[39m"), util.toUSVString("a\ud800b")]);
t(() => [util.isArray([]), util.isDate(new Date()), util.isError(new Error()), util.isPrimitive(null), util.isObject(null), util.isRegExp(/x/), util.isBuffer(Buffer.alloc(1)), util._extend({ a: 1 }, { b: 2 })]);
t(() => util.getSystemErrorName(-2) + util.getSystemErrorName(-111));
t(() => util.parseArgs({ args: ["-f", "--bar", "b", "--no", "x"], options: { foo: { type: "boolean", short: "f" }, bar: { type: "string" }, no: { type: "boolean" } }, allowPositionals: true }));
t(() => util.parseArgs({ args: ["-abc=1", "--x=1", "--x", "2", "--", "-z"], options: { a: { type: "boolean", short: "a" }, b: { type: "boolean", short: "b" }, c: { type: "string", short: "c" }, x: { type: "string", multiple: true } }, allowPositionals: true }));
t(() => util.parseArgs({ args: ["--unknown"] }));
t(() => util.parseArgs({ args: ["pos"] }));
t(() => util.parseArgs({ args: ["--b"], options: { b: { type: "string" } } }));
t(() => util.parseArgs({ args: ["--u", "v"], strict: false }));
t(() => util.parseEnv("A=1\n# note\nB='two words'\nexport C=\"x\\ny\"\nD=\n E = spaced  "));
const same = util.isDeepStrictEqual;
t(() => [same({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), same([1], ["1"]), same({ a: undefined }, {}), same(NaN, NaN), same(0, -0), same([0], [-0]), same(new Date(1), new Date(1)), same(/a/g, /a/i), same(new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])), same(new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 1]]))]);
t(() => [same(new Map([[1, 2]]), new Map([[1, 3]])), same(new Set([1]), new Set([2])), same([, 1], [undefined, 1]), same(Object.create(null), {}), same(new Point(1, 2), { x: 1, y: 2 }), same(Object(1), Object(1)), same(Object(1), Object(2)), same(new Uint8Array([1]), new Uint8Array([1])), same(Buffer.from([1]), new Uint8Array([1])), same(new Error("a"), new Error("b"))]);
t(() => { const a = { x: 1 }; a.self = a; const b = { x: 1 }; b.self = b; return same(a, b); });
t(() => { const s = Symbol(); return [same({ [s]: 1 }, { [s]: 1 }), same({ [s]: 1 }, { [s]: 2 }), same({ [s]: 1 }, {})]; });

const { MIMEType, MIMEParams } = util;
for (const text of ["Text/HTML; charset=utf-8; q=\"a b\"", "x", "/x", "a/", "a/b;", "a/b;c", "a/b; c=\"", "a b/c", "a/b c", "a/b;c=d;c=e", "a/b;C=\"x\\\"y\"", " a/b ", "a/b;c=d e", "a/b;=x;d=e", "a/b;c=\"d\"x;e=f"]) {
  t(Object.assign(() => String(new MIMEType(text)), { toString: () => text }));
}
t(() => { const m = new MIMEType("a/b;c=d"); m.type = "X"; m.subtype = "Y+z"; m.params.set("q", "a b"); m.params.delete("c"); return [m.type, m.essence, JSON.stringify(m), m.params.get("q"), m.params.get("none"), m.params.has("q"), [...m.params.keys()]]; });
t(() => { new MIMEType("a/b").type = "a b"; });
t(() => { new MIMEType("a/b").params.set("a b", "c"); });
t(() => { new MIMEType("a/b").params.set("a", "\u4e00"); });
t(() => String(new MIMEParams()));
