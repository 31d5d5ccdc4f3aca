exports = async () => {
  const B = require("bignumber.js");
  return [new B("0.1").plus("0.2").toString(), new B("123456789012345678901234567890").times(2).toFormat(), new B(255).toString(16), B(1).div(3).dp(5).toNumber()];
};
