// ---- Modules: Node's built-in ones, made when they are first asked for.

const modules = new Map();

// What built-in modules may reach of the host: operations without an identity.
const inner = {
  node: natives.node,
  host: (operation, sent) => natives.call(0, operation, sent),
  sync: (operation, sent) => natives.sync(0, operation, sent),
};

function builtin(name) {
  const id = `node:${name}`;
  const known = modules.get(id);
  if (known !== undefined) return known.exports;
  const factory = natives.builtin(name);
  if (factory === undefined) return undefined;
  const module = { id, exports: {}, loaded: false };
  modules.set(id, module);
  try {
    factory(module.exports, requireBuiltin, module, inner);
  } catch (error) {
    modules.delete(id);
    throw error;
  }
  module.loaded = true;
  return module.exports;
}

// Between built-in modules: also those that functions cannot name.
function requireBuiltin(name) {
  const found = builtin(name.startsWith("node:") ? name.slice(5) : name);
  if (found === undefined) throw notFound(name);
  return found;
}

const notFound = (name) =>
  Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND" });

const require = (name) => {
  const plain = name.startsWith("node:") ? name.slice(5) : name;
  // What begins with a line is for built-in modules only.
  const found = plain.startsWith("_") ? undefined : builtin(plain);
  if (found === undefined) throw notFound(name);
  return found;
};

// Globals that come from built-in modules: module and name.
const lazyGlobals = {
  Buffer: ["buffer", "Buffer"],
  atob: ["buffer", "atob"],
  btoa: ["buffer", "btoa"],
};

