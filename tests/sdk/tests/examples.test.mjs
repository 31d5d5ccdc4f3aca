// The example app and its client, as the README has them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { promisify } from "node:util";
import { Server } from "../harness.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

test("the to-do client runs on the to-do app", async () => {
  const server = await Server.start(path("../../../examples/todo"));
  const folder = await mkdtemp(join(tmpdir(), "backstitch-example-"));
  try {
    await cp(path("../../../examples/todo-client/main.mjs"), join(folder, "main.mjs"));
    await symlink(path("../node_modules"), join(folder, "node_modules"));
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(folder, "main.mjs"),
      server.clientAppId,
      server.url,
    ]);
    assert.match(stdout, /logged in as [0-9a-f]{24}/);
    assert.match(stdout, /my tasks:[^]*read the guide[^]*try the SDK[^]*only for me/);
    const guest = stdout.slice(stdout.indexOf("a guest sees:"));
    assert.match(guest, /try the SDK/);
    assert.doesNotMatch(guest, /only for me|read the guide/);
    assert.match(guest, /a guest may not write: update not permitted/);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
