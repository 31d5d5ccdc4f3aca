exports = async function () {
  const key = "0123456789abcdef";
  const jwt = utils.jwt.encode("HS512", { sub: "a" }, "SuperSecret");
  const reply = await context.http.get({ url: "https://example.com" });
  return {
    secret: context.values.get("apiKey"),
    none: context.values.get("nothing") === undefined && context.services.get("nothing") === undefined,
    hmac: utils.crypto.hmac("hello!", "super-secret", "sha256", "base64"),
    hash: utils.crypto.hash("sha256", "hello!").toBase64(),
    aes: utils.crypto.decrypt("aes", utils.crypto.encrypt("aes", "é", key), key).text(),
    jwt: utils.jwt.decode(jwt, "SuperSecret").sub,
    module: typeof module,
    reply: EJSON.parse(reply.body.text()),
    id: BSON.ObjectId("5f1f4a4a4a4a4a4a4a4a4a4a").toHexString(),
    tag: context.environment.tag,
  };
};
