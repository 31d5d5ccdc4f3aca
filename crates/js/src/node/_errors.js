// Errors as Node throws them, and the checks of arguments that throw them.

// An error with Node's code, which its text shows as Node's does.
function coded(Base, code, message) {
  const error = new Base(message);
  Object.defineProperty(error, "toString", {
    value() { return `${this.name} [${code}]: ${this.message}`; },
    writable: true, configurable: true, enumerable: false,
  });
  error.code = code;
  return error;
}

const quoted = (text) =>
  !text.includes("'") ? `'${text}'` : !text.includes('"') ? `"${text}"` : `'${text.replace(/'/g, "\\'")}'`;

// What was passed, as "Received ..." tells it.
function received(value) {
  if (value == null) return `Received ${value}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") {
    if (value.constructor?.name) return `Received an instance of ${value.constructor.name}`;
    return "Received [Object: null prototype] {}";
  }
  let text = typeof value === "string" ? value.length > 28 ? quoted(`${value.slice(0, 25)}...`) : quoted(value)
    : typeof value === "bigint" ? `${value}n` : Object.is(value, -0) ? "-0" : String(value);
  if (typeof value !== "string" && text.length > 28) text = `${text.slice(0, 25)}...`;
  return `Received type ${typeof value} (${text})`;
}

const listed = (names, word = "or") =>
  names.length < 3 ? names.join(` ${word} `) : `${names.slice(0, -1).join(", ")}, ${word} ${names.at(-1)}`;

const PRIMITIVES = ["string", "function", "number", "object", "boolean", "bigint", "symbol"];

// `expected`: one name or several, of primitive types and of classes.
function invalidType(name, expected, actual) {
  const types = [], classes = [], others = [];
  for (const one of [].concat(expected)) {
    if (PRIMITIVES.includes(one) || one === "Function" || one === "Object") types.push(one.toLowerCase());
    else if (/^([A-Z][a-z0-9]*)+$/.test(one)) classes.push(one);
    else others.push(one);
  }
  // An object is a class when other classes are named.
  if (classes.length > 0 && types.includes("object")) {
    types.splice(types.indexOf("object"), 1);
    classes.push("Object");
  }
  const parts = [];
  if (types.length > 0) parts.push(`${types.length > 1 ? "one of type" : "of type"} ${listed(types)}`);
  if (classes.length > 0) parts.push(`an instance of ${listed(classes)}`);
  if (others.length > 0) {
    parts.push(others.length > 1 ? `one of ${listed(others)}` : `${others[0].toLowerCase() === others[0] ? "" : "an "}${others[0]}`);
  }
  const what = name.endsWith(" argument") ? name : `"${name}" ${name.includes(".") ? "property" : "argument"}`;
  return coded(TypeError, "ERR_INVALID_ARG_TYPE", `The ${what} must be ${parts.join(" or ")}. ${received(actual)}`);
}

function invalidValue(name, value, reason = "is invalid") {
  let text = typeof value === "string" ? quoted(value) : typeof value === "bigint" ? `${value}n`
    : Array.isArray(value) ? `[ ${value.join(", ")} ]` : typeof value === "object" && value !== null ? "{}" : String(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  const kind = name.includes(".") ? "property" : "argument";
  return coded(TypeError, "ERR_INVALID_ARG_VALUE", `The ${kind} '${name}' ${reason}. Received ${text}`);
}

const grouped = (text) => text.replace(/(\d)(?=(\d{3})+$)/g, "$1_");

function outOfRange(name, range, value) {
  let text;
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) text = grouped(String(value));
  else if (typeof value === "bigint") {
    text = value > 2n ** 32n || value < -(2n ** 32n) ? `${grouped(String(value))}n` : `${value}n`;
  } else text = typeof value === "string" ? quoted(value) : String(value);
  return coded(RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${text}`);
}

class AbortError extends Error {
  constructor(message = "The operation was aborted", options = undefined) {
    super(message, options);
    this.code = "ABORT_ERR";
    this.name = "AbortError";
  }
}

const unknownEncoding = (name) =>
  coded(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${typeof name === "string" ? name : require("_inspect").inspect(name)}`);
const missingArguments = (...names) =>
  coded(TypeError, "ERR_MISSING_ARGS",
    `The ${listed(names.map((name) => `"${name}"`), "and")} argument${names.length > 1 ? "s" : ""} must be specified`);

const typeCheck = (type) => (value, name) => {
  if (typeof value !== type) throw invalidType(name, type, value);
};

function validateNumber(value, name, min, max) {
  if (typeof value !== "number") throw invalidType(name, "number", value);
  if ((min != null && value < min) || (max != null && value > max) || ((min != null || max != null) && Number.isNaN(value))) {
    const low = min != null ? `>= ${min}` : "", high = max != null ? `<= ${max}` : "";
    throw outOfRange(name, [low, high].filter(Boolean).join(" && "), value);
  }
}

function validateInteger(value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== "number") throw invalidType(name, "number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

function validateObject(value, name, { allowArray = false, allowFunction = false, nullable = false } = {}) {
  if ((nullable && value === null) || (allowFunction && typeof value === "function")) return;
  if (value === null || typeof value !== "object" || (!allowArray && Array.isArray(value))) {
    throw invalidType(name, "Object", value);
  }
}

function validateOneOf(value, name, allowed) {
  if (allowed.includes(value)) return;
  throw invalidValue(name, value, `must be one of: ${allowed.map((one) => (typeof one === "string" ? `'${one}'` : String(one))).join(", ")}`);
}

function validateArray(value, name, minLength = 0) {
  if (!Array.isArray(value)) throw invalidType(name, "Array", value);
  if (value.length < minLength) throw invalidValue(name, value, `must be longer than ${minLength}`);
}

function validateAbortSignal(signal, name) {
  if (signal !== undefined && (signal === null || typeof signal !== "object" || !("aborted" in signal))) {
    throw invalidType(name, "AbortSignal", signal);
  }
}

Object.assign(exports, {
  AbortError, coded, received, invalidType, invalidValue, outOfRange, unknownEncoding, missingArguments,
  validateString: typeCheck("string"), validateBoolean: typeCheck("boolean"),
  validateFunction: typeCheck("function"), validateNumber, validateInteger,
  validateInt32: (value, name, min = -2147483648, max = 2147483647) => validateInteger(value, name, min, max),
  validateUint32: (value, name, positive = false) => validateInteger(value, name, positive ? 1 : 0, 4294967295),
  validateObject, validateOneOf, validateArray, validateAbortSignal,
});
