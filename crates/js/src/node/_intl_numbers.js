// Intl.NumberFormat and Intl.PluralRules.

const { resolve, section, reader, callable, tagged, supported } = require("_intl_locales");

// Digits behind the point, where they are not two.
const CURRENCY_DIGITS = {
  BHD: 3, IQD: 0, JOD: 3, KWD: 3, LYD: 3, OMR: 3, TND: 3, BIF: 0, CLP: 0, DJF: 0, GNF: 0, ISK: 0, JPY: 0, KMF: 0, KRW: 0,
  MGA: 0, PYG: 0, RWF: 0, UGX: 0, VND: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0, CLF: 4, UYW: 4, IRR: 0, LAK: 0, LBP: 0, MMK: 0, SOS: 0, SYP: 0,
  YER: 0, AFN: 0, ALL: 0, IDR: 2, HUF: 2, TWD: 2,
};
// Of currencies the standard's digits count, not the locale's.
for (const code of ["IQD", "IRR", "LAK", "LBP", "MMK", "SOS", "SYP", "YER", "AFN", "ALL"]) delete CURRENCY_DIGITS[code];

const DIGITS = {
  latn: "0123456789", arab: "٠١٢٣٤٥٦٧٨٩", arabext: "۰۱۲۳۴۵۶۷۸۹", beng: "০১২৩৪৫৬৭৮৯", deva: "०१२३४५६७८९",
  thai: "๐๑๒๓๔๕๖๗๘๙", fullwide: "０１２３４５６７８９", hanidec: "〇一二三四五六七八九",
};

// ---- Decimals: sign, digits, and where the point stands; exact.

