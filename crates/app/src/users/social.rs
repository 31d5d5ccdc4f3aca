//! Logins by Google, Facebook and Apple: with what their own clients got, and
//! with the code that ends the flow in a browser (client-api.md §2.7, §2.9).
//!
//! Where they are asked is a setting of the server (`ProviderEndpoints`).

use std::sync::Arc;
use std::time::Duration;

use bson::Document;
use config::Node;
use config::view::AuthProvider;
use egress::{HeaderValue, Limits, Request, StatusCode, header};
use hmac::{Hmac, Mac as _};
use kit::{Kind, Problem, limit};
use serde_json::{Map, Value};
use sha2::Sha256;
use state::Identity;

use super::jwt::{Claims, Jwt, audience, subject};
use super::login::{Proven, refused};
use super::metadata;
use crate::App;

pub(super) const GOOGLE: &str = "oauth2-google";
pub(super) const FACEBOOK: &str = "oauth2-facebook";
pub(super) const APPLE: &str = "oauth2-apple";

/// What asking a provider may take.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    body_bytes: 256 * 1024,
    redirects: 0,
};
/// What is shown of what a provider says is wrong.
const SHOWN_CHARS_MAX: usize = 200;

/// What Apple tells of a user's name.
pub(super) const APPLE_NAME: [&str; 3] = ["name", "first_name", "last_name"];

/// Fields of Facebook's profile, by the names that apps ask for.
const FACEBOOK_FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("picture", "picture"),
    ("gender", "gender"),
    ("birthday", "birthday"),
    ("min_age", "age_range"),
    ("max_age", "age_range"),
    ("email", "email"),
];

/// A provider as the app has set it up.
struct Client {
    name: &'static str,
    node: Arc<Node>,
    id: String,
    secret: Option<Arc<str>>,
}

impl App {
    /// Whose credentials Google's client got: an `authCode`, or an `id_token` if
    /// the provider has `openId` on.
    ///
    /// # Errors
    /// `AuthError` "unauthorized", `DomainNotAllowed`; why is in the log only.
    pub(super) async fn by_google(&self, credentials: &Document) -> Result<Proven, Problem> {
        let client = self.client(GOOGLE).await?;
        if let Ok(token) = credentials.get_str("id_token") {
            if !AuthProvider(&client.node).on("openId") {
                return Err(refused("id_token: the provider has \"openId\" off"));
            }
            let claims = self.identified("google", &client, token).await?;
            return self.known_by(&client, of_google(claims));
        }
        let code = credentials
            .get_str("authCode")
            .map_err(|_| refused("the login has neither \"authCode\" nor \"id_token\""))?;
        let _room = self.room_to_ask()?;
        self.by_google_code(&client, code, None, None).await
    }

    /// Whose `accessToken` Facebook's client got.
    ///
    /// # Errors
    /// As [`App::by_google`].
    pub(super) async fn by_facebook(&self, credentials: &Document) -> Result<Proven, Problem> {
        let client = self.client(FACEBOOK).await?;
        let token = credentials
            .get_str("accessToken")
            .map_err(|_| refused("the login has no text \"accessToken\""))?;
        let _room = self.room_to_ask()?;
        self.by_facebook_token(&client, token).await
    }

    /// Whose `id_token` Apple's client got.
    ///
    /// # Errors
    /// As [`App::by_google`].
    pub(super) async fn by_apple(&self, credentials: &Document) -> Result<Proven, Problem> {
        let client = self.client(APPLE).await?;
        let token = credentials
            .get_str("id_token")
            .map_err(|_| refused("the login has no text \"id_token\""))?;
        let claims = self.identified("apple", &client, token).await?;
        let claims = self.named(&client, claims, Claims::new()).await?;
        self.known_by(&client, claims)
    }

