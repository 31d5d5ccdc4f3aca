// Users and sessions as an app handles them: several at once, switched,
// renewed, revoked, removed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Realm from "realm-web";
import { Server, Storage, collection, refused } from "../harness.mjs";

const { Credentials } = Realm;
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

/** Makes a user's access token one that the server refuses, as one that ran out is. */
function spoil(user) {
  const [head, payload] = user.accessToken.split(".");
  user._accessToken = `${head}.${payload}.${"A".repeat(43)}`;
  return user._accessToken;
}

/** The server's answer to a refresh token. */
async function renewal(token) {
  const reply = await server.fetch("/api/client/v2.0/auth/session", {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: reply.status, ...(await reply.json()) };
}

test("calls at once with a token that ran out are all renewed and answered", async () => {
  const user = await server.user();
  const spoiled = spoil(user);
  const sums = await Promise.all([...Array(20).keys()].map((n) => user.functions.sum(n, 1)));
  assert.deepEqual(sums, [...Array(20).keys()].map((n) => n + 1));
  assert.notEqual(user.accessToken, spoiled);
});

test("one session is renewed many times at once", async () => {
  const user = await server.user();
  const replies = await Promise.all(Array.from({ length: 20 }, () => renewal(user.refreshToken)));
  assert.ok(replies.every(({ status, access_token }) => status === 201 && access_token));
});

test("documents are read and written across a renewal", async () => {
  const user = await server.user();
  const notes = collection(user, "notes");
  const { insertedId } = await notes.insertOne({ owner_id: user.id, n: 1 });
  spoil(user);
  assert.equal((await notes.findOne({ _id: insertedId })).n, 1);
  spoil(user);
  await notes.updateOne({ _id: insertedId }, { $set: { n: 2 } });
  assert.equal(await notes.count({ n: 2 }), 1);
});

test("an app holds several users and switches between them", async () => {
  const app = server.realm();
  const people = await Promise.all(["ada", "bob"].map((name) => server.user(name)));
  const [ada, bob] = [
    await app.logIn(Credentials.emailPassword(people[0].email, people[0].password)),
    await app.logIn(Credentials.emailPassword(people[1].email, people[1].password)),
  ];
  assert.equal(app.currentUser.id, bob.id);
  assert.deepEqual(Object.keys(app.allUsers).sort(), [ada.id, bob.id].sort());
  assert.equal((await app.currentUser.functions.whoami()).id, bob.id);
  app.switchUser(ada);
  assert.equal(app.currentUser.id, ada.id);
  assert.equal((await app.currentUser.functions.whoami()).id, ada.id);
  await collection(ada, "notes").insertOne({ owner_id: ada.id, text: "ada's" });
  assert.equal(await collection(bob, "notes").count({ text: "ada's" }), 0);
  await app.removeUser(ada);
  assert.equal(app.currentUser.id, bob.id);
  assert.deepEqual(Object.keys(app.allUsers), [bob.id]);
  assert.equal((await bob.functions.whoami()).id, bob.id);
});

test("an anonymous user is kept by the app and is another in another app", async () => {
  const app = server.realm();
  const one = await app.logIn(Credentials.anonymous());
  assert.equal((await app.logIn(Credentials.anonymous())).id, one.id);
  const other = await server.realm().logIn(Credentials.anonymous());
  assert.notEqual(other.id, one.id);
});

test("a logout ends both tokens of its session and nothing of another", async () => {
  const one = await server.user();
  const two = await server.realm().logIn(Credentials.emailPassword(one.email, one.password));
  const { accessToken, refreshToken } = one;
  await one.logOut();
  assert.equal(one.isLoggedIn, false);
  const profile = await server.fetch("/api/client/v2.0/auth/profile", {
    headers: { authorization: `Bearer ${accessToken}` },
  });
  assert.deepEqual([profile.status, (await profile.json()).error_code], [401, "InvalidSession"]);
  assert.equal((await renewal(refreshToken)).status, 401);
  assert.equal((await two.functions.whoami()).id, two.id);
  await two.refreshCustomData();
});

test("an app that starts again finds its users where it kept them", async () => {
  const { email, password } = await server.user();
  const storage = new Storage();
  const app = server.realm(server.clientAppId, storage);
  const user = await app.logIn(Credentials.emailPassword(email, password));
  const again = server.realm(server.clientAppId, storage);
  assert.equal(again.currentUser.id, user.id);
  assert.equal(await again.currentUser.functions.sum(2, 2), 4);
  assert.equal(server.realm().currentUser, null);
});

test("a session goes on after a restart of the server, one that ended does not", async () => {
  const [stays, left] = [await server.user(), await server.user()];
  const ended = left.refreshToken;
  await left.logOut();
  await server.kill();
  await server.run();
  assert.equal(await stays.functions.sum(1, 2), 3);
  spoil(stays);
  assert.equal(await stays.functions.sum(1, 2), 3);
  assert.equal((await renewal(ended)).status, 401);
});

test("a revoked user works on until the access token runs out, then is out", async () => {
  const user = await server.user();
  const admin = await server.administrator();
  assert.equal((await admin("PUT", `/apps/${server.appId}/users/${user.id}/logout`)).status, 204);
  assert.equal(await user.functions.sum(1, 1), 2);
  spoil(user);
  await assert.rejects(user.functions.sum(1, 1), (error) => error.statusCode === 401);
  const again = await server.realm().logIn(Credentials.emailPassword(user.email, user.password));
  assert.equal(again.id, user.id);
});

test("a disabled user's call in the middle of things is refused at once", async () => {
  const user = await server.user();
  assert.equal(await user.functions.sum(1, 1), 2);
  const admin = await server.administrator();
  await admin("PUT", `/apps/${server.appId}/users/${user.id}/disable`);
  await assert.rejects(user.functions.sum(1, 1), (error) => error.statusCode === 401);
});

test("a deleted user's name is free, and documents stay", async () => {
  const user = await server.user();
  const { insertedId } = await collection(user, "notes").insertOne({ owner_id: user.id, text: "stays" });
  await user.apiKeys.create("key");
  await user.realmApp.deleteUser(user);
  assert.equal(user.realmApp.currentUser, null);
  const app = server.realm();
  await app.emailPasswordAuth.registerUser({ email: user.email, password: user.password });
  const next = await app.logIn(Credentials.emailPassword(user.email, user.password));
  assert.notEqual(next.id, user.id);
  assert.deepEqual(await next.apiKeys.fetchAll(), []);
  assert.equal(await collection(next, "notes").findOne({ _id: insertedId }), null);
});

test("a user has twenty API keys and not one more", async () => {
  const user = await server.user();
  for (let n = 0; n < 20; n++) await user.apiKeys.create(`key-${n}`);
  await refused(user.apiKeys.create("one-more"), 400, "BadRequest");
  assert.equal((await user.apiKeys.fetchAll()).length, 20);
});

test("API keys are their owner's only", async () => {
  const [ada, bob] = [await server.user(), await server.user()];
  const key = await ada.apiKeys.create("mine");
  await refused(bob.apiKeys.fetch(key._id), 404, "APIKeyNotFound", "API key not found");
  await refused(bob.apiKeys.delete(key._id), 404, "APIKeyNotFound");
  await refused(bob.apiKeys.disable(key._id), 404, "APIKeyNotFound");
  assert.equal((await ada.apiKeys.fetch(key._id)).disabled, false);
});

test("a session that began with an API key has both identities", async () => {
  const user = await server.user();
  const { key, _id } = await user.apiKeys.create("phone");
  const byKey = await server.realm().logIn(Credentials.apiKey(key));
  await byKey.refreshProfile();
  assert.deepEqual(byKey.identities.map(({ providerType }) => providerType), ["local-userpass", "api-key"]);
  assert.equal(byKey.profile.email, user.email);
  await assert.rejects(byKey.apiKeys.delete(_id), (error) => error.statusCode === 403);
});

test("wrong passwords in a row have to wait", async () => {
  const user = await server.user();
  const login = (password) => server.realm().logIn(Credentials.emailPassword(user.email, password));
  for (let n = 0; n < 10; n++) await refused(login(`wrong ${n}`), 401, "InvalidPassword");
  await refused(login(user.password), 429, "TooManyRequests");
  assert.equal(await user.functions.sum(1, 1), 2);
});

test("an anonymous user links an account, and is the same with it from then on", async () => {
  const user = await server.realm().logIn(Credentials.anonymous());
  const { insertedId } = await collection(user, "notes").insertOne({ owner_id: user.id });
  const other = await server.user();
  const email = `link-${user.id}@example.com`;
  const account = Credentials.emailPassword(email, "secret123");
  await server.realm().emailPasswordAuth.registerUser({ email, password: "secret123" });
  await user.linkCredentials(account);
  assert.deepEqual(
    user.identities.map((identity) => identity.providerType),
    ["anon-user", "local-userpass"],
  );
  assert.equal(user.profile.email, email);
  // Once more changes nothing, and what is somebody's cannot be taken.
  await user.linkCredentials(account);
  assert.equal(user.identities.length, 2);
  // The SDK asks again for as long as the answer is 401.
  await refused(other.linkCredentials(account), 429, "TooManyRequests");
  const again = await server.realm().logIn(account);
  assert.equal(again.id, user.id);
  assert.ok(await collection(again, "notes").findOne({ _id: insertedId }));
});