function decimalOf(value) {
  if (typeof value === "number" && !Number.isFinite(value)) return { special: value, negative: value < 0, digits: "", point: 0 };
  const negative = typeof value === "number" ? value < 0 || Object.is(value, -0) : value < 0n;
  const match = /^-?(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
  const digits = match[1] + (match[2] ?? "");
  const lead = /^0*/.exec(digits)[0].length;
  return { negative, digits: digits.slice(lead).replace(/0+$/, ""), point: digits.length === lead ? 0 : match[1].length + Number(match[3] ?? 0) - lead };
}

// Keeps `count` digits.
function rounded(decimal, count, mode) {
  const { digits, negative } = decimal;
  if (count >= digits.length) return decimal;
  const kept = count <= 0 ? "" : digits.slice(0, count);
  const rest = count < 0 ? `0${digits}` : digits.slice(count);
  const half = rest[0] > "5" || (rest[0] === "5" && /[1-9]/.test(rest.slice(1))) ? 1 : rest[0] === "5" ? 0 : -1;
  const odd = kept !== "" && Number(kept.at(-1)) % 2 === 1;
  const up = {
    ceil: !negative, floor: negative, expand: true, trunc: false,
    halfCeil: half > 0 || (half === 0 && !negative), halfFloor: half > 0 || (half === 0 && negative),
    halfExpand: half >= 0, halfTrunc: half > 0, halfEven: half > 0 || (half === 0 && odd),
  }[mode];
  if (!up) return { ...decimal, digits: kept.replace(/0+$/, ""), point: kept === "" ? 0 : decimal.point };
  if (count < 0) return { ...decimal, digits: "1", point: decimal.point - count + 1 };
  const sum = (BigInt(kept || "0") + 1n).toString();
  const point = decimal.point + (sum.length > Math.max(kept.length, 0) ? 1 : 0);
  return { ...decimal, digits: sum.replace(/0+$/, ""), point: kept === "" ? decimal.point + 1 : point };
}

const integerOf = ({ digits, point }) => (point <= 0 ? "0" : digits.slice(0, point).padEnd(point, "0"));
const fractionOf = ({ digits, point }) => (point <= 0 ? (digits === "" ? "" : "0".repeat(-point) + digits) : digits.slice(point));

// Rounds as the options say: integer and fraction as texts.
function settle(decimal, rules) {
  const { minFraction, maxFraction, minDigits, maxDigits, mode } = rules;
  const byFraction = () => {
    const made = rounded(decimal, decimal.point + maxFraction, mode);
    return [integerOf(made), fractionOf(made).padEnd(minFraction, "0"), made];
  };
  const byDigits = () => {
    const made = rounded(decimal, maxDigits, mode);
    const integer = integerOf(made);
    const zeros = made.digits === "" ? minDigits - 1 : minDigits - made.point;
    return [integer, fractionOf(made).padEnd(Math.max(zeros, 0), "0"), made];
  };
  let parts;
  if (rules.compact) {
    // Two digits that count, more only before the point.
    parts = decimal.point >= 2 ? byFraction() : byDigits();
  } else parts = maxDigits === undefined ? byFraction() : byDigits();
  let [integer, fraction] = parts;
  if (rules.strip && /^0*$/.test(fraction)) fraction = "";
  return { integer: integer.padStart(rules.minInteger, "0"), fraction, decimal: parts[2] };
}

// ---- Plurals: n absolute value, i integer, v and f digits behind the point
// (as they are shown), t those without zeros at the end.

const between = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
const million = (i, v) => i !== 0 && i % 1e6 === 0 && v === 0;
const slavic = (n, i, v) =>
  v !== 0 ? "other" : i % 10 === 1 && i % 100 !== 11 ? "one" : between(i % 10, 2, 4) && !between(i % 100, 12, 14) ? "few" : "many";
const serbian = (n, i, v, f) =>
  (v === 0 && i % 10 === 1 && i % 100 !== 11) || (f % 10 === 1 && f % 100 !== 11) ? "one"
    : (v === 0 && between(i % 10, 2, 4) && !between(i % 100, 12, 14)) || (between(f % 10, 2, 4) && !between(f % 100, 12, 14)) ? "few" : "other";
const czech = (n, i, v) => (v !== 0 ? "many" : i === 1 ? "one" : between(i, 2, 4) ? "few" : "other");
const oneWhole = (n, i, v) => (i === 1 && v === 0 ? "one" : "other");
const oneExactly = (n) => (n === 1 ? "one" : "other");
const romance = (isOne) => (n, i, v) => (isOne(n, i, v) ? "one" : million(i, v) ? "many" : "other");
const CARDINAL = {
  en: oneWhole, de: oneWhole, nl: oneWhole, sv: oneWhole, fi: oneWhole, et: oneWhole,
  it: romance((n, i, v) => i === 1 && v === 0), ca: romance((n, i, v) => i === 1 && v === 0), "pt-PT": romance((n, i, v) => i === 1 && v === 0),
  es: romance((n) => n === 1), pt: romance((n, i) => i === 0 || i === 1), fr: romance((n, i) => i === 0 || i === 1),
  da: (n, i, v, f, t) => (n === 1 || (t !== 0 && (i === 0 || i === 1)) ? "one" : "other"),
  nb: oneExactly, bg: oneExactly, el: oneExactly, hu: oneExactly, tr: oneExactly,
  hi: (n, i) => (i === 0 || n === 1 ? "one" : "other"), bn: (n, i) => (i === 0 || n === 1 ? "one" : "other"),
  he: (n, i, v) => ((i === 1 && v === 0) || (i === 0 && v !== 0) ? "one" : i === 2 && v === 0 ? "two" : "other"),
  ru: slavic, uk: slavic, hr: serbian, sr: serbian, cs: czech, sk: czech,
  pl: (n, i, v) => (v !== 0 ? "other" : i === 1 ? "one" : between(i % 10, 2, 4) && !between(i % 100, 12, 14) ? "few" : "many"),
  ro: (n, i, v) => (i === 1 && v === 0 ? "one" : v !== 0 || n === 0 || (n !== 1 && between(n % 100, 1, 19)) ? "few" : "other"),
  sl: (n, i, v) => (v !== 0 ? "few" : i % 100 === 1 ? "one" : i % 100 === 2 ? "two" : between(i % 100, 3, 4) ? "few" : "other"),
  lv: (n, i, v, f) =>
    n % 10 === 0 || between(n % 100, 11, 19) || (v === 2 && between(f % 100, 11, 19)) ? "zero"
      : (n % 10 === 1 && n % 100 !== 11) || (v === 2 && f % 10 === 1 && f % 100 !== 11) || (v !== 2 && f % 10 === 1) ? "one" : "other",
  lt: (n, i, v, f) =>
    n % 10 === 1 && !between(n % 100, 11, 19) ? "one" : between(n % 10, 2, 9) && !between(n % 100, 11, 19) ? "few" : f !== 0 ? "many" : "other",
  ar: (n) =>
    n === 0 ? "zero" : n === 1 ? "one" : n === 2 ? "two" : between(n % 100, 3, 10) ? "few" : between(n % 100, 11, 99) ? "many" : "other",
};
const indian = (ones) => (n) => (ones.includes(n) ? "one" : n === 2 || n === 3 ? "two" : n === 4 ? "few" : n === 6 ? "many" : "other");
const ORDINAL = {
  en: (n) => (n % 10 === 1 && n % 100 !== 11 ? "one" : n % 10 === 2 && n % 100 !== 12 ? "two" : n % 10 === 3 && n % 100 !== 13 ? "few" : "other"),
  fr: oneExactly, ms: oneExactly, vi: oneExactly, ro: oneExactly,
  sv: (n) => ((n % 10 === 1 || n % 10 === 2) && n % 100 !== 11 && n % 100 !== 12 ? "one" : "other"),
  hu: (n) => (n === 1 || n === 5 ? "one" : "other"),
  it: (n) => ([8, 11, 80, 800].includes(n) ? "many" : "other"),
  ca: (n) => (n === 1 || n === 3 ? "one" : n === 2 ? "two" : n === 4 ? "few" : "other"),
  uk: (n) => (n % 10 === 3 && n % 100 !== 13 ? "few" : "other"),
  bn: indian([1, 5, 7, 8, 9, 10]), hi: indian([1]),
};
const CATEGORIES = ["few", "many", "one", "two", "zero", "other"];

function plural(data, ordinal, integer, fraction) {
  const rules = ordinal ? ORDINAL : CARDINAL;
  const rule = rules[data] ?? rules[data.split("-")[0]];
  if (rule === undefined) return "other";
  return rule(Number(`${integer}.${fraction || 0}`), Number(integer), fraction.length, Number(fraction || 0), Number(fraction.replace(/0+$/, "") || 0));
}

function categories(data, ordinal) {
  const seen = new Set(["other"]);
  for (let n = 0; n <= 1000; n++) seen.add(plural(data, ordinal, String(n), ""));
  if (!ordinal) for (const [i, f] of [["1000000", ""], ["1", "5"], ["0", "1"]]) seen.add(plural(data, false, i, f));
  return CATEGORIES.filter((one) => seen.has(one));
}

// What digits are shown: shared by numbers and plurals.
function digitRules(read, minFraction, maxFraction, isCompact) {
  const minInteger = read.number("minimumIntegerDigits", 1, 21, 1);
  const low = read.raw("minimumFractionDigits"), high = read.raw("maximumFractionDigits");
  const minDigitsAsked = read.raw("minimumSignificantDigits"), maxDigitsAsked = read.raw("maximumSignificantDigits");
  const rules = { minInteger };
  if (minDigitsAsked !== undefined || maxDigitsAsked !== undefined) {
    rules.minDigits = read.number("minimumSignificantDigits", 1, 21, 1);
    rules.maxDigits = read.number("maximumSignificantDigits", rules.minDigits, 21, 21);
  } else if (low !== undefined || high !== undefined || !isCompact) {
    const least = read.number("minimumFractionDigits", 0, 20);
    const most = read.number("maximumFractionDigits", 0, 20);
    rules.minFraction = least ?? Math.min(minFraction, most ?? minFraction);
    rules.maxFraction = most ?? Math.max(maxFraction, rules.minFraction);
    if (rules.minFraction > rules.maxFraction) throw new RangeError("maximumFractionDigits value is out of range.");
  } else Object.assign(rules, { compact: true, minFraction: 0, maxFraction: 0, minDigits: 1, maxDigits: 2 });
  rules.mode = read.text("roundingMode", ["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"], "halfExpand");
  rules.strip = read.text("trailingZeroDisplay", ["auto", "stripIfInteger"], "auto") === "stripIfInteger";
  return rules;
}

function shownRules(rules) {
  const shown = { minimumIntegerDigits: rules.minInteger };
  if (rules.minFraction !== undefined && !rules.compact) Object.assign(shown, { minimumFractionDigits: rules.minFraction, maximumFractionDigits: rules.maxFraction });
  if (rules.compact) Object.assign(shown, { minimumFractionDigits: 0, maximumFractionDigits: 0 });
  if (rules.maxDigits !== undefined) Object.assign(shown, { minimumSignificantDigits: rules.minDigits, maximumSignificantDigits: rules.maxDigits });
  return shown;
}

const numeric = (value) => (typeof value === "bigint" ? value : typeof value === "string" && /^\s*-?\d{16,}\s*$/.test(value) ? BigInt(value) : Number(value));

// ---- NumberFormat.

const UNITS = new Set(`acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare hour inch
 kilobit kilobyte kilogram kilometer liter megabit megabyte meter microsecond mile mile-scandinavian milliliter millimeter millisecond minute month
 nanosecond ounce percent petabyte pound second stone terabit terabyte week yard year`.split(/\s+/));
const isUnit = (unit) => {
  const [one, other, ...more] = unit.split("-per-");
  return UNITS.has(one) && (other === undefined || UNITS.has(other)) && more.length === 0;
};

class NumberFormatClass {
  #options;
  #data;
  #numbers;
  #digits;
  #rules;
  #isPlain;

  constructor(locales = undefined, options = undefined) {
    const { locale, data, keywords } = resolve(locales);
    const read = reader(options, "NumberFormat");
    this.#data = data;
    this.#numbers = section(data, "numbers");
    const asked = read.text("numberingSystem");
    const system = [asked, keywords.nu].find((name) => name !== undefined && name in DIGITS) ?? this.#numbers.system;
    this.#digits = [...(DIGITS[system] ?? this.#numbers.digits)];
    const style = read.text("style", ["decimal", "percent", "currency", "unit"], "decimal");
    const currency = read.text("currency");
    if (currency !== undefined && !/^[a-z]{3}$/i.test(currency)) throw new RangeError(`Invalid currency code : ${currency}`);
    if (style === "currency" && currency === undefined) throw new TypeError("Currency code is required with currency style.");
    const currencyDisplay = read.text("currencyDisplay", ["code", "symbol", "narrowSymbol", "name"], "symbol");
    const currencySign = read.text("currencySign", ["standard", "accounting"], "standard");
    const unit = read.text("unit");
    if (unit !== undefined && !isUnit(unit)) throw new RangeError(`Invalid unit argument for Intl.NumberFormat() '${unit}'`);
    if (style === "unit" && unit === undefined) throw new TypeError("Invalid unit argument for Intl.NumberFormat() ''");
    const unitDisplay = read.text("unitDisplay", ["short", "narrow", "long"], "short");
    const notation = read.text("notation", ["standard", "scientific", "engineering", "compact"], "standard");
    const code = currency?.toUpperCase();
    const places = style === "currency" && notation !== "compact" ? CURRENCY_DIGITS[code] ?? 2 : 0;
    this.#rules = digitRules(read, places, style === "currency" ? places : style === "percent" ? 0 : 3, notation === "compact");
    const compactDisplay = read.text("compactDisplay", ["short", "long"], "short");
    let useGrouping = read.raw("useGrouping");
    if (useGrouping === undefined || useGrouping === "true" || useGrouping === "false") useGrouping = notation === "compact" ? "min2" : "auto";
    else if (useGrouping === true) useGrouping = "always";
    else if (!useGrouping) useGrouping = false;
    else if (!["min2", "auto", "always"].includes(useGrouping)) {
      throw new RangeError(`Value ${useGrouping} out of range for Intl.NumberFormat options property useGrouping`);
    }
    const { minInteger, minDigits, strip } = this.#rules, { sizes, mark } = this.#numbers;
    this.#isPlain = style === "decimal" && notation === "standard" && minDigits === undefined && minInteger === 1 && !strip
      && (useGrouping === "auto" || useGrouping === false) && sizes[0] === 3 && sizes[1] === 3 && mark === "" && system === "latn"
      && (read.raw("signDisplay") ?? "auto") === "auto";
    const signDisplay = read.text("signDisplay", ["auto", "never", "always", "exceptZero", "negative"], "auto");
    this.#options = {
      locale: system === keywords.nu && asked === undefined ? `${locale}-u-nu-${system}` : locale,
      numberingSystem: system, style,
      ...(style === "currency" ? { currency: code, currencyDisplay, currencySign } : {}),
      ...(style === "unit" ? { unit, unitDisplay } : {}),
      ...shownRules(this.#rules),
      useGrouping, notation,
      ...(notation === "compact" ? { compactDisplay } : {}),
      signDisplay, roundingMode: this.#rules.mode, roundingIncrement: 1,
      trailingZeroDisplay: this.#rules.strip ? "stripIfInteger" : "auto",
      roundingPriority: this.#rules.compact ? "morePrecision" : "auto",
    };
  }

  static supportedLocalesOf(locales) { return supported(locales); }

  get format() {
    const format = (value) => this.#quickly(value) ?? this.#parts(numeric(value)).map((part) => part.value).join("");
    Object.defineProperty(format, "name", { value: "" });
    Object.defineProperty(this, "format", { value: format, writable: true, configurable: true });
    return format;
  }
  formatToParts(value = undefined) { return this.#parts(numeric(value)); }
  formatRange(start, end) {
    const one = this.format(start), other = this.format(end);
    return one === other ? `~${one}` : `${one}–${other}`;
  }
  resolvedOptions() { return { ...this.#options }; }

  // Plain numbers that need no rounding, which are most; undefined for others.
  #quickly(value) {
    if (!this.#isPlain || typeof value !== "number" || !Number.isFinite(value) || Object.is(value, -0)) return undefined;
    const { minFraction, maxFraction } = this.#rules;
    let text = String(value < 0 ? -value : value), fraction = "";
    if (text.includes("e")) return undefined;
    const point = text.indexOf(".");
    if (point >= 0) {
      fraction = text.slice(point + 1);
      text = text.slice(0, point);
      if (fraction.length > maxFraction) return undefined;
    }
    const { group, decimal, minus, least } = this.#numbers;
    if (this.#options.useGrouping !== false && text.length >= 3 + least) {
      let grouped = text.slice(-3), end = text.length - 3;
      for (; end > 3; end -= 3) grouped = text.slice(end - 3, end) + group + grouped;
      text = text.slice(0, end) + group + grouped;
    }
    if (fraction.length < minFraction) fraction = fraction.padEnd(minFraction, "0");
    if (fraction !== "") text += decimal + fraction;
    return value < 0 ? minus + text : text;
  }

  #shown(text) { return this.#options.numberingSystem === "latn" ? text : text.replace(/\d/g, (digit) => this.#digits[digit]); }

  #parts(value) {
    const options = this.#options, numbers = this.#numbers;
    let decimal = decimalOf(value);
    if (options.style === "percent" && decimal.digits !== "") decimal = { ...decimal, point: decimal.point + 2 };
    let body, isZero = false, word = "other", compact;
    if (decimal.special !== undefined) {
      body = Number.isNaN(decimal.special) ? [{ type: "nan", value: numbers.nan }] : [{ type: "infinity", value: "∞" }];
      if (Number.isNaN(decimal.special)) isZero = true;
    } else {
      let exponent = 0;
      if (options.notation === "scientific" || options.notation === "engineering") [decimal, exponent] = this.#scaled(decimal);
      else if (options.notation === "compact") [decimal, compact] = this.#compacted(decimal);
      const { integer, fraction, decimal: final } = settle(decimal, this.#rules);
      isZero = final.digits === "";
      word = plural(this.#data, false, integer, fraction);
      body = this.#grouped(integer);
      if (fraction !== "") body.push({ type: "decimal", value: options.style === "currency" ? numbers.money[1] : numbers.decimal }, { type: "fraction", value: this.#shown(fraction) });
      if (options.notation === "scientific" || options.notation === "engineering") {
        body.push({ type: "exponentSeparator", value: numbers.exponent });
        if (exponent < 0) body.push({ type: "exponentMinusSign", value: numbers.minus });
        body.push({ type: "exponentInteger", value: this.#shown(String(Math.abs(exponent))) });
      }
      if (compact) {
        // The sign stands before the whole.
        let pattern = compact[word] ?? compact.other ?? Object.values(compact)[0];
        // A word for exactly one thousand.
        if (!pattern.includes("0") && (integer !== "1" || fraction !== "")) pattern = compact.other ?? "0";
        body = fill(pattern, "0", body, "compact");
      }
    }
    const negative = decimal.negative;
    const sign = {
      auto: negative ? "-" : "", never: "", always: negative ? "-" : "+",
      exceptZero: isZero ? "" : negative ? "-" : "+", negative: negative && !isZero ? "-" : "",
    }[options.signDisplay];
    return this.#dressed(body, Number.isNaN(decimal.special) && options.signDisplay !== "always" ? "" : sign, word);
  }

  #scaled(decimal) {
    if (decimal.digits === "") return [decimal, 0];
    const exponentOf = (point) => (this.#options.notation === "engineering" ? Math.floor((point - 1) / 3) * 3 : point - 1);
    let exponent = exponentOf(decimal.point);
    const after = settle({ ...decimal, point: decimal.point - exponent }, this.#rules);
    // Rounding may have made one more digit.
    if (exponentOf(after.decimal.point + exponent) !== exponent) exponent = exponentOf(after.decimal.point + exponent);
    return [{ ...decimal, point: decimal.point - exponent }, exponent];
  }

  #compacted(decimal) {
    const rows = this.#numbers[this.#options.compactDisplay];
    const at = (point) => {
      const row = rows[Math.min(point - 4, rows.length - 1)];
      if (point < 4 || row === undefined) return [0, undefined];
      const magnitude = Math.min(point - 1, 14);
      const hasPattern = Object.values(row[1]).some((pattern) => pattern !== "0");
      return hasPattern ? [magnitude - row[0] + 1, row[1]] : [0, undefined];
    };
    let [shift, pattern] = at(decimal.point);
    const after = settle({ ...decimal, point: decimal.point - shift }, this.#rules).decimal;
    if (after.point + shift > decimal.point) [shift, pattern] = at(after.point + shift);
    return [{ ...decimal, point: decimal.digits === "" ? 0 : decimal.point - shift }, pattern];
  }

  #grouped(integer) {
    const { useGrouping, style } = this.#options, { sizes, money, least } = this.#numbers;
    const group = style === "currency" ? money[0] : this.#numbers.group;
    const [last, others] = sizes;
    const needed = useGrouping === "min2" ? 2 : useGrouping === "always" ? 1 : least;
    if (useGrouping === false || integer.length < last + needed) return [{ type: "integer", value: this.#shown(integer) }];
    const groups = [integer.slice(-last)];
    for (let end = integer.length - last; end > 0; end -= others) groups.unshift(integer.slice(Math.max(end - others, 0), end));
    return groups.flatMap((digits, index) =>
      index === 0 ? [{ type: "integer", value: this.#shown(digits) }] : [{ type: "group", value: group }, { type: "integer", value: this.#shown(digits) }]);
  }

  // Puts sign, currency, unit or percent sign around the digits.
  #dressed(body, sign, word) {
    const options = this.#options, numbers = this.#numbers;
    const signs = { "-": { type: "minusSign", value: numbers.minus }, "+": { type: "plusSign", value: numbers.plus } };
    const signed = (parts) => (sign === "" ? parts : [...(numbers.mark ? [{ type: "literal", value: numbers.mark }] : []), signs[sign], ...parts]);
    if (options.style === "decimal") return signed(body);
    if (options.style === "percent") return pieces(numbers.percent[sign === "" ? 0 : 1], { "0": body, "-": [signs[sign]] }, "percentSign");
    if (options.style === "unit") {
      const parts = this.#unit(signed(body), word);
      return parts;
    }
    const known = section(this.#data, "currencies")[options.currency];
    if (options.currencyDisplay === "name") {
      const names = known?.[2] ?? section(this.#data.split("-")[0], "currencies")[options.currency]?.[2];
      const name = names === undefined ? options.currency : typeof names === "string" ? names : names[word] ?? names.other;
      return [...signed(body), { type: "literal", value: " " }, { type: "currency", value: name }];
    }
    const symbol = options.currencyDisplay === "code" ? options.currency
      : (options.currencyDisplay === "narrowSymbol" ? known?.[1] : known?.[0]) ?? options.currency;
    const patterns = numbers[options.currencySign === "accounting" ? "accounting" : "currency"];
    const [plain, spaced] = patterns;
    const before = plain[0].indexOf("¤") < plain[0].indexOf("0");
    const edge = before ? symbol.at(-1) : symbol[0];
    const pattern = (/\p{L}/u.test(edge) ? spaced : plain)[sign === "" ? 0 : 1];
    return pieces(sign === "+" ? pattern.replace(/[()]/g, (found) => (found === "(" ? "-" : "")) : pattern,
      { "0": body, "-": [signs[sign]], "¤": [{ type: "currency", value: symbol }] }, "literal");
  }

  #unit(body, word) {
    const { unit, unitDisplay } = this.#options;
    const width = ["long", "short", "narrow"].indexOf(unitDisplay);
    const named = (name) => (section(this.#data, "units")[name] ?? section("en", "units")[name] ?? [{ other: `0 ${name}` }, { other: `0 ${name}` }, { other: `0${name}` }])[width];
    const pick = (forms, form) => forms[form] ?? forms.other ?? Object.values(forms)[0];
    const isWhole = section("en", "units")[unit] !== undefined;
    const [one, other] = isWhole ? [unit] : unit.split("-per-");
    let pattern = pick(named(one), word);
    if (other !== undefined) {
      const per = pick(named(other), "one").replace(/^0\s*/, "");
      pattern = unitDisplay === "long" ? `${pattern} per ${per}` : `${pattern}/${per}`;
    }
    return fill(pattern, "0", body, "unit");
  }
}

// A pattern whose mark is replaced by parts; the rest has one type.
function fill(pattern, mark, body, type) {
  const at = pattern.indexOf(mark);
  const outside = (text) => {
    const match = /^(\s*)(.*?)(\s*)$/su.exec(text);
    const parts = [];
    if (match[1]) parts.push({ type: "literal", value: match[1] });
    if (match[2]) parts.push({ type, value: match[2] });
    if (match[3]) parts.push({ type: "literal", value: match[3] });
    return parts;
  };
  return at < 0 ? outside(pattern) : [...outside(pattern.slice(0, at)), ...body, ...outside(pattern.slice(at + 1))];
}

function pieces(pattern, marks, type) {
  const parts = [];
  for (const character of pattern) {
    if (marks[character] !== undefined) parts.push(...marks[character].filter(Boolean));
    else {
      const kind = type === "percentSign" && /[%٪]/.test(character) ? type : "literal";
      if (parts.at(-1)?.type === kind) parts.at(-1).value += character;
      else parts.push({ type: kind, value: character });
    }
  }
  return parts;
}
Object.defineProperty(NumberFormatClass, "name", { value: "NumberFormat" });
tagged(NumberFormatClass, "NumberFormat");

// ---- PluralRules.

class PluralRules {
  #data;
  #rules;
  #options;

  constructor(locales = undefined, options = undefined) {
    const { locale, data } = resolve(locales);
    const read = reader(options, "PluralRules");
    this.#data = data;
    const type = read.text("type", ["cardinal", "ordinal"], "cardinal");
    this.#rules = digitRules(read, 0, 3, false);
    this.#options = { locale, type, ...shownRules(this.#rules) };
  }
  static supportedLocalesOf(locales) { return supported(locales); }
  select(value) {
    const decimal = decimalOf(Number(value));
    if (decimal.special !== undefined) return "other";
    const { integer, fraction } = settle(decimal, this.#rules);
    return plural(this.#data, this.#options.type === "ordinal", integer, fraction);
  }
  selectRange(start, end) {
    return this.select(end);
  }
  resolvedOptions() {
    return { ...this.#options, pluralCategories: categories(this.#data, this.#options.type === "ordinal") };
  }
}
tagged(PluralRules, "PluralRules");

Object.assign(exports, { NumberFormat: callable(NumberFormatClass), PluralRules, plural, DIGITS });
