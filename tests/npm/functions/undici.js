exports = async ({ base }) => {
  const { request, fetch } = require("undici");
  const { statusCode, body } = await request(`${base}/echo`, { method: "POST", body: "hi" });
  return [statusCode, (await body.json()).body, (await (await fetch(`${base}/echo`)).json()).method];
};
