exports = async () => {
  const yaml = require("js-yaml");
  return [JSON.parse(JSON.stringify(yaml.load("a: 1\nb: [x, y]\nc: 2020-01-01\nd: |\n  l1\n  l2\ne: &A {z: 1}\nf: *A\n"))), yaml.dump({ a: [1, { b: "x: y" }], n: null }), (() => { try { yaml.load("a: [1"); } catch (e) { return [e.name, e.reason]; } })()];
};
