// `repl`: nobody types here.

require("_inert").fill(exports, "repl", ["REPLServer", "Recoverable", "start"]);
exports.builtinModules = require("module").builtinModules;
