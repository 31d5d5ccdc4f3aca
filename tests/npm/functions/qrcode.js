exports = async () => {
  const QR = require("qrcode");
  return [await QR.toString("hello", { type: "utf8" }), (await QR.toDataURL("hello")).slice(0, 30), QR.create("x").modules.size];
};
