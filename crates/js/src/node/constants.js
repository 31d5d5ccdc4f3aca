// `constants`: those of `os`, `fs` and `crypto` together.

const { constants } = require("os");
Object.assign(exports, constants.errno, constants.priority, constants.signals, constants.dlopen, require("fs").constants, require("crypto").constants);
