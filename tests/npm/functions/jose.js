exports = async ({ base }) => {
  const jose = require("jose");
  const { privateKey, publicKey } = await jose.generateKeyPair("ES256");
  const token = await new jose.SignJWT({ a: 1 }).setProtectedHeader({ alg: "ES256" }).setExpirationTime("2h").sign(privateKey);
  const { payload } = await jose.jwtVerify(token, publicKey);
  const secret = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
  const hs = await new jose.SignJWT({ s: 1 }).setProtectedHeader({ alg: "HS256" }).sign(secret);
  const jwe = await new jose.EncryptJWT({ e: 1 }).setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(secret);
  const remote = jose.createRemoteJWKSet(new URL(`${base}/jwks`));
  const refused = await jose.jwtVerify(hs, remote).catch((e) => e.code);
  return [payload.a, hs, (await jose.jwtDecrypt(jwe, secret)).payload.e, refused, jose.decodeProtectedHeader(token).alg, (await jose.exportJWK(publicKey)).crv];
};
