exports = async ({ base }) => {
  const axios = require("axios-1.3");
  const { data, status, statusText } = await axios({ method: "put", url: `${base}/echo`, data: { ü: "ß" }, auth: { username: "u", password: "p" } });
  const streamed = (await axios.get(`${base}/bytes`, { responseType: "stream" })).data;
  const parts = [];
  for await (const part of streamed) parts.push(part);
  return [status, statusText, data.body, data.headers.authorization, [...Buffer.concat(parts)], await axios.get(`${base}/status/500`).catch((e) => e.message)];
};
