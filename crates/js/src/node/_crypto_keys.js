// Keys: KeyObject and what makes one. A key is its DER (PKCS#8 or SPKI), or
// the bytes of a secret one.

const { Buffer } = require("buffer");
const { coded, invalidType, invalidValue, validateInt32, validateObject, validateOneOf, validateString, validateUint32 } = require("_errors");
const { BYTES, buffer, bytes, deferred, isBytes, view } = require("_crypto_input");
const native = inner.node;

const KEY_LIKE = ["ArrayBuffer", "Buffer", "TypedArray", "DataView", "KeyObject", "CryptoKey"];
const OPENSSL_NAMES = { pkcs1: 1, pkcs8: 1, spki: 1, sec1: 1 };

// What is behind a KeyObject, for built-in modules: `{ type, secret }` or
// `{ type, name, der, details }`.
let handleOf;
// Makes a KeyObject.
let wrap;
// The KeyObject of a web key; set by the part that makes those.
const web = { keyOf: () => undefined };

class KeyObject {
  #handle;

  constructor(type, handle) {
    if (type !== "secret" && type !== "public" && type !== "private") throw invalidValue("type", type);
    if (typeof handle !== "object" || handle === null || !known.has(handle)) throw invalidType("handle", "object", handle);
    this.#handle = handle;
  }

  get type() { return this.#handle.type; }

  static from(key) {
    const found = web.keyOf(key);
    if (found === undefined) throw invalidType("key", "CryptoKey", key);
    return found;
  }

  equals(other) {
    if (!(other instanceof KeyObject)) throw invalidType("otherKeyObject", "KeyObject", other);
    const a = this.#handle, b = other.#handle;
    if (a.type !== b.type) return false;
    const left = a.secret ?? a.der, right = b.secret ?? b.der;
    return left.length === right.length && native("crypto.equal", left, right);
  }

  static {
    handleOf = (key) => (typeof key === "object" && key !== null && #handle in key ? key.#handle : undefined);
  }
}
// Handles that were made here: nobody else can make a KeyObject of them.
const known = new WeakSet();

class SecretKeyObject extends KeyObject {
  get symmetricKeySize() { return handleOf(this).secret.length; }

  export(options) {
    const { secret } = handleOf(this);
    if (options !== undefined) {
      validateObject(options, "options");
      validateOneOf(options.format, "options.format", [undefined, "buffer", "jwk"]);
      if (options.format === "jwk") return { kty: "oct", k: buffer(secret).toString("base64url") };
    }
    return Buffer.from(secret);
  }
}

class AsymmetricKeyObject extends KeyObject {
  get asymmetricKeyType() { return handleOf(this).name; }

  get asymmetricKeyDetails() {
    const { details } = handleOf(this);
    if (details.publicExponent === undefined) return { ...details };
    const exponent = details.publicExponent.reduce((n, byte) => (n << 8n) | BigInt(byte), 0n);
    return { modulusLength: details.modulusLength, publicExponent: exponent };
  }

  export(options) {
    return exported(handleOf(this), options, "options");
  }
}
class PublicKeyObject extends AsymmetricKeyObject {}
class PrivateKeyObject extends AsymmetricKeyObject {}
for (const Class of [SecretKeyObject, PublicKeyObject, PrivateKeyObject]) {
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: "KeyObject", configurable: true });
}
Object.defineProperty(KeyObject.prototype, Symbol.toStringTag, { value: "KeyObject", configurable: true });

wrap = (handle) => {
  known.add(handle);
  const Class = { secret: SecretKeyObject, public: PublicKeyObject, private: PrivateKeyObject }[handle.type];
  return new Class(handle.type, handle);
};

const property = (name, value) => invalidValue(name, value);

