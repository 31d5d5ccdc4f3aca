exports = async () => {
  const yup = require("yup");
  const schema = yup.object({ name: yup.string().required(), age: yup.number().positive().integer().default(3), mail: yup.string().email() });
  return [await schema.validate({ name: "x" }), await schema.validate({ mail: "no" }, { abortEarly: false }).catch((e) => e.errors), await schema.isValid({ name: "x", age: -1 }), schema.cast({ name: 1 })];
};
