const stream = require("stream");
const { Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished, compose, addAbortSignal } = stream;
const promises = require("stream/promises");
const names = ["data", "readable", "end", "close", "error", "finish", "prefinish", "drain", "pipe", "unpipe", "pause", "resume"];
// The events of a stream, until it closes or a while after nothing happened.
const follow = (target, log, only = ["end", "close", "error", "finish", "prefinish", "drain", "pipe", "unpipe", "pause", "resume"]) => {
  for (const name of only) target.on(name, (what) => log.push(name === "error" ? `error ${what.message}` : name === "data" ? `data ${what}` : name));
  return target;
};
const quiet = async () => { for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve)); };
const traced = async (body) => { const log = []; await body(log); await quiet(); return log; };
const text = async (source) => { let all = ""; for await (const chunk of source) all += chunk; return all; };
const sink = (log, options) => new Writable({ ...options, write(chunk, encoding, callback) { log.push(`write ${chunk} ${encoding}`); callback(); } });

t(() => Object.keys(stream).sort().filter((name) => name !== "_uint8ArrayToBuffer" && name !== "_isUint8Array"));
t(() => [stream === stream.Stream, stream.promises === promises, new PassThrough() instanceof stream, new Duplex() instanceof Writable, new Readable() instanceof Writable, Duplex.prototype instanceof Readable]);
t(() => Object.getOwnPropertyNames(Readable.prototype).filter((name) => !name.startsWith("_")).sort());
t(() => Object.getOwnPropertyNames(Writable.prototype).filter((name) => !name.startsWith("_")).sort());
t(() => [stream.getDefaultHighWaterMark(false), stream.getDefaultHighWaterMark(true)]);

// Reading.
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, names); r.push("a"); r.push("b"); r.push(null); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["data", "end", "close"]); r.push("a"); r.push("b"); r.push(null); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); r.on("readable", () => { let c; while ((c = r.read()) !== null) log.push(`got ${c}`); log.push("null"); }); r.on("end", () => log.push("end")); r.push("ab"); r.push("cd"); await quiet(); r.push("ef"); r.push(null); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); r.push("abcdef"); r.push("ghi"); log.push(String(r.read(2)), String(r.read(5)), r.read(9), r.readableLength); r.push(null); await quiet(); log.push(String(r.read(9))); }));
await t(() => traced(async (log) => { let n = 0; const r = new Readable({ highWaterMark: 3, read(size) { log.push(`read ${size}`); this.push(n < 3 ? String(n++) : null); } }); follow(r, log, ["data", "end", "close"]); }));
await t(() => traced(async (log) => { const r = new Readable({ objectMode: true, read() {} }); log.push(r.push({ a: 1 }), r.push(0), r.push(""), r.push(undefined), r.readableLength); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {}, highWaterMark: 4 }); log.push(r.push("abc"), r.push("d"), r.readableLength, r.readableHighWaterMark); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["error", "close"]); r.push(5); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["error", "close", "data"]); r.push(null); r.push("x"); }));
await t(() => traced(async (log) => { const r = follow(new Readable(), log, ["error", "close"]); r.read(); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() { throw new Error("broken"); } }), log, ["error", "close"]); r.resume(); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); r.setEncoding("utf8"); const bytes = Buffer.from("é€"); r.on("data", (c) => log.push(c)); for (const byte of bytes) r.push(Buffer.from([byte])); r.push(null); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {}, encoding: "hex" }); r.on("data", (c) => log.push(c)); r.push("ab"); r.push(null); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); r.push("b"); r.unshift("a"); log.push(String(r.read())); r.push(null); r.resume(); r.on("error", (e) => log.push(e.code)); await quiet(); r.unshift("x"); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["data", "pause", "resume"]); r.push("a"); await quiet(); r.pause(); r.push("b"); await quiet(); log.push(r.isPaused(), r.readableFlowing); r.resume(); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["end", "error", "close"]); r.destroy(); r.push("x"); log.push(r.destroyed, r.closed, r.readableAborted); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["end", "error", "close"]); r.destroy(new Error("gone")); r.destroy(new Error("again")); log.push(r.errored.message); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {}, destroy(error, callback) { log.push(`destroy ${error}`); callback(new Error("other")); } }), log, ["error", "close"]); r.destroy(); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {}, emitClose: false }), log, ["error", "close"]); r.destroy(); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {}, autoDestroy: false }), log, ["end", "error", "close"]); r.push(null); r.resume(); await quiet(); log.push(r.destroyed); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ construct(callback) { log.push("construct"); setImmediate(callback); }, read() { log.push("read"); this.push(null); } }), log, ["end", "close"]); r.resume(); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ construct(callback) { callback(new Error("no")); }, read() { log.push("read"); } }), log, ["error", "close"]); r.resume(); }));
await t(() => text(Readable.from(["a", Promise.resolve("b"), "c"])));
await t(() => text(Readable.from("whole")));
await t(() => text(Readable.from((async function* () { yield 1; yield 2; })())));
await t(() => text(Readable.from((async function* () { yield 1; throw new Error("half"); })())));
await t(() => text(Readable.from([1, null])));
t(() => Readable.from(5));
await t(() => traced(async (log) => { async function* g() { try { yield 1; yield 2; } finally { log.push("closed"); } } for await (const x of Readable.from(g())) { log.push(x); break; } }));
await t(() => traced(async (log) => { const r = Readable.from([1, 2, 3]); for await (const x of r.iterator({ destroyOnReturn: false })) { log.push(x); break; } log.push(r.destroyed); for await (const x of r) log.push(x); log.push(r.destroyed); }));
await t(async () => { const r = new Readable({ read() {} }); setImmediate(() => r.destroy()); return text(r); });
await t(async () => { const r = new Readable({ read() {} }); setImmediate(() => r.destroy(new Error("cut"))); return text(r); });
await t(() => traced(async (log) => { const { EventEmitter } = require("events"); const old = new EventEmitter(); old.pause = () => log.push("pause"); old.resume = () => log.push("resume"); const r = new Readable().wrap(old); r.on("data", (c) => log.push(String(c))); r.on("end", () => log.push("end")); old.emit("data", Buffer.from("x")); old.emit("end"); }));

