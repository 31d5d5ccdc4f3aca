//! Who may be a client: origins, addresses, private endpoints, and how long
//! sessions live (admin-api.md §2.12, #87–#101).

use app::settings::{NewPrivateEndpoint, includes, range};
use axum::http::Method;
use config::Kind;
use kit::{Problem, limit};
use serde_json::{Value, json};
use state::{AccessListEntry, PrivateEndpoint};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::edit_node;
use crate::{Cx, Row, body, row};

const ORIGINS: &str = "/groups/{groupId}/apps/{appId}/security/allowed_request_origins";
const ADDRESSES: &str = "/groups/{groupId}/apps/{appId}/security/access_list";
const ADDRESS: &str = "/groups/{groupId}/apps/{appId}/security/access_list/{ipId}";
const ENDPOINTS: &str = "/groups/{groupId}/apps/{appId}/security/private_endpoints";
const ENDPOINT: &str =
    "/groups/{groupId}/apps/{appId}/security/private_endpoints/{privateEndpointId}";
const INFOS: &str = "/groups/{groupId}/apps/{appId}/security/private_endpoint_service_infos";
const NON_VPC: &str = "/groups/{groupId}/apps/{appId}/security/allow_non_vpc_client_requests";
const EXPIRATION: &str = "/groups/{groupId}/apps/{appId}/security/refresh_token_expiration";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminListAllowedRequestOrigins",
        Method::GET,
        ORIGINS,
        Read,
        |cx, r| Box::pin(list_origins(cx, r)),
    ),
    row(
        "adminSetAllowedRequestOrigins",
        Method::POST,
        ORIGINS,
        Write,
        |cx, r| Box::pin(set_origins(cx, r)),
    ),
    row(
        "allowedIPAccessListGet",
        Method::GET,
        ADDRESSES,
        Read,
        |cx, r| Box::pin(list_addresses(cx, r)),
    ),
    row(
        "allowedIPAccessListCreate",
        Method::POST,
        ADDRESSES,
        Write,
        |cx, r| Box::pin(add_address(cx, r)),
    ),
    row(
        "allowedIPAccessListUpdate",
        Method::PATCH,
        ADDRESS,
        Write,
        |cx, r| Box::pin(change_address(cx, r)),
    ),
    row(
        "allowedIPAccessListDelete",
        Method::DELETE,
        ADDRESS,
        Write,
        |cx, r| Box::pin(remove_address(cx, r)),
    ),
    row(
        "adminGetPrivateEndpoints",
        Method::GET,
        ENDPOINTS,
        Read,
        |cx, r| Box::pin(list_endpoints(cx, r)),
    ),
    row(
        "adminCreatePrivateEndpoint",
        Method::POST,
        ENDPOINTS,
        Write,
        |cx, r| Box::pin(add_endpoint(cx, r)),
    ),
    row(
        "adminGetPrivateEndpoint",
        Method::GET,
        ENDPOINT,
        Read,
        |cx, r| Box::pin(get_endpoint(cx, r)),
    ),
    row(
        "adminUpdatePrivateEndpoint",
        Method::PUT,
        ENDPOINT,
        Write,
        |cx, r| Box::pin(replace_endpoint(cx, r)),
    ),
    row(
        "adminDeletePrivateEndpoint",
        Method::DELETE,
        ENDPOINT,
        Write,
        |cx, r| Box::pin(remove_endpoint(cx, r)),
    ),
    // No cloud is here to offer one.
    row(
        "adminListPrivateEndpointServices",
        Method::GET,
        INFOS,
        Read,
        |_, _| Box::pin(async { Ok(Answer::ok(&json!([]))) }),
    ),
    row(
        "allowNonVpcClientRequests",
        Method::POST,
        NON_VPC,
        Write,
        |cx, r| Box::pin(allow_non_vpc(cx, r)),
    ),
    row(
        "adminGetRefreshTokenExpiration",
        Method::GET,
        EXPIRATION,
        Read,
        |cx, r| Box::pin(get_expiration(cx, r)),
    ),
    row(
        "adminSetRefreshTokenExpiration",
        Method::PUT,
        EXPIRATION,
        Write,
        |cx, r| Box::pin(set_expiration(cx, r)),
    ),
];

const LISTED: &str = "allowed_request_origins";

async fn list_origins(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let root = seen.config().get(Kind::Root, "");
    let listed = root.and_then(|root| config::allowed_origins(&root.json));
    let listed = listed.filter(|origins| origins.is_array()).cloned();
    Ok(Answer::ok(&listed.unwrap_or_else(|| json!([]))))
}

/// Replaces the list.
async fn set_origins(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let Value::Array(origins) = body::value(&request)? else {
        return Err(Problem::bad_request(
            "the request body has to be an array of origins",
        ));
    };
    if let Some(wrong) = origins.iter().find(|origin| !is_origin(origin)) {
        return Err(Problem::bad_request(format!(
            "{wrong} is no origin such as https://www.example.com"
        )));
    }
    edit_node(&cx, &request, Kind::Root, "", |root| {
        // Older layouts have them inside.
        if let Some(security) = root.get_mut("security").and_then(Value::as_object_mut) {
            security.shift_remove(LISTED);
        }
        root.insert(LISTED.to_owned(), Value::Array(origins.clone()));
    })
    .await?;
    Ok(Answer::no_content())
}

