// Ciphers. The native half keeps nothing: the state of a mode and the bytes of
// an unfinished block are here.

const { Buffer } = require("buffer");
const { coded, invalidType, invalidValue, validateInt32, validateObject, validateString } = require("_errors");
const { BYTES, VIEWS, buffer, bytes, callable, data, invalidState, joined, lazyStream, view } = require("_crypto_input");
const { secretBytes } = require("_crypto_keys");
const native = inner.node;

const EMPTY = new Uint8Array(0);
const openssl = (code, message) => coded(Error, `ERR_OSSL_${code}`, message);
const wrongLength = () => openssl("WRONG_FINAL_BLOCK_LENGTH", "error:1C80006B:Provider routines::wrong final block length");
const badDecrypt = () => openssl("BAD_DECRYPT", "error:1C800064:Provider routines::bad decrypt");
const invalidIv = () => coded(TypeError, "ERR_CRYPTO_INVALID_IV", "Invalid initialization vector");
const invalidTag = (length) => coded(TypeError, "ERR_CRYPTO_INVALID_AUTH_TAG", `Invalid authentication tag length: ${length}`);
const GCM_TAGS = [4, 8, 12, 13, 14, 15, 16];

class Base {
  #encrypts;
  #info;
  #name;
  #key;
  #iv;
  #state;
  #position = 0;
  #pending = EMPTY;
  #padding = true;
  #over = false;
  #decoder;
  // Of ciphers that authenticate.
  #tag;
  #tagLength;
  #extra = [];
  #sealed = [];
  #began = false;

