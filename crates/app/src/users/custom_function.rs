//! Login by what a function of the app says: the provider `custom-function`
//! (client-api.md §2.7).

use std::sync::Arc;

use bson::{Bson, Document, doc};
use kit::{Kind, Problem, limit};

use super::login::{Proven, refused};
use crate::{App, Calling, Cx, RequestInfo};

const PROVIDER: &str = "custom-function";

impl App {
    /// Whose credentials they are by what the function says of them. It is
    /// given what the app passed, and runs as the system.
    ///
    /// # Errors
    /// `AuthError`: with what the function threw, or when it names nobody.
    pub(super) async fn by_function(
        self: &Arc<Self>,
        credentials: &Document,
        request: &RequestInfo,
    ) -> Result<Proven, Problem> {
        let mut payload = credentials.clone();
        // Clients may add what is not the app's.
        if payload
            .get_str("provider")
            .is_ok_and(|kind| kind == PROVIDER)
        {
            payload.remove("provider");
        }
        let cx = Cx::of_system(self, request.clone());
        let provider = cx.release.config.get(config::Kind::AuthProvider, PROVIDER);
        let name = provider
            .and_then(|node| node.at("/config/authFunctionName")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| refused("the provider names no function"))?;
        let called = self.call(&cx, &name, vec![payload.into()], Calling::Server);
        let said = called.await.map_err(|problem| {
            if problem.kind == Kind::Limited {
                return problem;
            }
            Problem::new(Kind::Unauthenticated, "AuthError", problem.message)
        })?;
        let (id, data) = named(said).ok_or_else(|| {
            refused(format!(
                "the function \"{name}\" has to return a user's id, a text of 1 to {} \
                 characters, or an object with it as \"id\"",
                limit::JWT_FIELD_CHARS_MAX
            ))
        })?;
        Ok(Proven {
            identity: self.identity(id, PROVIDER, data),
            kind: "normal",
            owner: None,
            hash: None,
        })
    }
}

/// The id and the name that a function returned.
fn named(said: Bson) -> Option<(String, Document)> {
    let (id, data) = match said {
        Bson::String(id) => (id, Document::new()),
        Bson::Document(said) => {
            let data = match said.get_str("name") {
                Ok(name) => doc! { "name": name },
                Err(_) => Document::new(),
            };
            (said.get_str("id").ok()?.to_owned(), data)
        }
        _ => return None,
    };
    let fits = (1..=limit::JWT_FIELD_CHARS_MAX).contains(&id.chars().count());
    fits.then_some((id, data))
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, oid::ObjectId};

    use super::named;

    #[test]
    fn a_function_names_a_user_by_a_text() {
        let of = |said: Bson| named(said).map(|(id, data)| (id, data.to_string()));
        let found = |id: &str, data: &str| Some((id.to_owned(), data.to_owned()));
        assert_eq!(of("u".into()), found("u", "{}"));
        assert_eq!(of(doc! { "id": "u" }.into()), found("u", "{}"));
        assert_eq!(
            of(doc! { "id": "u", "name": "Ann", "role": "cook" }.into()),
            found("u", &doc! { "name": "Ann" }.to_string())
        );
        assert_eq!(of(doc! { "id": "u", "name": 5 }.into()), found("u", "{}"));
        for none in [
            Bson::Null,
            Bson::Undefined,
            "".into(),
            5.into(),
            true.into(),
            doc! {}.into(),
            doc! { "id": "" }.into(),
            doc! { "id": 5 }.into(),
            doc! { "id": Bson::Null }.into(),
            doc! { "name": "u" }.into(),
            Bson::Array(vec!["u".into()]),
            ObjectId::new().into(),
            "u".repeat(4097).into(),
        ] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
    }
}
