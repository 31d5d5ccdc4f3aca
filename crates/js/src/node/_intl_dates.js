// Intl.DateTimeFormat.

const { resolve, section, reader, callable, tagged, supported } = require("_intl_locales");
const { DIGITS } = require("_intl_numbers");
const native = inner.node;

const WIDTHS = ["narrow", "short", "long"], DIGIT_WIDTHS = ["2-digit", "numeric"];
const FIELDS = {
  weekday: WIDTHS, era: WIDTHS, year: DIGIT_WIDTHS, month: [...DIGIT_WIDTHS, ...WIDTHS], day: DIGIT_WIDTHS,
  dayPeriod: WIDTHS, hour: DIGIT_WIDTHS, minute: DIGIT_WIDTHS, second: DIGIT_WIDTHS,
};
const DATE_FIELDS = ["weekday", "year", "month", "day"];
const TIME_FIELDS = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];
const STYLES = ["full", "long", "medium", "short"];

const pad = (value) => String(value).padStart(2, "0");

// Zone to name: what the lists of names by zone say.
const named = new Map();
function zoneNames(data, kind) {
  const key = `${data} ${kind}`;
  if (!named.has(key)) {
    const names = new Map();
    for (const [name, zones] of Object.entries(section(data, kind))) for (const zone of zones) names.set(zone, name.split("|"));
    named.set(key, names);
  }
  return named.get(key);
}
// The lists know some zones by older names only.
const OLDER = {
  "Asia/Kolkata": "Asia/Calcutta", "Asia/Ho_Chi_Minh": "Asia/Saigon", "Asia/Kathmandu": "Asia/Katmandu", "Asia/Yangon": "Asia/Rangoon",
  "America/Argentina/Buenos_Aires": "America/Buenos_Aires", "Europe/Kyiv": "Europe/Kiev", "Atlantic/Faroe": "Atlantic/Faeroe",
  "America/Indiana/Indianapolis": "America/Indianapolis", "America/Nuuk": "America/Godthab", "US/Pacific": "America/Los_Angeles",
  "US/Eastern": "America/New_York", "US/Central": "America/Chicago", "US/Mountain": "America/Denver", EST: "America/Panama", MST: "America/Phoenix", HST: "Pacific/Honolulu",
};

function offsetName(data, seconds, long) {
  const prefix = section(data, "dates").gmt;
  if (seconds === 0 && !long) return `${prefix.trim()}${prefix === "GMT" ? "+0" : ""}`;
  const total = Math.abs(seconds), hours = Math.floor(total / 3600), minutes = Math.floor((total % 3600) / 60);
  const sign = seconds < 0 ? (prefix === "UTC" ? "−" : "-") : "+";
  const rest = total % 60 === 0 ? "" : `:${pad(total % 60)}`;
  return prefix + sign + (long ? `${pad(hours)}:${pad(minutes)}${rest}` : `${hours}${minutes || rest ? `:${pad(minutes)}${rest}` : ""}`);
}

const joined = (pattern, date, time) => pattern.replace("{0}", () => date).replace("{1}", () => time);

class DateTimeFormatClass {
  #options;
  #data;
  #dates;
  #digits;
  #zone;
  #pattern;
  // The pattern in pieces: literals, and names of fields.
  #pieces;
  #styled = false;
  #buddhist;

