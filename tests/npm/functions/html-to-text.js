exports = async () => {
  const { convert } = require("html-to-text");
  return convert("<h1>Hi</h1><p>a <b>b</b> <a href='https://x.y'>link</a></p><ul><li>1</li><li>2</li></ul>", { wordwrap: 40 });
};
