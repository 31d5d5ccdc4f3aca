//! Logging in by way of a provider's page: the browser is sent there with a
//! sealed state, and comes back with it and a code (client-api.md §2.9).
//!
//! All that is known of a login which has not come back is in its state, sealed
//! with a key that the servers share. Any of them may take it back, and a flood
//! of logins that never come back leaves nothing behind. A state counts for ten
//! minutes, once, and together with the secret that the browser which began was
//! given: a link to somebody else's login, half done, leads nowhere.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bson::Document;
use config::Kind as Node;
use kit::{Kind, Problem, limit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use state::SpentFlow;
use url::Url;

use super::events::Happening;
use super::login::Proven;
use super::metadata;
use super::social::{APPLE, APPLE_NAME, FACEBOOK, GOOGLE, restrictions};
use super::{Device, Login, invalid_session};
use crate::caller::RequestInfo;
use crate::{App, Backstitch, User, stored};

/// What seals states, and nothing else.
const PURPOSE: &str = "logins by way of providers' pages";
/// Longest part of a name that a provider tells by way of the browser.
const NAME_CHARS_MAX: usize = 256;
/// Longest text of a provider's refusal that is passed on.
const REFUSAL_CHARS_MAX: usize = 256;

/// A login that a browser begins.
#[derive(Debug, Clone, Copy)]
pub struct FlowStart<'r> {
    /// The provider's name.
    pub provider: &'r str,
    /// Where the browser shall be in the end.
    pub redirect: &'r str,
    /// What the app recognizes its login by.
    pub state: &'r str,
    /// The device: JSON in base64; empty when it says nothing of itself.
    pub device: &'r str,
    /// Who adds an identity instead of logging in.
    pub link: Option<&'r User>,
    /// The URL to which the provider sends the browser back.
    pub callback: &'r str,
}

/// A login that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The provider's page.
    pub location: String,
    /// What the browser has to bring along when it comes back.
    pub secret: String,
}

/// What a provider sent back, by way of the browser.
#[derive(Debug, Clone, Default)]
pub struct Returned {
    /// What the provider gives tokens for.
    pub code: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
    /// Apple's JSON with the user's name, at the first login.
    pub user: Option<String>,
}

/// A login that came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    app: String,
    provider: String,
    redirect: String,
    state: String,
    device: String,
    callback: String,
    /// PKCE's, for a provider that knows it.
    verifier: Option<String>,
    /// Digest of the browser's secret.
    secret: String,
    /// Until when it counts, in milliseconds since the Unix epoch.
    expires: i64,
    link: Option<Linking>,
    /// The digest of the sealed state.
    #[serde(skip)]
    id: String,
}

/// Who adds an identity, in which session.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Linking {
    user: String,
    session: String,
}

fn not_allowed() -> Problem {
    Problem::bad_request("the redirect URI is not one that the authentication provider allows")
}

fn used_up() -> Problem {
    Problem::bad_request("this login was completed already")
}

impl Flow {
    /// Reads a state that this server, or one that shares its records, made.
    fn open(core: &Backstitch, state: &str) -> Result<Self, Problem> {
        let foreign =
            || Problem::bad_request("the state is not one of a login that was begun here");
        if state.len() > limit::FLOW_RETURNED_BYTES_MAX {
            return Err(foreign());
        }
        let sealed = URL_SAFE_NO_PAD.decode(state).map_err(|_| foreign())?;
        let key = core.master_key.for_purpose(PURPOSE);
        let plain = key.open(&sealed).map_err(|_| foreign())?;
        let mut flow: Self = bson::deserialize_from_slice(&plain).map_err(|_| foreign())?;
        flow.id = state::content_hash(&sealed);
        Ok(flow)
    }

    /// Whether this is the secret that it began with.
    pub fn is_bound_to(&self, secret: &str) -> bool {
        state::digest(secret) == self.secret
    }

    fn sealed(&self, core: &Backstitch) -> Result<String, Problem> {
        let plain = bson::serialize_to_vec(self).map_err(Problem::internal)?;
        let key = core.master_key.for_purpose(PURPOSE);
        Ok(URL_SAFE_NO_PAD.encode(key.seal(&plain)))
    }

    /// What the device said of itself; nothing where that cannot be read.
    fn device(&self) -> Device {
        let text = self.device.trim_end_matches('=');
        let json = STANDARD_NO_PAD
            .decode(text)
            .or_else(|_| URL_SAFE_NO_PAD.decode(text));
        let said = json
            .ok()
            .and_then(|json| kit::ejson::parse_document(&json).ok());
        said.map_or_else(Device::default, |said| Device::new(&said))
    }

