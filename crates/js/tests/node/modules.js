const calls = (module, name, ...args) => { try { require(module)[name](...args); } catch (error) { return error.message; } };
const { AsyncLocalStorage, AsyncResource } = require("async_hooks");
// AsyncLocalStorage.
const als = new AsyncLocalStorage();
const other = new AsyncLocalStorage();
const later = (value) => new Promise((resolve) => setTimeout(resolve, 1, value));
t(() => [als.getStore(), als.run(1, () => als.getStore()), als.getStore()]);
t(() => als.run(1, (a, b) => [als.getStore(), a, b, als.run(2, () => als.getStore()), als.exit(() => als.getStore()), als.getStore()], "a", "b"));
t(() => { try { als.run(1, () => { throw new Error("x"); }); } catch { return als.getStore(); } });
await t(() => als.run("s", async () => { const seen = [als.getStore()]; await null; seen.push(als.getStore()); await later(); seen.push(als.getStore()); return seen; }));
await t(async () => { const one = als.run(1, async () => { await later(); return als.getStore(); }); const two = als.run(2, async () => { await null; await null; return als.getStore(); }); return [als.getStore(), await one, await two, als.getStore()]; });
await t(async () => { const shared = later("v"); const seen = []; const a = als.run("a", () => shared.then(() => seen.push(als.getStore()))); const b = als.run("b", async () => { await shared; seen.push(als.getStore()); }); await shared; seen.push(als.getStore()); await a; await b; return seen.map(String).sort(); });
await t(() => als.run("t", () => new Promise((resolve) => setTimeout(() => resolve(als.getStore()), 1))));
await t(() => als.run("t", () => new Promise((resolve) => setImmediate(() => resolve(als.getStore())))));
await t(() => als.run("t", () => new Promise((resolve) => process.nextTick(() => resolve(als.getStore())))));
await t(() => als.run("t", () => new Promise((resolve) => queueMicrotask(() => resolve(als.getStore())))));
await t(() => als.run("t", () => Promise.all([later(1), later(2)]).then(() => als.getStore())));
await t(() => als.run("t", () => Promise.reject(new Error("x")).catch(() => als.getStore())));
await t(() => als.run("t", async () => { try { await later().then(() => { throw new Error("x"); }); } catch { return als.getStore(); } }));
await t(() => als.run("t", async () => { const seen = []; for await (const x of (async function* () { yield als.getStore(); await later(); yield als.getStore(); })()) seen.push(x, als.getStore()); return seen; }));
await t(() => als.run(1, () => other.run(2, async () => { await later(); return [als.getStore(), other.getStore()]; })));
await t(async () => { als.enterWith("entered"); await later(); const seen = als.getStore(); als.disable(); return [seen, als.getStore()]; });
await t(async () => { const f = als.run("snap", () => AsyncLocalStorage.snapshot()); return f(() => als.getStore()); });
await t(async () => { const f = als.run("bound", () => AsyncLocalStorage.bind(() => als.getStore())); return [f(), als.getStore()]; });
await t(async () => { const r = als.run("res", () => new AsyncResource("R")); return [r.runInAsyncScope((a) => [als.getStore(), a], null, 5), typeof r.asyncId(), r.bind(() => als.getStore())()]; });
t(() => new AsyncResource());
t(() => Object.keys(require("async_hooks")).sort());
t(() => { const hook = require("async_hooks").createHook({}); return [hook.enable() === hook, hook.disable() === hook]; });

// Channels.
t(() => { const dc = require("diagnostics_channel"); const c = dc.channel("x"); const log = []; const f = (m, n) => log.push(m, n); log.push(c.hasSubscribers); c.subscribe(f); c.publish(1); log.push(dc.hasSubscribers("x"), dc.channel("x") === c, c.unsubscribe(f), c.unsubscribe(f)); c.publish(2); return log; });
t(() => { const dc = require("diagnostics_channel"); const tc = dc.tracingChannel("t"); const log = []; tc.subscribe({ start(c) { log.push("start"); }, end(c) { log.push("end", c.result); }, error(c) { log.push("error"); } }); tc.traceSync(() => 5, {}); return log; });
t(() => require("diagnostics_channel").channel(5));

// Files: nothing lies there.
const fs = require("fs");
t(() => fs.existsSync("/nowhere/x"));
t(() => fs.readFileSync("/nowhere/x"));
t(() => { try { fs.statSync("/nowhere/x"); } catch (e) { return [e.errno, e.code, e.syscall, e.path]; } });
t(() => fs.statSync("/nowhere/x", { throwIfNoEntry: false }));
t(() => fs.accessSync("/nowhere/x"));
t(() => fs.lstatSync(5));
t(() => fs.readFileSync("/nowhere/x", "klingon"));
t(() => { try { fs.readFileSync("/a\0b"); } catch (e) { return e.code; } });
await t(() => fs.promises.readFile("/nowhere/x"));
await t(() => new Promise((resolve) => fs.readFile("/nowhere/x", (error) => resolve(error.message))));
await t(() => new Promise((resolve) => fs.exists("/nowhere/x", resolve)));
await t(() => new Promise((resolve) => fs.createReadStream("/nowhere/x").on("error", (error) => resolve(error.code))));
t(() => fs.readFile("/x"));
t(() => [fs.promises === require("fs/promises"), fs.constants.R_OK, Object.keys(fs.constants).filter((name) => !name.startsWith("EXTENSIONLESS")).sort().join()]);

// Lines.
const { Readable } = require("stream");
await t(async () => { const got = []; for await (const line of require("readline").createInterface({ input: Readable.from(["a\nb", "c\r\nd\r", "\ne"]) })) got.push(line); return got; });
await t(() => new Promise((resolve) => { const got = []; require("readline").createInterface({ input: Readable.from(["x\ny\n"]) }).on("line", (line) => got.push(line)).on("close", () => resolve(got)); }));

// Modules that load.
t(() => [require("worker_threads").isMainThread, require("worker_threads").parentPort, require("cluster").isMaster, require("cluster").isWorker, require("tty").isatty(9), require("vm").isContext({})]);
t(() => [require("module").isBuiltin("fs"), require("module").isBuiltin("node:fs"), require("module").isBuiltin("lodash"), typeof require("module").createRequire("/x/y.js"), require("module").Module === require("module")]);
t(() => require("module").createRequire("relative"));
t(() => require("constants").ENOENT + require("constants").SIGTERM);
t(() => [String(process), Object.prototype.toString.call(process), typeof process.hrtime()[0], typeof process.hrtime.bigint(), process.hrtime([0, 0]).length, process.platform, typeof process.version, process.argv.length > 0, typeof process.memoryUsage().rss, process.exitCode, typeof process.nextTick, process.constructor.name]);
t(() => process.hrtime(5));
await t(() => new Promise((resolve) => { process.once("warning", (w) => resolve([w.name, w.message, w.code])); process.emitWarning("careful", "Kind", "CODE"); }));
t(() => process.emitWarning(5));
t(() => require("sys") === require("util"));
