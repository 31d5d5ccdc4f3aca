exports = async () => {
  const X = require("xlsx");
  const book = X.utils.book_new();
  X.utils.book_append_sheet(book, X.utils.aoa_to_sheet([["a", "b"], [1, new Date(Date.UTC(2020, 0, 1))], ["ü", 2.5]]), "S");
  const bytes = X.write(book, { type: "buffer", bookType: "xlsx" });
  const back = X.read(bytes, { type: "buffer" });
  return [back.SheetNames, X.utils.sheet_to_json(back.Sheets.S, { header: 1 }), X.utils.sheet_to_csv(back.Sheets.S), Buffer.isBuffer(bytes)];
};
