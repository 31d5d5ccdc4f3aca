// Connections of TCP. There are no servers: nobody could connect to them.

const { Buffer } = require("buffer");
const EventEmitter = require("events");
const process = require("process");
const { Duplex } = require("stream");
const errors = require("_errors");
const { pause, number, cancel, bytesOf, systemError, connectError } = require("_network");

const V4 = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(?:\\.(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}";
const v4 = new RegExp(`^${V4}$`);
const tail4 = new RegExp(`:${V4}$`);

function isIPv4(text) {
  return v4.test(`${text}`);
}
function isIPv6(input) {
  let text = `${input}`;
  const zone = text.indexOf("%");
  if (zone >= 0) {
    if (!/^[0-9a-zA-Z\-.:]+$/.test(text.slice(zone + 1))) return false;
    text = text.slice(0, zone);
  }
  // An IPv4 address at the end stands for two groups.
  if (text.includes(".")) {
    if (!tail4.test(text)) return false;
    text = text.replace(tail4, ":0:0");
  }
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}
const isIP = (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

const TIMEOUT_MAX = 2 ** 31 - 1;

function Socket(options) {
  if (!(this instanceof Socket)) return new Socket(options);
  if (typeof options === "number") options = { fd: options };
  options = { ...options };
  if (options.fd !== undefined || options.handle !== undefined) {
    throw errors.coded(Error, "ERR_NOT_SUPPORTED", "sockets of files are not supported");
  }
  Duplex.call(this, {
    ...options, allowHalfOpen: options.allowHalfOpen === true, emitClose: false, autoDestroy: true, decodeStrings: true,
    construct: undefined, read: undefined, write: undefined, writev: undefined, final: undefined, destroy: undefined,
  });
  this.connecting = false;
  this._hadError = false;
  this._host = null;
  this._timer = undefined;
  this._reads = 0;
  this._reading = false;
  this._handle = null;
  this._number = undefined;
  this.bytesRead = 0;
  this._bytesWritten = 0;
  this.timeout = undefined;
  this.server = null;
  this.on("end", onEnd);
  const { signal } = options;
  if (signal !== undefined) require("stream").addAbortSignal(signal, this);
}
Object.setPrototypeOf(Socket.prototype, Duplex.prototype);
Object.setPrototypeOf(Socket, Duplex);

function onEnd() {
  if (!this.allowHalfOpen && this.writable) this.end();
}

// `connect(options)`, `connect(port, host)`, `connect(path)`, each with a
// callback.
function normalized(args) {
  if (args.length === 1 && Array.isArray(args[0]) && typeof args[0][0] === "object") return args[0];
  let options = {};
  const [first] = args;
  if (typeof first === "object" && first !== null) options = first;
  else if (typeof first === "string" && !/^\d+$/.test(first)) options.path = first;
  else {
    options.port = first;
    if (args.length > 1 && typeof args[1] === "string") options.host = args[1];
  }
  const callback = args.at(-1);
  return [options, typeof callback === "function" ? callback : null];
}

function portOf(port) {
  const valid = (typeof port === "number" || (typeof port === "string" && port.trim() !== ""))
    && +port === (+port >>> 0) && +port <= 65535;
  if (!valid) {
    throw errors.coded(RangeError, "ERR_SOCKET_BAD_PORT", `Port should be >= 0 and < 65536. ${errors.received(port)}.`);
  }
  return port | 0;
}

Object.assign(Socket.prototype, {
  connect(...args) {
    const [options, callback] = normalized(args);
    if (options.path !== undefined && options.path !== null) {
      throw errors.coded(Error, "ERR_NOT_SUPPORTED", "sockets of files are not supported");
    }
    if (options.port === undefined && options.path == null) {
      throw errors.coded(TypeError, "ERR_MISSING_ARGS", 'The "options" or "port" or "path" argument must be specified');
    }
    const port = portOf(options.port);
    const host = options.host || "localhost";
    if (typeof host !== "string") throw errors.invalidType("options.host", "string", host);
    if (callback !== null) this.once("connect", callback);
    this.connecting = true;
    this._host = host;
    this._port = port;
    this._number = number();
    if (typeof options.timeout === "number") this.setTimeout(options.timeout);
    this._open({ host, port, cancel: this._number, ...this._secureConnect?.(host) });
    return this;
  },
  // Asks for the connection; a lookup of one's own comes first.
  _open(asked) {
    this._touch();
    inner.host("net.connect", asked).then(
      (told) => {
        if (this.destroyed) {
          cancel(this._number, told.handle);
          return;
        }
        this._opened(told);
      },
      (error) => {
        this.connecting = false;
        if (!this.destroyed) this.destroy(connectError(error, asked.host, asked.port));
      },
    );
  },
  // Takes a connection that is open.
  _opened(told) {
    this._handle = told.handle;
    this.connecting = false;
    this._ends(told);
    this._touch();
    if (this.emitLookup !== false && isIP(this._host ?? "") === 0 && told.remote !== undefined) {
      this.emit("lookup", null, told.remote.address, told.remote.family === "IPv6" ? 6 : 4, this._host);
    }
    this.emit("connect");
    this._ready?.(told);
    this.emit("ready");
    if (!this.destroyed) this.read(0);
  },
  _ends({ local, remote }) {
    this.remoteAddress = remote?.address;
    this.remotePort = remote?.port;
    this.remoteFamily = remote?.family;
    this.localAddress = local?.address;
    this.localPort = local?.port;
    this.localFamily = local?.family;
  },
  _read() {
    if (this._handle === null) {
      if (this.connecting) this.once("connect", () => this._read());
      return;
    }
    if (this._reading) return;
    this._reading = true;
    const handle = this._handle;
    inner.host("net.read", { handle, pause: pause(this._reads++, 200) }, true).then(
      (told) => {
        if (handle !== this._handle) return;
        this._reading = false;
        this._touch();
        if (told.ended) {
          this.push(null);
          this.read(0);
          return;
        }
        const bytes = bytesOf(told.bytes);
        this.bytesRead += bytes.length;
        if (this.push(bytes)) this._read();
      },
      (error) => {
        if (handle !== this._handle) return;
        this._reading = false;
        this.destroy(systemError("read", error.code === "EPROTO" ? "ECONNRESET" : error.code, {}));
      },
    );
  },
  _write(chunk, _, callback) {
    if (this.connecting) {
      this.once("connect", () => this._write(chunk, _, callback));
      return;
    }
    this._send([chunk], callback);
  },
  _writev(chunks, callback) {
    if (this.connecting) {
      this.once("connect", () => this._writev(chunks, callback));
      return;
    }
    this._send(chunks.map(({ chunk }) => chunk), callback);
  },
  _send(chunks, callback) {
    if (this._handle === null) {
      callback(systemError("write", "EPIPE", {}, "This socket has been ended by the other party"));
      return;
    }
    const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    this._bytesWritten += bytes.length;
    this._touch();
    inner.host("net.write", { handle: this._handle, bytes }).then(
      () => {
        this._touch();
        callback();
      },
      (error) => callback(this.destroyed ? null : systemError("write", error.code, {})),
    );
  },
  _final(callback) {
    if (this.connecting) {
      this.once("connect", () => this._final(callback));
      return;
    }
    if (this._handle === null) {
      callback();
      return;
    }
    inner.host("net.end", { handle: this._handle }).then(
      () => callback(),
      (error) => callback(error.code === "EPIPE" || error.code === "ECONNRESET" ? null : systemError("shutdown", error.code, {})),
    );
  },
  _destroy(error, callback) {
    clearTimeout(this._timer);
    const opened = this.connecting || this._handle !== null;
    if (this._number !== undefined && opened) cancel(this._number, this._handle ?? undefined);
    this.connecting = false;
    this._handle = null;
    callback(error);
    const hadError = opened ? error != null : undefined;
    process.nextTick(() => this.emit("close", hadError));
  },
  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  },
  resetAndDestroy() { return this.destroy(); },
  setTimeout(ms, callback) {
    errors.validateNumber(ms, "msecs");
    if (ms < 0 || !Number.isFinite(ms)) throw errors.outOfRange("msecs", "a non-negative finite number", ms);
    if (callback !== undefined) errors.validateFunction(callback, "callback");
    clearTimeout(this._timer);
    this._timer = undefined;
    this.timeout = Math.min(ms, TIMEOUT_MAX);
    if (ms === 0) {
      if (callback !== undefined) this.removeListener("timeout", callback);
    } else {
      this._timer = setTimeout(() => this.emit("timeout"), this.timeout);
      // It waits for nothing itself.
      this._timer.unref?.();
      if (callback !== undefined) this.once("timeout", callback);
    }
    return this;
  },
  _touch() {
    this._timer?.refresh?.();
  },
  setNoDelay() { return this; },
  setKeepAlive() { return this; },
  ref() { return this; },
  unref() { return this; },
  address() {
    return this.localAddress === undefined ? {}
      : { address: this.localAddress, family: this.localFamily, port: this.localPort };
  },
});

Object.defineProperties(Socket.prototype, {
  pending: { configurable: true, get() { return this._handle === null || this.connecting; } },
  readyState: {
    configurable: true,
    get() {
      if (this.connecting) return "opening";
      if (this.readable && this.writable) return "open";
      return this.readable ? "readOnly" : this.writable ? "writeOnly" : "closed";
    },
  },
  bufferSize: { configurable: true, get() { return this.writableLength; } },
  bytesWritten: {
    configurable: true,
    get() { return this._bytesWritten; },
  },
});

function connect(...args) {
  const [options, callback] = normalized(args);
  const socket = new Socket(options);
  return callback === null ? socket.connect(options) : socket.connect(options, callback);
}

class Server extends EventEmitter {
  constructor(options, listener) {
    super();
    if (typeof options === "function") listener = options;
    if (typeof listener === "function") this.on("connection", listener);
    this.listening = false;
  }
  listen() {
    throw errors.coded(Error, "ERR_NOT_SUPPORTED", "a function cannot listen: nobody could connect to it");
  }
  address() { return null; }
  close(callback) {
    const error = errors.coded(Error, "ERR_SERVER_NOT_RUNNING", "Server is not running.");
    if (typeof callback === "function") process.nextTick(callback, error);
    return this;
  }
  getConnections(callback) { process.nextTick(callback, null, 0); return this; }
  ref() { return this; }
  unref() { return this; }
}

Object.assign(exports, {
  isIP, isIPv4, isIPv6, Socket, Stream: Socket, connect, createConnection: connect, Server,
  createServer: (options, listener) => new Server(options, listener),
  getDefaultAutoSelectFamily: () => true, setDefaultAutoSelectFamily() {},
  getDefaultAutoSelectFamilyAttemptTimeout: () => 250, setDefaultAutoSelectFamilyAttemptTimeout() {},
  _normalizeArgs: normalized,
});
