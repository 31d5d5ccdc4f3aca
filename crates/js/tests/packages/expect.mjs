// Writes expected.json with the Node that runs this: node expect.mjs
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const here = new URL(".", import.meta.url);
const home = mkdtempSync(join(tmpdir(), "packages-"));
for (const part of readFileSync(new URL("files.txt", here), "utf8").split(/^=== /m).slice(1)) {
  const end = part.indexOf("\n");
  const path = join(home, part.slice(0, end));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, part.slice(end + 1));
}
const main = join(home, "main.cjs");
writeFileSync(main, "exports.require = require; exports.load = (name) => import(name);");
const { load } = createRequire(main)("./main.cjs");
const cases = createRequire(import.meta.url)("./cases.js");
const expected = {};
for (const name of Object.keys(cases(() => {}, load))) {
  const require = createRequire(main);
  for (const path of Object.keys(require.cache)) if (path.startsWith(home)) delete require.cache[path];
  delete global.throwsCount;
  expected[name] = await cases(require, load)[name]();
}
writeFileSync(new URL("expected.json", here), `${JSON.stringify(expected, null, 1)}\n`);
rmSync(home, { recursive: true });
