// X509Certificate: what a certificate says, and whether a key signed it.

const { Buffer } = require("buffer");
const { coded, invalidType, invalidValue, validateObject, validateString } = require("_errors");
const { BYTES, bytes, isBytes } = require("_crypto_input");
const { handleOf, wrap } = require("_crypto_keys");
const native = inner.node;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

function moment(time) {
  const at = new Date(time);
  const clock = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(":");
  return `${MONTHS[at.getUTCMonth()]} ${String(at.getUTCDate()).padStart(2)} ${clock} ${at.getUTCFullYear()} GMT`;
}

// Parts of a name, one a line, with what is special in them escaped.
function lines(parts) {
  if (parts.length === 0) return undefined;
  return parts.map(([key, value]) => `${key}=${value.replace(/[,+"\\<>;]|^[# ]| $/g, "\\$&")}`).join("\n");
}

// Names in one line; what could be taken for several is quoted.
function joinedNames(names) {
  return names.map(([kind, value]) => `${kind}:${/[",'\\\0-\x1f\x7f]/.test(value) ? JSON.stringify(value) : value}`).join(", ");
}

function legacyName(parts) {
  const made = Object.create(null);
  for (const [key, value] of parts) {
    made[key] = key in made ? [].concat(made[key], value) : value;
  }
  return made;
}

const lower = (text) => text.toLowerCase();

// Whether a pattern of a certificate names a host.
function matches(pattern, host, { wildcards = true, partialWildcards = true, multiLabelWildcards = false }) {
  const [wanted, name] = [lower(pattern), lower(host)];
  if (wanted === name) return true;
  const star = wanted.indexOf("*");
  if (!wildcards || star < 0) return false;
  const first = wanted.indexOf(".");
  if (star > first || wanted.indexOf("*", star + 1) >= 0 || wanted.indexOf(".", first + 1) < 0) return false;
  if (first !== 1 && (!partialWildcards || wanted.startsWith("xn--"))) return false;
  const before = wanted.slice(0, star), after = wanted.slice(star + 1);
  if (name.length <= before.length + after.length - (first === 1 ? 0 : 1) || !name.startsWith(before) || !name.endsWith(after)) return false;
  const middle = name.slice(before.length, name.length - after.length);
  return multiLabelWildcards ? true : !middle.includes(".");
}

class X509Certificate {
  #parts;

  constructor(content) {
    if (typeof content !== "string" && !isBytes(content)) throw invalidType("buffer", ["string", ...BYTES.slice(1)], content);
    try {
      this.#parts = native("crypto.certificate", bytes(content, "buffer"));
    } catch {
      throw coded(Error, "ERR_OSSL_PEM_NO_START_LINE", "error:0480006C:PEM routines::no start line");
    }
  }

