// A stock OpenID provider in a process of its own, in Google's place. Prints its
// URL, then reads one line: the client that it serves, as JSON.

import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);
const [line] = await once(createInterface({ input: process.stdin }), "line");

/** Who logs in as NAME is NAME@example.com. */
const account = (id) => ({
  accountId: id,
  claims: () => ({
    sub: `google-${id}`,
    email: `${id}@example.com`,
    email_verified: id !== "unverified",
    name: `${id} of Example`,
    given_name: id,
    family_name: "of Example",
    picture: `https://example.com/${id}.png`,
  }),
});
const provider = new Provider(issuer, {
  clients: [{ token_endpoint_auth_method: "client_secret_post", ...JSON.parse(line) }],
  claims: {
    email: ["email", "email_verified"],
    profile: ["name", "given_name", "family_name", "picture"],
  },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => account(id),
  pkce: { required: () => true },
  cookies: { keys: ["a key of a test"] },
});
server.on("request", provider.callback());
