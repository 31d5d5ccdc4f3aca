// ---- The console: lines of the call's log.

// Values that Extended JSON tells whole: plain data and BSON. Of large ones
// only the beginning is looked at; a line shows no more.
function isData(value, left, depth) {
  if (typeof value !== "object" || value === null) return !["function", "symbol", "bigint"].includes(typeof value);
  if (--left.values < 0) return true;
  if (depth === 0 || natives.kind(value) === "Proxy") return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototypes.includes(prototype) || prototype === Date.prototype) return true;
  if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) return false;
  if (Object.getOwnPropertySymbols(value).length > 0) return false;
  for (const key of Object.keys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    // What a getter would say is not asked.
    if (descriptor === undefined || descriptor.get || descriptor.set || !isData(descriptor.value, left, depth - 1)) return false;
  }
  return true;
}

// A value in a line: strings bare, data as Extended JSON, all else as Node
// shows it.
function shown(value) {
  if (typeof value === "string") return value;
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  try {
    if (typeof value === "object" && isData(value, { values: 1000 }, 100)) return natives.relaxed(value);
  } catch {
    // A circle, or what lies too deep.
  }
  return requireBuiltin("_inspect").inspect(value);
}

let indentation = "";

function print(isError, values) {
  const text = typeof values[0] === "string" && values.length > 1 && values[0].includes("%")
    ? requireBuiltin("_inspect").formatWith(undefined, values, shown)
    : values.map(shown).join(" ");
  natives.log(isError, indentation === "" ? text : indentation + text.replaceAll("\n", `\n${indentation}`));
}

const console = {
  log(...values) { print(false, values); },
  info(...values) { print(false, values); },
  debug(...values) { print(false, values); },
  warn(...values) { print(true, values); },
  error(...values) { print(true, values); },
};
for (const name of ["assert", "clear", "count", "countReset", "dir", "dirxml", "group", "groupCollapsed", "groupEnd", "profile",
  "profileEnd", "table", "time", "timeEnd", "timeLog", "timeStamp", "trace"]) {
  console[name] = { [name](...values) { requireBuiltin("_console").own[name](...values); } }[name];
}

