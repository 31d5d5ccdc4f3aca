exports = async () => {
  const qs = require("qs");
  return [qs.parse("a[b]=1&c[]=2&c[]=3&d=%C3%BC"), qs.stringify({ a: { b: 1 }, c: [2, 3] }), qs.stringify({ d: new Date(0) }, { encode: false })];
};
