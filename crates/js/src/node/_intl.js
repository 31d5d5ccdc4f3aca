// `Intl`, and the methods of strings, numbers and dates that depend on locales.
// Data is native (out of CLDR); without options everything is en-US and UTC.

const { canonicalList, resolve, section, supported, reader, callable, tagged, Locale } = require("_intl_locales");
const { NumberFormat, PluralRules } = require("_intl_numbers");
const { DateTimeFormat, local } = require("_intl_dates");
const native = inner.node;

// ---- Collator.

class CollatorClass {
  #options;
  #tag;

  constructor(locales = undefined, options = undefined) {
    const { locale, keywords } = resolve(locales);
    const read = reader(options, "Collator");
    const usage = read.text("usage", ["sort", "search"], "sort");
    const numeric = read.flag("numeric", "kn" in keywords && keywords.kn !== "false");
    const caseFirst = read.text("caseFirst", ["upper", "lower", "false"], ["upper", "lower"].includes(keywords.kf) ? keywords.kf : "false");
    const sensitivity = read.text("sensitivity", ["base", "accent", "case", "variant"], "variant");
    const ignorePunctuation = read.flag("ignorePunctuation", false);
    const collation = read.text("collation") ?? keywords.co ?? "default";
    this.#options = { locale, usage, sensitivity, ignorePunctuation, collation, numeric, caseFirst };
    this.#tag = `${locale}-u${collation === "default" ? "" : `-co-${collation}`}-kf-${caseFirst}${numeric ? "-kn" : "-kn-false"}`;
  }
  get compare() {
    const { sensitivity, ignorePunctuation } = this.#options, tag = this.#tag;
    const compare = (one, other) => {
      const left = String(one), right = String(other);
      return left === right ? 0 : native("intl.compare", left, right, tag, sensitivity, ignorePunctuation);
    };
    Object.defineProperty(compare, "name", { value: "" });
    Object.defineProperty(this, "compare", { value: compare, writable: true, configurable: true });
    return compare;
  }
  resolvedOptions() { return { ...this.#options }; }
}
Object.defineProperty(CollatorClass, "name", { value: "Collator" });
tagged(CollatorClass, "Collator");
const Collator = callable(CollatorClass);

// ---- ListFormat.

class ListFormat {
  #options;
  #words;

  constructor(locales = undefined, options = undefined) {
    const { locale, data } = resolve(locales);
    const read = reader(options, "ListFormat");
    const type = read.text("type", ["conjunction", "disjunction", "unit"], "conjunction");
    const style = read.text("style", ["long", "short", "narrow"], "long");
    this.#options = { locale, type, style };
    this.#words = section(data, "lists")[`${type} ${style}`];
  }
  static supportedLocalesOf(locales) { return supported(locales); }
  formatToParts(list = []) {
    const items = [...list];
    for (const item of items) if (typeof item !== "string") throw new TypeError(`Iterable yielded ${String(item)} which is not a string`);
    const [pair, start, middle, end] = this.#words;
    const parts = [];
    items.forEach((value, index) => {
      if (index > 0) {
        const literal = items.length === 2 ? pair : index === items.length - 1 ? end : index === 1 ? start : middle;
        parts.push({ type: "literal", value: literal });
      }
      parts.push({ type: "element", value });
    });
    return parts;
  }
  format(list) { return this.formatToParts(list).map((part) => part.value).join(""); }
  resolvedOptions() { return { ...this.#options }; }
}
tagged(ListFormat, "ListFormat");

// ---- RelativeTimeFormat.

const UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

class RelativeTimeFormat {
  #options;
  #data;
  #numbers;
  #plurals;

  constructor(locales = undefined, options = undefined) {
    const { locale, data } = resolve(locales);
    const read = reader(options, "RelativeTimeFormat");
    const style = read.text("style", ["long", "short", "narrow"], "long");
    const numeric = read.text("numeric", ["always", "auto"], "always");
    this.#data = section(data, "relative");
    this.#numbers = new NumberFormat(locales);
    this.#plurals = new PluralRules(locales);
    this.#options = { locale, style, numeric, numberingSystem: this.#numbers.resolvedOptions().numberingSystem };
  }
  static supportedLocalesOf(locales) { return supported(locales); }
  formatToParts(value, unit) {
    const where = "Intl.RelativeTimeFormat.prototype.format()";
    const amount = Number(value), name = String(unit).replace(/s$/, "");
    if (!Number.isFinite(amount)) throw new RangeError(`Value need to be finite number for ${where}`);
    if (!UNITS.includes(name)) throw new RangeError(`Invalid unit argument for ${where} '${unit}'`);
    const { style, numeric } = this.#options;
    const styles = this.#data;
    const [future, past, words] = (styles[style] ?? styles[style === "narrow" && styles.short ? "short" : "long"])[name];
    const isPast = amount < 0 || Object.is(amount, -0);
    const word = words[isPast && amount === 0 ? "0" : String(amount)];
    if (numeric === "auto" && word !== undefined) return [{ type: "literal", value: word }];
    const forms = isPast ? past : future;
    const size = Math.abs(amount);
    const pattern = forms[this.#plurals.select(size)] ?? forms.other ?? Object.values(forms)[0];
    const at = pattern.indexOf("0");
    if (at < 0) return [{ type: "literal", value: pattern }];
    const parts = this.#numbers.formatToParts(size).map((part) => ({ ...part, unit: name }));
    const literal = (value) => (value === "" ? [] : [{ type: "literal", value }]);
    return [...literal(pattern.slice(0, at)), ...parts, ...literal(pattern.slice(at + 1))];
  }
  format(value, unit) { return this.formatToParts(value, unit).map((part) => part.value).join(""); }
  resolvedOptions() { return { ...this.#options }; }
}
tagged(RelativeTimeFormat, "RelativeTimeFormat");

// ---- Segmenter.

class Segmenter {
  #options;
  constructor(locales = undefined, options = undefined) {
    const granularity = reader(options, "Segmenter").text("granularity", ["grapheme", "word", "sentence"], "grapheme");
    this.#options = { locale: resolve(locales).locale, granularity };
  }
  segment(input) {
    const { granularity } = this.#options, text = String(input);
    let made;
    const all = () => {
      if (made !== undefined) return made;
      // Halves of pairs do not cross to the host: whole segments are taken from the text itself.
      let index = 0;
      made = native("intl.segments", text, granularity).map((part) => {
        const segment = text.slice(index, index + part.length);
        const found = { segment, index, input: text };
        if (granularity === "word") found.isWordLike = /[\p{L}\p{N}]/u.test(segment);
        index += part.length;
        return found;
      });
      return made;
    };
    return {
      *[Symbol.iterator]() { yield* all(); },
      containing(index = 0) {
        const at = Math.trunc(index) || 0;
        return all().find((part) => at >= part.index && at < part.index + part.segment.length);
      },
    };
  }
  resolvedOptions() { return { ...this.#options }; }
}
tagged(Segmenter, "Segmenter");

// ---- DisplayNames: of regions, languages and currencies.

class DisplayNames {
  #options;
  #data;
  constructor(locales, options) {
    const { locale, data } = resolve(locales);
    if (options === undefined) throw new TypeError("Cannot convert undefined or null to object");
    const read = reader(options, "DisplayNames");
    const style = read.text("style", ["narrow", "short", "long"], "long");
    const type = read.text("type", ["language", "region", "script", "currency", "calendar", "dateTimeField"]);
    if (type === undefined) throw new TypeError('Required option "type" must not be undefined');
    const fallback = read.text("fallback", ["code", "none"], "code");
    const languageDisplay = read.text("languageDisplay", ["dialect", "standard"], "dialect");
    this.#data = data;
    this.#options = { locale, style, type, fallback, ...(type === "language" ? { languageDisplay } : {}) };
  }
  of(code) {
    const { type, fallback } = this.#options, text = String(code);
    const forms = { region: /^([a-z]{2}|\d{3})$/i, currency: /^[a-z]{3}$/i, script: /^[a-z]{4}$/i };
    if (forms[type] && !forms[type].test(text)) throw new RangeError("Invalid argument to Intl.DisplayNames.prototype.of");
    const key = type === "language" ? canonicalList(text)[0] : type === "region" || type === "currency" ? text.toUpperCase() : text;
    let name;
    if (type === "currency") {
      const names = section(this.#data, "currencies")[key]?.[2] ?? section(this.#data.split("-")[0], "currencies")[key]?.[2];
      name = typeof names === "string" ? names : names?.one ?? names?.other;
      if (this.#data.startsWith("en") && name !== undefined) name = name.replace(/(^|[ -])[a-z]/g, (found) => found.toUpperCase());
    } else name = section(this.#data, "names")[type]?.[key];
    return name ?? (fallback === "code" ? key : undefined);
  }
  resolvedOptions() { return { ...this.#options }; }
}
tagged(DisplayNames, "DisplayNames");

for (const Class of [Segmenter, DisplayNames, CollatorClass, ListFormat, RelativeTimeFormat, Locale, PluralRules]) {
  if (Class === Locale) continue;
  Object.defineProperty(Class, "supportedLocalesOf", { value: supported, writable: true, configurable: true, enumerable: false });
}

// ---- The object itself.

const VALUES = {
  calendar: () => ["buddhist", "gregory"],
  collation: () => ["emoji", "eor", "phonebk", "pinyin", "stroke", "trad"],
  currency: () => Object.keys(section("en", "currencies")).sort(),
  numberingSystem: () => Object.keys(require("_intl_numbers").DIGITS).sort(),
  timeZone: () => native("intl.zones").sort(),
  unit: () => Object.keys(section("en", "units")).sort(),
};

const Intl = {
  getCanonicalLocales: (locales) => canonicalList(locales),
  supportedValuesOf(key) {
    if (!Object.hasOwn(VALUES, key)) throw new RangeError(`Invalid key : ${key}`);
    return VALUES[key]();
  },
  DateTimeFormat, NumberFormat, Collator, PluralRules, RelativeTimeFormat, ListFormat, Locale, DisplayNames, Segmenter,
};
for (const name of Object.keys(Intl)) Object.defineProperty(Intl, name, { enumerable: false });
Object.defineProperty(Intl, Symbol.toStringTag, { value: "Intl", configurable: true });
exports.Intl = Intl;

// ---- Methods of the language: `this` first.

// Where `i` has a dot as a capital, and a capital without one is another letter.
const isTurkic = (locales) => /^(tr|az)(-|$)/.test(canonicalList(locales)[0] ?? "");

const collators = new Map();
const formats = new Map();
// Those without options are made once.
function kept(made, locales, options, make) {
  if (options !== undefined || (locales !== undefined && typeof locales !== "string")) return make();
  if (!made.has(locales)) made.set(locales, make());
  return made.get(locales);
}

exports.methods = {
  toLocaleUpperCase: (text, locales) => (isTurkic(locales) ? text.replaceAll("i", "İ") : text).toUpperCase(),
  toLocaleLowerCase: (text, locales) =>
    (isTurkic(locales) ? text.replaceAll("İ", "i").replace(/I(?!\u0307)/g, "ı").replaceAll("I\u0307", "i") : text).toLowerCase(),
  localeCompare: (text, other, locales, options) =>
    kept(collators, locales, options, () => new Collator(locales, options)).compare(text, other),
  numberToLocaleString: (value, locales, options) =>
    kept(formats, locales, options, () => new NumberFormat(locales, options)).format(value),
  dateToLocaleString: (date, locales, options) => local(date, locales, options, "any", "all"),
  dateToLocaleDateString: (date, locales, options) => local(date, locales, options, "date", "date"),
  dateToLocaleTimeString: (date, locales, options) => local(date, locales, options, "time", "time"),
};
