// What a program of escapes.txt has: `reach` looks at a value for a way out,
// `refused` runs what has to throw, `never` notes what must not be so.
const found = [];
const never = (is, what) => { if (is) found.push(what); };
const internal = new Set([
  'sync', 'enter', 'builtin', 'node', 'objectId', 'keepTimer', 'clearTimer', 'setContext', 'followContext',
  'namespace', 'relaxed', 'fromBase64',
]);
const text = Function.prototype.toString, apply = Reflect.apply, isNative = RegExp.prototype.test;
const standard = new Set();
for (const name of Reflect.ownKeys(globalThis)) {
  const { value } = Object.getOwnPropertyDescriptor(globalThis, name);
  for (const of of [value, value?.prototype]) {
    if (of === null || !['object', 'function'].includes(typeof of)) continue;
    standard.add(of);
    for (const key of Reflect.ownKeys(of)) {
      const property = Object.getOwnPropertyDescriptor(of, key);
      for (const part of [property.value, property.get, property.set]) if (typeof part === 'function') standard.add(part);
    }
  }
}
const home = globalThis, Make = Function, keysOf = Reflect.ownKeys, describe = Object.getOwnPropertyDescriptor;
const up = Object.getPrototypeOf, has = Set.prototype.has, add = Set.prototype.add;
const reach = (value, where = 'value') => {
  const seen = new Set();
  const walk = (value, path, depth) => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
    if (apply(has, seen, [value]) || apply(has, standard, [value]) || depth > 5) return;
    apply(add, seen, [value]);
    if (typeof value === 'function') {
      let source = '';
      try { source = apply(text, value, []); } catch {}
      const name = describe(value, 'name')?.value;
      never(apply(isNative, /\[native code\]/, [source]) && apply(has, internal, [name]), `${path}: the native '${String(name)}'`);
    }
    let maker;
    try { maker = value.constructor?.constructor; } catch {}
    if (typeof maker === 'function' && maker !== Make && /^function Function\(/.test(apply(text, maker, []))) {
      let other;
      try { other = maker('return globalThis')(); } catch {}
      never(other !== undefined && other !== home, `${path}: another realm`);
    }
    let keys = [];
    try { keys = keysOf(value); } catch {}
    never(keys.length < 80 && keys.includes('builtin') && keys.includes('sync'), `${path}: all natives`);
    for (const key of keys.slice(0, 300)) {
      let property;
      try { property = describe(value, key); } catch {}
      if (property === undefined) continue;
      const at = `${path}.${String(key)}`;
      walk(property.value, at, depth + 1);
      walk(property.get, at, depth + 1);
      walk(property.set, at, depth + 1);
    }
    try { walk(up(value), `${path}.__proto__`, depth + 1); } catch {}
  };
  walk(value, where, 0);
  return value;
};
const refused = async (what, run) => {
  try {
    const value = await run();
    if (value !== undefined) found.push(`${what}: ${typeof value}`);
    return value;
  } catch (error) { reach(error, `${what}: the error`); return undefined; }
};
const collection = () => context.services.get('mongodb-atlas').db('d').collection('c');
const outside = (of = globalThis) => {
  const { process } = of;
  never(Object.keys(process.env).length > 0, 'an environment');
  never(process.mainModule !== undefined, 'a main module');
  for (const name of ['std', 'os', 'bjson', 'scriptArgs', 'print', 'load', 'loadScript', 'Worker', 'WebAssembly', 'Deno', 'Bun', 'module', 'gc', 'natives', 'inner', 'SharedArrayBuffer', 'Atomics', 'navigator']) {
    never(name in of, `a global ${name}`);
  }
};
