exports = async () => {
  const _ = require("underscore");
  return [_.sortBy([3, 1, 2]), _.chain([1, 2, 3]).map((n) => n + 1).filter((n) => n > 2).value(), _.template("hi <%- name %>")({ name: "<b>" }), _.isEqual({ a: [1] }, { a: [1] })];
};
