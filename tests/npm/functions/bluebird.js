exports = async () => {
  const Promise = require("bluebird");
  return [await Promise.map([1, 2, 3], (n) => n * n, { concurrency: 1 }), await Promise.delay(1, "late"), await Promise.promisify((a, next) => next(null, a + 1))(1), await Promise.resolve(1).timeout(1000), await Promise.reject(new TypeError("x")).catch(TypeError, (e) => e.message), await Promise.promisifyAll({ f(next) { next(null, "all"); } }).fAsync()];
};
