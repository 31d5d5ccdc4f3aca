exports = async () => {
  const jwt = require("jsonwebtoken"), { generateKeyPairSync } = require("crypto");
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const es = jwt.sign({ a: 1 }, privateKey, { algorithm: "ES256" });
  const hs = jwt.sign({ sub: "u", iat: 1 }, "secret", { noTimestamp: true });
  return [hs, jwt.verify(hs, "secret").sub, jwt.verify(es, publicKey).a, (() => { try { jwt.verify(hs, "wrong"); } catch (e) { return [e.name, e.message]; } })(), (() => { try { jwt.verify(jwt.sign({ exp: 1 }, "s"), "s"); } catch (e) { return [e.name, e.expiredAt.getTime()]; } })(), jwt.decode(hs, { complete: true }).header];
};
