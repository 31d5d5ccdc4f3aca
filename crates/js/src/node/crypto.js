// `crypto`: hashes, random numbers, keys from passwords, and the parts in
// other files. What computes is native.

const { Buffer } = require("buffer");
const {
  coded, invalidType, invalidValue, outOfRange, validateFunction, validateInteger, validateInt32, validateNumber,
  validateObject, validateString, validateUint32,
} = require("_errors");
const { BYTES, buffer, bytes, callable, data, deferred, isBytes, joined, lazyStream, output, view } = require("_crypto_input");
const keys = require("_crypto_keys");
const native = inner.node;

const LENGTH_MAX = 2147483647;

// ---- Hashes.

const finalized = () => coded(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
const invalidDigest = (name) => coded(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${name}`);
const digestLength = (name) => native("crypto.hash.info", name);

class Hash {
  #algorithm;
  // Of those that have any length.
  #length;
  #chunks = [];
  #made;
  #done = false;

  constructor(algorithm, options) {
    if (typeof algorithm === "object" && algorithm !== null && #chunks in algorithm) {
      if (algorithm.#done) throw finalized();
      this.#algorithm = algorithm.#algorithm;
      this.#chunks = algorithm.#chunks.slice();
    } else {
      validateString(algorithm, "algorithm");
      this.#algorithm = algorithm;
    }
    const length = native("crypto.hash.info", this.#algorithm, true);
    if (length === undefined) throw new Error("Digest method not supported");
    Object.defineProperty(this, "_options", { value: options, configurable: true });
    const wanted = options?.outputLength;
    if (wanted !== undefined) {
      validateUint32(wanted, "options.outputLength");
      if (/^shake(128|256)$/i.test(this.#algorithm)) this.#length = wanted;
      else if (wanted !== length) {
        throw coded(Error, "ERR_OSSL_EVP_NOT_XOF_OR_INVALID_LENGTH",
          "error:030000B2:digital envelope routines::not XOF or invalid length");
      }
    }
  }

  update(input, encoding) {
    if (this.#done) throw finalized();
    this.#chunks.push(data(input, encoding));
    return this;
  }

  digest(encoding) {
    if (this.#done) throw finalized();
    this.#done = true;
    return output(this.#result(), encoding);
  }

  #result() {
    this.#made ??= native("crypto.hash", this.#algorithm, joined(this.#chunks), this.#length);
    this.#chunks = [];
    return this.#made.slice();
  }

  copy(options) {
    return new Hash(this, options);
  }

  _transform(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  // What has ended as a stream can still be asked for its digest.
  _flush(callback) {
    this.push(buffer(this.#result()));
    callback();
  }
}
lazyStream(Hash, "Transform");

class Hmac {
  #algorithm;
  #key;
  #chunks = [];
  #done = false;

  constructor(algorithm, key, options) {
    validateString(algorithm, "hmac");
    this.#key = new Uint8Array(keys.secretBytes(key, options?.encoding, "key"));
    if (digestLength(algorithm) === undefined) throw invalidDigest(algorithm);
    this.#algorithm = algorithm;
    Object.defineProperty(this, "_options", { value: options, configurable: true });
  }

  update(input, encoding) {
    if (this.#done) throw finalized();
    this.#chunks.push(data(input, encoding));
    return this;
  }

  digest(encoding) {
    if (this.#done) return output(new Uint8Array(0), encoding);
    this.#done = true;
    return output(native("crypto.hmac", this.#algorithm, this.#key, joined(this.#chunks)), encoding);
  }

  _transform(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  _flush(callback) {
    this.push(this.digest());
    callback();
  }
}
lazyStream(Hmac, "Transform");

function hash(algorithm, input, encoding = "hex") {
  validateString(algorithm, "algorithm");
  if (typeof input !== "string" && !ArrayBuffer.isView(input)) throw invalidType("input", ["string", "Buffer", "TypedArray", "DataView"], input);
  return new Hash(algorithm).update(input).digest(encoding);
}

const HASHES = [
  "RSA-MD5", "RSA-RIPEMD160", "RSA-SHA1", "RSA-SHA224", "RSA-SHA256", "RSA-SHA3-224", "RSA-SHA3-256", "RSA-SHA3-384",
  "RSA-SHA3-512", "RSA-SHA384", "RSA-SHA512", "RSA-SHA512/224", "RSA-SHA512/256", "blake2b512", "blake2s256",
  "md5", "md5WithRSAEncryption", "ripemd", "ripemd160", "ripemd160WithRSA", "rmd160", "sha1", "sha1WithRSAEncryption",
  "sha224", "sha224WithRSAEncryption", "sha256", "sha256WithRSAEncryption", "sha3-224", "sha3-256", "sha3-384",
  "sha3-512", "sha384", "sha384WithRSAEncryption", "sha512", "sha512-224", "sha512-224WithRSAEncryption", "sha512-256",
  "sha512-256WithRSAEncryption", "sha512WithRSAEncryption", "shake128", "shake256", "ssl3-md5", "ssl3-sha1",
];

// ---- Random numbers.

function randomBytes(size, callback) {
  validateNumber(size, "size", 0, LENGTH_MAX);
  if (callback !== undefined) validateFunction(callback, "callback");
  const make = () => buffer(native("crypto.random", Math.floor(size)));
  if (callback === undefined) return make();
  deferred(callback, make);
}

function fill(target, offset, size) {
  if (!isBytes(target)) throw invalidType("buf", ["ArrayBuffer", "ArrayBufferView"], target);
  const { byteLength } = target;
  const width = target.BYTES_PER_ELEMENT ?? 1;
  if (offset === undefined) offset = 0;
  else {
    validateNumber(offset, "offset");
    offset *= width;
    if (Number.isNaN(offset) || offset > byteLength || offset < 0) throw outOfRange("offset", `>= 0 && <= ${byteLength}`, offset);
  }
  if (size === undefined) size = byteLength - offset;
  else {
    validateNumber(size, "size");
    size *= width;
    if (Number.isNaN(size) || size > LENGTH_MAX || size < 0) throw outOfRange("size", `>= 0 && <= ${LENGTH_MAX}`, size);
    if (size + offset > byteLength) throw outOfRange("size + offset", `<= ${byteLength}`, size + offset);
  }
  return () => {
    if (size > 0) view(target).set(native("crypto.random", Math.floor(size)), Math.floor(offset));
    return target;
  };
}

const randomFillSync = (target, offset = 0, size) => fill(target, offset, size)();

function randomFill(target, offset, size, callback) {
  if (typeof offset === "function") [callback, offset, size] = [offset, undefined, undefined];
  else if (typeof size === "function") [callback, size] = [size, undefined];
  validateFunction(callback, "callback");
  deferred(callback, fill(target, offset, size));
}

const RANGE_MAX = 281474976710655;

function randomInt(min, max, callback) {
  if (max === undefined || typeof max === "function") [callback, max, min] = [max, min, 0];
  if (callback !== undefined) validateFunction(callback, "callback");
  for (const [name, value] of [["min", min], ["max", max]]) {
    if (!Number.isSafeInteger(value)) throw invalidType(name, "a safe integer", value);
  }
  if (max <= min) throw outOfRange("max", `greater than the value of "min" (${min})`, max);
  const range = max - min;
  if (range > RANGE_MAX) throw outOfRange("max - min", `<= ${RANGE_MAX}`, range);
  const draw = () => {
    const limit = RANGE_MAX - (RANGE_MAX % range);
    for (;;) {
      const six = native("crypto.random", 6);
      const n = six.reduce((sum, byte) => sum * 256 + byte, 0);
      // What is above would make some numbers more likely.
      if (n < limit) return (n % range) + min;
    }
  };
  if (callback === undefined) return draw();
  deferred((_, n) => callback(undefined, n), draw);
}

const HEX = Array.from({ length: 256 }, (_, n) => (n + 256).toString(16).slice(1));

function randomUUID(options) {
  if (options !== undefined) validateObject(options, "options");
  const b = native("crypto.random", 16);
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const h = Array.from(b, (byte) => HEX[byte]).join("");
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

function timingSafeEqual(a, b) {
  for (const [name, value] of [["buf1", a], ["buf2", b]]) {
    if (!isBytes(value)) {
      throw coded(TypeError, "ERR_INVALID_ARG_TYPE",
        `The "${name}" argument must be an instance of ArrayBuffer, Buffer, TypedArray, or DataView.`);
    }
  }
  if (a.byteLength !== b.byteLength) {
    throw coded(RangeError, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length");
  }
  return native("crypto.equal", view(a), view(b));
}

// ---- Keys from passwords and from keys.

function pbkdf2Job(password, salt, iterations, length, digest) {
  validateString(digest, "digest");
  password = new Uint8Array(bytes(password, "password"));
  salt = new Uint8Array(bytes(salt, "salt"));
  validateInteger(iterations, "iterations", 1, LENGTH_MAX);
  validateInteger(length, "keylen", 0, LENGTH_MAX);
  if (digestLength(digest) === undefined) throw invalidDigest(digest);
  return () => buffer(native("crypto.pbkdf2", digest, password, salt, iterations, length));
}

function pbkdf2(password, salt, iterations, length, digest, callback) {
  if (typeof digest === "function") [callback, digest] = [digest, undefined];
  const job = pbkdf2Job(password, salt, iterations, length, digest);
  deferred(callback, job);
}

const SCRYPT_DEFAULTS = { N: 16384, r: 8, p: 1, maxmem: 32 << 20 };

function scryptJob(password, salt, length, options) {
  password = new Uint8Array(bytes(password, "password"));
  salt = new Uint8Array(bytes(salt, "salt"));
  validateInt32(length, "keylen", 0);
  const { ...given } = options ?? {};
  const pick = (short, long) => {
    if (given[short] !== undefined && given[long] !== undefined) {
      throw coded(Error, "ERR_CRYPTO_SCRYPT_INVALID_PARAMETER", "Invalid scrypt parameter");
    }
    const value = given[short] ?? given[long];
    if (value !== undefined) validateUint32(value, short);
    return value || SCRYPT_DEFAULTS[short];
  };
  const N = pick("N", "cost"), r = pick("r", "blockSize"), p = pick("p", "parallelization");
  const maxmem = given.maxmem ?? SCRYPT_DEFAULTS.maxmem;
  validateInteger(maxmem, "maxmem", 0);
  if (N < 2 || (N & (N - 1)) !== 0) throw coded(RangeError, "ERR_CRYPTO_INVALID_SCRYPT_PARAMS", "Invalid scrypt params");
  if (128 * r * (N + p + 2) > (maxmem || SCRYPT_DEFAULTS.maxmem)) {
    throw coded(RangeError, "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
      "Invalid scrypt params: error:030000AC:digital envelope routines::memory limit exceeded");
  }
  return () => buffer(native("crypto.scrypt", password, salt, N, r, p, length));
}

function scrypt(password, salt, length, options, callback) {
  if (typeof options === "function") [callback, options] = [options, undefined];
  const job = scryptJob(password, salt, length, options);
  deferred(callback, job);
}

function hkdfJob(digest, key, salt, info, length) {
  validateString(digest, "digest");
  key = new Uint8Array(keys.secretBytes(key, undefined, "ikm"));
  salt = new Uint8Array(bytes(salt, "salt"));
  info = new Uint8Array(bytes(info, "info"));
  validateInteger(length, "length", 0, LENGTH_MAX);
  if (info.byteLength > 1024) throw outOfRange("info", "must not contain more than 1024 bytes", info.byteLength);
  const size = digestLength(digest);
  if (size === undefined) throw invalidDigest(digest);
  if (length > size * 255) throw coded(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
  return () => native("crypto.hkdf", digest, key, salt, info, length).buffer;
}

function hkdf(digest, key, salt, info, length, callback) {
  const job = hkdfJob(digest, key, salt, info, length);
  deferred(callback, job);
}

// ---- The rest.

const CURVES = ["prime256v1", "secp256k1", "secp384r1", "secp521r1"];

const notSupported = (name) => () => {
  throw new Error(`crypto.${name}: not supported`);
};

// What connections speak is the host's business; this is what Node would say.
const CIPHER_LIST = [
  "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384",
  "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384",
  "DHE-RSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA256", "DHE-RSA-AES256-SHA256", "HIGH", "!aNULL", "!eNULL", "!EXPORT",
  "!DES", "!RC4", "!MD5", "!PSK", "!SRP", "!CAMELLIA",
].join(":");

const constants = Object.assign(Object.create(null), {
  OPENSSL_VERSION_NUMBER: 805306672, SSL_OP_ALL: 2147485776, SSL_OP_ALLOW_NO_DHE_KEX: 1024,
  SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION: 262144, SSL_OP_CIPHER_SERVER_PREFERENCE: 4194304, SSL_OP_CISCO_ANYCONNECT: 32768,
  SSL_OP_COOKIE_EXCHANGE: 8192, SSL_OP_CRYPTOPRO_TLSEXT_BUG: 2147483648, SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS: 2048,
  SSL_OP_LEGACY_SERVER_CONNECT: 4, SSL_OP_NO_COMPRESSION: 131072, SSL_OP_NO_ENCRYPT_THEN_MAC: 524288,
  SSL_OP_NO_QUERY_MTU: 4096, SSL_OP_NO_RENEGOTIATION: 1073741824,
  SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION: 65536, SSL_OP_NO_SSLv2: 0, SSL_OP_NO_SSLv3: 33554432,
  SSL_OP_NO_TICKET: 16384, SSL_OP_NO_TLSv1: 67108864, SSL_OP_NO_TLSv1_1: 268435456, SSL_OP_NO_TLSv1_2: 134217728,
  SSL_OP_NO_TLSv1_3: 536870912, SSL_OP_PRIORITIZE_CHACHA: 2097152, SSL_OP_TLS_ROLLBACK_BUG: 8388608,
  ENGINE_METHOD_RSA: 1, ENGINE_METHOD_DSA: 2, ENGINE_METHOD_DH: 4, ENGINE_METHOD_RAND: 8, ENGINE_METHOD_EC: 2048,
  ENGINE_METHOD_CIPHERS: 64, ENGINE_METHOD_DIGESTS: 128, ENGINE_METHOD_PKEY_METHS: 512,
  ENGINE_METHOD_PKEY_ASN1_METHS: 1024, ENGINE_METHOD_ALL: 65535, ENGINE_METHOD_NONE: 0, DH_CHECK_P_NOT_SAFE_PRIME: 2,
  DH_CHECK_P_NOT_PRIME: 1, DH_UNABLE_TO_CHECK_GENERATOR: 4, DH_NOT_SUITABLE_GENERATOR: 8, RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3, RSA_PKCS1_OAEP_PADDING: 4, RSA_X931_PADDING: 5, RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1, RSA_PSS_SALTLEN_MAX_SIGN: -2, RSA_PSS_SALTLEN_AUTO: -2, TLS1_VERSION: 769,
  TLS1_1_VERSION: 770, TLS1_2_VERSION: 771, TLS1_3_VERSION: 772, POINT_CONVERSION_COMPRESSED: 2,
  POINT_CONVERSION_UNCOMPRESSED: 4, POINT_CONVERSION_HYBRID: 6, defaultCoreCipherList: CIPHER_LIST,
  defaultCipherList: CIPHER_LIST,
});

Object.assign(exports, {
  Hash: callable(Hash), Hmac: callable(Hmac), hash,
  createHash: (algorithm, options) => new Hash(algorithm, options),
  createHmac: (algorithm, key, options) => new Hmac(algorithm, key, options),
  getHashes: () => HASHES.slice(), getCurves: () => CURVES.slice(),
  randomBytes, pseudoRandomBytes: randomBytes, rng: randomBytes, prng: randomBytes,
  randomFill, randomFillSync, randomInt, randomUUID, timingSafeEqual,
  pbkdf2, pbkdf2Sync: (...args) => pbkdf2Job(...args)(),
  scrypt, scryptSync: (...args) => scryptJob(...args)(),
  hkdf, hkdfSync: (...args) => hkdfJob(...args)(),
  constants, getFips: () => 0, setFips() {}, setEngine() {},
  secureHeapUsed: () => ({ total: 0, used: 0, utilization: 0, min: 0 }),
});
for (const name of [
  "createDiffieHellman", "createDiffieHellmanGroup", "getDiffieHellman", "DiffieHellman", "DiffieHellmanGroup",
  "generatePrime", "generatePrimeSync", "checkPrime", "checkPrimeSync", "Certificate",
]) exports[name] = notSupported(name);
Object.assign(exports, keys.api);
// The rest is made when it is first looked at.
const PARTS = {
  _crypto_cipher: [
    "Cipher", "Decipher", "Cipheriv", "Decipheriv", "createCipher", "createDecipher", "createCipheriv",
    "createDecipheriv", "getCiphers", "getCipherInfo",
  ],
  _crypto_sign: [
    "Sign", "Verify", "createSign", "createVerify", "sign", "verify", "publicEncrypt", "publicDecrypt",
    "privateEncrypt", "privateDecrypt", "diffieHellman", "ECDH", "createECDH",
  ],
  _crypto_x509: ["X509Certificate"],
  _crypto_web: ["webcrypto", "subtle", "getRandomValues"],
};
for (const [part, names] of Object.entries(PARTS)) {
  for (const name of names) {
    const set = (value) => Object.defineProperty(exports, name, { value, writable: true, configurable: true, enumerable: true });
    Object.defineProperty(exports, name, {
      configurable: true, enumerable: true, set,
      get() {
        const value = require(part)[name];
        set(value);
        return value;
      },
    });
  }
}
