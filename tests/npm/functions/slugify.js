exports = async () => {
  const slugify = require("slugify");
  return [slugify("Größe & Maß!", { lower: true }), slugify("a b", "_")];
};
