// `trace_events`: nothing is traced.

require("_inert").fill(exports, "trace_events", ["createTracing"]);
exports.getEnabledCategories = () => undefined;
