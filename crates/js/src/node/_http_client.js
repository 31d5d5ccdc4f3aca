// Requests of HTTP and HTTPS. The host sends them, keeps connections and reads
// answers; what is here is how Node's interface shows that.

const { Buffer } = require("buffer");
const EventEmitter = require("events");
const net = require("net");
const process = require("process");
const errors = require("_errors");
const { number, cancel, connectError, tlsOptions } = require("_network");
const { OutgoingMessage, IncomingMessage, TOKEN, reset } = require("_http_message");

// Bytes of a body that are kept before it is sent while it is written.
const STREAMED_BYTES = 1024 * 1024;
const BAD_PATH = /[^\u0021-\u00ff]/;

class Agent extends EventEmitter {
  constructor(options) {
    super();
    this.defaultPort = 80;
    this.protocol = "http:";
    this.options = { path: null, ...options };
    if (this.options.noDelay === undefined) this.options.noDelay = true;
    this.requests = Object.create(null);
    this.sockets = Object.create(null);
    this.freeSockets = Object.create(null);
    this.keepAliveMsecs = this.options.keepAliveMsecs || 1000;
    this.keepAlive = this.options.keepAlive || false;
    this.maxSockets = this.options.maxSockets || Infinity;
    this.maxFreeSockets = this.options.maxFreeSockets || 256;
    this.scheduling = this.options.scheduling || "lifo";
    this.maxTotalSockets = this.options.maxTotalSockets ?? Infinity;
    this.totalSocketCount = 0;
  }
  createConnection(...args) { return net.createConnection(...args); }
  // For agents that are made of this one. Connections of this one itself are the
  // host's: nothing is kept here.
  addRequest(request, options) {
    this.createSocket(request, { ...options, ...this.options }, (error, socket) => request.onSocket(socket ?? null, error));
  }
  createSocket(request, options, callback) {
    let called = false;
    const once = (error, socket) => {
      if (called) return;
      called = true;
      callback(error, socket);
    };
    const socket = this.createConnection(options, once);
    if (socket) once(null, socket);
  }
  keepSocketAlive() { return true; }
  reuseSocket() {}
  removeSocket() {}
  destroy() {}
  getName(options = {}) {
    let name = `${options.host || "localhost"}:${options.port || ""}:${options.localAddress || ""}`;
    if (options.family === 4 || options.family === 6) name += `:${options.family}`;
    if (options.socketPath) name += `:${options.socketPath}`;
    return name;
  }
  static get defaultMaxSockets() { return Infinity; }
}
const globalAgent = new Agent({ keepAlive: true });

// The options that a URL stands for.
function ofUrl(url) {
  const { hostname } = url;
  const options = {
    protocol: url.protocol, hash: url.hash, search: url.search, pathname: url.pathname, href: url.href,
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname, path: `${url.pathname || ""}${url.search || ""}`,
  };
  if (url.port !== "") options.port = Number(url.port);
  if (url.username || url.password) options.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return options;
}
const isUrl = (value) => value instanceof require("url").URL
  || Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined);

