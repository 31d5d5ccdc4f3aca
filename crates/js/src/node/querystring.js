// `querystring`: the old form of query strings.

const { Buffer } = require("buffer");

// Each character is a byte, what stands behind a percent sign too.
function unescapeBuffer(text) {
  return Buffer.from(`${text}`.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16))), "latin1");
}

function escape(text) {
  if (typeof text !== "string") text = typeof text === "object" ? String(text) : `${text}`;
  if (!text.isWellFormed()) throw Object.assign(new URIError("URI malformed"), { code: "ERR_INVALID_URI" });
  return encodeURIComponent(text);
}

function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return unescapeBuffer(text).toString();
  }
}

function primitive(value) {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? `${value}` : "";
  return typeof value === "bigint" || typeof value === "boolean" ? `${value}` : "";
}

function stringify(object, separator, equals, options) {
  if (object === null || typeof object !== "object") return "";
  separator ||= "&";
  equals ||= "=";
  const custom = typeof options?.encodeURIComponent === "function" ? options.encodeURIComponent : exports.escape;
  const pairs = [];
  for (const key of Object.keys(object)) {
    const values = Array.isArray(object[key]) ? object[key] : [object[key]];
    const start = custom(primitive(key)) + equals;
    for (const value of values) pairs.push(start + custom(primitive(value)));
  }
  return pairs.join(separator);
}

function parse(text, separator, equals, options) {
  const found = Object.create(null);
  if (typeof text !== "string" || text.length === 0) return found;
  separator = separator ? String(separator) : "&";
  equals = equals ? String(equals) : "=";
  const most = typeof options?.maxKeys === "number" ? options.maxKeys : 1000;
  const custom = typeof options?.decodeURIComponent === "function" ? options.decodeURIComponent : exports.unescape;
  const isOwn = custom !== unescape;
  const decode = (part) => {
    const spaced = part.replaceAll("+", isOwn ? "%20" : " ");
    if (!isOwn && !/%[0-9a-f]{2}/i.test(spaced)) return spaced;
    try {
      return custom(spaced);
    } catch {
      return unescape(spaced);
    }
  };
  let count = 0;
  for (const pair of text.split(separator)) {
    if (pair === "") continue;
    if (most > 0 && ++count > most) break;
    const at = pair.indexOf(equals);
    const key = decode(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? "" : decode(pair.slice(at + equals.length));
    if (found[key] === undefined) found[key] = value;
    else if (Array.isArray(found[key])) found[key].push(value);
    else found[key] = [found[key], value];
  }
  return found;
}

Object.assign(exports, {
  unescapeBuffer,
  unescape, escape, stringify, encode: stringify, parse, decode: parse,
});
