exports = async () => {
  const Jimp = require("jimp");
  const image = new Jimp(8, 8, 0xff0000ff);
  const small = image.clone().resize(4, 2).greyscale();
  const bytes = await small.getBufferAsync(Jimp.MIME_PNG);
  const back = await Jimp.read(bytes);
  return [back.bitmap.width, back.bitmap.height, Jimp.intToRGBA(back.getPixelColor(0, 0)), (await image.getBufferAsync(Jimp.MIME_JPEG)).subarray(0, 2).toString("hex")];
};
