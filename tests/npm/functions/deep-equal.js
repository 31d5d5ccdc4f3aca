exports = async () => {
  const equal = require("deep-equal");
  return [equal({ a: [1, new Date(1), /x/g] }, { a: [1, new Date(1), /x/g] }), equal(new Map([[1, { a: 1 }]]), new Map([[1, { a: 1 }]]), { strict: true }), equal({ a: 1 }, { a: "1" }), equal({ a: 1 }, { a: "1" }, { strict: true }), equal(new Set([1]), new Set([2]))];
};
