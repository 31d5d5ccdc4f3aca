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
  BSON, EJSON, console, ...timers,
  global: globalThis,
})) define(globalThis, name, value);
lazy(console, "Console", () => requireBuiltin("_console").Console, false);
for (const [name, [module, key]] of Object.entries(lazyGlobals)) {
  lazy(globalThis, name, () => (key === undefined ? requireBuiltin(module) : requireBuiltin(module)[key]), false);
}
// Stack frames must not hand out the prelude's functions, nor the natives.
Error.prepareStackTrace = (_, frames) => frames;
delete Object.getPrototypeOf(new Error().stack[0]).getFunction;
Error.prepareStackTrace = undefined;
// Nobody to share memory with, and a history of engine bugs.
delete globalThis.Atomics;
delete globalThis.SharedArrayBuffer;
// The engine's own generator starts from the image and would repeat itself.
define(Math, "random", natives.random);

// What modules share with the function, apart from what is made when it is
// first touched: properties of globals and of their prototypes, by name.
const shared = () => {
  const parts = new Map();
  const add = (path, of) => {
    for (const key of Reflect.ownKeys(of)) {
      if (of === globalThis && Object.hasOwn(lazyGlobals, key)) continue;
      const { value, get, set } = Object.getOwnPropertyDescriptor(of, key);
      parts.set(`${path}${String(key)}`, [value, get, set]);
    }
  };
  add("", globalThis);
  for (const [name, [value]] of [...parts]) {
    if ((typeof value !== "object" && typeof value !== "function") || value === null || value === globalThis) continue;
    add(`${name}.`, value);
    if (typeof value.prototype === "object" && value.prototype !== null) add(`${name}.prototype.`, value.prototype);
  }
  return parts;
};
const differs = (before, after) => {
  for (const [path, now] of after) {
    const then = before.get(path);
    if (then === undefined || now.some((part, index) => !Object.is(part, then[index]))) return path;
  }
  for (const path of before.keys()) {
    if (!after.has(path)) return path;
  }
  return undefined;
};

// That of the first frame is in the image: every call needs it.
const firstContext = makeContext(0);

return {
  prototypes, MinKey, MaxKey,
  // Makes a function of its factory, in a frame.
  load: (factory, frame) => {
    const loaded = factory(frame === 0 ? firstContext : makeContext(frame), require, console);
    if (typeof loaded !== "function") throw new TypeError("exports is not a function");
    return loaded;
  },
  waits: (value) => unread > 0 || typeof value.then === "function",
  settle,
  // Loads modules ahead of a call: built-in ones and files of packages.
  // `checked` for whether they change what they share; it leaves garbage.
  preload: (ids, checked) => {
    const before = checked && shared();
    for (const id of ids) {
      if (id.startsWith("node:")) requireBuiltin(id.slice(5));
      else requireBuiltin("_loader").preload(id);
    }
    const changed = checked ? differs(before, shared()) : undefined;
    if (changed !== undefined) throw new Error(`loading it changes ${changed}`);
  },
  loader: (what, path, target) => requireBuiltin("_loader")[what](path, target),
};
})