class ClientRequest extends OutgoingMessage {
  constructor(input, options, callback) {
    super();
    if (typeof input === "string") input = ofUrl(new (require("url").URL)(input));
    else if (isUrl(input)) input = ofUrl(input);
    else {
      callback = options;
      options = input;
      input = undefined;
    }
    if (typeof options === "function") {
      callback = options;
      options = undefined;
    }
    options = { ...input, ...options };

    let { agent } = options;
    const defaultAgent = options._defaultAgent || globalAgent;
    if (agent === false) agent = new defaultAgent.constructor();
    else if (agent == null) agent = typeof options.createConnection === "function" ? undefined : defaultAgent;
    else if (typeof agent.addRequest !== "function") {
      throw errors.invalidType("options.agent", ["Agent-like Object", "undefined", "false"], agent);
    }
    this.agent = agent;
    const protocol = (options.protocol = options.protocol || defaultAgent.protocol);
    const expected = agent?.protocol ?? defaultAgent.protocol;
    if (options.path) {
      const path = String(options.path);
      if (BAD_PATH.test(path)) throw errors.coded(TypeError, "ERR_UNESCAPED_CHARACTERS", "Request path contains unescaped characters");
    }
    if (protocol !== expected) {
      throw errors.coded(TypeError, "ERR_INVALID_PROTOCOL", `Protocol "${protocol}" not supported. Expected "${expected}"`);
    }
    if (options.socketPath) throw errors.coded(Error, "ERR_NOT_SUPPORTED", "sockets of files are not supported");
    const defaultPort = options.defaultPort || agent?.defaultPort || defaultAgent.defaultPort;
    const port = (options.port = options.port || defaultPort || 80);
    const host = (options.host = validHost(options.hostname, "hostname") || validHost(options.host, "host") || "localhost");
    const setHost = options.setHost === undefined || Boolean(options.setHost);
    if (options.timeout !== undefined) this.timeout = validTimeout(options.timeout, "timeout");
    const method = options.method;
    if (method != null && typeof method !== "string") throw errors.invalidType("options.method", "string", method);
    if (method) {
      if (!TOKEN.test(method)) throw errors.coded(TypeError, "ERR_INVALID_HTTP_TOKEN", `Method must be a valid HTTP token ["${method}"]`);
      this.method = method.toUpperCase();
    } else this.method = "GET";

    this.maxHeaderSize = options.maxHeaderSize;
    this.path = options.path || "/";
    this.host = host;
    this.protocol = protocol;
    this.reusedSocket = false;
    this.maxHeadersCount = null;
    this.aborted = false;
    this.res = null;
    this.upgradeOrConnect = false;
    this._options = options;
    this._port = port;
    this._defaultPort = defaultPort;
    this._number = number();
    this._chunks = [];
    this._size = 0;
    this._upload = undefined;
    this._started = false;
    this._own = undefined;
    this._asked = false;
    this._closed = false;
    if (callback) this.once("response", callback);

    const { headers } = options;
    if (Array.isArray(headers)) {
      if (headers.length > 0 && Array.isArray(headers[0])) for (const [name, value] of headers) this.appendHeader(name, value);
      else for (let at = 0; at + 1 < headers.length; at += 2) this.appendHeader(headers[at], headers[at + 1]);
    } else if (headers) {
      for (const name of Object.keys(headers)) this.setHeader(name, headers[name]);
    }
    if (setHost && !this.hasHeader("host")) {
      const shown = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
      this.setHeader("Host", Number(port) === defaultPort ? shown : `${shown}:${port}`);
    }
    if (options.auth && !this.hasHeader("authorization")) {
      this.setHeader("Authorization", `Basic ${Buffer.from(options.auth).toString("base64")}`);
    }
    if (this.timeout !== undefined) this._watch(this.timeout, this);
    const { signal } = options;
    if (signal) {
      errors.validateAbortSignal(signal, "options.signal");
      const abort = () => this.destroy(new errors.AbortError("The operation was aborted", { cause: signal.reason }));
      if (signal.aborted) process.nextTick(abort);
      else {
        signal.addEventListener("abort", abort);
        this.once("close", () => signal.removeEventListener("abort", abort));
      }
    }
    process.nextTick(() => {
      if (this.destroyed) return;
      // Agents of packages bring a connection of their own.
      if (own(this, agent, options)) {
        require("_http_socket").start(this, agent, options);
        return;
      }
      if (this.listenerCount("socket") > 0) this.emit("socket", this.socket);
      this._start();
    });
  }

  // What stands for the connection, for who looks at it.
  get socket() {
    if (this._socket === undefined) {
      const secure = this.protocol === "https:";
      const socket = secure ? new (require("tls").TLSSocket)(undefined, { servername: this.host }) : new net.Socket();
      Object.assign(socket, { _host: this.host, timeout: this.timeout ?? 0 }, secure ? { authorized: true, secureConnecting: false } : {});
      socket.on("error", () => {});
      socket.once("close", () => this.destroy());
      this._socket = socket;
    }
    return this._socket;
  }
  set socket(socket) { this._socket = socket; }
  get connection() { return this.socket; }
  set connection(socket) { this._socket = socket; }
  get connecting() { return false; }

  _start() {
    if (this._started) return;
    this._started = true;
    this._go?.();
  }
  // Runs once the connection may be used.
  _whenStarted(work) {
    if (this._started) work();
    else this._go = work;
  }

  _write(chunk, _, callback) {
    this._chunks.push(chunk);
    this._size += chunk.length;
    if (this._size < STREAMED_BYTES || this._own) callback();
    // Whether it arrived is told by the answer.
    else this._whenStarted(() => this._send().then(() => callback(), () => callback()));
  }
  // Sends what was written so far.
  async _send() {
    if (this._upload === undefined) {
      const bytes = Number(this.getHeader("content-length"));
      this._upload = (await inner.host("http.upload", Number.isSafeInteger(bytes) ? { bytes } : {})).handle;
      this._ask({ upload: this._upload });
    }
    const bytes = this._body();
    if (bytes.length > 0) await inner.host("net.write", { handle: this._upload, bytes, cancel: this._number });
  }
  _body() {
    const chunks = this._chunks;
    this._chunks = [];
    this._size = 0;
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  }
  _final(callback) {
    this._whenStarted(() => {
      if (this._own) {
        this._own.send(this._body());
        callback();
        return;
      }
      if (this._upload === undefined) {
        const body = this._body();
        this._ask(body.length > 0 ? { body } : {});
        callback();
        return;
      }
      const ended = this._send().then(() => inner.host("net.end", { handle: this._upload, cancel: this._number }));
      ended.then(() => callback(), () => callback());
    });
  }

