// `worker_threads`: this is the one thread there is.

const { fill } = require("_inert");
const { MessageChannel, MessagePort, receiveMessageOnPort } = require("_messages");

Object.assign(exports, {
  isMainThread: true, parentPort: null, workerData: null, threadId: 0, resourceLimits: {}, SHARE_ENV: Symbol.for("nodejs.worker_threads.SHARE_ENV"),
  MessageChannel, MessagePort, receiveMessageOnPort,
  markAsUntransferable() {},
  getEnvironmentData: () => undefined,
  setEnvironmentData() {},
});
fill(exports, "worker_threads", ["BroadcastChannel", "Worker", "moveMessagePortToContext"]);
