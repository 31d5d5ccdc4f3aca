exports = async () => {
  const { DateTime, Duration, Interval } = require("luxon");
  return [DateTime.fromISO("2024-03-10T07:00:00Z").setZone("America/New_York").toISO(), DateTime.fromObject({ year: 2024, month: 7, day: 1, hour: 12 }, { zone: "Europe/Berlin" }).toUTC().toISO(), DateTime.utc(2024, 2, 29).plus({ years: 1 }).toISODate(), DateTime.fromFormat("12/25/2024", "MM/dd/yyyy", { zone: "utc" }).toFormat("cccc, d LLLL yyyy"), Duration.fromMillis(3723000).toFormat("hh:mm:ss"), Interval.fromISO("2024-01-01/2024-01-03").length("days"), DateTime.utc(2024, 1, 1).setLocale("en-US").toLocaleString(DateTime.DATE_FULL), DateTime.utc(2024, 1, 1).setZone("Mars/Phobos").isValid];
};
