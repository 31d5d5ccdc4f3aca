exports = async () => {
  const Ajv = require("ajv"), formats = require("ajv-formats");
  const ajv = formats(new Ajv({ allErrors: true, useDefaults: true }));
  const check = ajv.compile({ type: "object", required: ["a"], properties: { a: { type: "integer", minimum: 2 }, mail: { type: "string", format: "email" }, d: { default: 5 } }, additionalProperties: false });
  const good = { a: 3 };
  return [check(good), good, check({ a: 1, mail: "x", z: 1 }), check.errors.map((e) => [e.keyword, e.instancePath]), ajv.validate({ type: "string", pattern: "^\\p{L}+$" }, "äö")];
};
