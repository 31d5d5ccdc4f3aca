// What the documentation's page about JavaScript lists, and what it says is not there and is.
//- functions/run.js
exports = (code) => eval(`(() => { ${code} })()`);
//= run ["return [1, 2].map((n) => n * 2)"]
//> [{"$numberInt":"2"},{"$numberInt":"4"}]
//= run ["class A { constructor() { this.n = 1 } get m() { return this.n + 1 } static of() { return new this() } } class B extends A { constructor() { super(); this.k = super.m } } return [B.of().k, B.of() instanceof A]"]
//> [{"$numberInt":"2"},true]
//= run ["function* ids() { let n = 0; while (true) yield n++; } const all = ids(); return [all.next().value, all.next().value]"]
//> [{"$numberInt":"0"},{"$numberInt":"1"}]
//= run ["const f = (a, b = a + 1, ...rest) => [a, b, rest]; return f(1, undefined, 3, ...[4, 5])"]
//> [{"$numberInt":"1"},{"$numberInt":"2"},[{"$numberInt":"3"},{"$numberInt":"4"},{"$numberInt":"5"}]]
//= run ["const k = 'key', o = { k, [k + 1]: 1, m() { return this.k } }; return [o.m(), Object.keys(o)]"]
//> ["key",["k","key1","m"]]
//= run ["let sum = 0; for (const n of new Set([1, 2, 2])) sum += n; return sum"]
//> {"$numberInt":"3"}
//= run ["return [0b101, 0o17, 2 ** 10, `a${1 + 1}b`]"]
//> [{"$numberInt":"5"},{"$numberInt":"15"},{"$numberInt":"1024"},"a2b"]
//= run ["const { a, b: { c = 5 } = {}, ...rest } = { a: 1, d: 2 }; const [x, , y] = [1, 2, 3]; return [a, c, rest, x, y]"]
//> [{"$numberInt":"1"},{"$numberInt":"5"},{"d":{"$numberInt":"2"}},{"$numberInt":"1"},{"$numberInt":"3"}]
//= run ["function F() { return new.target === F } return [typeof new F(), F()]"]
//> ["object",false]
//= run ["return [null?.a, undefined ?? 1, 0 || 2, ({ a: { b: 1 } }).a?.b]"]
//> [{"$undefined":true},{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"1"}]
//= run ["const m = new Map([['a', 1]]), w = new WeakMap(), s = Symbol('s'); w.set(m, 1); return [m.get('a'), w.has(m), s.toString(), new WeakSet([m]).has(m)]"]
//> [{"$numberInt":"1"},true,"Symbol(s)",true]
//= run ["return [Array.from({ length: 2 }, (_, i) => i), Array.of(7), Number.isInteger(5), Number.parseFloat('1.5'), Number.MAX_SAFE_INTEGER > 1]"]
//> [[{"$numberInt":"0"},{"$numberInt":"1"}],[{"$numberInt":"7"}],true,{"$numberDouble":"1.5"},true]
//= run ["return [Math.max(1, 3), Math.trunc(1.7), Math.hypot(3, 4), Math.sign(-2), Math.PI > 3]"]
//> [{"$numberInt":"3"},{"$numberInt":"1"},…,{"$numberInt":"-1"},true]
//= run ["return ['abc'.includes('b'), 'a'.repeat(3), 'abc'.padStart(5, '-'), 'a-b'.replaceAll('-', '+'), 'abc'.at(-1), ' a '.trim(), [...'a😀'].length]"]
//> [true,"aaa","--abc","a+b","c","a",{"$numberInt":"2"}]
//= run ["return [/a(?<name>b)/u.exec('ab').groups.name, /a/y.test('ba'), 'aXbX'.match(/x/gi), /(?<=a)b/.test('ab'), 'a1b2'.replace(/\\d/g, (d) => d * 2)]"]
//> ["b",false,["X","X"],true,"a2b4"]
//= run ["return [typeof 5n, String(2n ** 64n), typeof new Proxy({}, {}), Reflect.ownKeys({ a: 1 })]"]
//> ["bigint","18446744073709551616","object",["a"]]
//= run ["return [Object.entries({ a: 1 }), Object.fromEntries([['a', 1]]), Object.assign({}, { a: 1 }), [1, [2, [3]]].flat(Infinity), [3, 1, 2].sort()]"]
//> [[["a",{"$numberInt":"1"}]],{"a":{"$numberInt":"1"}},{"a":{"$numberInt":"1"}},[{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"}],[{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"}]]
//= run ["const date = new Date(Date.UTC(2020, 1, 29, 12)); return [date.toISOString(), date.getUTCDay(), Date.parse('2020-02-29T12:00:00Z') === date.getTime()]"]
//> ["2020-02-29T12:00:00.000Z",{"$numberInt":"6"},true]
//= run ["return [new Uint8Array([1, 256]).join(), new Float64Array(2).length, new DataView(new ArrayBuffer(8)).byteLength]"]
//> ["1,0",{"$numberInt":"2"},{"$numberInt":"8"}]
//= run ["label: for (const a of [1, 2]) { for (const b of [1, 2]) { if (b === 2) continue label; if (a === 2) break label; } } return 'out'"]
//> "out"
//= run ["try { null.x } catch { return 'no binding' } finally { }"]
//> "no binding"
//- functions/asynchronous.js
exports = async () => {
  const seen = [];
  async function* later() { yield 1; await null; yield 2; }
  for await (const n of later()) seen.push(n);
  seen.push(...await Promise.all([3, Promise.resolve(4)]));
  seen.push((await Promise.allSettled([Promise.reject(new Error("x"))]))[0].status);
  seen.push(await Promise.any([Promise.reject(1), Promise.resolve(5)]));
  await Promise.reject(new Error("f")).catch(() => {}).finally(() => seen.push("finally"));
  return seen;
};
//= asynchronous
//> [{"$numberInt":"1"},{"$numberInt":"2"},{"$numberInt":"3"},{"$numberInt":"4"},"rejected",{"$numberInt":"5"},"finally"]
