// URL and URLSearchParams of the WHATWG standard; parsing is native.

const { coded, invalidType, missingArguments } = require("_errors");
const native = inner.node;
const customInspect = Symbol.for("nodejs.util.inspect.custom");
const usv = (value) => `${value}`.toWellFormed();

// ---- Query strings.

const decodePart = (part) => {
  const spaced = part.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return native("buffer.decode", native("url.percentDecode", spaced), "utf8");
  }
};
const encodePart = (part) =>
  encodeURIComponent(part).replace(/[!'()~]|%20/g, (found) => (found === "%20" ? "+" : `%${found.charCodeAt(0).toString(16).toUpperCase()}`));

function pairsOf(text) {
  const pairs = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    const at = part.indexOf("=");
    pairs.push(at < 0 ? [decodePart(part), ""] : [decodePart(part.slice(0, at)), decodePart(part.slice(at + 1))]);
  }
  return pairs;
}

const required = (count, ...names) => {
  if (count < names.length) throw missingArguments(...names);
};

// For URL only: the parameters of a URL and what happens when they change.
let bind;

class URLSearchParams {
  #list = [];
  #changed = null;

  static {
    bind = (params, list, changed) => {
      params.#list = list;
      params.#changed = changed;
    };
  }

  constructor(init = undefined) {
    if (init === undefined || init === null) return;
    if (typeof init !== "object" && typeof init !== "function") {
      const text = usv(init);
      this.#list = pairsOf(text.startsWith("?") ? text.slice(1) : text);
      return;
    }
    const iterate = init[Symbol.iterator];
    if (iterate === undefined || iterate === null) {
      // Names that become the same by the conversion are one, at its first place.
      const record = new Map();
      for (const key of Reflect.ownKeys(init)) {
        if (typeof key === "string" && Object.prototype.propertyIsEnumerable.call(init, key)) record.set(usv(key), usv(init[key]));
      }
      this.#list = [...record];
      return;
    }
    if (typeof iterate !== "function") throw coded(TypeError, "ERR_ARG_NOT_ITERABLE", "Query pairs must be iterable");
    for (const pair of init) {
      const parts = (typeof pair === "object" && pair !== null) || typeof pair === "function" ? pair[Symbol.iterator] && [...pair] : undefined;
      if (parts?.length !== 2) {
        throw coded(TypeError, "ERR_INVALID_TUPLE", "Each query pair must be an iterable [name, value] tuple");
      }
      this.#list.push([usv(parts[0]), usv(parts[1])]);
    }
  }

  get size() { return this.#list.length; }

  append(name, value) {
    required(arguments.length, "name", "value");
    this.#list.push([usv(name), usv(value)]);
    this.#changed?.(this);
  }

  delete(name, value = undefined) {
    required(arguments.length, "name");
    name = usv(name);
    if (value !== undefined) value = usv(value);
    this.#list = this.#list.filter((pair) => pair[0] !== name || (value !== undefined && pair[1] !== value));
    this.#changed?.(this);
  }

  get(name) {
    required(arguments.length, "name");
    name = usv(name);
    return this.#list.find((pair) => pair[0] === name)?.[1] ?? null;
  }

  getAll(name) {
    required(arguments.length, "name");
    name = usv(name);
    return this.#list.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  }

  has(name, value = undefined) {
    required(arguments.length, "name");
    name = usv(name);
    if (value !== undefined) value = usv(value);
    return this.#list.some((pair) => pair[0] === name && (value === undefined || pair[1] === value));
  }

  set(name, value) {
    required(arguments.length, "name", "value");
    name = usv(name);
    value = usv(value);
    const first = this.#list.findIndex((pair) => pair[0] === name);
    if (first < 0) this.#list.push([name, value]);
    else {
      this.#list[first][1] = value;
      this.#list = this.#list.filter((pair, index) => index <= first || pair[0] !== name);
    }
    this.#changed?.(this);
  }

  sort() {
    this.#list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#changed?.(this);
  }

  forEach(callback, self = undefined) {
    if (typeof callback !== "function") throw invalidType("callback", "function", callback);
    for (let at = 0; at < this.#list.length; at++) callback.call(self, this.#list[at][1], this.#list[at][0], this);
  }

  *#walk(pick) {
    for (let at = 0; at < this.#list.length; at++) yield pick(this.#list[at]);
  }
  entries() { return this.#walk((pair) => [pair[0], pair[1]]); }
  keys() { return this.#walk((pair) => pair[0]); }
  values() { return this.#walk((pair) => pair[1]); }

  toString() {
    return this.#list.map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`).join("&");
  }

  [customInspect](depth, options, inspect) {
    const quote = (text) => (inspect ? inspect(text, options) : `'${text}'`);
    const shown = this.#list.map(([name, value]) => `${quote(name)} => ${quote(value)}`);
    return shown.length === 0 ? "URLSearchParams {}" : `URLSearchParams { ${shown.join(", ")} }`;
  }
}
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, {
  value: URLSearchParams.prototype.entries, writable: true, configurable: true, enumerable: false,
});

// ---- URLs: the parts are texts, in this order.

const PARTS = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin"];

class URL {
  #parts;
  #params;

  static canParse(input, base = undefined) {
    required(arguments.length, "url");
    return native("url.parse", usv(input), base === undefined ? null : usv(base)) !== null;
  }

  constructor(input, base = undefined) {
    required(arguments.length, "url");
    input = `${input}`;
    const parts = native("url.parse", input, base === undefined ? null : `${base}`);
    if (parts === null) throw invalid(input, base);
    this.#parts = parts;
  }

  static {
    PARTS.forEach((name, index) => {
      const get = { [name]() { return this.#parts[index]; } }[name];
      const set = name === "origin" ? undefined : { [name](value) { this.#set(name, `${value}`); } }[name];
      Object.defineProperty(URL.prototype, name, { get, set, configurable: true, enumerable: true });
    });
  }

  #set(name, value) {
    const parts = native("url.set", this.#parts[0], name, value);
    if (parts === null) {
      if (name === "href") throw invalid(value);
      return;
    }
    this.#parts = parts;
    if (this.#params !== undefined && (name === "href" || name === "search")) this.#bind();
  }

  #bind() {
    bind(this.#params, pairsOf(this.#parts[8].slice(1)), (params) => {
      const text = params.toString();
      this.#parts = native("url.set", this.#parts[0], "search", text) ?? this.#parts;
    });
  }

  get searchParams() {
    if (this.#params === undefined) {
      this.#params = new URLSearchParams();
      this.#bind();
    }
    return this.#params;
  }

  toString() { return this.#parts[0]; }
  toJSON() { return this.#parts[0]; }

  [customInspect](depth, options, inspect) {
    if (depth < 0 || !inspect) return this.#parts[0];
    const shown = {};
    for (const name of ["href", "origin", ...PARTS.slice(1, 9), "searchParams", "hash"]) shown[name] = this[name];
    return `${this.constructor.name} ${inspect(shown, options)}`;
  }
}
for (const name of ["toString", "toJSON", "searchParams"]) Object.defineProperty(URL.prototype, name, { enumerable: true });
for (const Class of [URL, URLSearchParams]) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { configurable: true, value: Class.name });
}
for (const name of ["append", "delete", "get", "getAll", "has", "set", "sort", "entries", "forEach", "keys", "values", "toString", "size"]) {
  Object.defineProperty(URLSearchParams.prototype, name, { enumerable: true });
}

function invalid(input, base) {
  const error = coded(TypeError, "ERR_INVALID_URL", "Invalid URL");
  error.input = input;
  if (base !== undefined) error.base = `${base}`;
  return error;
}

Object.assign(exports, { URL, URLSearchParams, invalid });