  _ask(more) {
    if (this._asked || this.destroyed) return;
    this._asked = true;
    const host = this.host.includes(":") && !this.host.startsWith("[") ? `[${this.host}]` : this.host;
    const upgrade = this.hasHeader("upgrade") && /\bupgrade\b/i.test(`${this.getHeader("connection")}`);
    const options = { ...this.agent?.options, ...this._options };
    const secure = this.protocol === "https:";
    const named = secure && options.servername && options.servername !== this.host && net.isIP(options.servername) === 0;
    const asked = {
      method: this.method, url: `${this.protocol}//${host}:${this._port}/`, headers: this._pairs(), pause: 5, cancel: this._number,
      target: this.path.replace(/#.*$/, "").replace(/[\x7f-\xff]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
      tls: secure ? tlsOptions(options) : undefined, serverName: named ? options.servername : undefined,
      upgrade: upgrade || undefined, ...more,
    };
    this._touch();
    inner.host("http.request", asked).then(
      (told) => {
        if (this.destroyed) {
          if (told.handle !== undefined) cancel(this._number, told.handle);
        } else this._answered(told);
      },
      (error) => this._failed(error),
    );
  }
  _failed(error) {
    if (this.destroyed) return;
    const hung = error.code === "ECONNRESET" && !this.res;
    this.destroy(hung ? reset("socket hang up") : connectError(error, this.host, Number(this._port)));
  }
  _answered(told) {
    this._touch();
    const answer = new IncomingMessage();
    this.res = answer;
    answer._begin(told, this);
    if (told.status === 101) {
      this._upgraded(answer, told);
      return;
    }
    answer.once("close", () => this._close());
    if (this.aborted || !this.emit("response", answer)) answer._dump();
  }
  _upgraded(answer, told) {
    const secure = this.protocol === "https:";
    const socket = secure ? new (require("tls").TLSSocket)(undefined, {}) : new net.Socket();
    socket._number = number();
    socket._host = this.host;
    if (secure) Object.assign(socket, { authorized: true, secureConnecting: false });
    socket._handle = told.handle;
    answer._body = undefined;
    answer.complete = true;
    answer.upgrade = true;
    answer.socket = socket;
    answer.push(null);
    this._socket = socket;
    this.upgradeOrConnect = true;
    if (!this.emit("upgrade", answer, socket, Buffer.alloc(0))) socket.destroy();
    this._close();
  }
  _close() {
    if (this._closed) return;
    this._closed = true;
    clearTimeout(this._timer);
    this.destroyed = true;
    process.nextTick(() => this.emit("close"));
  }

  abort() {
    if (this.aborted) return;
    this.aborted = true;
    process.nextTick(() => this.emit("abort"));
    this.destroy();
  }
  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    clearTimeout(this._timer);
    this._own?.destroy();
    if (this._asked && !this.res) cancel(this._number, this._upload);
    else if (this._upload !== undefined) inner.host("net.close", { handle: this._upload }).catch(() => {});
    if (this.res) {
      this.res.destroy(error ?? (this.res.complete ? undefined : reset("aborted")));
      if (this._closed) return this;
    } else error ??= reset("socket hang up");
    this._closed = true;
    process.nextTick(() => {
      if (error !== undefined && error !== null && !(this.res && this.res.listenerCount("error") > 0)) this.emit("error", error);
      this.emit("close");
    });
    return this;
  }

  // Emits "timeout" when nothing happens for so long.
  _watch(ms, on) {
    clearTimeout(this._timer);
    this._timer = undefined;
    if (ms > 0) {
      this._timer = setTimeout(() => {
        this._socket?.emit("timeout");
        on.emit("timeout");
      }, ms);
      this._timer.unref?.();
    }
  }
  _touch() {
    this._timer?.refresh?.();
    this._socket?._touch?.();
  }
  setTimeout(ms, callback) {
    if (this.destroyed) return this;
    this.timeout = validTimeout(ms, "msecs");
    if (callback) this.once("timeout", callback);
    this._watch(this.timeout, this);
    return this;
  }
  setNoDelay() {}
  setSocketKeepAlive() {}
  clearTimeout(callback) { this.setTimeout(0, callback); }
  // A connection that an agent made.
  onSocket(socket, error) {
    if (error || !socket) this.destroy(error);
    else if (this.destroyed) socket.destroy();
    else require("_http_socket").use(this, socket);
  }
}

const validHost = (host, name) => {
  if (host !== null && host !== undefined && typeof host !== "string") {
    throw errors.invalidType(`options.${name}`, ["string", "undefined", "null"], host);
  }
  return host;
};
const validTimeout = (ms, name) => {
  errors.validateNumber(ms, name);
  if (ms < 0 || !Number.isFinite(ms)) throw errors.outOfRange(name, "a non-negative finite number", ms);
  return Math.min(ms, 2 ** 31 - 1);
};

// Whether the request goes over a connection that is made here: by what is not
// Node's, or for a proxy.
function own(request, agent, options) {
  if (request.method === "CONNECT" || !/^[/*]/.test(request.path)) return true;
  if (agent === undefined) return typeof options.createConnection === "function";
  return agent.addRequest !== Agent.prototype.addRequest || agent.createSocket !== Agent.prototype.createSocket
    || !exports.BUILT_IN.has(agent.createConnection);
}

exports.BUILT_IN = new Set([Agent.prototype.createConnection]);
Object.assign(exports, { Agent, ClientRequest, globalAgent, ofUrl, isUrl });