// Writing.
await t(() => traced(async (log) => { const w = follow(sink(log), log); w.write("a"); w.write("b", "latin1"); w.end("c", () => log.push("ended")); log.push(w.writableEnded, w.writableFinished); }));
await t(() => traced(async (log) => { const w = sink(log, { decodeStrings: false }); w.write("é", "latin1"); w.write(Buffer.from("x")); w.write(new Uint8Array([65])); w.end(); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ highWaterMark: 3, write(c, e, cb) { log.push(`write ${c}`); setImmediate(cb); } }), log, ["drain", "finish", "close"]); log.push(w.write("ab"), w.write("cd"), w.writableLength, w.writableNeedDrain); await quiet(); w.end("x"); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ writev(chunks, callback) { log.push(`writev ${chunks.map(({ chunk, encoding }) => chunk + encoding)}`); callback(); } }), log, ["finish"]); w.cork(); w.write("a"); w.write("b"); log.push(w.writableCorked, w.writableLength); w.uncork(); w.write("c"); w.end(); }));
await t(() => traced(async (log) => { const w = follow(sink(log), log, ["error", "close"]); w.end(); w.write("late", (error) => log.push(`callback ${error.code}`)); }));
await t(() => traced(async (log) => { const w = follow(sink(log), log, ["error", "close"]); w.destroy(); w.write("late", (error) => log.push(`callback ${error.code}`)); await quiet(); w.end((error) => log.push(`end ${error.code}`)); }));
await t(() => traced(async (log) => { const w = follow(sink(log), log, ["error", "finish", "close"]); w.end(); await quiet(); w.end((error) => log.push(`end ${error.code}`)); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ write(c, e, cb) { cb(new Error("full")); } }), log, ["error", "finish", "close"]); w.write("a", (error) => log.push(`callback ${error.message}`)); w.write("b", (error) => log.push(`callback ${error.message}`)); w.end((error) => log.push(`end ${error && error.message}`)); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ write(c, e, cb) { setImmediate(() => cb(new Error("full"))); } }), log, ["error", "finish", "close"]); w.write("a", (error) => log.push(`1 ${error.message}`)); w.write("b", (error) => log.push(`2 ${error.message}`)); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ write(c, e, cb) { cb(); cb(); } }), log, ["error", "close"]); w.write("a"); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ write(c, e, cb) { cb(); }, final(cb) { log.push("final"); setImmediate(cb); } }), log, ["prefinish", "finish", "close"]); w.end("x"); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ write(c, e, cb) { cb(); }, final(cb) { cb(new Error("unfinal")); } }), log, ["error", "prefinish", "finish", "close"]); w.end((error) => log.push(`end ${error.message}`)); }));
t(() => sink([]).write(null));
t(() => sink([]).write(5));
t(() => sink([]).write("x", "klingon"));
t(() => sink([]).setDefaultEncoding("klingon"));
t(() => new Writable({ highWaterMark: -1 }));
t(() => new Writable().write("x"));
await t(() => traced(async (log) => { const w = new Writable({ objectMode: true, write(c, e, cb) { log.push(String(c)); cb(); } }); log.push(w.write({}), w.write(""), w.write(undefined)); }));
await t(() => traced(async (log) => { const w = sink([]); follow(w, log, ["error"]); log.push(w.pipe(sink([]))); }));
await t(() => traced(async (log) => { const w = follow(new Writable({ construct(cb) { setImmediate(() => { log.push("construct"); cb(); }); }, write(c, e, cb) { log.push(`write ${c}`); cb(); } }), log, ["finish", "close"]); w.end("x"); }));
t(() => { const w = sink([]); return [w.writable, w.destroyed, w.closed, w.errored, w.writableAborted, w.writableObjectMode, w.writableCorked]; });

