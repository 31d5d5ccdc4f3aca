// Runs a function with Node itself: `node oracle.mjs NAME BASE SMTP` prints what
// it returns as JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const [, , name, base, smtp] = process.argv;
const { hostname: host, port } = new URL(base);
const source = readFileSync(new URL(`functions/${name}.js`, import.meta.url), "utf8");
const wrapped = `(function(context, require, console, exports) {${source}\nreturn exports})`;
const load = vm.runInThisContext(wrapped, { importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER });
const { log, info, warn, error } = console;
const run = load({}, createRequire(import.meta.url), { log() {}, info() {}, warn() {}, error() {} });
const value = await run({ base, host, port: Number(port), ports: { smtp: Number(smtp) } });
process.stdout.write(JSON.stringify(value ?? null), () => process.exit(0));
