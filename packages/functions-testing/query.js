// Queries, updates and simple pipelines on documents in memory: what tests of
// functions mostly need. What is not here throws and says so.

export const missing = (what) => {
  throw new Error(`${what} is not in memory(); use server() with a running Backstitch`);
};

const RANKS = ["undefined", "null", "number", "string", "object", "array", "Binary", "ObjectId", "boolean", "Date", "Timestamp", "BSONRegExp"];
const NUMBERS = ["Long", "Int32", "Double", "Decimal128"];

function kindOf(value) {
  if (value === undefined) return "undefined";
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (value instanceof Date) return "Date";
  if (value instanceof RegExp) return "BSONRegExp";
  if (value instanceof Uint8Array) return "Binary";
  if (typeof value === "bigint" || NUMBERS.includes(value._bsontype)) return "number";
  if (typeof value === "object" && value._bsontype !== undefined) return value._bsontype;
  return typeof value;
}
const plain = (value) => kindOf(value) === "object";
const exact = (value) => (typeof value === "object" ? (value._bsontype === "Decimal128" ? Number(value._v) : value._bsontype === "Long" ? BigInt(value._v) : value._v) : value);
const content = (value) => (value instanceof Date ? value.getTime() : value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value._bsontype === "Binary" ? Buffer.from(value._v).toString("hex") : value instanceof RegExp ? String(value) : (value._v ?? value));

