//! Hosted files (admin-api.md §2.16, #147–#151, and §3.5). They act at once,
//! whatever draft there is, and while hosting is off.

use std::fmt::Write as _;

use app::{Asset, Attribute, Upload};
use axum::http::Method;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/hosting/assets";
const ONE: &str = "/groups/{groupId}/apps/{appId}/hosting/assets/asset";
const CACHE: &str = "/groups/{groupId}/apps/{appId}/hosting/cache";

pub(crate) const ROWS: &[Row] = &[
    row("adminListHostedAssets", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row(
        "adminMoveCopyHostedAsset",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(relocate(cx, r)),
    ),
    row("adminGetHostedAsset", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row(crate::UPLOAD_ASSET, Method::PUT, ONE, Write, |cx, r| {
        Box::pin(upload(cx, r))
    }),
    row(
        "adminSetAssetAttributes",
        Method::PATCH,
        ONE,
        Write,
        |cx, r| Box::pin(set_attributes(cx, r)),
    ),
    row(
        "adminDeleteHostedAsset",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete(cx, r)),
    ),
    row(
        "adminInvalidateHostingCache",
        Method::PUT,
        CACHE,
        Write,
        |cx, r| Box::pin(invalidate(cx, r)),
    ),
];

fn show(cx: &Cx, asset: &Asset) -> Result<Value, Problem> {
    let app = cx.app()?;
    let attributes = asset.attributes.iter();
    Ok(json!({
        "appId": app.id, "path": asset.path, "hash": asset.hash, "size": asset.size,
        "attrs": attributes.map(attribute).collect::<Value>(),
        "last_modified": asset.modified / 1000, "url": url(cx, asset)?,
    }))
}

fn attribute(of: &Attribute) -> Value {
    json!({ "name": of.name, "value": of.value })
}

/// Where a file is downloaded, without a token.
fn url(cx: &Cx, asset: &Asset) -> Result<String, Problem> {
    let app = cx.app()?;
    let mut url = format!("{}/app/{}/hosting", cx.base_url, app.client_app_id);
    for byte in asset.path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    if app.hosted_by_key() && !asset.path.ends_with('/') {
        url.push_str("?key=");
        url.push_str(&app.asset_key(asset));
    }
    Ok(url)
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let prefix = request.query_value("prefix").unwrap_or_default();
    let recursive = request
        .query_value("recursive")
        .is_some_and(|on| on != "false");
    let assets = cx.app()?.assets(&prefix, recursive).await?;
    let shown: Result<Vec<Value>, Problem> = assets.iter().map(|asset| show(&cx, asset)).collect();
    Ok(Answer::ok(&Value::Array(shown?)))
}

async fn relocate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let moving = fields.contains_key("move_from") || fields.contains_key("move_to");
    if moving && (fields.contains_key("copy_from") || fields.contains_key("copy_to")) {
        return Err(Problem::bad_request("a file is either moved or copied"));
    }
    let (from, to) = if moving {
        ("move_from", "move_to")
    } else {
        ("copy_from", "copy_to")
    };
    let (from, to) = (body::text(&fields, from)?, body::text(&fields, to)?);
    cx.app()?.copy_asset(from, to, moving).await?;
    Ok(Answer::no_content())
}

/// The path that the query names.
fn path(request: &Request) -> Result<String, Problem> {
    let path = request.query_value("path").filter(|path| !path.is_empty());
    path.ok_or_else(|| Problem::missing_parameter("'path' is a required query parameter"))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let path = match request.query_value("prefix") {
        Some(prefix) => format!("{prefix}{}", path(&request)?),
        None => path(&request)?,
    };
    let asset = cx.app()?.asset(&path).await?;
    Ok(Answer::ok(&show(&cx, &asset)?))
}

/// The metadata say where the file goes; the query's path is not looked at.
async fn upload(cx: Cx, mut request: Request) -> Result<Answer, Problem> {
    let mut parts = web::parts(&mut request).await?;
    let mut take = |name: &str| {
        let at = parts.iter().position(|part| part.name == name);
        let missing = || Problem::bad_request(format!("the request body has no part '{name}'"));
        at.map(|at| parts.swap_remove(at).bytes).ok_or_else(missing)
    };
    let (meta, bytes) = (take("meta")?, take("file")?);
    let meta = body::parsed(&meta)?;
    let fields = meta
        .as_object()
        .ok_or_else(|| Problem::bad_request("the part 'meta' has to be an object"))?;
    let size = match fields.get("size") {
        None | Some(Value::Null) => None,
        Some(size) => Some(
            size.as_i64()
                .ok_or_else(|| Problem::invalid_parameter("'size' must be a number"))?,
        ),
    };
    let upload = Upload {
        path: body::text(fields, "path")?.to_owned(),
        hash: body::optional_text(fields, "hash")?.map(str::to_owned),
        size,
        attributes: attributes(fields, "attrs")?,
        bytes,
    };
    cx.app()?.upload_asset(upload).await?;
    Ok(Answer::no_content())
}

/// Attributes; none at all is an empty list.
fn attributes(fields: &Map<String, Value>, name: &str) -> Result<Vec<Attribute>, Problem> {
    let list = match fields.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => {
            return Err(Problem::invalid_parameter(format!(
                "'{name}' must be a list"
            )));
        }
    };
    let read = |item: &Value| {
        let fields = item.as_object().ok_or_else(|| {
            Problem::invalid_parameter(format!("each of '{name}' must be an object"))
        })?;
        Ok(Attribute {
            name: body::text(fields, "name")?.to_owned(),
            value: body::optional_text(fields, "value")?
                .unwrap_or_default()
                .to_owned(),
        })
    };
    list.iter().map(read).collect()
}

async fn set_attributes(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    if !fields.contains_key("attributes") {
        return Err(Problem::missing_parameter(
            "'attributes' is a required list",
        ));
    }
    let attributes = attributes(&fields, "attributes")?;
    cx.app()?
        .set_asset_attributes(&path(&request)?, attributes)
        .await?;
    Ok(Answer::no_content())
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?.delete_asset(&path(&request)?).await?;
    Ok(Answer::no_content())
}

async fn invalidate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    if !body::flag(&fields, "invalidate")? {
        return Err(Problem::bad_request("'invalidate' must be true"));
    }
    let path = body::text(&fields, "path")?;
    cx.app()?.invalidate_hosting_cache(path)?;
    Ok(Answer::no_content())
}
