// Writes locales.tsv from the CLDR data of the Node that runs this (Unicode
// licence): `node generate.mjs`. A line is locale, section, JSON; a section
// that is the same as the language's own is left out.
import { writeFileSync } from "node:fs";

const LOCALES = `en en-GB en-CA en-AU en-IN en-NZ en-IE en-ZA de de-AT de-CH fr fr-CA fr-CH es es-MX es-AR es-US es-CO es-CL it pt pt-PT
  nl sv da nb fi pl cs sk hu ro bg hr sr sl uk ru el tr he ar ar-EG hi bn th vi id ms ja zh zh-TW zh-HK ko ca et lv lt`.split(/\s+/);
const CURRENCIES = `USD EUR GBP JPY CNY INR AUD CAD CHF SEK NOK DKK PLN CZK HUF RON BGN HRK RSD UAH RUB TRY ILS AED SAR EGP THB VND IDR MYR
  PHP SGD HKD TWD KRW NZD ZAR BRL MXN ARS CLP COP PEN NGN KES MAD PKR BDT BTC XAF XOF`.split(/\s+/);
const UNITS = `acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare hour inch
  kilobit kilobyte kilogram kilometer liter megabit megabyte meter mile mile-scandinavian milliliter millimeter millisecond minute month
  ounce percent petabyte pound second stone terabit terabyte week yard year kilometer-per-hour mile-per-hour meter-per-second mile-per-gallon`.split(/\s+/);
const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const REGIONS = LETTERS.flatMap((one) => LETTERS.map((other) => one + other))
  .filter((code) => new Intl.Locale(`und-${code}`).region === code && !/^(X|Q[M-Z]|ZZ|AA|EU|EZ|UN|UK)/.test(code) && new Intl.DisplayNames("en", { type: "region", fallback: "none" }).of(code) !== undefined);
const LANGUAGES = `af am ar az be bg bn bs ca cs cy da de el en en-GB en-US eo es es-MX et eu fa fi fil fr fr-CA ga gl gu he hi hr hu hy id is it ja ka kk
  km kn ko ku ky la lb lo lt lv mk ml mn mr ms my nb ne nl nn no or pa pl ps pt pt-BR pt-PT ro ru si sk sl so sq sr sv sw ta te tg th tk tr uk ur uz vi
  xh yi yo yue zh zh-Hans zh-Hant zu`.split(/\s+/);
const TIMES = ["year", "month", "week", "day", "hour", "minute", "second", "millisecond"];
const COMMON = [...TIMES, "byte", "kilobyte", "megabyte", "gigabyte", "celsius", "kilometer", "meter", "centimeter", "kilogram", "gram", "liter", "mile", "percent"];
const RELATIVE = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];
// One number for each plural form that a language may have.
const SAMPLES = [1, 2, 5, 0, 3, 11, 1000000, 1.5];

// Before hours of the day stood a plain space until lately; programs read such texts.
const plain = (text) => text.replace(/\u202f/g, " ");
const digitsOf = (tag) => [...new Intl.NumberFormat(tag, { useGrouping: false }).format(9876543210)].reverse().join("");

