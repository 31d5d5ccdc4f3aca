// `domain`: never part of a call.

require("_inert").fill(exports, "domain", ["Domain", "create", "createDomain"]);
exports.active = null;
