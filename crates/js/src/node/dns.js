// Addresses of names. Only those are told that a function may connect to.

const net = require("net");
const process = require("process");
const errors = require("_errors");
const { systemError } = require("_network");

const CODES = [
  "NODATA", "FORMERR", "SERVFAIL", "NOTFOUND", "NOTIMP", "REFUSED", "BADQUERY", "BADNAME", "BADFAMILY", "BADRESP", "CONNREFUSED",
  "TIMEOUT", "EOF", "FILE", "NOMEM", "DESTRUCTION", "BADSTR", "BADFLAGS", "NONAME", "BADHINTS", "NOTINITIALIZED",
  "LOADIPHLPAPI", "ADDRGETNETWORKPARAMS", "CANCELLED",
];
const constants = Object.fromEntries(CODES.map((code) => [code, `E${code}`]));

// All addresses of a name, of one family if that is asked for.
async function addresses(hostname, family, syscall) {
  const version = net.isIP(hostname);
  if (version !== 0) return [{ address: hostname, family: version }];
  let found;
  try {
    found = await inner.host("dns.lookup", { host: hostname });
  } catch (error) {
    const code = error.code === "ENOTFOUND" || error.code === "EACCES" ? "ENOTFOUND" : error.code;
    throw systemError(syscall, code, { hostname });
  }
  found = found.map((address) => ({ address, family: net.isIP(address) }));
  if (family !== 0) found = found.filter((one) => one.family === family);
  if (found.length === 0) throw systemError(syscall, syscall === "getaddrinfo" ? "ENOTFOUND" : "ENODATA", { hostname });
  return found;
}

const familyOf = (family) => {
  if (family === "IPv4") return 4;
  if (family === "IPv6") return 6;
  if (family == null) return 0;
  errors.validateOneOf(family, "options.family", [0, 4, 6]);
  return family;
};

const order = (found, verbatim) =>
  verbatim === false ? [...found.filter((one) => one.family === 4), ...found.filter((one) => one.family === 6)] : found;

function lookupOptions(options) {
  if (typeof options === "number") return { family: familyOf(options), all: false };
  if (options !== undefined && options !== null && typeof options !== "object") {
    throw errors.invalidType("options", ["integer", "object"], options);
  }
  const verbatim = options?.order === "ipv4first" ? false : options?.verbatim;
  return { family: familyOf(options?.family), all: options?.all === true, verbatim };
}

async function find(hostname, { family, all, verbatim }) {
  if (!hostname) return all ? [] : { address: null, family: family === 6 ? 6 : 4 };
  const found = order(await addresses(hostname, family, "getaddrinfo"), verbatim);
  return all ? found : found[0];
}

function lookup(hostname, options, callback) {
  if (hostname) errors.validateString(hostname, "hostname");
  if (typeof options === "function") {
    callback = options;
    options = undefined;
  }
  errors.validateFunction(callback, "callback");
  const wanted = lookupOptions(options);
  find(hostname, wanted).then(
    (found) => process.nextTick(() => (wanted.all ? callback(null, found) : callback(null, found.address, found.family))),
    (error) => process.nextTick(callback, error),
  );
  return {};
}

const promises = { ...constants };
promises.lookup = async (hostname, options) => {
  if (hostname) errors.validateString(hostname, "hostname");
  return find(hostname, lookupOptions(options));
};

const typed = (family, name) => async (hostname, options) => {
  errors.validateString(hostname, "name");
  const found = await addresses(hostname, family, name);
  return found.map(({ address }) => (options?.ttl ? { address, ttl: 0 } : address));
};
// Other records have no way here.
const missing = (name) => async (hostname) => {
  errors.validateString(hostname, "name");
  throw systemError(name, "ENOTIMP", { hostname });
};
const QUERIES = {
  resolve4: typed(4, "queryA"), resolve6: typed(6, "queryAaaa"),
  resolveAny: missing("queryAny"), resolveCaa: missing("queryCaa"), resolveCname: missing("queryCname"), resolveMx: missing("queryMx"),
  resolveNaptr: missing("queryNaptr"), resolveNs: missing("queryNs"), resolvePtr: missing("queryPtr"), resolveSoa: missing("querySoa"),
  resolveSrv: missing("querySrv"), resolveTxt: missing("queryTxt"), reverse: missing("getHostByAddr"),
};
const RECORDS = {
  A: "resolve4", AAAA: "resolve6", ANY: "resolveAny", CAA: "resolveCaa", CNAME: "resolveCname", MX: "resolveMx", NAPTR: "resolveNaptr",
  NS: "resolveNs", PTR: "resolvePtr", SOA: "resolveSoa", SRV: "resolveSrv", TXT: "resolveTxt",
};
QUERIES.resolve = (hostname, record = "A") => {
  if (!Object.hasOwn(RECORDS, record)) throw errors.invalidValue("rrtype", record);
  return QUERIES[RECORDS[record]](hostname);
};

const byCallback = (query) => function (hostname, ...rest) {
  const callback = rest.at(-1);
  errors.validateFunction(callback, "callback");
  errors.validateString(hostname, "name");
  query(hostname, ...rest.slice(0, -1)).then(
    (found) => process.nextTick(callback, null, found),
    (error) => process.nextTick(callback, error),
  );
  return {};
};

const settings = {
  getServers: () => [], setServers() {}, setDefaultResultOrder() {}, getDefaultResultOrder: () => "verbatim",
};
class Resolver {
  cancel() {}
  getServers() { return []; }
  setServers() {}
  setLocalAddress() {}
}
class PromisesResolver extends Resolver {}
for (const [name, query] of Object.entries(QUERIES)) {
  exports[name] = byCallback(query);
  promises[name] = query;
  Object.defineProperty(Resolver.prototype, name, { value: exports[name], writable: true, configurable: true });
  Object.defineProperty(PromisesResolver.prototype, name, { value: query, writable: true, configurable: true });
}
promises.lookupService = async (address, port) => ({ hostname: address, service: String(port) });
Object.assign(exports, constants, settings, {
  lookup, Resolver, promises, ADDRCONFIG: 32, ALL: 16, V4MAPPED: 8,
  lookupService(address, port, callback) {
    errors.validateFunction(callback, "callback");
    process.nextTick(callback, null, address, String(port));
  },
});
Object.assign(promises, settings, { Resolver: PromisesResolver });
