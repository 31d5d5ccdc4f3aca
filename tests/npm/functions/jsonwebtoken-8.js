exports = async () => {
  const jwt = require("jsonwebtoken-8"), { generateKeyPairSync } = require("crypto");
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } });
  const token = jwt.sign({ a: 1 }, privateKey, { algorithm: "RS256", expiresIn: "1h", issuer: "me" });
  return [jwt.verify(token, publicKey, { issuer: "me" }).a, jwt.sign({ iat: 1 }, "s", { algorithm: "HS512" }), await new Promise((done) => jwt.verify(token, publicKey, { issuer: "other" }, (error) => done(error.message))), jwt.verify(jwt.sign({ b: 2 }, privateKey, { algorithm: "PS256" }), publicKey).b];
};
