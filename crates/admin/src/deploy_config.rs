//! How deployments are made, and moves to another deployment model or region
//! (admin-api.md §2.15, #129, #130, #180 and #181).

use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, date, regions, row};

const CONFIG: &str = "/groups/{groupId}/apps/{appId}/deploy/config";
const MIGRATION: &str = "/groups/{groupId}/apps/{appId}/deployment_migration";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetDeploymentConfig",
        Method::GET,
        CONFIG,
        Read,
        |cx, r| Box::pin(get(cx, r)),
    ),
    row(
        "adminConfigureDeployment",
        Method::PATCH,
        CONFIG,
        Write,
        |cx, r| Box::pin(patch(cx, r)),
    ),
    row(
        "adminGetDeploymentMigration",
        Method::GET,
        MIGRATION,
        Read,
        |cx, r| Box::pin(get_migration(cx, r)),
    ),
    row(
        "adminCreateDeploymentMigration",
        Method::PUT,
        MIGRATION,
        Write,
        |cx, r| Box::pin(migrate(cx, r)),
    ),
];

/// Installations of a provider.
const INSTALLATIONS_MAX: usize = 100;

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    let deploy = &record.settings.deploy;
    let at = match deploy.modified {
        0 => record.created,
        at => at,
    };
    Ok(Answer::ok(&json!({
        "ui_drafts_disabled": deploy.ui_drafts_disabled,
        "automatic_deployment": {
            "enabled": deploy.automatic, "provider": deploy.provider,
            "installation_ids": deploy.installation_ids,
        },
        "last_modified": at / 1000,
    })))
}

/// Merges the body into what there is.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let optional = |fields: &Map<String, Value>, name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => body::flag(fields, name).map(Some),
    };
    let drafts = optional(&fields, "ui_drafts_disabled")?;
    let automatic = body::optional_object(&fields, "automatic_deployment")?;
    let enabled = optional(&automatic, "enabled")?;
    let provider = match automatic.get("provider") {
        None | Some(Value::Null) => None,
        Some(Value::String(provider)) if ["", "github"].contains(&provider.as_str()) => {
            Some(provider.clone())
        }
        Some(_) => {
            return Err(Problem::invalid_parameter("'provider' must be 'github'"));
        }
    };
    // The documentation's prose has them in camel case.
    let ids = automatic
        .get("installation_ids")
        .or_else(|| automatic.get("installationIds"));
    let ids = match ids {
        None | Some(Value::Null) => None,
        Some(Value::Array(ids)) if ids.len() <= INSTALLATIONS_MAX => {
            let ids: Option<Vec<String>> =
                ids.iter().map(|id| Some(id.as_str()?.to_owned())).collect();
            Some(ids.ok_or_else(|| {
                Problem::invalid_parameter("'installation_ids' must be an array of strings")
            })?)
        }
        Some(_) => {
            return Err(Problem::invalid_parameter(format!(
                "'installation_ids' must be an array of at most {INSTALLATIONS_MAX} strings"
            )));
        }
    };
    cx.app()?
        .configure_deployment(|deploy| {
            deploy.ui_drafts_disabled = drafts.unwrap_or(deploy.ui_drafts_disabled);
            deploy.automatic = enabled.unwrap_or(deploy.automatic);
            if let Some(provider) = &provider {
                deploy.provider.clone_from(provider);
            }
            if let Some(ids) = &ids {
                deploy.installation_ids.clone_from(ids);
            }
            Ok(())
        })
        .await?;
    Ok(Answer::no_content())
}

/// A move is a change of what the app says of itself, so it is done at once.
async fn get_migration(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    let Some(migration) = &record.settings.migration else {
        return Err(Problem::new(
            kit::Kind::NotFound,
            "DeploymentMigrationNotFound",
            "the app was never migrated",
        ));
    };
    Ok(Answer::ok(&json!({
        "status": "successful", "message": "the migration is done",
        "updated_at": date(migration.at),
        "from": {
            "deployment_model": migration.from_model, "provider_region": migration.from_region,
        },
        "to": { "deployment_model": migration.to_model, "provider_region": migration.to_region },
    })))
}

async fn migrate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let model = body::text(&fields, "deployment_model")?;
    let region = body::text(&fields, "provider_region")?;
    if !["GLOBAL", "LOCAL"].contains(&model) {
        return Err(Problem::bad_request(format!(
            "unknown deployment model '{model}'"
        )));
    }
    let place = regions::region(region, "")?;
    let app = cx.app()?;
    let live = app.live();
    let root = live.config().get(Kind::Root, "");
    let text = |name: &str| root.map_or("", |root| root.text(name)).to_owned();
    let (from_model, from_region) = (text("deployment_model"), text("provider_region"));
    if (from_model.as_str(), from_region.as_str()) == (model, region) {
        return Err(Problem::bad_request(
            "the app has that deployment model and region already",
        ));
    }
    app.migrate(
        &cx.author(&request)?,
        state::Migration {
            from_model,
            from_region,
            to_model: model.to_owned(),
            to_region: region.to_owned(),
            at: 0,
        },
        place.location,
    )
    .await?;
    Ok(Answer::no_content())
}
