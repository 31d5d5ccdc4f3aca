// `util.inspect`: any value as text that people read, as Node words it.

const errors = require("_errors");
const types = require("_types");

const custom = Symbol.for("nodejs.util.inspect.custom");
const defaults = {
  showHidden: false, depth: 2, colors: false, customInspect: true, showProxy: false, maxArrayLength: 100,
  maxStringLength: 10000, breakLength: 80, compact: 3, sorted: false, getters: false, numericSeparator: false,
};

// How entries are laid out: an object's, an array's items, what an array has
// beside its items.
const OBJECT = 0;
const ITEM = 1;
const EXTRA = 2;

// Text that was made in one inspection: more is cut off by showing no depth.
const TEXT_MAX = 1 << 27;

const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;
const NUMBER = /^(0|[1-9][0-9]*)$/;
const bareStyle = (text) => text;

function colored(text, kind) {
  const style = inspect.styles[kind];
  if (style === undefined) return text;
  const [on, off] = inspect.colors[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

function inspect(value, options, ...old) {
  const ctx = { ...defaults, budget: 0, indent: 0, seen: [], circular: undefined, current: 0, stylize: bareStyle, given: undefined };
  // The old form: value, showHidden, depth, colors.
  if (typeof options === "boolean") {
    ctx.showHidden = options;
    if (old[0] !== undefined) ctx.depth = old[0];
    if (old[1] !== undefined) ctx.colors = old[1];
  } else if (options) {
    ctx.given = options;
    for (const key of Object.keys(options)) {
      if (Object.hasOwn(defaults, key) || key === "stylize") ctx[key] = options[key];
    }
  }
  if (ctx.colors) ctx.stylize = colored;
  if (ctx.maxArrayLength === null) ctx.maxArrayLength = Infinity;
  if (ctx.maxStringLength === null) ctx.maxStringLength = Infinity;
  return show(ctx, value, 0);
}

inspect.custom = custom;
inspect.colors = Object.assign(Object.create(null), {
  reset: [0, 0], bold: [1, 22], dim: [2, 22], italic: [3, 23], underline: [4, 24], blink: [5, 25], inverse: [7, 27],
  hidden: [8, 28], strikethrough: [9, 29], doubleunderline: [21, 24], framed: [51, 54], overlined: [53, 55],
  black: [30, 39], red: [31, 39], green: [32, 39], yellow: [33, 39], blue: [34, 39], magenta: [35, 39], cyan: [36, 39],
  white: [37, 39], gray: [90, 39], grey: [90, 39], bgBlack: [40, 49], bgRed: [41, 49], bgGreen: [42, 49],
  bgYellow: [43, 49], bgBlue: [44, 49], bgMagenta: [45, 49], bgCyan: [46, 49], bgWhite: [47, 49], bgGray: [100, 49],
});
inspect.styles = Object.assign(Object.create(null), {
  special: "cyan", number: "yellow", bigint: "yellow", boolean: "yellow", undefined: "grey", null: "bold",
  string: "green", symbol: "green", date: "magenta", regexp: "red", module: "underline",
});
Object.defineProperty(inspect, "defaultOptions", {
  enumerable: true,
  get: () => defaults,
  set(options) {
    errors.validateObject(options, "options");
    for (const key of Object.keys(options)) if (Object.hasOwn(defaults, key)) defaults[key] = options[key];
  },
});

// ---- Primitives.

const MEANINGFUL = {
  "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\\": "\\\\",
};
function quote(text) {
  let mark = "'";
  if (text.includes("'")) {
    if (!text.includes('"')) mark = '"';
    else if (!text.includes("`") && !text.includes("${")) mark = "`";
  }
  const escaped = text.replace(/[\x00-\x1f\x27\x5c\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (c) => {
    if (c === "'") return mark === "'" ? "\\'" : c;
    const code = c.charCodeAt(0);
    return MEANINGFUL[c] ?? (code > 255 ? `\\u${code.toString(16)}` : `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`);
  });
  return mark + escaped + mark;
}

const digits = (text) => text.replace(/\B(?=(\d{3})+$)/g, "_");
function separated(text) {
  const [, sign, whole, fraction] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  return `${sign}${digits(whole)}${fraction === undefined ? "" : `.${fraction.replace(/(\d{3})(?=\d)/g, "$1_")}`}`;
}
function number(ctx, value) {
  const text = Object.is(value, -0) ? "-0" : String(value);
  return ctx.stylize(ctx.numericSeparator ? separated(text) : text, "number");
}
function bigint(ctx, value) {
  const text = String(value);
  return ctx.stylize(`${ctx.numericSeparator ? separated(text) : text}n`, "bigint");
}

function primitive(ctx, value) {
  switch (typeof value) {
    case "string": {
      let rest = "";
      if (value.length > ctx.maxStringLength) {
        const left = value.length - ctx.maxStringLength;
        value = value.slice(0, ctx.maxStringLength);
        rest = `... ${left} more character${left > 1 ? "s" : ""}`;
      }
      // Long texts of several lines are shown line by line.
      if (ctx.compact !== true && value.length > 16 && value.length > ctx.breakLength - ctx.indent - 4 && value.includes("\n")) {
        const lines = value.split(/(?<=\n)/).map((line) => ctx.stylize(quote(line), "string"));
        return lines.join(` +\n${" ".repeat(ctx.indent + 2)}`) + rest;
      }
      return ctx.stylize(quote(value), "string") + rest;
    }
    case "number": return number(ctx, value);
    case "bigint": return bigint(ctx, value);
    case "boolean": return ctx.stylize(String(value), "boolean");
    case "undefined": return ctx.stylize("undefined", "undefined");
    default: return ctx.stylize(Symbol.prototype.toString.call(value), "symbol");
  }
}

// ---- Names.

const isInstance = (value, Class) => {
  try {
    return value instanceof Class;
  } catch {
    return false;
  }
};

// The name of the first constructor up the chain; null without a prototype.
function nameOf(value, ctx, depth) {
  let at = value;
  let first;
  while (at !== null && at !== undefined) {
    const descriptor = Object.getOwnPropertyDescriptor(at, "constructor");
    const own = at === Promise.prototype ? Promise : descriptor?.value;
    if (typeof own === "function" && own.name !== "" && isInstance(value, own)) return String(own.name);
    at = Object.getPrototypeOf(at);
    first ??= at;
    if (first === null) return null;
  }
  if (first === null || first === undefined) return null;
  const kind = inner.kind(value);
  if (ctx.depth !== null && depth > ctx.depth) return `${kind} <Complex prototype>`;
  const name = nameOf(first, ctx, depth + 1);
  return name === null
    ? `${kind} <${inspect(first, { ...ctx, customInspect: false, depth: -1 })}>`
    : `${kind} <${name}>`;
}

function prefix(name, tag, fallback, size = "") {
  if (name === null) {
    return tag !== "" && fallback !== tag ? `[${fallback}${size}: null prototype] [${tag}] ` : `[${fallback}${size}: null prototype] `;
  }
  return tag !== "" && name !== tag ? `${name}${size} [${tag}] ` : `${name}${size} `;
}

function keysOf(value, hidden) {
  const symbols = Object.getOwnPropertySymbols(value);
  if (hidden) return [...Object.getOwnPropertyNames(value), ...symbols];
  return [...Object.keys(value), ...symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))];
}
const keysBesideItems = (value, hidden) => keysOf(value, hidden).filter((key) => typeof key === "symbol" || !NUMBER.test(key));

const functionKinds = new Set(["AsyncFunction", "GeneratorFunction", "AsyncGeneratorFunction"]);

function isClass(value) {
  const own = Object.getOwnPropertyDescriptor(value, "prototype");
  // Functions of the engine have no file.
  return own !== undefined && !own.writable && !own.enumerable && own.value !== undefined && value.fileName !== undefined
    && inner.kind(value) === "Function";
}

function functionBase(value, name, tag) {
  if (isClass(value)) {
    const own = Object.hasOwn(value, "name") && value.name ? String(value.name) : "(anonymous)";
    let base = `[class ${own}`;
    if (name !== "Function" && name !== null) base += ` [${name}]`;
    if (tag !== "" && name !== tag) base += ` [${tag}]`;
    if (name === null) return `${base} extends [null prototype]]`;
    const above = Object.getPrototypeOf(value).name;
    return `${base}${above ? ` extends ${above}` : ""}]`;
  }
  const kind = inner.kind(value);
  const type = functionKinds.has(kind) ? kind : "Function";
  let base = `[${type}`;
  if (name === null) base += " (null prototype)";
  base += value.name === "" ? " (anonymous)" : `: ${typeof value.name === "string" ? value.name : inspect(value.name)}`;
  base += "]";
  if (name !== type && name !== null) base += ` ${name}`;
  if (tag !== "" && name !== tag) base += ` [${tag}]`;
  return base;
}

// ---- Objects.

function show(ctx, value, depth, typed) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return value === null ? ctx.stylize("null", "null") : primitive(ctx, value);
  }
  const outer = value;
  const pair = inner.proxy(value);
  if (pair !== undefined) {
    if (ctx.showProxy) return proxy(ctx, pair, depth);
    value = targetOf(pair);
    if (value === null) return ctx.stylize("<Revoked Proxy>", "special");
  }
  if (ctx.customInspect) {
    const own = value[custom];
    if (typeof own === "function" && own !== inspect && !(value.constructor && value.constructor.prototype === value)) {
      const left = ctx.depth === null ? null : ctx.depth - depth;
      const shown = own.call(outer, left, optionsFor(ctx, left), inspect);
      if (shown !== outer) {
        const text = typeof shown === "object" ? show(ctx, shown, depth) : String(shown);
        return text.replaceAll("\n", `\n${" ".repeat(ctx.indent)}`);
      }
    }
  }
  if (ctx.seen.includes(value)) {
    ctx.circular ??= new Map();
    if (!ctx.circular.has(value)) ctx.circular.set(value, ctx.circular.size + 1);
    return ctx.stylize(`[Circular *${ctx.circular.get(value)}]`, "special");
  }
  return raw(ctx, value, depth, typed);
}

