// fetch, Request and Response.

const { Buffer } = require("buffer");
const { Blob, File, bytesIn } = require("_blob");
const { Headers, FormData, freeze } = require("_fetch_headers");
const { STATUS_CODES, TOKEN } = require("_http_message");
const { pause, number, cancel, bytesOf, connectError } = require("_network");
const { URL, URLSearchParams } = require("url");

const REDIRECTS_MAX = 20;
const ACCEPT_ENCODING = "gzip, deflate, br";

const isStream = (value) => typeof value === "object" && value !== null
  && (typeof value[Symbol.asyncIterator] === "function" || typeof value.getReader === "function");

// Bytes of a stream, piece by piece.
async function* piecesOf(stream) {
  if (typeof stream.getReader !== "function") {
    for await (const piece of stream) yield typeof piece === "string" ? Buffer.from(piece) : piece;
    return;
  }
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (!(value instanceof Uint8Array)) throw new TypeError("Received non-Uint8Array chunk");
    yield value;
  }
}

async function gathered(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return all.length === 1 ? all[0] : Buffer.concat(all);
}

const quoted = (text) => text.replace(/\r\n?|\n/g, "\r\n").replace(/[\r\n"]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

function multipart(form) {
  const boundary = `----formdata-undici-0${String(Math.floor(Math.random() * 1e11)).padStart(11, "0")}`;
  const parts = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (value instanceof File) {
      parts.push(Buffer.from(`${head}; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n`),
        bytesIn(value), Buffer.from("\r\n"));
    } else parts.push(Buffer.from(`${head}\r\n\r\n${value.replace(/\r\n?|\n/g, "\r\n")}\r\n`));
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  return { bytes: Buffer.concat(parts), type: `multipart/form-data; boundary=${boundary}` };
}

// A body as it is sent: bytes, or pieces to come, and its type.
function extract(body) {
  if (typeof body === "string") return { bytes: Buffer.from(body), type: "text/plain;charset=UTF-8" };
  if (body instanceof URLSearchParams) {
    return { bytes: Buffer.from(body.toString()), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (body instanceof Blob) return { bytes: bytesIn(body), type: body.type || undefined };
  if (body instanceof ArrayBuffer) return { bytes: Buffer.from(body.slice(0)) };
  if (ArrayBuffer.isView(body)) return { bytes: Buffer.from(new Uint8Array(body.buffer, body.byteOffset, body.byteLength)) };
  if (body instanceof FormData) return multipart(body);
  // The package form-data.
  if (typeof body?.getBuffer === "function" && typeof body.getHeaders === "function") {
    return { bytes: body.getBuffer(), type: body.getHeaders()["content-type"] };
  }
  if (isStream(body)) return { pieces: () => piecesOf(body), stream: typeof body.getReader === "function" ? body : undefined };
  return { bytes: Buffer.from(`${body}`), type: "text/plain;charset=UTF-8" };
}

function parseMultipart(bytes, boundary) {
  const form = new FormData();
  const text = bytes.toString("latin1");
  const parts = `\r\n${text}`.split(`\r\n--${boundary}`);
  if (parts.length < 2 || !parts.at(-1).startsWith("--")) throw new TypeError("Failed to parse body as FormData.");
  for (const part of parts.slice(1, -1)) {
    const at = part.indexOf("\r\n\r\n");
    const head = at < 0 ? "" : Buffer.from(part.slice(0, at), "latin1").toString();
    const name = /\bname="([^"]*)"/i.exec(head)?.[1];
    if (name === undefined) throw new TypeError("Failed to parse body as FormData.");
    const decoded = (value) => value.replace(/%(0D|0A|22)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
    const content = Buffer.from(part.slice(at + 4), "latin1");
    const filename = /\bfilename="([^"]*)"/i.exec(head)?.[1];
    if (filename === undefined) form.append(decoded(name), content.toString());
    else {
      const type = /^content-type:\s*(.+)$/im.exec(head)?.[1].trim() ?? "text/plain";
      form.append(decoded(name), new File([content], decoded(filename), { type }));
    }
  }
  return form;
}

const inside = Symbol("body");

// What requests and answers do with their bodies.
class Body {
  get body() {
    const held = this[inside];
    if (held.content === null) return null;
    held.stream ??= held.content.stream ?? streamOf(held);
    return held.stream;
  }
  get bodyUsed() {
    const held = this[inside];
    return held.used || Boolean(held.touched);
  }
  async #bytes() {
    const held = this[inside];
    if (this.bodyUsed || held.stream?.locked) throw new TypeError("Body is unusable: Body has already been read");
    if (held.content === null) return Buffer.alloc(0);
    held.used = true;
    if (held.stream !== undefined) return gathered(piecesOf(held.stream));
    return held.content.bytes ?? gathered(held.content.pieces());
  }
  async arrayBuffer() {
    const bytes = await this.#bytes();
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }
  async bytes() { return new Uint8Array(await this.arrayBuffer()); }
  async text() {
    const text = Buffer.from(await this.#bytes()).toString("utf8");
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
  async json() { return JSON.parse(await this.text()); }
  async blob() { return new Blob([await this.#bytes()], { type: this.headers.get("content-type") ?? "" }); }
  async formData() {
    const type = this.headers.get("content-type") ?? "";
    const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
    if (/^multipart\/form-data\b/i.test(type) && boundary !== null) {
      return parseMultipart(Buffer.from(await this.#bytes()), boundary[1] ?? boundary[2]);
    }
    if (/^application\/x-www-form-urlencoded\b/i.test(type)) {
      const form = new FormData();
      for (const [name, value] of new URLSearchParams(await this.text())) form.append(name, value);
      return form;
    }
    throw new TypeError('Content-Type was not one of "multipart/form-data" or "application/x-www-form-urlencoded".');
  }
}
for (const name of ["body", "bodyUsed", "arrayBuffer", "text", "json", "blob", "formData"]) {
  Object.defineProperty(Body.prototype, name, { enumerable: true });
}

function streamOf(held) {
  let pieces;
  return new (require("stream/web").ReadableStream)({
    async pull(controller) {
      held.touched = true;
      pieces ??= held.content.bytes === undefined ? held.content.pieces() : [held.content.bytes].values();
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else if (value.length > 0) controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      else await this.pull(controller);
    },
    async cancel(reason) { await pieces?.return?.(reason); },
  }, { highWaterMark: 0 });
}

function hold(target, content) {
  Object.defineProperty(target, inside, { value: { content, used: false, stream: undefined } });
}
// The same content for another one: bytes as they are, a stream in two.
function cloned(from) {
  if (from.bodyUsed || from[inside].stream?.locked) throw new TypeError("Body has already been consumed.");
  const { content } = from[inside];
  if (content === null || content.bytes !== undefined) return content;
  const [one, other] = from.body.tee();
  from[inside].stream = one;
  return { pieces: () => piecesOf(other), stream: other };
}

const NORMAL = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
const ENUMS = {
  redirect: ["follow", "error", "manual"], mode: ["navigate", "same-origin", "no-cors", "cors"], credentials: ["omit", "same-origin", "include"],
  cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
};

class Request extends Body {
  #of;
  constructor(input, init = {}) {
    super();
    if (arguments.length < 1) throw new TypeError("Request constructor: 1 argument required, but only 0 present.");
    init ??= {};
    const from = input instanceof Request ? input : undefined;
    let url = from?.url;
    if (from === undefined) {
      try {
        url = new URL(`${input}`);
      } catch (cause) {
        throw new TypeError(`Failed to parse URL from ${input}`, { cause });
      }
      if (url.username || url.password) throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${input}`);
      url = url.href;
    }
    let method = init.method === undefined ? from?.method ?? "GET" : `${init.method}`;
    if (!TOKEN.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method.`);
    if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method)) throw new TypeError(`'${method}' HTTP method is unsupported.`);
    if (NORMAL.includes(method.toUpperCase())) method = method.toUpperCase();
    const of = (this.#of = {
      url, method, headers: new Headers(init.headers ?? from?.headers), signal: init.signal === undefined ? from?.signal : init.signal,
      redirect: "follow", mode: "cors", credentials: "same-origin", cache: "default", integrity: `${init.integrity ?? ""}`,
      keepalive: Boolean(init.keepalive), referrer: "about:client", referrerPolicy: "", duplex: "half",
    });
    for (const [name, allowed] of Object.entries(ENUMS)) {
      const value = init[name] ?? from?.[name];
      if (value === undefined) continue;
      if (!allowed.includes(value)) throw new TypeError(`Request constructor: ${value} is not an accepted type. Expected one of ${allowed.join(", ")}.`);
      of[name] = value;
    }
    if (of.signal != null && (typeof of.signal !== "object" || typeof of.signal.addEventListener !== "function")) {
      throw new TypeError("Failed to construct 'Request': member signal is not of type AbortSignal.");
    }
    const given = init.body ?? null;
    const reads = method === "GET" || method === "HEAD";
    if (reads && (given !== null || (from !== undefined && from[inside].content !== null && init.body === undefined))) {
      throw new TypeError("Request with GET/HEAD method cannot have body.");
    }
    let content = null;
    if (given !== null) {
      content = extract(given);
      if (content.pieces !== undefined && init.duplex === undefined) {
        throw new TypeError("RequestInit: duplex option is required when sending a body.");
      }
      if (content.type !== undefined && !of.headers.has("content-type")) of.headers.append("content-type", content.type);
    } else if (from !== undefined && from[inside].content !== null) {
      if (from.bodyUsed) throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
      ({ content } = from[inside]);
      from[inside].used = true;
    }
    hold(this, content);
  }
  get url() { return this.#of.url; }
  get method() { return this.#of.method; }
  get headers() { return this.#of.headers; }
  get redirect() { return this.#of.redirect; }
  get mode() { return this.#of.mode; }
  get credentials() { return this.#of.credentials; }
  get cache() { return this.#of.cache; }
  get integrity() { return this.#of.integrity; }
  get keepalive() { return this.#of.keepalive; }
  get referrer() { return this.#of.referrer; }
  get referrerPolicy() { return this.#of.referrerPolicy; }
  get destination() { return ""; }
  get duplex() { return "half"; }
  get signal() { return (this.#of.signal ??= new AbortController().signal); }
  clone() {
    const content = cloned(this);
    const copy = new Request(this.url, { ...this.#of, headers: this.headers, signal: this.#of.signal });
    copy[inside].content = content;
    return copy;
  }
  get [Symbol.toStringTag]() { return "Request"; }
}

const BODILESS = [101, 103, 204, 205, 304];

class Response extends Body {
  #of;
  constructor(body = null, init = {}) {
    super();
    init ??= {};
    const status = init.status === undefined ? 200 : Number(init.status);
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
    }
    const statusText = init.statusText === undefined ? "" : `${init.statusText}`;
    if (/[^\t\x20-\x7e\x80-\xff]/.test(statusText)) throw new TypeError("Invalid statusText");
    this.#of = { status, statusText, headers: new Headers(init.headers), url: "", redirected: false, type: "default" };
    let content = null;
    if (body !== null && body !== undefined) {
      if (BODILESS.includes(status)) throw new TypeError(`Response constructor: Invalid response status code ${status}`);
      content = extract(body);
      if (content.type !== undefined && !this.headers.has("content-type")) this.headers.append("content-type", content.type);
    }
    hold(this, content);
  }
  static #made(of, content) {
    const made = new Response();
    made.#of = of;
    made[inside].content = content;
    return made;
  }
  static error() {
    const headers = new Headers();
    freeze(headers);
    return Response.#made({ status: 0, statusText: "", headers, url: "", redirected: false, type: "error" }, null);
  }
  static json(data, init = {}) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Value is not JSON serializable");
    const made = new Response(text, init);
    if (!new Headers(init?.headers).has("content-type")) made.headers.set("content-type", "application/json");
    return made;
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Invalid status code ${status}`);
    const headers = new Headers({ location: new URL(`${url}`).href });
    freeze(headers);
    return Response.#made({ status, statusText: "", headers, url: "", redirected: false, type: "default" }, null);
  }
  get type() { return this.#of.type; }
  get url() { return this.#of.url; }
  get redirected() { return this.#of.redirected; }
  get status() { return this.#of.status; }
  get ok() { return this.status >= 200 && this.status <= 299; }
  get statusText() { return this.#of.statusText; }
  get headers() { return this.#of.headers; }
  clone() { return Response.#made({ ...this.#of, headers: new Headers(this.headers) }, cloned(this)); }
  get [Symbol.toStringTag]() { return "Response"; }
  static take() {
    const made = Response.#made;
    delete Response.take;
    return made;
  }
}
const made = Response.take();
for (const [Class, names] of [
  [Request, ["url", "method", "headers", "redirect", "mode", "credentials", "cache", "signal", "duplex", "clone"]],
  [Response, ["type", "url", "redirected", "status", "ok", "statusText", "headers", "clone"]],
]) for (const name of names) Object.defineProperty(Class.prototype, name, { enumerable: true });

const unpack = { gzip: "gunzipSync", "x-gzip": "gunzipSync", deflate: "inflateSync", br: "brotliDecompressSync" };

// The body of an answer: what came with its head, then the rest.
async function* piecesRead(told, token, signal) {
  if (told.broken !== undefined) throw broken({ code: told.code, message: told.broken });
  if (told.bytes !== undefined) yield bytesOf(told.bytes);
  let ended = told.ended;
  let reads = 0;
  try {
    while (!ended) {
      let more;
      try {
        more = await inner.host("net.read", { handle: told.handle, pause: 5 + pause(reads++, 0), cancel: token });
      } catch (error) {
        ended = true;
        if (signal?.aborted) throw signal.reason;
        throw broken(error);
      }
      ended = more.ended;
      yield bytesOf(more.bytes);
    }
  } finally {
    if (!ended) cancel(token, told.handle);
  }
}

// An answer that broke off.
const broken = (error) => new TypeError("terminated", { cause: connectError(error, "") });
const failed = (cause) => new TypeError("fetch failed", { cause });

async function send(request, signal, redirect) {
  const { content } = request[inside];
  const url = new URL(request.url);
  url.hash = "";
  if (url.protocol === "data:") return ofData(url);
  if (url.protocol === "blob:" || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw failed(new Error(url.protocol === "about:" ? "about scheme is not supported" : "unknown scheme"));
  }
  const headers = [...request.headers];
  const add = (name, value) => {
    if (!request.headers.has(name)) headers.push([name, value]);
  };
  add("accept", "*/*");
  add("accept-language", "*");
  add("sec-fetch-mode", request.mode);
  add("user-agent", "node");
  add("accept-encoding", ACCEPT_ENCODING);
  let body;
  if (content !== null) {
    request[inside].used = true;
    body = content.bytes ?? await gathered(request[inside].stream === undefined ? content.pieces() : piecesOf(request[inside].stream));
    if (body.length === 0) body = undefined;
  }
  const token = number();
  const stop = () => cancel(token);
  signal?.addEventListener("abort", stop);
  let told;
  try {
    told = await inner.host("http.request", {
      method: request.method, url: url.href, headers, body, pause: 5, cancel: token, redirects: redirect === "follow" ? REDIRECTS_MAX : 0,
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error.code === "ERR_FR_TOO_MANY_REDIRECTS") throw failed(new Error("redirect count exceeded"));
    throw failed(connectError(error, url.hostname, Number(url.port) || (url.protocol === "https:" ? 443 : 80)));
  }
  const location = [301, 302, 303, 307, 308].includes(told.status) && told.headers.some(([name]) => name === "location");
  if (location && redirect === "error") {
    stop();
    throw failed(new Error("unexpected redirect"));
  }
  const answered = new Headers(told.headers);
  freeze(answered);
  const bodiless = BODILESS.includes(told.status) || request.method === "HEAD";
  const codings = bodiless ? [] : (answered.get("content-encoding") ?? "").toLowerCase().split(",").map((name) => name.trim()).filter(Boolean);
  const known = codings.length > 0 && codings.every((name) => unpack[name] !== undefined);
  async function* pieces() {
    const read = piecesRead(told, token, signal);
    if (!known) {
      yield* read;
      return;
    }
    let bytes = await gathered(read);
    const zlib = require("zlib");
    for (const name of codings.reverse()) {
      try {
        bytes = bytes.length === 0 ? bytes : zlib[unpack[name]](bytes);
      } catch (cause) {
        throw new TypeError("terminated", { cause });
      }
    }
    yield bytes;
  }
  return made({
    status: told.status, statusText: told.reason ?? STATUS_CODES[told.status] ?? "", headers: answered, url: told.url,
    redirected: told.url !== url.href, type: "basic",
  }, bodiless ? null : { pieces });
}

function ofData(url) {
  const match = /^data:([^,]*),(.*)$/s.exec(url.href);
  if (match === null) throw failed(new Error("invalid data: URL"));
  const type = match[1].replace(/;\s*base64\s*$/i, "");
  const text = match[2].replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  const bytes = Buffer.from(text, type === match[1] ? "latin1" : "base64");
  const headers = new Headers({ "content-type": type === "" ? "text/plain;charset=US-ASCII" : type.startsWith(";") ? `text/plain${type}` : type });
  return made({ status: 200, statusText: "OK", headers, url: url.href, redirected: false, type: "basic" }, { bytes });
}

async function fetch(input, init = undefined) {
  const request = new Request(input, init);
  const { signal } = request;
  if (signal.aborted) throw signal.reason;
  return send(request, signal, request.redirect);
}

Object.assign(exports, { fetch, Headers, FormData, Request, Response });
