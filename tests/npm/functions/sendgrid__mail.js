exports = async ({ base }) => {
  const mail = require("@sendgrid/mail");
  mail.setApiKey("SG.key"); mail.client.setDefaultRequest("baseUrl", base);
  const [reply] = await mail.send({ to: "a@example.com", from: "b@example.com", subject: "s", text: "t", html: "<b>t</b>", attachments: [{ content: Buffer.from("x").toString("base64"), filename: "x.txt" }] });
  return [reply.statusCode, reply.headers["x-echo-authorization"], await mail.send({ to: "a@example.com", from: "b@example.com", subject: "fail", text: "t" }).catch((e) => [e.code, e.response.body.errors[0].message])];
};
