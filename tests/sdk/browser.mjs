// A real browser, and pages with the SDK as an app has them.

import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium as driver } from "playwright-core";

const sdk = new URL("node_modules/realm-web/dist/bundle.iife.js", import.meta.url);
const folders = (process.env.PATH ?? "").split(":");
const chromium =
  process.env.CHROMIUM ?? folders.map((folder) => join(folder, "chromium")).find((file) => existsSync(file));

/** A browser with a profile of its own; it keeps cookies from site to site if told so. */
export async function browse({ crossing = false } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "backstitch-browser-"));
  const preferences = { profile: { cookie_controls_mode: crossing ? 0 : 1 } };
  await mkdir(join(profile, "Default"));
  await writeFile(join(profile, "Default/Preferences"), JSON.stringify(preferences));
  const context = await driver.launchPersistentContext(profile, {
    executablePath: chromium,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-popup-blocking",
    ],
  });
  context.setDefaultTimeout(30_000);
  const close = context.close.bind(context);
  context.close = async () => {
    await close();
    await rm(profile, { recursive: true, force: true });
  };
  return context;
}

const page = `<!doctype html>
<title>app</title>
<script src="/realm.js"></script>
<script>
  window.open_ = (id, baseUrl) => (window.app = new Realm.App({ id, baseUrl }));
  // What becomes of a login is asked for later: a window has to be dealt with first.
  window.begin = (what, provider) => {
    const credentials =
      provider === "google"
        ? Realm.Credentials.google({ redirectUrl: location.origin + "/back" })
        : Realm.Credentials[provider](location.origin + "/back");
    const done =
      what === "link" ? app.currentUser.linkCredentials(credentials) : app.logIn(credentials);
    window.result = done.then(
      () => ({
        id: app.currentUser.id,
        profile: app.currentUser.profile,
        identities: app.currentUser.identities,
      }),
      (error) => ({ error: String(error) }),
    );
  };
</script>`;
const back = `<!doctype html>
<title>back</title>
<script src="/realm.js"></script>
<script>
  window.came = location.hash;
  Realm.handleAuthRedirect();
</script>`;

/** Serves an app's pages; `/back` is where logins lead. */
export async function pages() {
  const script = await readFile(sdk);
  const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    response.setHeader("content-type", path === "/realm.js" ? "text/javascript" : "text/html");
    response.end(path === "/realm.js" ? script : path === "/back" ? back : page);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return {
    near: `http://127.0.0.1:${port}`,
    /** The same pages on what is another site to a browser. */
    far: `http://localhost:${port}`,
    close: () => server.close(),
  };
}
