// A stock SMTP server, and what comes to it.

import { once } from "node:events";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";

const user = "shop";
const password = "p@ss:word";

/** Takes mail of a client that logs in, and gives it out by address. */
export async function mailbox() {
  const there = [];
  const waiting = [];
  const give = () => {
    for (const one of [...waiting]) {
      const at = there.findIndex((mail) => mail.to.some(({ address }) => address === one.to));
      if (at >= 0) {
        waiting.splice(waiting.indexOf(one), 1);
        one.resolve(there.splice(at, 1)[0]);
      }
    }
  };
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    onAuth: ({ username, password: given }, _session, done) =>
      username === user && given === password ? done(null, { user }) : done(new Error("unknown")),
    onData: (stream, session, done) => {
      const chunks = [];
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", async () => {
        const mail = await PostalMime.parse(Buffer.concat(chunks));
        there.push({ ...mail, envelope: session.envelope });
        give();
        done();
      });
    },
  });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const { port } = server.server.address();
  return {
    env: {
      BACKSTITCH_SMTP_URL: `smtp://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`,
      BACKSTITCH_MAIL_FROM: "Shop <no-reply@shop.example>",
    },
    /** The next mail to an address. */
    next: (to) =>
      new Promise((resolve) => {
        waiting.push({ to, resolve });
        give();
      }),
    /** How many mails nobody has asked for. */
    left: () => there.length,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Both parts of the token in a link, as an app's page reads them. */
export function parts(link) {
  const { searchParams } = new URL(link);
  return { token: searchParams.get("token"), tokenId: searchParams.get("tokenId") };
}