// Encodes a key as options say; `prefix` names them in errors.
function exported(handle, options, prefix) {
  validateObject(options, "options");
  const { format, type, cipher, passphrase } = options;
  if (format === "jwk") return native("crypto.key.export", handle.der, "jwk");
  if (format !== "pem" && format !== "der") throw property(`${prefix}.format`, format);
  const isPrivate = handle.type === "private";
  const types = isPrivate ? ["pkcs1", "pkcs8", "sec1"] : ["pkcs1", "spki"];
  if (!types.includes(type)) throw property(`${prefix}.type`, type);
  if (type === "pkcs1" && handle.name !== "rsa") throw incompatible("pkcs1", "can only be used for RSA keys");
  if (type === "sec1" && handle.name !== "ec") throw incompatible("sec1", "can only be used for EC keys");
  let secret;
  if (isPrivate && cipher != null) {
    if (typeof cipher !== "string") throw property(`${prefix}.cipher`, cipher);
    if (passphrase === undefined || (typeof passphrase !== "string" && !isBytes(passphrase))) {
      throw property(`${prefix}.passphrase`, passphrase);
    }
    if (format === "der" && type !== "pkcs8") throw incompatible(type, "does not support encryption");
    secret = bytes(passphrase, "passphrase");
  }
  const made = native("crypto.key.export", handle.der, format, type, secret && cipher, secret);
  return format === "pem" ? made : buffer(made);
}

const incompatible = (type, why) =>
  coded(Error, "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS", `The selected key encoding ${type} ${why}.`);
const wrongType = (type, expected) =>
  coded(TypeError, "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE", `Invalid key object type ${type}, expected ${expected}.`);

// The handle of a KeyObject or of a web key.
const handleIn = (key) => handleOf(key) ?? handleOf(web.keyOf(key));

// The bytes of a secret: of a string, of bytes, of a key.
function secretBytes(key, encoding, name) {
  const handle = handleIn(key);
  if (handle !== undefined) {
    if (handle.type !== "secret") throw wrongType(handle.type, "secret");
    return handle.secret;
  }
  if (typeof key === "string" || isBytes(key)) return bytes(key, name, encoding);
  throw invalidType(name, ["string", ...KEY_LIKE], key);
}

const imported = (kind, content, format, type, passphrase) => {
  const { name, der, details, type: made } = native("crypto.key.import", kind, content, format, type, passphrase);
  return { type: made, name, der, details };
};

const publicOf = (handle) => {
  const { name, der, details } = native("crypto.key.public", handle.der);
  return { type: "public", name, der, details };
};

const JWK_TYPES = ["RSA", "EC", "OKP"];

// The handle of a key in any form. `kind` is what is wanted; `creates` is set
// where a KeyObject is not taken for itself.
function asymmetric(key, kind, creates = false) {
  const expected = creates ? ["string", ...BYTES] : ["string", ...KEY_LIKE];
  const ofObject = (object, name) => {
    const handle = handleIn(object);
    if (handle === undefined) return undefined;
    if (creates && kind === "private") throw invalidType(name, expected, object);
    if (handle.type === "secret") throw wrongType("secret", kind === "private" || creates ? "private" : "private or public");
    if (handle.type === "public" && (kind === "private" || creates)) throw wrongType("public", "private");
    return kind === "public" && handle.type === "private" ? publicOf(handle) : handle;
  };
  const direct = ofObject(key, "key");
  if (direct !== undefined) return direct;
  if (typeof key === "string" || isBytes(key)) return imported(kind, bytes(key, "key"), "pem");
  if (typeof key !== "object" || key === null) throw invalidType("key", expected, key);
  const { key: content, format, type, passphrase, encoding } = key;
  const within = ofObject(content, "key.key");
  if (within !== undefined) return within;
  if (format === "jwk") {
    validateObject(content, "key.key");
    for (const part of { RSA: ["n", "e"], EC: ["crv", "x", "y"], OKP: ["crv", "x"] }[content.kty] ?? []) {
      validateString(content[part], `key.${part}`);
    }
    if (!JWK_TYPES.includes(content.kty)) {
      throw invalidValue("key.kty", content.kty, `must be one of: ${JWK_TYPES.map((one) => `'${one}'`).join(", ")}`);
    }
    if (kind === "private") {
      for (const part of content.kty === "RSA" ? ["d", "p", "q", "dp", "dq", "qi"] : ["d"]) validateString(content[part], `key.${part}`);
    }
    return imported(kind, { ...content }, "jwk");
  }
  if (typeof content !== "string" && !isBytes(content)) throw invalidType("key.key", expected, content);
  if (format !== undefined && format !== "pem" && format !== "der") throw property("options.format", format);
  const isDer = format === "der";
  const types = kind === "private" ? ["pkcs1", "pkcs8", "sec1"] : ["pkcs1", "spki", "pkcs8", "sec1"];
  if ((isDer || type !== undefined) && !types.includes(type)) throw property("options.type", type);
  if (passphrase !== undefined && passphrase !== null && typeof passphrase !== "string" && !isBytes(passphrase)) {
    throw property("options.passphrase", passphrase);
  }
  return imported(kind, bytes(content, "key.key", encoding), isDer ? "der" : "pem", type,
    passphrase == null ? undefined : bytes(passphrase, "passphrase", encoding));
}

