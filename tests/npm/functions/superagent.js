exports = async ({ base }) => {
  const superagent = require("superagent");
  const reply = await superagent.post(`${base}/echo`).set("x-a", "1").query({ q: 2 }).send({ a: 1 });
  const form = await superagent.post(`${base}/echo`).type("form").send({ b: 2 });
  const upload = await superagent.post(`${base}/echo`).attach("file", Buffer.from("content"), "name.txt").field("x", "y");
  return [reply.status, reply.body.path, reply.body.body, reply.body.headers["x-a"], form.body.body, upload.body.body.includes('filename="name.txt"'), await superagent.get(`${base}/status/404`).catch((e) => e.status)];
};
