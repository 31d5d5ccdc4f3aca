exports = async () => {
  const Joi = require("joi");
  const schema = Joi.object({ name: Joi.string().min(3).required(), age: Joi.number().integer().max(99), mail: Joi.string().email({ tlds: { allow: false } }), when: Joi.date().iso(), site: Joi.string().uri(), tags: Joi.array().items(Joi.string()).unique() }).with("age", "name");
  return [schema.validate({ name: "ab" }).error.message, schema.validate({ name: "abc", age: "7", mail: "x@y.zz", site: "https://x.y" }).value, schema.validate({ name: "abc", tags: ["a", "a"] }).error.details[0].type, await schema.validateAsync({}).catch((e) => e.name), schema.describe().type];
};