// Both.
await t(() => traced(async (log) => { const d = follow(new Duplex({ read() { this.push("r"); this.push(null); }, write(c, e, cb) { log.push(`write ${c}`); cb(); } }), log, ["data", "end", "finish", "close"]); d.end("w"); }));
await t(() => traced(async (log) => { const d = follow(new Duplex({ allowHalfOpen: false, read() { this.push(null); }, write(c, e, cb) { cb(); } }), log, ["end", "finish", "close"]); d.resume(); }));
t(() => { const d = new Duplex({ readableObjectMode: true, writableHighWaterMark: 5 }); return [d.readableObjectMode, d.writableObjectMode, d.readableHighWaterMark, d.writableHighWaterMark]; });
t(() => { const d = new Duplex({ readable: false }); return [d.readable, d.writable]; });
await t(() => traced(async (log) => { const up = follow(new Transform({ transform(c, e, cb) { cb(null, String(c).toUpperCase()); }, flush(cb) { cb(null, "!"); } }), log, ["data", "end", "finish", "close"]); up.write("a"); up.end("b"); }));
await t(() => traced(async (log) => { const up = follow(new Transform({ transform(c, e, cb) { cb(new Error("bad")); } }), log, ["data", "end", "error", "finish", "close"]); up.end("b"); }));
await t(() => traced(async (log) => { const up = follow(new Transform({ transform(c, e, cb) { cb(); }, flush(cb) { cb(new Error("flushed")); } }), log, ["data", "end", "error", "finish", "close"]); up.end("b"); }));
await t(() => traced(async (log) => { const up = follow(new Transform(), log, ["error", "close"]); up.write("x"); }).catch((error) => error.message));
await t(() => traced(async (log) => { const up = new Transform({ objectMode: true, highWaterMark: 1, transform(c, e, cb) { log.push(`in ${c}`); cb(null, c); } }); for (let n = 0; n < 4; n++) log.push(up.write(n)); await quiet(); log.push("read"); up.on("data", (c) => log.push(`out ${c}`)); }));
await t(() => traced(async (log) => { class Double extends Transform { _transform(c, e, cb) { this.push(c); this.push(c); cb(); } } log.push(await text(Readable.from(["a", "b"]).pipe(new Double()))); }));
await t(() => traced(async (log) => { function Old(o) { Transform.call(this, o); } require("util").inherits(Old, Transform); Old.prototype._transform = function (c, e, cb) { cb(null, `<${c}>`); }; log.push(await text(Readable.from(["a", "b"]).pipe(new Old()))); }));

