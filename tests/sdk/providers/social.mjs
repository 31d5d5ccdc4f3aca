// What Apple and Facebook answer, as far as a login goes: no stock server plays
// them. Whoever comes is let in, or not, by two links.

import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Serves both; `asked` has what was asked of its pages, oldest first. */
export async function social() {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const codes = new Map();
  const asked = [];
  let first = true;

  /** An answer of Apple or Facebook to a login: a link that is clicked. */
  const choices = (query) => {
    asked.push(Object.fromEntries(query));
    const code = randomBytes(16).toString("hex");
    codes.set(code, query.get("redirect_uri"));
    const state = query.get("state");
    if (query.get("response_mode") === "form_post") {
      const form = (id, fields) =>
        `<form method="post" action="${query.get("redirect_uri")}">${Object.entries(fields)
          .map(([name, value]) => `<input type="hidden" name="${name}" value='${value}'>`)
          .join("")}<button id="${id}">${id}</button></form>`;
      // Apple tells the name once.
      const user = first ? { user: JSON.stringify({ name: { firstName: "Ada", lastName: "Lovelace" } }) } : {};
      first = false;
      return form("allow", { state, code, ...user }) + form("deny", { state, error: "user_cancelled_authorize" });
    }
    const to = (fields) => `${query.get("redirect_uri")}?${new URLSearchParams({ state, ...fields })}`;
    return `<a id="allow" href="${to({ code })}">allow</a>
      <a id="deny" href="${to({ error: "access_denied", error_description: "Permissions error" })}">deny</a>`;
  };

  /** A code counts once, and with the redirect URI that it was asked for with. */
  const redeemed = (fields) => {
    const uri = codes.get(fields.get("code"));
    codes.delete(fields.get("code"));
    return uri !== undefined && uri === fields.get("redirect_uri");
  };

  const idToken = (issuer, audience) => {
    const now = Math.floor(Date.now() / 1000);
    const said = {
      iss: issuer,
      aud: audience,
      sub: "apple-ada",
      email: "ada@example.com",
      email_verified: "true",
      iat: now,
      exp: now + 600,
    };
    const text = `${encoded({ alg: "RS256", kid: "one" })}.${encoded(said)}`;
    return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    let body = "";
    for await (const piece of request) body += piece;
    const fields = request.method === "POST" ? new URLSearchParams(body) : url.searchParams;
    const json = (status, value) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    const refused = () => json(400, { error: "invalid_grant" });
    switch (url.pathname) {
      case "/apple/authorize":
      case "/facebook/authorize":
        response.setHeader("content-type", "text/html");
        return response.end(choices(url.searchParams));
      case "/apple/token":
        return redeemed(fields)
          ? json(200, {
              access_token: "a",
              token_type: "Bearer",
              expires_in: 3600,
              id_token: idToken(`${base}/apple`, fields.get("client_id")),
            })
          : refused();
      case "/apple/keys":
        return json(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }] });
      case "/graph/oauth/access_token":
        return redeemed(fields)
          ? json(200, { access_token: "facebook-token", token_type: "bearer", expires_in: 3600 })
          : json(400, { error: { message: "This authorization code has been used.", code: 100 } });
      case "/graph/debug_token":
        return json(200, { data: { app_id: "facebook-client", is_valid: true, user_id: "facebook-ada" } });
      case "/graph/app":
        return json(200, { id: "facebook-client" });
      case "/graph/me":
        return json(200, {
          id: "facebook-ada",
          name: "Ada Lovelace",
          first_name: "Ada",
          last_name: "Lovelace",
          email: "ada@example.com",
        });
      default:
        return json(404, {});
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const base = `http://127.0.0.1:${port}`;
  return {
    asked,
    /** What a server is told of it; its pages are on what is another site to a browser. */
    endpoints: [
      `apple.authorize=http://localhost:${port}/apple/authorize`,
      `apple.token=${base}/apple/token`,
      `apple.keys=${base}/apple/keys`,
      `apple.issuer=${base}/apple`,
      `facebook.authorize=http://localhost:${port}/facebook/authorize`,
      `facebook.graph=${base}/graph`,
    ],
    close: () => server.close(),
  };
}