function targetOf(pair) {
  let [target] = pair;
  for (let next; target && (next = inner.proxy(target)) !== undefined;) [target] = next;
  return target;
}

function optionsFor(ctx, depth) {
  const options = {};
  for (const key of Object.keys(defaults)) options[key] = ctx[key];
  return { ...options, ...ctx.given, depth, stylize: ctx.stylize };
}

function proxy(ctx, pair, depth) {
  if (pair[0] === null) return ctx.stylize("<Revoked Proxy>", "special");
  if (ctx.depth !== null && depth > ctx.depth) return ctx.stylize("Proxy [Array]", "special");
  ctx.indent += 2;
  const shown = pair.map((part) => show(ctx, part, depth + 1));
  ctx.indent -= 2;
  return layOut(ctx, shown, "", ["Proxy [", "]"], EXTRA, depth + 1);
}

const boxes = { Number: Number.prototype, String: String.prototype, Boolean: Boolean.prototype, Symbol: Symbol.prototype, BigInt: BigInt.prototype };
const never = () => [];

function raw(ctx, value, depth, typed) {
  const { keys, braces, base, fill, layout, whole } = parts(ctx, value, depth, typed);
  if (whole !== undefined) return whole;
  if (ctx.depth !== null && depth > ctx.depth) {
    const kind = Array.isArray(value) ? "Array" : "Object";
    const text = prefix(nameOf(value, ctx, depth), tagOf(ctx, value), kind).slice(0, -1);
    return ctx.stylize(text.startsWith("[") ? text : `[${text}]`, "special");
  }
  depth += 1;
  ctx.seen.push(value);
  ctx.current = depth;
  let output;
  try {
    output = fill(depth);
    for (const key of keys) output.push(property(ctx, value, depth, key, layout));
  } catch (error) {
    if (!(error instanceof RangeError) && error?.name !== "InternalError") throw error;
    // So deep that the stack is full.
    ctx.seen.pop();
    const text = prefix(nameOf(value, ctx, depth), "", "Object").slice(0, -1);
    return ctx.stylize(`[${text}: Inspection interrupted prematurely. Maximum call stack size exceeded.]`, "special");
  }
  let before = base;
  if (ctx.circular?.has(value)) {
    const reference = ctx.stylize(`<ref *${ctx.circular.get(value)}>`, "special");
    if (ctx.compact === true) braces[0] = `${reference} ${braces[0]}`;
    else before = before === "" ? reference : `${reference} ${before}`;
  }
  ctx.seen.pop();
  if (ctx.sorted) {
    const compare = ctx.sorted === true ? undefined : ctx.sorted;
    if (layout === OBJECT) output.sort(compare);
    else if (keys.length > 1) output.push(...output.splice(output.length - keys.length).sort(compare));
  }
  const text = layOut(ctx, output, before, braces, layout, depth, value);
  ctx.budget += text.length;
  if (ctx.budget > TEXT_MAX) ctx.depth = -1;
  return text;
}