// Pipes.
await t(() => traced(async (log) => { const w = follow(sink(log), log, ["pipe", "unpipe", "finish", "close"]); follow(Readable.from(["a", "b"]), log, ["end", "close"]).pipe(w); }));
await t(() => traced(async (log) => { const r = new PassThrough(); const w = follow(sink(log), log, ["unpipe"]); r.pipe(w); r.write("a"); await quiet(); r.unpipe(w); r.write("b"); await quiet(); log.push(r.readableFlowing); }));
await t(() => traced(async (log) => { const r = Readable.from(["a"]); const w = follow(sink(log), log, ["finish"]); r.pipe(w, { end: false }); await quiet(); log.push(w.writableEnded); }));
await t(() => traced(async (log) => { const r = new PassThrough(); r.pipe(sink(log)); r.pipe(sink(log)); r.end("x"); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); const w = new Writable({ highWaterMark: 1, write(c, e, cb) { log.push(`write ${c}`); setImmediate(cb); } }); follow(r, log, ["pause", "resume"]); r.pipe(w); r.push("a"); r.push("b"); r.push(null); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); const w = follow(sink(log), log, ["error", "unpipe", "close"]); r.pipe(w); r.push("a"); await quiet(); w.destroy(new Error("target")); await quiet(); log.push(r.readableFlowing, r.destroyed); }));
await t(() => traced(async (log) => { const s = new stream(); const w = follow(sink(log), log, ["finish"]); s.pipe(w); s.emit("data", "x"); s.emit("end"); }));