  #print(algorithm) {
    return Array.from(native("crypto.hash", algorithm, this.#parts.raw), (byte) => two(byte.toString(16).toUpperCase())).join(":");
  }

  get subject() { return lines(this.#parts.subject); }
  get issuer() { return lines(this.#parts.issuer); }
  get subjectAltName() { return this.#parts.names && joinedNames(this.#parts.names); }
  get issuerCertificate() { return undefined; }
  get infoAccess() { return undefined; }
  get validFrom() { return moment(this.#parts.from); }
  get validTo() { return moment(this.#parts.to); }
  get fingerprint() { return this.#print("sha1"); }
  get fingerprint256() { return this.#print("sha256"); }
  get fingerprint512() { return this.#print("sha512"); }
  get keyUsage() { return this.#parts.uses; }
  get serialNumber() { return this.#parts.serial; }
  get ca() { return this.#parts.authority; }
  get raw() { return Buffer.from(this.#parts.raw); }

  get publicKey() {
    const { key } = this.#parts;
    if (key === undefined) throw coded(Error, "ERR_OSSL_UNSUPPORTED", "error:1E08010C:DECODER routines::unsupported");
    return wrap({ type: "public", name: key.name, der: key.der, details: key.details });
  }

  toString() {
    const text = Buffer.from(this.#parts.raw).toString("base64").replace(/.{1,64}/g, "$&\n");
    return `-----BEGIN CERTIFICATE-----\n${text}-----END CERTIFICATE-----\n`;
  }
  toJSON() { return this.toString(); }

  // The name of the certificate that is a host's; undefined for none.
  checkHost(name, options = {}) {
    validateString(name, "name");
    validateObject(options, "options");
    const { subject = "default" } = options;
    const found = (this.#parts.names ?? []).filter(([kind]) => kind === "DNS").map(([, value]) => value);
    if (subject === "always" || (subject === "default" && found.length === 0)) {
      found.push(...this.#parts.subject.filter(([key]) => key === "CN").map(([, value]) => value));
    }
    return found.find((pattern) => matches(pattern, name, options));
  }

  checkEmail(email, options = {}) {
    validateString(email, "email");
    validateObject(options, "options");
    const { subject = "default" } = options;
    const found = (this.#parts.names ?? []).filter(([kind]) => kind === "email").map(([, value]) => value);
    if (subject === "always" || (subject === "default" && found.length === 0)) {
      found.push(...this.#parts.subject.filter(([key]) => key === "emailAddress").map(([, value]) => value));
    }
    const [local, domain] = email.split("@");
    return found.find((value) => {
      const [one, other] = value.split("@");
      return one === local && lower(other ?? "") === lower(domain ?? "");
    }) && email;
  }

  checkIP(ip) {
    validateString(ip, "ip");
    return (this.#parts.names ?? []).some(([kind, value]) => kind === "IP Address" && value === lower(ip)) ? ip : undefined;
  }

  checkIssued(other) {
    if (!(other instanceof X509Certificate)) throw invalidType("otherCert", "X509Certificate", other);
    return Buffer.from(this.#parts.issuerRaw).equals(other.#parts.subjectRaw);
  }

  checkPrivateKey(key) {
    const handle = handleOf(key);
    if (handle === undefined) throw invalidType("pkey", "KeyObject", key);
    if (handle.type !== "private") throw invalidValue("pkey", key);
    return Buffer.from(native("crypto.key.public", handle.der).der).equals(this.#parts.key?.der ?? []);
  }

  // Whether a key signed it.
  verify(key) {
    const handle = handleOf(key);
    if (handle === undefined) throw invalidType("pkey", "KeyObject", key);
    if (handle.type !== "public") throw invalidValue("pkey", key);
    const { hash, scheme, signed, signature } = this.#parts;
    if (scheme !== handle.name) return false;
    return native("crypto.verify", hash, signed, handle.der, undefined, undefined, false, signature);
  }

  toLegacyObject() {
    const { key } = this.#parts;
    const made = { subject: legacyName(this.#parts.subject), issuer: legacyName(this.#parts.issuer) };
    if (this.#parts.names) made.subjectaltname = this.subjectAltName;
    made.ca = this.ca;
    if (key?.name === "rsa") {
      const { n, e } = native("crypto.key.export", key.der, "jwk");
      made.modulus = Buffer.from(n, "base64url").toString("hex").toUpperCase();
      made.bits = key.details.modulusLength;
      made.exponent = `0x${Buffer.from(e, "base64url").toString("hex").replace(/^0+/, "")}`;
      made.pubkey = Buffer.from(key.der);
    }
    Object.assign(made, {
      valid_from: this.validFrom, valid_to: this.validTo, fingerprint: this.fingerprint,
      fingerprint256: this.fingerprint256, fingerprint512: this.fingerprint512,
    });
    if (this.#parts.uses) made.ext_key_usage = this.#parts.uses;
    return Object.assign(made, { serialNumber: this.serialNumber, raw: this.raw });
  }
}

exports.X509Certificate = X509Certificate;
