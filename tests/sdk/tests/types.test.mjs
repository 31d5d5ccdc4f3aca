// The types that editors get: what functions do is right, mistakes are not.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { binary } from "../harness.mjs";

const here = fileURLToPath(new URL("../types/", import.meta.url));
let app;
before(() => {
  app = mkdtempSync(join(tmpdir(), "backstitch-types-"));
  mkdirSync(join(app, "functions/deep"), { recursive: true });
  writeFileSync(join(app, "realm_config.json"), `{ "config_version": 20210101, "name": "typed" }`);
  execFileSync(binary, ["types", app]);
});
after(() => rmSync(app, { recursive: true, force: true }));

/** What an editor would say: `path:line` and the text. */
function said(options = {}) {
  const { config } = ts.readConfigFile(join(app, "jsconfig.json"), ts.sys.readFile);
  const { fileNames, options: set, errors } = ts.parseJsonConfigFileContent(config, ts.sys, app);
  assert.deepEqual(errors, []);
  const program = ts.createProgram(fileNames, { ...set, ...options });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const { line } = file.getLineAndCharacterOfPosition(start);
    return [file.fileName.slice(app.length + 1), line + 1, ts.flattenDiagnosticMessageText(messageText, " ")];
  });
}

test("functions that are right", () => {
  for (const name of ["one.js", "deep/two.js"]) cpSync(join(here, "good.js"), join(app, "functions", name));
  // Every function of the app is a file of its own, with its own names.
  assert.deepEqual(said({ skipLibCheck: false }), []);
});

test("mistakes are found where they are", () => {
  cpSync(join(here, "bad.js"), join(app, "functions/bad.js"));
  const wrong = readFileSync(join(here, "bad.js"), "utf8").split("\n").flatMap((line, index) => (line.includes("; // wrong") ? [index + 1] : []));
  const found = said();
  assert.deepEqual([...new Set(found.map(([path]) => path))], ["functions/bad.js"], JSON.stringify(found));
  assert.deepEqual([...new Set(found.map(([, line]) => line))], wrong, JSON.stringify(found, null, 1));
});
