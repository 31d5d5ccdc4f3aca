// Packages whose hot loops are native here. What is unusual is left to the
// package itself, and so are its errors.

const { Buffer } = require("buffer");
const native = inner.node;
const later = globalThis.setImmediate;

// ---- bcrypt, as several packages have it.

const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SALT = /^\$2([aby]?)\$(0[4-9]|[12][0-9]|3[01])\$([./A-Za-z0-9]{22})/;

// bcrypt's own base 64.
function encode64(bytes) {
  let text = "", bits = 0, value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 6; bits -= 6) text += ALPHABET[(value >> (bits - 6)) & 63];
    value &= 63;
  }
  return bits > 0 ? text + ALPHABET[(value << (6 - bits)) & 63] : text;
}

function decode64(text) {
  const bytes = [];
  let bits = 0, value = 0;
  for (const letter of text) {
    value = ((value & 255) << 6) | ALPHABET.indexOf(letter);
    bits += 6;
    if (bits >= 8) bytes.push((value >> (bits -= 8)) & 255);
  }
  return Uint8Array.from(bytes);
}

// The hash of a password for a salt that the expression took apart.
function hashed(password, [, minor, cost, salt]) {
  const bytes = Buffer.from(minor === "" ? password : `${password}\0`);
  const raw = decode64(salt).subarray(0, 16);
  const made = native("crypto.bcrypt", bytes, raw, Number(cost));
  return `$2${minor}$${cost}$${encode64(raw)}${encode64(made.subarray(0, 23))}`;
}

const usual = (password, salt) => (typeof password === "string" && typeof salt === "string" ? SALT.exec(salt) : null);

function same(a, b) {
  return a.length === b.length && native("crypto.equal", Buffer.from(a), Buffer.from(b));
}

const newSalt = (rounds, minor = "b") =>
  `$2${minor}$${String(Math.min(Math.max(rounds, 4), 31)).padStart(2, "0")}$${encode64(native("crypto.random", 16))}`;

// Gives what runs to a callback, or as a promise.
function deferred(callback, run) {
  if (typeof callback !== "function") {
    return new Promise((resolve, reject) => later(() => {
      try {
        resolve(run());
      } catch (error) {
        reject(error);
      }
    }));
  }
  later(() => {
    let result;
    try {
      result = run();
    } catch (error) {
      callback(error);
      return;
    }
    callback(null, result);
  });
}

// Files of a package may have the same exports.
const patched = new WeakSet();

// bcryptjs and bcrypt-nodejs: the four functions that take time. `callbacks`
// says that there are no promises, nor numbers for salts.
function patchBcrypt(api, callbacks) {
  const { hashSync, hash, compareSync, compare, genSaltSync } = api;
  if (patched.has(api) || ![hashSync, hash, compareSync, compare, genSaltSync].every((one) => typeof one === "function")) return;
  patched.add(api);
  // A salt in full; the old package takes none for a new one, and one kind only.
  const saltOf = (salt) => {
    if (callbacks) return salt || genSaltSync();
    return typeof salt === "number" ? genSaltSync(salt) : salt;
  };
  const partsOf = (password, salt) => {
    const parts = password === "" ? null : usual(password, salt);
    return callbacks && parts && parts[1] !== "" && parts[1] !== "a" ? null : parts;
  };
  const fast = {
    hashSync(password, salt = callbacks ? undefined : 10, ...rest) {
      const full = typeof password === "string" ? saltOf(salt) : salt;
      const parts = partsOf(password, full);
      return parts ? hashed(password, parts) : hashSync(password, salt, ...rest);
    },
    hash(password, salt, ...rest) {
      const [progress, wanted] = callbacks ? rest : [rest[1], rest[0]];
      const called = wanted === undefined ? !callbacks : typeof wanted === "function";
      const fresh = callbacks ? !salt : typeof salt === "number";
      if (!called || progress || !(fresh ? typeof password === "string" && password !== "" : partsOf(password, salt))) {
        return hash(password, salt, ...rest);
      }
      return deferred(wanted, () => hashed(password, SALT.exec(saltOf(salt))));
    },
    compareSync(password, known) {
      const parts = partsOf(password, known);
      if (!parts || known.length !== 60) return compareSync(password, known);
      return same(hashed(password, parts), known);
    },
    compare(password, known, ...rest) {
      const plain = partsOf(password, known) && known.length === 60 && rest.length < 2
        && (rest[0] === undefined ? !callbacks : typeof rest[0] === "function");
      if (!plain) return compare(password, known, ...rest);
      return deferred(rest[0], () => same(hashed(password, SALT.exec(known)), known));
    },
  };
  for (const [name, value] of Object.entries(fast)) {
    try {
      api[name] = value;
    } catch {
      // Frozen: then it stays slow.
    }
  }
}

