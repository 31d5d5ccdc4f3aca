exports = async () => {
  const size = require("image-size"), { PNG } = require("pngjs");
  return size(PNG.sync.write(new PNG({ width: 3, height: 5 })));
};
