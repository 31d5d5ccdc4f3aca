exports = async () => {
  const _ = require("lodash"), fp = require("lodash/fp"), clone = require("lodash/cloneDeep");
  return [_.chunk([1, 2, 3, 4, 5], 2), _.groupBy(["one", "two", "three"], "length"), fp.flow(fp.map((n) => n * 2), fp.sum)([1, 2, 3]), _.template("hi <%= name %>")({ name: "you" }), _.isEqual(clone({ a: [new Date(0), new Map([[1, 2]])] }), { a: [new Date(0), new Map([[1, 2]])] }), _.isPlainObject(new (class A {})()), _.merge({ a: { b: 1 } }, { a: { c: 2 } }), await new Promise((done) => _.debounce(done, 1)("debounced"))];
};
