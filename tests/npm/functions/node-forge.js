exports = async () => {
  const forge = require("node-forge");
  const md = forge.md.sha256.create(); md.update("x");
  const cipher = forge.cipher.createCipher("AES-CBC", "0123456789abcdef"); cipher.start({ iv: "fedcba9876543210" }); cipher.update(forge.util.createBuffer("hello")); cipher.finish();
  return [md.digest().toHex(), cipher.output.toHex(), forge.util.encode64("hi"), forge.random.getBytesSync(8).length];
};
