exports = async () => {
  const hash = require("object-hash");
  return [hash({ b: 1, a: [new Date(0), null, undefined, /x/] }), hash.MD5("x"), hash({ a: 1 }, { algorithm: "sha256", encoding: "base64" }), hash(new Map([[1, 2]]))];
};