    /// Where the browser goes in the end, with how it went; for the SDKs of
    /// today and for those of Stitch.
    fn end(&self, app: &App, how: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("client_app_id", app.client_app_id.as_str()),
            ("state", self.state.as_str()),
        ];
        pairs.extend(how);
        let mut url = escaped(&self.redirect, |byte| byte.is_ascii_graphic());
        let mut before = if url.contains('#') { '&' } else { '#' };
        for prefix in ["_baas_", "_stitch_"] {
            for (name, value) in &pairs {
                url.push(before);
                url.push_str(prefix);
                url.push_str(name);
                url.push('=');
                url.push_str(&escaped(value, |byte| {
                    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
                }));
                before = '&';
            }
        }
        url
    }
}

/// A text whose bytes are escaped unless they may stand as they are.
fn escaped(text: &str, stays: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

impl Backstitch {
    /// The login that a state is of, and its app.
    ///
    /// # Errors
    /// 400 for a state that is none or has run out, 403 when the browser has not
    /// the secret that the login began with, `AppNotFound`.
    pub async fn flow(
        self: &Arc<Self>,
        state: &str,
        secrets: &[String],
    ) -> Result<(Arc<App>, Flow), Problem> {
        let flow = Flow::open(self, state)?;
        if !secrets.iter().any(|secret| flow.is_bound_to(secret)) {
            let text = "this login was not begun in this browser";
            return Err(Problem::new(Kind::Forbidden, "", text));
        }
        if flow.expires <= self.clock.now_ms() {
            return Err(Problem::bad_request(
                "this login took too long: begin again",
            ));
        }
        let app = self.app(&flow.app).await?;
        Ok((app, flow))
    }
}

impl App {
    /// Begins a login by way of a provider's page.
    ///
    /// # Errors
    /// `AuthProviderNotFound`, and `BadRequest` for a redirect that the provider
    /// does not allow and for what is too long.
    pub fn begin_flow(&self, start: FlowStart<'_>) -> Result<Begun, Problem> {
        for (name, text, most) in [
            ("state", start.state, limit::FLOW_STATE_BYTES_MAX),
            ("redirect", start.redirect, limit::FLOW_REDIRECT_BYTES_MAX),
            ("device", start.device, limit::FLOW_DEVICE_BYTES_MAX),
        ] {
            if text.len() > most {
                let text = format!("'{name}' is longer than {most} bytes");
                return Err(Problem::bad_request(text));
            }
        }
        self.provider(start.provider)?;
        if !self.leads_to(start.provider, start.redirect) {
            return Err(not_allowed());
        }
        let secret = random_text();
        let verifier = (start.provider == GOOGLE).then(random_text);
        let flow = Flow {
            app: self.id.clone(),
            provider: start.provider.to_owned(),
            redirect: start.redirect.to_owned(),
            state: start.state.to_owned(),
            device: start.device.to_owned(),
            callback: start.callback.to_owned(),
            secret: state::digest(&secret),
            expires: self.core.clock.now_ms() + limit::FLOW_S * 1000,
            link: start.link.map(|user| Linking {
                user: user.id.clone(),
                session: user.session_id.clone(),
            }),
            verifier,
            id: String::new(),
        };
        let location = self.page_of(&flow)?;
        Ok(Begun { location, secret })
    }

    /// Whether a provider may send browsers there.
    fn leads_to(&self, provider: &str, redirect: &str) -> bool {
        let release = self.release();
        let node = release.config.get(Node::AuthProvider, provider);
        let listed = node.and_then(|node| node.at("/redirect_uris")?.as_array());
        listed.is_some_and(|listed| listed.iter().any(|one| one.as_str() == Some(redirect)))
    }

    /// The provider's page, asked for as the provider wants it.
    fn page_of(&self, flow: &Flow) -> Result<String, Problem> {
        let release = self.release();
        let node = release.config.get(Node::AuthProvider, &flow.provider);
        let client_id = node.and_then(|node| node.at("/config/clientId")?.as_str());
        let asked: Vec<&str> = node.map_or_else(Vec::new, |node| metadata::asked(node).collect());
        let restricted = node.is_some_and(|node| !restrictions(node).is_empty());
        let page = |name: &str| self.core.endpoints.get(name).to_owned();
        let mut more = Vec::new();
        let (page, scope) = match flow.provider.as_str() {
            GOOGLE => (page("google.authorize"), "openid email profile".to_owned()),
            FACEBOOK => {
                let mut scope = "public_profile".to_owned();
                for (field, wanted) in [
                    ("email", "email"),
                    ("gender", "user_gender"),
                    ("birthday", "user_birthday"),
                    ("min_age", "user_age_range"),
                    ("max_age", "user_age_range"),
                ] {
                    let is_wanted = asked.contains(&field) || field == "email" && restricted;
                    if is_wanted && !scope.ends_with(wanted) {
                        scope.push(',');
                        scope.push_str(wanted);
                    }
                }
                (page("facebook.authorize"), scope)
            }
            APPLE => {
                // Apple tells name and address in no other way.
                more.push(("response_mode", "form_post".to_owned()));
                (page("apple.authorize"), "name email".to_owned())
            }
            other => {
                let text = format!("authentication provider has no login page: '{other}'");
                return Err(Problem::new(Kind::NotFound, "AuthProviderNotFound", text));
            }
        };
        if let Some(verifier) = &flow.verifier {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            more.push(("code_challenge", challenge));
            more.push(("code_challenge_method", "S256".to_owned()));
        }
        let mut url = Url::parse(&page).map_err(Problem::internal)?;
        url.query_pairs_mut()
            .append_pair("client_id", client_id.unwrap_or_default())
            .append_pair("redirect_uri", &flow.callback)
            .append_pair("response_type", "code")
            .append_pair("scope", &scope)
            .append_pair("state", &flow.sealed(&self.core)?)
            .extend_pairs(more);
        Ok(url.into())
    }

    /// Completes a login that came back; answers with where the browser goes, be
    /// it with a session or with why there is none.
    ///
    /// # Errors
    /// `BadRequest` where it goes nowhere: the login was completed already, or may
    /// not lead there any more.
    pub async fn finish_flow(
        self: &Arc<Self>,
        flow: &Flow,
        returned: &Returned,
        request: &RequestInfo,
    ) -> Result<String, Problem> {
        if !self.leads_to(&flow.provider, &flow.redirect) {
            return Err(not_allowed());
        }
        let spent = self.core.state.spent_flows.get(&flow.id).await;
        if spent.map_err(stored)?.is_some() {
            return Err(used_up());
        }
        let device = flow.device();
        let happening = Happening::now(self, request, Some(&device));
        let provider = flow.provider.as_str();
        let done = match &flow.link {
            None => {
                let entered = async {
                    let proven = self.redeemed(flow, returned, request).await?;
                    self.enter(&proven, &device, request).await
                };
                self.tell_of_login(provider, entered.await, &happening)
            }
            Some(linking) => {
                let redeemed = self.redeemed(flow, returned, request);
                let linked = self.link_after(linking, provider, redeemed, &happening);
                linked.await
            }
        };
        Ok(match done {
            Ok(login) => {
                let parts = [
                    login.access_token.as_str(),
                    &login.refresh_token,
                    &login.user_id,
                    &login.device_id,
                ];
                let session = parts.join("$");
                // SDKs want the session of a user who linked, too.
                let mut how = vec![("ua", session.as_str())];
                if flow.link.is_some() {
                    how.push(("link", "ok"));
                }
                flow.end(self, &how)
            }
            Err(problem) => {
                if problem.kind == Kind::Internal {
                    let (app, because) = (&self.client_app_id, problem.because.as_deref());
                    tracing::error!(app, provider, because, "{}", problem.message);
                }
                flow.end(self, &[("error", &problem.message)])
            }
        })
    }

    /// Adds the identity that is about to be proven to the user who wanted it, if
    /// the session is one still.
    async fn link_after(
        self: &Arc<Self>,
        linking: &Linking,
        provider: &str,
        proving: impl Future<Output = Result<Proven, Problem>>,
        happening: &Happening<'_>,
    ) -> Result<Login, Problem> {
        let (user, refresh_token) = match self.who_links(linking).await {
            Ok(who) => who,
            Err(problem) => {
                self.log_auth("LINK", provider, None, happening, Some(&problem));
                return Err(problem);
            }
        };
        let added = async { self.add_identity(&user, proving.await?, happening).await };
        let added = added.await;
        let linked = self.linked(&user, provider, added, happening).await?;
        Ok(Login {
            access_token: linked.access_token,
            refresh_token,
            user_id: linked.user_id,
            device_id: linked.device_id,
        })
    }

    /// The user who began to link, and the refresh token of the session: SDKs of
    /// Stitch keep the one that they are told.
    async fn who_links(&self, linking: &Linking) -> Result<(Arc<User>, String), Problem> {
        let (record, session) = self.holder(&linking.user, &linking.session).await?;
        let provider = &session.provider_type;
        let user = User::new(
            &record,
            Document::new(),
            &session.id,
            provider,
            &session.device_id,
        )?;
        self.goes_on(&user).await?;
        let began = record
            .identities
            .iter()
            .find(|one| one.provider_type == *provider);
        let refresh_token = self.refresh_token(&session, began.ok_or_else(invalid_session)?)?;
        Ok((Arc::new(user), refresh_token))
    }

    /// Whose the code is that a provider gave; it counts once.
    async fn redeemed(
        self: &Arc<Self>,
        flow: &Flow,
        returned: &Returned,
        request: &RequestInfo,
    ) -> Result<Proven, Problem> {
        if let Some(error) = &returned.error {
            return Err(refusal(error, returned.error_description.as_deref()));
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| Problem::bad_request("the provider sent no code"))?;
        self.provider(&flow.provider)?;
        // Each costs a request to the provider, and anybody may begin a login and
        // make up a code.
        let _room = self.room_to_ask()?;
        let now = self.core.clock.now_ms();
        let counted = self
            .failures
            .begin(&flow.provider, &request.remote_address, now)?;
        let (uri, verifier) = (Some(flow.callback.as_str()), flow.verifier.as_deref());
        let name = apple_name(returned.user.as_deref().unwrap_or_default());
        let proven = self.by_code(&flow.provider, code, uri, verifier, name);
        let proven = Box::pin(proven).await;
        // What is nobody's fault but the provider's is no try that failed.
        let ours = |problem: &Problem| matches!(problem.kind, Kind::Internal | Kind::Unavailable);
        if proven.as_ref().err().is_none_or(ours) {
            counted.passed();
        }
        let proven = proven?;
        self.spend(flow).await?;
        Ok(proven)
    }

    /// Notes that a login was completed.
    async fn spend(&self, flow: &Flow) -> Result<(), Problem> {
        let spent = &self.core.state.spent_flows;
        let record = SpentFlow {
            id: flow.id.clone(),
            app_id: self.id.clone(),
            expires: flow.expires,
        };
        match spent.insert(&record).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_duplicate_key() => Err(used_up()),
            Err(error) => Err(stored(error)),
        }
    }
}

