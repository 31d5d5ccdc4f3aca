// `tty`: there is no terminal.

const { fill } = require("_inert");

fill(exports, "tty", ["ReadStream", "WriteStream"]);
exports.isatty = () => false;
