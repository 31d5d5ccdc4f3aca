// What stands before each file of probes: `t` keeps what a function answers or
// throws, with its source. Files run in Node (expected.mjs) and here.
const out = [];
const show = (value) => {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "function") return `[function ${value.name}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return `${value.name} ${value.code}: ${value.message}`;
  if (value instanceof Uint8Array) {
    return `${value.constructor.name}(${Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("")})`;
  }
  if (value instanceof Date) return `Date(${value.toJSON()})`;
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  return `{ ${Object.keys(value).map((key) => `${key}: ${show(value[key])}`).join(", ")} }`;
};
const t = (probe) => {
  const kept = [String(probe).replace(/^(async )?\(\) => /, ""), "pending"];
  out.push(kept);
  const keep = (value) => { kept[1] = show(value); };
  const fail = (error) => { kept[1] = `throws ${show(error)}`; };
  try {
    const value = probe();
    if (typeof value?.then === "function") return value.then(keep, fail);
    keep(value);
  } catch (error) {
    fail(error);
  }
};
