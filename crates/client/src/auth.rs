//! Logging in and out, accounts, profiles, API keys (client-api.md §2–§4).

use std::sync::Arc;

use app::App;
use app::meters::Area;
use app::users::Device;
use axum::http::{Method, StatusCode};
use bson::{Bson, Document};
use kit::{Kind, Problem, limit};
use serde_json::json;
use web::{Answer, Request};

use crate::{Client, Counted, Handled, info, of, unknown};

/// `POST auth/providers/{provider}/login`, with `?link=true` for the user of an
/// access token.
pub(crate) async fn login(app: &Arc<App>, provider: &str, request: &Request) -> Handled {
    let mut credentials = body(request).map_err(of(app))?;
    let device = credentials
        .remove("options")
        .and_then(|options| match options {
            Bson::Document(mut options) => options.remove("device"),
            _ => None,
        })
        .map_or_else(Device::default, |device| match device {
            Bson::Document(device) => Device::new(&device),
            _ => Device::default(),
        });
    if request.query_value("link").as_deref() == Some("true") {
        let token = request.bearer().map_err(of(app))?;
        let linked = app
            .link(token, provider, &credentials, device, &info(request))
            .await
            .map_err(of(app))?;
        return Ok(Answer::ok(&json!({
            "access_token": linked.access_token, "user_id": linked.user_id,
            "device_id": linked.device_id,
        })));
    }
    let login = app
        .login(provider, &credentials, device, &info(request))
        .await
        .map_err(of(app))?;
    Ok(Answer::ok(&json!({
        "access_token": login.access_token, "refresh_token": login.refresh_token,
        "user_id": login.user_id, "device_id": login.device_id,
    })))
}

/// The body of an auth request. Anybody may send one, so it is smaller than
/// others.
pub(crate) fn body(request: &Request) -> Result<Document, Problem> {
    if request.body.len() > limit::AUTH_BODY_BYTES_MAX {
        return Err(Problem::new(
            Kind::TooLarge,
            "ReadSizeLimitExceeded",
            format!(
                "the request body is larger than {} bytes",
                limit::AUTH_BODY_BYTES_MAX
            ),
        ));
    }
    request.ejson()
}

/// A text field; empty when missing.
pub(crate) fn text<'a>(body: &'a Document, name: &str) -> &'a str {
    body.get_str(name).unwrap_or_default()
}

impl Client {
    /// The routes that name no app: it is in the token.
    pub(crate) async fn auth(
        &self,
        parts: &[&str],
        request: &Request,
        counted: &mut Counted,
    ) -> Handled {
        let route = (&request.method, parts);
        let known = matches!(
            route,
            (&Method::POST | &Method::DELETE, ["session"])
                | (&Method::GET, ["profile"])
                | (&Method::DELETE, ["delete"])
                | (_, ["api_keys", ..])
        );
        if !known {
            return Err(unknown().into());
        }
        let token = request.bearer()?;
        let app = self.core.app_of_token(token).await?;
        app.check_address(request.peer).map_err(of(&app))?;
        app.check_origin(request.header("origin"))
            .map_err(of(&app))?;
        counted.is(&app, Area::Auth);
        let result = match (request.method.clone(), parts) {
            (Method::POST, ["session"]) => {
                let access_token = app.refresh(token).await.map_err(of(&app))?;
                Answer::json(
                    StatusCode::CREATED,
                    &json!({ "access_token": access_token }),
                )
            }
            (Method::DELETE, ["session"]) => {
                app.logout(token).await.map_err(of(&app))?;
                Answer::no_content()
            }
            (Method::GET, ["profile"]) => {
                let user = app.authenticate(token).await.map_err(of(&app))?;
                Answer::ok(&app.profile(&user))
            }
            (Method::DELETE, ["delete"]) => {
                let user = app.authenticate(token).await.map_err(of(&app))?;
                let request = info(request);
                let gone = app.delete_user(&user.id, &request).await;
                gone.map_err(of(&app))?;
                Answer::no_content()
            }
            (_, rest) => api_keys(&app, token, &rest[1..], request)
                .await
                .map_err(of(&app))?,
        };
        Ok(result)
    }
}

async fn api_keys(
    app: &Arc<App>,
    token: &str,
    parts: &[&str],
    request: &Request,
) -> Result<Answer, Problem> {
    let (user, identity) = app.user_of_refresh(token).await?;
    let shown = |key: &app::users::ApiKey| json!({ "_id": key.id, "name": key.name, "disabled": key.disabled });
    match (request.method.clone(), parts) {
        (Method::POST, []) => {
            if user.is_anonymous() {
                return Err(Problem::new(
                    Kind::Forbidden,
                    "BadRequest",
                    "anonymous users cannot create API keys",
                ));
            }
            let body = body(request)?;
            let made = app.create_api_key(&user.id, text(&body, "name")).await?;
            let mut shown = shown(&made.record);
            shown["key"] = json!(made.key);
            Ok(Answer::created(&shown))
        }
        (Method::GET, []) => {
            let keys = app.api_keys(&user.id).await?;
            Ok(Answer::ok(&keys.iter().map(shown).collect()))
        }
        (Method::GET, [id]) => Ok(Answer::ok(&shown(&app.api_key(&user.id, id).await?))),
        (Method::DELETE, [id]) | (Method::PUT, [id, "disable"])
            if user.provider_type == "api-key" && identity == *id =>
        {
            Err(Problem::new(
                Kind::Forbidden,
                "BadRequest",
                "a session cannot end the API key that it began with",
            ))
        }
        (Method::DELETE, [id]) => {
            app.delete_api_key(&user.id, id).await?;
            Ok(Answer::no_content())
        }
        (Method::PUT, [id, verb @ ("enable" | "disable")]) => {
            app.set_api_key(&user.id, id, *verb == "disable").await?;
            Ok(Answer::no_content())
        }
        _ => Err(unknown()),
    }
}
