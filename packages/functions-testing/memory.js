// A data source in memory, for tests without a server.

import { aggregated, copy, equal, equalities, matches, order, projected, sorted, update } from "./query.js";

/**
 * A data source in memory, with documents by `database.collection`. Rules,
 * schemas and indexes are the server's; what is not here throws.
 */
export function memory(data = {}) {
  let collections = new Map();
  let saved;
  const rows = ({ database, collection }) => {
    const name = `${database}.${collection}`;
    if (!collections.has(name)) collections.set(name, []);
    return collections.get(name);
  };
  const copied = (from) => new Map([...from].map(([name, list]) => [name, list.map(copy)]));

  function actions(world) {
    const insert = (place, document) => {
      const made = { _id: document._id === undefined ? new world.BSON.ObjectId() : document._id, ...copy(document) };
      if (place.some((known) => equal(known._id, made._id))) {
        throw Object.assign(new Error(`duplicate key: _id ${world.EJSON.stringify(made._id)}`), { name: "MongoError", code: "MongoDBError" });
      }
      place.push(made);
      return made._id;
    };
    const change = (args, query, apply, many) => {
      const found = rows(args).filter((row) => matches(row, query));
      let modifiedCount = 0;
      for (const row of many ? found : found.slice(0, 1)) {
        const before = copy(row);
        apply(row);
        if (!equal(before, row)) modifiedCount++;
      }
      const matchedCount = many ? found.length : Math.min(found.length, 1);
      if (matchedCount > 0 || !args.upsert) return { matchedCount, modifiedCount };
      const made = equalities(query);
      apply(made, true);
      return { matchedCount: 0, modifiedCount: 0, upsertedId: insert(rows(args), made) };
    };
    const replace = (replacement) => (row) => {
      if (Object.keys(replacement).some((key) => key.startsWith("$"))) throw new Error("a replacement has no operators");
      const id = row._id;
      for (const key of Object.keys(row)) delete row[key];
      if (id !== undefined) row._id = id;
      Object.assign(row, copy(replacement));
    };
    const updates = (args) => {
      if (args.arrayFilters !== undefined) throw new Error("arrayFilters are not in memory(); use server() with a running Backstitch");
      return (row, made) => update(row, args.update, made);
    };
    const remove = (args, query, many) => {
      const place = rows(args);
      const found = place.filter((row) => matches(row, query)).slice(0, many ? Infinity : 1);
      for (const row of found) place.splice(place.indexOf(row), 1);
      return { deletedCount: found.length };
    };
    const oneAnd = (args, apply) => {
      const place = rows(args);
      const [row] = sorted(place.filter((one) => matches(one, args.filter)), args.sort);
      const shown = (document) => projected(document, args.projection);
      if (row === undefined) {
        if (!args.upsert) return null;
        const made = equalities(args.filter);
        apply(made, true);
        const id = insert(place, made);
        return args.returnNewDocument ? shown(place.find((one) => equal(one._id, id))) : null;
      }
      const before = copy(row);
      apply(row);
      return shown(args.returnNewDocument ? row : before);
    };
    const all = {
      find: ({ query, project, sort, skip = 0, limit = 0, ...place }) => {
        const found = sorted(rows(place).filter((row) => matches(row, query)), sort);
        return found.slice(skip, limit > 0 ? skip + limit : undefined).map((row) => projected(row, project));
      },
      findOne: (args) => all.find({ ...args, limit: 1 })[0] ?? null,
      findOneAndUpdate: (args) => oneAnd(args, updates(args)),
      findOneAndReplace: (args) => oneAnd(args, replace(args.update ?? args.replacement)),
      findOneAndDelete: (args) => {
        const [row] = sorted(rows(args).filter((one) => matches(one, args.filter)), args.sort);
        if (row === undefined) return null;
        rows(args).splice(rows(args).indexOf(row), 1);
        return projected(row, args.projection);
      },
      insertOne: (args) => ({ insertedId: insert(rows(args), args.document) }),
      insertMany: (args) => ({ insertedIds: args.documents.map((document) => insert(rows(args), document)) }),
      updateOne: (args) => change(args, args.query, updates(args), false),
      updateMany: (args) => change(args, args.query, updates(args), true),
      replaceOne: (args) => change(args, args.query, replace(args.update), false),
      deleteOne: (args) => remove(args, args.query, false),
      deleteMany: (args) => remove(args, args.query, true),
      aggregate: (args) => aggregated(args.collection === undefined ? [] : rows(args), args.pipeline),
      count: (args) => rows(args).filter((row) => matches(row, args.query)).length,
      distinct: (args) => {
        const found = aggregated(rows(args), [{ $match: args.query ?? {} }, { $unwind: { path: `$${args.field}` } }, { $group: { _id: `$${args.field}` } }]);
        return found.map((row) => row._id).sort(order);
      },
      bulkWrite: ({ operations, ordered = true, ...place }) => {
        let failed;
        for (const operation of operations) {
          const [[name, what]] = Object.entries(operation);
          const { document = what, filter: query, replacement, update: change = replacement, ...rest } = what;
          if (all[name] === undefined) throw new Error(`unknown operation ${name}`);
          try {
            all[name]({ ...place, ...rest, ...(name === "insertOne" ? { document } : { query, update: change }) });
          } catch (error) {
            failed ??= error;
            if (ordered) break;
          }
        }
        if (failed !== undefined) throw failed;
        return null;
      },
    };
    return all;
  }

  return {
    type: "mongodb-atlas",
    connect(world) {
      collections = new Map(Object.entries(data).map(([name, list]) => [name, list.map(copy)]));
      const all = actions(world);
      return {
        async run(action, { session, ...args }) {
          if (session !== undefined && saved === undefined) saved = copied(collections);
          if (all[action] === undefined) throw new Error(`${action} is not in memory(); use server() with a running Backstitch`);
          return all[action](args);
        },
        async end(how) {
          if (how !== "commit" && saved !== undefined) collections = saved;
          saved = undefined;
        },
        names: (database) => {
          const all = [...collections.keys()].map((name) => [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)]);
          return database === undefined ? [...new Set(all.map(([name]) => name))] : all.filter(([name]) => name === database).map(([, name]) => name);
        },
      };
    },
    /** The documents of a collection as they are now. */
    documents: (database, collection) => rows({ database, collection }).map(copy),
  };
}
