//! Tokens of users: HS256 JWTs with the claims that SDKs read
//! (client-api.md §2.3).

use std::sync::Arc;

use bson::{Document, doc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kit::{Kind, Problem, limit};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::invalid_session;
use crate::caller::User;
use crate::{App, Backstitch, stored};

/// How long a refresh token is known for one that renews its session before it
/// is looked up again.
const RENEWABLE_S: i64 = 3600;

/// The claims of either token.
#[derive(Debug, serde::Deserialize)]
struct Claims {
    #[serde(default)]
    typ: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    iat: i64,
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
    baas_identity: ClaimedIdentity,
    #[serde(default)]
    user_data: Option<Value>,
}

/// The identity that a session began with.
#[derive(Debug, Default, serde::Deserialize)]
struct ClaimedIdentity {
    #[serde(default)]
    id: String,
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

/// The claims of a token of ours that is of this kind, and in time.
fn in_time(claims: Claims, kind: &str, now: i64) -> Result<Claims, Problem> {
    if claims.typ != kind {
        return Err(Problem::invalid_session(
            "invalid session: incorrect token type",
        ));
    }
    if claims.exp <= now {
        return Err(Problem::invalid_session(format!(
            "invalid session: {kind} token expired"
        )));
    }
    Ok(claims)
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
        self.sign_token(&claims)
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
        self.sign_token(&claims)
    }

    /// The claims of a token, and until when its key is good in seconds.
    async fn claims(&self, token: &str, kind: &str) -> Result<(Claims, i64), Problem> {
        let (claims, until) = self.signed(token).await.ok_or_else(invalid_session)?;
        let claims = in_time(claims, kind, self.core.clock.now_s())?;
        Ok((claims, until / 1000))
    }

    /// The user of an access token.
    ///
    /// # Errors
    /// `InvalidSession`, `UserAppDomainMismatch`.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<User>, Problem> {
        let forgotten = match self.tokens.access.get(token, self.core.clock.now_s()) {
            Ok(user) => return Ok(user),
            Err(forgotten) => forgotten,
        };
        let (claims, until) = match self.claims(token, "access").await {
            Ok(claims) => claims,
            Err(problem) => return Err(self.foreign(token).await.unwrap_or(problem)),
        };
        // A session that was logged out ends its access tokens; one that an
        // administrator revoked ends only its refresh token.
        let (record, _) = self.holder(&claims.sub, &claims.iss).await?;
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
        let until = claims.exp.min(until);
        self.tokens
            .access
            .put(token, until, user.clone(), forgotten);
        Ok(user)
    }

    /// What an access token says, for an administrator who checks it; nothing
    /// when it ran out.
    ///
    /// # Errors
    /// `BadRequest` for what is no token, 401 for one that the app did not sign,
    /// `InvalidSession` for a refresh token and when user or session are gone.
    pub async fn inspect_token(&self, token: &str) -> Result<Option<Value>, Problem> {
        peek::<Claims>(token).ok_or_else(|| Problem::bad_request("the token is no JWT"))?;
        let Some((claims, _)) = self.signed::<Claims>(token).await else {
            // Without a code: clients would refresh their own session on one.
            let text = "signature is invalid";
            return Err(Problem::new(Kind::Unauthenticated, "", text));
        };
        if claims.typ != "access" {
            return Err(invalid_session());
        }
        if claims.exp <= self.core.clock.now_s() {
            return Ok(None);
        }
        self.holder(&claims.sub, &claims.iss).await?;
        let mut shown = json!({
            "sub": claims.sub, "iat": claims.iat, "exp": claims.exp, "iss": claims.iss,
            "domain_id": claims.baas_domain_id, "device_id": claims.baas_device_id,
        });
        if let Some(data) = claims.user_data {
            shown["custom_user_data"] = data;
        }
        Ok(Some(shown))
    }

    /// A user who is not disabled, and one of the user's sessions.
    pub(super) async fn holder(
        &self,
        user_id: &str,
        session_id: &str,
    ) -> Result<(state::User, state::Session), Problem> {
        let state = &self.core.state;
        let user = doc! { "_id": user_id, "app_id": &self.id };
        let user = state.users.first(user).await.map_err(stored)?;
        let user = user
            .filter(|user| !user.disabled)
            .ok_or_else(invalid_session)?;
        let session = doc! { "_id": session_id, "app_id": &self.id, "user_id": user_id };
        let session = state.sessions.first(session).await.map_err(stored)?;
        Ok((user, session.ok_or_else(invalid_session)?))
    }

    /// The session of a user, when what it began may go on: the user is not
    /// disabled, and the session would still give an access token.
    ///
    /// # Errors
    /// `InvalidSession`.
    pub(crate) async fn goes_on(&self, user: &User) -> Result<state::Session, Problem> {
        let (_, session) = self.holder(&user.id, &user.session_id).await?;
        if session.revoked || session.expires <= self.core.clock.now_ms() {
            return Err(invalid_session());
        }
        Ok(session)
    }

    /// The problem of a token that is another app's.
    async fn foreign(&self, token: &str) -> Option<Problem> {
        let claims: Claims = peek(token)?;
        if claims.baas_domain_id == self.domain_id {
            return None;
        }
        let other = self.core.app_by_domain(&claims.baas_domain_id).await;
        let other = other.ok().flatten()?;
        other.signed::<Claims>(token).await?;
        Some(Problem::new(
            Kind::Unauthenticated,
            "UserAppDomainMismatch",
            "the token belongs to another app",
        ))
    }

    /// The session that a refresh token may still renew: one that is live, of a
    /// user who is not disabled.
    pub(super) async fn renewable(&self, token: &str) -> Result<Arc<state::Session>, Problem> {
        let now = self.core.clock.now_s();
        let forgotten = match self.tokens.refresh.get(token, now) {
            Ok(known) => return Ok(known),
            Err(forgotten) => forgotten,
        };
        let (claims, until) = self.claims(token, "refresh").await?;
        let until = claims.exp.min(until).min(now + RENEWABLE_S);
        let (session, _) = self.session_of(claims).await?;
        self.seen(&session.user_id).await?;
        let known = Arc::new(session);
        self.tokens
            .refresh
            .put(token, until, known.clone(), forgotten);
        Ok(known)
    }

    /// The live session of a refresh token.
    pub(crate) async fn session(&self, token: &str) -> Result<state::Session, Problem> {
        self.session_and_identity(token)
            .await
            .map(|(session, _)| session)
    }

    /// The live session of a refresh token, and the id of the identity that it
    /// began with.
    pub(crate) async fn session_and_identity(
        &self,
        token: &str,
    ) -> Result<(state::Session, String), Problem> {
        let (claims, _) = self.claims(token, "refresh").await?;
        self.session_of(claims).await
    }

    async fn session_of(&self, claims: Claims) -> Result<(state::Session, String), Problem> {
        let found = self
            .core
            .state
            .sessions
            .first(doc! { "_id": &claims.baas_id, "app_id": &self.id })
            .await
            .map_err(stored)?;
        let session = found
            .filter(|session| session.user_id == claims.sub && !session.revoked)
            .ok_or_else(|| {
                Problem::invalid_session("invalid session: failed to find refresh token")
            })?;
        Ok((session, claims.baas_identity.id))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{in_time, sign, verify};

    const KEY: &[u8] = b"a key of this test";
    const NOW: i64 = 1_700_000_000;

    fn accepted(claims: &Value) -> bool {
        let claims = verify(KEY, &sign(KEY, claims).unwrap());
        claims.is_some_and(|claims| in_time(claims, "access", NOW).is_ok())
    }

    fn claims(name: &str, value: Value) -> Value {
        let mut claims = json!({ "typ": "access", "sub": "u", "iss": "s", "exp": NOW + 1 });
        claims[name] = value;
        claims
    }

    #[test]
    fn a_claim_of_another_type_is_no_claim() {
        assert!(accepted(&claims("iat", json!(0))));
        for exp in [
            json!("1800000000"),
            json!(1.8e9),
            json!(-1),
            json!(NOW),
            json!(u64::MAX),
            json!(1e300),
            json!([NOW + 1]),
            json!({ "$numberLong": "1800000000" }),
            json!(null),
            json!(true),
        ] {
            assert!(!accepted(&claims("exp", exp.clone())), "{exp}");
        }
        for typ in [json!("refresh"), json!(""), json!(["access"]), json!(null)] {
            assert!(!accepted(&claims("typ", typ.clone())), "{typ}");
        }
        for sub in [json!(1), json!(["u"]), json!({ "$ne": "" })] {
            assert!(!accepted(&claims("sub", sub.clone())), "{sub}");
        }
        let mut missing = claims("iat", json!(0));
        missing.as_object_mut().unwrap().remove("exp");
        assert!(!accepted(&missing));
        for whole in [json!([]), json!("access"), json!(7), json!(null)] {
            assert!(!accepted(&whole), "{whole}");
        }
    }
}
