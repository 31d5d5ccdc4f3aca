exports = async () => {
  const ejs = require("ejs");
  return [ejs.render("<% list.forEach((x) => { %><li><%= x %></li><% }) %><%- raw %>", { list: ["a", "<"], raw: "<b>" }), await ejs.render("<%= await p %>", { p: Promise.resolve(1) }, { async: true })];
};
