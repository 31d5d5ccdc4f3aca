exports = async ({ base }) => {
  const got = require("got-11");
  const json = await got.post(`${base}/echo`, { json: { a: 1 }, searchParams: { q: "ä" } }).json();
  const parts = [];
  for await (const part of got.stream(`${base}/bytes`)) parts.push(part);
  return [json.path, json.body, [...Buffer.concat(parts)], await got(`${base}/status/404`).catch((e) => e.message)];
};
