// The order in which ticks, jobs and timers run.
const ordered = (body) => new Promise((resolve) => { const log = []; body(log); setTimeout(() => resolve(log.join(" ")), 30); });
const tick = process.nextTick;
const job = (f) => Promise.resolve().then(f);
await t(() => new Promise((resolve) => setTimeout(async () => resolve(await ordered((log) => { job(() => log.push("job")); tick(() => log.push("tick")); log.push("now"); })), 1)));
await t(() => new Promise((resolve) => setTimeout(async () => resolve(await ordered((log) => { tick(() => { log.push("tick"); job(() => log.push("job")); tick(() => log.push("tick2")); }); })), 1)));
await t(() => ordered((log) => { job(() => { tick(() => log.push("tick")); job(() => log.push("job2")).then(() => log.push("job3")); log.push("job1"); }); }));
await t(() => ordered((log) => { setImmediate(() => { log.push("immediate"); tick(() => log.push("tick")); job(() => log.push("job")); }); }));
await t(() => ordered((log) => { setTimeout(() => { log.push("timer"); job(() => { log.push("job"); tick(() => log.push("tick2")); }); tick(() => log.push("tick")); }, 1); }));
await t(() => ordered((log) => { queueMicrotask(() => { log.push("micro"); tick(() => log.push("tick")); queueMicrotask(() => log.push("micro2")); }); }));
await t(() => ordered(async (log) => { log.push("a"); tick(() => log.push("tick")); await null; log.push("b"); await null; log.push("c"); }));
await t(() => ordered((log) => { process.once("uncaughtException", (error) => log.push(error.message)); tick(() => { throw new Error("lost"); }); tick(() => log.push("next")); }));
