// Locales: their tags, which of them there is data for, options of `Intl`.

const native = inner.node;
const DEFAULT = "en-US";
const AVAILABLE = new Set(native("intl.locales"));
// Regions that are what the language alone means.
const REGIONS = {
  en: "US", de: "DE", fr: "FR", es: "ES", it: "IT", pt: "BR", nl: "NL", sv: "SE", da: "DK", nb: "NO", fi: "FI", pl: "PL",
  cs: "CZ", sk: "SK", hu: "HU", ro: "RO", bg: "BG", hr: "HR", sr: "RS", sl: "SI", uk: "UA", ru: "RU", el: "GR", tr: "TR",
  he: "IL", ar: "EG", hi: "IN", bn: "BD", th: "TH", vi: "VN", id: "ID", ms: "MY", ja: "JP", zh: "CN", ko: "KR", ca: "ES",
  et: "EE", lv: "LV", lt: "LT",
};
const SCRIPTS = { ru: "Cyrl", uk: "Cyrl", bg: "Cyrl", sr: "Cyrl", el: "Grek", he: "Hebr", ar: "Arab", hi: "Deva", bn: "Beng", th: "Thai", ja: "Jpan", zh: "Hans", ko: "Kore" };
const ALIASES = { no: "nb", iw: "he", in: "id", sh: "sr" };

const wrongTag = () => new RangeError("Incorrect locale information provided");

// A tag in its parts; `keywords` are those of `-u-`.
function parse(tag) {
  const match = /^([a-z]{2,3}|[a-z]{5,8})(?:-([a-z]{4}))?(?:-([a-z]{2}|\d{3}))?((?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*)((?:-[a-wyz\d](?:-[a-z\d]{2,8})+)*)(-x(?:-[a-z\d]{1,8})+)?$/i.exec(tag);
  if (match === null) throw wrongTag();
  const language = match[1].toLowerCase();
  const keywords = {};
  const unicode = /-u((?:-[a-z\d]{2,8})+)/i.exec(match[5])?.[1].toLowerCase().split("-").slice(1) ?? [];
  let key;
  for (const part of unicode) {
    if (part.length === 2) keywords[key = part] = "";
    else if (key !== undefined) keywords[key] += (keywords[key] === "" ? "" : "-") + part;
  }
  return {
    language: ALIASES[language] ?? language,
    script: match[2] && match[2][0].toUpperCase() + match[2].slice(1).toLowerCase(),
    region: match[3]?.toUpperCase(),
    variants: match[4].toLowerCase(),
    keywords,
    others: match[5].toLowerCase().replace(/-u(?:-[a-z\d]{2,8})+/, "") + (match[6] ?? "").toLowerCase(),
  };
}

const keywordsText = (keywords) => {
  const names = Object.keys(keywords).sort();
  return names.length === 0 ? "" : `-u${names.map((name) => `-${name}${keywords[name] === "" || keywords[name] === "true" ? "" : `-${keywords[name]}`}`).join("")}`;
};
const baseName = (parts) => parts.language + (parts.script ? `-${parts.script}` : "") + (parts.region ? `-${parts.region}` : "") + parts.variants;
const canonical = (tag) => {
  const parts = parse(tag);
  return baseName(parts) + keywordsText(parts.keywords) + parts.others;
};

function canonicalList(locales) {
  if (locales === undefined) return [];
  if (typeof locales === "string") return [canonical(locales)];
  if (locales === null) throw new TypeError("Cannot convert undefined or null to object");
  if (locales instanceof exports.Locale) return [locales.toString()];
  const list = [];
  for (const tag of Array.from(Object(locales))) {
    if (typeof tag !== "string" && (typeof tag !== "object" || tag === null)) throw new TypeError(`Incorrect locale information provided`);
    const one = canonical(String(tag));
    if (!list.includes(one)) list.push(one);
  }
  return list;
}

// The data's name for a locale, and what the locale is called then.
function match(parts) {
  const { language, region } = parts;
  let { script } = parts;
  if (!AVAILABLE.has(language)) return undefined;
  if (language === "zh" && script === undefined && ["TW", "HK", "MO"].includes(region)) script = "Hant";
  if (language === "zh" && script === "Hant") {
    const data = region === "HK" || region === "MO" ? "zh-HK" : "zh-TW";
    return { data, locale: baseName({ ...parts, variants: "" }) };
  }
  const withRegion = region && `${language}-${region}`;
  if (AVAILABLE.has(withRegion)) return { data: withRegion, locale: withRegion };
  if (region === "419") return { data: "es-MX", locale: withRegion };
  return { data: language, locale: region && REGIONS[language] === region ? (script ? `${language}-${script}-${region}` : withRegion) : language };
}

// The best locale for a request: `{ locale, data, keywords }`.
function resolve(locales) {
  for (const tag of canonicalList(locales)) {
    const parts = parse(tag), found = match(parts);
    if (found) return { ...found, keywords: parts.keywords };
  }
  return { locale: DEFAULT, data: "en", keywords: {} };
}

const sections = new Map();
// A section of a locale's data, else of its language, else English.
function section(data, name) {
  const key = `${data} ${name}`;
  let found = sections.get(key);
  if (found === undefined) {
    const text = [data, data.split("-")[0], "en"].reduce((text, tag) => text ?? native("intl.data", tag, name), null);
    sections.set(key, found = JSON.parse(text));
  }
  return found;
}

const supported = (locales) => canonicalList(locales).filter((tag) => match(parse(tag)) !== undefined);

// A reader of options, with the words of V8 for what is wrong.
function reader(options, where) {
  const from = options === undefined ? Object.create(null) : Object(options);
  return {
    text(name, allowed, fallback) {
      const value = from[name];
      if (value === undefined) return fallback;
      const text = String(value);
      if (allowed !== undefined && !allowed.includes(text)) {
        throw new RangeError(`Value ${text} out of range for Intl.${where} options property ${name}`);
      }
      return text;
    },
    flag: (name, fallback) => (from[name] === undefined ? fallback : Boolean(from[name])),
    number(name, min, max, fallback) {
      if (from[name] === undefined) return fallback;
      const value = Number(from[name]);
      if (!(value >= min && value <= max)) throw new RangeError(`${name} value is out of range.`);
      return Math.floor(value);
    },
    raw: (name) => from[name],
  };
}

// Classes that the old way may call without `new`.
function callable(Class) {
  const Callable = { [Class.name]: function (...args) { return Reflect.construct(Class, args, new.target ?? Callable); } }[Class.name];
  Callable.prototype = Class.prototype;
  Object.defineProperty(Callable, "prototype", { writable: false, enumerable: false });
  Object.defineProperty(Class.prototype, "constructor", { value: Callable, writable: true, configurable: true, enumerable: false });
  Object.defineProperty(Callable, "length", { value: 0, configurable: true });
  Callable.supportedLocalesOf = supported;
  Object.defineProperty(Callable, "supportedLocalesOf", { enumerable: false });
  return Callable;
}

const tagged = (Class, name) => Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });

