// `readline/promises`.

const { Interface, createInterface } = require("readline");
Object.assign(exports, { Interface, createInterface });
require("_inert").fill(exports, "readline", ["Readline"]);
