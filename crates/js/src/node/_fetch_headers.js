// Headers and FormData of fetch.

const { Blob, File } = require("_blob");
const { TOKEN } = require("_http_message");

const trimmed = (value) => value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");

function nameOf(method, name) {
  name = `${name}`;
  if (!TOKEN.test(name)) throw new TypeError(`Headers.${method}: "${name}" is an invalid header name.`);
  return name.toLowerCase();
}
function valueOf(method, value) {
  value = trimmed(`${value}`);
  const wide = value.search(/[^\0-\xff]/);
  if (wide >= 0) {
    throw new TypeError(`Cannot convert argument to a ByteString because the character at index ${wide} has a value of ${value.charCodeAt(wide)} which is greater than 255.`);
  }
  if (/[\0\r\n]/.test(value)) throw new TypeError(`Headers.${method}: "${value}" is an invalid header value.`);
  return value;
}

class Headers {
  // Names in lower case to their values; cookies stay apart.
  #map = new Map();
  #cookies = [];
  #frozen = false;
  constructor(init = undefined) {
    if (init === undefined) return;
    if (init === null || (typeof init !== "object" && typeof init !== "function")) {
      throw new TypeError("Headers constructor: init was given by an invalid type");
    }
    if (typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const parts = [...pair];
        if (parts.length !== 2) throw new TypeError(`Headers constructor: expected name/value pair to be length 2, found ${parts.length}.`);
        this.append(parts[0], parts[1]);
      }
    } else for (const name of Reflect.ownKeys(init)) {
      if (Object.getOwnPropertyDescriptor(init, name)?.enumerable) this.append(name, init[name]);
    }
  }
  static freeze(headers) { headers.#frozen = true; }
  #check() {
    if (this.#frozen) throw new TypeError("immutable");
  }
  append(name, value) {
    name = nameOf("append", name);
    value = valueOf("append", value);
    this.#check();
    if (name === "set-cookie") this.#cookies.push(value);
    const had = this.#map.get(name);
    this.#map.set(name, had === undefined ? value : `${had}${name === "cookie" ? "; " : ", "}${value}`);
  }
  set(name, value) {
    name = nameOf("set", name);
    value = valueOf("set", value);
    this.#check();
    if (name === "set-cookie") this.#cookies = [value];
    this.#map.set(name, value);
  }
  delete(name) {
    name = nameOf("delete", name);
    this.#check();
    if (name === "set-cookie") this.#cookies = [];
    this.#map.delete(name);
  }
  get(name) { return this.#map.get(nameOf("get", name)) ?? null; }
  has(name) { return this.#map.has(nameOf("has", name)); }
  getSetCookie() { return [...this.#cookies]; }
  #sorted() {
    const pairs = [];
    for (const name of [...this.#map.keys()].sort()) {
      if (name === "set-cookie") for (const cookie of this.#cookies) pairs.push([name, cookie]);
      else pairs.push([name, this.#map.get(name)]);
    }
    return pairs;
  }
  *entries() { yield* this.#sorted(); }
  *keys() { for (const [name] of this.#sorted()) yield name; }
  *values() { for (const [, value] of this.#sorted()) yield value; }
  forEach(callback, self) {
    if (typeof callback !== "function") throw new TypeError("Headers.forEach: parameter 1 is not of type 'Function'.");
    for (const [name, value] of this.#sorted()) callback.call(self, value, name, this);
  }
  get [Symbol.toStringTag]() { return "Headers"; }
}
Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });
for (const name of ["append", "delete", "get", "has", "set", "getSetCookie", "keys", "values", "forEach", "entries"]) {
  Object.defineProperty(Headers.prototype, name, { enumerable: true });
}
exports.freeze = Headers.freeze;
delete Headers.freeze;

function entryOf(name, value, filename) {
  name = `${name}`;
  if (!(value instanceof Blob)) return [name, `${value}`];
  if (!(value instanceof File) || filename !== undefined) {
    value = new File([value], filename === undefined ? "blob" : `${filename}`, { type: value.type, lastModified: value.lastModified });
  }
  return [name, value];
}

class FormData {
  #entries = [];
  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError("FormData constructor: Argument 1 could not be converted to: undefined.");
  }
  append(name, value, filename) { this.#entries.push(entryOf(name, value, filename)); }
  set(name, value, filename) {
    const entry = entryOf(name, value, filename);
    const at = this.#entries.findIndex(([other]) => other === entry[0]);
    if (at < 0) this.#entries.push(entry);
    else {
      this.#entries[at] = entry;
      this.#entries = this.#entries.filter(([other], index) => index <= at || other !== entry[0]);
    }
  }
  delete(name) { this.#entries = this.#entries.filter(([other]) => other !== `${name}`); }
  get(name) { return this.#entries.find(([other]) => other === `${name}`)?.[1] ?? null; }
  getAll(name) { return this.#entries.filter(([other]) => other === `${name}`).map(([, value]) => value); }
  has(name) { return this.#entries.some(([other]) => other === `${name}`); }
  *entries() { for (const [name, value] of this.#entries) yield [name, value]; }
  *keys() { for (const [name] of this.#entries) yield name; }
  *values() { for (const [, value] of this.#entries) yield value; }
  forEach(callback, self) { for (const [name, value] of this.#entries) callback.call(self, value, name, this); }
  get [Symbol.toStringTag]() { return "FormData"; }
}
Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

Object.assign(exports, { Headers, FormData });
