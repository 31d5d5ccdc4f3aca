// What the network modules share: operations of the host that can be cancelled,
// their errors as Node words them, and how TLS is asked for.

const { Buffer } = require("buffer");
const errors = require("_errors");

// Milliseconds for more bytes after some. Reading costs operations, so who reads
// often reads more at once.
const pause = (reads, free) => Math.max(0, Math.min(250, (reads - free) * 2));

let last = 0;
// A number for `cancel`, so that an operation can be given up.
const number = () => ++last;
const cancel = (cancel, handle) =>
  inner.host("net.cancel", handle === undefined ? { cancel } : { cancel, handle }).catch(() => {});

const bytesOf = (binary) => {
  const bytes = binary._v;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};

const ERRNOS = {
  EPERM: -1, ENOENT: -2, EBADF: -9, EACCES: -13, EMFILE: -24, EPIPE: -32, EPROTO: -71, EADDRNOTAVAIL: -99, ENETUNREACH: -101,
  ECONNABORTED: -103, ECONNRESET: -104, ENOTCONN: -107, ETIMEDOUT: -110, ECONNREFUSED: -111, EHOSTUNREACH: -113,
  ECANCELED: -125, ENOTFOUND: -3008,
};

// An error of the system, as Node shows it: "connect ECONNREFUSED 127.0.0.1:80".
function systemError(syscall, code, details, message) {
  const at = details.address === undefined ? "" : ` ${details.address}${details.port ? `:${details.port}` : ""}`;
  const error = new Error(message ?? `${syscall} ${code}${details.hostname === undefined ? at : ` ${details.hostname}`}`);
  return Object.assign(error, { errno: ERRNOS[code], code, syscall, ...details });
}

// Why there is no connection to a host.
function connectError(error, host, port) {
  switch (error?.code) {
    case "ENOTFOUND":
      return systemError("getaddrinfo", "ENOTFOUND", { hostname: host });
    case "EACCES": case "EMFILE":
      return systemError("connect", error.code, { address: host, port }, error.message);
    case "ECONNREFUSED": case "ETIMEDOUT": case "EHOSTUNREACH": case "ENETUNREACH": case "EADDRNOTAVAIL":
      return systemError("connect", error.code, { address: host, port });
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return Object.assign(new Error(`Hostname/IP does not match certificate's altnames: Host: ${host}.`),
        { code: error.code, reason: `Host: ${host}. is not in the cert's altnames`, host });
    case "CERT_HAS_EXPIRED":
      return Object.assign(new Error("certificate has expired"), { code: error.code });
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return Object.assign(new Error("unable to verify the first certificate"), { code: error.code });
    case "ECONNRESET":
      return systemError("read", "ECONNRESET", {});
    default: {
      // Its own: where the host's was thrown is nobody's business.
      const own = new Error(String(error?.message ?? error));
      if (error?.code) own.code = error.code;
      return own;
    }
  }
}

const pem = (value) => {
  const parts = [].concat(value).filter((part) => part != null);
  if (parts.length === 0) return undefined;
  return parts.map((part) => {
    const held = typeof part === "object" && !ArrayBuffer.isView(part) && part.pem !== undefined ? part.pem : part;
    return typeof held === "string" ? held : Buffer.from(held.buffer, held.byteOffset, held.byteLength).toString("latin1");
  }).join("\n");
};

// What of TLS's options is not as usual; undefined when nothing is.
function tlsOptions(options) {
  const context = options.secureContext?.context ?? {};
  const pick = (name) => options[name] ?? context[name];
  if (pick("pfx") != null) {
    throw errors.coded(Error, "ERR_NOT_SUPPORTED", "the option 'pfx' is not supported: use 'cert' and 'key' as PEM");
  }
  if (pick("passphrase") != null && pick("key") != null) {
    throw errors.coded(Error, "ERR_NOT_SUPPORTED", "the option 'passphrase' is not supported: use a key that is not encrypted");
  }
  const alpn = [].concat(options.ALPNProtocols ?? []);
  const tls = {
    unverified: options.rejectUnauthorized === false ? true : undefined,
    ca: pem(pick("ca")), cert: pem(pick("cert")), key: pem(pick("key")),
    alpn: alpn.length > 0 && alpn.every((name) => typeof name === "string") ? alpn : undefined,
  };
  return Object.values(tls).some((value) => value !== undefined) ? tls : undefined;
}

Object.assign(exports, { pause, number, cancel, bytesOf, systemError, connectError, tlsOptions });
