// Logging in by what others say of a user: tokens that an issuer signs, with
// keys that it publishes and changes, a function of the app, and providers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createSign, generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as Realm from "realm-web";
import { Server, fixture, refused } from "../harness.mjs";

const { Credentials } = Realm;

/** An RSA key that signs tokens. */
class Signer {
  constructor(kid) {
    this.kid = kid;
    Object.assign(this, generateKeyPairSync("rsa", { modulusLength: 2048 }));
  }

  get jwk() {
    return { ...this.publicKey.export({ format: "jwk" }), kid: this.kid, use: "sig", alg: "RS256" };
  }

  sign(claims) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const parts = `${part({ alg: "RS256", typ: "JWT", kid: this.kid })}.${part(claims)}`;
    return `${parts}.${createSign("RSA-SHA256").update(parts).sign(this.privateKey, "base64url")}`;
  }
}

const WHO = `exports = (payload) => {
  if (payload.username !== "ann") throw new Error("nobody of that name");
  return { id: payload.username, name: JSON.stringify(payload) };
};`;

const [first, second] = [new Signer("first"), new Signer("second")];
let keys = [first.jwk];
let fetched = 0;
let issuer;
let server;

/** What is added to the app. */
async function files() {
  const read = async (path) => JSON.parse(await readFile(join(fixture, path), "utf8"));
  const provider = (type, rest) => ({ name: type, type, disabled: false, ...rest });
  const secret_config = { clientSecret: "clientSecret" };
  return {
    "auth/providers.json": {
      ...(await read("auth/providers.json")),
      "custom-token": provider("custom-token", {
        config: { audience: "", useJWKURI: true, jwkURI: `${issuer.url}/keys` },
        secret_config: {},
        metadata_fields: [
          { required: true, name: "user_data.name", field_name: "name" },
          { required: false, name: "user_data.role" },
        ],
      }),
      "custom-function": provider("custom-function", { config: { authFunctionName: "who" } }),
      "oauth2-google": provider("oauth2-google", {
        config: { clientId: "google-client", openId: true },
        secret_config,
      }),
      "oauth2-apple": provider("oauth2-apple", {
        config: { clientId: "apple-client" },
        secret_config,
      }),
    },
    "functions/config.json": [
      ...(await read("functions/config.json")),
      { name: "who", private: true },
    ],
    "functions/who.js": WHO,
    ".secrets.json": { clientSecret: "shared" },
  };
}

before(async () => {
  issuer = createServer((_, reply) => {
    fetched += 1;
    reply.setHeader("cache-control", "max-age=3600");
    reply.end(JSON.stringify({ keys }));
  });
  issuer.listen(0, "127.0.0.1");
  await once(issuer, "listening");
  issuer.url = `http://127.0.0.1:${issuer.address().port}`;
  const endpoints = ["google.keys", "apple.keys"].map((name) => `${name}=${issuer.url}/keys`);
  const env = {
    BACKSTITCH_EGRESS_ALLOW: "127.0.0.1",
    BACKSTITCH_PROVIDER_ENDPOINTS: endpoints.join(","),
  };
  server = await Server.start(undefined, { env, files: await files() });
});
after(async () => {
  await server.stop();
  issuer.close();
});

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const claims = (more) => ({
  aud: server.clientAppId,
  sub: "ann",
  exp: inAnHour(),
  user_data: { name: "Ann", role: "cook", other: "is not asked for" },
  ...more,
});
const byToken = (token) => server.realm().logIn(Credentials.jwt(token));

test("a token that an issuer signed logs in, with what the app asks for", async () => {
  const user = await byToken(first.sign(claims()));
  assert.equal(user.providerType, "custom-token");
  assert.deepEqual({ ...user.profile }, { name: "Ann", role: "cook" });
  assert.deepEqual(
    user.identities.map(({ id, providerType }) => ({ id, providerType })),
    [{ id: "ann", providerType: "custom-token" }],
  );
  const renewed = await byToken(first.sign(claims({ user_data: { name: "Ann Lee" } })));
  assert.equal(renewed.id, user.id);
  assert.deepEqual({ ...renewed.profile }, { name: "Ann Lee" });
  // A key of the user's own, for a program.
  const key = await renewed.apiKeys.create("program");
  const program = await server.realm().logIn(Credentials.apiKey(key.key));
  assert.equal(program.id, user.id);
});

test("the issuer changes its keys and nobody notices", async () => {
  const user = await byToken(first.sign(claims()));
  await refused(byToken(second.sign(claims())), 401, "AuthError", "unauthorized");
  keys = [second.jwk, first.jwk];
  const before = fetched;
  assert.equal((await byToken(second.sign(claims()))).id, user.id);
  assert.equal((await byToken(first.sign(claims()))).id, user.id);
  assert.equal(fetched, before + 1);
});

test("other tokens are refused", async () => {
  const [header, payload] = first.sign(claims()).split(".");
  const stranger = new Signer("first");
  for (const token of [
    first.sign(claims({ aud: "another-app" })),
    first.sign(claims({ exp: 1 })),
    first.sign(claims({ sub: undefined })),
    first.sign(claims({ user_data: { role: "cook" } })),
    stranger.sign(claims()),
    `${header}.${payload}.`,
    "no.token",
  ]) {
    await refused(byToken(token), 401, "AuthError", "unauthorized");
  }
});

test("a function says who logs in", async () => {
  const login = (payload) => server.realm().logIn(Credentials.function(payload));
  const user = await login({ username: "ann" });
  assert.equal(user.providerType, "custom-function");
  assert.equal(user.identities[0].id, "ann");
  assert.equal(user.profile.name, '{"username":"ann"}');
  assert.equal((await login({ username: "ann" })).id, user.id);
  await refused(login({ username: "bob" }), 401, "AuthError", "nobody of that name");
});

test("tokens of Google and Apple log in", async () => {
  const google = { iss: "https://accounts.google.com", aud: "google-client", sub: "7", exp: inAnHour() };
  const byGoogle = (more) =>
    server.realm().logIn(Credentials.google({ idToken: first.sign({ ...google, ...more }) }));
  const user = await byGoogle({});
  assert.equal(user.providerType, "oauth2-google");
  assert.equal((await byGoogle({})).id, user.id);
  await refused(byGoogle({ aud: "another-client" }), 401, "AuthError", "unauthorized");
  const apple = { iss: "https://appleid.apple.com", aud: "apple-client", sub: "7", exp: inAnHour() };
  const other = await server.realm().logIn(Credentials.apple(first.sign(apple)));
  assert.equal(other.providerType, "oauth2-apple");
  assert.notEqual(other.id, user.id);
});
