// Each function of functions/ uses a package in an app of a real server, and
// returns what it returns in Node. The guide's page on packages comes of it:
// WRITE_DOCUMENTS=1 writes it anew.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EJSON } from "bson";
import { Server, call, fixture } from "../../sdk/harness.mjs";
import { archive, version } from "../archive.mjs";
import { loopback } from "../loopback.mjs";
import { exceptions, needs, notes } from "../packages.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const page = join(here, "../../docs/guide/npm-packages.md");
const run = promisify(execFile);
/** File names without their end; the name that a function has in the app. */
const files = readdirSync(join(here, "functions")).map((file) => file.slice(0, -3));
const functionName = (file) => `use_${file.replace(/[^A-Za-z0-9]/g, "_")}`;
/** What package.json calls it. */
const alias = (file) => (file.includes("__") ? `@${file.replace("__", "/")}` : file);

let server;
let user;
let others;
let home;
let upload;
const outcomes = new Map();

before(async () => {
  others = await loopback();
  home = mkdtempSync(join(tmpdir(), "backstitch-npm-"));
  const app = join(home, "app");
  cpSync(fixture, app, { recursive: true });
  rmSync(join(app, "functions"), { recursive: true });
  mkdirSync(join(app, "functions"));
  for (const file of files) {
    cpSync(join(here, "functions", `${file}.js`), join(app, "functions", `${functionName(file)}.js`));
  }
  const config = files.map((file) => ({ name: functionName(file), private: false }));
  writeFileSync(join(app, "functions/config.json"), JSON.stringify(config));
  server = await Server.start(app, {
    env: { BACKSTITCH_CALL_MS_MAX: "60000", BACKSTITCH_EGRESS_ALLOW: "127.0.0.0/8" },
  });
  user = await server.user();
  const login = await server.fetch("/api/admin/v3.0/auth/providers/mongodb-cloud/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: server.publicKey, apiKey: server.privateKey }),
  });
  const headers = { authorization: `Bearer ${(await login.json()).access_token}` };
  const path = `/api/admin/v3.0/groups/${server.projectId}/apps/${server.appId}/dependencies`;
  upload = async (bytes) => {
    const body = new FormData();
    body.append("file", new Blob([bytes]), "node_modules.tar.gz");
    const sent = await server.fetch(path, { method: "PUT", headers, body });
    assert.equal(sent.status, 204, await sent.text());
    for (;;) {
      const { status, status_message } = await (await server.fetch(`${path}/status`, { headers })).json();
      if (status === "successful") return;
      assert.equal(status, "created", status_message);
    }
  };
});

after(async () => {
  await server?.stop();
  others?.close();
  rmSync(home, { recursive: true, force: true });
});

for (const file of files) {
  const name = alias(file);
  test(name, { timeout: 120_000 }, async () => {
    const inNode = run("node", ["oracle.mjs", file, others.base, String(others.ports.smtp)], {
      cwd: here,
      env: { ...process.env, TZ: "UTC" },
      timeout: 60_000,
    });
    await upload(archive([name, ...(needs[name] ?? [])]));
    const expected = JSON.parse((await inNode).stdout);
    const { base, host, port, ports } = others;
    const passed = JSON.stringify([{ base, host, port, ports }]);
    let failure;
    // Later calls have what the server and its workers keep of the first.
    for (let round = 0; round < 3 && failure === undefined; round++) {
      const { status, text } = await call(server, user, functionName(file), passed);
      if (status !== 200) {
        failure = JSON.parse(text).error;
        continue;
      }
      try {
        assert.deepEqual(EJSON.parse(text), expected);
      } catch (error) {
        failure = error.message;
      }
    }
    outcomes.set(name, failure);
    if (name in exceptions) {
      assert.notEqual(failure, undefined, "it works: take it from the exceptions");
    } else {
      assert.equal(failure, undefined);
    }
  });
}

test("the guide lists them", () => {
  const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const rows = [...outcomes].map(([name, failure]) => {
    const aliased = /^npm:(.+)@[^@]+$/.exec(dependencies[name]);
    const shown = aliased ? aliased[1] : name;
    const remark = [failure === undefined ? undefined : exceptions[name], notes[name]].filter(Boolean).join("; ");
    const works = failure === undefined ? "yes" : "**no**";
    return `| ${shown} | ${version(name)} | ${works} | ${remark} |`;
  });
  rows.sort();
  const works = [...outcomes.values()].filter((failure) => failure === undefined).length;
  assert.ok(works >= 54, `${works} packages work`);
  const before = readFileSync(page, "utf8");
  const [head] = before.split("<!-- table -->\n");
  const written = `${head}<!-- table -->\n\n${works} of ${rows.length}:\n\n| package | version | works | |\n|---|---|---|---|\n${rows.join("\n")}\n`;
  if (process.env.WRITE_DOCUMENTS) writeFileSync(page, written);
  else assert.equal(written, before, "docs/guide/npm-packages.md is out of date: WRITE_DOCUMENTS=1 writes it");
});