  constructor(encrypts, name, key, iv, options) {
    validateString(name, "cipher");
    this.#key = new Uint8Array(secretBytes(key, options?.encoding, "key"));
    if (iv === undefined || (iv !== null && typeof iv !== "string" && !ArrayBuffer.isView(iv) && !(iv instanceof ArrayBuffer))) {
      throw invalidType("iv", ["string", ...BYTES], iv);
    }
    const vector = iv === null ? null : new Uint8Array(bytes(iv, "iv"));
    const length = options?.authTagLength;
    if (length !== undefined && length !== null) validateInt32(length, "options.authTagLength", 0);
    const info = native("crypto.cipher.info", name);
    if (info === undefined) throw coded(Error, "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
    const wanted = info.ivLength;
    if (vector === null ? wanted !== 0 : vector.length !== wanted && !(info.mode === "gcm" && vector.length > 0)) {
      // A short nonce of this cipher has zeros before it.
      if (!(name.toLowerCase() === "chacha20-poly1305" && vector !== null && vector.length < wanted)) throw invalidIv();
    }
    if (this.#key.length !== info.keyLength) throw coded(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
    this.#iv = vector ?? EMPTY;
    if (info.mode === "stream" && this.#iv.length < wanted) {
      const padded = new Uint8Array(wanted);
      padded.set(this.#iv, wanted - this.#iv.length);
      this.#iv = padded;
    }
    this.#encrypts = encrypts;
    this.#info = info;
    this.#name = name;
    this.#state = this.#iv;
    if (info.authenticated && length != null) {
      if (info.mode === "gcm" ? !GCM_TAGS.includes(length) : length > 16) throw invalidTag(length);
      this.#tagLength = length;
    }
    Object.defineProperty(this, "_options", { value: options, configurable: true });
  }

  // The native half, on what can be done now.
  #run(input) {
    if (input.length === 0) return EMPTY;
    const [out, state] = native("crypto.cipher.run", this.#name, this.#encrypts, this.#key, this.#state, this.#position, input);
    this.#state = state;
    this.#position += input.length;
    if (this.#info.authenticated) this.#sealed.push(this.#encrypts ? out : input);
    return out;
  }

  #step(input) {
    if (this.#over) throw new Error("Trying to add data in unsupported state");
    this.#began = true;
    if (this.#info.mode === "wrap") {
      try {
        return native("crypto.cipher.wrap", this.#name, this.#encrypts, this.#key, this.#iv, input);
      } catch {
        throw new Error("Trying to add data in unsupported state");
      }
    }
    if (this.#info.mode !== "cbc" && this.#info.mode !== "ecb") return this.#run(input);
    const size = this.#info.blockSize;
    const all = this.#pending.length === 0 ? input : joined([this.#pending, input]);
    let ready = all.length - (all.length % size);
    // The last block may be padding.
    if (!this.#encrypts && this.#padding && ready === all.length && ready > 0) ready -= size;
    this.#pending = all.slice(ready);
    return this.#run(all.subarray(0, ready));
  }

  #last() {
    if (this.#over) throw invalidState();
    if (this.#info.authenticated) {
      if (!this.#encrypts && this.#tag === undefined) {
        this.#over = true;
        throw new Error("Unsupported state or unable to authenticate data");
      }
      const tag = native("crypto.cipher.tag", this.#name, this.#key, this.#iv, joined([EMPTY, ...this.#extra]), joined([EMPTY, ...this.#sealed]));
      this.#over = true;
      if (this.#encrypts) this.#tag = tag.slice(0, this.#tagLength ?? 16);
      else if (!native("crypto.equal", tag.slice(0, this.#tag.length), this.#tag)) {
        throw new Error("Unsupported state or unable to authenticate data");
      }
      return EMPTY;
    }
    this.#over = true;
    const { mode, blockSize: size } = this.#info;
    if (mode !== "cbc" && mode !== "ecb") return EMPTY;
    if (!this.#padding) {
      if (this.#pending.length > 0) throw wrongLength();
      return EMPTY;
    }
    if (this.#encrypts) {
      const pad = size - this.#pending.length;
      const block = new Uint8Array(size).fill(pad);
      block.set(this.#pending);
      return this.#run(block);
    }
    if (this.#pending.length !== size) throw wrongLength();
    const block = this.#run(this.#pending);
    const pad = block[size - 1];
    if (pad < 1 || pad > size) throw badDecrypt();
    for (let at = size - pad; at < size; at++) if (block[at] !== pad) throw badDecrypt();
    return block.subarray(0, size - pad);
  }

  #output(made, encoding, last) {
    if (!encoding || encoding === "buffer") return buffer(made);
    if (this.#decoder === undefined) {
      const { StringDecoder } = require("string_decoder");
      this.#decoder = new StringDecoder(encoding);
    } else if (this.#decoder.encoding !== new (this.#decoder.constructor)(encoding).encoding) {
      throw coded(Error, "ERR_INTERNAL_ASSERTION", "Cannot change encoding");
    }
    const text = this.#decoder.write(buffer(made));
    return last ? text + this.#decoder.end() : text;
  }

  update(input, inputEncoding, outputEncoding) {
    if (typeof input !== "string" && !ArrayBuffer.isView(input)) throw invalidType("data", ["string", ...VIEWS], input);
    return this.#output(this.#step(data(input, inputEncoding)), outputEncoding, false);
  }

  final(outputEncoding) {
    return this.#output(this.#last(), outputEncoding, true);
  }

  setAutoPadding(on) {
    if (this.#over) throw invalidState("setAutoPadding");
    this.#padding = on === undefined ? true : Boolean(on);
    return this;
  }

  setAAD(extra, options) {
    const content = bytes(extra, "buffer", options?.encoding);
    if (!this.#info.authenticated || this.#over || this.#began) throw invalidState("setAAD");
    this.#extra.push(new Uint8Array(content));
    return this;
  }

  _getTag() {
    if (!this.#info.authenticated || !this.#over || !this.#encrypts || this.#tag === undefined) throw invalidState("getAuthTag");
    return buffer(this.#tag.slice());
  }

  _setTag(tag, encoding) {
    const content = bytes(tag, "buffer", encoding);
    if (!this.#info.authenticated || this.#over || this.#tag !== undefined) throw invalidState("setAuthTag");
    const { length } = content;
    const sound = this.#tagLength !== undefined ? length === this.#tagLength
      : this.#info.mode === "gcm" ? GCM_TAGS.includes(length) : length === 16;
    if (!sound) throw invalidTag(length);
    this.#tag = new Uint8Array(content);
    return this;
  }

  _transform(chunk, encoding, callback) {
    this.push(this.update(chunk, encoding));
    callback();
  }

  _flush(callback) {
    try {
      this.push(this.final());
    } catch (error) {
      callback(error);
      return;
    }
    callback();
  }
}
lazyStream(Base, "Transform");

class Cipheriv extends Base {
  constructor(name, key, iv, options) { super(true, name, key, iv, options); }
  getAuthTag() { return this._getTag(); }
}
class Decipheriv extends Base {
  constructor(name, key, iv, options) { super(false, name, key, iv, options); }
  setAuthTag(tag, encoding) { return this._setTag(tag, encoding); }
}

// The old way: a key that a password alone makes.
function legacy(name, password) {
  validateString(name, "cipher");
  const secret = bytes(password, "password");
  const info = native("crypto.cipher.info", name);
  if (info === undefined) throw coded(Error, "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
  const [key, iv] = native("crypto.bytesToKey", secret, info.keyLength, info.ivLength);
  return [name, key, info.ivLength === 0 ? null : iv];
}
class Cipher extends Cipheriv {
  constructor(name, password, options) { super(...legacy(name, password), options); }
}
class Decipher extends Decipheriv {
  constructor(name, password, options) { super(...legacy(name, password), options); }
}

const AES = ["128", "192", "256"];
const CIPHERS = [
  ...AES.flatMap((bits) => ["cbc", "cfb", "cfb8", "ctr", "ecb", "gcm", "ofb"].map((mode) => `aes-${bits}-${mode}`)),
  ...AES.map((bits) => `aes${bits}`), ...AES.map((bits) => `aes${bits}-wrap`), "chacha20", "chacha20-poly1305",
  "des", "des-cbc", "des-cfb", "des-cfb8", "des-ecb", "des-ede", "des-ede-cbc", "des-ede3", "des-ede3-cbc",
  "des-ede3-cfb", "des-ede3-cfb8", "des-ede3-ofb", "des-ofb", "des3",
  ...AES.flatMap((bits) => [`id-aes${bits}-GCM`, `id-aes${bits}-wrap`]),
].sort();

function getCipherInfo(name, options) {
  if (typeof name !== "string" && typeof name !== "number") throw invalidType("nameOrNid", ["string", "number"], name);
  if (options !== undefined) validateObject(options, "options");
  const info = native("crypto.cipher.info", String(name));
  if (info === undefined) return undefined;
  const { keyLength, ivLength } = options ?? {};
  if (keyLength !== undefined && keyLength !== info.keyLength) return undefined;
  const anyIv = info.mode === "gcm" || info.name === "chacha20-poly1305";
  if (ivLength !== undefined && (anyIv ? ivLength < 1 : ivLength !== info.ivLength)) return undefined;
  const found = { mode: info.mode, name: info.name };
  if (info.mode !== "stream") found.blockSize = ["cbc", "ecb"].includes(info.mode) ? info.blockSize : info.mode === "wrap" ? 8 : 1;
  const iv = anyIv ? ivLength ?? info.ivLength : info.ivLength;
  if (iv > 0) found.ivLength = iv;
  return { ...found, keyLength: info.keyLength };
}

Object.assign(exports, {
  Cipher: callable(Cipher), Decipher: callable(Decipher), Cipheriv: callable(Cipheriv), Decipheriv: callable(Decipheriv),
  createCipher: (name, password, options) => new Cipher(name, password, options),
  createDecipher: (name, password, options) => new Decipher(name, password, options),
  createCipheriv: (name, key, iv, options) => new Cipheriv(name, key, iv, options),
  createDecipheriv: (name, key, iv, options) => new Decipheriv(name, key, iv, options),
  getCiphers: () => CIPHERS.slice(), getCipherInfo,
});
