// Web cryptography: `crypto.subtle`, and what is global as `crypto`.

const { Buffer } = require("buffer");
const { coded, invalidType } = require("_errors");
const { isBytes, view } = require("_crypto_input");
const keys = require("_crypto_keys");
const native = inner.node;

const fail = (name, message) => new DOMException(message, name);
const notSupported = () => fail("NotSupportedError", "Unrecognized algorithm name");
const operation = () => fail("OperationError", "The operation failed for an operation-specific reason");
const dataError = (message) => fail("DataError", message);

function content(value, name) {
  if (!isBytes(value)) throw invalidType(name, ["ArrayBuffer", "Buffer", "TypedArray", "DataView"], value);
  return new Uint8Array(view(value));
}
const plain = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

// ---- Algorithms: kind, and what keys may be used for.

const SIGN = ["sign", "verify"], CRYPT = ["encrypt", "decrypt", "wrapKey", "unwrapKey"], DERIVE = ["deriveKey", "deriveBits"];
const ALGORITHMS = {
  __proto__: null,
  "AES-CBC": { kind: "aes", uses: CRYPT, jwk: "CBC" }, "AES-CTR": { kind: "aes", uses: CRYPT, jwk: "CTR" },
  "AES-GCM": { kind: "aes", uses: CRYPT, jwk: "GCM" }, "AES-KW": { kind: "aes", uses: ["wrapKey", "unwrapKey"], jwk: "KW" },
  HMAC: { kind: "hmac", uses: SIGN },
  "RSASSA-PKCS1-V1_5": { name: "RSASSA-PKCS1-v1_5", kind: "rsa", uses: SIGN, jwk: "RS" },
  "RSA-PSS": { kind: "rsa", uses: SIGN, jwk: "PS" }, "RSA-OAEP": { kind: "rsa", uses: CRYPT, jwk: "RSA-OAEP" },
  ECDSA: { kind: "ec", uses: SIGN }, ECDH: { kind: "ec", uses: DERIVE },
  ED25519: { name: "Ed25519", kind: "okp", uses: SIGN }, X25519: { name: "X25519", kind: "okp", uses: DERIVE },
  HKDF: { kind: "derive", uses: DERIVE }, PBKDF2: { kind: "derive", uses: DERIVE },
};
const HASHES = { __proto__: null, "SHA-1": 512, "SHA-256": 512, "SHA-384": 1024, "SHA-512": 1024 };
const CURVES = { __proto__: null, "P-256": 32, "P-384": 48, "P-521": 66, secp256k1: 32 };
// What the public half of a pair is used for.
const OPEN_USES = ["verify", "encrypt", "wrapKey"];

function normal(algorithm) {
  const given = typeof algorithm === "string" ? { name: algorithm } : algorithm;
  if (typeof given !== "object" || given === null || given.name === undefined) {
    throw coded(TypeError, "ERR_MISSING_OPTION", "Algorithm: name is required");
  }
  const name = String(given.name).toUpperCase();
  const known = ALGORITHMS[name];
  if (known === undefined) throw notSupported();
  return { ...given, name: known.name ?? name, known };
}

function hashOf(given) {
  const name = String(typeof given === "object" && given !== null ? given.name : given).toUpperCase();
  if (!(name in HASHES)) throw notSupported();
  return name;
}

// ---- Keys.

let make;
let inside;

class CryptoKey {
  #parts;

  constructor(token, parts) {
    if (token !== make) throw coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    this.#parts = parts;
  }

