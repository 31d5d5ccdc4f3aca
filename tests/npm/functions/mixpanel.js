exports = async ({ host, port }) => {
  const mixpanel = require("mixpanel").init("token", { host: `${host}:${port}`, protocol: "http" });
  return [await new Promise((done) => mixpanel.track("event", { a: 1 }, (error) => done(error === undefined ? "sent" : String(error)))), await new Promise((done) => mixpanel.people.set("id", { b: 2 }, (error) => done(error === undefined ? "sent" : String(error))))];
};
