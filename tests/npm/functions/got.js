exports = async ({ base }) => {
  const { got } = await import("got");
  const json = await got.post(`${base}/echo`, { json: { a: 1 } }).json();
  const fails = await got(`${base}/status/404`, { retry: { limit: 0 } }).catch((e) => [e.name, e.response.statusCode]);
  const retried = await got(`${base}/flaky/got`, { retry: { limit: 2, calculateDelay: ({ computedValue }) => computedValue && 5 } }).json();
  return [json.body, json.headers["content-type"], fails, retried.tries, await got(`${base}/gzip`).json(), (await got(`${base}/bytes`).buffer()).length];
};
