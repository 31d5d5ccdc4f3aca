exports = async () => {
  const bcrypt = require("bcrypt-nodejs");
  const hash = bcrypt.hashSync("password");
  return [bcrypt.compareSync("password", hash), bcrypt.compareSync("other", hash), hash.length];
};
