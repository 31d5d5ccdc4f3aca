// Whether two values are alike, for `assert` and `util`.

const types = require("_types");

const sameNumber = (a, b) => a === b || (Number.isNaN(a) && Number.isNaN(b));
const isObject = (value) => typeof value === "object" && value !== null;
const enumerableSymbols = (value) =>
  Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
const isIndex = (key) => /^(0|[1-9][0-9]*)$/.test(key);
const keysBesideItems = (value) => Object.keys(value).filter((key) => !isIndex(key));

// Pairs that are being compared above: a circle is taken to be alike.
class Pairs {
  #first = new Map();
  #second = new Map();
  // Whether they stand at the same place of their circles; undefined when new.
  known(a, b) {
    const at = this.#first.get(a);
    if (at !== undefined) {
      const other = this.#second.get(b);
      if (other !== undefined) return at === other;
    }
    return undefined;
  }
  enter(a, b) {
    const depth = this.#first.size + 1;
    const before = [this.#first.get(a), this.#second.get(b)];
    this.#first.set(a, depth);
    this.#second.set(b, depth);
    return () => {
      if (before[0] === undefined) this.#first.delete(a);
      else this.#first.set(a, before[0]);
      if (before[1] === undefined) this.#second.delete(b);
      else this.#second.set(b, before[1]);
    };
  }
}

function isDeepEqual(a, b, strict) {
  return alike(a, b, strict, new Pairs());
}

function alike(a, b, strict, pairs) {
  if (a === b) return a !== 0 || !strict || Object.is(a, b);
  if (strict) {
    if (!isObject(a)) return typeof a === "number" && Number.isNaN(a) && Number.isNaN(b);
    if (!isObject(b)) return false;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  } else {
    if (!isObject(a)) return (!isObject(b) && typeof b !== "function") && (a == b || (Number.isNaN(a) && Number.isNaN(b)));
    if (!isObject(b)) return false;
  }
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false;
  const kind = inner.kind(a);
  const other = inner.kind(b);
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return sameKeys(a, b, strict, pairs, keysBesideItems(a), keysBesideItems(b), () => sameItems(a, b, strict, pairs));
  }
  if (types.isDate(a)) {
    if (!types.isDate(b) || !sameNumber(Date.prototype.getTime.call(a), Date.prototype.getTime.call(b))) return false;
  } else if (types.isRegExp(a)) {
    if (!types.isRegExp(b) || a.source !== b.source || a.flags !== b.flags || a.lastIndex !== b.lastIndex) return false;
  } else if (types.isNativeError(a) || a instanceof Error) {
    if (!(types.isNativeError(b) || b instanceof Error)) return false;
    if (a.message !== b.message || a.name !== b.name) return false;
    if (!alike(a.cause, b.cause, strict, pairs) || !alike(a.errors, b.errors, strict, pairs)) return false;
  } else if (ArrayBuffer.isView(a)) {
    if (!sameBytes(a, b, strict, kind, other)) return false;
    return sameKeys(a, b, strict, pairs, keysBesideItems(a), keysBesideItems(b), () => true);
  } else if (kind === "Set" || kind === "Map") {
    if (kind !== other || a.size !== b.size) return false;
    return sameKeys(a, b, strict, pairs, Object.keys(a), Object.keys(b),
      () => (kind === "Set" ? sameSets(a, b, strict, pairs) : sameMaps(a, b, strict, pairs)));
  } else if (types.isAnyArrayBuffer(a)) {
    if (kind !== other || !sameBytes(new Uint8Array(a), new Uint8Array(b), true, "", "")) return false;
  } else if (types.isBoxedPrimitive(a)) {
    if (kind !== other || !Object.is(a.valueOf(), b.valueOf())) return false;
  } else if (Array.isArray(b) || ArrayBuffer.isView(b) || other === "Set" || other === "Map" || types.isDate(b) || types.isRegExp(b)
    || types.isAnyArrayBuffer(b) || types.isBoxedPrimitive(b) || types.isNativeError(b)) {
    return false;
  }
  return sameKeys(a, b, strict, pairs, Object.keys(a), Object.keys(b), () => true);
}

