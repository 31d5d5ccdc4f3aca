exports = async () => {
  const iconv = require("iconv-lite");
  return [iconv.encode("äß€", "win1252").toString("hex"), iconv.decode(Buffer.from([0x82, 0xa0]), "shift_jis"), iconv.encodingExists("gbk"), iconv.decode(iconv.encode("日本", "euc-jp"), "euc-jp")];
};