function tagOf(ctx, value) {
  const tag = value[Symbol.toStringTag];
  if (typeof tag !== "string" || tag === "") return "";
  // One that is listed among the properties is not told twice.
  const listed = ctx.showHidden ? Object.hasOwn(value, Symbol.toStringTag) : Object.prototype.propertyIsEnumerable.call(value, Symbol.toStringTag);
  return listed ? "" : tag;
}

// What a value consists of: braces, what stands before them, what fills them.
function parts(ctx, value, depth, typed) {
  const name = nameOf(value, ctx, depth);
  const tag = tagOf(ctx, value);
  const kind = inner.kind(value);
  const hidden = ctx.showHidden;
  if (Array.isArray(value)) {
    const keys = keysBesideItems(value, hidden);
    const before = name !== "Array" || tag !== "" ? prefix(name, tag, "Array", `(${value.length})`) : "";
    if (value.length === 0 && keys.length === 0) return { whole: `${before}[]` };
    return { keys, braces: [`${before}[`, "]"], base: "", layout: EXTRA, fill: (at) => items(ctx, value, at) };
  }
  if (kind === "Set" || kind === "Map") {
    const Class = kind === "Set" ? Set : Map;
    const size = Object.getOwnPropertyDescriptor(Class.prototype, "size").get.call(value);
    const keys = keysOf(value, hidden);
    const before = prefix(name, tag, kind, `(${size})`);
    if (size === 0 && keys.length === 0) return { whole: `${before}{}` };
    const fill = (at) => (kind === "Set"
      ? limited(ctx, Set.prototype.values.call(value), size, (item) => show(ctx, item, at))
      : limited(ctx, Map.prototype.entries.call(value), size, ([key, item]) => `${show(ctx, key, at)} => ${show(ctx, item, at)}`));
    return { keys, braces: [`${before}{`, "}"], base: "", layout: OBJECT, fill };
  }
  if (ArrayBuffer.isView(value) && kind !== "DataView") {
    const keys = keysBesideItems(value, hidden);
    const length = typedLength(value);
    const before = prefix(name, tag, kind, `(${length})`);
    if (length === 0 && keys.length === 0 && !hidden) return { whole: `${before}[]` };
    return { keys, braces: [`${before}[`, "]"], base: "", layout: EXTRA, fill: (at) => numbers(ctx, value, length, at) };
  }
  const keys = keysOf(value, hidden);
  if (kind === "Map Iterator" || kind === "Set Iterator") {
    return { keys, braces: [`${`[${tag}]`} {`, "}"], base: "", layout: OBJECT, fill: never };
  }
  return plainParts(ctx, value, depth, typed, name, tag, kind, keys);
}

