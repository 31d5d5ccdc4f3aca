// ---- MongoDB.

// Cursors that nobody has read yet.
let unread = 0;

// A result that has not been asked for yet: `run` gets what the methods added.
class Cursor {
  #run;
  #add;
  #map = (row) => row;
  #rows;
  #at = 0;
  constructor(run, add) {
    this.#run = run;
    this.#add = add;
    unread++;
  }
  #with(name, value) {
    if (this.#rows !== undefined) throw new Error(`${name} must be called before the cursor is read`);
    this.#add(name, value);
    return this;
  }
  #read() {
    if (this.#rows === undefined) {
      unread--;
      this.#rows = this.#run();
    }
    return this.#rows;
  }
  sort(value) { return this.#with("sort", value); }
  limit(value) { return this.#with("limit", value); }
  skip(value) { return this.#with("skip", value); }
  project(value) { return this.#with("project", value); }
  projection(value) { return this.#with("project", value); }
  map(each) {
    const before = this.#map;
    this.#map = (row) => each(before(row));
    return this;
  }
  async toArray() {
    const rest = (await this.#read()).slice(this.#at);
    this.#at = Infinity;
    return rest.map((row) => this.#map(row));
  }
  async next() {
    const rows = await this.#read();
    return this.#at < rows.length ? this.#map(rows[this.#at++]) : undefined;
  }
  async hasNext() {
    return this.#at < (await this.#read()).length;
  }
  async forEach(each) {
    while (await this.hasNext()) await each(await this.next());
  }
  async count() {
    return (await this.#read()).length;
  }
  async close() {
    this.#at = Infinity;
  }
  async *[Symbol.asyncIterator]() {
    while (await this.hasNext()) yield await this.next();
  }
}

const number = (value) => (value instanceof Long ? Number(value._v) : value);

// What runs actions on a collection, or on a database for none.
const runner = (frame, service, database, collection) => (action, args, options) => {
  const { session, ...rest } = options ?? {};
  return natives.call(frame, "mongodb", {
    service, action, arguments: { ...rest, ...args, database, collection },
    ...(session === undefined || session === null ? {} : { session: Session.number(session) }),
  });
};

const aggregated = (run) => (pipeline, options) => {
  const stages = [...pipeline];
  return new Cursor(() => run("aggregate", { pipeline: stages }, options), (name, value) => { stages.push({ [`$${name}`]: value }); });
};

// Operations that are collected, as the drivers have it: `execute` runs them.
class Bulk {
  #run;
  #operations = [];
  constructor(run) {
    this.#run = run;
  }
  #add(name, operation) {
    this.#operations.push({ [name]: operation });
    return this;
  }
  insert(document) { return this.#add("insertOne", { document }); }
  find(filter) {
    let upsert = false;
    const add = (name, rest) => this.#add(name, { filter, ...(upsert ? { upsert } : {}), ...rest });
    const found = {
      upsert: () => { upsert = true; return found; },
      update: (update) => add("updateMany", { update }),
      updateOne: (update) => add("updateOne", { update }),
      replaceOne: (replacement) => add("replaceOne", { replacement }),
      delete: () => this.#add("deleteMany", { filter }),
      deleteOne: () => this.#add("deleteOne", { filter }),
    };
    found.remove = found.delete;
    found.removeOne = found.deleteOne;
    return found;
  }
  execute(options) {
    const operations = this.#operations;
    this.#operations = [];
    return this.#run(operations, options);
  }
}

function makeCollection(frame, service, database, collection) {
  const run = runner(frame, service, database, collection);
  return {
    find: (query, project, options) => {
      const args = { query, project };
      return new Cursor(() => run("find", args, options), (name, value) => { args[name] = value; });
    },
    findOne: (query, project, options) => run("findOne", { query, project }, options),
    findOneAndUpdate: (filter, update, options) => run("findOneAndUpdate", { filter, update }, options),
    findOneAndReplace: (filter, update, options) => run("findOneAndReplace", { filter, update }, options),
    findOneAndDelete: (filter, options) => run("findOneAndDelete", { filter }, options),
    insertOne: (document, options) => run("insertOne", { document }, options),
    insertMany: (documents, options) => run("insertMany", { documents }, options),
    updateOne: (query, update, options) => run("updateOne", { query, update }, options),
    updateMany: (query, update, options) => run("updateMany", { query, update }, options),
    replaceOne: (query, update, options) => run("replaceOne", { query, update }, options),
    deleteOne: (query, options) => run("deleteOne", { query }, options),
    deleteMany: (query, options) => run("deleteMany", { query }, options),
    aggregate: aggregated(run),
    countDocuments: (query, options) => run("count", { query }, options).then(number),
    estimatedDocumentCount: (options) => run("count", {}, options).then(number),
    initializeOrderedBulkOp: () => new Bulk((operations, options) => run("bulkWrite", { operations, ordered: true }, options)),
    initializeUnorderedBulkOp: () => new Bulk((operations, options) => run("bulkWrite", { operations, ordered: false }, options)),
    count: (query, options) => run("count", { query }, options).then(number),
    distinct: (field, query, options) => run("distinct", { field, query }, options),
    bulkWrite: (operations, options) => run("bulkWrite", { operations }, options),
    watch: () => unsupported("watch inside functions"),
  };
}

// How often a transaction is tried that keeps losing to others, and the longest
// pause before it.
const TRANSACTION_TRIES_MAX = 50;
const TRANSACTION_PAUSE_MS_MAX = 64;

class Session {
  #frame;
  #service;
  #number;
  #failed;
  constructor(frame, service) {
    this.#frame = frame;
    this.#service = service;
  }
  // The number of the transaction that an operation joins; none outside of one.
  static number(session) {
    if (!(session instanceof Session)) throw new TypeError("the option 'session' is not a session");
    return session.#number;
  }
  // Ends the transaction; after an abort, whether another try is worth it. A
  // commit that failed can still be aborted.
  async #end(how) {
    const number = this.#number ?? (how === "abort" ? this.#failed : undefined);
    this.#number = this.#failed = undefined;
    if (number === undefined) return false;
    try {
      return await natives.call(this.#frame, "transaction", { service: this.#service, session: number, how });
    } catch (error) {
      if (how === "commit") this.#failed = number;
      throw error;
    }
  }
  inTransaction() { return this.#number !== undefined; }
  startTransaction() {
    if (this.#number !== undefined) throw new Error("a transaction is already in progress");
    this.#number = natives.number();
  }
  async commitTransaction() { await this.#end("commit"); }
  async abortTransaction() { await this.#end("abort"); }
  async endSession() { await this.#end("abort"); }
  async withTransaction(body) {
    for (let tries = 1; ; tries++) {
      this.startTransaction();
      try {
        const result = await body(this);
        await this.#end("commit");
        return result;
      } catch (error) {
        if (!await this.#end("abort") || tries === TRANSACTION_TRIES_MAX) throw error;
      }
      const pause = Math.min(2 ** tries, TRANSACTION_PAUSE_MS_MAX) * natives.random();
      await new Promise((done) => natives.timer(done, pause, false));
    }
  }
