// `module`.

const { Module, requireFrom, cache, extensions, find } = require("_loader");
const errors = require("_errors");

const builtinModules = ["_http_agent", "_http_client", "_http_common", "_http_incoming", "_http_outgoing", "_http_server", "_stream_duplex",
  "_stream_passthrough", "_stream_readable", "_stream_transform", "_stream_wrap", "_stream_writable", "_tls_common", "_tls_wrap",
  "assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram",
  "diagnostics_channel", "dns", "dns/promises", "domain", "events", "fs", "fs/promises", "http", "http2", "https", "inspector",
  "inspector/promises", "module", "net", "os", "path", "path/posix", "path/win32", "perf_hooks", "process", "punycode", "querystring",
  "readline", "readline/promises", "repl", "stream", "stream/consumers", "stream/promises", "stream/web", "string_decoder", "sys",
  "timers", "timers/promises", "tls", "trace_events", "tty", "url", "util", "util/types", "v8", "vm", "wasi", "worker_threads", "zlib"];

const pathOf = (file) => {
  if (file instanceof URL || (typeof file === "string" && file.startsWith("file:"))) return require("url").fileURLToPath(file);
  if (typeof file === "string" && file.startsWith("/")) return file;
  throw errors.invalidValue("filename", file, "must be a file URL object, file URL string, or absolute path string");
};

const plain = (name) => (typeof name === "string" && name.startsWith("node:") ? name.slice(5) : name);

Object.assign(Module, {
  Module, builtinModules,
  createRequire: (file) => requireFrom(pathOf(file)),
  isBuiltin: (name) => builtinModules.includes(plain(name)),
  _cache: cache,
  _extensions: extensions,
  _pathCache: Object.create(null),
  _resolveFilename: (name, parent) => find(parent?.path ?? "/", name, parent),
  _load: (name, parent) => (parent ?? new Module("/")).require(name),
  _nodeModulePaths: (folder) => Object.getOwnPropertyDescriptor(Module.prototype, "paths").get.call({ path: folder }),
  _initPaths() {},
  globalPaths: [],
  findSourceMap: () => undefined,
  syncBuiltinESMExports() {},
  register() {},
  wrap: (source) => `(function (exports, require, module, __filename, __dirname) { ${source}\n});`,
  SourceMap: class SourceMap {
    constructor(payload) { this.payload = payload; }
    findEntry() { return {}; }
  },
});
Module.wrapper = ["(function (exports, require, module, __filename, __dirname) { ", "\n});"];

module.exports = Module;
