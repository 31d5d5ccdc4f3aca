// Logging in by way of a provider's page, in a real browser, with the SDK as it
// is: Google's place has a stock OpenID provider, Apple's and Facebook's one of
// the tests' own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { browse, pages } from "../browser.mjs";
import { Server, fixture } from "../harness.mjs";
import { social } from "../providers/social.mjs";

let openid, others, site, server, browser, administrator;

before(async () => {
  site = await pages();
  others = await social();
  openid = spawn(process.execPath, [fileURLToPath(new URL("../providers/openid.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const [issuer] = await once(createInterface({ input: openid.stdout }), "line");
  const endpoints = [
    `google.authorize=${issuer}/auth`,
    `google.token=${issuer}/token`,
    `google.userinfo=${issuer}/me`,
    `google.keys=${issuer}/jwks`,
    `google.issuer=${issuer}`,
    ...others.endpoints,
  ];
  const provider = (name, more) => ({
    name,
    type: name,
    disabled: false,
    config: { clientId: `${name.slice(7)}-client` },
    secret_config: { clientSecret: "client-secret" },
    redirect_uris: [`${site.near}/back`, `${site.far}/back`],
    ...more,
  });
  const fields = (...names) => names.map((name) => ({ required: false, name }));
  server = await Server.start(fixture, {
    files: {
      ".secrets.json": { "client-secret": "client secret of the tests" },
      "auth/providers.json": {
        "anon-user": { name: "anon-user", type: "anon-user", disabled: false },
        "oauth2-google": provider("oauth2-google", {
          domain_restrictions: ["example.com"],
          metadata_fields: fields("name", "first_name", "last_name", "email", "picture"),
        }),
        "oauth2-facebook": provider("oauth2-facebook", { metadata_fields: fields("name", "email") }),
        "oauth2-apple": provider("oauth2-apple", { metadata_fields: fields("name", "email") }),
      },
    },
    env: {
      BACKSTITCH_EGRESS_ALLOW: "127.0.0.0/8",
      BACKSTITCH_PROVIDER_ENDPOINTS: endpoints.join(","),
    },
  });
  const client = {
    client_id: "google-client",
    client_secret: "client secret of the tests",
    redirect_uris: [`${server.url}/api/client/v2.0/auth/callback`],
  };
  openid.stdin.write(`${JSON.stringify(client)}\n`);
  administrator = await server.administrator();
});
after(async () => {
  await browser?.close();
  openid?.kill();
  await server?.stop();
  site?.close();
  others?.close();
});
// Nobody is logged in anywhere.
beforeEach(() => anew());
async function anew(options) {
  await browser?.close();
  browser = await browse(options);
}

/** An app's page that is open. */
async function app(at = site.near) {
  const page = await browser.newPage();
  await page.goto(at);
  await page.evaluate(([id, url]) => void open_(id, url), [server.clientAppId, server.url]);
  return page;
}

/** The window that opens when a page begins a login, or a link. */
async function begin(page, provider, what = "login") {
  const [window] = await Promise.all([
    page.waitForEvent("popup"),
    page.evaluate(([what, provider]) => begin(what, provider), [what, provider]),
  ]);
  // One that needs nobody is closed at once.
  await window.waitForLoadState().catch((error) => {
    if (!window.isClosed()) throw error;
  });
  return window;
}

const result = (page) => page.evaluate(() => window.result);

/** Says at the stock provider who it is; what follows is whether to agree. */
async function identify(window, name) {
  await window.fill("[name=login]", name);
  await window.fill("[name=password]", "any");
  await window.click("[type=submit]");
  await window.waitForSelector("[name=prompt][value=consent]", { state: "attached" });
}

/** Logs in at the stock provider, and agrees. */
async function agree(window, name) {
  await identify(window, name);
  await window.click("[type=submit]").catch((error) => {
    // It is closed as soon as the page has what it waits for.
    if (!window.isClosed()) throw error;
  });
}

/** The pairs in the fragment that a window came back with. */
async function cameBack(window) {
  await window.waitForURL(/\/back/);
  return Object.fromEntries(new URLSearchParams(new URL(window.url()).hash.slice(1)));
}

/** A page without the SDK's window, which stays open. */
async function start(provider, more = {}) {
  const query = new URLSearchParams({ state: "abcdefghijkl", redirect: `${site.near}/back`, ...more });
  const page = await browser.newPage();
  const reply = await page.goto(
    `${server.url}/api/client/v2.0/app/${server.clientAppId}/auth/providers/${provider}/login?${query}`,
  );
  return { page, reply };
}

test("a user logs in with the stock provider, and is the same the next time", async () => {
  const page = await app();
  await agree(await begin(page, "google"), "ada");
  const user = await result(page);
  assert.match(user.id ?? user.error, /^[0-9a-f]{24}$/);
  assert.equal(user.profile.email, "ada@example.com");
  assert.equal(user.profile.firstName, "ada");
  assert.deepEqual(
    user.identities.map((identity) => identity.providerType),
    ["oauth2-google"],
  );
  // The session is one: it refreshes, and it knows its device.
  assert.equal(await page.evaluate(() => app.currentUser.refreshAccessToken().then(() => "ok")), "ok");
  const { body: devices } = await administrator("GET", `/apps/${server.appId}/users/${user.id}/devices`);
  assert.equal(devices.length, 1);
  assert.match(devices[0].platform, /chrome/);
  const again = await app();
  // The provider knows who it is, and that he agreed.
  await begin(again, "google");
  assert.equal((await result(again)).id, user.id);
});

test("a user from another domain is told so, and is nobody", async () => {
  const { page } = await start("oauth2-google");
  await agree(page, "unverified");
  const pairs = await cameBack(page);
  assert.ok(pairs._baas_error, JSON.stringify(pairs));
  assert.equal(pairs._stitch_error, pairs._baas_error);
  assert.equal(pairs._baas_ua, undefined);
});

test("who denies comes back with the provider's words", async () => {
  const { page } = await start("oauth2-google");
  await page.getByText("Cancel").click();
  const pairs = await cameBack(page);
  assert.match(pairs._baas_error, /^access_denied: /);
  assert.deepEqual(pairs, {
    _baas_client_app_id: server.clientAppId,
    _baas_state: "abcdefghijkl",
    _baas_error: pairs._baas_error,
    _stitch_client_app_id: server.clientAppId,
    _stitch_state: "abcdefghijkl",
    _stitch_error: pairs._baas_error,
  });
});

test("who denies in the SDK's window is not logged in", async () => {
  const page = await app();
  const window = await begin(page, "google");
  await window.getByText("Cancel").click();
  assert.match((await result(page)).error, /Error/);
  assert.equal(await page.evaluate(() => app.currentUser), null);
});

// On a page of another site it takes a browser that keeps cookies of other sites.
for (const [at, name] of [
  ["near", "bob"],
  ["far", "carol"],
]) {
  test(`an anonymous user links on a page that is ${at}, and stays who he is`, async () => {
    if (at === "far") await anew({ crossing: true });
    const page = await app(site[at]);
    const id = await page.evaluate(() =>
      app.logIn(Realm.Credentials.anonymous(false)).then((user) => user.id),
    );
    await agree(await begin(page, "google", "link"), name);
    const user = await result(page);
    assert.equal(user.id ?? user.error, id);
    assert.deepEqual(
      user.identities.map((identity) => identity.providerType),
      ["anon-user", "oauth2-google"],
    );
    assert.equal(user.profile.email, `${name}@example.com`);
    assert.equal(await page.evaluate(() => app.currentUser.refreshAccessToken().then(() => "ok")), "ok");
    // It is one way to log in from now on, and nobody else's to link.
    await page.evaluate(() => app.removeUser(app.currentUser));
    await page.evaluate(() => app.logIn(Realm.Credentials.anonymous(false)).then(() => {}));
    await begin(page, "google", "link");
    assert.match((await result(page)).error, /Failed to decode/);
    await begin(page, "google");
    assert.equal((await result(page)).id, id);
  });
}

test("a link from another site is refused if the browser keeps no cookie of it", async () => {
  const page = await app(site.far);
  await page.evaluate(() => app.logIn(Realm.Credentials.anonymous(false)).then(() => {}));
  const window = await begin(page, "google", "link");
  await agree(window, "dan");
  await window.waitForURL(/auth\/callback/);
  assert.match(await window.textContent("p"), /not begun in this browser/);
  const types = () => app.currentUser.refreshProfile().then(() => app.currentUser.identities.length);
  assert.equal(await page.evaluate(types), 1);
});

test("a redirect that is not allowed leads nowhere", async () => {
  for (const redirect of ["https://evil.example/", `${site.near}/back?x`, `${site.near}/back/`, ""]) {
    const { page, reply } = await start("oauth2-google", { redirect });
    assert.equal(reply.status(), 400);
    assert.ok(page.url().startsWith(server.url), page.url());
    assert.match(await page.textContent("p"), /redirect URI is not one/);
  }
});

test("a login that came back does so once, and in its own browser only", async () => {
  const { page } = await start("oauth2-google");
  await identify(page, "eve");
  // What the provider has the browser do next is not done yet.
  const { request } = browser;
  const form = await page.getAttribute("form", "action");
  let reply = await request.post(form, { form: { prompt: "consent" }, maxRedirects: 0 });
  let callback = reply.headers().location;
  while (!callback.includes("/auth/callback")) {
    reply = await request.get(callback, { maxRedirects: 0 });
    callback = reply.headers().location;
  }
  // Somebody else is lured to it.
  const victim = await browse();
  try {
    const other = await victim.newPage();
    const lured = await other.goto(callback);
    assert.equal(lured.status(), 403);
    assert.match(await other.textContent("p"), /not begun in this browser/);
  } finally {
    await victim.close();
  }
  await page.goto(callback);
  const pairs = await cameBack(page);
  assert.equal(pairs._baas_ua?.split("$").length, 4, JSON.stringify(pairs));
  const again = await page.goto(callback);
  assert.equal(again.status(), 403);
});

test("Apple posts its answer from another site, with the name the first time", async () => {
  const page = await app();
  const window = await begin(page, "apple");
  assert.equal(others.asked.at(-1).response_mode, "form_post");
  await window.click("#allow").catch(() => {});
  const user = await result(page);
  assert.match(user.id ?? user.error, /^[0-9a-f]{24}$/);
  const name = async () => {
    const { body } = await administrator("GET", `/apps/${server.appId}/users/${user.id}`);
    return body.data.name;
  };
  assert.equal(await name(), "Ada Lovelace");
  // Later it says nothing of the name, which stays.
  const again = await app();
  const second = await begin(again, "apple");
  await second.click("#allow").catch(() => {});
  assert.equal((await result(again)).id, user.id);
  assert.equal(await name(), "Ada Lovelace");
});

test("Apple's refusal comes back too", async () => {
  const { page } = await start("oauth2-apple");
  await page.click("#deny");
  assert.equal((await cameBack(page))._baas_error, "user_cancelled_authorize");
});

test("Facebook lets a user in, and is asked for no more than the app wants", async () => {
  const page = await app();
  const window = await begin(page, "facebook");
  assert.equal(others.asked.at(-1).scope, "public_profile,email");
  await window.click("#allow").catch(() => {});
  const user = await result(page);
  assert.match(user.id ?? user.error, /^[0-9a-f]{24}$/);
  assert.equal(user.profile.name, "Ada Lovelace");
});
