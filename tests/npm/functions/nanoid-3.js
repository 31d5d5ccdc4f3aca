exports = async () => {
  const { nanoid } = require("nanoid-3"), { nanoid: async } = require("nanoid-3/async");
  return [nanoid().length, (await async(5)).length];
};
