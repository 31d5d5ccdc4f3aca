const n = (locale, options, ...values) => values.map((value) => new Intl.NumberFormat(locale, options).format(value));
const p = (locale, options, value) => new Intl.NumberFormat(locale, options).formatToParts(value).map((part) => `${part.type}:${part.value}`);
const LOCALES = ['en-US', 'en-GB', 'en-IN', 'de-DE', 'de-AT', 'de-CH', 'fr-FR', 'fr-CH', 'es-ES', 'es-MX', 'it-IT', 'pt-BR', 'pt-PT', 'nl-NL', 'sv-SE', 'da', 'nb', 'fi', 'pl', 'cs', 'sk', 'hu', 'ro', 'bg', 'hr', 'sl', 'uk', 'ru', 'el', 'tr', 'he', 'ar-EG', 'hi', 'th', 'vi', 'id', 'ja', 'zh-CN', 'ko', 'ca', 'et', 'lv', 'lt'];
for (const locale of LOCALES) t(() => [locale, ...n(locale, {}, 0, 1, -1.5, 999, 1234, 12345, 1234567.891, -0, 0.1 + 0.2, 1e21, NaN, Infinity, -Infinity, 12345678901234567890n)]);
for (const locale of LOCALES) t(() => [locale, ...n(locale, { style: 'currency', currency: 'USD' }, 1234.5, -1234.5, 0), ...n(locale, { style: 'currency', currency: 'EUR' }, 1234.5, -3), ...n(locale, { style: 'currency', currency: 'JPY' }, 1234.5), ...n(locale, { style: 'currency', currency: 'CHF' }, 9.99), ...n(locale, { style: 'currency', currency: 'USD', currencyDisplay: 'code' }, 1)]);
for (const locale of LOCALES) t(() => [locale, ...n(locale, { style: 'percent' }, 0.256, -0.5, 12), ...n(locale, { style: 'percent', minimumFractionDigits: 1 }, 0.256)]);
for (const locale of ['en-US', 'en-GB', 'de', 'fr', 'es', 'it', 'pt-BR', 'ja', 'zh', 'ru', 'pl', 'sv']) for (const compactDisplay of locale === 'fr' ? ['short'] : ['short', 'long']) t(() => [locale, ...n(locale, { notation: 'compact', compactDisplay }, 0, 0.123, 9.99, 999, 1000, 1499, 1500, 15500, 99999, 999999, 1234567, 5000000, 1e9, 2.5e12, 1e15, -1234)]);
t(() => n('en', { style: 'currency', currency: 'USD', notation: 'compact' }, 1234567, 999));
t(() => n('en', { maximumFractionDigits: 0 }, 0.5, 1.5, 2.5, -0.5, 0.4));
t(() => n('en', { maximumFractionDigits: 2 }, 1.005, 1.255, 2.675, 0.001, 1e-7, 123456.789));
t(() => n('en', { minimumFractionDigits: 2 }, 1, 1.2345, 1e15));
t(() => n('en', { minimumFractionDigits: 2, maximumFractionDigits: 4 }, 1, 1.23456, 1.2));
t(() => n('en', { maximumSignificantDigits: 3 }, 123456, 0.00123456, 999.5, 0, 1.5));
t(() => n('en', { minimumSignificantDigits: 4 }, 1, 12345.678, 0));
t(() => n('en', { minimumIntegerDigits: 3 }, 1, 1234, 0.5));
t(() => n('en', { useGrouping: false }, 1234567)); t(() => n('es', { useGrouping: true }, 1234)); t(() => n('pl', { useGrouping: 'always' }, 1234)); t(() => n('en', { useGrouping: 'min2' }, 1234, 12345));
for (const signDisplay of ['auto', 'never', 'always', 'exceptZero', 'negative']) t(() => n('en', { signDisplay }, 1, -1, 0, -0, NaN).concat(n('en', { signDisplay, style: 'percent' }, 0.1, -0.1), n('en', { signDisplay, style: 'currency', currency: 'USD' }, 1, -1)));
t(() => n('en', { style: 'currency', currency: 'USD', currencySign: 'accounting' }, -5, 5));
t(() => n('en', { style: 'currency', currency: 'USD', currencyDisplay: 'name' }, 1, 2, 1.5));
t(() => n('de', { style: 'currency', currency: 'EUR', currencyDisplay: 'name' }, 1, 2));
t(() => n('en-CA', { style: 'currency', currency: 'USD' }, 1).concat(n('en-CA', { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol' }, 1)));
t(() => n('en', { style: 'currency', currency: 'xyz' }, 1)); t(() => n('en', { style: 'currency', currency: 'KWD' }, 1.5)); t(() => n('en', { style: 'currency', currency: 'USD', minimumFractionDigits: 0 }, 1.5, 1));
t(() => n('en', { style: 'currency', currency: 'USD', maximumFractionDigits: 0 }, 1.5));
for (const unit of ['kilometer', 'celsius', 'megabyte', 'percent', 'day', 'hour', 'liter', 'mile']) for (const unitDisplay of ['long', 'short', 'narrow']) t(() => [...n('en', { style: 'unit', unit, unitDisplay }, 1, 2.5, -3), ...n('de', { style: 'unit', unit, unitDisplay }, 1, 2), ...n('ru', { style: 'unit', unit, unitDisplay }, 1, 2, 5)]);
t(() => n('en', { style: 'unit', unit: 'kilometer-per-hour' }, 50).concat(n('en', { style: 'unit', unit: 'mile-per-hour', unitDisplay: 'long' }, 50).length));
t(() => n('en', { notation: 'scientific' }, 123456, 0.00012, 0, 9999.9)); t(() => n('en', { notation: 'engineering' }, 123456, 0.00012, 999999));
for (const roundingMode of ['ceil', 'floor', 'expand', 'trunc', 'halfCeil', 'halfFloor', 'halfExpand', 'halfTrunc', 'halfEven']) t(() => n('en', { roundingMode, maximumFractionDigits: 0 }, 0.5, 1.5, 1.2, -0.5, -1.5, -1.2, 9.9));
t(() => n('en', { trailingZeroDisplay: 'stripIfInteger', minimumFractionDigits: 2 }, 1, 1.5));
t(() => n('en', { numberingSystem: 'arab' }, 123)); t(() => n('en-u-nu-deva', {}, 123)); t(() => n('en', {}, '123.45', '12345678901234567890', null, undefined, 'x', true, [5]));
t(() => p('en-US', { style: 'currency', currency: 'USD' }, -1234.5)); t(() => p('de', { style: 'percent' }, 0.5)); t(() => p('en', { notation: 'compact' }, 1500)); t(() => p('en', { style: 'unit', unit: 'day', unitDisplay: 'long' }, 3)); t(() => p('en', { notation: 'scientific' }, 0.001)); t(() => p('en', {}, Infinity)); t(() => p('fr', {}, 1234567.8));
t(() => new Intl.NumberFormat().resolvedOptions()); t(() => new Intl.NumberFormat('de', { style: 'currency', currency: 'eur' }).resolvedOptions()); t(() => new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).resolvedOptions());
t(() => new Intl.NumberFormat('en', { style: 'x' })); t(() => new Intl.NumberFormat('en', { style: 'currency' })); t(() => new Intl.NumberFormat('en', { style: 'currency', currency: 'x' })); t(() => new Intl.NumberFormat('en', { maximumFractionDigits: 200 })); t(() => new Intl.NumberFormat('en', { minimumFractionDigits: 5, maximumFractionDigits: 2 })); t(() => new Intl.NumberFormat('en', { style: 'unit' })); t(() => new Intl.NumberFormat('en', { style: 'unit', unit: 'x' }));
t(() => [(1234.5).toLocaleString(), (1234.5).toLocaleString('de-DE'), (0.5).toLocaleString('en', { style: 'percent' }), 12345678901234567890n.toLocaleString('en-US'), (1e6).toLocaleString('en-US', { style: 'currency', currency: 'USD' }), [1234, 5678].toLocaleString()]);
t(() => Intl.NumberFormat('en').format(1)); t(() => [1, 2].map(new Intl.NumberFormat('en', { style: 'percent' }).format)); t(() => n('en', {}, 1, 2).concat(new Intl.NumberFormat('en').formatRange(1, 3)));
for (const locale of ['en', 'de', 'fr', 'es', 'it', 'pt', 'pt-PT', 'nl', 'sv', 'da', 'nb', 'fi', 'pl', 'cs', 'sk', 'hu', 'ro', 'bg', 'hr', 'sr', 'sl', 'uk', 'ru', 'el', 'tr', 'he', 'ar', 'hi', 'bn', 'th', 'vi', 'id', 'ms', 'ja', 'zh', 'ko', 'ca', 'et', 'lv', 'lt']) {
  t(() => { const rules = new Intl.PluralRules(locale); return [locale, Array.from({ length: 125 }, (_, i) => rules.select(i)[0]).join(''), ...[0.1, 0.5, 1.1, 1.5, 2.1, 1e6, 2e6, 1.21, 10.11, 1000, 1001, -1].map((value) => rules.select(value))]; });
  t(() => { const rules = new Intl.PluralRules(locale, { type: 'ordinal' }); return [locale, Array.from({ length: 125 }, (_, i) => rules.select(i)[0]).join(''), rules.select(800), rules.resolvedOptions().pluralCategories.length]; });
}
t(() => new Intl.PluralRules('en', { minimumFractionDigits: 1 }).select(1)); t(() => Intl.PluralRules.name + typeof Intl.PluralRules.supportedLocalesOf);
t(() => n('en', { style: 'currency', currency: 'USD', notation: 'scientific' }, 1234.5, 0.5));
// Options put together at random, the same at each run.
let seed = 3;
const random = (count) => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return Math.floor(seed / 4294967296 * count); };
const pick = (list) => list[random(list.length)];
const maybe = (options, name, values) => { if (random(3) === 0) options[name] = pick(values); };
for (let count = 0; count < 600; count++) {
  const options = {}, locale = pick(['en-US', 'en-GB', 'en-IN', 'de', 'es', 'it', 'nl', 'sv', 'pt-BR', 'ja']);
  maybe(options, 'style', ['decimal', 'percent', 'currency', 'unit']);
  if (options.style === 'currency') { options.currency = pick(['USD', 'EUR', 'JPY', 'GBP', 'CHF', 'INR']); maybe(options, 'currencyDisplay', ['code', 'symbol', 'narrowSymbol']); }
  if (options.style === 'unit') { options.unit = pick(['kilometer', 'day', 'byte', 'celsius']); maybe(options, 'unitDisplay', ['long', 'short', 'narrow']); }
  maybe(options, 'notation', ['standard', 'compact', 'scientific', 'engineering']); maybe(options, 'signDisplay', ['auto', 'never', 'always', 'exceptZero']); maybe(options, 'useGrouping', [true, false]);
  if (random(3) === 0) { maybe(options, 'minimumFractionDigits', [0, 1, 2]); maybe(options, 'maximumFractionDigits', [2, 3, 4]); } else if (random(3) === 0) maybe(options, 'maximumSignificantDigits', [2, 3, 4, 5]);
  const value = pick([0, 1, -1, random(1000), random(1e6) / 100, -random(1e6) / 1000, random(4e9) * random(1000), 1 / (1 + random(1000)), 0.5, 1.5, 2.5, 1e-7, 999.995, 999999, -0, 123456789.987]);
  t(() => [locale, JSON.stringify(options), value, ...n(locale, options, value)]);
}
