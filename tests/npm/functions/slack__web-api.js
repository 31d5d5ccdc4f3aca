exports = async ({ base }) => {
  const { WebClient } = require("@slack/web-api");
  const slack = new WebClient("xoxb-1", { slackApiUrl: `${base}/api/`, retryConfig: { retries: 0 } });
  const sent = await slack.chat.postMessage({ channel: "C1", text: "hi" });
  return [sent.ok, sent.ts, await slack.chat.postMessage({ channel: "bad", text: "x" }).catch((e) => [e.code, e.data.error])];
};
