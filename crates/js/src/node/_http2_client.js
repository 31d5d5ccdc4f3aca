// Sessions of HTTP/2 and their requests. The host sends them, each on its own,
// over one connection; it is made at the first of them.

const { Buffer } = require("buffer");
const EventEmitter = require("events");
const { Duplex } = require("stream");
const process = require("process");
const net = require("net");
const errors = require("_errors");
const { pause, number, cancel, bytesOf, connectError, tlsOptions } = require("_network");
const { TOKEN } = require("_http_message");

// Bytes of a body that are sent at once.
const WHOLE_BYTES_MAX = 1024 * 1024;
const NO_ERROR = 0, INTERNAL_ERROR = 2, CANCEL = 8;
const CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
  "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED"];
const PSEUDO = new Set([":status", ":method", ":authority", ":scheme", ":path", ":protocol"]);
const OF_THE_CONNECTION = new Set(["connection", "upgrade", "http2-settings", "keep-alive", "proxy-connection", "transfer-encoding"]);
const SINGLE = new Set([...PSEUDO, ..."access-control-allow-credentials access-control-max-age access-control-request-method age authorization content-encoding content-language content-length content-location content-md5 content-range content-type date dnt etag expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent x-content-type-options".split(" ")]);
const sensitiveHeaders = Symbol("nodejs.http2.sensitiveHeaders");

const unsupported = (what) => errors.coded(Error, "ERR_NOT_SUPPORTED", `'http2' module: ${what} is not supported`);
const closedWith = (code) =>
  errors.coded(Error, "ERR_HTTP2_STREAM_ERROR", `Stream closed with error code ${CODES[code] ? `NGHTTP2_${CODES[code]}` : code}`);
const cancelled = (cause) => {
  const why = cause ? ` (caused by: ${cause.message})` : "";
  const error = errors.coded(Error, "ERR_HTTP2_STREAM_CANCEL", `The pending stream has been canceled${why}`);
  if (cause) error.cause = cause;
  return error;
};

// A request's headers as pairs, without those that begin with a colon.
function pairsOf(headers) {
  const pairs = [];
  for (const key of Object.keys(headers)) {
    const name = key.toLowerCase();
    let value = headers[key];
    if (value === undefined || name === "") continue;
    if (Array.isArray(value)) {
      if (value.length === 0) continue;
      if (value.length === 1) value = value[0];
      else if (SINGLE.has(name)) {
        throw errors.coded(TypeError, "ERR_HTTP2_HEADER_SINGLE_VALUE", `Header field "${name}" must only have a single value`);
      }
    }
    if (name[0] === ":") {
      if (!PSEUDO.has(name)) {
        throw errors.coded(TypeError, "ERR_HTTP2_INVALID_PSEUDOHEADER", `"${name}" is an invalid pseudoheader or is used incorrectly`);
      }
      continue;
    }
    if (!TOKEN.test(name)) {
      throw errors.coded(TypeError, "ERR_INVALID_HTTP_TOKEN", `Header name must be a valid HTTP token ["${key}"]`);
    }
    if (OF_THE_CONNECTION.has(name) || (name === "te" && `${value}` !== "trailers")) {
      throw errors.coded(TypeError, "ERR_HTTP2_INVALID_CONNECTION_HEADERS",
        `HTTP/1 Connection specific headers are forbidden: "${name}"`);
    }
    for (const one of [].concat(value)) pairs.push([name, `${one}`]);
  }
  return pairs;
}

// Headers as an answer's events tell them.
function told(pairs, status) {
  const headers = Object.create(null);
  if (status !== undefined) headers[":status"] = status;
  for (const [name, value] of pairs) {
    if (name === "set-cookie") (headers[name] ??= []).push(value);
    else if (headers[name] === undefined) headers[name] = value;
    else if (!SINGLE.has(name)) headers[name] += `${name === "cookie" ? ";" : ","} ${value}`;
  }
  headers[sensitiveHeaders] = [];
  return headers;
}