  constructor(locales = undefined, options = undefined, required = "any", defaults = "date") {
    const { locale, data, keywords } = resolve(locales);
    const read = reader(options, "DateTimeFormat");
    const dates = section(data, "dates");
    this.#data = data;
    this.#dates = dates;
    const numbers = section(data, "numbers");
    const calendarAsked = read.text("calendar") ?? keywords.ca;
    const system = [read.text("numberingSystem"), keywords.nu].find((name) => name !== undefined && name in DIGITS) ?? numbers.system;
    this.#digits = system === "latn" ? null : [...(DIGITS[system] ?? numbers.digits)];
    let hour12 = read.flag("hour12");
    let hourCycle = read.text("hourCycle", ["h11", "h12", "h23", "h24"]) ?? (/^h(11|12|23|24)$/.test(keywords.hc) ? keywords.hc : undefined);
    const zoneAsked = read.raw("timeZone");
    this.#zone = zoneAsked === undefined ? "UTC" : native("intl.zone", String(zoneAsked));
    if (this.#zone === null) throw new RangeError(`Invalid time zone specified: ${zoneAsked}`);
    const asked = {};
    for (const [name, allowed] of Object.entries(FIELDS)) {
      const value = read.text(name, allowed);
      if (value !== undefined) asked[name] = value;
    }
    const fraction = read.number("fractionalSecondDigits", 1, 3);
    if (fraction !== undefined) asked.fractionalSecondDigits = fraction;
    const zoneName = read.text("timeZoneName", ["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"]);
    if (zoneName !== undefined) asked.timeZoneName = zoneName;
    read.text("formatMatcher", ["basic", "best fit"]);
    const dateStyle = read.text("dateStyle", STYLES), timeStyle = read.text("timeStyle", STYLES);
    if (dateStyle !== undefined || timeStyle !== undefined) {
      const [one] = Object.keys(asked);
      if (one !== undefined) throw new TypeError(`Can't set option ${one} when ${dateStyle ? "dateStyle" : "timeStyle"} is used`);
      if (required === "date" && timeStyle !== undefined) throw new TypeError("Invalid option : timeStyle");
      if (required === "time" && dateStyle !== undefined) throw new TypeError("Invalid option : dateStyle");
    } else {
      const has = (names) => names.some((name) => name in asked);
      const isNeeded = !((required !== "time" && has(DATE_FIELDS)) || (required !== "date" && has(TIME_FIELDS)));
      if (isNeeded && (defaults === "date" || defaults === "all")) for (const name of ["year", "month", "day"]) asked[name] = "numeric";
      if (isNeeded && (defaults === "time" || defaults === "all")) for (const name of ["hour", "minute", "second"]) asked[name] = "numeric";
    }
    if (asked.hour !== undefined || timeStyle !== undefined) {
      // As V8 chooses: clocks of twelve hours have one that goes to 24.
      if (hour12 === true) hourCycle = dates.cycle === "h11" || dates.cycle === "h23" && data === "ja" ? "h11" : "h12";
      else if (hour12 === false) hourCycle = dates.cycle === "h11" || dates.cycle === "h23" ? "h23" : "h24";
      else hourCycle ??= dates.cycle;
      hour12 = hourCycle === "h11" || hourCycle === "h12";
    } else hourCycle = hour12 = undefined;
    this.#buddhist = calendarAsked === "buddhist" || (calendarAsked === undefined && dates.calendar === "buddhist");
    this.#pattern = dateStyle !== undefined || timeStyle !== undefined ? this.#styles(dateStyle, timeStyle, hour12) : this.#fields(asked, hour12);
    this.#pieces = Array.from(this.#pattern.matchAll(/\{(\w+)\}|[^{]+/g), ([text, field]) => ({ text, field }));
    const shown = { ...asked };
    // What is shown with two digits though one was asked for, and the other way.
    for (const [name, token] of [["month", "MM"], ["day", "DD"], ["minute", "mm"], ["second", "ss"], ["hour", "hh"]]) {
      if (DIGIT_WIDTHS.includes(shown[name])) shown[name] = this.#pattern.includes(`{${token}}`) ? "2-digit" : "numeric";
    }
    this.#options = {
      locale: system === keywords.nu && system !== numbers.system ? `${locale}-u-nu-${system}` : locale,
      calendar: this.#buddhist ? "buddhist" : "gregory", numberingSystem: system, timeZone: this.#zone,
      ...(hourCycle ? { hourCycle, hour12 } : {}),
      ...Object.fromEntries([...Object.keys(FIELDS), "fractionalSecondDigits", "timeZoneName"].filter((name) => name in shown).map((name) => [name, shown[name]])),
      ...(dateStyle ? { dateStyle } : {}), ...(timeStyle ? { timeStyle } : {}),
    };
  }

  static supportedLocalesOf(locales) { return supported(locales); }