// Pipelines and ends.
await t(() => traced(async (log) => { const r = Readable.from(["a", "b"]); const w = sink(log); pipeline(r, new PassThrough(), w, (error) => log.push(`done ${error}`)); await quiet(); log.push(r.destroyed, w.destroyed); }));
await t(() => promises.pipeline(Readable.from(["a", "b"]), async function* (source) { for await (const c of source) yield c + c; }, async (source) => text(source)));
await t(() => promises.pipeline(async function* () { yield "x"; yield "y"; }, async (source) => text(source)));
await t(() => promises.pipeline(["x", "y"], new PassThrough({ objectMode: true }), async (source) => text(source)));
await t(() => traced(async (log) => { const r = new Readable({ read() { this.destroy(new Error("source")); } }); const w = follow(sink(log), log, ["close"]); pipeline(r, w, (error) => log.push(`done ${error.message}`)); await quiet(); log.push(w.destroyed); }));
await t(() => traced(async (log) => { const r = follow(new Readable({ read() {} }), log, ["close"]); const w = new Writable({ write(c, e, cb) { cb(new Error("target")); } }); r.push("x"); pipeline(r, w, (error) => log.push(`done ${error.message}`)); await quiet(); log.push(r.destroyed); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); pipeline(r, sink(log), (error) => log.push(error.code)); r.push("x"); await quiet(); r.destroy(); }));
await t(async () => { const c = new AbortController(); const r = new Readable({ read() {} }); setImmediate(() => c.abort()); try { await promises.pipeline(r, sink([]), { signal: c.signal }); } catch (error) { return [error.name, error.code, r.destroyed]; } });
t(() => pipeline(Readable.from([])));
t(() => pipeline(Readable.from([]), () => {}));
await t(() => traced(async (log) => { const r = Readable.from([1]); finished(r, (error) => log.push(`done ${error}`)); r.resume(); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); finished(r, (error) => log.push(error.code)); r.destroy(); }));
await t(() => traced(async (log) => { const r = new Readable({ read() {} }); finished(r, (error) => log.push(error.message)); r.destroy(new Error("own")); }));
await t(() => traced(async (log) => { const w = sink([]); const clean = finished(w, () => log.push("never")); clean(); w.end(); }));
await t(() => traced(async (log) => { const w = sink([]); w.end(); await quiet(); finished(w, (error) => log.push(`late ${error}`)); }));
await t(() => traced(async (log) => { const d = new PassThrough(); finished(d, (error) => log.push(`done ${error}`)); d.end(); await quiet(); log.push("read"); d.resume(); }));
await t(() => traced(async (log) => { const d = new PassThrough(); finished(d, { readable: false }, (error) => log.push(`done ${error}`)); d.end(); }));
t(() => finished({}, () => {}));
t(() => finished(new PassThrough()));
await t(async () => { const w = sink([]); w.end(); return promises.finished(w); });
await t(async () => { const c = new AbortController(); const r = new Readable({ read() {} }); setImmediate(() => c.abort()); return promises.finished(r, { signal: c.signal }); });
await t(async () => { const c = new AbortController(); const r = addAbortSignal(c.signal, new Readable({ read() {} })); setImmediate(() => c.abort()); return text(r); });
t(() => addAbortSignal(5, new PassThrough()));
await t(async () => { const c = compose(new PassThrough(), new Transform({ transform(x, e, cb) { cb(null, String(x).toUpperCase()); } })); c.end("abc"); return text(c); });
await t(async () => { const c = compose(async function* (source) { for await (const x of source) yield `<${x}>`; }); c.end("abc"); return text(c); });
await t(async () => text(Duplex.from(["a", "b"])));
await t(async () => text(Duplex.from(Promise.resolve("p"))));
await t(async () => text(Duplex.from(async function* () { yield "g"; }())));
await t(async () => { const d = Duplex.from(async function* (source) { for await (const x of source) yield String(x).toUpperCase(); }); d.end("up"); return text(d); });
await t(() => traced(async (log) => { const d = Duplex.from({ readable: Readable.from(["r"]), writable: sink(log) }); d.end("w"); log.push(await text(d)); }));
t(() => Duplex.from(5));

// Operators.
const numbers = () => Readable.from([1, 2, 3, 4, 5]);
await t(() => numbers().map((x) => x * 2).toArray());
await t(() => numbers().map(async (x) => x * 2, { concurrency: 3 }).toArray());
await t(() => numbers().filter((x) => x % 2).toArray());
await t(() => numbers().flatMap((x) => [x, x]).toArray());
await t(() => numbers().drop(2).take(2).toArray());
await t(() => numbers().take(0).toArray());
await t(() => numbers().some((x) => x > 4));
await t(() => numbers().every((x) => x > 4));
await t(() => numbers().find((x) => x > 2));
await t(() => numbers().find((x) => x > 9));
await t(() => numbers().reduce((a, b) => a + b));
await t(() => numbers().reduce((a, b) => a + b, 10));
await t(() => Readable.from([]).reduce((a, b) => a + b));
await t(async () => { const seen = []; await numbers().forEach((x) => { seen.push(x); }); return seen; });
await t(() => numbers().map((x) => { if (x === 3) throw new Error("three"); return x; }).toArray());
await t(async () => numbers().map(5));
await t(async () => numbers().drop(-1));
await t(() => numbers().asIndexedPairs().toArray());
await t(() => numbers().compose(async function* (source) { for await (const x of source) yield x + 1; }).toArray());
t(() => [stream.isReadable(new PassThrough()), stream.isReadable(sink([])), stream.isReadable({}), stream.isErrored(new PassThrough()), stream.isDisturbed(new PassThrough())]);
await t(async () => { const r = numbers(); await r.toArray(); return [stream.isDisturbed(r), stream.isReadable(r), r.readableDidRead, r.readableEnded]; });
