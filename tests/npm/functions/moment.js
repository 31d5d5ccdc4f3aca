exports = async () => {
  const moment = require("moment");
  moment.locale("de");
  return [moment.utc("2020-02-29T12:00:00Z").add(1, "year").format(), moment.utc("2020-03-01").locale("en").format("dddd, MMMM Do YYYY"), moment.utc(0).locale("de").format("LLLL"), moment.duration(90, "minutes").humanize(), moment("31.12.2020", "DD.MM.YYYY", true).isValid(), moment.utc("2020-01-31").diff(moment.utc("2019-01-31"), "days")];
};