function plainParts(ctx, value, depth, typed, name, tag, kind, keys) {
  const at = (braces, fill = never, base = "") => ({ keys, braces, base, layout: OBJECT, fill });
  // A base alone when there is nothing beside it.
  const based = (base, style) => (keys.length === 0 || (style === "regexp" && ctx.depth !== null && depth > ctx.depth)
    ? { whole: style ? ctx.stylize(base, style) : base }
    : at(["{", "}"], never, style ? ctx.stylize(base, style) : base));
  if (kind === "Arguments") return keys.length === 0 ? { whole: "[Arguments] {}" } : at(["[Arguments] {", "}"]);
  if (typeof value === "function") return based(functionBase(value, name, tag), "special");
  if (kind === "RegExp") {
    const text = RegExp.prototype.toString.call(name === null ? new RegExp(value) : value);
    const before = prefix(name, tag, "RegExp");
    return based(before === "RegExp " ? text : `${before}${text}`, "regexp");
  }
  if (kind === "Date") {
    const time = Date.prototype.getTime.call(value);
    const text = Number.isNaN(time) ? "Invalid Date" : Date.prototype.toISOString.call(value);
    const before = prefix(name, tag, "Date");
    return based(before === "Date " ? text : `${before}${text}`, "date");
  }
  if (kind === "Error" || kind === "DOMException" || (typeof value.stack === "string" && value instanceof Error)) {
    return based(errorText(ctx, value, name, tag, keys));
  }
  if (kind === "ArrayBuffer" || kind === "SharedArrayBuffer") {
    const before = prefix(name, tag, kind);
    if (typed && keys.length === 0) return { whole: `${before}{ byteLength: ${number(ctx, value.byteLength)} }` };
    keys.unshift("byteLength");
    return at([`${before}{`, "}"], typed ? never : () => contents(ctx, value));
  }
  if (kind === "DataView") {
    keys.unshift("byteLength", "byteOffset", "buffer");
    return at([`${prefix(name, tag, "DataView")}{`, "}"]);
  }
  if (kind === "Promise") {
    return at([`${prefix(name, tag, "Promise")}{`, "}"], (deeper) => {
      const [state, result] = inner.promise(value);
      if (state === 0) return [ctx.stylize("<pending>", "special")];
      ctx.indent += 2;
      const text = show(ctx, result, deeper);
      ctx.indent -= 2;
      return [state === 2 ? `${ctx.stylize("<rejected>", "special")} ${text}` : text];
    });
  }
  if (kind === "WeakSet" || kind === "WeakMap") {
    return at([`${prefix(name, tag, kind)}{`, "}"], () => [ctx.stylize("<items unknown>", "special")]);
  }
  if (kind === "WeakRef") {
    return at([`${prefix(name, tag, "WeakRef")}{`, "}"], (deeper) => {
      const target = WeakRef.prototype.deref.call(value);
      ctx.indent += 2;
      const text = target === undefined ? ctx.stylize("<cleared>", "special") : show(ctx, target, deeper);
      ctx.indent -= 2;
      return [text];
    });
  }
  if (kind === "Module" || tag === "Module") {
    return at([`${prefix(name, tag, "Module").replace(/^\[Module: null prototype\] (\[Module\] )?/, "[Module: null prototype] ")}{`, "}"]);
  }
  if (Object.hasOwn(boxes, kind)) return based(boxed(ctx, value, name, tag, kind, keys));
  if (name === "Object" && tag === "") return keys.length === 0 ? { whole: "{}" } : at(["{", "}"]);
  const before = `${prefix(name, tag, "Object")}{`;
  return keys.length === 0 ? { whole: `${before}}` } : at([before, "}"]);
}

