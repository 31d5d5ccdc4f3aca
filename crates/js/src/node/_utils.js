// The service's `utils`: `utils.crypto` and `utils.jwt`.

const { Buffer } = require("buffer");
const native = inner.node;
const { Binary } = inner.bson;

// Bytes of a text, a Binary, or an array of bytes.
function bytesOf(value, what) {
  if (typeof value === "string") return native("buffer.encode", value, "utf8");
  if (value instanceof Binary) return new Uint8Array(value._v);
  if (ArrayBuffer.isView(value)) return new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (value instanceof ArrayBuffer || Array.isArray(value)) return new Uint8Array(value);
  throw new TypeError(`${what} must be a string or a BSON.Binary`);
}

function textOf(value, what) {
  if (typeof value === "string") return value;
  if (value instanceof Binary) return value.text();
  throw new TypeError(`${what} must be a string`);
}

const base64url = (bytes) => native("buffer.decode", bytes, "base64url");

// ---- utils.crypto

const HMACS = ["sha1", "sha256", "sha512"], HASHES = ["md5", ...HMACS];
function hashFunction(name, known) {
  if (!known.includes(name)) throw new TypeError(`unknown hash function '${name}'`);
  return name;
}

function aes(type, key) {
  if (type !== "aes") throw new TypeError(`unsupported encryption type '${type}'`);
  const bytes = bytesOf(key, "the key");
  if (![16, 24, 32].includes(bytes.length)) throw new TypeError("the key must have 16, 24 or 32 bytes");
  return [`aes-${bytes.length * 8}-gcm`, bytes];
}

const NONCE = 12, TAG = 16, NOTHING = new Uint8Array(0);

// A random nonce, what is encrypted, and the tag.
function encrypt(type, message, key) {
  const [cipher, secret] = aes(type, key);
  const nonce = native("crypto.random", NONCE);
  const [sealed] = native("crypto.cipher.run", cipher, true, secret, nonce, 0, bytesOf(message, "the message"));
  const tag = native("crypto.cipher.tag", cipher, secret, nonce, NOTHING, sealed);
  const all = new Uint8Array(NONCE + sealed.length + TAG);
  all.set(nonce);
  all.set(sealed, NONCE);
  all.set(tag, NONCE + sealed.length);
  return new Binary(all);
}

function decrypt(type, encrypted, key) {
  const [cipher, secret] = aes(type, key);
  const all = bytesOf(encrypted, "the message");
  if (all.length < NONCE + TAG) throw new Error("the message is too short to be encrypted");
  const nonce = all.slice(0, NONCE), sealed = all.slice(NONCE, all.length - TAG);
  const tag = native("crypto.cipher.tag", cipher, secret, nonce, NOTHING, sealed);
  if (!native("crypto.equal", tag, all.slice(all.length - TAG))) throw new Error("the message is not encrypted with this key");
  return new Binary(native("crypto.cipher.run", cipher, false, secret, nonce, 0, sealed)[0]);
}

const PKCS1 = 1, PSS = 6, SALT_HASH = -1, SALT_ANY = -2;

function rsa(type, scheme, kind, pem) {
  if (type !== "rsa") throw new TypeError(`unsupported encryption type '${type}'`);
  if (scheme !== "pss" && scheme !== "pkcs1v15") throw new TypeError(`unsupported signature scheme '${scheme}'`);
  const key = keyOf(kind, pem);
  if (key?.name !== "rsa") throw new TypeError(`the ${kind} key is not an RSA key in PEM`);
  return [key.der, scheme === "pss" ? PSS : PKCS1, SALT_ANY, false];
}

// A key in PEM; undefined for what is none.
function keyOf(kind, pem) {
  try {
    return native("crypto.key.import", kind, bytesOf(pem, "the key"), "pem");
  } catch {
    return undefined;
  }
}

const crypto = {
  hash: (name, input) => new Binary(native("crypto.hash", hashFunction(name, HASHES), bytesOf(input, "the input"))),
  hmac(input, secret, name, format = "hex") {
    if (format !== "hex" && format !== "base64") throw new TypeError(`unsupported output format '${format}'`);
    const made = native("crypto.hmac", hashFunction(name, HMACS), bytesOf(secret, "the secret"), bytesOf(input, "the input"));
    return native("buffer.decode", made, format);
  },
  encrypt,
  decrypt,
  sign(type, message, pem, scheme = "pss") {
    const how = rsa(type, scheme, "private", pem);
    return new Binary(native("crypto.sign", "sha256", bytesOf(message, "the message"), ...how));
  },
  verify(type, message, pem, signature, scheme = "pss") {
    const how = rsa(type, scheme, "public", pem);
    return native("crypto.verify", "sha256", bytesOf(message, "the message"), ...how, bytesOf(signature, "the signature"));
  },
};

