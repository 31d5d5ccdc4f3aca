exports = async () => {
  const { parse } = require("csv-parse/sync"), { parse: streaming } = require("csv-parse");
  const rows = [];
  for await (const row of streaming("a;b\n1;2\n", { delimiter: ";", columns: true })) rows.push(row);
  return [parse('a,b\n"x, ""y""",2\n', { columns: true, cast: true }), rows, await new Promise((done) => streaming("a,b\n1\n", (error) => done(error.code)))];
};
