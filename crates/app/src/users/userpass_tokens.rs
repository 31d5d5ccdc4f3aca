//! The tokens of links that confirm an address or reset a password. Each is good
//! once, for half an hour and for one account; of the secret part only a digest is
//! kept.

use bson::{Document, doc};
use kit::{Kind, Problem, Secret, limit};
use state::{Password, UserpassToken};

use super::registration::not_found;
use crate::{App, new_id, stored};

/// Bytes of a token, which is twice as many hex digits.
const TOKEN_BYTES: usize = 64;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFor {
    /// To confirm an address.
    Confirmation,
    /// To reset a password.
    Reset,
}

impl TokenFor {
    /// The field of an account that keeps it.
    fn field(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Reset => "reset",
        }
    }
}

/// A new token: both parts belong in the link.
#[derive(Debug, Clone)]
pub struct NewUserpassToken {
    /// The secret part: 128 hex digits.
    pub token: Secret,
    /// Its id: 24 hex digits.
    pub token_id: String,
}

/// The refusal of a token that is not known, was used or is too old.
pub(super) fn invalid() -> Problem {
    Problem::new(
        Kind::Invalid,
        "UserpassTokenInvalid",
        "userpass token is expired or invalid",
    )
}

impl App {
    /// Gives an account a token, in place of one that it had for the same.
    ///
    /// # Errors
    /// `UserNotFound` for an account that went meanwhile.
    pub(super) async fn give_token(
        &self,
        purpose: TokenFor,
        account: &Password,
    ) -> Result<NewUserpassToken, Problem> {
        let token = NewUserpassToken {
            token: state::random_hex::<TOKEN_BYTES>().into(),
            token_id: new_id(),
        };
        let record = UserpassToken {
            token_id: token.token_id.clone(),
            digest: state::digest(token.token.expose()),
            expires: self.core.clock.now_ms() + limit::USERPASS_TOKEN_S * 1000,
        };
        let record = bson::serialize_to_document(&record).map_err(Problem::internal)?;
        let set = doc! { "$set": { purpose.field(): record } };
        let passwords = &self.core.state.passwords;
        let found = passwords.change(doc! { "_id": &account.id }, set).await;
        if found.map_err(stored)? {
            Ok(token)
        } else {
            Err(not_found())
        }
    }

    /// What matches the account that a token is good for now. It is found by the
    /// digest too: the token is compared by nobody here.
    ///
    /// # Errors
    /// `BadRequest` for what is no token.
    pub(super) fn with_token(
        &self,
        purpose: TokenFor,
        token: &str,
        token_id: &str,
    ) -> Result<Document, Problem> {
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !is_hex(token, 2 * TOKEN_BYTES) || !is_hex(token_id, 24) {
            return Err(Problem::bad_request("invalid token data"));
        }
        let field = |name: &str| format!("{}.{name}", purpose.field());
        Ok(doc! {
            "app_id": &self.id,
            field("token_id"): token_id,
            field("digest"): state::digest(token),
            field("expires"): { "$gt": self.core.clock.now_ms() },
        })
    }
}