// Emits "timeout" when nothing happens for so long.
class Watch {
  constructor(on) { this.on = on; }
  set(ms, callback) {
    errors.validateNumber(ms, "msecs");
    if (callback !== undefined) {
      if (typeof callback !== "function") throw errors.invalidType("callback", "function", callback);
      this.on.once("timeout", callback);
    }
    this.stop();
    if (ms > 0) {
      this.timer = setTimeout(() => this.on.emit("timeout"), ms);
      this.timer.unref?.();
    }
  }
  touch() { this.timer?.refresh?.(); }
  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

class Http2Session extends EventEmitter {}

class ClientHttp2Session extends Http2Session {
  #at; #options; #key = number(); #streams = new Set(); #last = -1; #answered = false; #socket; #watch = new Watch(this);

  constructor(at, options, tls) {
    super();
    this.#at = at;
    this.#options = { tls, serverName: options.servername && net.isIP(options.servername) === 0 ? options.servername : undefined };
    this.type = 1;
    this.connecting = true;
    this.closed = this.destroyed = false;
    this.pendingSettingsAck = false;
    this.localSettings = {};
    this.remoteSettings = {};
    process.nextTick(() => {
      if (this.destroyed) return;
      this.connecting = false;
      this.emit("connect", this, this.socket);
    });
  }
  get encrypted() { return this.connecting ? undefined : this.#at.protocol === "https:"; }
  get alpnProtocol() { return this.connecting ? undefined : this.encrypted ? "h2" : "h2c"; }
  get originSet() { return this.encrypted ? [this.origin] : undefined; }
  get origin() { return `${this.#at.protocol}//${this.#at.authority}`; }
  get state() { return {}; }
  // What stands for the connection, for who looks at it.
  get socket() {
    if (this.#socket === undefined) {
      const secure = this.#at.protocol === "https:";
      const socket = secure ? new (require("tls").TLSSocket)(undefined, { servername: this.#at.host }) : new net.Socket();
      Object.assign(socket, secure ? { authorized: true, secureConnecting: false, alpnProtocol: "h2" } : {}, { _host: this.#at.host });
      this.#socket = socket;
    }
    return this.#socket;
  }
  #usable() {
    if (this.destroyed) throw errors.coded(Error, "ERR_HTTP2_INVALID_SESSION", "The session has been destroyed");
  }

  request(headers, options) {
    this.#usable();
    if (this.closed) {
      throw errors.coded(Error, "ERR_HTTP2_GOAWAY_SESSION", "New streams cannot be created after receiving a GOAWAY");
    }
    if (headers !== undefined) errors.validateObject(headers, "headers");
    if (options !== undefined) errors.validateObject(options, "options");
    const sent = Object.assign(Object.create(null), headers);
    const pairs = pairsOf(sent);
    sent[":method"] ??= "GET";
    if (sent[":method"] === "CONNECT") throw unsupported("CONNECT");
    if (sent[":authority"] === undefined && sent.host === undefined) sent[":authority"] = this.#at.authority;
    sent[":scheme"] ??= this.#at.protocol.slice(0, -1);
    sent[":path"] ??= "/";
    const asked = { ...options };
    if (asked.endStream !== undefined && typeof asked.endStream !== "boolean") {
      throw errors.invalidType("options.endStream", "boolean", asked.endStream);
    }
    if (asked.waitForTrailers) throw unsupported("the option 'waitForTrailers'");
    if (asked.signal) errors.validateAbortSignal(asked.signal, "options.signal");
    const authority = sent[":authority"];
    if (authority !== undefined && authority !== this.#at.authority && sent.host === undefined) pairs.push(["host", `${authority}`]);
    this.#last += 2;
    const request = {
      method: `${sent[":method"]}`, url: `${this.origin}/`, headers: pairs, pause: 5, session: this.#key,
      target: `${sent[":path"]}`.replace(/#.*$/, "").replace(/[^\x21-\x7e]/gu, (c) => encodeURIComponent(c.toWellFormed())), ...this.#options,
    };
    const stream = new ClientHttp2Stream(this, this.#last, sent, request, asked);
    this.#streams.add(stream);
    stream.once("close", () => {
      this.#streams.delete(stream);
      if (this.closed && this.#streams.size === 0) this.destroy();
    });
    return stream;
  }
  // What a request learned of the connection.
  _touch(answered) {
    this.#answered ||= answered;
    this.#watch.touch();
  }
  // Why there is no answer: the error of a request, or of the session.
  _failed(error, stream) {
    if (error?.code === "ECONNRESET" || error?.code === "ECANCELED") {
      stream.rstCode = INTERNAL_ERROR;
      stream.destroy(closedWith(INTERNAL_ERROR));
      return;
    }
    const shown = connectError(error, this.#at.host, this.#at.port);
    if (this.#answered || /^ERR_(?!TLS)|^EMFILE$/.test(error?.code)) stream.destroy(shown);
    else this.destroy(shown);
  }

  ping(payload, callback) {
    this.#usable();
    if (typeof payload === "function") [payload, callback] = [undefined, payload];
    if (payload !== undefined) {
      if (!ArrayBuffer.isView(payload)) throw errors.invalidType("payload", ["Buffer", "TypedArray", "DataView"], payload);
      if (payload.byteLength !== 8) throw errors.coded(RangeError, "ERR_HTTP2_PING_LENGTH", "HTTP2 ping payload must be 8 bytes");
    }
    if (typeof callback !== "function") throw errors.invalidType("callback", "function", callback);
    // Frames are the host's: none is sent for a function.
    process.nextTick(callback, errors.coded(Error, "ERR_HTTP2_PING_CANCEL", "HTTP2 ping cancelled"), 0, payload);
    return false;
  }
  settings(settings, callback) {
    this.#usable();
    require("http2").getPackedSettings(settings);
    if (callback !== undefined && typeof callback !== "function") throw errors.invalidType("callback", "function", callback);
    Object.assign(this.localSettings, settings);
    if (callback) process.nextTick(callback, null, this.localSettings, 0);
  }
  setLocalWindowSize() { this.#usable(); }
  goaway() { this.#usable(); }
  setTimeout(ms, callback) {
    this.#watch.set(ms, callback);
    return this;
  }
  ref() {}
  unref() {}
  close(callback) {
    if (this.closed || this.destroyed) return;
    this.closed = true;
    if (typeof callback === "function") this.once("close", callback);
    if (this.#streams.size === 0) process.nextTick(() => this.destroy());
  }
  destroy(error = NO_ERROR, code) {
    if (this.destroyed) return;
    if (typeof error === "number") {
      code = error;
      error = code === NO_ERROR ? undefined : errors.coded(Error, "ERR_HTTP2_SESSION_ERROR", `Session closed with error code ${code}`);
    }
    this.destroyed = true;
    this.connecting = false;
    this.#watch.stop();
    for (const stream of this.#streams) {
      stream.rstCode = code || (error ? INTERNAL_ERROR : CANCEL);
      stream.destroy(stream._answered ? error : cancelled(error));
    }
    process.nextTick(() => {
      if (error) this.emit("error", error);
      this.emit("close");
    });
  }
}

class Http2Stream extends Duplex {}

class ClientHttp2Stream extends Http2Stream {
  #asked; #number = number(); #chunks = []; #started = false; #held; #upload; #sent = false; #body; #reads = 0; #watch = new Watch(this);
  #session;

  constructor(session, id, headers, asked, options) {
    super({ autoDestroy: true, emitClose: true });
    this.#session = session;
    this.#asked = { ...asked, cancel: this.#number };
    this.id = id;
    this.sentHeaders = headers;
    this.headersSent = true;
    this.pending = false;
    this.rstCode = NO_ERROR;
    this.aborted = false;
    this._ending = false;
    this._answered = false;
    this.endAfterHeaders = options.endStream ?? /^(?:GET|HEAD|DELETE)$/.test(asked.method);
    if (this.endAfterHeaders) this.end();
    const { signal } = options;
    if (signal) {
      const abort = () => this.destroy(new errors.AbortError("The operation was aborted", { cause: signal.reason }));
      if (signal.aborted) process.nextTick(abort);
      else {
        signal.addEventListener("abort", abort);
        this.once("close", () => signal.removeEventListener("abort", abort));
      }
    }
    process.nextTick(() => {
      if (this.destroyed) return;
      this.emit("ready");
      this.#start();
    });
  }
  get session() { return this.destroyed ? undefined : this.#session; }
  get closed() { return this._ending || this.destroyed; }
  get bufferSize() { return this.writableLength; }
  get state() { return {}; }

  // What is written at once is sent at once; anything else piece by piece.
  #start() {
    this.#started = true;
    if (!this.writableEnded || this.writableLength > WHOLE_BYTES_MAX) {
      const bytes = Number(this.#asked.headers.find(([name]) => name === "content-length")?.[1]);
      this.#upload = inner.host("http.upload", Number.isSafeInteger(bytes) ? { bytes } : {}).then(({ handle }) => {
        this.#ask({ upload: handle });
        return handle;
      });
      this.#upload.catch((error) => this.destroy(connectError(error)));
    }
    this.#held?.();
  }
  #whenStarted(work) {
    if (this.#started) work();
    else this.#held = work;
  }
  _write(chunk, _, callback) { this._writev([{ chunk }], callback); }
  _writev(chunks, callback) {
    this.#whenStarted(() => {
      const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk));
      if (this.#upload === undefined) {
        this.#chunks.push(bytes);
        callback();
        return;
      }
      // Whether it arrived is told by the answer.
      this.#touch();
      const written = this.#upload.then((handle) => inner.host("net.write", { handle, bytes, cancel: this.#number }));
      written.then(() => callback(), () => callback());
    });
  }
  _final(callback) {
    this.#whenStarted(() => {
      if (this.#upload === undefined) {
        const body = Buffer.concat(this.#chunks);
        this.#ask(body.length > 0 ? { body } : {});
        callback();
        return;
      }
      const ended = this.#upload.then((handle) => inner.host("net.end", { handle, cancel: this.#number }));
      ended.then(() => callback(), () => callback());
    });
  }
  #touch(answered = false) {
    this.#watch.touch();
    this.#session._touch(answered);
  }
  #ask(more) {
    if (this.destroyed) return;
    this.#sent = true;
    this.#touch();
    inner.host("http.request", { ...this.#asked, ...more }).then(
      (answer) => {
        if (this.destroyed) {
          if (answer.handle !== undefined) cancel(this.#number, answer.handle);
        } else this.#begin(answer);
      },
      (error) => {
        if (!this.destroyed) this.#session._failed(error, this);
      },
    );
  }
  #begin(answer) {
    this.#touch(true);
    this._answered = true;
    this.#body = { handle: answer.handle, first: answer, ended: false };
    const flags = answer.ended && answer.bytes._v.length === 0 ? 5 : 4;
    this.emit("response", told(answer.headers, answer.status), flags, [":status", `${answer.status}`, ...answer.headers.flat()]);
    if (!this.destroyed) this._read();
  }
  _read() {
    const body = this.#body;
    if (body === undefined || body.busy || body.ended) return;
    if (body.first !== undefined) {
      const { first } = body;
      body.first = undefined;
      this.#take(first);
      return;
    }
    body.busy = true;
    inner.host("net.read", { handle: body.handle, pause: 5 + pause(this.#reads++, 0), cancel: this.#number }).then(
      (more) => {
        body.busy = false;
        this.#touch();
        if (!this.destroyed) this.#take(more);
      },
      () => {
        body.busy = false;
        this.#broken();
      },
    );
  }
  #broken() {
    if (this.destroyed) return;
    this.rstCode = INTERNAL_ERROR;
    this.destroy(closedWith(INTERNAL_ERROR));
  }
  #take(more) {
    if (more.broken !== undefined) {
      if (more.code === "ERR_RESPONSE_TOO_LARGE") this.destroy(errors.coded(Error, more.code, more.broken));
      else this.#broken();
      return;
    }
    const bytes = more.bytes === undefined ? undefined : bytesOf(more.bytes);
    const empty = bytes === undefined || bytes.length === 0;
    if (more.ended) this.#body.ended = true;
    const room = empty || this.push(bytes);
    if (more.ended) {
      if (more.trailers !== undefined) this.emit("trailers", told(more.trailers), 5, more.trailers.flat());
      this.push(null);
    } else if (room) this._read();
  }

  setTimeout(ms, callback) {
    this.#watch.set(ms, callback);
    return this;
  }
  priority() {}
  sendTrailers() { throw unsupported("sendTrailers"); }
  close(code = NO_ERROR, callback) {
    errors.validateInteger(code, "code", 0, 2 ** 32 - 1);
    if (callback !== undefined && typeof callback !== "function") throw errors.invalidType("callback", "function", callback);
    if (this.closed) return;
    this._ending = true;
    this.rstCode = code;
    if (callback) this.once("close", callback);
    // Without an error what is under way comes to its end.
    if (code === NO_ERROR && (this.#sent || this.#upload !== undefined)) {
      this.end();
      this.resume();
    } else this.destroy(code === NO_ERROR || code === CANCEL ? undefined : closedWith(code));
  }
  _destroy(error, callback) {
    this.#watch.stop();
    if (error && this.rstCode === NO_ERROR) this.rstCode = error.name === "AbortError" ? CANCEL : INTERNAL_ERROR;
    const open = !this.#body?.ended;
    if (open && !this.writableEnded) {
      this.aborted = true;
      this.emit("aborted");
    }
    if (this.#sent && open) cancel(this.#number, this.#body?.handle);
    this.#upload?.then((handle) => {
      if (!this.writableFinished) inner.host("net.close", { handle }).catch(() => {});
    }, () => {});
    callback(error);
  }
}

function connect(authority, options, listener) {
  if (typeof options === "function") [options, listener] = [undefined, options];
  if (options !== undefined && options !== null) errors.validateObject(options, "options");
  const given = { ...options };
  if (typeof authority === "string") authority = new (require("url").URL)(authority);
  if (typeof authority !== "object" && authority !== undefined) throw errors.invalidType("authority", ["string", "URL", "Object"], authority);
  const protocol = authority.protocol || given.protocol || "https:";
  if (protocol !== "http:" && protocol !== "https:") {
    throw errors.coded(Error, "ERR_HTTP2_UNSUPPORTED_PROTOCOL", `protocol "${protocol}" is unsupported.`);
  }
  if (typeof given.createConnection === "function") throw unsupported("the option 'createConnection'");
  const usual = protocol === "http:" ? 80 : 443;
  const port = Number(authority.port !== "" && authority.port !== undefined ? authority.port : usual);
  const host = `${authority.hostname || authority.host || "localhost"}`.replace(/^\[(.*)\]$/, "$1");
  const named = host.includes(":") ? `[${host}]` : host;
  const at = { protocol, host, port, authority: port === usual ? named : `${named}:${port}` };
  const session = new ClientHttp2Session(at, given, protocol === "https:" ? tlsOptions(given) : undefined);
  if (typeof listener === "function") session.once("connect", listener);
  return session;
}

Object.assign(exports, { connect, sensitiveHeaders });
