// name → what a function does; run by Node on the same files for the expected values.
module.exports = (require, load) => ({
  plain: () => { const p = require("plain"); return { ...p, where: p.where.map(short), id: short(p.id) }; },
  subpath: () => [require("plain/sub"), require("plain/sub.js"), require("plain/data"), require("plain/folder"), require("plain/folder/")],
  main: () => [require("with-main"), require("bad-main"), require("with-main/lib/other")],
  odd: () => [require("hashbang"), require("bom")],
  scoped: () => [require("@scope/pkg"), require("nested")],
  cycle: () => require("cycle"),
  same: () => { require("counter").up(); return [require("counter").n, require("counter") === require("counter/index.js")]; },
  fails: () => [failure(() => require("throws")), failure(() => require("throws"))],
  missing: () => ["nothing", "@scope/nothing", "plain/nothing", "./plain", "/nothing", "plain/../../x"].map((name) => failure(() => require(name)).slice(0, 2).join(" ").split("\n")[0]),
  missingInside: () => { try { require("broken-json"); } catch (e) { return e.name; } },
  broken: () => failure(() => require("broken"))[2],
  exports: () => [require("exp").kind, require("exp").inner, require("exp").dep, require("exp").some, require("exp").self(), require("exp/package.json").version,
    require("exp/feature"), require("exp/list"), require("exp/lib/a"), require("exp/lib/deep/d.js"), require("sugar")],
  notExported: () => ["exp/null", "exp/src/a", "exp/lib/special/x", "exp/outside", "sugar/y.js", "exp/lib/"].map((name) => failure(() => require(name))[0]),
  gone: () => failure(() => require("exp/gone"))[0],
  resolve: () => [require.resolve("plain"), require.resolve("exp/feature"), require.resolve("@scope/pkg")].map(short).concat([require.resolve("timers"), require.resolve("node:timers")]),
  esm: async () => { const m = await load("esm"); return { ...m, default: m.default.is, own: m.own() }; },
  esmParts: async () => [await (await load("esm/tla.js")), (await load("esm/builtin.js")).default, (await load("esm/common.cjs")).default, (await load("mjs")).ext, (await load("esm/transpiled.js")).default],
  esmFails: async () => [await rejected(load("esm/throws.js")), await rejected(load("esm/throws.js")), (await rejected(load("esm/missing-export.js")))[2], (await rejected(load("nothing"))).map((part) => part.slice(0, 25))],
  dynamic: async () => [await (await load("esm/dynamic.js")).get("plain/sub.js"), await require("dynamic")("exp"), (await require("dynamic")("transpiled")).filter((name) => name !== "__esModule" && name !== "module.exports" && name !== "lazy")],
  cache: () => {
    const path = require.resolve("counter");
    require("counter").up();
    const before = require("counter").n;
    delete require.cache[path];
    return [before, require("counter").n, require.cache[path].loaded, short(require.cache[path].id)];
  },
});
const short = (path) => path.slice(path.indexOf("/node_modules/"));
const failure = (run) => { try { return ["no error", run()]; } catch (e) { return [e.code ?? "", e.message, e.name]; } };
const rejected = (promise) => promise.then(() => ["no error"], (e) => [e.code ?? "", e.message, e.name]);
