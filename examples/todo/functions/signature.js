// Signs a text with the app's secret; private, so that clients cannot ask for any signature they like.
exports = function (text) {
  return utils.crypto.hmac(text, context.values.get("signingKey"), "sha256", "hex");
};
