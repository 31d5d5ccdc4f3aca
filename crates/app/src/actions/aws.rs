//! The service `aws`: operations of Amazon's services by the names and the shapes
//! of Go's SDK (functions-runtime.md §5).
//!
//! Not here: which operations rules allow.

mod model;
mod read;
mod sign;
mod write;
mod xml;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawBson, RawDocument, RawDocumentBuf};
use egress::{Limits, Method, Request};
use kit::{Kind, Problem, limit};
use url::Url;

use self::model::{Api, Operation};
use self::sign::{Signed, Signer, canonical_query, escaped};
use super::Service;
use super::http::{failed, invalid, text};
use crate::Cx;

/// Longest time that a URL is good for, as Amazon has it.
const PRESIGNED_S_MAX: i64 = 7 * 24 * 3600;

/// Who asks, and where.
struct Account {
    key_id: String,
    secret: Arc<str>,
    region: String,
    /// Where all services are asked in place of Amazon.
    elsewhere: Option<String>,
}

/// `s3:PutObject` and its input of what the oldest SDKs call `execute`.
pub(super) fn of_old_sdks(sent: &RawDocument) -> Option<(String, RawDocumentBuf)> {
    let part = |name: &str| sent.get_str(name).ok();
    let action = format!("{}:{}", part("aws_service")?, part("aws_action")?);
    let mut input = match sent.get_document("aws_arguments") {
        Ok(arguments) => arguments.to_owned(),
        Err(_) => RawDocumentBuf::new(),
    };
    if let Some(region) = part("aws_region") {
        input.append(bson::cstr!("region"), region);
    }
    Some((action, input))
}

/// Runs an operation, such as `s3:PutObject`.
///
/// # Errors
/// For an operation that there is not, for input that cannot be written, and
/// what Amazon says is wrong.
pub(super) async fn run(
    cx: &Cx,
    service: &Service,
    action: &str,
    sent: &RawDocument,
) -> Result<RawBson, Problem> {
    let (api_name, operation_name) = action.split_once(':').unwrap_or((action, ""));
    let account = Account {
        key_id: service.setting("accessKeyId")?.to_owned(),
        secret: service.secret(cx, "secretAccessKey").await?,
        region: region(service, sent)?,
        elsewhere: cx.app.core.endpoints.elsewhere("aws").map(str::to_owned),
    };
    let now_ms = cx.app.core.clock.now_ms();
    if (api_name, operation_name) == ("s3", "PresignURL") {
        return account.presigned(sent, now_ms).map(RawBson::String);
    }
    let operation = Api::named(api_name).and_then(|api| api.operation(operation_name));
    let operation = operation.ok_or_else(|| {
        Problem::new(
            Kind::NotFound,
            "ServiceCommandNotFound",
            format!("unknown AWS action '{action}'"),
        )
    })?;
    let input = without_region(sent);
    let request = account.request(&operation, operation_name, &input, now_ms)?;
    let limits = Limits {
        // The call's own end comes before it.
        time: Duration::from_millis(limit::CALL_MS_MAX),
        body_bytes: limit::SERVICE_ANSWER_BYTES_MAX,
        redirects: 0,
    };
    let response = cx.app.core.egress.send(request, limits).await;
    let response = response.map_err(failed)?;
    if response.status.is_success() {
        read::answer(&operation, &response)
    } else {
        Err(read::problem(&operation, &response))
    }
}

/// The region that is asked for, or the service's. It becomes a part of a host.
fn region(service: &Service, sent: &RawDocument) -> Result<String, Problem> {
    let region = match text(sent, "region")? {
        Some(region) => region,
        None => service.setting("region")?,
    };
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || region.len() > 32 || !region.bytes().all(fits) {
        return Err(invalid(format!("'{region}' is no region of AWS")));
    }
    Ok(region.to_owned())
}

/// The input without what chose the region.
fn without_region(sent: &RawDocument) -> RawDocumentBuf {
    let mut input = RawDocumentBuf::new();
    for (name, value) in sent.iter().flatten() {
        if name != "region" {
            input.append(name, value);
        }
    }
    input
}

