//! `POST functions/call`: app functions and service actions
//! (client-api.md §5.1).

use std::sync::Arc;

use app::meters::Area;
use app::{App, Calling, Cx};
use axum::http::StatusCode;
use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawBson, RawDocumentBuf};
use kit::Problem;
use web::{Answer, Request, action_argument, arguments};

use crate::{Counted, Handled, info, of};

/// Runs the function or action that the body names.
pub(crate) async fn call(app: &Arc<App>, request: &Request, counted: &mut Counted) -> Handled {
    let user = app
        .authenticate(request.bearer().map_err(of(app))?)
        .await
        .map_err(of(app))?;
    counted.is(app, Area::Sdk);
    let mut body = request.ejson().map_err(of(app))?;
    let cx = Cx::of_user(app, user, info(request));
    let value = if let Some(service) = service(&body).map_err(of(app))? {
        counted.is(app, Area::Mql);
        let (name, argument) = action(&mut body).map_err(of(app))?;
        app.run_action(&cx, &service, &name, &argument)
            .await
            .map_err(of(app))?
    } else {
        let name = name(&body).map_err(of(app))?.to_owned();
        let arguments = arguments(&mut body).map_err(of(app))?;
        let value = app
            .call(&cx, &name, arguments, Calling::Client)
            .await
            .map_err(of(app))?;
        RawBson::try_from(value)
            .map_err(Problem::internal)
            .map_err(of(app))?
    };
    Ok(encode(value.as_raw_bson_ref()))
}

/// A value as canonical Extended JSON.
fn encode(value: RawBsonRef<'_>) -> Answer {
    let mut out = Vec::with_capacity(128);
    kit::ejson::canonical(value, &mut out);
    // A parameter keeps SDKs from mistaking a value with an `error` field for
    // an error; they accept it on success.
    Answer::bytes(StatusCode::OK, "application/json; charset=utf-8", out)
}

/// The service whose action is called; none for a function of the app.
pub(crate) fn service(body: &Document) -> Result<Option<String>, Problem> {
    match body.get("service") {
        Some(Bson::String(service)) => Ok(Some(service.clone()).filter(|name| !name.is_empty())),
        None | Some(Bson::Null) => Ok(None),
        Some(_) => Err(Problem::invalid_parameter("'service' must be a string")),
    }
}

fn name(body: &Document) -> Result<&str, Problem> {
    match body.get("name") {
        Some(Bson::String(name)) => Ok(name),
        None | Some(Bson::Null) => Err(Problem::missing_parameter("'name' is a required string")),
        Some(_) => Err(Problem::invalid_parameter("'name' must be a string")),
    }
}

/// A service action's name and its one argument.
pub(crate) fn action(body: &mut Document) -> Result<(String, RawDocumentBuf), Problem> {
    let name = name(body)?.to_owned();
    let argument = action_argument(arguments(body)?)?;
    Ok((name, argument))
}
