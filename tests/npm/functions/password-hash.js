exports = async () => {
  const hash = require("password-hash");
  const made = hash.generate("secret");
  return [hash.verify("secret", made), hash.verify("other", made), hash.isHashed(made), hash.verify("password123", "sha1$3I7HRwy7$cbfdac6008f9cab4083784cbd1874f76618d2a97")];
};