/// `scheme://host[:port]`, where the host may begin with `*.`.
fn is_origin(value: &Value) -> bool {
    let parts = value.as_str().and_then(|text| text.split_once("://"));
    parts.is_some_and(|(scheme, rest)| {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let host = rest.strip_prefix("*.").unwrap_or(rest);
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-')
            && !host.is_empty()
            && !host.contains(['/', '*', '?', '#', '@', ' ', ','])
    })
}

/// An entry; with `includes_current` when the caller's own address is in it.
fn show_address(entry: &AccessListEntry, request: &Request) -> Value {
    let current = request.peer.is_some_and(|peer| includes(entry, peer.ip()));
    let (ip, network) = range(entry);
    json!({
        "_id": entry.id, "address": entry.address, "ip": ip, "network": network,
        "comment": entry.comment, "includes_current": current,
    })
}

fn current(request: &Request) -> String {
    request
        .peer
        .map_or_else(String::new, |peer| peer.ip().to_canonical().to_string())
}

async fn list_addresses(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    let list = &record.settings.access_list;
    let shown: Value = list
        .iter()
        .map(|entry| show_address(entry, &request))
        .collect();
    Ok(Answer::ok(&json!({
        "allowed_ips": shown, "current_ip": current(&request),
    })))
}

async fn add_address(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let own = current(&request);
    let address = if body::optional_flag(&fields, "use_current")? == Some(true) {
        if own.is_empty() {
            return Err(Problem::bad_request("the caller has no address"));
        }
        &own
    } else {
        body::text(&fields, "address")?
    };
    let comment = body::optional_text(&fields, "comment")?.unwrap_or_default();
    let entry = cx.app()?.allow_address(address, comment).await?;
    Ok(Answer::created(&show_address(&entry, &request)))
}

async fn change_address(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let address = body::text(&fields, "address")?;
    let comment = body::optional_text(&fields, "comment")?;
    let id = request.parameter("ipId");
    let entry = cx.app()?.change_address(id, address, comment).await?;
    Ok(Answer::ok(&show_address(&entry, &request)))
}

async fn remove_address(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?.forbid_address(request.parameter("ipId")).await?;
    Ok(Answer::no_content())
}

fn show_endpoint(endpoint: &PrivateEndpoint) -> Value {
    json!({
        "_id": endpoint.id, "cloud_provider_region": endpoint.cloud_provider_region,
        "cloud_provider_endpoint_id": endpoint.cloud_provider_endpoint_id,
        "endpoint_type": endpoint.endpoint_type, "comment": endpoint.comment,
    })
}

fn read_endpoint(request: &Request) -> Result<NewPrivateEndpoint, Problem> {
    let fields = body::object(request)?;
    let text = |name: &str| body::text(&fields, name).map(str::to_owned);
    Ok(NewPrivateEndpoint {
        region: text("cloud_provider_region")?,
        endpoint_id: text("cloud_provider_endpoint_id")?,
        kind: text("endpoint_type")?,
        comment: body::optional_text(&fields, "comment")?
            .unwrap_or_default()
            .to_owned(),
    })
}

async fn list_endpoints(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    let list = &record.settings.private_endpoints;
    Ok(Answer::ok(&list.iter().map(show_endpoint).collect()))
}

async fn add_endpoint(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let new = read_endpoint(&request)?;
    let made = cx.app()?.set_private_endpoint(None, &new).await?;
    Ok(Answer::created(&show_endpoint(&made)))
}

async fn get_endpoint(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("privateEndpointId");
    Ok(Answer::ok(&show_endpoint(&cx.app()?.private_endpoint(id)?)))
}

async fn replace_endpoint(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("privateEndpointId");
    let app = cx.app()?;
    app.private_endpoint(id)?;
    let new = read_endpoint(&request)?;
    let made = app.set_private_endpoint(Some(id), &new).await?;
    Ok(Answer::ok(&show_endpoint(&made)))
}

async fn remove_endpoint(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("privateEndpointId");
    cx.app()?.remove_private_endpoint(id).await?;
    Ok(Answer::no_content())
}

async fn allow_non_vpc(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let allowed = body::flag(&fields, "allow_non_vpc_client_requests")?;
    cx.app()?.allow_non_vpc(allowed).await?;
    Ok(Answer::no_content())
}

async fn get_expiration(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seconds = cx.app()?.refresh_token_expiration();
    Ok(Answer::ok(&json!({ "expiration_time_seconds": seconds })))
}

async fn set_expiration(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let seconds = match fields.get("expiration_time_seconds") {
        None | Some(Value::Null) => {
            return Err(Problem::missing_parameter(
                "'expiration_time_seconds' is a required number",
            ));
        }
        Some(value) => value.as_i64().ok_or_else(|| {
            Problem::invalid_parameter(format!(
                "'expiration_time_seconds' must be a whole number from {} to {}",
                limit::REFRESH_TOKEN_S_MIN,
                limit::REFRESH_TOKEN_S_MAX
            ))
        })?,
    };
    cx.app()?.set_refresh_token_expiration(seconds).await?;
    Ok(Answer::no_content())
}
