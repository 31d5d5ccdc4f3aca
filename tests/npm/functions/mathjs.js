exports = async () => {
  const math = require("mathjs");
  return [math.evaluate("sqrt(3^2 + 4^2)"), math.evaluate("12.7 cm to inch").toString(), math.format(math.inv([[1, 2], [3, 4]]), 6), math.derivative("x^2 + x", "x").toString(), math.bignumber("0.1").plus("0.2").toString()];
};
