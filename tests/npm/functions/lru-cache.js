exports = async () => {
  const { LRUCache } = require("lru-cache");
  const cache = new LRUCache({ max: 2, ttl: 1000 });
  cache.set("a", 1); cache.set("b", 2); cache.get("a"); cache.set("c", 3);
  return [[...cache.keys()], cache.has("b"), cache.size, await new LRUCache({ max: 2, fetchMethod: async (key) => `f${key}` }).fetch("k")];
};
