// `stream/web`.

const { closedOf, stateOf, ...classes } = require("_web_streams");
Object.assign(exports, classes);
