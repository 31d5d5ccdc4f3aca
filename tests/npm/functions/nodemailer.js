exports = async ({ host, port, ports }) => {
  const nodemailer = require("nodemailer");
  const json = await nodemailer.createTransport({ jsonTransport: true }).sendMail({ from: "a@example.com", to: "b@example.com", subject: "ü", text: "hi" });
  const smtp = nodemailer.createTransport({ host, port: ports.smtp, secure: false, auth: { user: "u", pass: "p" } });
  const sent = await smtp.sendMail({ from: "a@example.com", to: ["b@example.com", "c@example.com"], subject: "über", html: "<b>x</b>", attachments: [{ filename: "a.txt", content: "file" }], messageId: "<1@x>", date: new Date(0) });
  smtp.close();
  return [JSON.parse(json.message).subject, sent.accepted, sent.response, await nodemailer.createTransport({ host, port: 1 }).verify().catch((e) => e.code)];
};