/// 43 characters that nobody guesses: a verifier of PKCE, a secret of a browser.
fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(state::random_bytes::<32>())
}

/// A provider's refusal, which is passed on as far as it is plain text.
fn refusal(error: &str, description: Option<&str>) -> Problem {
    let plain = |text: &str| -> String {
        let printed = text.chars().filter(|c| !c.is_control());
        printed.take(REFUSAL_CHARS_MAX).collect()
    };
    let mut text = plain(error);
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        text = format!("{text}: {}", plain(description));
    }
    Problem::new(Kind::Unauthenticated, "AuthError", text)
}

/// The name in what Apple sends with the first login. It came through the
/// browser, so it is what the user says, and no address is taken from it.
fn apple_name(user: &str) -> Map<String, Value> {
    let said: Value = serde_json::from_str(user).unwrap_or_default();
    let part = |name: &str| -> String {
        let text = said["name"][name].as_str().unwrap_or_default().trim();
        text.chars().take(NAME_CHARS_MAX).collect()
    };
    let (first, last) = (part("firstName"), part("lastName"));
    let whole = format!("{first} {last}").trim().to_owned();
    let parts = APPLE_NAME.into_iter().zip([whole, first, last]);
    let said = parts.filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| (name.to_owned(), text.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::apple_name;

    #[test]
    fn apple_tells_a_name_and_nothing_else() {
        for (said, name) in [
            (
                r#"{"name":{"firstName":"Ada","lastName":" Lovelace "},"email":"a@b"}"#,
                json!({ "name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace" }),
            ),
            (
                r#"{"name":{"firstName":"Ada"}}"#,
                json!({ "name": "Ada", "first_name": "Ada" }),
            ),
            (r#"{"name":{"firstName":7,"lastName":{}}}"#, json!({})),
            (r#"{"name":"Ada"}"#, json!({})),
            (r#"{"sub":"x","email_verified":true}"#, json!({})),
            ("[1", json!({})),
            ("", json!({})),
        ] {
            assert_eq!(Value::Object(apple_name(said)), name, "{said}");
        }
        let long = format!(r#"{{"name":{{"firstName":"{}"}}}}"#, "a".repeat(9000));
        assert_eq!(apple_name(&long)["first_name"], "a".repeat(256));
    }
}
