exports = async () => {
  const cheerio = require("cheerio");
  const $ = cheerio.load('<ul id="f"><li class="a">Apple</li><li class="b">Pear</li></ul>');
  $("li.b").attr("data-x", "1").text("Plum & co");
  return [$("li").map((i, e) => $(e).text()).get(), $("#f > li:nth-child(2)").attr("data-x"), $.html(), cheerio.load("<a/><b/>", { xml: true }).xml()];
};
