// What requests and answers of HTTP have in common: headers, and the answer that
// is read.

const { Buffer } = require("buffer");
const { Readable, Writable } = require("stream");
const process = require("process");
const errors = require("_errors");
const { pause, cancel, bytesOf } = require("_network");

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

function validateHeaderName(name, label) {
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw errors.coded(TypeError, "ERR_INVALID_HTTP_TOKEN", `${label || "Header name"} must be a valid HTTP token ["${name}"]`);
  }
}
function validateHeaderValue(name, value) {
  if (value === undefined) {
    throw errors.coded(TypeError, "ERR_HTTP_INVALID_HEADER_VALUE", `Invalid value "${value}" for header "${name}"`);
  }
  for (const part of [].concat(value)) {
    if (BAD_VALUE.test(part)) {
      throw errors.coded(TypeError, "ERR_INVALID_CHAR", `Invalid character in header content ["${name}"]`);
    }
  }
}

const reset = (message) => errors.coded(Error, "ECONNRESET", message);

// What is written: a request, or an answer that nobody sends.
class OutgoingMessage extends Writable {
  constructor(options) {
    super({ ...options, autoDestroy: false, emitClose: false, decodeStrings: true });
    // Name in lower case to the name as written and the value.
    this._headers_ = new Map();
    this.headersSent = false;
    this.sendDate = false;
    this.shouldKeepAlive = true;
    this.chunkedEncoding = false;
    this.useChunkedEncodingByDefault = true;
    this.maxRequestsOnConnectionReached = false;
    this.finished = false;
    this._trailers = undefined;
  }
  setHeader(name, value) {
    if (this.headersSent) throw errors.coded(Error, "ERR_HTTP_HEADERS_SENT", "Cannot set headers after they are sent to the client");
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this._headers_.set(name.toLowerCase(), [name, Array.isArray(value) ? [...value] : value]);
    return this;
  }
  setHeaders(headers) {
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  }
  appendHeader(name, value) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    const had = this._headers_.get(name.toLowerCase());
    if (had === undefined) return this.setHeader(name, value);
    had[1] = [].concat(had[1], value);
    return this;
  }
  getHeader(name) {
    errors.validateString(name, "name");
    return this._headers_.get(name.toLowerCase())?.[1];
  }
  getHeaderNames() { return [...this._headers_.keys()]; }
  getRawHeaderNames() { return Array.from(this._headers_.values(), ([name]) => name); }
  getHeaders() {
    const headers = Object.create(null);
    for (const [name, [, value]] of this._headers_) headers[name] = value;
    return headers;
  }
  hasHeader(name) {
    errors.validateString(name, "name");
    return this._headers_.has(name.toLowerCase());
  }
  removeHeader(name) {
    errors.validateString(name, "name");
    if (this.headersSent) throw errors.coded(Error, "ERR_HTTP_HEADERS_SENT", "Cannot remove headers after they are sent to the client");
    this._headers_.delete(name.toLowerCase());
  }
  // Headers as the host sends them: pairs of texts.
  _pairs() {
    const pairs = [];
    for (const [name, value] of this._headers_.values()) {
      // Several cookies are one header.
      if (Array.isArray(value) && name.toLowerCase() === "cookie") pairs.push([name, value.join("; ")]);
      else for (const one of [].concat(value)) pairs.push([name, `${one}`]);
    }
    return pairs;
  }
  addTrailers(headers) { this._trailers = headers; }
  flushHeaders() { this.headersSent = true; }
  setTimeout(ms, callback) {
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }
  write(chunk, encoding, callback) {
    if (chunk === null) throw errors.coded(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
    if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) {
      throw errors.invalidType("chunk", ["string", "Buffer", "Uint8Array"], chunk);
    }
    this.headersSent = true;
    return super.write(chunk, encoding, callback);
  }
  end(chunk, encoding, callback) {
    if (typeof chunk === "function") [chunk, encoding, callback] = [undefined, undefined, chunk];
    else if (typeof encoding === "function") [encoding, callback] = [undefined, encoding];
    if (chunk !== undefined && chunk !== null && typeof chunk !== "string" && !(chunk instanceof Uint8Array)) {
      throw errors.invalidType("chunk", ["string", "Buffer", "Uint8Array"], chunk);
    }
    this.finished = true;
    super.end(chunk ?? undefined, encoding, callback);
    this.headersSent = true;
    return this;
  }
  _write(chunk, encoding, callback) { callback(); }
  get _header() { return this.headersSent ? "" : null; }
  get _headers() { return this.getHeaders(); }
}

class ServerResponse extends OutgoingMessage {
  constructor(request) {
    super();
    this.req = request;
    this.statusCode = 200;
    this.statusMessage = undefined;
    this.sendDate = true;
  }
  writeHead(status, message, headers) {
    this.statusCode = status;
    if (typeof message === "string") this.statusMessage = message;
    else headers ??= message;
    for (const [name, value] of Object.entries(headers ?? {})) this.setHeader(name, value);
    this.headersSent = true;
    return this;
  }
  writeContinue() {}
  writeProcessing() {}
  assignSocket() {}
  detachSocket() {}
}

