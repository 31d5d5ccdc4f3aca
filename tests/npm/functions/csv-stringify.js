exports = async () => {
  const { stringify } = require("csv-stringify/sync"), { stringify: callback } = require("csv-stringify");
  return [stringify([["a", 'b"'], [1, "c,d"]]), await new Promise((done, fail) => callback([{ x: 1, y: 2 }], { header: true }, (error, text) => (error ? fail(error) : done(text))))];
};
