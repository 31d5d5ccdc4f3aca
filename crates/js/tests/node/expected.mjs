// Writes what Node answers to the probes of each file: `node expected.mjs [NAME…]`.
import { createRequire } from "node:module";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const folder = new URL(".", import.meta.url);
const read = (name) => readFileSync(new URL(name, folder), "utf8");
const wanted = process.argv.slice(2);
process.env.TZ = "UTC";
for (const file of readdirSync(folder)) {
  const name = file.replace(/\.js$/, "");
  if (!file.endsWith(".js") || file === "head.js" || (wanted.length > 0 && !wanted.includes(name))) continue;
  const run = new Function("require", `return (async () => { ${read("head.js")}\n${read(file)}\nreturn out; })()`);
  const out = await run(createRequire(import.meta.url));
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(out, null, 1)}\n`);
}
