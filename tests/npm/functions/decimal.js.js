exports = async () => {
  const D = require("decimal.js");
  return [new D("0.1").plus("0.2").toString(), D.sqrt(2).toFixed(30), new D(1).div(3).toPrecision(10), new D("0xff").toNumber()];
};