function numbers(tag) {
  const parts = (value, options) => new Intl.NumberFormat(tag, options).formatToParts(value);
  const part = (type, value, options) => parts(value, options).find((one) => one.type === type)?.value;
  // Signs and symbols where they stand; the number is `0`, the currency `¤`.
  const pattern = (value, options) => {
    let text = "", seen = false;
    for (const { type, value: shown } of parts(value, { maximumFractionDigits: 0, ...options })) {
      if (type === "integer" || type === "group") { if (!seen) text += "0"; seen = true; }
      else if (type === "minusSign") text += "-";
      else text += type === "currency" ? "¤" : shown;
    }
    return text;
  };
  const money = (options) => ["symbol", "code"].map((currencyDisplay) => [2, -2].map((value) =>
    pattern(value, { style: "currency", currency: "USD", currencyDisplay, ...options })));
  const compact = (compactDisplay) => {
    const rows = [];
    for (let exponent = 3; exponent < 15; exponent++) {
      const forms = {};
      let whole = 0;
      const rules = new Intl.PluralRules(tag);
      for (const sample of [1, 2, 5, 1.5]) {
        const all = parts(sample * 10 ** exponent, { notation: "compact", compactDisplay, useGrouping: false });
        // Some languages have a word for one thousand that has no number.
        whole = all.find((one) => one.type === "integer")?.value.length ?? 1;
        forms[rules.select(sample * 10 ** (whole - 1))] ??=
          all.map(({ type, value }) => (type === "integer" ? "0" : type === "decimal" || type === "fraction" ? "" : value)).join("");
      }
      const kinds = new Set(Object.values(forms));
      rows.push([whole, kinds.size === 1 ? { other: [...kinds][0] } : forms]);
    }
    return rows;
  };
  const grouped = parts(12345678).filter((one) => one.type === "integer").map((one) => one.value.length);
  return {
    system: new Intl.NumberFormat(tag).resolvedOptions().numberingSystem,
    digits: digitsOf(tag),
    decimal: part("decimal", 1.5), group: part("group", 1234567),
    minus: part("minusSign", -1), plus: part("plusSign", 1, { signDisplay: "always" }),
    // What some languages write before a sign.
    mark: parts(-1)[0].type === "literal" ? parts(-1)[0].value : "",
    nan: new Intl.NumberFormat(tag).format(NaN),
    sizes: [grouped.at(-1), grouped.at(-2)],
    least: parts(1234).some((one) => one.type === "group") ? 1 : 2,
    // Where amounts of money have other marks than numbers.
    money: ["group", "decimal"].map((type) => part(type, 1234567.5, { style: "currency", currency: "USD" })),
    percent: [pattern(0.5, { style: "percent" }), pattern(-0.5, { style: "percent" })],
    currency: money({}), accounting: money({ currencySign: "accounting" }),
    exponent: part("exponentSeparator", 1e5, { notation: "scientific" }),
    short: compact("short"), long: compact("long"),
  };
}

function byPlural(tag, format) {
  const forms = {}, rules = new Intl.PluralRules(tag);
  for (const sample of SAMPLES) {
    const form = rules.select(sample);
    if (form in forms) continue;
    const parts = format(sample);
    if (parts.some((one) => one.type === "integer")) {
      let seen = false;
      forms[form] = parts.map(({ type, value }) => {
        if (!["integer", "group", "decimal", "fraction"].includes(type)) return value;
        if (seen) return "";
        seen = true;
        return "0";
      }).join("");
    } else forms[form] = parts.map((one) => one.value).join("");
  }
  return new Set(Object.values(forms)).size === 1 ? { other: Object.values(forms)[0] } : forms;
}

function units(tag) {
  const made = {};
  for (const unit of tag === "en" ? UNITS : COMMON) {
    made[unit] = ["long", "short", "narrow"].map((unitDisplay) =>
      byPlural(tag, (value) => new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay }).formatToParts(value)));
  }
  return made;
}

function currencies(tag) {
  const made = {};
  for (const currency of CURRENCIES) {
    const show = (value, currencyDisplay) => new Intl.NumberFormat(tag, { style: "currency", currency, currencyDisplay })
      .formatToParts(value).find((one) => one.type === "currency").value;
    const names = {};
    for (const sample of SAMPLES) {
      names[new Intl.PluralRules(tag).select(sample)] ??= new Intl.NumberFormat(tag, { style: "currency", currency, currencyDisplay: "name", minimumFractionDigits: 0, maximumFractionDigits: 0 })
        .formatToParts(sample).find((one) => one.type === "currency").value;
    }
    made[currency] = [show(1, "symbol"), show(1, "narrowSymbol"), new Set(Object.values(names)).size === 1 ? Object.values(names)[0] : names];
    if (tag.includes("-")) made[currency].pop();
  }
  return made;
}

