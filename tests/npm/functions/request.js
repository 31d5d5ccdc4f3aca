exports = async ({ base }) => {
  const request = require("request");
  const get = (options) => new Promise((done, fail) => request(options, (error, reply, body) => (error ? fail(error) : done([reply.statusCode, body]))));
  const [status, body] = await get({ method: "POST", url: `${base}/echo`, json: { a: 1 }, auth: { user: "u", pass: "p" } });
  return [status, body.body, body.headers.authorization, (await get({ url: `${base}/gzip`, gzip: true, json: true }))[1], await get("http://127.0.0.1:1/").catch((e) => e.code)];
};
