// Requests of HTTP; there are no servers.

const net = require("net");
const { Agent, ClientRequest, globalAgent } = require("_http_client");
const message = require("_http_message");

const METHODS = ["ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY",
  "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "REBIND", "REPORT",
  "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE"];

class Server extends net.Server {
  constructor(options, listener) {
    super();
    if (typeof options === "function") listener = options;
    if (typeof listener === "function") this.on("request", listener);
  }
  setTimeout() { return this; }
  closeAllConnections() {}
  closeIdleConnections() {}
}

const request = (url, options, callback) => new ClientRequest(url, options, callback);
function get(url, options, callback) {
  const made = request(url, options, callback);
  made.end();
  return made;
}

Object.assign(exports, {
  METHODS, STATUS_CODES: message.STATUS_CODES, Agent, ClientRequest, globalAgent, request, get, Server,
  createServer: (options, listener) => new Server(options, listener),
  IncomingMessage: message.IncomingMessage, OutgoingMessage: message.OutgoingMessage, ServerResponse: message.ServerResponse,
  validateHeaderName: message.validateHeaderName, validateHeaderValue: message.validateHeaderValue,
  maxHeaderSize: 16384, setMaxIdleHTTPParsers() {},
});
