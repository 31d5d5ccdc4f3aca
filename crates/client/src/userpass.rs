//! Email/password accounts: registering, confirming the address, new passwords
//! (client-api.md §3).

use std::sync::Arc;

use app::App;
use axum::http::StatusCode;
use bson::{Bson, Document};
use kit::Problem;
use web::{Answer, Request};

use crate::auth::{body, text};
use crate::{Handled, info, of, unknown};

/// `POST auth/providers/local-userpass/…`.
pub(crate) async fn handle(app: &Arc<App>, verb: &[&str], request: &Request) -> Handled {
    answer(app, verb, request).await.map_err(of(app))
}

async fn answer(app: &Arc<App>, verb: &[&str], request: &Request) -> Result<Answer, Problem> {
    let body = body(request)?;
    let field = |name: &str| text(&body, name);
    let info = info(request);
    match verb {
        ["register"] => {
            app.register(field("email"), field("password"), &info)
                .await?;
            return Ok(Answer::empty(StatusCode::CREATED));
        }
        ["confirm"] => app.confirm(field("token"), field("tokenId")).await?,
        ["confirm", "send"] => app.send_confirmation(field("email"), &info).await?,
        ["confirm", "call"] => app.run_confirmation(field("email"), &info).await?,
        ["reset"] => {
            let (token, id, password) = (field("token"), field("tokenId"), field("password"));
            app.reset_password(token, id, password, &info).await?;
        }
        ["reset", "send"] => app.send_reset(field("email"), &info).await?,
        ["reset", "call"] => {
            let arguments = arguments(&body)?;
            app.call_reset(field("email"), field("password"), arguments, &info)
                .await?;
        }
        _ => return Err(unknown()),
    }
    Ok(Answer::empty(StatusCode::OK))
}

/// What the reset function is given beside what the server knows.
fn arguments(body: &Document) -> Result<Vec<Bson>, Problem> {
    match body.get("arguments") {
        None | Some(Bson::Null) => Ok(Vec::new()),
        Some(Bson::Array(arguments)) => Ok(arguments.clone()),
        Some(_) => Err(Problem::bad_request("arguments has to be an array")),
    }
}
