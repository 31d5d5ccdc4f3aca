//! Files of npm packages, for a worker that loads them: those that the request
//! began with, whatever the worker says.

use bson::{RawBson, RawDocumentBuf};
use kit::{Kind, Problem};

use crate::caller::Cx;

/// `modules.resolve`, `modules.code` and `modules.file`.
pub(super) async fn answer(
    cx: &Cx,
    operation: &str,
    asked: RawDocumentBuf,
) -> Result<RawBson, Problem> {
    let Some(installed) = &cx.packages else {
        return Err(Problem::new(
            Kind::NotFound,
            "DependenciesNotFound",
            "no dependencies are installed",
        ));
    };
    let core = &cx.app.core;
    let answer = core
        .packages
        .answer(&core.state, installed, operation, asked);
    let answer = answer
        .await?
        .map_err(|error| super::execution(error.message))?;
    Ok(RawBson::Document(answer))
}
