// `assert`.

const errors = require("_errors");
const types = require("_types");
const { inspect, formatWith } = require("_inspect");
const { isDeepEqual } = require("_comparison");

const shown = (value) => inspect(value, {
  compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, showHidden: false, showProxy: false, sorted: true, getters: true,
  breakLength: Infinity,
});

// ---- What differs, line by line.

// The longest common lines of two texts; for long ones what is the same at
// both ends.
function diff(actual, expected) {
  const [a, b] = [actual, expected];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const left = a.slice(start, a.length - end);
  const right = b.slice(start, b.length - end);
  const lines = a.slice(0, start).map((line) => [" ", line]);
  if (left.length * right.length <= 250000) {
    const table = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
    for (let i = left.length - 1; i >= 0; i--) {
      for (let j = right.length - 1; j >= 0; j--) {
        table[i][j] = left[i] === right[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
      }
    }
    let [i, j] = [0, 0];
    while (i < left.length || j < right.length) {
      if (i < left.length && j < right.length && left[i] === right[j]) {
        lines.push([" ", left[i++]]);
        j++;
      } else if (j >= right.length || (i < left.length && table[i + 1][j] >= table[i][j + 1])) {
        lines.push(["+", left[i++]]);
      } else {
        lines.push(["-", right[j++]]);
      }
    }
  } else {
    lines.push(...left.map((line) => ["+", line]), ...right.map((line) => ["-", line]));
  }
  return [...lines, ...a.slice(a.length - end).map((line) => [" ", line])];
}

// Lines around what differs, at most fifty of them.
function told(lines) {
  const near = lines.map((_, index) => lines.slice(Math.max(0, index - 2), index + 3).some(([mark]) => mark !== " "));
  const text = [];
  let skipped = false;
  for (const [index, [mark, line]] of lines.entries()) {
    const gap = near.indexOf(true, index);
    if (!near[index] && lines.length > 10 && (gap === -1 || gap > index || index > 0)) {
      if (text.at(-1) !== "...") text.push("...");
      skipped = true;
      continue;
    }
    text.push(`${mark} ${line}`);
    if (text.length > 50) {
      text.push("...");
      skipped = true;
      break;
    }
  }
  return { text: text.join("\n"), skipped };
}

const titles = {
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  strictEqual: "Expected values to be strictly equal:",
  strictEqualObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: "Expected values to be loosely deep-equal:",
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notStrictEqualObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: "Values have same structure but are not reference-equal:",
  notDeepEqualUnequal: "Expected values not to be loosely deep-equal:",
};
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

function strictMessage(actual, expected, operator) {
  const [left, right] = [shown(actual).split("\n"), shown(expected).split("\n")];
  if (operator === "strictEqual" && isObject(actual) && isObject(expected)) operator = "strictEqualObject";
  if (left.length === 1 && right.length === 1 && left[0] !== right[0]) {
    const size = left[0].length + right[0].length;
    if (size <= 12 && !isObject(actual) && !isObject(expected) && (actual !== 0 || expected !== 0)) {
      return `${titles[operator]}\n\n${left[0]} !== ${right[0]}\n`;
    }
    if (operator !== "strictEqualObject" && size < 80) {
      let at = 0;
      while (left[0][at] === right[0][at]) at++;
      const pointer = at > 2 ? `\n${" ".repeat(at + 2)}^` : "";
      return `${titles[operator]}\n+ actual - expected\n\n+ ${left[0]}\n- ${right[0]}${pointer}`;
    }
  }
  const lines = diff(left, right);
  if (lines.every(([mark]) => mark === " ")) {
    const all = left.length > 50 ? [...left.slice(0, 46), "..."] : left;
    return `${titles.notIdentical}\n\n${all.join("\n")}\n`;
  }
  const { text, skipped } = told(lines);
  return `${titles[operator]}\n+ actual - expected${skipped ? " ... Lines skipped" : ""}\n\n${text}`;
}

function messageFor(actual, expected, operator) {
  if (operator === "deepStrictEqual" || operator === "strictEqual") return strictMessage(actual, expected, operator);
  if (operator === "notDeepStrictEqual" || operator === "notStrictEqual") {
    let title = titles[operator];
    const lines = shown(actual).split("\n");
    if (operator === "notStrictEqual" && isObject(actual)) title = titles.notStrictEqualObject;
    if (lines.length > 50) {
      lines.length = 46;
      lines.push("...");
    }
    return lines.length === 1 ? `${title}${lines[0].length > 5 ? "\n\n" : " "}${lines[0]}` : `${title}\n\n${lines.join("\n")}\n`;
  }
  let text = shown(actual);
  let other = shown(expected);
  if (operator === "notDeepEqual" && text === other) {
    text = `${titles.notDeepEqual}\n\n${text}`;
    return text.length > 1024 ? `${text.slice(0, 1021)}...` : text;
  }
  if (text.length > 512) text = `${text.slice(0, 509)}...`;
  if (other.length > 512) other = `${other.slice(0, 509)}...`;
  if (operator === "deepEqual") return `${titles.deepEqual}\n\n${text}\n\nshould loosely deep-equal\n\n${other}`;
  if (operator === "notDeepEqual") return `${titles.notDeepEqualUnequal}\n\n${text}\n\nshould not loosely deep-equal\n\n${other}`;
  return `${text} ${operator} ${other}`;
}

class AssertionError extends Error {
  constructor(options) {
    errors.validateObject(options, "options");
    const { message, operator, actual, expected } = options;
    super(message !== undefined && message !== null
      ? message instanceof Error ? message.message : String(message)
      : operator === undefined ? "Failed" : messageFor(actual, expected, operator));
    this.generatedMessage = message === undefined || message === null;
    this.code = "ERR_ASSERTION";
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    Object.defineProperty(this, "name", { value: "AssertionError", enumerable: false, writable: true, configurable: true });
  }
  toString() { return `${this.name} [${this.code}]: ${this.message}`; }
  [inspect.custom](_, options) {
    return inspect(this, { ...options, customInspect: false, depth: 0 });
  }
}

// ---- Checks.

function fail(options) {
  if (options.message instanceof Error) throw options.message;
  throw new AssertionError(options);
}

function truth(args, operator) {
  const [value, message] = args;
  if (value) return;
  if (args.length === 0) {
    throw Object.assign(new AssertionError({ message: "No value argument passed to `assert.ok()`", actual: value, expected: true, operator: "==" }), { generatedMessage: true });
  }
  if (message !== undefined && message !== null) fail({ actual: value, expected: true, message, operator: "==" });
  const error = new AssertionError({ message: "The expression evaluated to a falsy value", actual: value, expected: true, operator: "==" });
  error.generatedMessage = true;
  throw error;
}

function assert(...args) { truth(args, "assert"); }
function ok(...args) { truth(args, "assert.ok"); }

function needsTwo(count) {
  if (count < 2) throw errors.missingArguments("actual", "expected");
}

function check(operator, holds) {
  const named = {
    [operator](actual, expected, message) {
      needsTwo(arguments.length);
      if (!holds(actual, expected)) fail({ actual, expected, message, operator: symbols[operator] ?? operator });
    },
  };
  return named[operator];
}
const symbols = { equal: "==", notEqual: "!=" };
const bothNaN = (a, b) => Number.isNaN(a) && Number.isNaN(b);

const checks = {
  equal: check("equal", (a, b) => a == b || bothNaN(a, b)),
  notEqual: check("notEqual", (a, b) => !(a == b || bothNaN(a, b))),
  strictEqual: check("strictEqual", Object.is),
  notStrictEqual: check("notStrictEqual", (a, b) => !Object.is(a, b)),
  deepEqual: check("deepEqual", (a, b) => isDeepEqual(a, b, false)),
  notDeepEqual: check("notDeepEqual", (a, b) => !isDeepEqual(a, b, false)),
  deepStrictEqual: check("deepStrictEqual", (a, b) => isDeepEqual(a, b, true)),
  notDeepStrictEqual: check("notDeepStrictEqual", (a, b) => !isDeepEqual(a, b, true)),
};

// ---- What throws.

const named = (what) => (what ? ` (${what})` : "");

function matches(actual, expected, message, operator) {
  const generated = (text) => {
    if (message !== undefined) return fail({ actual, expected, message, operator });
    const error = new AssertionError({ actual, expected, message: text, operator });
    error.generatedMessage = true;
    throw error;
  };
  if (types.isRegExp(expected)) {
    const text = String(actual);
    if (expected.test(text)) return;
    generated(`The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(text)}\n`);
  }
  if (typeof expected === "object") {
    const keys = Object.keys(expected);
    if (typeof actual !== "object" || actual === null) {
      const error = new AssertionError({ actual, expected, message, operator: "deepStrictEqual" });
      error.operator = operator;
      throw error;
    }
    if (expected instanceof Error) keys.push("name", "message");
    else if (keys.length === 0) throw errors.invalidValue("error", expected, "may not be an empty object");
    for (const key of keys) {
      if (typeof actual[key] === "string" && types.isRegExp(expected[key]) && expected[key].test(actual[key])) continue;
      if (key in actual && isDeepEqual(actual[key], expected[key], true)) continue;
      if (message !== undefined) fail({ actual, expected, message, operator });
      const part = (from) => {
        const picked = new Comparison();
        for (const one of keys) {
          if (one in from) {
            picked[one] = from !== actual && typeof actual[one] === "string" && types.isRegExp(expected[one]) && expected[one].test(actual[one])
              ? actual[one] : from[one];
          }
        }
        return picked;
      };
      const compared = new AssertionError({ actual: part(actual), expected: part(expected), operator: "deepStrictEqual" });
      throw Object.assign(compared, { actual, expected, operator });
    }
    return;
  }
  if (expected.prototype !== undefined && actual instanceof expected) return;
  if (Object.prototype.isPrototypeOf.call(Error, expected)) {
    const got = actual instanceof Error
      ? `"${actual.constructor?.name || actual.name || "Error"}"\n\nError message:\n\n${actual.message}`
      : `"${inspect(actual, { depth: -1 })}"`;
    generated(`The error is expected to be an instance of "${expected.name}". Received ${got}`);
  }
  if (expected.call({}, actual) === true) return;
  generated(`The ${expected.name ? `"${expected.name}" ` : ""}validation function is expected to return "true". Received ${inspect(expected.call({}, actual))}${
    actual instanceof Error ? `\n\nCaught error:\n\n${actual}` : ""}`);
}

// What is compared of two errors.
class Comparison {}

const NOTHING = Symbol("nothing was thrown");

function caught(body) {
  errors.validateFunction(body, "fn");
  try {
    body();
  } catch (error) {
    return error;
  }
  return NOTHING;
}

async function rejected(body) {
  let promise;
  if (typeof body === "function") {
    promise = body();
    if (typeof promise?.then !== "function") {
      throw errors.coded(TypeError, "ERR_INVALID_RETURN_VALUE",
        `Expected instance of Promise to be returned from the "promiseFn" function but got ${errors.received(promise).replace(/^Received /, "")}.`);
    }
  } else if (typeof body?.then === "function" && typeof body.catch === "function") {
    promise = body;
  } else {
    throw errors.invalidType("promiseFn", ["Function", "Promise"], body);
  }
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return NOTHING;
}

function expectsError(operator, actual, error, message) {
  if (typeof error === "string") {
    if (message !== undefined) throw errors.invalidType("error", ["Object", "Error", "Function", "RegExp"], error);
    if (typeof actual === "object" && actual !== null ? actual.message === error : actual === error) {
      throw errors.coded(TypeError, "ERR_AMBIGUOUS_ARGUMENT",
        `The "error/message" argument is ambiguous. The error ${typeof actual === "object" ? "message" : ""} "${typeof actual === "object" ? actual.message : actual}" is identical to the message.`.replace("error  ", "error "));
    }
    message = error;
    error = undefined;
  } else if (error !== undefined && error !== null && typeof error !== "object" && typeof error !== "function") {
    throw errors.invalidType("error", ["Object", "Error", "Function", "RegExp"], error);
  }
  if (actual === NOTHING) {
    const what = operator === "rejects" ? "rejection" : "exception";
    fail({
      actual: undefined, expected: error, operator,
      message: message instanceof Error ? message : `Missing expected ${what}${named(error?.name)}${message ? `: ${message}` : "."}`,
    });
  }
  if (error) matches(actual, error, message, operator);
}

function expectsNoError(operator, actual, error, message) {
  if (actual === NOTHING) return;
  if (typeof error === "string") {
    message = error;
    error = undefined;
  }
  if (error && !(types.isRegExp(error) ? error.test(String(actual)) : error.prototype !== undefined && actual instanceof error ? true
    : !Object.prototype.isPrototypeOf.call(Error, error) && error.call({}, actual) === true)) throw actual;
  const what = operator === "doesNotReject" ? "rejection" : "exception";
  fail({
    actual, expected: error, operator,
    message: `Got unwanted ${what}${message ? `: ${message}` : "."}\nActual message: "${actual?.message}"`,
  });
}

Object.assign(checks, {
  throws: function throws(body, ...rest) { expectsError("throws", caught(body), ...rest); },
  rejects: async function rejects(body, ...rest) { expectsError("rejects", await rejected(body), ...rest); },
  doesNotThrow: function doesNotThrow(body, ...rest) { expectsNoError("doesNotThrow", caught(body), ...rest); },
  doesNotReject: async function doesNotReject(body, ...rest) { expectsNoError("doesNotReject", await rejected(body), ...rest); },
  ifError: function ifError(error) {
    if (error === null || error === undefined) return;
    let message = "ifError got unwanted exception: ";
    if (typeof error === "object" && typeof error.message === "string") {
      message += error.message.length === 0 && error.constructor ? error.constructor.name : error.message;
    } else {
      message += inspect(error);
    }
    throw new AssertionError({ actual: error, expected: null, operator: "ifError", message });
  },
  match: function match(text, pattern, message) { matchText(text, pattern, message, "match"); },
  doesNotMatch: function doesNotMatch(text, pattern, message) { matchText(text, pattern, message, "doesNotMatch"); },
  fail: function (actual, expected, message, operator) {
    if (actual instanceof Error) throw actual;
    if (arguments.length <= 1) {
      const error = new AssertionError({ message: actual ?? "Failed", operator: "fail" });
      error.generatedMessage = actual === undefined || actual === null;
      throw error;
    }
    if (arguments.length === 2) operator = "!=";
    const error = new AssertionError({ actual, expected, message, operator: operator ?? "fail" });
    if (message !== undefined) fail({ actual, expected, message, operator: operator ?? "fail" });
    throw error;
  },
});

function matchText(text, pattern, message, operator) {
  if (!types.isRegExp(pattern)) throw errors.invalidType("regexp", "RegExp", pattern);
  const wanted = operator === "match";
  if (typeof text === "string" && pattern.test(text) === wanted) return;
  if (message instanceof Error) throw message;
  const own = message === undefined;
  const error = new AssertionError({
    actual: text, expected: pattern, operator,
    message: own
      ? typeof text !== "string"
        ? `The "string" argument must be of type string. Received type ${typeof text} (${inspect(text)})`
        : `The input ${wanted ? "did not match" : "was expected to not match"} the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`
      : message,
  });
  error.generatedMessage = own;
  throw error;
}

// What calls were made: checked when `verify` is called.
class CallTracker {
  #calls = new Map();
  calls(body, times = 1) {
    if (typeof body === "number") [body, times] = [() => {}, body];
    body ??= () => {};
    errors.validateUint32(times, "exact", true);
    const record = { made: [], times, name: body.name || "calls" };
    const tracked = new Proxy(body, {
      apply(target, self, args) {
        record.made.push({ thisArg: self, arguments: args });
        return Reflect.apply(target, self, args);
      },
    });
    this.#calls.set(tracked, record);
    return tracked;
  }
  getCalls(tracked) { return this.#calls.get(tracked)?.made ?? []; }
  reset(tracked) {
    for (const record of tracked === undefined ? this.#calls.values() : [this.#calls.get(tracked)]) record.made = [];
  }
  report() {
    return [...this.#calls.values()].filter(({ made, times }) => made.length !== times).map(({ made, times, name }) => ({
      message: `Expected the ${name} function to be executed ${times} time(s) but was executed ${made.length} time(s).`,
      actual: made.length, expected: times, operator: name, stack: new Error(),
    }));
  }
  verify() {
    const wrong = this.report();
    if (wrong.length === 0) return;
    throw new AssertionError({
      message: wrong.length === 1 ? wrong[0].message : "Functions were not called the expected number of times", details: wrong,
    });
  }
}

Object.assign(assert, { ok, ...checks, AssertionError, CallTracker });
function strict(...args) { truth(args, "assert.strict"); }
assert.strict = Object.assign(strict, assert, {
  equal: assert.strictEqual, deepEqual: assert.deepStrictEqual, notEqual: assert.notStrictEqual, notDeepEqual: assert.notDeepStrictEqual,
});
assert.strict.strict = assert.strict;

module.exports = assert;
