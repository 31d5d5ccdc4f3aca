exports = async ({ base }) => {
  const fetch = require("node-fetch-2");
  const json = await (await fetch(`${base}/echo`, { method: "PUT", body: "text" })).json();
  const bytes = await (await fetch(`${base}/bytes`)).buffer();
  return [json.method, json.body, [...bytes], (await fetch(`${base}/status/503`)).status];
};
