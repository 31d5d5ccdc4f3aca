exports = async ({ host, port }) => {
  const Stripe = require("stripe");
  const stripe = new Stripe("sk_test_1", { host, port, protocol: "http", maxNetworkRetries: 0 });
  const customer = await stripe.customers.create({ email: "a@example.com", metadata: { k: "v" } });
  const fails = await stripe.charges.retrieve("bad").catch((e) => [e.type, e.statusCode, e.code]);
  const payload = JSON.stringify({ id: "evt_1", object: "event" });
  const header = stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_1" });
  return [customer.id, customer.echo.body, customer.echo.headers.authorization, customer.echo.headers["content-type"], fails, stripe.webhooks.constructEvent(payload, header, "whsec_1").id, (() => { try { stripe.webhooks.constructEvent(payload, header, "other"); } catch (e) { return e.type; } })()];
};