// Of these the first one counts.
const SINGLE = new Set(["age", "authorization", "content-length", "content-type", "etag", "expires", "from", "host", "if-modified-since",
  "if-unmodified-since", "last-modified", "location", "max-forwards", "proxy-authorization", "referer", "retry-after", "server",
  "user-agent"]);

function addHeader(headers, name, value) {
  if (name === "set-cookie") (headers[name] ??= []).push(value);
  else if (headers[name] === undefined) headers[name] = value;
  else if (name === "cookie") headers[name] += `; ${value}`;
  else if (!SINGLE.has(name)) headers[name] += `, ${value}`;
}
function folded(pairs) {
  const headers = {};
  for (const [name, value] of pairs) addHeader(headers, name.toLowerCase(), value);
  return headers;
}
function distinct(pairs) {
  const headers = Object.create(null);
  for (const [name, value] of pairs) (headers[name.toLowerCase()] ??= []).push(value);
  return headers;
}

// An answer. Its body is read from the host as it is asked for.
class IncomingMessage extends Readable {
  constructor(socket) {
    super({ autoDestroy: true });
    this._pairs = [];
    this._trailing = [];
    this.httpVersionMajor = null;
    this.httpVersionMinor = null;
    this.httpVersion = null;
    this.complete = false;
    this.aborted = false;
    this.upgrade = null;
    this.url = "";
    this.method = null;
    this.statusCode = null;
    this.statusMessage = null;
    this._socket = socket;
    this._body = undefined;
    this._reads = 0;
  }
  get socket() { return this._socket ?? this.req?.socket; }
  set socket(socket) { this._socket = socket; }
  get connection() { return this.socket; }
  set connection(socket) { this._socket = socket; }
  get headers() { return this._folded ??= folded(this._pairs); }
  set headers(headers) { this._folded = headers; }
  get rawHeaders() { return this._raw ??= this._pairs.flat(); }
  set rawHeaders(raw) { this._raw = raw; }
  get headersDistinct() { return distinct(this._pairs); }
  get trailers() { return folded(this._trailing); }
  get rawTrailers() { return this._trailing.flat(); }
  get trailersDistinct() { return distinct(this._trailing); }
  setTimeout(ms, callback) {
    if (callback) this.on("timeout", callback);
    this.req?._watch(ms, this);
    return this;
  }
  // Takes what the host told of an answer.
  _begin(told, request) {
    this.req = request;
    this._pairs = told.headers;
    this.statusCode = told.status;
    this.statusMessage = told.reason ?? exports.STATUS_CODES[told.status] ?? "";
    this.httpVersion = told.version;
    this.httpVersionMajor = Number(told.version.split(".")[0]);
    this.httpVersionMinor = Number(told.version.split(".")[1]);
    this._body = { handle: told.handle, first: told, number: request._number };
  }
  _read() {
    const body = this._body;
    if (body === undefined) return;
    const { first } = body;
    if (first !== undefined) {
      body.first = undefined;
      this._take(first);
      return;
    }
    if (body.busy) return;
    body.busy = true;
    inner.host("net.read", { handle: body.handle, pause: 5 + pause(this._reads++, 0), cancel: body.number }).then(
      (told) => {
        body.busy = false;
        this.req._touch();
        if (!this.destroyed) this._take(told);
      },
      () => {
        body.busy = false;
        if (!this.destroyed) this.destroy(reset("aborted"));
      },
    );
  }
  _take(told) {
    if (told.broken !== undefined) {
      this.destroy(told.code === "ERR_RESPONSE_TOO_LARGE" ? errors.coded(Error, told.code, told.broken) : reset("aborted"));
      return;
    }
    if (told.ended) {
      this.complete = true;
      this._trailing = told.trailers ?? [];
    }
    const bytes = told.bytes === undefined ? undefined : bytesOf(told.bytes);
    const empty = bytes === undefined || bytes.length === 0;
    const more = empty ? true : this.push(bytes);
    if (told.ended) this.push(null);
    else if (empty || more) this._read();
  }
  _dump() { this.resume(); }
  _destroy(error, callback) {
    if (!this.readableEnded || !this.complete) {
      this.aborted = true;
      this.emit("aborted");
      if (this._body !== undefined && !this.complete) cancel(this._body.number, this._body.handle);
    }
    // An error is only told to who listens for it.
    process.nextTick(() => callback(this.listenerCount("error") === 0 ? null : error));
  }
}

const STATUS_CODES = {
  100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted",
  203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
  208: "Already Reported", 226: "IM Used", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
  304: "Not Modified", 305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
  401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
  407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
  412: "Precondition Failed", 413: "Payload Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
  416: "Range Not Satisfiable", 417: "Expectation Failed", 418: "I'm a Teapot", 421: "Misdirected Request",
  422: "Unprocessable Entity", 423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
  428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
  503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
  507: "Insufficient Storage", 508: "Loop Detected", 509: "Bandwidth Limit Exceeded", 510: "Not Extended",
  511: "Network Authentication Required",
};

Object.assign(exports, {
  OutgoingMessage, ServerResponse, IncomingMessage, STATUS_CODES, validateHeaderName, validateHeaderValue, TOKEN, BAD_VALUE, reset, Buffer,
});