class Locale {
  #parts;
  constructor(tag, options = {}) {
    if (typeof tag !== "string" && (typeof tag !== "object" || tag === null)) {
      throw new TypeError("First argument to Intl.Locale constructor can't be empty or missing");
    }
    const parts = parse(String(tag));
    for (const name of ["language", "script", "region"]) if (options[name] !== undefined) parts[name] = String(options[name]);
    for (const [name, key] of [["calendar", "ca"], ["collation", "co"], ["hourCycle", "hc"], ["caseFirst", "kf"], ["numeric", "kn"], ["numberingSystem", "nu"]]) {
      if (options[name] !== undefined) parts.keywords[key] = String(options[name]);
    }
    this.#parts = parse(baseName(parts) + keywordsText(parts.keywords) + parts.others);
  }
  get baseName() { return baseName(this.#parts); }
  get language() { return this.#parts.language; }
  get script() { return this.#parts.script; }
  get region() { return this.#parts.region; }
  get calendar() { return this.#parts.keywords.ca; }
  get collation() { return this.#parts.keywords.co; }
  get hourCycle() { return this.#parts.keywords.hc; }
  get caseFirst() { return this.#parts.keywords.kf; }
  get numeric() { return this.#parts.keywords.kn === "" || this.#parts.keywords.kn === "true"; }
  get numberingSystem() { return this.#parts.keywords.nu; }
  maximize() {
    const { language, script, region } = this.#parts;
    const likely = language === "zh" && ["TW", "HK", "MO"].includes(region) ? "Hant" : SCRIPTS[language] ?? (REGIONS[language] && "Latn");
    return new Locale(this.toString(), {
      ...(script ?? likely ? { script: script ?? likely } : {}),
      ...(region ?? REGIONS[language] ? { region: region ?? (script === "Hant" ? "TW" : REGIONS[language]) } : {}),
    });
  }
  minimize() {
    const { language, script, region, keywords } = this.#parts;
    const whole = this.maximize().toString();
    for (const rest of ["", `-${region}`, `-${script}`]) {
      if (rest === "-undefined") continue;
      const short = new Locale(language + rest + keywordsText(keywords));
      if (short.maximize().toString() === whole) return short;
    }
    return this;
  }
  get weekInfo() { return { ...section(match(this.#parts)?.data ?? "en", "dates").week }; }
  get textInfo() { return { direction: ["Arab", "Hebr"].includes(this.maximize().script) ? "rtl" : "ltr" }; }
  getWeekInfo() { return this.weekInfo; }
  getTextInfo() { return this.textInfo; }
  toString() { return baseName(this.#parts) + keywordsText(this.#parts.keywords) + this.#parts.others; }
}
tagged(Locale, "Locale");

Object.assign(exports, { AVAILABLE, canonicalList, resolve, section, supported, reader, callable, tagged, Locale });
