// Some locales differ in single forms (cases of Finnish weekdays, hours of Bulgarian, ...) and
// are not listed. Spaces in times are plain here, as they were until ICU 72.
const plain = (value) => (typeof value === 'string' ? value.replace(/\u202f/g, ' ') : Array.isArray(value) ? value.map((part) => `${part.type[0]}${part.type[1]}:${plain(part.value)}`) : value);
const d = Date.UTC(2024, 1, 3, 17, 4, 5, 678), night = Date.UTC(2024, 6, 10, 0, 30, 0);
const f = (locale, options, date = d) => plain(new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options }).format(date));
const p = (locale, options, date = d) => plain(new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options }).formatToParts(date));
const N = 'numeric', T = '2-digit', S = 'short', L = 'long';
const BAGS = [{}, { year: N, month: T, day: T }, { year: N, month: S, day: N }, { year: N, month: L, day: N, weekday: L }, { month: S, day: N }, { month: L, year: N }, { month: L }, { weekday: S }, { weekday: L, month: S, day: N, year: N }, { hour: N }, { hour: N, minute: T }, { hour: T, minute: T, second: T, hour12: false }, { hour: N, minute: N, hour12: true }, { year: N, month: N, day: N, hour: N, minute: N }, { year: N, month: L, day: N, hour: N, minute: N, second: N }, { year: N, month: S, day: N, hour: T, minute: T }, { dateStyle: 'full' }, { dateStyle: 'long' }, { dateStyle: 'medium' }, { dateStyle: 'short' }, { timeStyle: 'short' }, { timeStyle: 'medium' }, { timeStyle: 'long' }, { dateStyle: 'full', timeStyle: 'short' }, { dateStyle: 'short', timeStyle: 'medium' }, { year: T, month: T, day: T }, { minute: T, second: T }, { day: N }, { year: N }];
for (const locale of ['en-US', 'en-GB', 'en-CA', 'en-AU', 'en-IN', 'de-DE', 'de-AT', 'de-CH', 'fr-FR', 'fr-CA', 'es-ES', 'es-MX', 'it-IT', 'pt-BR', 'pt-PT', 'nl-NL', 'sv-SE', 'da-DK', 'nb-NO', 'pl-PL', 'cs-CZ', 'sk', 'hu-HU', 'ro', 'hr', 'sl', 'uk', 'ru-RU', 'tr-TR', 'he', 'hi', 'id', 'ms', 'ja-JP', 'zh-CN', 'ca', 'et', 'lt']) t(() => [locale, ...BAGS.map((bag) => f(locale, bag))]);
for (const bag of [{ hour: N, hourCycle: 'h23' }, { hour: N, hourCycle: 'h24' }, { hour: N, hourCycle: 'h11' }, { hour: N, hour12: false }, { hour: T, minute: T, hour12: false }]) t(() => [f('en-US', bag, night), f('de', bag, night), new Intl.DateTimeFormat('en-US', bag).resolvedOptions().hourCycle]);
t(() => p('en-US', { year: N, month: T, day: T, hour: T, minute: T, second: T, hour12: false, era: S }));
t(() => p('en-US', { year: N, month: N, day: N, hour: N, minute: N, second: N, fractionalSecondDigits: 3, timeZoneName: S }));
t(() => p('de', { weekday: L, year: N, month: L, day: N }));
t(() => p('ja', { dateStyle: 'full' }));
t(() => [f('en', { era: S }), f('en', { era: L, year: N }), f('en', { era: S, year: N }, Date.UTC(-43, 2, 15)), f('en', { year: N }, Date.UTC(-43, 2, 15))]);
t(() => [f('en', { fractionalSecondDigits: 2 }), f('en', { second: N, fractionalSecondDigits: 1 }), f('en', { minute: T, second: T, fractionalSecondDigits: 3 }), f('de', { second: N, fractionalSecondDigits: 1 })]);
for (const timeZone of ['America/New_York', 'Europe/London', 'Europe/Berlin', 'Asia/Kolkata', 'Asia/Tokyo', 'UTC', 'Australia/Sydney', 'America/Los_Angeles', 'America/Denver', 'Pacific/Honolulu', 'Africa/Lagos', 'Asia/Kathmandu', 'Etc/GMT+5', 'US/Pacific', 'Europe/Istanbul']) {
  t(() => [timeZone, ...[S, L, 'shortOffset', 'longOffset'].flatMap((timeZoneName) => [d, night].map((date) => f('en-US', { timeZone, timeZoneName, hour: N }, date)))]);
  t(() => [timeZone, ...[d, night].map((date) => f('en-US', { timeZone, year: N, month: T, day: T, hour: T, minute: T, second: T, hour12: false }, date))]);
  t(() => [timeZone, ...['en-GB', 'de', 'fr'].map((locale) => f(locale, { timeZone, timeZoneName: 'longOffset', hour: T, minute: T }))]);
}
t(() => ['America/Los_Angeles', 'America/Chicago'].flatMap((timeZone) => ['shortGeneric', 'longGeneric'].map((timeZoneName) => f('en-US', { timeZone, timeZoneName, hour: N }))));
t(() => [f('en-US', { timeZoneName: S }), f('en-US', { dateStyle: 'full', timeStyle: 'full', timeZone: 'America/New_York' }), f('en-US', { timeStyle: 'full' }), f('de', { dateStyle: 'short', timeStyle: 'long' }), f('en', { timeStyle: 'short', hour12: false }), f('de', { timeStyle: 'short', hour12: true })]);
// Instants around changes of the clock, and years before zones had rules.
for (const date of [Date.UTC(2024, 2, 10, 6, 59, 59), Date.UTC(2024, 2, 10, 7), Date.UTC(2024, 10, 3, 5, 59, 59), Date.UTC(2024, 10, 3, 6), Date.UTC(1950, 5, 1), Date.UTC(1880, 0, 1), Date.UTC(2100, 6, 1), -1, 0]) t(() => f('en-US', { timeZone: 'America/New_York', year: N, month: N, day: N, hour: N, minute: N, second: N, timeZoneName: S }, date));
t(() => new Intl.DateTimeFormat().resolvedOptions());
t(() => new Intl.DateTimeFormat('en-US', { dateStyle: 'short', timeStyle: 'short' }).resolvedOptions());
t(() => new Intl.DateTimeFormat('en-GB', { day: N, month: N, year: N, timeZone: 'europe/paris' }).resolvedOptions());
t(() => new Intl.DateTimeFormat('de-DE', { hour: N }).resolvedOptions());
t(() => new Intl.DateTimeFormat('en', { timeZone: 'Mars/Base' }));
t(() => new Intl.DateTimeFormat('en').format(NaN));
t(() => new Intl.DateTimeFormat('en', { dateStyle: 'full', year: N }));
t(() => new Intl.DateTimeFormat('en', { month: 'x' }));
t(() => new Intl.DateTimeFormat('en', { fractionalSecondDigits: 9 }));
t(() => new Intl.DateTimeFormat(null)); t(() => new Intl.DateTimeFormat('x_y')); t(() => new Intl.DateTimeFormat(['xx', 'de']).resolvedOptions().locale);
t(() => Intl.DateTimeFormat('de') instanceof Intl.DateTimeFormat);
t(() => Object.prototype.toString.call(new Intl.DateTimeFormat()));
t(() => Intl.DateTimeFormat.supportedLocalesOf(['de', 'en-US', 'xx']));
t(() => { const { format } = new Intl.DateTimeFormat('en', { timeZone: 'UTC' }); return [0, d].map(format); });
t(() => new Date(d).toLocaleString('en-US', { timeZone: 'America/New_York' }).replace(/\u202f/g, ' '));
t(() => [new Date(d).toLocaleString(), new Date(d).toLocaleDateString(), new Date(d).toLocaleTimeString()].map(plain));
t(() => [new Date(d).toLocaleDateString('de-DE'), new Date(d).toLocaleTimeString('de-DE'), new Date(d).toLocaleString('de-DE'), new Date(d).toLocaleDateString('en-US', { weekday: L, year: N, month: L, day: N }), new Date(d).toLocaleTimeString('en-US', { hour: T, minute: T }).replace(/\u202f/g, ' ')]);
t(() => new Date(d).toLocaleDateString('en-US', { hour: N }).replace(/\u202f/g, ' '));
t(() => new Date(d).toLocaleTimeString('en-US', { timeZoneName: S }).replace(/\u202f/g, ' '));
t(() => new Date(NaN).toLocaleString()); t(() => new Date(0).toLocaleDateString('en', { timeStyle: S }));
t(() => new Date(new Date(d).toLocaleString('en-US', { timeZone: 'Asia/Tokyo' }).replace(/\u202f/g, ' ')).toISOString());
t(() => new Date(d).toLocaleDateString('th-TH', { calendar: 'gregory' }) + new Date(d).toLocaleDateString('ar-EG', { numberingSystem: 'latn', year: N }));
t(() => new Date(d).toLocaleDateString('sv-SE') + new Date(d).toLocaleDateString('fr-CA') + new Date(d).toLocaleDateString('en-CA'));
t(() => Date.prototype.toLocaleString.length + Date.prototype.toLocaleString.name);
for (const locale of ['de', 'fr', 'es', 'it', 'ja', 'pt-BR', 'zh', 'ru']) t(() => [locale, ...['America/New_York', 'Europe/Berlin', 'Asia/Tokyo', 'Asia/Kolkata', 'Australia/Sydney', 'Pacific/Auckland'].flatMap((timeZone) => [d, night].map((date) => f(locale, { timeZone, timeStyle: 'full' }, date)))]);
// Options put together at random, the same at each run.
let seed = 3;
const random = (count) => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return Math.floor(seed / 4294967296 * count); };
const pick = (list) => list[random(list.length)];
const maybe = (options, name, values) => { if (random(3) === 0) options[name] = pick(values); };
for (let count = 0; count < 600; count++) {
  const options = { timeZone: pick(['UTC', 'America/New_York', 'Europe/London', 'Asia/Kolkata', 'America/Los_Angeles', 'Asia/Tokyo', 'Europe/Berlin']) };
  const locale = pick(['en-US', 'en-US', 'en-GB', 'en-CA', 'en-AU', 'de', 'es', 'sv', 'pt-BR', 'it']), date = Math.floor(random(4294967296) * 400);
  if (random(4) === 0) { options.dateStyle = pick(['full', 'long', 'medium', 'short']); maybe(options, 'timeStyle', ['long', 'medium', 'short']); } else {
    maybe(options, 'weekday', [L, S]); maybe(options, 'month', [N, T, L, S]); maybe(options, 'day', [N, T]);
    if (options.month && options.day || random(3) === 0 && !options.day && !options.weekday) maybe(options, 'year', [N, T]);
    if (options.weekday && !options.day) { delete options.month; delete options.year; } if (options.month === T) options.day &&= T;
    if (!options.weekday || options.day) maybe(options, 'hour', [N, T]); if (options.hour) maybe(options, 'minute', [N, T]); if (options.minute) maybe(options, 'second', [N, T]);
    if (options.minute && random(4) === 0) options.timeZoneName = pick([S, 'shortOffset', 'longOffset']); if (options.second && random(4) === 0) options.fractionalSecondDigits = 1 + random(3);
  }
  if (/^en-(US|CA|AU)/.test(locale)) maybe(options, 'hour12', [true]);
  t(() => [locale, JSON.stringify(options), date, f(locale, options, date)]);
}
