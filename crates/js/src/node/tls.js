// TLS over connections of TCP. Certificates are checked by the host.

const { Buffer } = require("buffer");
const net = require("net");
const process = require("process");
const errors = require("_errors");
const { number, cancel, bytesOf, connectError, tlsOptions } = require("_network");

class SecureContext {
  constructor(options = {}) {
    const { ca, cert, key, pfx, passphrase } = options;
    Object.defineProperty(this, "context", { value: { ca, cert, key, pfx, passphrase }, enumerable: true, configurable: true });
  }
}

function TLSSocket(socket, options) {
  if (!(this instanceof TLSSocket)) return new TLSSocket(socket, options);
  options = { ...options };
  net.Socket.call(this, { allowHalfOpen: socket ? socket.allowHalfOpen : options.allowHalfOpen, signal: options.signal });
  this._tlsOptions = options;
  this.encrypted = true;
  this.authorized = false;
  this.authorizationError = null;
  this.alpnProtocol = null;
  this.servername = options.servername;
  this.secureConnecting = true;
  this._secured = undefined;
  this._parent = socket ?? undefined;
}
Object.setPrototypeOf(TLSSocket.prototype, net.Socket.prototype);
Object.setPrototypeOf(TLSSocket, net.Socket);

// The name that has to be proven.
const nameOf = (options, host) => options.servername || host || "localhost";

Object.assign(TLSSocket.prototype, {
  // What a new connection asks beside its host.
  _secureConnect(host) {
    return { tls: tlsOptions(this._tlsOptions) ?? {}, serverName: nameOf(this._tlsOptions, host) };
  },
  // Goes on with TLS over a socket that is open, or will be.
  _wrap(plain) {
    const options = this._tlsOptions;
    this.connecting = true;
    this._number = number();
    this._host = options.servername || options.host || plain._host;
    const start = () => {
      const handle = plain._handle;
      if (handle === null || handle === undefined) {
        this.destroy(errors.coded(Error, "ERR_NOT_SUPPORTED", "TLS is only spoken over sockets of net and http"));
        return;
      }
      // The plain one is no longer read.
      plain._handle = null;
      plain._reading = false;
      const asked = { handle, tls: tlsOptions(options) ?? {}, serverName: nameOf(options, this._host), cancel: this._number };
      inner.host("net.secure", asked).then(
        (told) => {
          if (this.destroyed) cancel(this._number, told.handle);
          else this._opened(told);
        },
        (error) => {
          this.connecting = false;
          if (!this.destroyed) this.destroy(connectError(error, this._host));
        },
      );
      plain.once("close", () => this.destroy());
    };
    plain.on("error", (error) => this.destroy(error));
    this.once("close", () => plain.destroy());
    this.emitLookup = false;
    if (plain.connecting) plain.once("connect", start);
    else start();
  },
  _ready(told) {
    this._secured = told.secured;
    this.secureConnecting = false;
    this.alpnProtocol = told.secured?.alpn || false;
    this.authorized = this._tlsOptions.rejectUnauthorized !== false;
    if (!this.authorized) this.authorizationError = "UNCHECKED";
    this.emit("secure");
    this.emit("secureConnect");
  },
  getProtocol() { return this._secured?.protocol ?? null; },
  getCipher() {
    const name = this._secured?.cipher;
    return name === undefined ? undefined : { name, standardName: name, version: this.getProtocol() };
  },
  getPeerCertificate() {
    const raw = this._secured?.certificates[0];
    return raw === undefined ? {} : { raw: bytesOf(raw) };
  },
  getPeerX509Certificate() { return undefined; },
  getCertificate() { return {}; },
  getEphemeralKeyInfo() { return {}; },
  getFinished() { return undefined; },
  getPeerFinished() { return undefined; },
  getSession() { return undefined; },
  getTLSTicket() { return undefined; },
  isSessionReused() { return false; },
  setSession() {},
  setServername(name) { this._tlsOptions.servername = name; },
  setMaxSendFragment() { return true; },
  disableRenegotiation() {},
  enableTrace() {},
  renegotiate(_, callback) {
    const error = errors.coded(Error, "ERR_TLS_RENEGOTIATION_DISABLED", "TLS session renegotiation disabled for this socket");
    if (typeof callback === "function") process.nextTick(callback, error);
    return false;
  },
});

