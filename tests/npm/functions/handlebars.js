exports = async () => {
  const H = require("handlebars");
  H.registerHelper("up", (text) => text.toUpperCase()); H.registerPartial("p", "<{{x}}>");
  return [H.compile("{{#each list}}{{@index}}{{up this}}{{/each}} {{> p x=1}} {{{raw}}} {{esc}}")({ list: ["a", "b"], raw: "<b>", esc: "<i>" }), H.precompile("{{a}}").length > 100];
};
