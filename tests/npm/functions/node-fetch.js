exports = async ({ base }) => {
  const fetch = (await import("node-fetch")).default;
  const reply = await fetch(`${base}/echo`, { method: "POST", body: JSON.stringify({ a: 1 }), headers: { "Content-Type": "application/json" } });
  const json = await reply.json();
  const gzip = await (await fetch(`${base}/gzip`)).json();
  return [reply.ok, reply.status, json.body, json.headers["content-type"], gzip, (await fetch(`${base}/redirect`)).redirected, await fetch("http://127.0.0.1:1/").catch((e) => [e.name, e.code])];
};