function boxed(ctx, value, name, tag, kind, keys) {
  const inside = boxes[kind].valueOf.call(value);
  if (kind === "String") {
    // Its characters are no properties of interest.
    keys.splice(0, keys.length, ...keys.filter((key) => typeof key === "symbol" || !NUMBER.test(key)));
  }
  let base = `[${kind}`;
  if (kind !== name) base += name === null ? " (null prototype)" : ` (${name})`;
  base += `: ${primitive({ ...ctx, stylize: bareStyle }, inside)}]`;
  if (tag !== "" && tag !== name) base += ` [${tag}]`;
  return ctx.stylize(base, kind.toLowerCase());
}

// ---- What fills them.

const more = (count, what = "item") => `... ${count} more ${what}${count > 1 ? "s" : ""}`;
const limitOf = (ctx, size) => Math.min(Math.max(0, ctx.maxArrayLength), size);

function limited(ctx, entries, size, each) {
  const limit = limitOf(ctx, size);
  const output = [];
  ctx.indent += 2;
  for (const entry of entries) {
    if (output.length >= limit) break;
    output.push(each(entry));
  }
  ctx.indent -= 2;
  if (size > limit) output.push(more(size - limit));
  return output;
}

function items(ctx, value, depth) {
  const limit = limitOf(ctx, value.length);
  const output = [];
  let left = value.length;
  for (let index = 0; index < value.length && output.length < limit;) {
    if (Object.hasOwn(value, index)) {
      output.push(property(ctx, value, depth, index, ITEM));
      index++;
      left--;
      continue;
    }
    const start = index;
    index = nextItem(value, index);
    const gap = index - start;
    left -= gap;
    output.push(ctx.stylize(`<${gap} empty item${gap > 1 ? "s" : ""}>`, "undefined"));
  }
  if (left > 0) output.push(more(left));
  return output;
}

// The next index that is there; holes may be large.
function nextItem(value, index) {
  for (const near = Math.min(value.length, index + 64); index < near; index++) if (Object.hasOwn(value, index)) return index;
  let next = value.length;
  for (const key of Object.keys(value)) {
    if (!NUMBER.test(key)) break;
    if (Number(key) >= index) {
      next = Math.min(next, Number(key));
      break;
    }
  }
  return next;
}

const typedPrototype = Object.getPrototypeOf(Uint8Array.prototype);
const typedLength = (value) => Object.getOwnPropertyDescriptor(typedPrototype, "length").get.call(value);