  static {
    // A key's algorithm and uses, and a handle that nobody else reaches.
    inside = (key) => (typeof key === "object" && key !== null && #parts in key ? key.#parts : undefined);
    make = (handle, algorithm, extractable, usages) =>
      new CryptoKey(make, { handle, algorithm, extractable, usages });
  }
}
for (const [name, read] of Object.entries({
  type: (parts) => parts.handle.type, extractable: (parts) => parts.extractable, algorithm: (parts) => parts.algorithm,
  usages: (parts) => [...parts.usages],
})) {
  Object.defineProperty(CryptoKey.prototype, name, {
    configurable: true, enumerable: true,
    get() {
      const parts = inside(this);
      if (parts === undefined) throw coded(TypeError, "ERR_INVALID_THIS", "Value of \"this\" must be of type CryptoKey");
      return read(parts);
    },
  });
}
Object.defineProperty(CryptoKey.prototype, Symbol.toStringTag, { value: "CryptoKey", configurable: true });
keys.web.keyOf = (key) => {
  const parts = inside(key);
  return parts && keys.wrap(parts.handle);
};

const secret = (bytes) => ({ type: "secret", secret: bytes });

function checkedUses(usages, allowed) {
  const list = [...new Set(Array.from(usages, String))];
  if (list.some((use) => !allowed.includes(use))) {
    throw fail("SyntaxError", "Unsupported key usage for a key");
  }
  return list;
}

function needed(list) {
  if (list.length === 0) throw fail("SyntaxError", "Usages cannot be empty when creating a key.");
  return list;
}

// A key for a use, of the algorithm that is asked for.
function keyFor(key, algorithm, use) {
  const parts = inside(key);
  if (parts === undefined) throw invalidType("key", "CryptoKey", key);
  if (parts.algorithm.name !== algorithm.name) throw fail("InvalidAccessError", "Key algorithm mismatch");
  if (use && !parts.usages.includes(use)) throw fail("InvalidAccessError", `Unable to use this key to ${use}`);
  return parts;
}

const rsaAlgorithm = (name, { details }, hash) => ({
  name, modulusLength: details.modulusLength, publicExponent: new Uint8Array(details.publicExponent), hash: { name: hash },
});

async function generateKey(algorithm, extractable, usages) {
  const { name, known, ...given } = normal(algorithm);
  const uses = checkedUses(usages, known.uses);
  if (known.kind === "aes" || known.kind === "hmac") {
    needed(uses);
    const hash = known.kind === "hmac" ? hashOf(given.hash) : undefined;
    const length = hash === undefined ? Number(given.length) : given.length === undefined ? HASHES[hash] : Number(given.length);
    if (hash === undefined ? ![128, 192, 256].includes(length) : !(length > 0 && length % 8 === 0)) {
      throw fail("OperationError", "Invalid key length");
    }
    const made = hash === undefined ? { name, length } : { name, hash: { name: hash }, length };
    return make(secret(native("crypto.random", length / 8)), made, Boolean(extractable), uses);
  }
  if (known.kind === "derive") throw notSupported();
  let made, described;
  if (known.kind === "rsa") {
    const exponent = Array.from(content(given.publicExponent, "algorithm.publicExponent")).reduce((n, byte) => n * 256 + byte, 0);
    const hash = hashOf(given.hash);
    made = native("crypto.key.generate", "rsa", Number(given.modulusLength), exponent);
    described = rsaAlgorithm(name, made, hash);
  } else if (known.kind === "ec") {
    if (!(given.namedCurve in CURVES)) throw fail("NotSupportedError", "Unrecognized namedCurve");
    made = native("crypto.key.generate", "ec", given.namedCurve);
    described = { name, namedCurve: given.namedCurve };
  } else {
    made = native("crypto.key.generate", name.toLowerCase());
    described = { name };
  }
  const closed = { type: "private", name: made.name, der: made.der, details: made.details };
  const open = uses.filter((use) => OPEN_USES.includes(use));
  return {
    publicKey: make(keys.publicOf(closed), described, true, open),
    privateKey: make(closed, described, Boolean(extractable), needed(uses.filter((use) => !OPEN_USES.includes(use)))),
  };
}

async function importKey(format, keyData, algorithm, extractable, usages) {
  const { name, known, ...given } = normal(algorithm);
  const isJwk = format === "jwk";
  if (!["raw", "pkcs8", "spki", "jwk"].includes(format)) throw fail("NotSupportedError", `Unable to import a key using ${format} format`);
  if (isJwk && (typeof keyData !== "object" || keyData === null || isBytes(keyData))) throw invalidType("keyData", "JsonWebKey", keyData);
  const bytes = isJwk ? undefined : content(keyData, "keyData");
  if (isJwk && extractable && keyData.ext === false) throw dataError("JWK \"ext\" Parameter and extractable mismatch");
  const uses = checkedUses(usages, known.uses);
  if (["aes", "hmac", "derive"].includes(known.kind)) {
    if (!isJwk && format !== "raw") throw fail("NotSupportedError", `Unable to import ${name} using ${format} format`);
    if (isJwk && (keyData.kty !== "oct" || typeof keyData.k !== "string")) throw dataError("Invalid keyData");
    const raw = isJwk ? new Uint8Array(Buffer.from(keyData.k, "base64url")) : bytes;
    needed(uses);
    if (known.kind === "derive") {
      if (extractable) throw fail("SyntaxError", `${name} keys are not extractable`);
      return make(secret(raw), { name }, false, uses);
    }
    const length = raw.length * 8;
    if (known.kind === "aes") {
      if (![128, 192, 256].includes(length)) throw dataError("Invalid key length");
      return make(secret(raw), { name, length }, Boolean(extractable), uses);
    }
    if (length === 0) throw dataError("Zero-length key is not supported");
    return make(secret(raw), { name, hash: { name: hashOf(given.hash) }, length }, Boolean(extractable), uses);
  }
  const isPrivate = isJwk ? keyData.d !== undefined : format === "pkcs8";
  let handle;
  try {
    if (isJwk) handle = keys.imported(isPrivate ? "private" : "public", { ...keyData }, "jwk");
    else if (format !== "raw") handle = keys.imported(isPrivate ? "private" : "public", bytes, "der", format);
    else if (known.kind === "ec") handle = pointKey(given.namedCurve, bytes);
    else if (known.kind === "okp") handle = keys.imported("public", { kty: "OKP", crv: name, x: Buffer.from(bytes).toString("base64url") }, "jwk");
  } catch {
    throw dataError("Invalid keyData");
  }
  if (handle === undefined) throw fail("NotSupportedError", `Unable to import ${name} using ${format} format`);
  const wanted = { rsa: "rsa", ec: "ec", okp: name.toLowerCase() }[known.kind];
  if (handle.name !== wanted) throw dataError("Invalid key type");
  let described = { name };
  if (known.kind === "rsa") described = rsaAlgorithm(name, handle, hashOf(given.hash));
  if (known.kind === "ec") {
    const { crv } = native("crypto.key.export", handle.der, "jwk");
    if (crv !== given.namedCurve) throw dataError("Named curve mismatch");
    described.namedCurve = crv;
  }
  const agrees = name === "ECDH" || name === "X25519";
  const allowed = uses.filter((use) => (isPrivate ? !OPEN_USES.includes(use) : OPEN_USES.includes(use)));
  if (allowed.length !== uses.length || (agrees && !isPrivate && uses.length > 0)) throw fail("SyntaxError", "Unsupported key usage for a key");
  return make(handle, described, Boolean(extractable), isPrivate ? needed(uses) : uses);
}

const pointKey = (curve, bytes) => {
  const { name, der, details } = native("crypto.key.point", String(curve), bytes);
  return { type: "public", name, der, details };
};

async function exportKey(format, key) {
  const parts = inside(key);
  if (parts === undefined) throw invalidType("key", "CryptoKey", key);
  if (!parts.extractable) throw fail("InvalidAccessError", "key is not extractable");
  const { handle, algorithm, usages } = parts;
  const known = ALGORITHMS[algorithm.name.toUpperCase()];
  if (format === "jwk") {
    const extra = { key_ops: [...usages], ext: true };
    if (handle.type === "secret") {
      const jwk = { kty: "oct", k: Buffer.from(handle.secret).toString("base64url") };
      const alg = known.kind === "aes" ? `A${algorithm.length}${known.jwk}` : `HS${algorithm.hash.name.slice(4)}`;
      return { ...extra, ...jwk, alg: alg === "HS1" ? "HS1" : alg };
    }
    const jwk = native("crypto.key.export", handle.der, "jwk");
    if (known.kind === "rsa") {
      const size = algorithm.hash.name.slice(4);
      const oaep = size === "1" ? "RSA-OAEP" : `RSA-OAEP-${size}`;
      return { ...extra, ...jwk, alg: known.jwk === "RSA-OAEP" ? oaep : `${known.jwk}${size}` };
    }
    return { ...extra, ...jwk };
  }
  if (format === "raw" && handle.type === "secret") return plain(handle.secret.slice());
  if (format === "raw" && handle.type === "public" && known.kind !== "rsa") {
    const { x, y } = native("crypto.key.export", handle.der, "jwk");
    const parts = [Buffer.from(x, "base64url")];
    if (y !== undefined) parts.unshift(Buffer.of(4)), parts.push(Buffer.from(y, "base64url"));
    return plain(new Uint8Array(Buffer.concat(parts)));
  }
  if ((format === "spki" && handle.type === "public") || (format === "pkcs8" && handle.type === "private")) {
    return plain(native("crypto.key.export", handle.der, "der", format));
  }
  throw fail("NotSupportedError", `Unable to export a ${algorithm.name} ${handle.type} key using ${format} format`);
}

// ---- Operations.

async function digest(algorithm, data) {
  const name = hashOf(algorithm);
  return plain(native("crypto.hash", name, content(data, "data")));
}

// How a signature is made: hash, padding, salt, raw numbers.
function signing(algorithm, parts) {
  const hash = algorithm.name === "ECDSA" ? hashOf(algorithm.hash) : parts.algorithm.hash?.name;
  if (algorithm.name === "RSA-PSS") {
    if (algorithm.saltLength === undefined) throw coded(TypeError, "ERR_MISSING_OPTION", "RsaPssParams: saltLength is required");
    return [hash, 6, Number(algorithm.saltLength), false];
  }
  return algorithm.known.kind === "rsa" ? [hash, 1, undefined, false] : [hash, undefined, undefined, true];
}

async function sign(algorithm, key, data) {
  const given = normal(algorithm);
  const parts = keyFor(key, given, "sign");
  const bytes = content(data, "data");
  if (given.known.kind === "hmac") return plain(native("crypto.hmac", parts.algorithm.hash.name, parts.handle.secret, bytes));
  if (given.known.uses !== SIGN) throw notSupported();
  const [hash, ...rest] = signing(given, parts);
  try {
    return plain(native("crypto.sign", hash, bytes, parts.handle.der, ...rest));
  } catch {
    throw operation();
  }
}

async function verify(algorithm, key, signature, data) {
  const given = normal(algorithm);
  const parts = keyFor(key, given, "verify");
  const signed = content(signature, "signature"), bytes = content(data, "data");
  if (given.known.kind === "hmac") {
    const wanted = native("crypto.hmac", parts.algorithm.hash.name, parts.handle.secret, bytes);
    return wanted.length === signed.length && native("crypto.equal", wanted, signed);
  }
  if (given.known.uses !== SIGN) throw notSupported();
  const [hash, ...rest] = signing(given, parts);
  return native("crypto.verify", hash, bytes, parts.handle.der, ...rest, signed);
}

function crypt(given, parts, encrypts, bytes) {
  const { handle } = parts;
  const { name } = given;
  if (name === "RSA-OAEP") {
    const label = given.label === undefined ? undefined : content(given.label, "algorithm.label");
    try {
      return native("crypto.rsa", encrypts ? "publicEncrypt" : "privateDecrypt", handle.der, 4, bytes, parts.algorithm.hash.name, label);
    } catch {
      throw operation();
    }
  }
  const { createCipheriv, createDecipheriv } = require("_crypto_cipher");
  const begin = encrypts ? createCipheriv : createDecipheriv;
  const cipher = `aes-${handle.secret.length * 8}-${name.slice(4).toLowerCase()}`;
  if (name === "AES-KW") {
    try {
      return native("crypto.cipher.wrap", `aes${handle.secret.length * 8}-wrap`, encrypts, handle.secret, new Uint8Array(8).fill(0xa6), bytes);
    } catch {
      throw operation();
    }
  }
  if (name === "AES-GCM") {
    const iv = content(given.iv, "algorithm.iv");
    const tagLength = given.tagLength === undefined ? 16 : Number(given.tagLength) / 8;
    if (![4, 8, 12, 13, 14, 15, 16].includes(tagLength)) throw fail("OperationError", `${given.tagLength} is not a valid AES-GCM tag length`);
    const extra = given.additionalData === undefined ? undefined : content(given.additionalData, "algorithm.additionalData");
    try {
      const work = begin(cipher, handle.secret, iv, { authTagLength: tagLength });
      if (extra) work.setAAD(extra);
      if (encrypts) return new Uint8Array(Buffer.concat([work.update(bytes), work.final(), work.getAuthTag()]));
      if (bytes.length < tagLength) throw operation();
      work.setAuthTag(bytes.subarray(bytes.length - tagLength));
      return new Uint8Array(Buffer.concat([work.update(bytes.subarray(0, bytes.length - tagLength)), work.final()]));
    } catch {
      throw operation();
    }
  }
  const iv = content(name === "AES-CTR" ? given.counter : given.iv, name === "AES-CTR" ? "algorithm.counter" : "algorithm.iv");
  if (iv.length !== 16) throw fail("OperationError", `algorithm.${name === "AES-CTR" ? "counter" : "iv"} must contain exactly 16 bytes`);
  try {
    const work = begin(cipher, handle.secret, iv);
    return new Uint8Array(Buffer.concat([work.update(bytes), work.final()]));
  } catch {
    throw operation();
  }
}

const crypting = (use, encrypts) => async (algorithm, key, data) => {
  const given = normal(algorithm);
  const parts = keyFor(key, given, use);
  if (given.known.uses !== CRYPT) throw notSupported();
  return plain(crypt(given, parts, encrypts, content(data, "data")));
};

async function derive(algorithm, key, length, use) {
  const given = normal(algorithm);
  const { handle } = keyFor(key, given, use);
  let made;
  if (given.name === "ECDH" || given.name === "X25519") {
    const other = inside(given.public);
    if (other === undefined) throw invalidType("algorithm.public", "CryptoKey", given.public);
    if (other.handle.type !== "public" || other.algorithm.name !== given.name || other.algorithm.namedCurve !== inside(key).algorithm.namedCurve) {
      throw fail("InvalidAccessError", "algorithm.public must be a public key of the same kind");
    }
    try {
      made = native("crypto.dh", handle.der, other.handle.der);
    } catch {
      throw operation();
    }
    if (length === null || length === undefined) return made;
    if (made.length * 8 < length) throw fail("OperationError", "derived bit length is too small");
    return made.slice(0, Math.ceil(length / 8));
  }
  if (!length || length % 8 !== 0) throw fail("OperationError", "length must be a multiple of 8 and not zero");
  const hash = hashOf(given.hash), salt = content(given.salt, "algorithm.salt");
  if (given.name === "HKDF") {
    try {
      return native("crypto.hkdf", hash, handle.secret, salt, content(given.info, "algorithm.info"), length / 8);
    } catch {
      throw operation();
    }
  }
  const iterations = Number(given.iterations);
  if (!(iterations >= 1)) throw fail("OperationError", "iterations cannot be zero");
  return native("crypto.pbkdf2", hash, handle.secret, salt, iterations, length / 8);
}

async function deriveKey(algorithm, key, wanted, extractable, usages) {
  const { name, known, ...given } = normal(wanted);
  let length = null;
  if (known.kind === "aes") length = Number(given.length);
  else if (known.kind === "hmac") length = given.length === undefined ? HASHES[hashOf(given.hash)] : Number(given.length);
  else if (known.kind !== "derive") throw notSupported();
  return importKey("raw", await derive(algorithm, key, length, "deriveKey"), wanted, extractable, usages);
}

async function wrapKey(format, key, wrapping, algorithm) {
  const given = normal(algorithm);
  const parts = keyFor(wrapping, given, "wrapKey");
  const exported = await exportKey(format, key);
  const bytes = format === "jwk" ? new Uint8Array(Buffer.from(JSON.stringify(exported))) : new Uint8Array(exported);
  return plain(crypt(given, parts, true, bytes));
}

async function unwrapKey(format, wrapped, unwrapping, algorithm, keyAlgorithm, extractable, usages) {
  const given = normal(algorithm);
  const parts = keyFor(unwrapping, given, "unwrapKey");
  const bytes = crypt(given, parts, false, content(wrapped, "wrappedKey"));
  let keyData = bytes;
  if (format === "jwk") {
    try {
      keyData = JSON.parse(Buffer.from(bytes).toString());
    } catch {
      throw dataError("Invalid wrapped JWK key");
    }
  }
  return importKey(format, keyData, keyAlgorithm, extractable, usages);
}

// ---- The classes that these are methods of.

const illegal = () => coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
class SubtleCrypto {
  constructor() { throw illegal(); }
}
class Crypto {
  constructor() { throw illegal(); }
}
function methods(Class, list) {
  for (const [name, value] of Object.entries(list)) {
    Object.defineProperty(value, "name", { value: name });
    Object.defineProperty(Class.prototype, name, { value, writable: true, configurable: true, enumerable: true });
  }
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: Class.name, configurable: true });
}
methods(SubtleCrypto, {
  encrypt: crypting("encrypt", true), decrypt: crypting("decrypt", false), sign, verify, digest, generateKey, deriveKey,
  deriveBits: async (algorithm, key, length) => plain(await derive(algorithm, key, length, "deriveBits")),
  importKey, exportKey, wrapKey, unwrapKey,
});
const subtle = Object.create(SubtleCrypto.prototype);

const INTEGERS = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array,
];

function getRandomValues(target) {
  if (!INTEGERS.some((Class) => target instanceof Class)) {
    throw fail("TypeMismatchError", "The data argument must be an integer-type TypedArray");
  }
  if (target.byteLength > 65536) throw fail("QuotaExceededError", "The requested length exceeds 65,536 bytes");
  if (target.byteLength > 0) view(target).set(native("crypto.random", target.byteLength));
  return target;
}

methods(Crypto, { getRandomValues, randomUUID: (options) => require("crypto").randomUUID(options) });
Object.defineProperty(Crypto.prototype, "subtle", { get: () => subtle, configurable: true, enumerable: true });
const webcrypto = Object.create(Crypto.prototype);

Object.assign(exports, { webcrypto, subtle, getRandomValues, Crypto, CryptoKey, SubtleCrypto });
