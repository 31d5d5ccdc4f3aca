exports = async () => {
  const dayjs = require("dayjs");
  for (const name of ["utc", "timezone", "relativeTime", "customParseFormat", "duration"]) dayjs.extend(require(`dayjs/plugin/${name}`));
  return [dayjs.utc("2020-02-29").add(1, "month").format(), dayjs.tz("2024-07-01 12:00", "Europe/Berlin").toISOString(), dayjs.utc("2024-01-01T00:00:00Z").tz("Asia/Tokyo").format("YYYY-MM-DD HH:mm"), dayjs.utc("2020-01-01").from(dayjs.utc("2021-01-01")), dayjs("05/02/69 1:02:03", "MM/DD/YY H:mm:ss").isValid()];
};
