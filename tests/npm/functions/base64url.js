exports = async () => {
  const b = require("base64url").default ?? require("base64url");
  return [b("hällo?>"), b.decode("aMOkbGxvPz4"), b.toBuffer("_-8").toString("hex"), b.toBase64("a-_b")];
};
