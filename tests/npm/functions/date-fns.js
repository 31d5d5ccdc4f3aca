exports = async () => {
  const { addMonths, formatISO, format, parseISO, differenceInDays, formatDistance, isWithinInterval } = require("date-fns"), { de } = require("date-fns/locale");
  return [addMonths(new Date(Date.UTC(2024, 0, 31)), 1).toISOString(), format(new Date(2024, 1, 29), "EEEE, d. MMMM yyyy", { locale: de }), differenceInDays(parseISO("2024-03-01"), parseISO("2024-02-01")), formatDistance(new Date(0), new Date(86400000 * 3)), isWithinInterval(new Date(5), { start: new Date(0), end: new Date(10) })];
};
