exports = async () => {
  const v = require("validator"), isEmail = require("validator/lib/isEmail");
  return [isEmail("a@example.com"), v.isURL("https://x.y/?q=1"), v.isUUID("x"), v.isMobilePhone("+491711234567", "de-DE"), v.escape("<a>"), v.isCreditCard("4111111111111111"), v.isISO8601("2020-01-01"), v.normalizeEmail("A.B+c@gmail.com"), v.isAlpha("äö", "de-DE")];
};
