exports = async () => {
  const { z } = require("zod");
  const schema = z.object({ name: z.string().min(2), tags: z.array(z.enum(["a", "b"])).optional(), at: z.coerce.date(), n: z.union([z.number(), z.string().regex(/^\d+$/u).transform(Number)]) }).strict();
  return [JSON.parse(JSON.stringify(schema.parse({ name: "xy", at: "2020-01-01T00:00:00Z", n: "7" }))), schema.safeParse({ name: "x", at: 0, n: "q", more: 1 }).error.issues.map((i) => [i.code, i.path]), z.string().email().safeParse("a@b.cc").success];
};
