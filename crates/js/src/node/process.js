// What a function may know of its process: nothing of the machine.

const EventEmitter = require("events");
const errors = require("_errors");

// Ticks run when nothing else does, before the jobs of promises.
let ticks = [];
let running = false;

function runTicks() {
  for (let index = 0; index < ticks.length; index++) {
    const { callback, args } = ticks[index];
    try {
      callback(...args);
    } catch (error) {
      if (process.listenerCount("uncaughtException") > 0) process.emit("uncaughtException", error, "uncaughtException");
      else inner.uncaught(error);
    }
    // What ran is not kept for long.
    if (index === 1023) {
      ticks.splice(0, 1024);
      index = -1;
    }
  }
  ticks = [];
  running = false;
}

function nextTick(callback, ...args) {
  errors.validateFunction(callback, "callback");
  ticks.push({ callback: inner.inContext(callback), args });
  if (running) return;
  running = true;
  inner.tick(runTicks);
}

function hrtime(before) {
  const now = inner.now();
  let seconds = Math.floor(now / 1e3);
  let nanos = Math.floor((now - seconds * 1e3) * 1e6);
  if (before !== undefined) {
    errors.validateArray(before, "time");
    if (before.length !== 2) throw errors.outOfRange("time", 2, before.length);
    seconds -= before[0];
    nanos -= before[1];
    if (nanos < 0) {
      seconds--;
      nanos += 1e9;
    }
  }
  return [seconds, nanos];
}
hrtime.bigint = () => BigInt(Math.round(inner.now() * 1e6));

const unsupported = (name) => () => {
  throw errors.coded(Error, "ERR_NOT_SUPPORTED", `process.${name}: not supported`);
};

function emitWarning(warning, type, code) {
  if (!(warning instanceof Error)) {
    if (typeof warning !== "string") throw errors.invalidType("warning", ["string", "Error"], warning);
    const options = typeof type === "object" && type !== null ? type : { type, code };
    const { detail } = options;
    warning = new Error(warning);
    warning.name = String(options.type || "Warning");
    if (options.code !== undefined) warning.code = options.code;
    if (detail !== undefined) warning.detail = detail;
  }
  nextTick(() => process.emit("warning", warning));
}

// Standard output and standard error are the log.
function output(isError, fd) {
  const { Writable } = require("stream");
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _, callback) {
      const text = String(chunk);
      if (text !== "\n" && text !== "") inner.log(isError, text.endsWith("\n") ? text.slice(0, -1) : text);
      callback();
    },
  });
  return Object.assign(stream, { fd, isTTY: false, _isStdio: true });
}
function input() {
  const { Readable } = require("stream");
  return Object.assign(new Readable({ read() { this.push(null); } }), { fd: 0, isTTY: false });
}

// The prototype's name is what tells packages that this is Node's.
const prototype = Object.create(EventEmitter.prototype, {
  constructor: { value: { process: function process() {} }.process, writable: true, configurable: true },
});
const process = Object.create(prototype, {
  [Symbol.toStringTag]: { value: "process", configurable: true },
});
EventEmitter.call(process);

Object.assign(process, {
  version: "v18.20.8",
  versions: { node: "18.20.8", v8: "10.2.154.26-node.36", uv: "1.44.2", zlib: "1.3.0.1-motley", modules: "108", openssl: "3.0.16", unicode: "15.0", ares: "1.20.1" },
  arch: "x64",
  platform: "linux",
  release: { name: "node", lts: "Hydrogen" },
  title: "node",
  argv: ["node"],
  argv0: "node",
  execArgv: [],
  execPath: "/usr/bin/node",
  env: {},
  pid: 1,
  ppid: 0,
  exitCode: undefined,
  features: {
    inspector: false, debug: false, uv: true, ipv6: true, tls_alpn: true, tls_sni: true, tls_ocsp: true, tls: true,
    cached_builtins: true,
  },
  config: { target_defaults: {}, variables: {} },
  domain: null,
  nextTick, hrtime, emitWarning,
  cwd: () => "/",
  uptime: () => (inner.now() - inner.began()) / 1e3,
  umask: () => 0o22,
  memoryUsage: Object.assign(() => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }), { rss: () => 0 }),
  cpuUsage: (before) => {
    const user = Math.floor((inner.now() - inner.began()) * 1e3);
    return { user: user - (before?.user ?? 0), system: 0 };
  },
  resourceUsage: () => ({ userCPUTime: Math.floor((inner.now() - inner.began()) * 1e3), systemCPUTime: 0, maxRSS: 0 }),
  getuid: () => 0,
  geteuid: () => 0,
  getgid: () => 0,
  getegid: () => 0,
  hasUncaughtExceptionCaptureCallback: () => false,
  setUncaughtExceptionCaptureCallback() {},
  setSourceMapsEnabled() {},
  getActiveResourcesInfo: () => [],
  _getActiveHandles: () => [],
  _getActiveRequests: () => [],
});
for (const name of ["abort", "binding", "chdir", "dlopen", "exit", "kill", "reallyExit", "setuid", "setgid"]) {
  process[name] = unsupported(name);
}
for (const [name, make] of [["stdout", () => output(false, 1)], ["stderr", () => output(true, 2)], ["stdin", input]]) {
  let made;
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => (made ??= make()) });
}

module.exports = process;
