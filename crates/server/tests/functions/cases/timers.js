// Timers (functions-runtime.md §3).
//- functions/waits.js
exports = async () => { const before = Date.now(); await new Promise((done) => setTimeout(done, 20)); return Date.now() - before >= 19; };
//= waits
//> true
//- functions/order.js
exports = async () => {
  const seen = [];
  setTimeout(() => seen.push("20"), 20);
  setTimeout((...all) => seen.push(all.join()), 5, "5", "with arguments");
  setImmediate(() => seen.push("immediate"));
  Promise.resolve().then(() => seen.push("promise"));
  seen.push("now");
  await new Promise((done) => setTimeout(done, 40));
  return seen;
};
//= order
//> ["now","promise","immediate","5,with arguments","20"]
//- functions/cleared.js
exports = async () => {
  const seen = [];
  clearTimeout(setTimeout(() => seen.push("cleared"), 1));
  const every = setInterval(() => { seen.push(seen.length); if (seen.length === 3) clearInterval(every); }, 1);
  await new Promise((done) => setTimeout(done, 60));
  clearTimeout(undefined);
  return seen;
};
//= cleared
//> [{"$numberInt":"0"},{"$numberInt":"1"},{"$numberInt":"2"}]
//- functions/race.js
exports = async () => Promise.race([new Promise((done) => setTimeout(() => done("slow"), 50)), new Promise((done) => setTimeout(() => done("fast"), 5))]);
//= race
//> "fast"