impl Account {
    fn signer(&self, service: &'static str, now_ms: i64) -> Signer<'_> {
        Signer {
            key_id: &self.key_id,
            secret: &self.secret,
            region: &self.region,
            service,
            now_ms,
        }
    }

    /// Where a service is: scheme and host, with a path before every other when
    /// the operator names another place.
    fn base(&self, host: &str) -> String {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.trim_end_matches('/').to_owned();
        }
        let china = if self.region.starts_with("cn-") {
            ".cn"
        } else {
            ""
        };
        format!("https://{host}.{}.amazonaws.com{china}", self.region)
    }

    /// Scheme, host and path of a request to S3: a bucket is a part of the host
    /// where it can be.
    fn of_bucket(&self, path: &str) -> (String, String) {
        let (bucket, rest) = path.strip_prefix('/').map_or((path, ""), |path| {
            path.split_once('/').unwrap_or((path, ""))
        });
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (3..=63).contains(&bucket.len()) && bucket.bytes().all(fits);
        if self.elsewhere.is_none() && is_name {
            (self.base(&format!("{bucket}.s3")), format!("/{rest}"))
        } else {
            (self.base("s3"), path.to_owned())
        }
    }

    /// A signed request.
    fn request(
        &self,
        operation: &Operation,
        name: &str,
        input: &RawDocument,
        now_ms: i64,
    ) -> Result<Request, Problem> {
        let mut draft = write::request(operation, name, input)?;
        let api = operation.api;
        let (base, path) = if api.text("host") == "s3" {
            self.of_bucket(&draft.path)
        } else {
            (self.base(api.text("host")), draft.path.clone())
        };
        let (url, host, path) = address(&base, &path)?;
        let signer = self.signer(api.signing(), now_ms);
        let signed = Signed {
            method: operation.method(),
            host: &host,
            path: &path,
            query: &draft.query,
        };
        signer.headers(&signed, &mut draft.headers, &draft.body);
        let query = canonical_query(&draft.query);
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(Request {
            method: Method::from_bytes(operation.method().as_bytes()).map_err(Problem::internal)?,
            url: format!("{url}{mark}{query}"),
            headers: draft.headers,
            body: draft.body.into(),
        })
    }

    /// A URL that lets its bearer read or write one object for a while.
    fn presigned(&self, sent: &RawDocument, now_ms: i64) -> Result<String, Problem> {
        let needed = |name: &str| {
            text(sent, name)?
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Problem::missing_parameter(format!("missing argument '{name}'")))
        };
        let (bucket, key) = (needed("Bucket")?, needed("Key")?);
        let method = text(sent, "Method")?.unwrap_or("GET");
        if !matches!(method, "GET" | "PUT" | "HEAD" | "DELETE") {
            return Err(invalid("'Method' is GET, PUT, HEAD or DELETE"));
        }
        let ms = match sent.get("ExpirationMS") {
            Ok(Some(RawBsonRef::Int32(ms))) => i64::from(ms),
            Ok(Some(RawBsonRef::Int64(ms))) => ms,
            Ok(Some(RawBsonRef::Double(ms))) => ms as i64,
            _ => {
                return Err(Problem::missing_parameter(
                    "missing argument 'ExpirationMS'",
                ));
            }
        };
        let seconds = ms / 1000;
        if !(1..=PRESIGNED_S_MAX).contains(&seconds) {
            return Err(invalid("'ExpirationMS' is from a second to seven days"));
        }
        let key = key.trim_start_matches('/');
        let path = format!("/{}/{}", escaped(bucket, false), escaped(key, true));
        let path = path.replace("//", "/");
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(invalid("a part of 'Key' cannot be '.' or '..'"));
        }
        let (base, path) = self.of_bucket(&path);
        let (url, host, path) = address(&base, &path)?;
        let signed = Signed {
            method,
            host: &host,
            path: &path,
            query: &[],
        };
        let query = self.signer("s3", now_ms).presigned(&signed, seconds);
        Ok(format!("{url}?{query}"))
    }
}

/// The whole address of a path at a place: it, the host as the header says it,
/// and the whole path.
fn address(base: &str, path: &str) -> Result<(String, String, String), Problem> {
    let text = format!("{base}{path}");
    let url = Url::parse(&text).map_err(|error| invalid(error.to_string()))?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        _ => return Err(invalid("AWS is at no address")),
    };
    // What is signed is what is sent.
    if url.as_str() != text {
        return Err(invalid("a name in the address cannot be sent as it is"));
    }
    let path = url.path().to_owned();
    Ok((text, host, path))
}
