// Signatures, encryption with RSA, agreements between keys.

const { Buffer } = require("buffer");
const { coded, invalidType, invalidValue, validateObject, validateOneOf, validateString } = require("_errors");
const { BYTES, VIEWS, buffer, bytes, callable, data, deferred, isBytes, joined, lazyStream, output, view } = require("_crypto_input");
const { asymmetric, handleOf, publicOf, wrongType } = require("_crypto_keys");
const native = inner.node;

const known = (algorithm) => native("crypto.hash.info", algorithm) !== undefined;
const PSS = 6;

// Options of a signature that stand beside the key.
function choices(key) {
  const { padding, saltLength, dsaEncoding } = typeof key === "object" && key !== null && handleOf(key) === undefined ? key : {};
  if (padding !== undefined && !Number.isInteger(padding)) throw invalidValue("options.padding", padding);
  if (saltLength !== undefined && !Number.isInteger(saltLength)) throw invalidValue("options.saltLength", saltLength);
  if (dsaEncoding !== undefined && dsaEncoding !== "der" && dsaEncoding !== "ieee-p1363") {
    throw invalidValue("options.dsaEncoding", dsaEncoding);
  }
  return [padding, saltLength, dsaEncoding === "ieee-p1363"];
}

class Stream {
  #algorithm;
  #chunks = [];

  constructor(algorithm, options) {
    validateString(algorithm, "algorithm");
    if (!known(algorithm)) throw coded(TypeError, "ERR_CRYPTO_INVALID_DIGEST", "Invalid digest");
    this.#algorithm = algorithm;
    Object.defineProperty(this, "_options", { value: options, configurable: true });
  }

  update(input, encoding) {
    this.#chunks.push(data(input, encoding));
    return this;
  }

