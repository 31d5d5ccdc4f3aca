// ---- What depends on locales: `Intl` is made when it is first needed.

const localized = (Class, name, convert, method) => {
  define(Class.prototype, name, {
    [name](...args) { return builtin("_intl").methods[method](convert(this), ...args); },
  }[name]);
};
const same = (value) => value;
for (const name of ["localeCompare", "toLocaleUpperCase", "toLocaleLowerCase"]) {
  localized(String, name, (value) => {
    if (value === null || value === undefined) throw new TypeError(`String.prototype.${name} called on null or undefined`);
    return String(value);
  }, name);
}
localized(Number, "toLocaleString", (value) => Number.prototype.valueOf.call(value), "numberToLocaleString");
localized(BigInt, "toLocaleString", (value) => BigInt.prototype.valueOf.call(value), "numberToLocaleString");
localized(Date, "toLocaleString", same, "dateToLocaleString");
localized(Date, "toLocaleDateString", same, "dateToLocaleDateString");
localized(Date, "toLocaleTimeString", same, "dateToLocaleTimeString");
// The zone's name, which the engine leaves out; functions run in UTC.
for (const name of ["toString", "toTimeString"]) {
  const original = Date.prototype[name];
  define(Date.prototype, name, { [name]() {
    const text = original.call(this);
    return text === "Invalid Date" ? text : `${text} (Coordinated Universal Time)`;
  } }[name]);
}
for (const [Class, name] of [[String, "localeCompare"], [Number, "toLocaleString"], [BigInt, "toLocaleString"], [Date, "toLocaleString"], [Date, "toLocaleDateString"], [Date, "toLocaleTimeString"]]) {
  Object.defineProperty(Class.prototype[name], "length", { value: name === "localeCompare" ? 1 : 0, configurable: true });
}
