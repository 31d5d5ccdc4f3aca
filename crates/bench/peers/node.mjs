// A bare HTTP server of Node: a call is a name and arguments, as JSON.

import { createServer } from "node:http";
import * as work from "./work.mjs";

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { name, arguments: list } = JSON.parse(Buffer.concat(parts).toString());
    const body = JSON.stringify(work[name](...list));
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