// `bcrypt` itself is a native addon: this is what it would be.
function bcrypt() {
  const wrongTypes = (what) => new Error(`data and ${what} arguments required`);
  const text = (value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value);
  const isData = (value) => typeof value === "string" || value instanceof Uint8Array;
  const salted = (salt) => {
    if (typeof salt === "number") return newSalt(salt);
    if (SALT.test(salt)) return salt;
    throw new Error("Invalid salt. Salt must be in the form of: $Vers$log2(NumRounds)$saltvalue");
  };
  const genSaltSync = (rounds, minor = "b") => {
    if (rounds !== undefined && rounds !== null && rounds !== "" && typeof rounds !== "number") throw new Error("rounds must be a number");
    if (minor !== "a" && minor !== "b") throw new Error("minor must be either \"a\" or \"b\"");
    return newSalt(rounds || 10, minor);
  };
  const hashSync = (data, salt) => {
    if (data == null || salt == null) throw new Error("data and salt arguments required");
    if (!isData(data) || (typeof salt !== "string" && typeof salt !== "number")) {
      throw new Error("data must be a string or Buffer and salt must either be a salt string or a number of rounds");
    }
    return hashed(text(data), SALT.exec(salted(salt)));
  };
  const compareSync = (data, known) => {
    if (data == null || known == null) throw wrongTypes("hash");
    if (!isData(data) || typeof known !== "string") throw new Error("data must be a string or Buffer and hash must be a string");
    const parts = SALT.exec(known);
    return parts !== null && same(hashed(text(data), parts), known);
  };
  const getRounds = (known) => {
    if (known == null) throw new Error("hash argument required");
    if (typeof known !== "string") throw new Error("hash must be a string");
    const parts = SALT.exec(known);
    if (parts === null) throw new Error("invalid hash provided");
    return Number(parts[2]);
  };
  const last = (run) => (...args) => {
    const callback = typeof args.at(-1) === "function" ? args.pop() : undefined;
    return deferred(callback, () => run(...args));
  };
  return {
    genSaltSync, genSalt: last(genSaltSync), hashSync, hash: last(hashSync), compareSync, getRounds,
    compare: last((data, known) => {
      const given = data != null && known != null;
      if (given && (!isData(data) || typeof known !== "string")) throw new Error("data and hash must be strings");
      return compareSync(data, known);
    }),
  };
}

// By the files that are their packages' main ones.
const PATCHED = /\/node_modules\/(bcryptjs|bcrypt-nodejs)\/(?:index\.js|umd\/index\.js|bCrypt\.js|dist\/bcrypt\.js)$/;

// Makes a package that was loaded faster.
exports.patch = (path, value) => {
  const found = PATCHED.exec(path);
  if (found && typeof value === "object" && value !== null) patchBcrypt(value, found[1] === "bcrypt-nodejs");
};

// pngjs reaches into zlib's insides to stop where the picture ends.
function pngjsInflate() {
  const zlib = require("zlib");
  const inflateSync = (bytes, options) => {
    const whole = zlib.inflateSync(bytes, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    return whole.subarray(0, options?.maxLength ?? whole.length);
  };
  return Object.assign(inflateSync, { Inflate: zlib.Inflate, createInflate: zlib.createInflate, inflateSync });
}

// What a file is that cannot be loaded, or do its work; undefined for others.
exports.instead = (path) => {
  if (/\/node_modules\/bcrypt\/bcrypt\.js$/.test(path)) return bcrypt();
  if (path.endsWith("/node_modules/pngjs/lib/sync-inflate.js")) return pngjsInflate();
  // It looks for a class inside of Node, to speak HTTP/2 through proxies.
  if (path.endsWith("/js-stream-socket.js")) return require("_inert").inert("http2", "JSStreamSocket");
  return undefined;
};
