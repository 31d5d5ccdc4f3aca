exports = async () => {
  const { v4, v5, validate } = require("uuid-8");
  return [validate(v4()), v5("x", v5.URL)];
};
