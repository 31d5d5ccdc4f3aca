exports = async ({ base }) => {
  const Mailgun = require("mailgun.js"), FormData = require("form-data");
  const mg = new (Mailgun.default ?? Mailgun)(FormData).client({ username: "api", key: "key", url: base });
  return (await mg.messages.create("example.com", { from: "a@example.com", to: ["b@example.com"], subject: "s", text: "t" })).id;
};
