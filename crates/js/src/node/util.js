// Node's `util`.

const errors = require("_errors");
const types = require("_types");
const { inspect, formatWith } = require("_inspect");
const { Buffer } = require("buffer");

const promisifyCustom = Symbol.for("nodejs.util.promisify.custom");
const ARGUMENTS = Symbol.for("nodejs.util.promisify.args");

// ---- Callbacks and promises.

function promisify(original) {
  errors.validateFunction(original, "original");
  const own = original[promisifyCustom];
  if (own) {
    errors.validateFunction(own, "util.promisify.custom");
    return Object.defineProperty(own, promisifyCustom, { value: own, enumerable: false, writable: false, configurable: true });
  }
  // Some functions call back with several values, which have names.
  const names = original[ARGUMENTS];
  function promisified(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, ...values) => {
        if (error) reject(error);
        else if (names !== undefined && values.length > 1) resolve(Object.fromEntries(names.map((name, index) => [name, values[index]])));
        else resolve(values[0]);
      }]);
    });
  }
  Object.setPrototypeOf(promisified, Object.getPrototypeOf(original));
  Object.defineProperty(promisified, promisifyCustom, { value: promisified, enumerable: false, writable: false, configurable: true });
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(original))) {
    try {
      Object.defineProperty(promisified, key, descriptor);
    } catch {
      // What cannot be copied stays behind.
    }
  }
  return promisified;
}
promisify.custom = promisifyCustom;

