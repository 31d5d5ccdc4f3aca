// `console`: the call's own.

module.exports = globalThis.console;
