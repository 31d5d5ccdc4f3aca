exports = async ({ base }) => {
  const { JWT, OAuth2Client, GoogleAuth } = require("google-auth-library"), { generateKeyPairSync } = require("crypto");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } });
  const oauth = new OAuth2Client({ clientId: "id", clientSecret: "s", redirectUri: "https://x.y/cb", endpoints: { oauth2TokenUrl: `${base}/token` } });
  const { tokens } = await oauth.getToken("code");
  const jwt = new JWT({ email: "a@example.com", key: privateKey, scopes: ["s"] });
  jwt.useJWTAccessWithScope = true;
  const headers = await jwt.getRequestHeaders("https://x.y/");
  return [tokens.access_token, oauth.generateAuthUrl({ scope: "a" }).includes("client_id=id"), headers.Authorization.startsWith("Bearer ey"), typeof GoogleAuth];
};