// A pattern out of the parts that a sample date gives: `{D}` is the day as it
// is, `{DD}` with two digits, `{L}` a month's name.
const isNumber = (text) => /^\p{Nd}+$/u.test(text);
function datePattern(format, date) {
  return format.formatToParts(date).map(({ type, value }) => {
    const two = isNumber(value) && [...value].length === 2;
    switch (type) {
      case "weekday": return "{w}";
      case "year": return [...value].length === 2 ? "{YY}" : "{Y}";
      case "month": return isNumber(value) ? (two ? "{MM}" : "{M}") : "{L}";
      case "day": return two ? "{DD}" : "{D}";
      case "hour": return two ? "{hh}" : "{h}";
      case "minute": return two ? "{mm}" : "{m}";
      case "second": return two ? "{ss}" : "{s}";
      case "dayPeriod": return "{p}";
      case "timeZoneName": return "{z}";
      case "era": return "{e}";
      default: return plain(value);
    }
  }).join("");
}

const widened = (pattern, { month, day }) => {
  const wide = month === "2-digit" ? pattern.replace("{M}", "{MM}") : pattern;
  return day === "2-digit" ? wide.replace("{D}", "{DD}") : wide;
};

function dates(tag) {
  const zone = { timeZone: "UTC", calendar: "gregory" };
  // 3 February 2024, a Saturday.
  const sample = Date.UTC(2024, 1, 3, 5, 4, 5), evening = Date.UTC(2024, 1, 3, 15, 4, 5);
  const format = (options) => new Intl.DateTimeFormat(tag, { ...zone, ...options });
  const pattern = (options) => datePattern(format(options), sample);
  const part = (type, options, date) => format(options).formatToParts(date).find((one) => one.type === type)?.value;
  const made = { days: {}, times: {}, joins: {}, styles: {}, months: {}, alone: {}, weekdays: {}, eras: {} };
  const words = { s: "short", l: "long" }, months = { n: "numeric", ...words };
  for (const w of ["", "s", "l"]) for (const y of ["", "y"]) for (const m of ["", "n", "s", "l"]) for (const d of ["", "d"]) {
    if (!(w || y || m || d)) continue;
    const options = {};
    if (w) options.weekday = words[w];
    if (y) options.year = "numeric";
    if (m) options.month = months[m];
    if (d) options.day = "numeric";
    const key = `w${w}y${y ? 1 : ""}`, plainPattern = pattern(options);
    made.days[`${key}m${m}d${d ? 1 : ""}`] = plainPattern;
    // Where two digits are more than the field with two digits.
    for (const month of m === "n" ? ["n", "t"] : [m]) for (const day of d ? ["1", "t"] : [""]) {
      if (month !== "t" && day !== "t") continue;
      const asked = { ...options, ...(month === "t" ? { month: "2-digit" } : {}), ...(day === "t" ? { day: "2-digit" } : {}) };
      const simple = widened(plainPattern, asked), wanted = pattern(asked);
      if (simple !== wanted) made.days[`${key}m${month}d${day}`] = wanted;
    }
  }
  const cycle = { h: "numeric" };
  for (const hour12 of [true, false]) {
    for (const fields of ["h", "hm", "hms"]) {
      const options = { hour: "numeric", hour12 };
      if (fields.includes("m")) options.minute = "numeric";
      if (fields.includes("s")) options.second = "numeric";
      made.times[`${fields}${hour12 ? 12 : 24}`] = pattern(options);
      if (options.minute) made.times[`${fields}t${hour12 ? 12 : 24}`] = pattern({ ...options, minute: "2-digit" });
    }
  }
  made.times.m = pattern({ minute: "numeric" });
  made.times.s = pattern({ second: "numeric" });
  made.times.ms = pattern({ minute: "numeric", second: "numeric" });
  // What stands between a date and a time.
  const between = (both, date, time) => {
    const text = pattern(both), one = pattern(date), other = pattern(time);
    const at = text.indexOf(one);
    return at >= 0 && text.includes(other) ? text.replace(one, "{0}").replace(other, "{1}") : "{0}, {1}";
  };
  const clock = { hour: "numeric", minute: "numeric" };
  for (const [kind, date] of Object.entries({
    n: { year: "numeric", month: "numeric", day: "numeric" }, s: { year: "numeric", month: "short", day: "numeric" },
    l: { year: "numeric", month: "long", day: "numeric" }, d: { weekday: "long" }, w: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  })) made.joins[kind] = between({ ...date, ...clock }, date, clock);
  for (const style of ["full", "long", "medium", "short"]) {
    made.styles[style] = [pattern({ dateStyle: style }), pattern({ timeStyle: style }), between({ dateStyle: style, timeStyle: "short" }, { dateStyle: style }, { timeStyle: "short" })];
  }
  const lastOf = (text, token) => text.slice(0, text.indexOf(token)).split("}").pop();
  made.zone = lastOf(pattern({ hour: "numeric", minute: "numeric", second: "numeric", hour12: false, timeZoneName: "short" }), "{z}");
  made.dayZone = lastOf(pattern({ year: "numeric", month: "numeric", day: "numeric", timeZoneName: "short" }), "{z}");
  const prefix = (date) => part("timeZoneName", { timeZone: "Asia/Kolkata", timeZoneName: "shortOffset" }, date).replace(/[+\-\u2212\u200e\u200f\u061c].*$/u, "");
  made.gmt = prefix(sample);
  made.utc = part("timeZoneName", { timeZoneName: "long" }, sample);
  made.periods = [part("dayPeriod", { hour: "numeric", hour12: true }, Date.UTC(2024, 1, 3, 10)), part("dayPeriod", { hour: "numeric", hour12: true }, evening)];
  made.cycle = format({ hour: "numeric" }).resolvedOptions().hourCycle;
  for (const width of ["long", "short", "narrow"]) {
    const month = (options) => Array.from({ length: 12 }, (_, index) => part("month", options, Date.UTC(2024, index, 3)));
    made.months[width] = month({ weekday: "long", month: width, day: "numeric", year: "numeric" });
    made.alone[width] = month({ month: width, year: "numeric" });
    if (made.alone[width].every((name) => isNumber(name))) made.alone[width] = month({ month: width });
    (made.single ??= {})[width] = month({ month: width });
    const weekday = (options) => Array.from({ length: 7 }, (_, index) => part("weekday", { weekday: width, ...options }, Date.UTC(2024, 1, 4 + index)));
    made.weekdays[width] = weekday({ month: "long", day: "numeric" });
    (made.aloneDays ??= {})[width] = weekday({});
    made.eras[width] = [Date.UTC(-500, 1, 1), sample].map((date) => part("era", { year: "numeric", era: width }, date));
  }
  made.era = pattern({ year: "numeric", era: "short" });
  made.week = new Intl.Locale(tag).maximize().weekInfo;
  made.calendar = new Intl.DateTimeFormat(tag).resolvedOptions().calendar;
  return made;
}