function connect(...args) {
  let [options, callback] = net._normalizeArgs(args);
  // `connect(port, host, options)`
  const more = args.find((part, index) => index > 0 && typeof part === "object" && part !== null);
  options = { ...options, ...more };
  if (options.ALPNProtocols !== undefined) options.ALPNProtocols = protocols(options.ALPNProtocols);
  const socket = new TLSSocket(options.socket, options);
  if (callback !== null) socket.once("secureConnect", callback);
  if (typeof options.timeout === "number" && options.socket) socket.setTimeout(options.timeout);
  if (options.socket) socket._wrap(options.socket);
  else socket.connect({ port: 443, ...options });
  return socket;
}

// Names, or one after the other with their lengths.
function protocols(list) {
  if (Array.isArray(list)) return list.map(String);
  const names = [];
  for (let at = 0; at < list.length; at += 1 + list[at]) {
    names.push(Buffer.from(list.subarray(at + 1, at + 1 + list[at])).toString("latin1"));
  }
  return names;
}

const unfqdn = (host) => host.replace(/\.$/, "");
const matches = (host, pattern) => {
  pattern = unfqdn(pattern).toLowerCase();
  if (!pattern.startsWith("*.")) return host === pattern;
  return host.split(".").length > 2 && host.slice(host.indexOf(".") + 1) === pattern.slice(2);
};

function checkServerIdentity(hostname, certificate) {
  hostname = unfqdn(`${hostname}`).toLowerCase();
  const names = certificate.subjectaltname === undefined ? [] : certificate.subjectaltname.split(", ");
  const dns = names.filter((name) => name.startsWith("DNS:")).map((name) => name.slice(4));
  const addresses = names.filter((name) => name.startsWith("IP Address:")).map((name) => name.slice(11));
  let reason;
  if (net.isIP(hostname) !== 0) {
    if (addresses.includes(hostname)) return undefined;
    reason = `IP: ${hostname} is not in the cert's list: ${addresses.join(", ")}`;
  } else if (dns.length > 0) {
    if (dns.some((name) => matches(hostname, name))) return undefined;
    reason = `Host: ${hostname}. is not in the cert's altnames: ${certificate.subjectaltname}`;
  } else {
    const common = [].concat(certificate.subject?.CN ?? []);
    if (common.some((name) => matches(hostname, name))) return undefined;
    reason = common.length > 0 ? `Host: ${hostname}. is not cert's CN: ${common.join()}` : "Cert does not contain a DNS name";
  }
  const error = errors.coded(Error, "ERR_TLS_CERT_ALTNAME_INVALID", `Hostname/IP does not match certificate's altnames: ${reason}`);
  return Object.assign(error, { reason, host: hostname, cert: certificate });
}

class Server extends net.Server {}

Object.assign(exports, {
  TLSSocket, connect, checkServerIdentity, SecureContext, Server,
  createServer: (options, listener) => new Server(options, listener),
  createSecureContext: (options) => new SecureContext(options),
  convertALPNProtocols(list, out) {
    const names = protocols(list);
    out.ALPNProtocols = Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name, "latin1")])));
  },
  getCiphers: () => ["tls_aes_128_gcm_sha256", "tls_aes_256_gcm_sha384", "tls_chacha20_poly1305_sha256",
    "ecdhe-ecdsa-aes128-gcm-sha256", "ecdhe-ecdsa-aes256-gcm-sha384", "ecdhe-rsa-aes128-gcm-sha256", "ecdhe-rsa-aes256-gcm-sha384"],
  rootCertificates: Object.freeze([]),
  DEFAULT_ECDH_CURVE: "auto",
  DEFAULT_CIPHERS: "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
  DEFAULT_MIN_VERSION: "TLSv1.2",
  DEFAULT_MAX_VERSION: "TLSv1.3",
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
  SLAB_BUFFER_SIZE: 10 * 1024 * 1024,
});