function numbers(ctx, value, length, depth) {
  const limit = limitOf(ctx, length);
  const output = [];
  for (let index = 0; index < limit; index++) {
    output.push(typeof value[index] === "bigint" ? bigint(ctx, value[index]) : number(ctx, value[index]));
  }
  if (length > limit) output.push(more(length - limit));
  if (ctx.showHidden) {
    ctx.indent += 2;
    for (const key of ["BYTES_PER_ELEMENT", "length", "byteLength", "byteOffset", "buffer"]) {
      output.push(`[${key}]: ${show(ctx, value[key], depth, true)}`);
    }
    ctx.indent -= 2;
  }
  return output;
}

function contents(ctx, buffer) {
  const limit = limitOf(ctx, Math.min(buffer.byteLength, 50));
  let text = Array.from(new Uint8Array(buffer, 0, limit), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  if (buffer.byteLength > limit) text += ` ${more(buffer.byteLength - limit, "byte")}`;
  return [`${ctx.stylize("[Uint8Contents]", "special")}: <${text}>`];
}

function errorText(ctx, error, name, tag, keys) {
  let stack = error.stack ? String(error.stack).trimEnd() : Error.prototype.toString.call(error);
  const message = typeof error.message === "string" ? error.message : "";
  if (inner.kind(error) === "DOMException") {
    stack = `${error.name}: ${error.message}\n${stack}`;
    keys.splice(0);
  }
  for (const key of ["name", "message", "stack"]) {
    const index = keys.indexOf(key);
    if (index !== -1 && (ctx.showHidden ? false : typeof error[key] !== "string" || stack.includes(error[key]))) keys.splice(index, 1);
  }
  if ("cause" in error && !keys.includes("cause") && Object.hasOwn(error, "cause")) keys.push("cause");
  if (Array.isArray(error.errors) && !keys.includes("errors")) keys.push("errors");
  stack = named(stack, error, name, tag);
  // Errors with codes say them in their first line.
  if (typeof error.code === "string" && Object.hasOwn(error, "toString") && stack.startsWith(`${error.name}: `)) {
    stack = `${error.name} [${error.code}]${stack.slice(error.name.length)}`;
  }
  const end = message === "" ? -1 : stack.indexOf(message);
  const frames = stack.indexOf("\n    at", end === -1 ? 0 : end + message.length);
  if (frames === -1) stack = `[${stack}]`;
  if (ctx.indent !== 0) stack = stack.split("\n").join(`\n${" ".repeat(ctx.indent)}`);
  return stack;
}

// The class of an error is said, also when its `name` was never set.
function named(stack, error, name, tag) {
  const own = typeof error.name === "string" ? error.name : "Error";
  if (name === null) {
    const shown = /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n\s+at)/.exec(stack) ?? /^([a-z_A-Z0-9-]*Error)$/.exec(stack);
    const fallback = shown?.[1] ?? "Error";
    return `[${fallback}: null prototype]${stack.slice(shown?.[1] ? fallback.length : 0)}`;
  }
  if (own.endsWith("Error") && own !== name && stack.startsWith(own) && [undefined, ":", "\n"].includes(stack[own.length])) {
    return `${name.includes(own) ? name : `${name} [${own}]`}${stack.slice(own.length)}`;
  }
  return tag !== "" && tag !== name && !stack.includes(tag) ? `${stack} [${tag}]` : stack;
}

function property(ctx, value, depth, key, layout) {
  const descriptor = Object.getOwnPropertyDescriptor(value, key) ?? { value: value[key], enumerable: true };
  let text;
  let gap = " ";
  if (descriptor.value !== undefined) {
    const indent = ctx.compact !== true || layout !== OBJECT ? 2 : 3;
    ctx.indent += indent;
    text = show(ctx, descriptor.value, depth);
    if (indent === 3 && ctx.breakLength < width(text, ctx.colors)) gap = `\n${" ".repeat(ctx.indent)}`;
    ctx.indent -= indent;
  } else if (descriptor.get !== undefined) {
    text = getter(ctx, value, depth, descriptor);
  } else if (descriptor.set !== undefined) {
    text = ctx.stylize("[Setter]", "special");
  } else {
    text = ctx.stylize("undefined", "undefined");
  }
  if (layout === ITEM) return text;
  let name;
  if (typeof key === "symbol") name = `[${ctx.stylize(Symbol.prototype.toString.call(key), "symbol")}]`;
  else if (key === "__proto__") name = "['__proto__']";
  else if (descriptor.enumerable === false) name = `[${quote(key).slice(1, -1)}]`;
  else if (IDENTIFIER.test(key)) name = ctx.stylize(key, "name");
  else name = ctx.stylize(quote(key), "string");
  return `${name}:${gap}${text}`;
}

