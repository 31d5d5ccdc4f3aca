// Completes what the link of a mail is for, as an app would do it.
"use strict";

const form = document.getElementById("form");
const status = document.getElementById("status");

// Links lead here with the tokens in the fragment; an app that names this page as
// its own has them in the query.
const given = new URLSearchParams(location.hash.slice(1));
const asked = new URLSearchParams(location.search);
const token = given.get("token") ?? asked.get("token");
const tokenId = given.get("tokenId") ?? asked.get("tokenId");

function say(text, failed) {
  status.textContent = text;
  status.className = failed ? "failed" : "";
  status.focus();
}

/** The server's words where they help, else what to do now. */
function explained(code, error, wait) {
  switch (code) {
    case "UserpassTokenInvalid":
      return "This link was used already or is too old. Ask for a new one.";
    case "TooManyRequests":
      return `There were too many tries. Try again in ${wait ?? "some"} seconds.`;
    case "BadRequest":
      return error === "invalid token data" ? "This link is not complete." : `This does not work: ${error}.`;
    default:
      return "This does not work at the moment. Try again later.";
  }
}

async function send(fields) {
  const [, app] = location.pathname.match(/\/app\/([^/]+)\/auth\/[^/]*$/) ?? [];
  const path = `../../../api/client/v2.0/app/${app}/auth/providers/local-userpass/${form.dataset.verb}`;
  const reply = await fetch(new URL(path, location.href), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ token, tokenId, ...fields }),
    credentials: "omit",
    referrerPolicy: "no-referrer",
  });
  if (reply.ok) {
    return undefined;
  }
  const { error, error_code } = await reply.json().catch(() => ({}));
  return explained(error_code, error, reply.headers.get("retry-after"));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = form.elements.namedItem("password");
  const again = form.elements.namedItem("again");
  if (password) {
    const length = [...password.value].length;
    if (length < 6 || length > 128) {
      say("A password has 6 to 128 characters.", true);
      return;
    }
    if (password.value !== again.value) {
      say("The two passwords are not the same.", true);
      return;
    }
  }
  const button = form.querySelector("button");
  button.disabled = true;
  say("One moment…", false);
  const refusal = await send(password ? { password: password.value } : {}).catch(() =>
    explained(),
  );
  button.disabled = false;
  if (refusal) {
    say(refusal, true);
    return;
  }
  form.hidden = true;
  // The link is used: nobody needs to find it in the history.
  history.replaceState(null, "", location.pathname);
  say(form.dataset.done, false);
});

if (token && tokenId) {
  form.hidden = false;
} else {
  say("This link is not complete.", true);
}
