exports = async ({ base }) => {
  const twilio = require("twilio");
  class Local extends twilio.RequestClient { request(options) { return super.request({ ...options, uri: options.uri.replace("https://api.twilio.com", base) }); } }
  const client = twilio("AC00000000000000000000000000000000", "token", { httpClient: new Local() });
  const message = await client.messages.create({ to: "+1", from: "+2", body: "hi ü" });
  const token = new twilio.jwt.AccessToken("AC1", "SK1", "secret", { identity: "me" });
  token.addGrant(new twilio.jwt.AccessToken.VideoGrant({ room: "r" }));
  const voice = new twilio.twiml.VoiceResponse(); voice.say("hello");
  return [message.sid, message.body, JSON.parse(Buffer.from(token.toJwt().split(".")[1], "base64")).grants, voice.toString(), twilio.validateRequest("t", "x", "https://y", {})];
};
