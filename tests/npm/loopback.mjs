// The servers that packages speak to: answers that are the same each time.

import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { gzipSync } from "node:zlib";

const chat = (content) => ({ id: "c1", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }] });
const xml = (text) => `<?xml version="1.0" encoding="UTF-8"?>${text}`;

/** Starts both: `{ base, host, port, ports: { smtp }, close }`. */
export async function loopback() {
  const tries = new Map();
  const http = createServer(async (request, reply) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const { method, headers } = request;
    const { pathname: path } = new URL(request.url, "http://x");
    const json = (value, status = 200, more = {}) => {
      reply.writeHead(status, { "content-type": "application/json", ...more });
      reply.end(JSON.stringify(value));
    };
    const text = (value, type, status = 200, more = {}) => {
      reply.writeHead(status, { "content-type": type, ...more });
      reply.end(value);
    };
    const echo = { method, path: request.url, headers, body };
    if (path === "/echo") return json(echo);
    if (path === "/bytes") return text(Buffer.from([0, 255, 128, 10]), "application/octet-stream");
    if (path === "/gzip") return text(gzipSync('{"packed":true}'), "application/json", 200, { "content-encoding": "gzip" });
    if (path === "/redirect") return text("", "text/plain", 302, { location: "/echo" });
    if (path === "/slow") return setTimeout(() => json({ late: true }), 3000).unref();
    if (path.startsWith("/status/")) return text("no", "text/plain", Number(path.slice(8)));
    if (path.startsWith("/flaky/")) {
      const count = (tries.get(path) ?? 0) + 1;
      tries.set(path, count === 2 ? 0 : count);
      return count === 2 ? json({ tries: count }) : text("no", "text/plain", 503);
    }
    if (path === "/jwks") return json({ keys: [] });
    if (path === "/token") return json({ access_token: "at", token_type: "Bearer", expires_in: 3600 });
    if (path === "/v1/customers" && method === "GET") return json({ object: "list", data: [{ id: "cus_1" }, { id: "cus_2" }], has_more: false, url: path });
    if (path === "/v1/customers") return json({ id: "cus_1", object: "customer", echo });
    if (path === "/v1/charges/bad") return json({ error: { type: "card_error", code: "card_declined", message: "no" } }, 402);
    if (path.endsWith("/Messages.json")) return json({ sid: "SM1", body: new URLSearchParams(body).get("Body") }, 201);
    if (path === "/v3/mail/send" && body.includes('"fail"')) return json({ errors: [{ message: "refused" }] }, 400);
    if (path === "/v3/mail/send") return text("", "text/plain", 202, { "x-echo-authorization": headers.authorization });
    if (path === "/v3/example.com/messages") return json({ id: "<1@example.com>", message: "Queued" });
    if (path === "/v1/chat/completions" && JSON.parse(body).stream) {
      const lines = ["a", "b"].map((content) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      return text(`${lines.join("")}data: [DONE]\n\n`, "text/event-stream");
    }
    if (path === "/v1/chat/completions") return json(chat("hello"));
    if (path === "/v1/models/missing") return json({ error: { message: "no such model" } }, 404);
    if (path === "/1/indexes/things/query") return json({ hits: [{ objectID: "7" }], nbHits: 1 });
    if (path === "/1/indexes/things/batch") return json({ objectIDs: ["1"], taskID: 1 });
    if (path === "/api/chat.postMessage") return json(body.includes("bad") ? { ok: false, error: "channel_not_found" } : { ok: true, ts: "1.2" });
    if (path === "/track" || path === "/engage") return text("1", "text/plain");
    if (headers["x-amz-target"]?.endsWith(".GetItem")) return json({ Item: { id: { N: "1" }, list: { L: [{ S: "x" }] } } });
    if (path.startsWith("/b") && path.endsWith("/missing")) {
      return text(method === "HEAD" ? "" : xml("<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"), "application/xml", 404);
    }
    if (path.startsWith("/b") && method === "PUT") return text("", "application/xml", 200, { etag: '"e1"' });
    if (path.startsWith("/b/key")) return text("content", "text/plain", 200, { etag: '"e1"' });
    if (path === "/b" || path === "/b/") return text(xml("<ListBucketResult><Name>b</Name><Contents><Key>k</Key><Size>7</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>"), "application/xml");
    json({ error: `nothing at ${method} ${request.url}` }, 404);
  });
  const smtp = createSocket((socket) => {
    socket.on("error", () => {});
    let data = false;
    let rest = "";
    socket.write("220 here\r\n");
    socket.on("data", (part) => {
      rest += part;
      for (let end; (end = rest.indexOf("\r\n")) >= 0;) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (data) {
          if (line === ".") {
            data = false;
            socket.write("250 taken\r\n");
          }
          continue;
        }
        const verb = line.slice(0, 4).toUpperCase();
        if (verb === "EHLO") socket.write("250-here\r\n250 AUTH PLAIN\r\n");
        else if (verb === "AUTH") socket.write("235 welcome\r\n");
        else if (verb === "DATA") {
          data = true;
          socket.write("354 go\r\n");
        } else if (verb === "QUIT") socket.end("221 bye\r\n");
        else socket.write("250 ok\r\n");
      }
    });
  });
  const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
  const port = await listening(http);
  const ports = { smtp: await listening(smtp) };
  const close = () => {
    http.closeAllConnections();
    http.close();
    smtp.close();
  };
  return { base: `http://127.0.0.1:${port}`, host: "127.0.0.1", port, ports, close };
}
