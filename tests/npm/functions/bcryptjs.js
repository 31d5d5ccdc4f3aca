exports = async () => {
  const bcrypt = require("bcryptjs");
  const hash = await bcrypt.hash("password", 10);
  return [await bcrypt.compare("password", hash), await bcrypt.compare("other", hash), bcrypt.getRounds(hash), bcrypt.compareSync("abc", "$2a$10$WvvTPHKwdBJ3uk0Z37EMR.hLA2W6N9AEBhEgrAOljy2Ae5MtaSIUi"), bcrypt.hashSync("x", "$2a$06$DCq7YPn5Rq63x1Lad4cll.")];
};
