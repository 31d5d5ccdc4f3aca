// CommonJS modules of npm packages, and what ES modules need of them.

const requireBuiltin = require;
const { resolve, module: read, namespace, builtin } = inner.packages;

// By path; what `require.cache` is.
const cache = Object.create(null);

const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";

const invalid = (name) =>
  Object.assign(new TypeError(`The "id" argument must be of type string. Received ${name === null ? "null" : `type ${typeof name}`}`), { code: "ERR_INVALID_ARG_TYPE" });

function Module(id = "", by) {
  this.id = id;
  this.path = parent(id);
  this.exports = {};
  this.filename = null;
  this.loaded = false;
  this.children = [];
  Object.defineProperty(this, "parent", { value: by, writable: true, configurable: true });
  by?.children?.push(this);
}
Object.defineProperty(Module.prototype, "paths", {
  configurable: true,
  get() { return above(this.path); },
});
Module.prototype.require = function (name) {
  return load(this.path, name, this);
};
// Sources that a package has made: hooks of compilers do that.
Module.prototype._compile = function (source, path) {
  const factory = new Function("exports", "require", "module", "__filename", "__dirname", String(source));
  return factory.call(this.exports, this.exports, requireOf(this), this, path, parent(path));
};

// Where packages are looked for.
function above(folder) {
  const paths = [];
  for (let at = folder; ; at = parent(at)) {
    if (!at.endsWith("/node_modules")) paths.push(`${at === "/" ? "" : at}/node_modules`);
    if (at === "/") return paths;
  }
}

// The path of a name, or `node:…`.
function find(folder, name, by) {
  if (typeof name !== "string") throw invalid(name);
  if (name === "") throw Object.assign(new TypeError("The argument 'id' must be a non-empty string. Received ''"), { code: "ERR_INVALID_ARG_VALUE" });
  const plain = name.startsWith("node:") ? name.slice(5) : name;
  if (builtin(plain) !== undefined) return `node:${plain}`;
  if (plain !== name) throw Object.assign(new Error(`No such built-in module: ${name}`), { code: "ERR_UNKNOWN_BUILTIN_MODULE" });
  try {
    return resolve(folder, name, false);
  } catch (error) {
    if (error.code === "MODULE_NOT_FOUND") {
      error.requireStack = [];
      for (let at = by; at?.filename; at = at.parent) error.requireStack.push(at.filename);
      if (error.requireStack.length > 0) error.message += `\nRequire stack:\n- ${error.requireStack.join("\n- ")}`;
    }
    throw error;
  }
}

function load(folder, name, by) {
  const path = find(folder, name, by);
  return path.startsWith("node:") ? builtin(path.slice(5)) : made(path, by).exports;
}

function made(path, by) {
  const known = cache[path];
  if (known !== undefined) return known;
  const module = new Module(path, by);
  module.filename = path;
  cache[path] = module;
  try {
    extensions[path.endsWith(".json") ? ".json" : path.endsWith(".node") ? ".node" : ".js"](module, path);
    if (NATIVE.test(path)) requireBuiltin("_packages").patch(path, module.exports);
    module.loaded = true;
  } finally {
    if (!module.loaded) delete cache[path];
  }
  return module;
}

// Files of packages that have a native half here.
const NATIVE = /\/node_modules\/(?:bcrypt[^/]*\/(?:[^/]+\/)?[^/]+|pngjs\/lib\/sync-inflate|http2-wrapper\/source\/utils\/js-stream-socket)\.js$/;

function evaluate(module, path) {
  const instead = NATIVE.test(path) ? requireBuiltin("_packages").instead(path) : undefined;
  if (instead !== undefined) {
    module.exports = instead;
    return;
  }
  const [format, value] = read(path);
  if (format === "commonjs") value.call(module.exports, module.exports, requireOf(module), module, path, module.path);
  else if (format === "json") module.exports = value;
  else if (format === "module") module.exports = asRequired(namespace(path));
  else throw Object.assign(new Error(`native addons cannot be loaded: ${path}`), { code: "ERR_DLOPEN_FAILED" });
}
const extensions = Object.assign(Object.create(null), { ".js": evaluate, ".json": evaluate, ".node": evaluate });

// An ES module may say what `require` gets.
const asRequired = (loaded) => ("module.exports" in loaded ? loaded["module.exports"] : loaded);

function requireOf(module) {
  function require(name) {
    return module.require(name);
  }
  require.resolve = (name, options) => {
    const folders = options?.paths;
    if (folders === undefined) return plain(name, find(module.path, name, module));
    for (const folder of folders) {
      try {
        return plain(name, find(String(folder), name, module));
      } catch (error) {
        if (error.code !== "MODULE_NOT_FOUND") throw error;
      }
    }
    return plain(name, find("/", name, module));
  };
  require.resolve.paths = (name) => (builtin(name) !== undefined ? null : above(module.path));
  require.main = undefined;
  require.extensions = extensions;
  require.cache = cache;
  return require;
}
const plain = (name, path) => (path.startsWith("node:") ? name : path);

// The names under which an ES module sees what is none, each with its value.
function imported(path) {
  const value = path.startsWith("node:") ? builtin(path.slice(5)) : made(path).exports;
  const pairs = ["default", value, "module.exports", value];
  if ((typeof value === "object" || typeof value === "function") && value !== null) {
    for (const name of Object.keys(value)) {
      if (name === "default" || name === "module.exports") continue;
      try {
        pairs.push(name, value[name]);
      } catch {
        // What cannot be read is not there.
      }
    }
  }
  return pairs;
}

// `import.meta` of the module at a path.
function meta(path, target) {
  target.dirname = parent(path);
  target.filename = path;
  target.url = `file://${path}`;
  target.resolve = (name) => {
    const plain = String(name).replace(/^node:/, "");
    if (builtin(plain) !== undefined) return `node:${plain}`;
    return `file://${resolve(target.dirname, String(name), true)}`;
  };
}

const root = new Module("/");
// What functions have as `require`: they lie above all packages.
exports.load = (name) => load("/", name, undefined);
exports.require = requireOf(root);
exports.preload = (path) => { made(path, undefined); };
exports.requireFrom = (path) => {
  const module = new Module(path);
  module.filename = path;
  return requireOf(module);
};
exports.Module = Module;
exports.cache = cache;
exports.extensions = extensions;
exports.find = find;
exports.imported = imported;
exports.meta = meta;