  #styles(dateStyle, timeStyle, hour12) {
    const { styles, times, cycle } = this.#dates;
    this.#styled = true;
    let time = timeStyle && styles[timeStyle][1];
    if (time && hour12 !== (cycle === "h11" || cycle === "h12")) {
      const zone = /[^}]*\{z\}/.exec(time)?.[0] ?? "";
      const wide = time.includes("{hh}");
      time = times[`${timeStyle === "short" ? "hm" : "hms"}${hour12 ? 12 : 24}`] + zone;
      if (wide) time = time.replace("{h}", "{hh}");
    }
    const date = dateStyle && styles[dateStyle][0];
    return date && time ? joined(styles[dateStyle][2], date, time) : date ?? time;
  }

  #fields(asked, hour12) {
    const { days, times, joins, zone, dayZone, era } = this.#dates;
    const width = (value) => (value === undefined ? "" : value === "long" ? "l" : "s");
    const month = DIGIT_WIDTHS.includes(asked.month) ? "n" : width(asked.month);
    let date;
    if (DATE_FIELDS.some((name) => name in asked)) {
      const key = `w${width(asked.weekday)}y${asked.year ? 1 : ""}`;
      const twoMonth = asked.month === "2-digit", twoDay = asked.day === "2-digit";
      const exact = days[`${key}m${twoMonth ? "t" : month}d${twoDay ? "t" : asked.day ? 1 : ""}`];
      date = exact ?? days[`${key}m${month}d${asked.day ? 1 : ""}`];
      if (asked.year === "2-digit") date = date.replace("{Y}", "{YY}");
      else date = date.replace("{YY}", "{Y}");
      if (exact === undefined && twoMonth) date = date.replace("{M}", "{MM}");
      if (exact === undefined && twoDay) date = date.replace("{D}", "{DD}");
    }
    if (asked.era !== undefined) date = date === "{Y}" ? era : `${date ?? ""}${date ? " " : ""}{e}`;
    let time;
    const key = (asked.hour ? "h" : "") + (asked.minute ? "m" : "") + (asked.second ? "s" : "");
    if (key !== "") {
      const clock = hour12 ? 12 : 24;
      const two = asked.minute === "2-digit" ? "t" : "";
      time = asked.hour ? times[`${key === "hs" ? "hms" : key}${two}${clock}`] : times[key];
      if (asked.hour === "2-digit") time = time.replace("{h}", "{hh}");
    }
    if (asked.fractionalSecondDigits !== undefined) {
      const { decimal } = section(this.#data, "numbers");
      time = time === undefined || !asked.second ? `${time ?? ""}{f}` : time.replace(/\{ss?\}/, (found) => `${found}${decimal}{f}`);
    }
    if (asked.timeZoneName !== undefined) {
      if (time !== undefined) time += `${zone}{z}`;
      else date += `${dayZone}{z}`;
    }
    if (date === undefined || time === undefined) return date ?? time;
    const kind = asked.weekday && !asked.year && !asked.month && !asked.day ? "d" : month === "l" ? (asked.weekday && asked.year && asked.day ? "w" : "l") : month === "s" ? "s" : "n";
    return joined(joins[kind], date, time);
  }

  // The parts of a clock on a wall in the zone.
  #clock(milliseconds) {
    const [seconds, isSummer] = this.#zone === "UTC" ? [0, false] : native("intl.offset", this.#zone, milliseconds);
    return { at: new Date(milliseconds + seconds * 1000), seconds, isSummer, milliseconds };
  }

  #zoneName(clock) {
    const { timeZoneName, timeStyle } = this.#options;
    const kind = timeZoneName ?? (timeStyle === "full" ? "long" : "short");
    const isEnglish = this.#data.startsWith("en");
    if (this.#zone === "UTC" && kind === "short") return "UTC";
    if (this.#zone === "UTC" && kind === "long") return this.#dates.utc;
    const isLong = kind === "long" || kind === "longGeneric";
    const list = kind === "short" || (kind === "shortGeneric" && isEnglish) ? zoneNames(this.#data, "abbreviations") : isLong ? zoneNames("en", "zones") : undefined;
    let names = list?.get(this.#zone) ?? list?.get(OLDER[this.#zone]);
    // Other languages have words for some of what English has names for.
    if (names !== undefined && isLong && !isEnglish) {
      names = kind === "long" ? section(this.#data, "zoneNames")[names.join("|")]?.split("|") : undefined;
    }
    // Names are known since 1970 only.
    if (names !== undefined && clock.milliseconds >= 0) {
      const name = names[clock.isSummer ? 1 : 0] ?? names[0];
      if (kind === "longGeneric") return names.length > 1 ? names[0].replace(" Standard", "") : name;
      if (kind !== "shortGeneric") return name;
      if (names.length > 1) return names[0].replace(/S(?=T$)/, "");
    }
    return offsetName(this.#data, clock.seconds, kind.startsWith("long"));
  }

  #part(token, clock) {
    const { at } = clock, dates = this.#dates, options = this.#options;
    const words = (list, name) => {
      const { dateStyle } = options;
      const width = options[name] ?? (name === "weekday" || dateStyle === "full" || dateStyle === "long" ? "long" : "short");
      return list[width];
    };
    const year = at.getUTCFullYear() + (this.#buddhist ? 543 : 0);
    const hours = at.getUTCHours();
    switch (token) {
      case "w": return ["weekday", words(this.#has("D") ? dates.weekdays : dates.aloneDays, "weekday")[at.getUTCDay()]];
      case "e": return ["era", dates.eras[options.era ?? "short"][at.getUTCFullYear() > 0 ? 1 : 0]];
      case "Y": return ["year", this.#shown(String(year > 0 ? year : 1 - year))];
      case "YY": return ["year", this.#shown(pad(Math.abs(year) % 100))];
      case "L": {
        const list = this.#has("D") ? dates.months : this.#has("Y") ? dates.alone : dates.single;
        return ["month", words(list, "month")[at.getUTCMonth()]];
      }
      case "M": return ["month", this.#shown(String(at.getUTCMonth() + 1))];
      case "MM": return ["month", this.#shown(pad(at.getUTCMonth() + 1))];
      case "D": return ["day", this.#shown(String(at.getUTCDate()))];
      case "DD": return ["day", this.#shown(pad(at.getUTCDate()))];
      case "h": case "hh": {
        const hour = { h11: hours % 12, h12: hours % 12 || 12, h23: hours, h24: hours || 24 }[options.hourCycle];
        return ["hour", this.#shown(token === "hh" ? pad(hour) : String(hour))];
      }
      case "m": return ["minute", this.#shown(String(at.getUTCMinutes()))];
      case "mm": return ["minute", this.#shown(pad(at.getUTCMinutes()))];
      case "s": return ["second", this.#shown(String(at.getUTCSeconds()))];
      case "ss": return ["second", this.#shown(pad(at.getUTCSeconds()))];
      case "f": return ["fractionalSecond", this.#shown(String(at.getUTCMilliseconds()).padStart(3, "0").slice(0, options.fractionalSecondDigits))];
      case "p": return ["dayPeriod", dates.periods[hours < 12 ? 0 : 1]];
      default: return ["timeZoneName", this.#zoneName(clock)];
    }
  }

  #has(token) { return this.#pattern.includes(`{${token}}`) || this.#pattern.includes(`{${token}${token}}`); }

  #shown(text) { return this.#digits === null ? text : text.replace(/\d/g, (digit) => this.#digits[digit]); }

  #moment(date) {
    const milliseconds = date === undefined ? Date.now() : Math.trunc(Number(date));
    if (!(Math.abs(milliseconds) <= 864e13)) throw new RangeError("Invalid time value");
    return this.#clock(milliseconds);
  }

  #text(date) {
    const clock = this.#moment(date);
    let text = "";
    for (const piece of this.#pieces) text += piece.field === undefined ? piece.text : this.#part(piece.field, clock)[1];
    return text;
  }

  #parts(date) {
    const clock = this.#moment(date);
    const parts = [];
    for (const { text, field } of this.#pieces) {
      if (field === undefined) parts.push({ type: "literal", value: text });
      else {
        const [type, value] = this.#part(field, clock);
        parts.push({ type, value });
      }
    }
    return parts;
  }

  get format() {
    const format = (date = undefined) => this.#text(date);
    Object.defineProperty(format, "name", { value: "" });
    Object.defineProperty(this, "format", { value: format, writable: true, configurable: true });
    return format;
  }
  formatToParts(date = undefined) { return this.#parts(date); }
  formatRange(start, end) {
    if (start === undefined || end === undefined) throw new TypeError("startDate or endDate cannot be undefined");
    const one = this.format(start), other = this.format(end);
    return one === other ? one : `${one} – ${other}`;
  }
  formatRangeToParts(start, end) {
    if (start === undefined || end === undefined) throw new TypeError("startDate or endDate cannot be undefined");
    const from = (source) => (part) => ({ ...part, source });
    if (this.format(start) === this.format(end)) return this.#parts(start).map(from("shared"));
    return [...this.#parts(start).map(from("startRange")), { type: "literal", value: " – ", source: "shared" }, ...this.#parts(end).map(from("endRange"))];
  }
  resolvedOptions() { return { ...this.#options }; }
}
Object.defineProperty(DateTimeFormatClass, "name", { value: "DateTimeFormat" });
tagged(DateTimeFormatClass, "DateTimeFormat");

// `Date.prototype.toLocale…String`; what no option names is the default.
const simple = new Map();
function local(date, locales, options, required, defaults) {
  const milliseconds = Date.prototype.getTime.call(date);
  if (Number.isNaN(milliseconds)) return "Invalid Date";
  if (options !== undefined || (locales !== undefined && typeof locales !== "string")) {
    return new DateTimeFormatClass(locales, options, required, defaults).format(milliseconds);
  }
  const key = `${locales} ${defaults}`;
  if (!simple.has(key)) simple.set(key, new DateTimeFormatClass(locales, undefined, required, defaults));
  return simple.get(key).format(milliseconds);
}

Object.assign(exports, { DateTimeFormat: callable(DateTimeFormatClass), local });