function getter(ctx, value, depth, { get, set }) {
  const label = set === undefined ? "Getter" : "Getter/Setter";
  const asked = ctx.getters && (ctx.getters === true || (ctx.getters === "get" && set === undefined) || (ctx.getters === "set" && set !== undefined));
  if (!asked) return ctx.stylize(`[${label}]`, "special");
  try {
    const got = get.call(value);
    ctx.indent += 2;
    const text = show(ctx, got, depth);
    ctx.indent -= 2;
    if (got === null) return `${ctx.stylize(`[${label}:`, "special")} ${ctx.stylize("null", "null")}${ctx.stylize("]", "special")}`;
    return typeof got === "object"
      ? `${ctx.stylize(`[${label}]`, "special")} ${text}`
      : `${ctx.stylize(`[${label}:`, "special")} ${text}${ctx.stylize("]", "special")}`;
  } catch (error) {
    return ctx.stylize(`[${label}: <Inspection threw (${error?.message})>]`, "special");
  }
}

// ---- Layout.

const COLORS = /\u001b\[\d+m/g;
// Columns of a terminal: wide characters take two, marks none.
function width(text, colors = true) {
  if (colors) text = text.replace(COLORS, "");
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const c of text.normalize("NFC")) {
    if (/[\p{Mn}\p{Me}\p{Cf}\x00-\x1f\x7f-\x9f]/u.test(c)) continue;
    columns += /[\u1100-\u115f\u2329\u232a\u2e80-\u3247\u3250-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b001}\u{1f200}-\u{1f251}\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u.test(c) ? 2 : 1;
  }
  return columns;
}

function fits(ctx, output, start, base) {
  let total = output.length + start;
  if (total + output.length > ctx.breakLength) return false;
  for (const entry of output) {
    total += ctx.colors ? entry.replace(COLORS, "").length : entry.length;
    if (total > ctx.breakLength) return false;
  }
  return base === "" || !base.includes("\n");
}

function layOut(ctx, output, base, braces, layout, depth, value) {
  if (ctx.compact !== true) {
    if (typeof ctx.compact === "number" && ctx.compact >= 1) {
      const entries = output.length;
      if (layout === EXTRA && entries > 6) output = columns(ctx, output, value);
      // The innermost levels stand on one line when they fit.
      if (ctx.current - depth < ctx.compact && entries === output.length) {
        const start = output.length + ctx.indent + braces[0].length + base.length + 10;
        if (fits(ctx, output, start, base)) {
          const joined = output.join(", ");
          if (!joined.includes("\n")) return `${base ? `${base} ` : ""}${braces[0]} ${joined} ${braces[1]}`;
        }
      }
    }
    const line = `\n${" ".repeat(ctx.indent)}`;
    return `${base ? `${base} ` : ""}${braces[0]}${line}  ${output.join(`,${line}  `)}${line}${braces[1]}`;
  }
  if (fits(ctx, output, 0, base)) return `${braces[0]}${base ? ` ${base}` : ""} ${output.join(", ")} ${braces[1]}`;
  const line = `\n${" ".repeat(ctx.indent)}`;
  const start = base === "" && braces[0].length === 1 ? " " : `${base ? ` ${base}` : ""}${line}  `;
  return `${braces[0]}${start}${output.join(`,${line}  `)} ${braces[1]}`;
}

// Items of long arrays, in columns of about the same width.
function columns(ctx, output, value) {
  const hasRest = value !== undefined && typeof value.length === "number" && ctx.maxArrayLength < value.length && /^\.\.\. \d+ more items?$/.test(output.at(-1) ?? "");
  const count = hasRest ? output.length - 1 : output.length;
  const gap = 2;
  const widths = output.slice(0, count).map((entry) => width(entry, ctx.colors));
  const total = widths.reduce((sum, each) => sum + each + gap, 0);
  const longest = Math.max(0, ...widths);
  const full = longest + gap;
  if (full * 3 + ctx.indent >= ctx.breakLength || (total / full <= 5 && longest > 6)) return output;
  const bias = Math.max(full - 3 - Math.sqrt(full - total / output.length), 1);
  const perLine = Math.min(
    Math.round(Math.sqrt(2.5 * bias * count) / bias),
    Math.floor((ctx.breakLength - ctx.indent) / full),
    ctx.compact * 4,
    15);
  if (perLine <= 1) return output;
  const room = [];
  for (let column = 0; column < perLine; column++) {
    let most = 0;
    for (let index = column; index < count; index += perLine) most = Math.max(most, widths[index]);
    room.push(most + gap);
  }
  const right = value !== undefined && output.every((_, index) => typeof value[index] === "number" || typeof value[index] === "bigint");
  const lines = [];
  for (let start = 0; start < count; start += perLine) {
    const end = Math.min(start + perLine, count);
    let line = "";
    for (let index = start; index < end; index++) {
      const last = index === end - 1;
      const cell = last ? output[index] : `${output[index]}, `;
      const size = room[index - start] + output[index].length - widths[index] - (last ? gap : 0);
      line += right ? cell.padStart(size, " ") : last ? cell : cell.padEnd(size, " ");
    }
    lines.push(line);
  }
  if (hasRest) lines.push(output.at(-1));
  return lines;
}

// ---- Formats with %.

const hasOwnText = (value) => {
  // Whether a class of the function's own says how it is written.
  if (typeof value[custom] === "function") return false;
  if (Object.hasOwn(value, "toString") || types.isTypedArray(value)) return true;
  let at = value;
  do at = Object.getPrototypeOf(at); while (at !== null && !Object.hasOwn(at, "toString"));
  const Class = at === null ? undefined : Object.getOwnPropertyDescriptor(at, "constructor")?.value;
  return typeof Class === "function" && Class.fileName !== undefined;
};

function asText(value, options) {
  if (typeof value === "number") return number({ ...defaults, stylize: bareStyle }, value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return String(value);
  return hasOwnText(value) ? String(value) : inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
}

function asNumber(value, convert) {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "symbol") return "NaN";
  return number({ ...defaults, stylize: bareStyle }, convert(value));
}

function asJson(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (/circular/i.test(error?.message)) return "[Circular]";
    throw error;
  }
}

// `shown` is how arguments outside of placeholders are written.
function formatWith(options, args, shown = (value) => (typeof value === "string" ? value : inspect(value, { ...options, compact: 3, colors: options?.colors ?? false, depth: options?.depth ?? 2 }))) {
  const [first] = args;
  let text = "";
  let used = 0;
  if (typeof first === "string") {
    if (args.length === 1) return first;
    used = 1;
    text = first.replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === "%%") return "%";
      if (used >= args.length) return mark;
      const value = args[used++];
      switch (mark) {
        case "%s": return asText(value, options);
        case "%d": return typeof value === "object" && value !== null ? number({ ...defaults, stylize: bareStyle }, Number(value)) : asNumber(value, Number);
        case "%i": return asNumber(value, parseInt);
        case "%f": return typeof value === "symbol" ? "NaN" : number({ ...defaults, stylize: bareStyle }, parseFloat(value));
        case "%j": return asJson(value);
        case "%o": return inspect(value, { ...options, showHidden: true, showProxy: true, depth: 4 });
        case "%O": return inspect(value, options);
        default: return "";
      }
    });
    // `%%` is one sign only where something is formatted.
  }
  for (; used < args.length; used++) text += (used > 0 ? " " : "") + shown(args[used]);
  return text;
}

// Values of BSON, as what would make them.
const bsonArguments = {
  Binary: ({ _v, _x }) => [require("buffer").Buffer.from(_v).toString("base64"), _x],
  BSONRegExp: ({ _v, _x }) => [_v, _x],
  Code: ({ _v, _x }) => (_x === undefined ? [_v] : [_v, _x]),
  DBPointer: ({ _v, _x }) => [_v, _x],
  Key: () => [],
  Timestamp: ({ _v, _x }) => [{ t: _v, i: _x }],
};
function bson(value) {
  const type = value._bsontype;
  const parts = (bsonArguments[type] ?? (({ _v }) => [_v]))(value).map((part) => inspect(part)).join(", ");
  if (type === "Binary") return `Binary.createFromBase64(${parts})`;
  return `new ${type === "Key" ? String(value) : type}(${parts})`;
}

Object.assign(exports, { bson, inspect, formatWith, width, quote });
