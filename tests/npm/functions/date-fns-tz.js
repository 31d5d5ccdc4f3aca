exports = async () => {
  const { formatInTimeZone, toZonedTime, fromZonedTime, getTimezoneOffset } = require("date-fns-tz");
  return [formatInTimeZone(new Date("2024-07-01T12:00:00Z"), "America/New_York", "yyyy-MM-dd HH:mm:ssXXX"), fromZonedTime("2024-01-01 10:00", "Europe/Paris").toISOString(), getTimezoneOffset("Asia/Kolkata", new Date(0)), formatInTimeZone(new Date("2024-01-01T00:00:00Z"), "Asia/Tokyo", "HH:mm zzz")];
};
