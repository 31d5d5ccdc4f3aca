exports = async () => {
  const nacl = require("tweetnacl");
  const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(7));
  const box = nacl.secretbox(new Uint8Array([1, 2]), new Uint8Array(24), new Uint8Array(32));
  return [Buffer.from(nacl.sign.detached(new Uint8Array([1]), pair.secretKey)).toString("hex"), Buffer.from(box).toString("hex"), nacl.randomBytes(4).length];
};
