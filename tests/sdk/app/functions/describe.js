// Names the type that each argument arrived with.
exports = (...args) => args.map((value) => EJSON.stringify(value));
