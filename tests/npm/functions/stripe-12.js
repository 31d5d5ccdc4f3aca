exports = async ({ host, port }) => {
  const stripe = require("stripe-12")("sk_test_1", { host, port, protocol: "http" });
  const list = await stripe.customers.list({ limit: 2 });
  return [list.data.map((c) => c.id), (await stripe.customers.create({ email: "x" })).id];
};
