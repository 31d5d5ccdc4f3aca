// `vm`: a call has one realm.

require("_inert").fill(exports, "vm", ["Script", "SourceTextModule", "SyntheticModule", "Module", "compileFunction", "createContext", "createScript",
  "measureMemory", "runInContext", "runInNewContext", "runInThisContext"]);
exports.isContext = () => false;
exports.constants = { __proto__: null };
