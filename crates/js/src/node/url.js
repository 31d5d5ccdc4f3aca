// `url`: the WHATWG classes and Node's older parser.

const { URL, URLSearchParams, invalid } = require("_url");
const { coded, invalidType } = require("_errors");
const querystring = require("querystring");
const native = inner.node;

// Schemes whose URLs have an authority and a path that is never empty.
const SLASHED = new Set(["http", "https", "ftp", "gopher", "file", "ws", "wss"]);
const schemeOf = (protocol) => (protocol ?? "").replace(/:$/, "");
const isSlashed = (protocol) => SLASHED.has(schemeOf(protocol));

function Url() {
  for (const name of ["protocol", "slashes", "auth", "host", "port", "hostname", "hash", "search", "query", "pathname", "path", "href"]) {
    this[name] = null;
  }
}

const escaped = (text) =>
  text.replace(/[\t\n\r "'<>\\^`{|}]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

// Splits `[user@]host[:port]` off, up to what cannot be in it.
function authority(url, rest) {
  const end = rest.search(/[/?#]/);
  const before = end < 0 ? rest : rest.slice(0, end);
  const at = before.lastIndexOf("@");
  if (at >= 0) url.auth = decodeURIComponent(before.slice(0, at));
  const place = rest.slice(at + 1);
  const stop = place.search(/[\t\n\r "%';<>\\^`{|}/?#]/);
  let host = stop < 0 ? place : place.slice(0, stop);
  let after = stop < 0 ? "" : place.slice(stop);
  const port = /:(\d*)$/.exec(host);
  if (port) {
    if (port[1] !== "") url.port = port[1];
    host = host.slice(0, -port[0].length);
  }
  const isAddress = host.startsWith("[") && host.endsWith("]");
  if (isAddress) {
    if (/[\0\t\n\r #%/<>?@\\^|]/.test(host)) throw invalid(rest);
  } else {
    if (host.startsWith("[")) throw invalid(rest);
    // What no name can have begins the path.
    const bad = host.search(/[^a-zA-Z0-9.\-+_\u0080-\uffff]/);
    if (bad >= 0) {
      after = `/${host.slice(bad)}${after}`;
      host = host.slice(0, bad);
    }
    if (host.length > 255) host = "";
    host = host.toLowerCase();
    if (/[^\0-\x7f]/.test(host)) {
      host = native("url.toAscii", host);
      if (host === "") throw invalid(rest);
    }
  }
  url.host = host.toLowerCase() + (url.port === null ? "" : `:${url.port}`);
  url.hostname = isAddress ? host.slice(1, -1).toLowerCase() : host;
  return after;
}

Url.prototype.parse = function parse(input, parseQuery, slashesDenoteHost) {
  if (typeof input !== "string") throw invalidType("url", "string", input);
  let rest = input.replace(/^[\s\ufeff]+|[\s\ufeff]+$/g, "");
  const end = rest.search(/[?#]/);
  rest = end < 0 ? rest.replaceAll("\\", "/") : rest.slice(0, end).replaceAll("\\", "/") + rest.slice(end);
  const scheme = /^[a-z0-9.+-]+:/i.exec(rest)?.[0];
  const protocol = scheme?.toLowerCase();
  if (protocol) {
    this.protocol = protocol;
    rest = rest.slice(protocol.length);
  }
  const isScript = protocol === "javascript:";
  let slashes = false;
  if (rest.startsWith("//") && (slashesDenoteHost || protocol || /^\/\/[^@/]+@[^@/]+/.test(rest)) && !isScript) {
    rest = rest.slice(2);
    this.slashes = slashes = true;
  }
  // What is special is written small; `HTTP:a` has a host, `http:a` a path.
  if (!isScript && (slashes || (scheme && !isSlashed(scheme)))) rest = authority(this, rest);
  if (!isScript) rest = escaped(rest);
  const hash = rest.indexOf("#");
  if (hash >= 0) {
    this.hash = rest.slice(hash);
    rest = rest.slice(0, hash);
  }
  const query = rest.indexOf("?");
  if (query >= 0) {
    this.search = rest.slice(query);
    this.query = rest.slice(query + 1);
    if (parseQuery) this.query = querystring.parse(this.query);
    rest = rest.slice(0, query);
  } else if (parseQuery) {
    this.search = null;
    this.query = Object.create(null);
  }
  if (rest !== "") this.pathname = rest;
  else if (isSlashed(protocol) && this.hostname) this.pathname = "/";
  if (this.pathname || this.search) this.path = (this.pathname || "") + (this.search || "");
  this.href = this.format();
  return this;
};

Url.prototype.format = function format() {
  const auth = this.auth ? `${encodeURIComponent(this.auth).replace(/%3A/gi, ":")}@` : "";
  let protocol = this.protocol || "";
  if (protocol && !protocol.endsWith(":")) protocol += ":";
  let pathname = (this.pathname || "").replace(/[?#]/g, encodeURIComponent);
  let host = "";
  if (this.host) host = auth + this.host;
  else if (this.hostname) {
    const name = this.hostname.includes(":") && !/^\[.*\]$/.test(this.hostname) ? `[${this.hostname}]` : this.hostname;
    host = auth + name + (this.port ? `:${this.port}` : "");
  }
  const query = this.query !== null && typeof this.query === "object" ? querystring.stringify(this.query) : "";
  let search = this.search || (query && `?${query}`) || "";
  if (search && !search.startsWith("?")) search = `?${search}`;
  let hash = this.hash || "";
  if (hash && !hash.startsWith("#")) hash = `#${hash}`;
  if (this.slashes || isSlashed(protocol)) {
    if (this.slashes || host) {
      if (pathname && !pathname.startsWith("/")) pathname = `/${pathname}`;
      host = `//${host}`;
    } else if (protocol === "file:") host = "//";
  }
  return protocol + host + pathname + search.replaceAll("#", "%23") + hash;
};

// Takes `.` and `..` out of a path's segments.
function withoutDots(segments, isAbsolute) {
  const kept = [];
  for (const segment of segments) {
    if (segment === ".") continue;
    if (segment !== "..") kept.push(segment);
    else if (kept.length > 0 && kept.at(-1) !== ".." && !(kept.length === 1 && kept[0] === "" && isAbsolute)) kept.pop();
    else if (!isAbsolute) kept.push("..");
  }
  return kept;
}

// Where a scheme has no authority, the host is the first segment of the path.
function withinOpaque(made, relative, path, done) {
  let segments = (made.pathname || "").split("/");
  if (made.host) {
    if (segments[0] === "") segments[0] = made.host;
    else segments.unshift(made.host);
  }
  const wasAbsolute = Boolean(made.pathname?.startsWith("/")) && !made.host;
  if (path) {
    if (path.startsWith("/")) segments = [];
    else segments.pop();
    segments.push(...path.split("/"));
  } else if (relative.search === null) return done();
  if (path || relative.search !== null) {
    made.search = relative.search;
    made.query = relative.query;
  }
  const isAbsolute = path.startsWith("/") || (wasAbsolute && segments[0] === "");
  const isFolder = path !== "" && ["", ".", ".."].includes(segments.at(-1)) && segments.length > 1;
  const kept = withoutDots(segments, isAbsolute || !path).filter((segment) => isAbsolute || segment !== "..");
  if (isFolder && kept.at(-1) !== "") kept.push("");
  made.port = null;
  made.host = made.hostname = isAbsolute ? "" : kept.shift() ?? "";
  made.pathname = isAbsolute ? kept.join("/") : kept.length > 0 ? `/${kept.join("/")}` : null;
  const at = made.host.lastIndexOf("@");
  if (at > 0) {
    made.auth = made.host.slice(0, at);
    made.host = made.hostname = made.host.slice(at + 1);
  }
  return done();
}

Url.prototype.resolve = function resolve(relative) {
  return this.resolveObject(urlParse(relative, false, true)).format();
};

Url.prototype.resolveObject = function resolveObject(relative) {
  if (typeof relative === "string") relative = urlParse(relative, false, true);
  const made = Object.assign(new Url(), this);
  made.hash = relative.hash;
  const take = (...names) => {
    for (const name of names) made[name] = relative[name];
  };
  const done = () => {
    made.path = made.pathname || made.search ? (made.pathname || "") + (made.search || "") : null;
    made.href = made.format();
    return made;
  };
  if (relative.href === "") return done();
  if (relative.protocol && relative.protocol !== made.protocol && !isSlashed(relative.protocol)) {
    return Object.assign(made, relative);
  }
  const where = ["auth", "host", "hostname", "port", "pathname", "search", "query"];
  if (relative.slashes && !relative.protocol) {
    take("slashes", ...where);
    if (isSlashed(made.protocol) && made.hostname && !made.pathname) made.pathname = "/";
    return done();
  }
  if (relative.protocol && relative.protocol !== made.protocol) {
    take("protocol", ...where);
    made.slashes = this.slashes || relative.slashes;
    if (!relative.host && relative.protocol !== "file:") {
      // The first segment stands for the host that was left out.
      const segments = (relative.pathname || "").replace(/^\/+/, "").split("/");
      made.host = made.hostname = segments.shift() || "";
      made.pathname = segments[0] === "" && segments.length > 1 ? segments.join("/") : `/${segments.join("/")}`;
    }
    return done();
  }
  const path = relative.pathname || "";
  made.slashes = this.slashes || relative.slashes;
  let segments;
  if (made.protocol && !isSlashed(made.protocol) && !relative.host) return withinOpaque(made, relative, path, done);
  if (relative.host !== null || path.startsWith("/")) {
    if (relative.host !== null) {
      take("auth", "host", "hostname", "port");
    }
    segments = path.split("/");
    take("search", "query");
  } else if (path) {
    segments = (made.pathname || "").split("/");
    segments.pop();
    segments.push(...path.split("/"));
    if (made.host && segments[0] !== "") segments.unshift("");
    take("search", "query");
  } else {
    if (relative.search !== null) take("search", "query");
    if (relative.search !== null || !made.pathname) return done();
    segments = made.pathname.split("/");
  }
  const isAbsolute = segments[0] === "" && segments.length > 1;
  const isFolder = ["", ".", ".."].includes(segments.at(-1)) && (made.host || segments.length > 1);
  const kept = withoutDots(segments, isAbsolute);
  if (isFolder && kept.at(-1) !== "") kept.push("");
  if (isAbsolute && kept.length === 1) kept.push("");
  made.pathname = kept.join("/") || null;
  if (relative.auth) made.auth = relative.auth;
  return done();
};

function urlParse(url, parseQuery, slashesDenoteHost) {
  return url instanceof Url ? url : new Url().parse(url, parseQuery, slashesDenoteHost);
}

function urlFormat(url, options) {
  if (typeof url === "string") return urlParse(url).format();
  if (typeof url !== "object" || url === null) throw invalidType("urlObject", ["Object", "string"], url);
  if (!(url instanceof URL)) return Url.prototype.format.call(Object.assign(new Url(), url));
  const { fragment = true, unicode = false, search = true, auth = true } = options ?? {};
  if (fragment && search && auth && !unicode) return url.href;
  const copy = new URL(url.href);
  if (!auth) copy.username = copy.password = "";
  if (!fragment) copy.hash = "";
  if (!search) copy.search = "";
  if (!unicode) return copy.href;
  const { hostname } = copy;
  return hostname === "" ? copy.href : copy.href.replace(hostname, () => native("url.toUnicode", hostname));
}

function fileURLToPath(path) {
  if (typeof path === "string") path = new URL(path);
  else if (!path?.href || !path.protocol) throw invalidType("path", ["string", "URL"], path);
  if (path.protocol !== "file:") throw coded(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (path.hostname !== "") throw coded(TypeError, "ERR_INVALID_FILE_URL_HOST", 'File URL host must be "localhost" or empty on linux');
  if (/%2f/i.test(path.pathname)) {
    throw coded(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters");
  }
  return decodeURIComponent(path.pathname);
}

function pathToFileURL(path) {
  if (typeof path !== "string") throw invalidType("path", "string", path);
  const absolute = path.startsWith("/") ? path : `/${path}`;
  return new URL(`file://${absolute.replace(/[%\\\n\r\t?#]/g, (found) => encodeURIComponent(found))}`);
}

function urlToHttpOptions(url) {
  const { hostname, pathname, port, username, password, hash, search } = url;
  const options = Object.assign(Object.create(null), url, {
    protocol: url.protocol,
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    hash, search, pathname,
    path: `${pathname || ""}${search || ""}`,
    href: url.href,
  });
  if (port !== "") options.port = Number(port);
  if (username || password) options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return options;
}

Object.assign(exports, {
  Url,
  parse: urlParse,
  resolve: (source, relative) => urlParse(source, false, true).resolve(relative),
  resolveObject: (source, relative) => (source ? urlParse(source, false, true).resolveObject(relative) : relative),
  format: urlFormat,
  URL, URLSearchParams,
  domainToASCII: (domain) => native("url.toAscii", `${domain}`),
  domainToUnicode: (domain) => native("url.toUnicode", `${domain}`),
  pathToFileURL, fileURLToPath, urlToHttpOptions,
});