function relative(tag) {
  const made = {};
  ["long", "short", "narrow"].forEach((style) => {
    made[style] = {};
    for (const unit of RELATIVE) {
      const format = new Intl.RelativeTimeFormat(tag, { style });
      const words = {};
      const named = new Intl.RelativeTimeFormat(tag, { style, numeric: "auto" });
      for (const value of [-2, -1, 0, 1, 2]) {
        const parts = named.formatToParts(value, unit);
        if (!parts.some((one) => one.type === "integer") && parts.length === 1) words[value] = parts[0].value;
      }
      made[style][unit] = [byPlural(tag, (n) => format.formatToParts(n, unit)), byPlural(tag, (n) => format.formatToParts(-n || -0, unit)), words];
    }
  });
  // What is not there is as the next longer style.
  if (JSON.stringify(made.narrow) === JSON.stringify(made.short)) delete made.narrow;
  if (JSON.stringify(made.short) === JSON.stringify(made.long)) delete made.short;
  return made;
}

function lists(tag) {
  const made = {};
  for (const type of ["conjunction", "disjunction", "unit"]) for (const style of ["long", "short", "narrow"]) {
    const format = new Intl.ListFormat(tag, { type, style });
    const between = (...items) => format.formatToParts(items).filter((one) => one.type === "literal").map((one) => one.value);
    const two = between("x", "y"), four = between("x", "y", "z", "w");
    made[`${type} ${style}`] = two.length === 1 && four.length === 3 ? [two[0], four[0], four[1], four[2]] : ["", "", "", ""];
  }
  return made;
}

