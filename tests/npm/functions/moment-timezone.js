exports = async () => {
  const moment = require("moment-timezone");
  return [moment.tz("2024-03-10 01:59", "America/New_York").add(1, "minute").format(), moment.utc("2024-07-01T12:00:00Z").tz("Europe/Berlin").format("YYYY-MM-DD HH:mm z Z"), moment.tz.names().length > 400];
};
