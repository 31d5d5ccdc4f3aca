exports = async ({ base }) => {
  const FormData = require("form-data"), http = require("http");
  const form = new FormData();
  form.append("text", "value"); form.append("file", Buffer.from([1, 2, 3]), { filename: "a.bin", contentType: "application/octet-stream" });
  const text = await new Promise((done, fail) => form.submit(`${base}/echo`, (error, reply) => {
    if (error) return fail(error);
    let all = ""; reply.setEncoding("utf8"); reply.on("data", (part) => (all += part)); reply.on("end", () => done(all));
  }));
  const echoed = JSON.parse(text);
  return [echoed.headers["content-type"].startsWith("multipart/form-data; boundary="), echoed.body.split(form.getBoundary()).length, echoed.body.includes('name="file"; filename="a.bin"'), form.getBuffer().length === form.getLengthSync(), typeof http.STATUS_CODES[200]];
};
