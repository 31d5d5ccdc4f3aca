//! Login with a token that somebody else signed: the provider `custom-token`
//! (client-api.md §2.7, admin-api.md §4.3).

use std::sync::Arc;

use bson::Document;
use config::Node;
use config::view::AuthProvider;
use kit::Problem;
use serde_json::Value;

use super::jwt::{Claims, Jwt, Key, audience, subject};
use super::login::{Proven, refused};
use super::metadata;
use crate::App;

const PROVIDER: &str = "custom-token";
/// Keys that one token is tried with.
const KEYS_MAX: usize = 3;

impl App {
    /// Whose token it is.
    ///
    /// # Errors
    /// `AuthError` "unauthorized"; why is in the log only.
    pub(super) async fn by_token(&self, credentials: &Document) -> Result<Proven, Problem> {
        let token = credentials
            .get_str("token")
            .map_err(|_| refused("the login has no text \"token\""))?;
        let release = self.release();
        let provider = release.config.get(config::Kind::AuthProvider, PROVIDER);
        let provider = provider.ok_or_else(Problem::unauthorized)?;
        let jwt = Jwt::parse(token).map_err(refused)?;
        let claims = self.signed_claims(provider, &jwt).await?;
        let sub = subject(&claims, self.core.clock.now_s()).map_err(refused)?;
        check_audience(provider, &claims, &self.client_app_id).map_err(refused)?;
        let mut data = metadata::mapped(provider, &claims).map_err(refused)?;
        data.extend(metadata::of_stitch(provider, &claims).map_err(refused)?);
        Ok(Proven {
            identity: self.identity(sub.to_owned(), PROVIDER, data),
            kind: "normal",
            owner: None,
            hash: None,
        })
    }

    /// The claims of a token that one of the provider's keys signed.
    async fn signed_claims(&self, provider: &Node, jwt: &Jwt<'_>) -> Result<Claims, Problem> {
        let text = |pointer| provider.at(pointer).and_then(Value::as_str);
        let uri = text("/config/jwkURI").filter(|uri| !uri.is_empty());
        let inline = text("/config/signingKey").is_some_and(|key| !key.is_empty());
        let alone = uri.is_some() && !inline && secret_names(provider).is_empty();
        let by_uri = alone || AuthProvider(provider).on("useJWKURI");
        let algorithm = match text("/config/signingAlgorithm") {
            _ if by_uri => "RS256",
            Some("RS256") => "RS256",
            _ => "HS256",
        };
        // Before any key is looked at: what the token says decides nothing.
        if jwt.algorithm() != algorithm {
            return Err(refused(format!(
                "the token is not signed by the provider's algorithm, {algorithm}"
            )));
        }
        if by_uri {
            let uri = uri.ok_or_else(|| refused("the provider has no \"jwkURI\""))?;
            let now = self.core.clock.now_ms();
            let http = &self.core.egress;
            let keys = self.core.key_sets.keys(http, uri, jwt.key_id(), now);
            let keys = keys.await.map_err(refused)?;
            return jwt.claims(keys.iter().map(Arc::as_ref)).map_err(refused);
        }
        let (keys, faults) = self.signing_keys(provider, algorithm).await?;
        jwt.claims(&keys).map_err(|why| {
            let all: Vec<String> = std::iter::once(why).chain(faults).collect();
            refused(all.join("; "))
        })
    }

    /// The provider's own keys, and what is wrong with those that are none.
    async fn signing_keys(
        &self,
        provider: &Node,
        algorithm: &str,
    ) -> Result<(Vec<Key>, Vec<String>), Problem> {
        let read = |text: &str| match algorithm {
            "RS256" => Key::pem(text),
            _ => Key::shared(text),
        };
        let (mut keys, mut faults) = (Vec::new(), Vec::new());
        for name in secret_names(provider).into_iter().take(KEYS_MAX) {
            match self.secret(name).await? {
                Some(value) => match read(&value) {
                    Ok(key) => keys.push(key),
                    Err(fault) => faults.push(format!("secret \"{name}\": {fault}")),
                },
                None => faults.push(format!("the secret \"{name}\" is not set")),
            }
        }
        let inline = provider.at("/config/signingKey").and_then(Value::as_str);
        if let Some(text) = inline.filter(|text| !text.is_empty()) {
            match read(text) {
                Ok(key) => keys.push(key),
                Err(fault) => faults.push(format!("\"signingKey\": {fault}")),
            }
        }
        Ok((keys, faults))
    }
}

