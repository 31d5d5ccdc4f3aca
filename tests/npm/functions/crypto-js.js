exports = async () => {
  const C = require("crypto-js");
  return [C.MD5("x").toString(), C.SHA3("x").toString(), C.HmacSHA256("m", "k").toString(C.enc.Base64), C.AES.decrypt(C.AES.encrypt("text ü", "key").toString(), "key").toString(C.enc.Utf8), C.PBKDF2("p", "s", { keySize: 4, iterations: 10 }).toString(), C.lib.WordArray.random(8).toString().length];
};
