// Tests of an app's functions on plain Node: `loadApp` reads the directory and
// calls its functions with the context that they have on a server.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve, sep } from "node:path";
import { format } from "node:util";
import { compileFunction } from "node:vm";

import { memory } from "./memory.js";
import { prelude } from "./prelude.js";
import { server } from "./server.js";
import { makeUtils } from "./utils.js";
import { extendedJson, natives as values } from "./values.js";

export { memory, server };

const json = (path) => {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw new Error(`${path}: ${error.message}`);
  }
};
const below = (folder) => {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
};

// Every function's source, by name.
function sources(folder) {
  const found = new Map();
  const walk = (inner) => {
    for (const entry of below(inner)) {
      const path = join(inner, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules") walk(path);
      } else if (entry.name.endsWith(".js")) {
        found.set(relative(folder, path).split(sep).join("/").slice(0, -3), path);
      }
    }
  };
  walk(folder);
  return found;
}

// Values of the app, secrets by their names.
function valuesOf(folder, secrets) {
  const found = {};
  for (const entry of below(join(folder, "values")).filter(({ name }) => name.endsWith(".json"))) {
    const { name, value, from_secret: secret } = json(join(folder, "values", entry.name));
    found[name] = secret ? secrets[value] : value;
  }
  return found;
}

/** An app directory whose functions can be called. */
export function loadApp(directory, options = {}) {
  const folder = resolve(directory);
  const functions = join(folder, "functions");
  const known = sources(functions);
  const settings = new Map((json(join(functions, "config.json")) ?? []).map((one) => [one.name, one]));
  const {
    user = { id: "000000000000000000000001", type: "normal", data: {}, custom_data: {}, identities: [] },
    request = {},
    environment = { tag: "", values: {} },
    services = { "mongodb-atlas": memory() },
    http = {},
    secrets = {},
    globals = {},
  } = options;
  const named = { ...valuesOf(folder, secrets), ...options.values };
  const packages = createRequire(join(functions, "package.json"));
  const logs = [];

  const connected = {};
  let number = 0;
  const source = (service) => connected[service];
  const world = prelude({
    ...values,
    number: () => ++number,
    call: async (_frame, operation, sent) => {
      if (operation === "mongodb") return source(sent.service).run(sent.action, { ...sent.arguments, ...(sent.session === undefined ? {} : { session: sent.session }) });
      if (operation === "transaction") return source(sent.service).end(sent.how);
      throw new Error(`${operation} is not there in tests: give the service with \`services\``);
    },
    sync: (_frame, operation, sent) => {
      if (operation === "names") return source(sent.service).names(sent.database);
      throw new Error(`${operation} is not there in tests`);
    },
  });
  world.EJSON = extendedJson(world);
  for (const [name, service] of Object.entries(services)) {
    if (typeof service.connect === "function") connected[name] = service.connect(world);
  }

  const write = (level) => (...all) => {
    const shown = all.map((one) => (typeof one === "object" && one !== null && !(one instanceof Error) ? JSON.stringify(one) : one));
    logs.push({ level, text: format(...shown) });
  };
  const console = Object.fromEntries(["log", "info", "debug", "warn", "error", "trace"].map((level) => [level, write(level)]));

  const unset = (what) => () => {
    throw new Error(`${what} is not there in tests: give it with \`http\``);
  };
  const requests = Object.fromEntries(["get", "post", "put", "patch", "delete", "head"].map((verb) => [verb, http[verb] ?? unset(`context.http.${verb}`)]));

  function makeContext(system) {
    return {
      user, request, environment,
      app: { id: "test", clientAppId: "test", name: "test", ...options.app },
      values: { get: (name) => named[String(name)] },
      functions: { execute: (name, ...args) => execute(String(name), system, args) },
      services: {
        get: (name) => {
          if (!Object.hasOwn(services, name)) return undefined;
          return connected[name] === undefined ? services[name] : world.makeService(0, name, services[name].type);
        },
      },
      http: requests,
      runningAsSystem: () => system,
    };
  }

  // Each call of a file begins anew, as on the server.
  function execute(name, system, args) {
    const path = known.get(name);
    if (path === undefined) throw new Error(`function not found: '${name}'`);
    const context = makeContext(system || settings.get(name)?.run_as_system === true);
    const given = { context, require: packages, console, exports: undefined, BSON: world.BSON, EJSON: world.EJSON, utils, ...globals };
    const code = `${readFileSync(path, "utf8")}\nreturn exports`;
    const loaded = compileFunction(code, Object.keys(given), { filename: path })(...Object.values(given));
    if (typeof loaded !== "function") throw new TypeError("exports is not a function");
    return loaded(...args);
  }
  const utils = makeUtils(world);

  return {
    /** The names of the functions. */
    functions: [...known.keys()],
    /** What functions wrote to the console, oldest first. */
    logs,
    BSON: world.BSON,
    EJSON: world.EJSON,
    /** Calls a function; cursors in its result are read. */
    call: async (name, ...args) => world.settle(execute(name, false, args)),
  };
}
