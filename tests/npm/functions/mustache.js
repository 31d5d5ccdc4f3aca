exports = async () => {
  const M = require("mustache");
  return M.render("{{#items}}<{{name}}{{^last}},{{/last}}>{{/items}}{{&raw}}{{> part}}", { items: [{ name: "a&b" }, { name: "c", last: true }], raw: "<b>" }, { part: "P" });
};