function sameBytes(a, b, strict, kind, other) {
  if (!ArrayBuffer.isView(b) || a.byteLength !== b.byteLength || kind !== other) return false;
  if (!strict && (kind === "Float32Array" || kind === "Float64Array")) return a.every((value, index) => value === b[index]);
  const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

function sameKeys(a, b, strict, pairs, keysOfA, keysOfB, contents) {
  if (keysOfA.length !== keysOfB.length) return false;
  for (const key of keysOfA) if (!Object.hasOwn(b, key)) return false;
  let keys = keysOfA;
  if (strict) {
    const symbols = enumerableSymbols(a);
    if (symbols.length !== enumerableSymbols(b).length) return false;
    for (const key of symbols) if (!Object.prototype.propertyIsEnumerable.call(b, key)) return false;
    keys = [...keysOfA, ...symbols];
  }
  const known = pairs.known(a, b);
  if (known !== undefined) return known;
  const leave = pairs.enter(a, b);
  const same = contents() && keys.every((key) => alike(a[key], b[key], strict, pairs));
  leave();
  return same;
}

function sameItems(a, b, strict, pairs) {
  for (let index = 0; index < a.length; index++) {
    const has = Object.hasOwn(a, index);
    if (has !== Object.hasOwn(b, index) && strict) return false;
    if (has || !strict) {
      if (!alike(a[index], b[index], strict, pairs)) return false;
    } else {
      // Holes on both sides: on to what is there.
      const keys = Object.keys(a).filter((key) => isIndex(key) && Number(key) > index);
      if (keys.length !== Object.keys(b).filter((key) => isIndex(key) && Number(key) > index).length) return false;
      return keys.every((key) => Object.hasOwn(b, key) && alike(a[key], b[key], strict, pairs));
    }
  }
  return true;
}

// Primitives that another one may be loosely equal to cannot be looked up.
const isLoose = (value) => !isObject(value) && value !== null && value !== undefined && typeof value !== "symbol" && typeof value !== "function";

function sameSets(a, b, strict, pairs) {
  const left = [];
  for (const value of a) {
    if (b.has(value)) continue;
    if (strict && !isObject(value)) return false;
    left.push(value);
  }
  if (left.length === 0) return true;
  const rest = [...b].filter((value) => !a.has(value) && (!strict || isObject(value)));
  if (rest.length !== left.length) return false;
  for (const value of left) {
    const index = rest.findIndex((candidate) => (isObject(value) === isObject(candidate) || (!strict && isLoose(value)))
      && alike(value, candidate, strict, pairs));
    if (index < 0) return false;
    rest.splice(index, 1);
  }
  return true;
}

function sameMaps(a, b, strict, pairs) {
  const left = [];
  for (const [key, value] of a) {
    if (!isObject(key) && b.has(key)) {
      if (!alike(value, b.get(key), strict, pairs)) return false;
    } else if (b.has(key) && alike(value, b.get(key), strict, pairs)) {
      continue;
    } else if (strict && !isObject(key)) {
      return false;
    } else {
      left.push([key, value]);
    }
  }
  if (left.length === 0) return true;
  const rest = [...b].filter(([key]) => isObject(key) ? !(a.has(key) && alike(a.get(key), b.get(key), strict, pairs)) : !a.has(key));
  if (rest.length !== left.length) return false;
  for (const [key, value] of left) {
    const index = rest.findIndex(([otherKey, otherValue]) => alike(key, otherKey, strict, pairs) && alike(value, otherValue, strict, pairs));
    if (index < 0) return false;
    rest.splice(index, 1);
  }
  return true;
}

Object.assign(exports, { isDeepEqual });
