// `cluster`: this is the one process there is.

const EventEmitter = require("events");
const { fill } = require("_inert");

const cluster = new EventEmitter();
Object.assign(cluster, {
  isMaster: true, isPrimary: true, isWorker: false, workers: {}, settings: {}, schedulingPolicy: 2, SCHED_NONE: 1, SCHED_RR: 2,
  setupMaster() {}, setupPrimary() {},
});
fill(cluster, "cluster", ["Worker", "fork", "disconnect"]);

module.exports = cluster;