/// The names of the secrets with keys: one, or several in an array.
fn secret_names(provider: &Node) -> Vec<&str> {
    ["/secret_config/signingKeys", "/secret_config/signingKey"]
        .into_iter()
        .filter_map(|pointer| provider.at(pointer))
        .flat_map(texts)
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let several = value.as_array().map_or(&[][..], Vec::as_slice);
    std::iter::once(value)
        .chain(several)
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty())
        .collect()
}

/// Whether a token is for this app: for the app itself unless the provider
/// names others, then for all of them or, if that is enough, for one.
fn check_audience(provider: &Node, claims: &Claims, app_id: &str) -> Result<(), String> {
    let mut wanted = provider.at("/config/audience").map_or_else(Vec::new, texts);
    if wanted.is_empty() {
        wanted.push(app_id);
    }
    let any = match provider.at("/config/requireAnyAudience") {
        Some(Value::Bool(any)) => *any,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let said = audience(claims);
    let is_said = |one: &&str| said.contains(one);
    let fits = if any {
        wanted.iter().any(is_said)
    } else {
        wanted.iter().all(is_said)
    };
    if fits {
        Ok(())
    } else {
        let need = if any { "one" } else { "each" };
        let wanted = wanted.join("\", \"");
        Err(format!(
            "the token's \"aud\" has to name {need} of \"{wanted}\""
        ))
    }
}

#[cfg(test)]
mod tests {
    use config::Node;
    use serde_json::{Value, json};

    use super::{check_audience, secret_names};

    #[test]
    fn audiences() {
        let fits = |audience: &Value, any: Value, aud: Value| {
            let config = json!({ "audience": audience, "requireAnyAudience": any });
            let claims = json!({ "aud": aud }).as_object().cloned().unwrap();
            let node = Node::new(json!({ "config": config }));
            check_audience(&node, &claims, "app-abcde").is_ok()
        };
        for none in [json!(null), json!(""), json!([]), json!([""])] {
            assert!(fits(&none, json!(false), json!("app-abcde")), "{none}");
            assert!(fits(&none, json!(false), json!(["x", "app-abcde"])));
            assert!(!fits(&none, json!(true), json!("other-abcde")), "{none}");
            assert!(!fits(&none, json!(true), json!(null)), "{none}");
        }
        let both = json!(["a", "b"]);
        for (any, aud, expected) in [
            (json!(false), json!(["b", "a", "c"]), true),
            (json!(false), json!(["a"]), false),
            (json!(false), json!("a"), false),
            (json!(true), json!("b"), true),
            (json!("true"), json!(["c", "b"]), true),
            (json!("false"), json!(["c", "b"]), false),
            (json!(true), json!(["c"]), false),
            // Naming the app is not enough when others are named.
            (json!(true), json!("app-abcde"), false),
            (json!(true), json!({ "a": "b" }), false),
        ] {
            assert_eq!(
                fits(&both, any.clone(), aud.clone()),
                expected,
                "{any} {aud}"
            );
        }
        assert!(fits(&json!("a"), json!(false), json!("a")));
        assert!(!fits(&json!("a"), json!(false), json!("A")));
    }

    #[test]
    fn secrets_are_one_or_several() {
        for (config, names) in [
            (json!({ "signingKeys": ["a", "b"] }), vec!["a", "b"]),
            (json!({ "signingKeys": "a" }), vec!["a"]),
            (json!({ "signingKey": "a", "signingKeys": [] }), vec!["a"]),
            (json!({ "signingKeys": [1, ""] }), vec![]),
            (json!({}), vec![]),
        ] {
            let node = Node::new(json!({ "secret_config": config }));
            assert_eq!(secret_names(&node), names);
        }
    }
}
