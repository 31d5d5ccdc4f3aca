exports = async () => {
  const bcrypt = require("bcrypt");
  const hash = await bcrypt.hash("password", 8);
  return [await bcrypt.compare("password", hash), bcrypt.compareSync("other", hash), bcrypt.getRounds(hash), bcrypt.hashSync("x", "$2b$06$DCq7YPn5Rq63x1Lad4cll."), bcrypt.hashSync(Buffer.from("\u00fc".repeat(50)), "$2a$06$DCq7YPn5Rq63x1Lad4cll."), hash.slice(0, 7), await new Promise((done) => bcrypt.compare("password", hash, (error, is) => done([error ?? null, is]))), await bcrypt.hash("x", "bad").catch((error) => error.message), await bcrypt.compare(1, 2).catch((error) => error.message)];
};
