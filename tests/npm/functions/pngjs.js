exports = async () => {
  const { PNG } = require("pngjs");
  const png = new PNG({ width: 2, height: 1 });
  png.data.set([255, 0, 0, 255, 0, 255, 0, 128]);
  const bytes = PNG.sync.write(png);
  const back = await new Promise((done, fail) => new PNG().parse(bytes, (error, data) => (error ? fail(error) : done(data))));
  return [[...PNG.sync.read(bytes).data], [...back.data], bytes.subarray(1, 4).toString()];
};
