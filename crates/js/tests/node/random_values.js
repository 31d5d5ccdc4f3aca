// Values put together at random, always the same ones: how they are shown,
// compared and formatted.
const util = require("util");
const assert = require("assert");
let seed = 12345; const rnd = (n) => { seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5; return (seed >>> 0) % n; };
class A { constructor(v) { this.v = v; } } class B extends Map {} class C extends Array {} class E2 extends Error {}
const words = ["a", "bb", "it's", "say \"x\"", "line\nbreak", "日本", "", "é", "x".repeat(30), "word word word word", "\u001b", "a-b", "1", "constructor", "`'\""];
const key = () => words[rnd(words.length)];
function prim() { switch (rnd(13)) { case 0: return rnd(100); case 1: return -rnd(1000) / 8; case 2: return key(); case 3: return rnd(2) === 0; case 4: return null; case 5: return undefined; case 6: return BigInt(rnd(1e6)); case 7: return NaN; case 8: return -0; case 9: return 1e21 * rnd(5); case 10: return Symbol.for(key()); case 11: return words[rnd(4)].repeat(rnd(40)); default: return rnd(1e9); } }
function gen(d) {
  if (d <= 0) return prim();
  const n = rnd(rnd(4) === 0 ? 30 : 5);
  switch (rnd(22)) {
    case 0: case 1: case 2: case 3: { const o = {}; for (let i = 0; i < n; i++) o[key() + (rnd(2) ? "" : i)] = gen(d - 1 - rnd(2)); return o; }
    case 4: case 5: case 6: { const a = []; for (let i = 0; i < n; i++) a.push(gen(d - 1 - rnd(2))); if (rnd(6) === 0) a.extra = 1; if (rnd(6) === 0) a.length += 2; return a; }
    case 7: { const m = new Map(); for (let i = 0; i < n; i++) m.set(gen(d - 2), gen(d - 1)); return m; }
    case 8: { const s = new Set(); for (let i = 0; i < n; i++) s.add(gen(d - 1)); return s; }
    case 9: return new A(gen(d - 1));
    case 10: { const o = Object.create(null); o[key()] = gen(d - 1); return o; }
    case 11: return new Date(rnd(2e9) * 1000);
    case 12: return [/x/g, /a\/b/, new RegExp("\n")][rnd(3)];
    case 13: return Uint8Array.from({ length: n }, () => rnd(256));
    case 14: return Float64Array.from({ length: n }, () => rnd(1000) / 7);
    case 15: return Array.from({ length: rnd(40) }, () => rnd(5) ? rnd(1e4) : prim());
    case 16: { const b = new B(); b.set(1, gen(d - 1)); return b; }
    case 17: return C.from({ length: n }, () => gen(d - 2));
    case 18: return Object(rnd(2) ? key() : rnd(5));
    case 19: { const e = [new Error("msg"), new TypeError(key()), new E2("own")][rnd(3)]; Object.defineProperty(e, "stack", { value: `${e.name}: ${e.message}\n    at f (file.js:1:2)`, writable: true, configurable: true }); if (rnd(2)) e.code = "CODE"; if (rnd(3) === 0) e.cause = gen(d - 1); return e; }
    case 20: { const o = { a: gen(d - 1) }; o.self = o; if (rnd(2)) o.list = [o, gen(d - 2)]; return o; }
    default: { const o = { get g() { return 1; }, set s(_) {}, f() {}, h: () => {}, k: class K {}, [Symbol("s")]: prim() }; return o; }
  }
}
const opts = [undefined, undefined, undefined, { depth: 0 }, { depth: 5 }, { depth: null }, { compact: false }, { compact: true }, { compact: 1 }, { breakLength: 40 }, { breakLength: Infinity }, { sorted: true }, { maxArrayLength: 3 }, { maxStringLength: 5 }, { colors: true }, { showHidden: false, getters: true }];
const some = (count, each) => Array.from({ length: count }, each);
const shown = () => {
  const options = opts[rnd(opts.length)];
  return util.inspect(gen(1 + rnd(3)), options);
};
const compared = () => {
  const before = seed;
  const a = gen(1 + rnd(3));
  if (rnd(2)) seed = before;
  const b = gen(1 + rnd(3));
  let loose = true;
  try { assert.deepEqual(a, b); } catch { loose = false; }
  return `${util.isDeepStrictEqual(a, b) ? "=" : "!"}${loose ? "=" : "!"}`;
};
const formatted = () => {
  const text = some(rnd(4), () => ["%s", "%d", "%i", "%f", "%j", "%O", "%c", "%%", " text ", "%x", "%"][rnd(11)]).join("");
  try { return util.format(text, ...some(rnd(4), () => gen(rnd(3)))); } catch (error) { return `throws ${error.name}`; }
};
t(() => { seed = 1; return some(50, shown); });
t(() => { seed = 2; return some(50, shown); });
t(() => { seed = 3; return some(50, shown); });
t(() => { seed = 4; return some(50, shown); });
t(() => { seed = 5; return some(500, compared).join(" "); });
t(() => { seed = 6; return some(100, formatted); });
t(() => { seed = 7; return some(100, formatted); });