// ---- utils.jwt

const CURVES = { __proto__: null, 256: "prime256v1", 384: "secp384r1", 512: "secp521r1" };

// What a signing method is made of: its kind, hash, and key as the native half
// takes it. A key of the wrong kind is refused, so that a public key is never
// the secret of an HMAC.
function method(name, kind, key) {
  const parts = /^(HS|RS|PS|ES)(256|384|512)$/.exec(name);
  if (parts === null) throw new Error(`signing method ${name} is not supported`);
  const [, family, bits] = parts;
  const hash = `sha${bits}`;
  const wrong = () => new Error(`the key cannot be used with signing method ${name}`);
  if (family === "HS") {
    const secret = bytesOf(key, "the key");
    if (native("buffer.decode", secret, "latin1").includes("-----BEGIN ")) throw wrong();
    return { hash, secret };
  }
  const found = keyOf(kind, key);
  if (found === undefined) throw wrong();
  const fits = family === "ES" ? found.details.namedCurve === CURVES[bits] : found.name === "rsa" || (family === "PS" && found.name === "rsa-pss");
  if (!fits) throw wrong();
  const padding = family === "PS" ? PSS : family === "RS" ? PKCS1 : undefined;
  const salt = family !== "PS" ? undefined : kind === "private" ? SALT_HASH : SALT_ANY;
  return { hash, how: [found.der, padding, salt, family === "ES"] };
}

function plainObject(value, what) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(`${what} must be an object`);
  return value;
}

const section = (value) => base64url(native("buffer.encode", JSON.stringify(value), "utf8"));

function encode(name, payload, key, headers = {}) {
  const { hash, secret, how } = method(String(name), "private", key);
  const head = { alg: String(name), typ: "JWT", ...plainObject(headers ?? {}, "the header fields"), alg: String(name) };
  const signed = `${section(head)}.${section(plainObject(payload, "the payload"))}`;
  const bytes = native("buffer.encode", signed, "utf8");
  const signature = secret ? native("crypto.hmac", hash, secret, bytes) : native("crypto.sign", hash, bytes, ...how);
  return `${signed}.${base64url(signature)}`;
}

// Numbers of a payload are doubles, whatever they are: what has a half, and
// has it no more, stays one.
const doubles = (_, value) =>
  (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 51 ? value + 0.5 - 0.5 : value);

function parsed(part, reviver) {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) throw new Error("the token is malformed");
  try {
    return plainObject(JSON.parse(Buffer.from(part, "base64url").toString(), reviver), "a part");
  } catch {
    throw new Error("the token is malformed");
  }
}

function decode(token, key, returnHeader = false, accepted = undefined) {
  const text = textOf(token, "the token");
  const parts = text.split(".");
  if (parts.length !== 3) throw new Error("the token is malformed");
  const header = parsed(parts[0]);
  const { alg } = header;
  if (typeof alg !== "string") throw new Error("the token is malformed");
  if (accepted !== undefined && accepted !== null) {
    if (!Array.isArray(accepted)) throw new TypeError("the accepted signing methods must be an array");
    if (!accepted.includes(alg)) throw new Error(`signing method ${alg} is invalid`);
  }
  const { hash, secret, how } = method(alg, "public", key);
  const signature = new Uint8Array(Buffer.from(parts[2], "base64url"));
  const bytes = native("buffer.encode", `${parts[0]}.${parts[1]}`, "utf8");
  let sound;
  if (secret) {
    const wanted = native("crypto.hmac", hash, secret, bytes);
    sound = wanted.length === signature.length && native("crypto.equal", wanted, signature);
  } else sound = native("crypto.verify", hash, bytes, ...how, signature);
  if (!sound) throw new Error("the token's signature is invalid");
  const payload = parsed(parts[1], doubles);
  const now = Date.now() / 1000;
  if (typeof payload.exp === "number" && now >= payload.exp) throw new Error("the token is expired");
  if (typeof payload.nbf === "number" && now < payload.nbf) throw new Error("the token is not valid yet");
  return returnHeader ? { header, payload } : payload;
}

exports.utils = { crypto, jwt: { encode, decode } };
