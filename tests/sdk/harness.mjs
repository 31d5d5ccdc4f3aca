// Starts the real binary on a fixture app and talks to it as clients do.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as Realm from "realm-web";

const here = fileURLToPath(new URL(".", import.meta.url));
export const binary = process.env.BACKSTITCH ?? join(here, "../../target/debug/backstitch");
export const fixture = join(here, "app");

/** A server on a folder of its own; `stop` removes the folder. */
export class Server {
  /** `files` are added to the app, or replace its own; `env` to the environment. */
  static async start(app = fixture, { files = {}, env = {} } = {}) {
    const home = await mkdtemp(join(tmpdir(), "backstitch-sdk-"));
    await cp(app, join(home, "app"), { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      await writeFile(join(home, "app", path), text);
    }
    const server = new Server(home, env);
    await server.run();
    return server;
  }

  constructor(home, env) {
    this.home = home;
    this.env = env;
    this.app = join(home, "app");
    this.listen = "127.0.0.1:0";
    this.lines = [];
    this.waiting = [];
  }

  /** Starts the process and waits until it says that it is ready. */
  async run() {
    const child = spawn(
      binary,
      ["dev", this.app, "--json", "--listen", this.listen, "--data-dir", join(this.home, "data")],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, BACKSTITCH_CALL_MS_MAX: "2000", ...this.env },
      },
    );
    this.child = child;
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([
      once(lines, "line").then(([line]) => JSON.parse(line)),
      once(child, "exit").then(([code]) => {
        throw new Error(`the server ended with code ${code} before it was ready`);
      }),
    ]);
    lines.on("line", (line) => this.#took(JSON.parse(line)));
    Object.assign(this, {
      url: first.url,
      projectId: first.project_id,
      appId: first.app_id,
      clientAppId: first.client_app_id,
      publicKey: first.public_key,
      privateKey: first.private_key,
    });
    this.listen = new URL(first.url).host;
  }

  #took(line) {
    this.lines.push(line);
    this.waiting = this.waiting.filter(({ test, resolve }) => !test(line) || void resolve(line));
  }

  /** The next JSON log line that passes `test`. */
  line(test) {
    return new Promise((resolve) => this.waiting.push({ test, resolve }));
  }

  /** Ends the process without warning. */
  async kill() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }

  async stop() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
    await rm(this.home, { recursive: true, force: true });
  }

  /** A realm-web app with storage of its own. */
  realm(id = this.clientAppId, storage = new Storage()) {
    return new Realm.App({ id, baseUrl: this.url, storage });
  }

  /** Registers and logs in a new email/password user on an app of its own. */
  async user(name = "user") {
    const app = this.realm();
    const email = `${name}-${Math.random().toString(36).slice(2)}@example.com`;
    const password = "correct horse";
    await app.emailPasswordAuth.registerUser({ email, password });
    const user = await app.logIn(Realm.Credentials.emailPassword(email, password));
    return Object.assign(user, { email, password, realmApp: app });
  }

  /** A request to the client or admin API, without an SDK. */
  fetch(path, options = {}) {
    return fetch(`${this.url}${path}`, options);
  }

  /** A logged-in administrator: `admin("GET", "/apps")` under the project. */
  async administrator() {
    const login = await this.fetch("/api/admin/v3.0/auth/providers/mongodb-cloud/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username: this.publicKey, apiKey: this.privateKey }),
    });
    const { access_token } = await login.json();
    return async (method, path, body) => {
      const reply = await this.fetch(`/api/admin/v3.0/groups/${this.projectId}${path}`, {
        method,
        headers: { authorization: `Bearer ${access_token}`, "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await reply.text();
      return { status: reply.status, body: text ? JSON.parse(text) : undefined };
    };
  }
}

/** The storage interface of realm-web, in memory. */
export class Storage {
  constructor(values = new Map(), prefix = "") {
    this.values = values;
    this.part = prefix;
  }
  get(key) {
    return this.values.get(this.part + key) ?? null;
  }
  set(key, value) {
    this.values.set(this.part + key, value);
  }
  remove(key) {
    this.values.delete(this.part + key);
  }
  prefix(part) {
    return new Storage(this.values, `${this.part}${part}:`);
  }
  clear(prefix = "") {
    for (const key of [...this.values.keys()]) {
      if (key.startsWith(this.part + prefix)) this.values.delete(key);
    }
  }
  addListener() {}
  removeListener() {}
}

/** The collection `name` of the fixture's database, as `user` sees it. */
export function collection(user, name) {
  return user.mongoClient("mongodb-atlas").db("shop").collection(name);
}

/** The reply to `functions/call` as text, past the SDK's own decoding. */
export async function call(server, user, name, args, service) {
  const reply = await server.fetch(`/api/client/v2.0/app/${server.clientAppId}/functions/call`, {
    method: "POST",
    headers: { authorization: `Bearer ${user.accessToken}`, "content-type": "application/json" },
    body: `{"name":${JSON.stringify(name)},"arguments":${args}${service ? `,"service":"${service}"` : ""}}`,
  });
  return { status: reply.status, type: reply.headers.get("content-type"), text: await reply.text() };
}

/** Asserts that `promise` fails with the service's status and code. */
export async function refused(promise, status, code, text) {
  const error = await promise.then(
    (value) => {
      throw new Error(`expected ${code}, got ${JSON.stringify(value)}`);
    },
    (error) => error,
  );
  const found = { status: error.statusCode, code: error.errorCode };
  const wanted = { status, code };
  if (JSON.stringify(found) !== JSON.stringify(wanted) || (text && !error.error?.includes(text))) {
    throw new Error(`expected ${JSON.stringify({ ...wanted, text })}, got ${error.stack}`);
  }
  return error;
}
