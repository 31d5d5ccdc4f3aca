exports = (...args) => (args.length === 1 ? args[0] : args);
