// Requests of HTTPS; there are no servers.

const http = require("http");
const tls = require("tls");
const client = require("_http_client");

class Agent extends client.Agent {
  constructor(options) {
    super(options);
    this.defaultPort = 443;
    this.protocol = "https:";
    this.maxCachedSessions = this.options.maxCachedSessions ?? 100;
  }
  createConnection(options, ...rest) {
    if (typeof options !== "object" || options === null) return tls.connect(options, ...rest);
    return tls.connect({ servername: options.host, ...options, path: undefined });
  }
  getName(options = {}) {
    let name = super.getName(options);
    for (const key of ["ca", "cert", "clientCertEngine", "ciphers", "key", "pfx"]) name += `:${options[key] ?? ""}`;
    name += `:${options.rejectUnauthorized ?? ""}`;
    name += `:${options.servername && options.servername !== options.host ? options.servername : ""}`;
    for (const key of ["minVersion", "maxVersion", "secureProtocol", "crl", "honorCipherOrder", "ecdhCurve", "dhparam",
      "secureOptions", "sessionIdContext"]) name += `:${options[key] ?? ""}`;
    return name;
  }
}
client.BUILT_IN.add(Agent.prototype.createConnection);
const globalAgent = new Agent({ keepAlive: true });

function request(...args) {
  let options = {};
  if (typeof args[0] === "string") options = client.ofUrl(new (require("url").URL)(args.shift()));
  else if (client.isUrl(args[0])) options = client.ofUrl(args.shift());
  if (args[0] && typeof args[0] !== "function") Object.assign(options, args.shift());
  options._defaultAgent = exports.globalAgent;
  return new client.ClientRequest(options, ...args);
}
function get(...args) {
  const made = request(...args);
  made.end();
  return made;
}

class Server extends http.Server {}

Object.assign(exports, {
  Agent, globalAgent, request, get, Server,
  createServer: (options, listener) => new Server(options, listener),
});
