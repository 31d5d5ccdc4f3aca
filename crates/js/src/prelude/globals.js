// ---- EJSON and console.

const EJSON = {
  stringify: (value, ...rest) => {
    const spaces = rest.find((part) => typeof part === "number");
    const text = natives.stringify(value);
    return spaces ? JSON.stringify(JSON.parse(text), null, spaces) : text;
  },
  parse: (text) => natives.parse(String(text)),
  serialize: (value) => JSON.parse(natives.stringify(value)),
  deserialize: (value) => natives.parse(JSON.stringify(value)),
};

// A value as the log shows it: strings bare, the rest as Extended JSON.
function inspect(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return String(value.stack || value);
  if (value === undefined) return "undefined";
  if (typeof value === "function") return `[Function: ${value.name || "anonymous"}]`;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return natives.relaxed(value);
  } catch {
    return String(value);
  }
}
const line = (isError) => (...values) => natives.log(isError, values.map(inspect).join(" "));
const console = { log: line(false), info: line(false), debug: line(false), warn: line(true), error: line(true), trace: line(false) };