  _write(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  _take() {
    const all = joined([new Uint8Array(0), ...this.#chunks]);
    return [this.#algorithm, all];
  }
}
lazyStream(Stream, "Writable");

const noEdwards = (handle) => {
  if (handle.name === "ed25519" || handle.name === "x25519") {
    throw coded(Error, "ERR_CRYPTO_UNSUPPORTED_OPERATION", "Unsupported crypto operation");
  }
};

class Sign extends Stream {
  sign(key, encoding) {
    if (!key) throw coded(Error, "ERR_CRYPTO_SIGN_KEY_REQUIRED", "No key provided to sign");
    const handle = asymmetric(key, "private");
    const options = choices(key);
    noEdwards(handle);
    return output(native("crypto.sign", ...this._take(), handle.der, ...options), encoding);
  }
}

class Verify extends Stream {
  verify(key, signature, encoding) {
    const handle = asymmetric(key, "public");
    const options = choices(key);
    const signed = bytes(signature, "signature", encoding);
    noEdwards(handle);
    return native("crypto.verify", ...this._take(), handle.der, ...options, signed);
  }
}

function oneShot(algorithm, input, key, kind) {
  if (algorithm != null) validateString(algorithm, "algorithm");
  if (!isBytes(input)) throw invalidType("data", BYTES, input);
  const handle = asymmetric(key, kind);
  const options = choices(key);
  if (algorithm != null && !known(algorithm)) {
    throw coded(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${algorithm}`);
  }
  if (handle.name === "ed25519" && algorithm != null) {
    throw coded(Error, "ERR_OSSL_INVALID_DIGEST", "error:1C80007A:Provider routines::invalid digest");
  }
  return [algorithm ?? undefined, new Uint8Array(view(input)), handle.der, ...options];
}

function sign(algorithm, input, key, callback) {
  if (typeof key === "object" && key !== null && handleOf(key)?.type === "public") throw wrongType("public", "private");
  const job = oneShot(algorithm, input, key, "private");
  const run = () => buffer(native("crypto.sign", ...job));
  if (callback === undefined) return run();
  deferred(callback, run);
}

function verify(algorithm, input, key, signature, callback) {
  const job = oneShot(algorithm, input, key, "public");
  if (!isBytes(signature)) throw invalidType("signature", BYTES, signature);
  const signed = new Uint8Array(view(signature));
  const run = () => native("crypto.verify", ...job, signed);
  if (callback === undefined) return run();
  deferred(callback, run);
}

// ---- RSA.

const OAEP = 4, PKCS1 = 1;

const rsa = (how, kind, usual) => (key, input) => {
  const handle = asymmetric(key, kind);
  const options = typeof key === "object" && key !== null && handleOf(key) === undefined ? key : {};
  const { padding = usual, oaepHash, oaepLabel, encoding } = options;
  if (oaepHash !== undefined) validateString(oaepHash, "key.oaepHash");
  if (oaepLabel !== undefined && !isBytes(oaepLabel) && typeof oaepLabel !== "string") throw invalidType("key.oaepLabel", BYTES, oaepLabel);
  const content = bytes(input, "buffer", encoding);
  const label = oaepLabel === undefined ? undefined : bytes(oaepLabel, "key.oaepLabel", encoding);
  if (oaepHash !== undefined && !known(oaepHash)) throw coded(Error, "ERR_OSSL_EVP_INVALID_DIGEST", "error:03000098:digital envelope routines::invalid digest");
  return buffer(native("crypto.rsa", how, handle.der, padding, content, oaepHash, label));
};

// ---- Agreements.

function diffieHellman(options, callback) {
  validateObject(options, "options");
  const { privateKey, publicKey } = options;
  const secret = handleOf(privateKey), open = handleOf(publicKey);
  if (secret === undefined) throw invalidValue("options.privateKey", privateKey);
  if (open === undefined) throw invalidValue("options.publicKey", publicKey);
  if (secret.type !== "private") throw wrongType(secret.type, "private");
  if (open.type !== "public" && open.type !== "private") throw wrongType(open.type, "private or public");
  if (secret.name !== open.name) {
    throw coded(Error, "ERR_CRYPTO_INCOMPATIBLE_KEY",
      `Incompatible key types for Diffie-Hellman: ${secret.name} and ${open.name}`);
  }
  const run = () => buffer(native("crypto.dh", secret.der, open.type === "private" ? publicOf(open).der : open.der));
  if (callback === undefined) return run();
  deferred(callback, run);
}

const CURVE_NAMES = {
  __proto__: null, "P-256": "P-256", prime256v1: "P-256", secp256r1: "P-256", "P-384": "P-384", secp384r1: "P-384", "P-521": "P-521",
  secp521r1: "P-521", secp256k1: "secp256k1",
};
const invalidCurve = () => coded(TypeError, "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");

// A point as bytes in one of the forms.
function point(jwk, encoding, format) {
  const x = Buffer.from(jwk.x, "base64url"), y = Buffer.from(jwk.y, "base64url");
  const odd = y[y.length - 1] & 1;
  let made;
  if (format === undefined || format === "uncompressed") made = Buffer.concat([Buffer.of(4), x, y]);
  else if (format === "compressed") made = Buffer.concat([Buffer.of(2 + odd), x]);
  else if (format === "hybrid") made = Buffer.concat([Buffer.of(6 + odd), x, y]);
  else throw coded(TypeError, "ERR_CRYPTO_ECDH_INVALID_FORMAT", `Invalid ECDH format: ${format}`);
  return output(made, encoding);
}

class ECDH {
  #curve;
  #der;
  #open;

  constructor(curve) {
    validateString(curve, "curve");
    this.#curve = CURVE_NAMES[curve];
    if (this.#curve === undefined) throw invalidCurve();
  }

  static convertKey(key, curve, inputEncoding, outputEncoding, format) {
    validateString(curve, "curve");
    if (CURVE_NAMES[curve] === undefined) throw invalidCurve();
    const { der } = pointKey(CURVE_NAMES[curve], bytes(key, "key", inputEncoding));
    return point(native("crypto.key.export", der, "jwk"), outputEncoding, format);
  }

  generateKeys(encoding, format) {
    this.#der = native("crypto.key.generate", "ec", this.#curve).der;
    this.#open = undefined;
    return this.getPublicKey(encoding, format);
  }

  computeSecret(other, inputEncoding, outputEncoding) {
    const content = bytes(other, "otherPublicKey", inputEncoding);
    if (this.#der === undefined) throw coded(RangeError, "ERR_CRYPTO_INVALID_KEYPAIR", "Invalid key pair");
    let open;
    try {
      open = pointKey(this.#curve, content).der;
    } catch {
      throw coded(Error, "ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY", "Public key is not valid for specified curve");
    }
    return output(native("crypto.dh", this.#der, open), outputEncoding);
  }

  getPublicKey(encoding, format) {
    const der = this.#open ?? this.#der;
    if (der === undefined) throw coded(Error, "ERR_CRYPTO_OPERATION_FAILED", "Failed to get ECDH public key");
    return point(native("crypto.key.export", der, "jwk"), encoding, format);
  }

  getPrivateKey(encoding) {
    if (this.#der === undefined) throw coded(Error, "ERR_CRYPTO_OPERATION_FAILED", "Failed to get ECDH private key");
    const { d } = native("crypto.key.export", this.#der, "jwk");
    return output(Buffer.from(d, "base64url"), encoding);
  }

  setPrivateKey(key, encoding) {
    const d = Buffer.from(bytes(key, "key", encoding)).toString("base64url");
    try {
      this.#der = native("crypto.key.import", "private", { kty: "EC", crv: this.#curve, d }, "jwk").der;
    } catch {
      throw coded(Error, "ERR_CRYPTO_INVALID_KEYTYPE", "Private key is not valid for specified curve.");
    }
    this.#open = undefined;
    return this;
  }

  setPublicKey(key, encoding) {
    this.#open = pointKey(this.#curve, bytes(key, "key", encoding)).der;
    return this;
  }
}

const pointKey = (curve, content) => native("crypto.key.point", curve, content);

Object.assign(exports, {
  Sign: callable(Sign), Verify: callable(Verify), ECDH: callable(ECDH),
  createSign: (algorithm, options) => new Sign(algorithm, options),
  createVerify: (algorithm, options) => new Verify(algorithm, options),
  createECDH: (curve) => new ECDH(curve),
  sign, verify, diffieHellman,
  publicEncrypt: rsa("publicEncrypt", "public", OAEP),
  privateDecrypt: rsa("privateDecrypt", "private", OAEP),
  privateEncrypt: rsa("privateEncrypt", "private", PKCS1),
  publicDecrypt: rsa("publicDecrypt", "public", PKCS1),
});
