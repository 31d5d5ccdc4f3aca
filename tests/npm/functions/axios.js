exports = async ({ base }) => {
  const axios = require("axios");
  const api = axios.create({ baseURL: base, headers: { "x-test": "1" }, timeout: 5000 });
  api.interceptors.request.use((config) => { config.headers["x-seen"] = "yes"; return config; });
  const post = await api.post("/echo?q=1", { a: 1 });
  const form = await api.post("/echo", new URLSearchParams({ b: "2" }));
  const fails = await api.get("/status/404").catch((e) => [e.isAxiosError, e.response.status, e.code, e.message]);
  const gone = await axios.get("http://127.0.0.1:1/").catch((e) => e.code);
  const bytes = (await api.get("/bytes", { responseType: "arraybuffer" })).data;
  const gzip = (await api.get("/gzip")).data;
  const moved = (await api.get("/redirect")).data.path;
  const none = await api.get("/redirect", { maxRedirects: 0 }).catch((e) => e.response.status);
  const late = await api.get("/slow", { timeout: 50 }).catch((e) => e.code);
  const stopped = await api.get("/slow", { signal: AbortSignal.timeout(50) }).catch((e) => e.code);
  return [post.status, post.data.method, post.data.path, post.data.body, post.data.headers["content-type"], post.data.headers["x-test"], post.data.headers["x-seen"], form.data.body, form.data.headers["content-type"], fails, gone, Buffer.isBuffer(bytes), [...bytes], gzip, moved, none, late, stopped, axios.VERSION.split(".")[0]];
};
