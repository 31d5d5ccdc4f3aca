// ---- Modules: Node's built-in ones, made when they are first asked for.

const modules = new Map();

// What built-in modules may reach of the host: operations without an identity.
const inner = {
  node: natives.node,
  bson: { Binary },
  // `weak`: the call ends without it once its function is done.
  host: (operation, sent, weak) => natives.call(0, operation, sent, weak),
  sync: (operation, sent) => natives.sync(0, operation, sent),
  packages: {
    resolve: natives.resolve, module: natives.module, namespace: natives.namespace, file: natives.file,
    builtin: (name) => publicBuiltin(name),
  },
  context: {
    get: natives.context, set: natives.setContext, follow: natives.followContext,
    onTimers: (wrap) => { inContext = wrap; },
  },
  inContext: (callback) => inContext(callback),
  kind: natives.kind,
  promise: natives.promise,
  proxy: natives.proxy,
  now: natives.now,
  began: natives.began,
  tick: natives.tick,
  log: natives.log,
  console: { print, indent: (by) => { indentation = by < 0 ? indentation.slice(0, by) : indentation + " ".repeat(by); } },
  uncaught,
  timers,
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

// What begins with a line is for built-in modules only, also when a function has
// changed what texts can do.
const publicBuiltin = (name) => (name[0] === "_" ? undefined : builtin(name));

const require = (name) => {
  const found = typeof name === "string" ? publicBuiltin(name.startsWith("node:") ? name.slice(5) : name) : undefined;
  return found === undefined ? requireBuiltin("_loader").load(name) : found;
};
require.resolve = (name, options) => requireBuiltin("_loader").require.resolve(name, options);
lazy(require, "cache", () => requireBuiltin("_loader").cache);

// Globals that come from built-in modules: module and name; a module alone is
// one itself.
const lazyGlobals = {
  process: ["process"],
  structuredClone: ["_messages", "structuredClone"],
  MessageChannel: ["_messages", "MessageChannel"],
  MessageEvent: ["_messages", "MessageEvent"],
  MessagePort: ["_messages", "MessagePort"],
  ReadableStream: ["_web_streams", "ReadableStream"],
  WritableStream: ["_web_streams", "WritableStream"],
  TransformStream: ["_web_streams", "TransformStream"],
  ByteLengthQueuingStrategy: ["_web_streams", "ByteLengthQueuingStrategy"],
  CountQueuingStrategy: ["_web_streams", "CountQueuingStrategy"],
  TextEncoderStream: ["_web_streams", "TextEncoderStream"],
  TextDecoderStream: ["_web_streams", "TextDecoderStream"],
  CompressionStream: ["_web_streams", "CompressionStream"],
  DecompressionStream: ["_web_streams", "DecompressionStream"],
  ReadableStreamDefaultReader: ["_web_streams", "ReadableStreamDefaultReader"],
  ReadableStreamBYOBReader: ["_web_streams", "ReadableStreamBYOBReader"],
  WritableStreamDefaultWriter: ["_web_streams", "WritableStreamDefaultWriter"],
  performance: ["perf_hooks", "performance"],
  Blob: ["_blob", "Blob"],
  File: ["_blob", "File"],
  fetch: ["_fetch", "fetch"],
  FormData: ["_fetch", "FormData"],
  Headers: ["_fetch", "Headers"],
  Request: ["_fetch", "Request"],
  Response: ["_fetch", "Response"],
  Event: ["_event_target", "Event"],
  CustomEvent: ["_event_target", "CustomEvent"],
  EventTarget: ["_event_target", "EventTarget"],
  AbortController: ["_event_target", "AbortController"],
  AbortSignal: ["_event_target", "AbortSignal"],
  Buffer: ["buffer", "Buffer"],
  utils: ["_utils", "utils"],
  crypto: ["_crypto_web", "webcrypto"],
  Crypto: ["_crypto_web", "Crypto"],
  CryptoKey: ["_crypto_web", "CryptoKey"],
  SubtleCrypto: ["_crypto_web", "SubtleCrypto"],
  atob: ["buffer", "atob"],
  btoa: ["buffer", "btoa"],
  Intl: ["_intl", "Intl"],
  TextDecoder: ["_encoding", "TextDecoder"],
  TextEncoder: ["_encoding", "TextEncoder"],
  URL: ["_url", "URL"],
  URLSearchParams: ["_url", "URLSearchParams"],
};

