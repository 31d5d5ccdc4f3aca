// Makes `models.json.gz` of the service definitions in the npm package `aws-sdk` (version 2, licence
// Apache-2.0): what is needed to write requests and to read answers.
//
//     npm pack aws-sdk@2.1693.0 && tar xzf aws-sdk-2.1693.0.tgz && node models.mjs package/apis
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const FILES = {
  athena: "athena-2017-05-18", batch: "batch-2016-08-10", cloudwatch: "monitoring-2010-08-01",
  comprehend: "comprehend-2017-11-27", ec2: "ec2-2016-11-15", firehose: "firehose-2015-08-04",
  glacier: "glacier-2012-06-01", iot: "iot-2015-05-28", kinesis: "kinesis-2013-12-02",
  lambda: "lambda-2015-03-31", lexruntimeservice: "runtime.lex-2016-11-28",
  machinelearning: "machinelearning-2014-12-12", mobileanalytics: "mobileanalytics-2014-06-05",
  polly: "polly-2016-06-10", rds: "rds-2014-10-31", redshift: "redshift-2012-12-01",
  rekognition: "rekognition-2016-06-27", s3: "s3-2006-03-01", ses: "email-2010-12-01",
  sfn: "states-2016-11-23", sns: "sns-2010-03-31", sqs: "sqs-2012-11-05", textract: "textract-2018-06-27",
};

const [folder] = process.argv.slice(2);
const services = {};
for (const [name, file] of Object.entries(FILES)) {
  const { metadata, operations, shapes } = JSON.parse(readFileSync(`${folder}/${file}.min.json`, "utf8"));
  // Where names begin with a small letter, all are needed: Go's begin with a capital one.
  const isSmall = ["batch", "glacier", "iot", "lexruntimeservice", "mobileanalytics", "sfn"].includes(name);
  const isJson = metadata.protocol.endsWith("json") && !isSmall;
  const used = {};
  // A shape without what does not matter; nothing for a string.
  const shape = (of, isMember) => {
    if (of === undefined) return undefined;
    const made = {};
    if (isMember) {
      for (const key of ["location", "locationName", "queryName"]) if (of[key] !== undefined) made[key] = of[key];
      if (of.xmlAttribute) made.attribute = true;
      if (of.jsonvalue) made.jsonvalue = true;
      if (of.idempotencyToken) made.token = true;
    }
    for (const key of ["flattened", "timestampFormat", "payload", "wrapper", "resultWrapper"]) if (of[key] !== undefined) made[key] = of[key];
    if (of.xmlNamespace) made.xmlns = of.xmlNamespace.uri ?? of.xmlNamespace;
    if (of.shape !== undefined) {
      keep(of.shape);
      if (used[of.shape] !== undefined) made.shape = of.shape;
      return some(made);
    }
    if (of.type !== undefined && of.type !== "string") made.type = of.type;
    if (of.members) {
      const members = {};
      for (const [key, member] of Object.entries(of.members)) {
        const inner = shape(member, true);
        if (inner !== undefined || !isJson) members[key] = inner ?? 0;
      }
      if (Object.keys(members).length > 0) made.members = members;
    }
    if (of.member) { const inner = shape(of.member, true); if (inner !== undefined) made.member = inner; }
    if (of.key) { const inner = shape(of.key, true); if (inner !== undefined) made.key = inner; }
    if (of.value) { const inner = shape(of.value, true); if (inner !== undefined) made.value = inner; }
    // JSON says itself what is a number, a list or an object.
    if (isJson && made.type !== "blob" && made.type !== "timestamp") {
      const inside = made.members || made.member || made.key || made.value || made.payload || made.location || made.locationName || made.shape || made.token;
      if (!inside) return undefined;
      if (!made.location) delete made.type;
      if (of.type === "map") made.type = "map";
    }
    return some(made);
  };
  const some = (made) => (Object.keys(made).length > 0 ? made : undefined);
  const keep = (key) => {
    if (key in used) return;
    // Shapes that hold themselves end here.
    used[key] = {};
    used[key] = shape(shapes[key], false);
  };
  const made = {};
  for (const [operation, of] of Object.entries(operations)) {
    const entry = {};
    if (of.http?.method && of.http.method !== "POST") entry.method = of.http.method;
    if (of.http?.requestUri) entry.uri = of.http.requestUri;
    if (of.authtype) entry.auth = of.authtype;
    const input = shape(of.input, true), output = shape(of.output, true);
    if (input) entry.input = input;
    if (output) entry.output = output;
    made[operation] = entry;
  }
  for (const key of Object.keys(used)) if (used[key] === undefined) delete used[key];
  const service = { protocol: metadata.protocol, version: metadata.apiVersion, host: metadata.endpointPrefix };
  if (metadata.signingName) service.signing = metadata.signingName;
  if (metadata.targetPrefix) service.target = metadata.targetPrefix;
  if (metadata.jsonVersion) service.json = metadata.jsonVersion;
  if (metadata.xmlNamespace) service.xmlns = metadata.xmlNamespace;
  services[name] = { ...service, operations: made, shapes: used };
}
const text = JSON.stringify(services);
const packed = gzipSync(text, { level: 9 });
writeFileSync("models.json.gz", packed);
console.log(`${Object.keys(services).length} services, ${text.length} bytes, ${packed.length} packed`);
for (const [k,v] of Object.entries(services)) console.error(k, JSON.stringify(v).length);
