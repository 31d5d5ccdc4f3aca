//! Tokens of users: HS256 JWTs with the claims that SDKs read
//! (client-api.md §2.3), and a cache of those that were verified.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Document, doc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kit::{Kind, Problem, limit};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::invalid_session;
use crate::caller::User;
use crate::{App, Backstitch, stored};

/// Verified tokens that are remembered.
const CACHED_MAX: usize = 20_000;

/// Access tokens that were verified, with their users.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<String, (i64, Arc<User>)>>);

impl TokenCache {
    fn get(&self, token: &str, now: i64) -> Option<Arc<User>> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .get(token)
            .filter(|(expires, _)| *expires > now)
            .map(|(_, user)| user.clone())
    }

    fn put(&self, token: &str, expires: i64, user: Arc<User>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        cache.insert(token.to_owned(), (expires, user));
    }

    /// Forgets every token of a user.
    pub(crate) fn forget(&self, user_id: &str) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (_, user)| user.id != user_id);
    }
}

/// The claims of either token.
#[derive(Debug, serde::Deserialize)]
struct Claims {
    #[serde(default)]
    typ: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    baas_id: String,
    #[serde(default)]
    baas_device_id: String,
    #[serde(default)]
    baas_domain_id: String,
    #[serde(default)]
    provider_type: String,
    #[serde(default)]
    user_data: Option<Value>,
}

/// Signs claims.
pub(crate) fn sign(key: &[u8], claims: &Value) -> Result<String, Problem> {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(key))
        .map_err(Problem::internal)
}

/// Verifies a token's signature; only HS256 counts. The times are the
/// caller's to check, by the server's own clock.
pub(crate) fn verify<T: DeserializeOwned>(key: &[u8], token: &str) -> Option<T> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &DecodingKey::from_secret(key), &validation)
        .ok()
        .map(|data| data.claims)
}

/// A token's claims, unverified: to find whose key has to be tried.
pub(crate) fn peek<T: DeserializeOwned>(token: &str) -> Option<T> {
    jsonwebtoken::dangerous::insecure_decode::<T>(token)
        .ok()
        .map(|data| data.claims)
}

impl App {
    /// A new access token.
    pub(crate) fn access_token(
        &self,
        session: &state::Session,
        custom_data: &Document,
    ) -> Result<String, Problem> {
        let now = self.core.clock.now_s();
        let mut claims = json!({
            "baas_device_id": session.device_id, "baas_domain_id": self.domain_id,
            "stitch_devId": session.device_id, "stitch_domainId": self.domain_id,
            "exp": now + limit::ACCESS_TOKEN_S, "iat": now, "iss": session.id,
            "sub": session.user_id, "typ": "access", "provider_type": session.provider_type,
        });
        if !custom_data.is_empty() {
            let data = bson::Bson::Document(custom_data.clone()).into_canonical_extjson();
            claims["user_data"] = data;
        }
        sign(self.signing_key.expose(), &claims)
    }

    pub(crate) fn refresh_token(
        &self,
        session: &state::Session,
        identity: &state::Identity,
    ) -> Result<String, Problem> {
        let identity = json!({
            "id": identity.id, "provider_type": identity.provider_type,
            "provider_id": identity.provider_id,
        });
        let claims = json!({
            "baas_data": null, "baas_device_id": session.device_id,
            "baas_domain_id": self.domain_id, "baas_id": session.id, "baas_identity": identity,
            "stitch_data": null, "stitch_devId": session.device_id,
            "stitch_domainId": self.domain_id, "stitch_id": session.id, "stitch_ident": identity,
            "exp": session.expires / 1000, "iat": session.created / 1000,
            "sub": session.user_id, "typ": "refresh",
        });
        sign(self.signing_key.expose(), &claims)
    }

    fn claims(&self, token: &str, kind: &str) -> Result<Claims, Problem> {
        let claims: Claims = verify(self.signing_key.expose(), token).ok_or_else(|| {
            let other: Option<Map<String, Value>> = peek(token);
            let domain =
                other.and_then(|claims| claims.get("baas_domain_id")?.as_str().map(str::to_owned));
            match domain {
                Some(domain) if domain != self.domain_id => Problem::new(
                    Kind::Unauthenticated,
                    "InvalidSession",
                    "invalid session: token is for another app",
                ),
                _ => invalid_session(),
            }
        })?;
        if claims.typ != kind {
            return Err(Problem::invalid_session(
                "invalid session: incorrect token type",
            ));
        }
        if claims.exp <= self.core.clock.now_s() {
            return Err(Problem::invalid_session(format!(
                "invalid session: {kind} token expired"
            )));
        }
        Ok(claims)
    }

    /// The user of an access token.
    ///
    /// # Errors
    /// `InvalidSession`.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<User>, Problem> {
        if let Some(user) = self.tokens.get(token, self.core.clock.now_s()) {
            return Ok(user);
        }
        let claims = self.claims(token, "access")?;
        let record = self
            .core
            .state
            .users
            .first(doc! { "_id": &claims.sub, "app_id": &self.id })
            .await
            .map_err(stored)?;
        let record = record
            .filter(|user| !user.disabled)
            .ok_or_else(invalid_session)?;
        let custom = match claims.user_data.as_ref().map(crate::compile::bson_of) {
            Some(bson::Bson::Document(custom)) => custom,
            _ => Document::new(),
        };
        let user = Arc::new(User::new(
            &record,
            custom,
            &claims.iss,
            &claims.provider_type,
            &claims.baas_device_id,
        )?);
        self.tokens.put(token, claims.exp, user.clone());
        Ok(user)
    }

    /// The live session of a refresh token.
    pub(crate) async fn session(&self, token: &str) -> Result<state::Session, Problem> {
        let claims = self.claims(token, "refresh")?;
        let found = self
            .core
            .state
            .sessions
            .first(doc! { "_id": &claims.baas_id, "app_id": &self.id })
            .await
            .map_err(stored)?;
        found
            .filter(|session| session.user_id == claims.sub)
            .ok_or_else(|| {
                Problem::invalid_session("invalid session: failed to find refresh token")
            })
    }
}

impl Backstitch {
    /// The app that a token belongs to: the routes of `auth` carry no app id.
    ///
    /// # Errors
    /// `InvalidSession`.
    pub async fn app_of_token(self: &Arc<Self>, token: &str) -> Result<Arc<App>, Problem> {
        let claims: Claims = peek(token).ok_or_else(invalid_session)?;
        self.app_by_domain(&claims.baas_domain_id)
            .await?
            .ok_or_else(invalid_session)
    }
}
