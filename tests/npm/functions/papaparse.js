exports = async () => {
  const Papa = require("papaparse");
  return [Papa.parse('a,b\n1,"x\ny"\n', { header: true, dynamicTyping: true, skipEmptyLines: true }).data, Papa.unparse([{ a: 1, b: 'q"' }])];
};