    /// Room for a login that a provider is asked about: anybody may send one with
    /// a code or token that is made up.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(super) fn room_to_ask(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.core.codes.try_acquire().map_err(|_| {
            let text = "too many logins at once, try again later";
            Problem::new(Kind::Limited, "TooManyRequests", text)
        })
    }

    /// Whose authorization code a provider gave: with the URI that it was sent
    /// to, and the verifier of PKCE if the flow began with one. Apple tells `name`
    /// beside it, at the first login.
    ///
    /// # Errors
    /// `AuthProviderNotFound`, and as [`App::by_google`].
    pub(super) async fn by_code(
        self: &Arc<Self>,
        provider: &str,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        name: Claims,
    ) -> Result<Proven, Problem> {
        self.provider(provider)?;
        match provider {
            GOOGLE => {
                let client = self.client(GOOGLE).await?;
                self.by_google_code(&client, code, redirect_uri, verifier)
                    .await
            }
            FACEBOOK => {
                let client = self.client(FACEBOOK).await?;
                let url = format!("{}/oauth/access_token", self.endpoint("facebook.graph"));
                let tokens = self.exchange(&client, &url, code, redirect_uri, verifier);
                let tokens = tokens.await.map_err(refused)?;
                let token = text(&tokens, "access_token").map_err(refused)?;
                self.by_facebook_token(&client, token).await
            }
            APPLE => {
                let client = self.client(APPLE).await?;
                let url = self.endpoint("apple.token");
                let tokens = self.exchange(&client, url, code, redirect_uri, verifier);
                let tokens = tokens.await.map_err(refused)?;
                let token = text(&tokens, "id_token").map_err(refused)?;
                let claims = self.identified("apple", &client, token).await?;
                let claims = self.named(&client, claims, name).await?;
                self.known_by(&client, claims)
            }
            other => Err(refused(format!("\"{other}\" gives no codes"))),
        }
    }

    async fn by_google_code(
        &self,
        client: &Client,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<Proven, Problem> {
        let url = self.endpoint("google.token");
        // Codes of mobile clients have no URI; those of a window that Google's
        // script opened have this one.
        let uris = match redirect_uri {
            Some(uri) => vec![uri],
            None => vec!["", "postmessage"],
        };
        let mut tokens = Err("no code was exchanged".to_owned());
        for uri in uris {
            tokens = self.exchange(client, url, code, Some(uri), verifier).await;
            if !tokens
                .as_ref()
                .is_err_and(|why| why.contains("redirect_uri_mismatch"))
            {
                break;
            }
        }
        let tokens = tokens.map_err(refused)?;
        let token = text(&tokens, "access_token").map_err(refused)?;
        let asked = Request::get(self.endpoint("google.userinfo"));
        let asked = with_bearer(asked, token).map_err(refused)?;
        let profile = self.ask(asked).await.map_err(refused)?;
        self.known_by(client, of_google(profile))
    }

    async fn by_facebook_token(&self, client: &Client, token: &str) -> Result<Proven, Problem> {
        let secret = client.secret()?;
        let graph = self.endpoint("facebook.graph");
        // Whose app the token was given to: one that the user gave to another
        // app does not log in here.
        let own = format!("{}|{secret}", client.id);
        let url = with_query(
            &format!("{graph}/debug_token"),
            &[("input_token", token), ("access_token", &own)],
        );
        let told = self.ask(Request::get(url)).await.map_err(refused)?;
        let told = told.get("data").unwrap_or(&Value::Null);
        let of_app = match told.get("app_id") {
            Some(Value::String(id)) => *id == client.id,
            Some(Value::Number(id)) => id.to_string() == client.id,
            _ => false,
        };
        if told.get("is_valid") != Some(&Value::Bool(true)) || !of_app {
            return Err(refused("the access token is not valid for this app"));
        }
        let mut proof =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(Problem::internal)?;
        proof.update(token.as_bytes());
        let proof = hex::encode(proof.finalize().into_bytes());
        // A field that the user did not grant is left out; one that the app was
        // not reviewed for is an error, so only what is asked for is.
        let mut fields = vec!["id"];
        for name in metadata::asked(&client.node) {
            let known = FACEBOOK_FIELDS.iter().find(|(ours, _)| *ours == name);
            match known {
                Some((_, theirs)) if !fields.contains(theirs) => fields.push(theirs),
                _ => {}
            }
        }
        let restricted = !restrictions(&client.node).is_empty();
        if restricted && !fields.contains(&"email") {
            fields.push("email");
        }
        let url = with_query(
            &format!("{graph}/me"),
            &[("fields", &fields.join(",")), ("appsecret_proof", &proof)],
        );
        let asked = with_bearer(Request::get(url), token).map_err(refused)?;
        let profile = self.ask(asked).await.map_err(refused)?;
        if profile.get("id") != told.get("user_id") {
            return Err(refused("the access token is of another user"));
        }
        self.known_by(client, of_facebook(profile))
    }

    /// The claims of an `id_token` that a provider signed for this app.
    async fn identified(
        &self,
        provider: &str,
        client: &Client,
        token: &str,
    ) -> Result<Claims, Problem> {
        let jwt = Jwt::parse(token).map_err(refused)?;
        if jwt.algorithm() != "RS256" {
            return Err(refused("the token is not signed by RS256"));
        }
        let url = self.endpoint(&format!("{provider}.keys"));
        let now = self.core.clock.now_ms();
        let http = &self.core.egress;
        let keys = self.core.key_sets.keys(http, url, jwt.key_id(), now);
        let keys = keys.await.map_err(refused)?;
        let claims = jwt.claims(keys.iter().map(Arc::as_ref)).map_err(refused)?;
        let issuer = self.endpoint(&format!("{provider}.issuer"));
        let said = claims.get("iss").and_then(Value::as_str);
        // Google leaves the scheme out in some of its tokens.
        let is_issuer =
            |said: &str| said == issuer || Some(said) == issuer.strip_prefix("https://");
        if !said.is_some_and(is_issuer) {
            return Err(refused(format!("the token's issuer is not {issuer}")));
        }
        if !audience(&claims).contains(&client.id.as_str()) {
            return Err(refused(
                "the token's \"aud\" is not the provider's client id",
            ));
        }
        subject(&claims, self.core.clock.now_s()).map_err(refused)?;
        Ok(claims)
    }

    /// What Apple tells, and the name, which is in none of its tokens: the one that
    /// came with the code, else the one that is known from before.
    async fn named(
        &self,
        client: &Client,
        mut claims: Claims,
        name: Claims,
    ) -> Result<Claims, Problem> {
        let sub = text(&claims, "sub").map_err(refused)?.to_owned();
        let user = self.known_user(&format!("{APPLE}:{sub}")).await?;
        let identities = user.map(|user| user.identities).unwrap_or_default();
        let is_it = |one: &&Identity| one.provider_type == APPLE && one.id == sub;
        if let Some(known) = identities.iter().find(is_it) {
            for part in APPLE_NAME {
                let field = metadata::called(&client.node, part);
                if let Some(said) = field.and_then(|field| known.data.get_str(field).ok()) {
                    claims.insert(part.to_owned(), said.into());
                }
            }
        }
        claims.extend(name);
        Ok(claims)
    }

    /// Who is known to a provider by `sub`, and what is told of them.
    fn known_by(&self, client: &Client, known: Claims) -> Result<Proven, Problem> {
        let sub = text(&known, "sub").map_err(refused)?;
        if sub.chars().count() > limit::JWT_FIELD_CHARS_MAX {
            return Err(refused("the user's id is too long"));
        }
        check_domain(&client.node, &known)?;
        let data = metadata::mapped(&client.node, &known).map_err(refused)?;
        Ok(Proven {
            identity: self.identity(sub.to_owned(), client.name, data),
            kind: "normal",
            owner: None,
            hash: None,
        })
    }

    /// What a provider gives for a code.
    async fn exchange(
        &self,
        client: &Client,
        url: &str,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<Claims, String> {
        let secret = client.secret.as_deref().ok_or(NO_SECRET)?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("client_secret", secret),
            ("code", code),
        ];
        fields.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        self.ask(Request::form(url, &fields)).await
    }

    /// The object that a provider answers with. What it says is wrong comes from
    /// it alone: no token and no secret is in it.
    async fn ask(&self, request: Request) -> Result<Claims, String> {
        let json = HeaderValue::from_static("application/json");
        let answer = self
            .core
            .egress
            .send(request.header(header::ACCEPT, json), LIMITS)
            .await
            .map_err(|error| format!("the provider cannot be asked: {error}"))?;
        let said: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (answer.status, said) {
            (StatusCode::OK, Some(Value::Object(fields))) => Ok(fields),
            (status, Some(Value::Object(fields))) => {
                let told = ["error", "error_description"].iter().filter_map(|name| {
                    match fields.get(*name)? {
                        Value::String(text) => Some(text.as_str()),
                        error => error.get("message")?.as_str(),
                    }
                });
                let told: String = told.collect::<Vec<_>>().join(": ");
                let printed = told.chars().filter(|c| !c.is_control());
                let told: String = printed.take(SHOWN_CHARS_MAX).collect();
                Err(format!("the provider says {status} {told}"))
            }
            (status, _) => Err(format!("the provider says {status}, and no JSON object")),
        }
    }

    fn endpoint(&self, name: &str) -> &str {
        self.core.endpoints.get(name)
    }

    async fn client(&self, name: &'static str) -> Result<Client, Problem> {
        let release = self.release();
        let node = release.config.get(config::Kind::AuthProvider, name);
        let node = node.ok_or_else(Problem::unauthorized)?;
        let text = |pointer| node.at(pointer).and_then(Value::as_str);
        let id = text("/config/clientId").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| refused("the provider has no \"clientId\""))?;
        let secret = match text("/secret_config/clientSecret") {
            Some(secret) => self.secret(secret).await?,
            None => None,
        };
        Ok(Client {
            name,
            id: id.to_owned(),
            secret,
            node: node.clone(),
        })
    }
}

