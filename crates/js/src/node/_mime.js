// `MIMEType` and `MIMEParams` of `util`.

const errors = require("_errors");

const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~A-Za-z0-9]/;
const NOT_QUOTABLE = /[^\t\u0020-\u007e\u0080-\u00ff]/;
const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const trimEnd = (text) => text.replace(/[\r\n\t ]+$/, "");

function invalid(part, text, at) {
  return errors.coded(TypeError, "ERR_INVALID_MIME_SYNTAX",
    `The MIME syntax for a ${part} in ${JSON.stringify(text)} is invalid${at === -1 ? "" : ` at ${at}`}`);
}

function token(part, text, whole = text) {
  const at = text.search(NOT_TOKEN);
  if (text === "" || at !== -1) throw invalid(part, whole, at);
  return text;
}

const written = (value) => (value !== "" && !NOT_TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);

class MIMEParams {
  #values = new Map();
  // What follows the subtype: parameters that are wrong are left out.
  static read(params, text) {
    const part = /^[\r\n\t ]*([^;=]*)(?:=(?:"((?:\\[\s\S]|[^"\\])*)"?[^;]*|([^;]*)))?(?:;|$)/;
    while (text !== "") {
      const [all, name, quoted, plain] = part.exec(text);
      text = text.slice(all.length);
      const key = lower(name);
      const value = quoted === undefined ? trimEnd(plain ?? "") : quoted.replace(/\\([\s\S])/g, "$1");
      const has = quoted !== undefined || value !== "";
      if (key !== "" && has && !NOT_TOKEN.test(key) && !NOT_QUOTABLE.test(value) && !params.#values.has(key)) params.#values.set(key, value);
    }
  }
  delete(name) { this.#values.delete(`${name}`); }
  get(name) { return this.#values.get(`${name}`) ?? null; }
  has(name) { return this.#values.has(`${name}`); }
  set(name, value) {
    name = `${name}`;
    value = `${value}`;
    token("parameter name", name);
    const at = value.search(NOT_QUOTABLE);
    if (at !== -1) throw invalid("parameter value", value, at);
    this.#values.set(name, value);
  }
  entries() { return this.#values.entries(); }
  keys() { return this.#values.keys(); }
  values() { return this.#values.values(); }
  [Symbol.iterator]() { return this.#values.entries(); }
  toString() { return [...this.#values].map(([name, value]) => `${name}=${written(value)}`).join(";"); }
  toJSON() { return this.toString(); }
}
const { read } = MIMEParams;
delete MIMEParams.read;

class MIMEType {
  #type;
  #subtype;
  #params = new MIMEParams();
  constructor(text) {
    text = `${text}`;
    const trimmed = text.replace(/^[\r\n\t ]+/, "");
    const slash = trimmed.indexOf("/");
    const type = slash === -1 ? trimmed : trimmed.slice(0, slash);
    if (slash === -1 || type === "" || NOT_TOKEN.test(type)) throw invalid("type", text, type.search(NOT_TOKEN));
    const rest = trimmed.slice(slash + 1);
    const end = rest.indexOf(";");
    const subtype = trimEnd(end === -1 ? rest : rest.slice(0, end));
    token("subtype", subtype, text);
    this.#type = lower(type);
    this.#subtype = lower(subtype);
    if (end !== -1) read(this.#params, rest.slice(end + 1));
  }
  get type() { return this.#type; }
  set type(value) { this.#type = lower(token("type", `${value}`)); }
  get subtype() { return this.#subtype; }
  set subtype(value) { this.#subtype = lower(token("subtype", `${value}`)); }
  get essence() { return `${this.#type}/${this.#subtype}`; }
  get params() { return this.#params; }
  toString() {
    const params = this.#params.toString();
    return params === "" ? this.essence : `${this.essence};${params}`;
  }
  toJSON() { return this.toString(); }
}

Object.assign(exports, { MIMEParams, MIMEType });
