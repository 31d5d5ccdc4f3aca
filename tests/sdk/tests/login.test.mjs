// Logging in and staying logged in, good and bad.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Realm from "realm-web";
import { Server, refused } from "../harness.mjs";

const { Credentials } = Realm;
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

test("an anonymous user logs in and has a profile", async () => {
  const app = server.realm();
  const user = await app.logIn(Credentials.anonymous());
  assert.match(user.id, /^[0-9a-f]{24}$/);
  assert.equal(user.providerType, "anon-user");
  assert.equal(user.profile.type ?? "normal", "normal");
  assert.equal(user.identities.length, 1);
  assert.equal(user.identities[0].providerType, "anon-user");
});

test("each anonymous login without reuse makes a new user", async () => {
  const app = server.realm();
  const one = await app.logIn(Credentials.anonymous(false));
  const two = await app.logIn(Credentials.anonymous(false));
  assert.notEqual(one.id, two.id);
});

test("a registered user logs in, with the e-mail in the profile", async () => {
  const user = await server.user("ada");
  assert.equal(user.profile.email, user.email);
  const again = await server.realm().logIn(Credentials.emailPassword(user.email, user.password));
  assert.equal(again.id, user.id);
});

test("a wrong password and an unknown user look the same", async () => {
  const user = await server.user();
  const app = server.realm();
  await refused(app.logIn(Credentials.emailPassword(user.email, "wrong horse")), 401, "InvalidPassword", "unauthorized");
  await refused(app.logIn(Credentials.emailPassword("nobody@example.com", "wrong horse")), 401, "InvalidPassword", "unauthorized");
});

test("registering checks the password and the name", async () => {
  const { emailPasswordAuth } = server.realm();
  const user = await server.user();
  const register = (email, password) => emailPasswordAuth.registerUser({ email, password });
  await refused(register(user.email, "correct horse"), 409, "AccountNameInUse", "name already in use");
  await refused(register("short@example.com", "12345"), 400, "BadRequest", "password must be between 6 and 128 characters");
  await refused(register("long@example.com", "x".repeat(129)), 400, "BadRequest", "password must be between 6 and 128 characters");
  await refused(register("", "correct horse"), 400, "BadRequest", "email invalid");
});

test("an unknown app is a 404 that names it", async () => {
  const error = await refused(server.realm("no-such-app").logIn(Credentials.anonymous()), 404, "AppNotFound");
  assert.match(error.error, /cannot find app using Client App ID 'no-such-app'/);
});

test("a user API key logs its owner in; disabled or deleted it does not", async () => {
  const user = await server.user();
  const key = await user.apiKeys.create("laptop");
  assert.equal(key.name, "laptop");
  assert.match(key.key, /^[A-Za-z0-9]{64}$/);
  const login = () => server.realm().logIn(Credentials.apiKey(key.key));
  assert.equal((await login()).id, user.id);
  assert.deepEqual(await user.apiKeys.fetchAll(), [{ _id: key._id, name: "laptop", disabled: false }]);
  await refused(user.apiKeys.create("laptop"), 409, "APIKeyAlreadyExists");
  await refused(user.apiKeys.create("my key!"), 400, "InvalidParameter");
  await user.apiKeys.disable(key._id);
  await refused(login(), 401, "AuthError", "unauthorized");
  await user.apiKeys.enable(key._id);
  await login();
  await user.apiKeys.delete(key._id);
  await refused(login(), 401, "AuthError", "unauthorized");
  await refused(user.apiKeys.fetch(key._id), 404, "APIKeyNotFound");
});

test("an access token that went bad is renewed without the user noticing", async () => {
  const user = await server.user();
  const good = user.accessToken;
  const [head, , signature] = good.split(".");
  const payload = Buffer.from(JSON.stringify({ sub: user.id, typ: "access" })).toString("base64url");
  user._accessToken = `${head}.${payload}.${signature}`;
  assert.equal(await user.functions.sum(1, 2), 3);
  assert.notEqual(user.accessToken, `${head}.${payload}.${signature}`);
});

test("tokens last as long as the service's did and name the app and user", async () => {
  const user = await server.user();
  const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const access = claims(user.accessToken);
  const refresh = claims(user.refreshToken);
  assert.equal(access.typ, "access");
  assert.equal(access.sub, user.id);
  assert.equal(access.exp - access.iat, 1800);
  assert.equal(refresh.typ, "refresh");
  assert.equal(refresh.exp - refresh.iat, 60 * 24 * 3600);
  assert.equal(access.baas_domain_id, refresh.baas_domain_id);
});

test("custom user data arrives with the token", async () => {
  const user = await server.user();
  const app = user.realmApp;
  assert.deepEqual(user.customData, {});
  const admin = await server.administrator();
  const run = await admin("POST", `/apps/${server.appId}/debug/execute_function_source?run_as_system=true`, {
    source: `exports = (id) => context.services.get("mongodb-atlas").db("shop").collection("profiles").insertOne({ user_id: id, color: "red" })`,
    eval_source: `exports(${JSON.stringify(user.id)})`,
  });
  assert.equal(run.status, 200, JSON.stringify(run.body));
  await user.refreshCustomData();
  assert.equal(user.customData.color, "red");
  assert.equal(app.currentUser.customData.user_id, user.id);
});

test("a user who logged out cannot renew", async () => {
  const user = await server.user();
  const token = user.refreshToken;
  await user.logOut();
  const reply = await server.fetch("/api/client/v2.0/auth/session", {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(reply.status, 401);
  assert.equal((await reply.json()).error_code, "InvalidSession");
});

test("a disabled user is logged out and cannot log in until enabled", async () => {
  const user = await server.user();
  const admin = await server.administrator();
  assert.equal((await admin("PUT", `/apps/${server.appId}/users/${user.id}/disable`)).status, 204);
  await assert.rejects(user.refreshCustomData());
  const login = () => server.realm().logIn(Credentials.emailPassword(user.email, user.password));
  await refused(login(), 401, "UserDisabled");
  assert.equal((await admin("PUT", `/apps/${server.appId}/users/${user.id}/enable`)).status, 204);
  assert.equal((await login()).id, user.id);
});

test("a user deletes the own account", async () => {
  const user = await server.user();
  await user.realmApp.deleteUser(user);
  await refused(
    server.realm().logIn(Credentials.emailPassword(user.email, user.password)),
    401,
    "InvalidPassword",
  );
});

test("a provider that is not set up refuses", async () => {
  await assert.rejects(server.realm().logIn(Credentials.jwt("a.b.c")), (error) => {
    assert.ok([401, 404].includes(error.statusCode), String(error));
    assert.equal(error.errorCode, "AuthProviderNotFound");
    return true;
  });
});
