exports = async ({ host, port }) => {
  const algoliasearch = require("algoliasearch");
  const client = algoliasearch("APP", "key", { hosts: [{ url: `${host}:${port}`, protocol: "http", accept: 3 }] });
  const found = await client.initIndex("things").search("query");
  return [found.hits.map((h) => h.objectID), (await client.initIndex("things").saveObject({ objectID: "1" })).objectID];
};
