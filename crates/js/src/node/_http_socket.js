// HTTP/1.1 over a connection that a function made itself: by an agent of a
// package, to a proxy. All other requests are the host's.

const { Buffer } = require("buffer");
const errors = require("_errors");
const { IncomingMessage, reset } = require("_http_message");

const HEAD_BYTES_MAX = 128 * 1024;

const broken = (code, message) => errors.coded(Error, code, `Parse Error: ${message}`);

// Gets the connection of a request.
function start(request, agent, options) {
  const done = (error, socket) => request.onSocket(socket ?? null, error);
  // Until it is there, what is written waits.
  request._own = { destroy() {} };
  if (agent === undefined && typeof options.createConnection === "function") {
    let called = false;
    const once = (error, socket) => {
      if (called) return;
      called = true;
      done(error, socket);
    };
    const socket = options.createConnection(options, once);
    if (socket) once(null, socket);
  } else agent.addRequest(request, options);
}

// Sends a request over its connection and reads the answer.
function use(request, socket) {
  request.socket = socket;
  const parser = new Parser(request, socket);
  const onData = (bytes) => {
    request._touch();
    try {
      parser.feed(bytes);
    } catch (error) {
      request.destroy(error);
    }
  };
  const onEnd = () => parser.end();
  const onError = (error) => request.destroy(error);
  const onClose = () => parser.end();
  const detach = () => {
    socket.removeListener("data", onData);
    socket.removeListener("end", onEnd);
    socket.removeListener("error", onError);
    socket.removeListener("close", onClose);
  };
  parser.detach = detach;
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("error", onError);
  socket.on("close", onClose);
  request._own = {
    // Written before there is a connection: it waits by itself.
    send(body) { socket.write(head(request, body)); },
    destroy() {
      detach();
      if (!parser.handedOver) socket.destroy();
    },
  };
  request.emit("socket", socket);
  request._start();
}

function head(request, body) {
  let text = `${request.method} ${request.path} HTTP/1.1\r\n`;
  for (const [name, value] of request._pairs()) {
    if (!/^(?:content-length|transfer-encoding)$/i.test(name)) text += `${name}: ${value}\r\n`;
  }
  if (!request.hasHeader("connection")) text += "Connection: close\r\n";
  if (body.length > 0 || /^(?:POST|PUT|PATCH)$/.test(request.method)) text += `Content-Length: ${body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), body]);
}

class Parser {
  constructor(request, socket) {
    this.request = request;
    this.socket = socket;
    this.rest = Buffer.alloc(0);
    this.answer = undefined;
    this.handedOver = false;
    this.done = false;
    // Takes what has come and answers whether it needs more.
    this.step = this.readHead;
  }
  feed(bytes) {
    this.rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    while (!this.done && this.step()) { /* the next step */ }
  }
  line() {
    const at = this.rest.indexOf("\r\n");
    if (at < 0) {
      if (this.rest.length > HEAD_BYTES_MAX) throw broken("HPE_HEADER_OVERFLOW", "Header overflow");
      return undefined;
    }
    const line = this.rest.latin1Slice(0, at);
    this.rest = this.rest.subarray(at + 2);
    return line;
  }
  readHead() {
    const at = this.rest.indexOf("\r\n\r\n");
    if (at < 0) {
      if (this.rest.length > HEAD_BYTES_MAX) throw broken("HPE_HEADER_OVERFLOW", "Header overflow");
      return false;
    }
    const [first, ...lines] = this.rest.latin1Slice(0, at).split("\r\n");
    this.rest = this.rest.subarray(at + 4);
    const status = /^HTTP\/(1\.[01]) (\d{3})(?: (.*))?$/.exec(first);
    if (status === null) throw broken("HPE_INVALID_CONSTANT", "Expected HTTP/");
    const headers = lines.map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw broken("HPE_INVALID_HEADER_TOKEN", "Invalid header token");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const code = Number(status[2]);
    if (code >= 100 && code < 200 && code !== 101) {
      this.request.emit(code === 100 ? "continue" : "information", { statusCode: code, statusMessage: status[3] ?? "" });
      return true;
    }
    const { request, socket } = this;
    const answer = (this.answer = new IncomingMessage(socket));
    answer._begin({ headers, status: code, reason: status[3], version: status[1] }, request);
    answer._body = undefined;
    request.res = answer;
    const name = request.method === "CONNECT" ? "connect" : "upgrade";
    if (code === 101 || (name === "connect" && code < 300)) {
      this.finish();
      this.handedOver = true;
      this.detach();
      socket.pause();
      request.upgradeOrConnect = true;
      const rest = this.rest;
      if (!request.emit(name, answer, socket, rest)) socket.destroy();
      request._close();
      return false;
    }
    answer._read = () => socket.resume();
    answer._destroy = (error, callback) => {
      if (!this.done) {
        answer.aborted = true;
        answer.emit("aborted");
      }
      this.detach();
      socket.destroy();
      callback(answer.listenerCount("error") === 0 ? null : error);
    };
    answer.once("close", () => request._close());
    const { headers: folded } = answer;
    if (request.method === "HEAD" || code === 204 || code === 304) this.finish();
    else if (/\bchunked$/i.test(folded["transfer-encoding"] ?? "")) this.step = this.readSize;
    else if (folded["content-length"] !== undefined) {
      if (!/^\d+$/.test(folded["content-length"])) throw broken("HPE_INVALID_CONTENT_LENGTH", "Invalid character in Content-Length");
      this.left = Number(folded["content-length"]);
      this.step = this.readLength;
    } else {
      this.untilEnd = true;
      this.step = this.readAll;
    }
    if (request.aborted || !request.emit("response", answer)) answer._dump();
    return true;
  }
  push(bytes) {
    if (bytes.length > 0 && !this.answer.push(bytes)) this.socket.pause();
  }
  take(most) {
    const bytes = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(bytes.length);
    return bytes;
  }
  readLength() {
    const bytes = this.take(this.left);
    this.left -= bytes.length;
    this.push(bytes);
    if (this.left === 0) this.finish();
    return false;
  }
  readAll() {
    this.push(this.take(this.rest.length));
    return false;
  }
  readSize() {
    const line = this.line();
    if (line === undefined) return false;
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line);
    if (size === null) throw broken("HPE_INVALID_CHUNK_SIZE", "Invalid character in chunk size");
    this.left = parseInt(size[1], 16);
    this.step = this.left === 0 ? this.readTrailer : this.readChunk;
    return true;
  }
  readChunk() {
    const bytes = this.take(this.left);
    this.left -= bytes.length;
    this.push(bytes);
    if (this.left > 0) return false;
    this.step = this.readChunkEnd;
    return true;
  }
  readChunkEnd() {
    const line = this.line();
    if (line === undefined) return false;
    if (line !== "") throw broken("HPE_STRICT", "Expected LF after chunk data");
    this.step = this.readSize;
    return true;
  }
  readTrailer() {
    const line = this.line();
    if (line === undefined) return false;
    if (line === "") {
      this.finish();
      return false;
    }
    const colon = line.indexOf(":");
    if (colon > 0) this.answer._trailing.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    return true;
  }
  finish() {
    this.done = true;
    this.answer.complete = true;
    this.answer.push(null);
  }
  // The other side sends no more.
  end() {
    if (this.done) return;
    if (this.untilEnd) {
      this.finish();
      return;
    }
    if (this.answer === undefined) this.request.destroy(reset("socket hang up"));
    else this.answer.destroy(reset("aborted"));
    this.done = true;
  }
}

Object.assign(exports, { start, use });
