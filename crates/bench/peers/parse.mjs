// Parse Server with the same work as cloud functions: `parse.mjs MONGODB-URI`.
// package.json names `router` at 2.2.0, since Parse Server uses its inner `Layer`
// without naming a version, for what cloud functions save and find; 2.3.0 changed it.

import { createServer } from "node:http";
import express from "express";
import { ParseServer } from "parse-server";
import * as work from "./work.mjs";

const app = express();
const server = createServer(app);
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const address = `127.0.0.1:${server.address().port}`;
const parse = new ParseServer({
  databaseURI: process.argv[2],
  appId: "bench",
  masterKey: "bench-master-key",
  serverURL: `http://${address}/parse`,
  logLevel: "error",
  silent: true,
  verbose: false,
  cloud: () => {
    for (const name of Object.keys(work)) {
      Parse.Cloud.define(name, ({ params }) => work[name](...params.arguments));
    }
    const find = async (id) => (await new Parse.Query("Note").get(id)).toJSON();
    Parse.Cloud.define("one", ({ params }) => find(params.arguments[0]));
    Parse.Cloud.define("three", ({ params }) => Promise.all(params.arguments.map(find)));
    Parse.Cloud.define("insert", async ({ params }) => {
      // Only with the master key may a save make a class that is not there yet.
      const note = new Parse.Object("Note");
      await note.save(params.arguments[0], { useMasterKey: true });
      return note.id;
    });
  },
});
await parse.start();
app.use("/parse", parse.app);
console.log(address);
