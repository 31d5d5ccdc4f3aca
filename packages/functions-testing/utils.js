// `utils` of functions, by Node's own crypto.

import * as crypto from "node:crypto";

/** `utils` for the classes of a world. */
export function makeUtils({ Binary }) {
  const bytes = (value) => (typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value?._v ?? value));
  const oneOf = (what, value, all) => {
    if (!all.includes(value)) throw new TypeError(`${what} is one of ${all.join(", ")}`);
  };
  const rsa = (scheme) => {
    oneOf("the scheme", scheme, ["pss", "pkcs1v15"]);
    const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_AUTO } = crypto.constants;
    return scheme === "pss" ? { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_AUTO } : { padding: RSA_PKCS1_PADDING };
  };
  const kind = (name) => `aes-${name.length * 8}-gcm`;
  const key = (text) => {
    const raw = bytes(text);
    if (![16, 24, 32].includes(raw.length)) throw new TypeError("the key has 16, 24 or 32 bytes");
    return raw;
  };
  const signed = (algorithm) => {
    const [, family, bits] = /^(HS|RS|ES|PS)(256|384|512)$/.exec(algorithm) ?? [];
    if (family === undefined) throw new TypeError(`unknown algorithm '${algorithm}'`);
    const options = {
      RS: { padding: crypto.constants.RSA_PKCS1_PADDING },
      PS: { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 },
      ES: { dsaEncoding: "ieee-p1363" },
    }[family];
    return { family, hash: `sha${bits}`, options };
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    crypto: {
      hash: (algorithm, input) => {
        oneOf("the hash", algorithm, ["md5", "sha1", "sha256", "sha512"]);
        return new Binary(crypto.createHash(algorithm).update(bytes(input)).digest());
      },
      hmac: (input, secret, algorithm, format) => {
        oneOf("the hash", algorithm, ["sha1", "sha256", "sha512"]);
        return crypto.createHmac(algorithm, bytes(secret)).update(bytes(input)).digest(format === "base64" ? "base64" : "hex");
      },
      encrypt: (name, message, secret) => {
        oneOf("the cipher", name, ["aes"]);
        const nonce = crypto.randomBytes(12);
        const cipher = crypto.createCipheriv(kind(key(secret)), key(secret), nonce);
        return new Binary(Buffer.concat([nonce, cipher.update(bytes(message)), cipher.final(), cipher.getAuthTag()]));
      },
      decrypt: (name, message, secret) => {
        oneOf("the cipher", name, ["aes"]);
        const raw = bytes(message);
        const cipher = crypto.createDecipheriv(kind(key(secret)), key(secret), raw.subarray(0, 12));
        cipher.setAuthTag(raw.subarray(-16));
        return new Binary(Buffer.concat([cipher.update(raw.subarray(12, -16)), cipher.final()]));
      },
      sign: (name, message, pem, scheme = "pss") => {
        oneOf("the kind of key", name, ["rsa"]);
        return new Binary(crypto.sign("sha256", bytes(message), { key: pem, ...rsa(scheme) }));
      },
      verify: (name, message, pem, signature, scheme = "pss") => {
        oneOf("the kind of key", name, ["rsa"]);
        return crypto.verify("sha256", bytes(message), { key: pem, ...rsa(scheme) }, bytes(signature));
      },
    },
    jwt: {
      encode: (algorithm, payload, secret, headers) => {
        const { family, hash, options } = signed(algorithm);
        const text = `${part({ alg: algorithm, typ: "JWT", ...headers, alg: algorithm })}.${part(payload)}`;
        const signature = family === "HS"
          ? crypto.createHmac(hash, secret).update(text).digest()
          : crypto.sign(hash, Buffer.from(text), { key: secret, ...options });
        return `${text}.${signature.toString("base64url")}`;
      },
      decode: (jwt, secret, returnHeader = false, algorithms = undefined) => {
        const [head, body, signature, more] = String(jwt).split(".");
        if (signature === undefined || more !== undefined) throw new Error("the token is malformed");
        const read = (text) => JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
        const header = read(head);
        const { family, hash, options } = signed(header.alg);
        if (algorithms != null && !algorithms.includes(header.alg)) throw new Error(`the algorithm ${header.alg} is not accepted`);
        // A public key is no secret.
        if (family === "HS" && /-----BEGIN/.test(secret)) throw new Error("a public key verifies no HMAC");
        const text = Buffer.from(`${head}.${body}`);
        const raw = Buffer.from(signature, "base64url");
        const mac = family === "HS" ? crypto.createHmac(hash, secret).update(text).digest() : undefined;
        const holds = mac === undefined
          ? crypto.verify(hash, text, { key: secret, ...options }, raw)
          : mac.length === raw.length && crypto.timingSafeEqual(mac, raw);
        if (!holds) throw new Error("the signature does not hold");
        const payload = read(body);
        const now = Date.now() / 1000;
        if (payload.exp !== undefined && now >= payload.exp) throw new Error("the token is expired");
        if (payload.nbf !== undefined && now < payload.nbf) throw new Error("the token is not valid yet");
        return returnHeader ? { header, payload } : payload;
      },
    },
  };
}
