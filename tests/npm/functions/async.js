exports = async () => {
  const async = require("async");
  return [await async.mapLimit([1, 2, 3], 2, async (n) => n * 2), await async.waterfall([(next) => next(null, 1), (n, next) => setTimeout(() => next(null, n + 1), 1)]), await new Promise((done) => { const seen = []; const queue = async.queue((n, next) => { seen.push(n); next(); }, 1); queue.drain(() => done(seen)); queue.push([1, 2]); })];
};
