exports = async () => {
  const { marked, Marked } = require("marked");
  return [marked.parse("# Title\n\n* a\n* **b** `c`\n\n| x | y |\n|---|---|\n| 1 | 2 |"), new Marked({ breaks: true }).parse("a\nb")];
};
