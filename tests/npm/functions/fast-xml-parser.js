exports = async () => {
  const { XMLParser, XMLBuilder, XMLValidator } = require("fast-xml-parser");
  return [new XMLParser({ ignoreAttributes: false }).parse('<r a="1"><i>2</i><i>x</i></r>'), new XMLBuilder().build({ r: { i: [1, 2] } }), XMLValidator.validate("<r><x></r>").err.code];
};
