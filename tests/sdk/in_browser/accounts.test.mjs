// The built-in pages behind the links of mails, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Realm from "realm-web";
import { browse } from "../browser.mjs";
import { Server, fixture, refused } from "../harness.mjs";
import { mailbox } from "../mailbox.mjs";

const { Credentials } = Realm;
let mails, server, browser;
before(async () => {
  mails = await mailbox();
  const userpass = {
    name: "local-userpass",
    type: "local-userpass",
    disabled: false,
    config: { autoConfirm: false, emailConfirmationUrl: "" },
  };
  const root = { config_version: 20210101, name: "accounts", app_id: "accounts-abcde" };
  server = await Server.start(fixture, {
    files: {
      "auth/providers.json": { "local-userpass": userpass },
      // Pages of other origins may not call; the built-in ones may.
      "realm_config.json": { ...root, allowed_request_origins: ["https://shop.example"] },
    },
    env: mails.env,
  });
  browser = await browse();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await mails?.close();
});

/** Opens the link of the next mail; what the page asked for and complained of. */
async function open(email) {
  const mail = await mails.next(email);
  const page = await browser.newPage();
  const asked = [];
  const complaints = [];
  page.on("request", (request) => asked.push({ url: request.url(), headers: request.headers() }));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  const link = mail.text.match(/http:\S+/)[0];
  await page.goto(link);
  return { page, link, asked, complaints };
}

test("an address is confirmed and a password reset with the built-in pages", async () => {
  const app = server.realm();
  const [email, password] = ["ann@example.com", "correct horse"];
  await app.emailPasswordAuth.registerUser({ email, password });
  const confirm = await open(email);
  const { page } = confirm;
  assert.equal(await page.title(), "Confirm your email address");
  // Opening the link is not enough.
  await refused(app.logIn(Credentials.emailPassword(email, password)), 401, "AuthError");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("Your email address is confirmed.").waitFor();
  assert.equal(new URL(page.url()).hash, "");
  await app.logIn(Credentials.emailPassword(email, password));

  await app.emailPasswordAuth.sendResetPasswordEmail({ email });
  const reset = await open(email);
  const form = reset.page;
  const change = form.getByRole("button", { name: "Change password" });
  const first = form.getByLabel("New password", { exact: true });
  const second = form.getByLabel("New password once more");
  for (const [one, two, complaint] of [
    ["12345", "12345", "6 to 128 characters."],
    ["second horse", "third horse", "not the same"],
  ]) {
    await first.fill(one);
    await second.fill(two);
    await change.press("Enter");
    await form.getByRole("status").getByText(complaint).waitFor();
  }
  await second.fill("second horse");
  await second.press("Enter");
  await form.getByText("Your password is changed.").waitFor();
  await app.logIn(Credentials.emailPassword(email, "second horse"));

  // A link that was used is told to be.
  for (const { link, name } of [
    { link: confirm.link, name: "Confirm" },
    { link: reset.link, name: "Change password" },
  ]) {
    const again = await browser.newPage();
    await again.goto(link);
    if (name === "Change password") {
      await again.getByLabel("New password", { exact: true }).fill("third horse");
      await again.getByLabel("New password once more").fill("third horse");
    }
    await again.getByRole("button", { name }).click();
    await again.getByText("This link was used already or is too old.").waitFor();
  }

  // No request but the one that uses it has the token, and no address shows it.
  for (const { link, asked, complaints } of [confirm, reset]) {
    const token = link.match(/token=([0-9a-f]{128})/)[1];
    for (const { url, headers } of asked) {
      assert.ok(url.startsWith(server.url), url);
      assert.ok(!url.includes(token), url);
      assert.equal(headers.referer ?? "", "");
    }
    assert.deepEqual(complaints, []);
  }
});

test("a link that is not whole is told to be", async () => {
  for (const name of ["confirm", "reset"]) {
    const page = await browser.newPage();
    await page.goto(`${server.url}/app/${server.clientAppId}/auth/${name}#token=1`);
    await page.getByText("This link is not complete.").waitFor();
    assert.equal(await page.getByRole("button").count(), 0);
  }
});