function createSecretKey(key, encoding) {
  if (typeof key !== "string" && !isBytes(key)) throw invalidType("key", BYTES, key);
  return wrap({ type: "secret", secret: new Uint8Array(bytes(key, "key", encoding)) });
}

// ---- New keys.

const unknownType = (type) => invalidValue("type", type, "must be a supported key type");

function pairJob(type, options) {
  validateString(type, "type");
  const given = options ?? {};
  let make;
  if (type === "rsa" || type === "rsa-pss") {
    validateObject(options, "options");
    validateUint32(given.modulusLength, "options.modulusLength");
    const exponent = given.publicExponent ?? 0x10001;
    validateUint32(exponent, "options.publicExponent");
    make = () => native("crypto.key.generate", type, given.modulusLength, exponent);
  } else if (type === "ec") {
    validateObject(options, "options");
    validateString(given.namedCurve, "options.namedCurve");
    make = () => native("crypto.key.generate", type, given.namedCurve);
  } else if (type === "ed25519" || type === "x25519") {
    make = () => native("crypto.key.generate", type);
  } else throw unknownType(type);
  const encoding = (name) => {
    const wanted = given[name];
    if (wanted === undefined) return undefined;
    if (typeof wanted !== "object" || wanted === null) throw property(`options.${name}`, wanted);
    if (!["pem", "der", "jwk"].includes(wanted.format)) throw property(`options.${name}.format`, wanted.format);
    if (wanted.format !== "jwk" && !Object.hasOwn(OPENSSL_NAMES, String(wanted.type))) throw property(`options.${name}.type`, wanted.type);
    return wanted;
  };
  const publicAs = encoding("publicKeyEncoding"), privateAs = encoding("privateKeyEncoding");
  return () => {
    const { name, der, details } = make();
    const secret = { type: "private", name, der, details };
    const open = publicOf(secret);
    return {
      publicKey: publicAs ? exported(open, publicAs, "options.publicKeyEncoding") : wrap(open),
      privateKey: privateAs ? exported(secret, privateAs, "options.privateKeyEncoding") : wrap(secret),
    };
  };
}

function generateKeyPair(type, options, callback) {
  if (typeof options === "function") [callback, options] = [options, undefined];
  const job = pairJob(type, options);
  deferred(callback && ((error, pair) => (error ? callback(error) : callback(null, pair.publicKey, pair.privateKey))), job);
}
const promisified = Symbol.for("nodejs.util.promisify.custom");
Object.defineProperty(generateKeyPair, promisified, {
  value: (type, options) => new Promise((resolve, reject) => {
    deferred((error, pair) => (error ? reject(error) : resolve(pair)), pairJob(type, options));
  }),
});

function keyJob(type, options) {
  validateString(type, "type");
  validateObject(options, "options");
  const { length } = options;
  if (type === "hmac") validateInt32(length, "options.length", 8);
  else if (type === "aes") validateOneOf(length, "options.length", [128, 192, 256]);
  else throw unknownType(type);
  return () => wrap({ type: "secret", secret: native("crypto.random", length >> 3) });
}

Object.assign(exports, {
  asymmetric, handleIn, handleOf, imported, publicOf, secretBytes, view, web, wrap, wrongType,
  api: {
    KeyObject, createSecretKey,
    createPrivateKey: (key) => wrap(asymmetric(key, "private", true)),
    createPublicKey: (key) => wrap(asymmetric(key, "public", true)),
    generateKeyPair, generateKeyPairSync: (type, options) => pairJob(type, options)(),
    generateKey: (type, options, callback) => deferred(callback, keyJob(type, options)),
    generateKeySync: (type, options) => keyJob(type, options)(),
  },
});
