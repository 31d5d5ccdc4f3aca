//! Users of an app: logging in, sessions, tokens, keys, administration.

mod administration;
mod api_keys;
mod creation;
mod custom_function;
mod custom_token;
mod devices;
mod events;
mod failures;
mod foreign;
mod import;
mod jwt;
mod key_sets;
mod known;
mod linking;
mod login;
mod metadata;
mod password;
mod redirects;
mod registration;
mod reset;
mod sessions;
mod signing;
mod social;
mod streams;
mod tokens;
mod turns;
mod userpass_tokens;

pub use administration::UserQuery;
pub use api_keys::NewApiKey;
pub use devices::Device;
pub(crate) use events::AuthEvents;
pub use events::{AuthEvent, AuthEventKind};
pub(crate) use failures::Failures;
pub use failures::Try;
pub use import::Imported;
pub(crate) use key_sets::KeySets;
pub(crate) use known::KnownTokens;
pub use linking::Linked;
pub use login::Login;
pub(crate) use password::Hasher;
pub use redirects::{Begun, Flow, FlowStart, Returned};
pub use signing::KnownSigningKeys;
pub(crate) use signing::SigningKeys;
pub use state::ApiKey;
pub(crate) use streams::Streams;
pub use streams::UserStream;
pub(crate) use tokens::{sign, verify};
pub(crate) use turns::Turns;
pub use userpass_tokens::{NewUserpassToken, TokenFor};

use bson::{Document, doc};
use kit::{Kind, Problem};

use crate::{App, stored};

/// The session is not valid (any more).
pub(crate) fn invalid_session() -> Problem {
    Problem::invalid_session("invalid session")
}

impl App {
    /// The custom user data document of a user; empty when there is none.
    pub(crate) async fn custom_data(&self, user_id: &str) -> Result<Document, Problem> {
        let release = self.release();
        let Some(node) = release.config.get(config::Kind::CustomUserData, "") else {
            return Ok(Document::new());
        };
        if !node.flag("enabled") {
            return Ok(Document::new());
        }
        let Some(source) = release.sources.get(node.text("mongo_service_name")) else {
            return Ok(Document::new());
        };
        let engine = self.core.cluster(&source.cluster);
        let collection = engine::Collection::new(
            engine,
            node.text("database_name"),
            node.text("collection_name"),
        );
        let field = node.text("user_id_field");
        let mut found = collection
            .find_one(doc! { field: user_id })
            .await
            .map_err(stored)?;
        if found.is_none()
            && let Ok(id) = bson::oid::ObjectId::parse_str(user_id)
        {
            // The text is preferred; an object id counts too.
            found = collection
                .find_one(doc! { field: id })
                .await
                .map_err(stored)?;
        }
        match found {
            Some(document) => Document::try_from(document).map_err(Problem::internal),
            None => Ok(Document::new()),
        }
    }

    /// The configuration of a login provider that is on.
    ///
    /// # Errors
    /// `AuthProviderNotFound`.
    pub(crate) fn provider(&self, name: &str) -> Result<(), Problem> {
        let release = self.release();
        let on = release
            .config
            .get(config::Kind::AuthProvider, name)
            .is_some_and(|node| !node.flag("disabled"));
        if on {
            Ok(())
        } else {
            Err(Problem::new(
                Kind::NotFound,
                "AuthProviderNotFound",
                format!("authentication provider not found: '{name}'"),
            ))
        }
    }

    /// The id that tokens and profiles give a provider.
    pub(crate) fn provider_id(&self, name: &str) -> String {
        self.node_id(config::Kind::AuthProvider, name)
            .unwrap_or_default()
    }
}