const NO_SECRET: &str = "the secret with the provider's \"clientSecret\" is not set";

impl Client {
    fn secret(&self) -> Result<&str, Problem> {
        self.secret.as_deref().ok_or_else(|| refused(NO_SECRET))
    }
}

fn text<'a>(fields: &'a Claims, name: &str) -> Result<&'a str, String> {
    let text = fields.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| format!("the provider gave no \"{name}\""))
}

fn with_bearer(request: Request, token: &str) -> Result<Request, String> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the access token cannot be sent".to_owned())?;
    value.set_sensitive(true);
    Ok(request.header(header::AUTHORIZATION, value))
}

fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    format!("{url}?{query}")
}

/// What Google tells, by the names that apps ask for.
fn of_google(mut known: Claims) -> Claims {
    for (ours, theirs) in [("first_name", "given_name"), ("last_name", "family_name")] {
        if let Some(value) = known.get(theirs).cloned() {
            known.insert(ours.to_owned(), value);
        }
    }
    known
}

/// What Facebook tells, by the names that apps ask for. It has checked the
/// addresses that it tells.
fn of_facebook(mut profile: Claims) -> Claims {
    let told = Value::Object(profile.clone());
    let mut put = |name: &str, value: Option<&Value>| match value {
        Some(value) => {
            profile.insert(name.to_owned(), value.clone());
        }
        None => {
            profile.remove(name);
        }
    };
    put("sub", told.get("id"));
    put("picture", told.pointer("/picture/data/url"));
    put("min_age", told.pointer("/age_range/min"));
    put("max_age", told.pointer("/age_range/max"));
    let verified = Value::Bool(true);
    put("email_verified", told.get("email").map(|_| &verified));
    profile
}

