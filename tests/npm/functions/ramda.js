exports = async () => {
  const R = require("ramda");
  return [R.pipe(R.map(R.inc), R.sum)([1, 2]), R.path(["a", 0, "b"], { a: [{ b: 1 }] }), R.groupBy((n) => (n % 2 ? "odd" : "even"), [1, 2, 3]), R.equals({ a: new Date(1) }, { a: new Date(1) })];
};
