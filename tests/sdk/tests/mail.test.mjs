// Accounts that mails confirm and reset, with the SDK as it is and a stock SMTP
// server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Realm from "realm-web";
import { Server, fixture, refused } from "../harness.mjs";
import { mailbox, parts } from "../mailbox.mjs";

const { Credentials } = Realm;
const accounts = (config) => ({
  "auth/providers.json": {
    "local-userpass": { name: "local-userpass", type: "local-userpass", disabled: false, config },
  },
});
const config = {
  autoConfirm: false,
  emailConfirmationUrl: "https://shop.example/confirm?lang=en",
  confirmEmailSubject: "Grüße vom Laden",
  resetPasswordUrl: "https://shop.example/reset",
};
let mails, server;
before(async () => {
  mails = await mailbox();
  server = await Server.start(fixture, { files: accounts(config), env: mails.env });
});
after(async () => {
  await server.stop();
  await mails.close();
});

test("a mail confirms a registration, and another one takes its place", async () => {
  const app = server.realm();
  const [email, password] = ["ann@example.com", "correct horse"];
  await app.emailPasswordAuth.registerUser({ email, password });
  const first = await mails.next(email);
  assert.equal(first.subject, "Grüße vom Laden");
  assert.deepEqual(first.from, { name: "Shop", address: "no-reply@shop.example" });
  assert.deepEqual(first.envelope.rcptTo.map(({ address }) => address), [email]);
  const [link] = first.text.match(/https:\S+/);
  assert.ok(link.startsWith("https://shop.example/confirm?lang=en&token="));
  assert.ok(first.html.includes(link.replaceAll("&", "&#38;")));
  await refused(app.logIn(Credentials.emailPassword(email, password)), 401, "AuthError");

  await app.emailPasswordAuth.resendConfirmationEmail({ email });
  const [again] = (await mails.next(email)).text.match(/https:\S+/);
  await refused(app.emailPasswordAuth.confirmUser(parts(link)), 400, "UserpassTokenInvalid");
  await app.emailPasswordAuth.confirmUser(parts(again));
  const user = await app.logIn(Credentials.emailPassword(email, password));
  assert.equal(user.profile.email, email);
  await refused(app.emailPasswordAuth.resendConfirmationEmail({ email }), 400, "UserAlreadyConfirmed");
  assert.equal(mails.left(), 0);
});

test("a mail resets a password and ends the sessions", async () => {
  const app = server.realm();
  const [email, password] = ["bob@example.com", "correct horse"];
  await app.emailPasswordAuth.registerUser({ email, password });
  const [link] = (await mails.next(email)).text.match(/https:\S+/);
  await app.emailPasswordAuth.confirmUser(parts(link));
  const user = await app.logIn(Credentials.emailPassword(email, password));

  await app.emailPasswordAuth.sendResetPasswordEmail({ email });
  const mail = await mails.next(email);
  assert.equal(mail.subject, "Reset your password");
  const token = parts(mail.text.match(/https:\S+/)[0]);
  await app.emailPasswordAuth.resetPassword({ ...token, password: "second horse" });
  const twice = app.emailPasswordAuth.resetPassword({ ...token, password: "third horse" });
  await refused(twice, 400, "UserpassTokenInvalid");
  await refused(app.logIn(Credentials.emailPassword(email, password)), 401, "InvalidPassword");
  await refused(user.refreshAccessToken(), 401, "InvalidSession");
  const again = await app.logIn(Credentials.emailPassword(email, "second horse"));
  assert.equal(again.id, user.id);
  const nobody = app.emailPasswordAuth.sendResetPasswordEmail({ email: "nobody@example.com" });
  await refused(nobody, 404, "UserNotFound", "user not found");
});

test("without an SMTP server, dev shows the links", async () => {
  const alone = await Server.start(fixture, { files: accounts({ ...config, resetPasswordUrl: "" }) });
  try {
    const app = alone.realm();
    const [email, password] = ["carl@example.com", "correct horse"];
    const shown = alone.line(({ event, to }) => event === "mail" && to === email);
    await app.emailPasswordAuth.registerUser({ email, password });
    const { purpose, link, subject, text } = await shown;
    assert.deepEqual([purpose, subject], ["confirmation", "Grüße vom Laden"]);
    assert.ok(text.includes(link));
    await app.emailPasswordAuth.confirmUser(parts(link));
    await app.logIn(Credentials.emailPassword(email, password));
    const reset = alone.line(({ event }) => event === "mail");
    await app.emailPasswordAuth.sendResetPasswordEmail({ email });
    const page = `${alone.url}/app/${alone.clientAppId}/auth/reset#token=`;
    assert.ok((await reset).link.startsWith(page));
    // Log lines are for more eyes than the terminal's.
    const secret = parts(link).token;
    for (const line of alone.lines.filter(({ event }) => event === "log")) {
      assert.ok(!JSON.stringify(line).includes(secret));
    }
  } finally {
    await alone.stop();
  }
});
