exports = async ({ base }) => {
  const OpenAI = require("openai");
  const client = new OpenAI({ apiKey: "k", baseURL: `${base}/v1`, maxRetries: 0 });
  const answer = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "hi" }] });
  const parts = [];
  for await (const part of await client.chat.completions.create({ model: "m", messages: [], stream: true })) parts.push(part.choices[0].delta.content);
  return [answer.choices[0].message.content, parts, await client.models.retrieve("missing").catch((e) => [e.status, e.constructor.name])];
};