/** The order of two values, as sorting has it. */
export function order(a, b) {
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA !== kindB) return Math.sign(RANKS.indexOf(kindA) - RANKS.indexOf(kindB)) || (kindA < kindB ? -1 : 1);
  if (kindA === "undefined" || kindA === "null") return 0;
  if (kindA === "array" || kindA === "object") {
    const [left, right] = [Object.entries(a), Object.entries(b)];
    for (let i = 0; i < Math.min(left.length, right.length); i++) {
      if (left[i][0] !== right[i][0]) return left[i][0] < right[i][0] ? -1 : 1;
      const inner = order(left[i][1], right[i][1]);
      if (inner !== 0) return inner;
    }
    return Math.sign(left.length - right.length);
  }
  const [left, right] = kindA === "number" ? [exact(a), exact(b)] : [content(a), content(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
export const equal = (a, b) => kindOf(a) === kindOf(b) && order(a, b) === 0;

/** A copy that shares nothing; classes stay classes. */
export function copy(value) {
  if (Array.isArray(value)) return value.map(copy);
  if (value instanceof Date) return new Date(value);
  if (!plain(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== undefined && typeof inner !== "function");
  return Object.fromEntries(kept.map(([key, inner]) => [key, copy(inner)]));
}

// The values at a path; arrays stand for their elements too.
function at(value, path) {
  if (path.length === 0) return Array.isArray(value) ? [value, ...value] : [value];
  const [name, ...rest] = path;
  if (Array.isArray(value)) {
    const inner = value.filter((item) => typeof item === "object" && item !== null && !Array.isArray(item));
    return [...(name in value ? at(value[name], rest) : []), ...inner.flatMap((item) => at(item, path))];
  }
  return plain(value) ? at(value[name], rest) : [undefined];
}
const split = (path) => path.split(".");
const typed = (a, b) => kindOf(a) === kindOf(b);

const OPERATORS = {
  $eq: (values, wanted) => values.some((value) => equal(value, wanted) || (wanted === null && value === undefined)),
  $ne: (values, wanted) => !OPERATORS.$eq(values, wanted),
  $gt: (values, than) => values.some((value) => typed(value, than) && order(value, than) > 0),
  $gte: (values, than) => values.some((value) => typed(value, than) && order(value, than) >= 0),
  $lt: (values, than) => values.some((value) => typed(value, than) && order(value, than) < 0),
  $lte: (values, than) => values.some((value) => typed(value, than) && order(value, than) <= 0),
  $in: (values, all) => all.some((one) => condition(values, one instanceof RegExp ? { $regex: one } : { $eq: one })),
  $nin: (values, all) => !OPERATORS.$in(values, all),
  $exists: (values, wanted) => values.some((value) => value !== undefined) === Boolean(wanted),
  $not: (values, inner) => !condition(values, inner),
  $regex: (values, pattern, all) => {
    const source = pattern instanceof RegExp ? pattern.source : (pattern._v ?? pattern);
    const flags = all.$options ?? (pattern instanceof RegExp ? pattern.flags : (pattern._x ?? ""));
    const regex = new RegExp(source, flags.replace(/[^ims]/g, ""));
    return values.some((value) => typeof value === "string" && regex.test(value));
  },
  $options: () => true,
  $size: (values, size) => values.some((value) => Array.isArray(value) && value.length === Number(size)),
  $all: (values, all) => all.every((one) => OPERATORS.$eq(values, one)),
  $elemMatch: (values, inner) => values.some((value) => Array.isArray(value) && value.some((item) =>
    isCondition(inner) ? condition([item], inner) : plain(item) && matches(item, inner))),
  $mod: (values, [by, rest]) => values.some((value) => kindOf(value) === "number" && Number(value) % Number(by) === Number(rest)),
};
const isCondition = (wanted) => plain(wanted) && Object.keys(wanted).some((key) => key.startsWith("$"));
function condition(values, wanted) {
  if (wanted instanceof RegExp || wanted?._bsontype === "BSONRegExp") return OPERATORS.$regex(values, wanted, {});
  if (!isCondition(wanted)) return OPERATORS.$eq(values, wanted);
  return Object.entries(wanted).every(([name, operand]) => (OPERATORS[name] ?? missing(`the operator ${name}`))(values, operand, wanted));
}

/** Whether a document is what a query asks for. */
export function matches(document, query) {
  return Object.entries(query ?? {}).every(([key, wanted]) => {
    if (key === "$and") return wanted.every((one) => matches(document, one));
    if (key === "$or") return wanted.some((one) => matches(document, one));
    if (key === "$nor") return !wanted.some((one) => matches(document, one));
    if (key === "$comment") return true;
    if (key.startsWith("$")) return missing(`the operator ${key}`);
    return condition(at(document, split(key)), wanted);
  });
}

/** Documents in the order of a sort specification. */
export function sorted(documents, by) {
  const value = (document, path, way) => {
    const [first, ...rest] = at(document, split(path)).filter((one) => !Array.isArray(one));
    return rest.reduce((best, one) => (order(one, best) * way < 0 ? one : best), first);
  };
  return [...documents].sort((a, b) => {
    for (const [path, way] of Object.entries(by ?? {})) {
      const found = order(value(a, path, Number(way)), value(b, path, Number(way))) * Number(way);
      if (found !== 0) return found;
    }
    return 0;
  });
}

/** A document with the fields of a projection. */
export function projected(document, fields) {
  const entries = Object.entries(fields ?? {});
  if (entries.length === 0) return copy(document);
  if (entries.some(([, wanted]) => typeof wanted === "object" && kindOf(wanted) !== "number")) missing("such a projection");
  const out = entries.some(([name, wanted]) => name !== "_id" && Number(wanted) === 0) || (entries.length === 1 && Number(fields._id) === 0);
  if (out) {
    const rest = copy(document);
    for (const [name] of entries.filter(([, wanted]) => Number(wanted) === 0)) unset(rest, split(name));
    return rest;
  }
  const kept = "_id" in document && Number(fields._id ?? 1) !== 0 ? { _id: copy(document._id) } : {};
  for (const [name] of entries.filter(([name]) => name !== "_id")) {
    const value = split(name).reduce((inner, part) => (plain(inner) ? inner[part] : undefined), document);
    if (value !== undefined) set(kept, split(name), copy(value));
  }
  return kept;
}

function holder(document, path) {
  return path.slice(0, -1).reduce((inner, part) => {
    if (part.startsWith("$")) missing("a positional update");
    if (inner[part] === undefined || inner[part] === null) inner[part] = {};
    return inner[part];
  }, document);
}
const last = (path) => (path[path.length - 1].startsWith("$") ? missing("a positional update") : path[path.length - 1]);
const set = (document, path, value) => { holder(document, path)[last(path)] = value; };
const get = (document, path) => path.reduce((inner, part) => inner?.[part], document);
const unset = (document, path) => { if (get(document, path) !== undefined) delete holder(document, path)[last(path)]; };
const list = (document, path) => {
  if (get(document, path) === undefined) set(document, path, []);
  const found = get(document, path);
  if (!Array.isArray(found)) throw new Error(`the field '${path.join(".")}' is no array`);
  return found;
};
const arithmetic = (document, path, by, how) => {
  const before = get(document, path);
  if (before !== undefined && kindOf(before) !== "number") throw new Error(`the field '${path.join(".")}' is no number`);
  set(document, path, how(Number(before ?? 0), Number(by)));
};
const each = (value) => (isCondition(value) ? value.$each ?? missing("such a modifier") : [value]);

const UPDATES = {
  $set: (document, path, value) => set(document, path, copy(value)),
  $setOnInsert: (document, path, value, made) => made && set(document, path, copy(value)),
  $unset: (document, path) => unset(document, path),
  $inc: (document, path, by) => arithmetic(document, path, by, (a, b) => a + b),
  $mul: (document, path, by) => arithmetic(document, path, by, (a, b) => a * b),
  $min: (document, path, value) => { if (get(document, path) === undefined || order(value, get(document, path)) < 0) set(document, path, copy(value)); },
  $max: (document, path, value) => { if (get(document, path) === undefined || order(value, get(document, path)) > 0) set(document, path, copy(value)); },
  $rename: (document, path, to) => { const value = get(document, path); if (value !== undefined) { unset(document, path); set(document, split(to), value); } },
  $currentDate: (document, path) => set(document, path, new Date()),
  $push: (document, path, value) => {
    const items = list(document, path);
    items.push(...each(value).map(copy));
    if (value?.$sort !== undefined) items.splice(0, items.length, ...(typeof value.$sort === "object" ? sorted(items, value.$sort) : [...items].sort((a, b) => order(a, b) * value.$sort)));
    if (value?.$slice !== undefined) items.splice(0, items.length, ...(value.$slice < 0 ? items.slice(value.$slice) : items.slice(0, value.$slice)));
  },
  $addToSet: (document, path, value) => { for (const one of each(value)) if (!list(document, path).some((known) => equal(known, one))) list(document, path).push(copy(one)); },
  $pull: (document, path, wanted) => {
    const items = list(document, path);
    items.splice(0, items.length, ...items.filter((item) => !(plain(wanted) && !isCondition(wanted) ? plain(item) && matches(item, wanted) : condition([item], wanted))));
  },
  $pullAll: (document, path, all) => { const items = list(document, path); items.splice(0, items.length, ...items.filter((item) => !all.some((one) => equal(one, item)))); },
  $pop: (document, path, end) => { if (Number(end) < 0) list(document, path).shift(); else list(document, path).pop(); },
};

/** Changes a document; `made` when an upsert has just made it. */
export function update(document, change, made = false) {
  if (Array.isArray(change)) missing("an update by a pipeline");
  for (const [name, fields] of Object.entries(change)) {
    const apply = UPDATES[name] ?? missing(`the update operator ${name}`);
    for (const [path, value] of Object.entries(fields)) {
      if (path === "_id" && name !== "$setOnInsert" && !equal(document._id, value)) throw new Error("the field '_id' cannot be changed");
      apply(document, split(path), value, made);
    }
  }
}

/** What an upsert's document begins with: the query's equalities. */
export function equalities(query) {
  const document = {};
  for (const [key, wanted] of Object.entries(query ?? {})) {
    if (key === "$and") for (const one of wanted) Object.assign(document, equalities(one));
    else if (!key.startsWith("$") && !isCondition(wanted)) set(document, split(key), copy(wanted));
    else if (isCondition(wanted) && "$eq" in wanted) set(document, split(key), copy(wanted.$eq));
  }
  return document;
}

const value = (document, expression) => {
  if (typeof expression === "string" && expression.startsWith("$")) return get(document, split(expression.slice(1)));
  if (isCondition(expression)) return missing(`the expression ${Object.keys(expression)[0]}`);
  if (plain(expression)) return Object.fromEntries(Object.entries(expression).map(([key, inner]) => [key, value(document, inner)]));
  return expression;
};
const numbers = (rows) => rows.filter((row) => kindOf(row) === "number").map(Number);
const ACCUMULATORS = {
  $sum: (rows) => numbers(rows).reduce((a, b) => a + b, 0),
  $avg: (rows) => (numbers(rows).length === 0 ? null : numbers(rows).reduce((a, b) => a + b, 0) / numbers(rows).length),
  $min: (rows) => rows.filter((row) => row != null).sort(order)[0] ?? null,
  $max: (rows) => rows.filter((row) => row != null).sort(order).pop() ?? null,
  $first: (rows) => rows[0] ?? null,
  $last: (rows) => rows[rows.length - 1] ?? null,
  $push: (rows) => rows,
  $addToSet: (rows) => rows.filter((row, index) => rows.findIndex((other) => equal(other, row)) === index),
  $count: (rows) => rows.length,
};
const STAGES = {
  $match: (rows, query) => rows.filter((row) => matches(row, query)),
  $sort: (rows, by) => sorted(rows, by),
  $skip: (rows, count) => rows.slice(Number(count)),
  $limit: (rows, count) => rows.slice(0, Number(count)),
  $count: (rows, name) => (rows.length === 0 ? [] : [{ [name]: rows.length }]),
  $project: (rows, fields) => {
    const isComputed = ([, wanted]) => typeof wanted === "string" || plain(wanted);
    const computed = Object.entries(fields).filter(isComputed);
    const simple = Object.fromEntries(Object.entries(fields).filter((field) => !isComputed(field)));
    return rows.map((row) => {
      // What is computed is an inclusion, whatever is said of _id.
      const kept = computed.length === 0 || Object.keys(simple).some((name) => name !== "_id")
        ? projected(row, simple)
        : Number(simple._id ?? 1) === 0 ? {} : { _id: copy(row._id) };
      for (const [name, wanted] of computed) set(kept, split(name), copy(value(row, wanted)));
      return kept;
    });
  },
  $addFields: (rows, fields) => rows.map((row) => {
    for (const [name, wanted] of Object.entries(fields)) set(row, split(name), copy(value(row, wanted)));
    return row;
  }),
  $unset: (rows, names) => rows.map((row) => { for (const name of [names].flat()) unset(row, split(name)); return row; }),
  $unwind: (rows, by) => rows.flatMap((row) => {
    const path = split((by.path ?? by).slice(1));
    const items = get(row, path);
    if (items === undefined || items === null || items.length === 0) return by.preserveNullAndEmptyArrays ? [row] : [];
    return [items].flat().map((item) => { const one = copy(row); set(one, path, item); return one; });
  }),
  $group: (rows, { _id: by, ...fields }) => {
    const groups = [];
    for (const row of rows) {
      const id = value(row, by) ?? null;
      const group = groups.find((known) => equal(known.id, id)) ?? groups[groups.push({ id, rows: [] }) - 1];
      group.rows.push(row);
    }
    return groups.map((group) => ({
      _id: group.id,
      ...Object.fromEntries(Object.entries(fields).map(([name, accumulator]) => {
        const [[how, what]] = Object.entries(accumulator);
        const gather = ACCUMULATORS[how] ?? missing(`the accumulator ${how}`);
        return [name, gather(group.rows.map((row) => value(row, what)).filter((one) => one !== undefined))];
      })),
    }));
  },
};
STAGES.$set = STAGES.$addFields;

/** The documents that a pipeline makes. */
export function aggregated(documents, pipeline) {
  return pipeline.reduce((rows, stage) => {
    const [[name, operand]] = Object.entries(stage);
    return (STAGES[name] ?? missing(`the stage ${name}`))(rows, operand);
  }, documents.map(copy));
}
