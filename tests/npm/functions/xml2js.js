exports = async () => {
  const { parseStringPromise, Builder } = require("xml2js");
  return [await parseStringPromise('<r a="1"><i>x</i><i>y&amp;z</i></r>'), new Builder({ headless: true }).buildObject({ r: { $: { a: 1 }, i: ["x", "y"] } }), await parseStringPromise("<r>").catch((e) => e.message.split("\n")[0])];
};