function callbackify(original) {
  errors.validateFunction(original, "original");
  function callbackified(...args) {
    const callback = args.pop();
    errors.validateFunction(callback, "last argument");
    const { nextTick } = require("process");
    Reflect.apply(original, this, args).then(
      (value) => nextTick(callback.bind(this), null, value),
      (reason) => {
        let error = reason;
        if (!reason) {
          error = errors.coded(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
          error.reason = reason;
        }
        nextTick(callback.bind(this), error);
      });
  }
  const { name, length } = original;
  if (typeof name === "string") Object.defineProperty(callbackified, "name", { value: `${name}Callbackified`, configurable: true });
  if (typeof length === "number") Object.defineProperty(callbackified, "length", { value: length + 1, configurable: true });
  return callbackified;
}

// ---- Classes and warnings.

function inherits(constructor, superConstructor) {
  if (constructor === undefined || constructor === null) throw errors.invalidType("ctor", "Function", constructor);
  if (superConstructor === undefined || superConstructor === null) throw errors.invalidType("superCtor", "Function", superConstructor);
  if (superConstructor.prototype === undefined) throw errors.invalidType("superCtor.prototype", "Object", superConstructor.prototype);
  Object.defineProperty(constructor, "super_", { value: superConstructor, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, superConstructor.prototype);
}

const told = new Set();
function deprecate(original, message, code) {
  errors.validateFunction(original, "fn");
  if (code !== undefined) errors.validateString(code, "code");
  let warned = false;
  function deprecated(...args) {
    if (!warned) {
      warned = true;
      if (code === undefined || !told.has(code)) {
        if (code !== undefined) told.add(code);
        require("process").emitWarning(message, "DeprecationWarning", code);
      }
    }
    return new.target ? Reflect.construct(original, args, new.target) : Reflect.apply(original, this, args);
  }
  Object.setPrototypeOf(deprecated, original);
  if (original.prototype) deprecated.prototype = original.prototype;
  return deprecated;
}

// Nothing switches debugging on: there is no environment.
function debuglog(set, callback) {
  const log = () => {};
  Object.defineProperty(log, "enabled", { get: () => false, configurable: true, enumerable: true });
  if (typeof callback === "function") callback(log);
  return log;
}

// ---- Texts.

const stripVTControlCharacters = (text) => {
  errors.validateString(text, "str");
  return text.replace(
    /[\u001B\u009B][[\]()#;?]*(?:(?:(?:(?:;[-a-zA-Z\d/#&.:=?%@~_]+)*|[a-zA-Z\d]+(?:;[-a-zA-Z\d/#&.:=?%@~_]*)*)?(?:\u0007|\u001B\u005C|\u009C))|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PR-TZcf-ntqry=><~]))/g, "");
};

function styleText(format, text) {
  errors.validateString(text, "text");
  const formats = Array.isArray(format) ? format : [format];
  let [left, right] = ["", ""];
  for (const name of formats) {
    const codes = inspect.colors[name];
    if (codes === undefined) errors.validateOneOf(name, "format", Object.keys(inspect.colors));
    left += `\u001b[${codes[0]}m`;
    right = `\u001b[${codes[1]}m${right}`;
  }
  return `${left}${text}${right}`;
}

function parseEnv(content) {
  errors.validateString(content, "content");
  const parsed = {};
  const line = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|`([^`]*)`|([^\n#]*))?[^\n]*$/gm;
  for (const [, key, double, single, back, bare] of content.replace(/\r\n?/g, "\n").matchAll(line)) {
    parsed[key] = double?.replaceAll("\\n", "\n") ?? single ?? back ?? (bare ?? "").trim();
  }
  return parsed;
}

const systemErrors = new Map([
  [-1, "EPERM", "operation not permitted"], [-2, "ENOENT", "no such file or directory"], [-4, "EINTR", "interrupted system call"],
  [-5, "EIO", "i/o error"], [-9, "EBADF", "bad file descriptor"], [-11, "EAGAIN", "resource temporarily unavailable"],
  [-12, "ENOMEM", "not enough memory"], [-13, "EACCES", "permission denied"], [-17, "EEXIST", "file already exists"],
  [-20, "ENOTDIR", "not a directory"], [-21, "EISDIR", "illegal operation on a directory"], [-22, "EINVAL", "invalid argument"],
  [-24, "EMFILE", "too many open files"], [-28, "ENOSPC", "no space left on device"], [-32, "EPIPE", "broken pipe"],
  [-98, "EADDRINUSE", "address already in use"], [-99, "EADDRNOTAVAIL", "address not available"],
  [-101, "ENETUNREACH", "network is unreachable"], [-103, "ECONNABORTED", "software caused connection abort"],
  [-104, "ECONNRESET", "connection reset by peer"], [-106, "EISCONN", "socket is already connected"],
  [-107, "ENOTCONN", "socket is not connected"], [-110, "ETIMEDOUT", "connection timed out"],
  [-111, "ECONNREFUSED", "connection refused"], [-113, "EHOSTUNREACH", "host is unreachable"],
  [-125, "ECANCELED", "operation canceled"], [-3001, "EAI_AGAIN", "temporary failure"], [-3008, "EAI_NONAME", "unknown node or service"],
].map(([code, name, text]) => [code, [name, text]]));

// ---- Command lines.

function parseArgs(config = {}) {
  errors.validateObject(config, "config");
  const { args = [], options = {}, strict = true, allowPositionals = !strict, tokens: wantTokens = false } = config;
  const tokens = [];
  const byShort = (letter) => Object.entries(options).find(([, option]) => option.short === letter)?.[0];
  const takesValue = (name) => options[name]?.type === "string";
  const option = (index, name, rawName, value, inlineValue) => {
    tokens.push({ kind: "option", name, rawName, index, value, inlineValue });
  };
  const rest = args.map(String);
  let at = 0;
  for (; at < rest.length; at++) {
    const arg = rest[at];
    if (arg === "--") {
      tokens.push({ kind: "option-terminator", index: at });
      for (let index = at + 1; index < rest.length; index++) tokens.push({ kind: "positional", index, value: rest[index] });
      break;
    }
    const long = /^--([^=]+)(?:=([\s\S]*))?$/.exec(arg);
    if (long) {
      const [, name, value] = long;
      if (value !== undefined) option(at, name, `--${name}`, value, true);
      else if (takesValue(name) && rest[at + 1] !== undefined) option(at, name, `--${name}`, rest[++at], false);
      else option(at, name, `--${name}`, undefined, undefined);
      continue;
    }
    if (/^-[^-]/.test(arg)) {
      const letters = arg.slice(1);
      for (let index = 0; index < letters.length; index++) {
        const name = byShort(letters[index]) ?? letters[index];
        const left = letters.slice(index + 1);
        if (takesValue(name)) {
          if (left !== "") option(at, name, `-${letters[index]}`, left, true);
          else if (rest[at + 1] !== undefined) option(at, name, `-${letters[index]}`, rest[++at], false);
          else option(at, name, `-${letters[index]}`, undefined, undefined);
          break;
        }
        option(at, name, `-${letters[index]}`, undefined, undefined);
      }
      continue;
    }
    tokens.push({ kind: "positional", index: at, value: arg });
  }
  const values = Object.create(null);
  const positionals = [];
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (!allowPositionals) {
        throw errors.coded(TypeError, "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL",
          `Unexpected argument '${token.value}'. This command does not take positional arguments`);
      }
      positionals.push(token.value);
    } else if (token.kind === "option") {
      const known = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
      if (strict && known === undefined) {
        throw errors.coded(TypeError, "ERR_PARSE_ARGS_UNKNOWN_OPTION",
          `Unknown option '${token.rawName}'${allowPositionals ? `. To specify a positional argument starting with a '-', place it at the end of the command after '--', as in '-- "${token.rawName}"` : ""}`);
      }
      if (strict && known.type === "string" && typeof token.value !== "string") {
        throw errors.coded(TypeError, "ERR_PARSE_ARGS_INVALID_OPTION_VALUE",
          `Option '${known.short ? `-${known.short}, ` : ""}--${token.name} <value>' argument missing`);
      }
      if (strict && known.type === "boolean" && token.value !== undefined) {
        throw errors.coded(TypeError, "ERR_PARSE_ARGS_INVALID_OPTION_VALUE",
          `Option '${known.short ? `-${known.short}, ` : ""}--${token.name}' does not take an argument`);
      }
      const value = token.value ?? true;
      if (known?.multiple) (values[token.name] ??= []).push(value);
      else values[token.name] = value;
    }
  }
  for (const [name, known] of Object.entries(options)) {
    if (known.default !== undefined && values[name] === undefined) values[name] = known.default;
  }
  return wantTokens ? { values, positionals, tokens } : { values, positionals };
}

// Settles when a signal is aborted.
async function aborted(signal, resource) {
  if (signal === undefined) throw errors.invalidType("signal", "AbortSignal", signal);
  errors.validateAbortSignal(signal, "signal");
  errors.validateObject(resource, "resource", { allowArray: true, allowFunction: true });
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

Object.assign(exports, {
  inspect, types, promisify, callbackify, inherits, deprecate, debuglog, debug: debuglog, parseArgs, parseEnv, aborted,
  styleText, stripVTControlCharacters,
  format: (...args) => formatWith(undefined, args),
  formatWithOptions: (options, ...args) => {
    errors.validateObject(options, "inspectOptions", { allowArray: true });
    return formatWith(options, args);
  },
  isDeepStrictEqual: (a, b) => require("_comparison").isDeepEqual(a, b, true),
  toUSVString: (text) => `${text}`.toWellFormed(),
  transferableAbortSignal: (signal) => signal,
  transferableAbortController: () => new AbortController(),
  log: (...args) => {
    const time = new Date();
    const pad = (n) => String(n).padStart(2, "0");
    const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][time.getMonth()];
    console.log("%s - %s", `${time.getDate()} ${month} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(pad).join(":")}`,
      formatWith(undefined, args));
  },
  getSystemErrorName: (code) => {
    errors.validateNumber(code, "err");
    if (code >= 0 || !Number.isSafeInteger(code)) throw errors.outOfRange("err", "a negative integer", code);
    return systemErrors.get(code)?.[0] ?? `Unknown system error ${code}`;
  },
  getSystemErrorMap: () => new Map(systemErrors),
  _extend: (target, source) => (source === null || typeof source !== "object" ? target : Object.assign(target, source)),
  _errnoException: (code, syscall, original) => {
    const name = exports.getSystemErrorName(code);
    const error = new Error(`${syscall} ${name}${original ? ` ${original}` : ""}`);
    return Object.assign(error, { errno: code, code: name, syscall });
  },
  _exceptionWithHostPort: (code, syscall, address, port, additional) => {
    const name = exports.getSystemErrorName(code);
    const where = port && port > 0 ? ` ${address}:${port}` : address ? ` ${address}` : "";
    const error = new Error(`${syscall} ${name}${where}${additional ? ` - Local (${additional})` : ""}`);
    return Object.assign(error, { errno: code, code: name, syscall, address }, port ? { port } : {});
  },
  isArray: Array.isArray,
  isBoolean: (value) => typeof value === "boolean",
  isBuffer: (value) => value instanceof Buffer,
  isDate: types.isDate,
  isError: (value) => types.isNativeError(value) || value instanceof Error,
  isFunction: (value) => typeof value === "function",
  isNull: (value) => value === null,
  isNullOrUndefined: (value) => value === null || value === undefined,
  isNumber: (value) => typeof value === "number",
  isObject: (value) => value !== null && typeof value === "object",
  isPrimitive: (value) => value === null || (typeof value !== "object" && typeof value !== "function"),
  isRegExp: types.isRegExp,
  isString: (value) => typeof value === "string",
  isSymbol: (value) => typeof value === "symbol",
  isUndefined: (value) => value === undefined,
  TextEncoder: globalThis.TextEncoder,
  TextDecoder: globalThis.TextDecoder,
});
for (const name of ["MIMEType", "MIMEParams"]) {
  Object.defineProperty(exports, name, { configurable: true, enumerable: true, get: () => require("_mime")[name] });
}
