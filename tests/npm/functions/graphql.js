exports = async () => {
  const { graphql, buildSchema, parse, print } = require("graphql");
  const schema = buildSchema("type Query { hello(name: String!): String, list: [Int] }");
  return [await graphql({ schema, source: '{ hello(name: "you") list }', rootValue: { hello: ({ name }) => `hi ${name}`, list: async () => [1, 2] } }), (await graphql({ schema, source: "{ nothing }" })).errors[0].message, print(parse("{a{b}}"))];
};
