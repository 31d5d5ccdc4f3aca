exports = async () => {
  const xlsx = require("node-xlsx").default;
  const bytes = xlsx.build([{ name: "one", data: [[1, "two", true, null]] }]);
  return xlsx.parse(bytes);
};
