// Datagrams are not sent: the module is there for packages that load it.

const EventEmitter = require("events");
const errors = require("_errors");

const refuse = () => {
  throw errors.coded(Error, "ERR_NOT_SUPPORTED", "'dgram' module: not supported");
};
class Socket extends EventEmitter {
  constructor() {
    super();
    refuse();
  }
}
Object.assign(exports, { Socket, createSocket: refuse });