/// The domains whose addresses may log in; all when there are none.
pub(super) fn restrictions(provider: &Node) -> Vec<&str> {
    let domains = provider
        .at("/domain_restrictions")
        .and_then(Value::as_array);
    let domains = domains.into_iter().flatten().filter_map(Value::as_str);
    domains.filter(|domain| !domain.is_empty()).collect()
}

/// Whether the user's address, which the provider has verified, is of a domain
/// that may log in.
fn check_domain(provider: &Node, known: &Map<String, Value>) -> Result<(), Problem> {
    let domains = restrictions(provider);
    if domains.is_empty() {
        return Ok(());
    }
    let verified = match known.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let email = known.get("email").and_then(Value::as_str);
    let domain = email.and_then(|email| Some(email.rsplit_once('@')?.1));
    let fits = |domain: &str| domains.iter().any(|may| may.eq_ignore_ascii_case(domain));
    if verified && domain.is_some_and(fits) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "DomainNotAllowed",
        "the e-mail address is not of a domain that may log in",
    ))
}

#[cfg(test)]
mod tests {
    use config::Node;
    use serde_json::{Value, json};

    use super::{check_domain, of_facebook};

    #[test]
    fn only_verified_addresses_of_the_domains_log_in() {
        let may = |domains: &Value, known: Value| {
            let node = Node::new(json!({ "domain_restrictions": domains }));
            check_domain(&node, known.as_object().unwrap()).is_ok()
        };
        let of = |email: &str| json!({ "email": email, "email_verified": true });
        let some = json!(["Example.com", "b.org"]);
        for (known, expected) in [
            (of("ann@example.com"), true),
            (of("ann@B.ORG"), true),
            (
                json!({ "email": "a@b.org", "email_verified": "true" }),
                true,
            ),
            (of("ann@sub.example.com"), false),
            (of("ann@notexample.com"), false),
            (of("ann@example.com@c.net"), false),
            (of("example.com"), false),
            (
                json!({ "email": "a@b.org", "email_verified": false }),
                false,
            ),
            (json!({ "email": "a@b.org" }), false),
            (json!({ "email_verified": true }), false),
        ] {
            assert_eq!(may(&some, known.clone()), expected, "{known}");
        }
        for none in [json!(null), json!([]), json!([""])] {
            assert!(may(&none, json!({})), "{none}");
        }
    }

    #[test]
    fn facebook_tells_by_the_names_of_apps() {
        let told = json!({
            "id": "7", "picture": { "data": { "url": "https://a" } }, "age_range": { "min": 21 },
            "sub": "8", "email_verified": true, "max_age": 5,
        });
        let known = of_facebook(told.as_object().unwrap().clone());
        let known = Value::Object(known);
        assert_eq!(
            (&known["sub"], &known["picture"], &known["min_age"]),
            (&json!("7"), &json!("https://a"), &json!(21))
        );
        assert!(known.get("email_verified").is_none());
        assert!(known.get("max_age").is_none());
    }
}
