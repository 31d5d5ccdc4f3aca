// What consoles can beside writing lines; consoles over streams.

const errors = require("_errors");
const { inspect, formatWith, width } = require("_inspect");
const types = require("_types");

// ---- Tables.

const cell = (value) => inspect(value, {
  maxArrayLength: 3, breakLength: Infinity, depth: value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 2 ? -1 : 0,
});

// Columns of texts, each with its heading, as lines.
function draw(headings, columns) {
  const rows = Math.max(0, ...columns.map((column) => column.length));
  const widths = headings.map((heading, index) => Math.max(width(heading), ...columns[index].map((text) => width(text))) + 2);
  const bars = widths.map((size) => "─".repeat(size));
  const line = (texts) => `│${texts.map((text, index) => ` ${text}${" ".repeat(widths[index] - width(text) - 1)}`).join("│")}│`;
  const lines = [`┌${bars.join("┬")}┐`, line(headings), `├${bars.join("┼")}┤`];
  for (let row = 0; row < rows; row++) lines.push(line(columns.map((column) => column[row] ?? "")));
  lines.push(`└${bars.join("┴")}┘`);
  return lines.join("\n");
}

function tableOf(data, wanted) {
  if (types.isMap(data)) {
    const entries = [...data];
    return draw(["(iteration index)", "Key", "Values"],
      [entries.map((_, index) => String(index)), entries.map(([key]) => cell(key)), entries.map(([, value]) => cell(value))]);
  }
  if (types.isSet(data)) {
    const values = [...data];
    return draw(["(iteration index)", "Values"], [values.map((_, index) => String(index)), values.map(cell)]);
  }
  const named = new Map();
  const values = [];
  const keys = Object.keys(data);
  let hasValues = false;
  for (const [row, key] of keys.entries()) {
    const item = data[key];
    if (item === null || (typeof item !== "object" && typeof item !== "function")) {
      hasValues = true;
      values[row] = cell(item);
      continue;
    }
    for (const column of wanted ?? Object.keys(item)) {
      if (!named.has(column)) named.set(column, []);
      if (Object.hasOwn(item, column)) named.get(column)[row] = cell(item[column]);
    }
  }
  const filled = (column) => Array.from({ length: keys.length }, (_, row) => column[row] ?? "");
  const headings = ["(index)", ...named.keys()];
  const columns = [keys, ...[...named.values()].map(filled)];
  if (hasValues) {
    headings.push("Values");
    columns.push(filled(values));
  }
  return draw(headings, columns);
}

// ---- Times.

function duration(ms) {
  if (ms >= 1000) {
    const seconds = ms / 1000;
    if (seconds < 60) return `${seconds.toFixed(3)}s`;
    const minutes = Math.floor(seconds / 60) % 60;
    const hours = Math.floor(seconds / 3600);
    const rest = (seconds % 60).toFixed(3).padStart(6, "0");
    return hours > 0
      ? `${hours}:${String(minutes).padStart(2, "0")}:${rest.slice(0, 2)} (h:mm:ss)`
      : `${minutes}:${rest} (m:ss.mmm)`;
  }
  return `${Number(ms.toFixed(3)) === Math.round(ms) ? Math.round(ms) : ms.toFixed(3)}ms`;
}

const warn = (text) => require("process").emitWarning(text);

// ---- A console's methods, over a way to print and to indent.

function methods(print, indent, step = 2) {
  const counts = new Map();
  const times = new Map();
  const told = (label, values, ends) => {
    label = `${label}`;
    const begun = times.get(label);
    if (begun === undefined) {
      warn(`No such label '${label}' for console.${ends ? "timeEnd" : "timeLog"}()`);
      return;
    }
    print(false, ["%s: %s", label, duration(inner.now() - begun), ...values]);
    if (ends) times.delete(label);
  };
  let depth = 0;
  const own = {
    log(...values) { print(false, values); },
    info(...values) { print(false, values); },
    debug(...values) { print(false, values); },
    warn(...values) { print(true, values); },
    error(...values) { print(true, values); },
    assert(holds, ...values) {
      if (holds) return;
      if (typeof values[0] === "string") values[0] = `Assertion failed: ${values[0]}`;
      else values.unshift(values.length > 0 ? "Assertion failed:" : "Assertion failed");
      print(true, values);
    },
    clear() {},
    count(label = "default") {
      label = `${label}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
      print(false, [`${label}: ${counts.get(label)}`]);
    },
    countReset(label = "default") {
      if (!counts.delete(`${label}`)) warn(`Count for '${label}' does not exist`);
    },
    dir(value, options) { print(false, [inspect(value, { customInspect: false, ...options })]); },
    dirxml(...values) { print(false, values); },
    group(...values) {
      if (values.length > 0) print(false, values);
      depth++;
      indent(step);
    },
    groupEnd() {
      if (depth === 0) return;
      depth--;
      indent(-step);
    },
    table(data, columns) {
      if (columns !== undefined) errors.validateArray(columns, "properties");
      if (data === null || typeof data !== "object") print(false, [data]);
      else print(false, [tableOf(data, columns)]);
    },
    time(label = "default") {
      label = `${label}`;
      if (times.has(label)) warn(`Label '${label}' already exists for console.time()`);
      else times.set(label, inner.now());
    },
    timeEnd(label = "default") { told(label, [], true); },
    timeLog(label = "default", ...values) { told(label, values, false); },
    trace(...values) {
      const trace = new Error(formatWith(undefined, values));
      trace.name = "Trace";
      // The console's own frames are of no interest.
      const frames = String(trace.stack).split("\n").filter((line) => /^ +at /.test(line) && !/\((node:_console|prelude)[:)]/.test(line));
      print(true, [[["Trace", trace.message].filter(Boolean).join(": "), ...frames].join("\n")]);
    },
  };
  own.groupCollapsed = own.group;
  return own;
}

function Console(options, ...old) {
  if (!new.target) return new Console(options, ...old);
  const given = options && typeof options.write !== "function" ? options : { stdout: options, stderr: old[0], ignoreErrors: old[1] };
  const { stdout, stderr = stdout, inspectOptions, groupIndentation = 2 } = given ?? {};
  for (const [name, stream] of [["stdout", stdout], ["stderr", stderr]]) {
    if (typeof stream?.write !== "function") {
      throw errors.coded(TypeError, "ERR_CONSOLE_WRITABLE_STREAM", `Console expects a writable stream instance for ${name}`);
    }
  }
  errors.validateInteger(groupIndentation, "groupIndentation", 0, 1000);
  let space = "";
  const print = (isError, values) => {
    let text = formatWith(inspectOptions, values);
    if (space !== "") text = space + text.replaceAll("\n", `\n${space}`);
    (isError ? stderr : stdout).write(`${text}\n`);
  };
  const indent = (by) => { space = by < 0 ? space.slice(0, by) : space + " ".repeat(by); };
  Object.assign(this, methods(print, indent, groupIndentation));
}

exports.Console = Console;
const nothing = () => {};
exports.own = { ...methods(inner.console.print, inner.console.indent), profile: nothing, profileEnd: nothing, timeStamp: nothing };
