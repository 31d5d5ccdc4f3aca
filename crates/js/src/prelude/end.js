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
  loader: (what, path, target) => requireBuiltin("_loader")[what](path, target),
};
})