// Regions and languages in the locale's own words.
function names(tag) {
  const named = (type, codes) => {
    const format = new Intl.DisplayNames(tag, { type, fallback: "none" });
    return Object.fromEntries(codes.map((code) => [code, format.of(code)]).filter(([, name]) => name !== undefined));
  };
  return { region: named("region", REGIONS), language: named("language", LANGUAGES) };
}

// Names of time zones, in English only: winter and summer by zone.
const ZONES = Intl.supportedValuesOf("timeZone");
function zones(tag, width) {
  const made = {}, winter = Date.UTC(2024, 0, 10), summer = Date.UTC(2024, 6, 10);
  for (const timeZone of ZONES) {
    const offset = (date) => new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(date).at(-1).value;
    const name = (date) => new Intl.DateTimeFormat(tag, { timeZone, timeZoneName: width }).formatToParts(date).at(-1).value;
    const south = offset(winter) > offset(summer) && /(Australia|Antarctica|Pacific|America\/(Santiago|Asuncion|Punta))/.test(timeZone);
    const names = south ? [name(summer), name(winter)] : [name(winter), name(summer)];
    if (/^(GMT|UTC)[+-]/.test(names[0])) continue;
    (made[names[0] === names[1] ? names[0] : names.join("|")] ??= []).push(timeZone);
  }
  return made;
}

// The English names of zones that many people live in, in a language's words.
const LIVED_IN = `America/New_York America/Chicago America/Denver America/Los_Angeles America/Phoenix America/Anchorage Pacific/Honolulu America/Halifax
  America/St_Johns America/Mexico_City America/Bogota America/Lima America/Santiago America/Buenos_Aires America/Sao_Paulo America/Caracas Europe/London
  Europe/Dublin Europe/Lisbon Europe/Paris Europe/Athens Europe/Moscow Europe/Istanbul Asia/Jerusalem Asia/Riyadh Asia/Dubai Asia/Tehran Asia/Karachi
  Asia/Calcutta Asia/Dhaka Asia/Saigon Asia/Jakarta Asia/Shanghai Asia/Hong_Kong Asia/Taipei Asia/Singapore Asia/Manila Asia/Seoul Asia/Tokyo
  Australia/Perth Australia/Adelaide Australia/Darwin Australia/Brisbane Australia/Sydney Pacific/Auckland Africa/Lagos Africa/Johannesburg Africa/Nairobi
  Africa/Cairo`.split(/\s+/);
const ENGLISH = Object.entries(zones("en-US", "long"));
function zoneNames(tag) {
  const made = {};
  for (const [name, inside] of Object.entries(zones(tag, "long"))) {
    const zone = inside.find((one) => LIVED_IN.includes(one));
    const [english] = ENGLISH.find(([, all]) => zone && all.includes(zone)) ?? [];
    if (english) made[english] = name;
  }
  return made;
}

const lines = [`# CLDR ${process.versions.cldr}, © Unicode, Inc.; written by generate.mjs`];
const known = {};
for (const tag of LOCALES) {
  const sections = { numbers: numbers(tag), dates: dates(tag), units: units(tag), currencies: currencies(tag), relative: relative(tag), lists: lists(tag) };
  if (!tag.includes("-")) sections.names = names(tag);
  if (!tag.includes("-") && tag !== "en") sections.zoneNames = zoneNames(tag);
  if (tag === "en") sections.zones = zones("en-US", "long");
  sections.abbreviations = zones(tag === "en" ? "en-US" : tag, "short");
  for (const [section, value] of Object.entries(sections)) {
    const text = JSON.stringify(value), parent = `${tag.split("-")[0]} ${section}`;
    known[`${tag} ${section}`] = text;
    if (tag.includes("-") && known[parent] === text) continue;
    lines.push(`${tag}\t${section}\t${text}`);
  }
}
writeFileSync(new URL("locales.tsv", import.meta.url), `${lines.join("\n")}\n`);
