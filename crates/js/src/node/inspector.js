// `inspector`: nothing can be attached.

require("_inert").fill(exports, "inspector", ["Session", "open", "waitForDebugger"]);
Object.assign(exports, { close() {}, url: () => undefined, console: globalThis.console });
