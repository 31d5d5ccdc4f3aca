//! The service `twilio`: sends short messages (functions-runtime.md §5).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::{RawBson, RawDocument};
use egress::{HeaderValue, Limits, Request, header};
use kit::{Kind, Problem};
use serde_json::Value;

use super::Service;
use super::http::{failed, invalid, text};
use crate::Cx;

const LIMITS: Limits = Limits {
    time: Duration::from_secs(30),
    body_bytes: 64 * 1024,
    redirects: 0,
};

/// Runs an action; it has no result.
///
/// # Errors
/// For an unknown action, a missing argument or setting, and what Twilio says is
/// wrong.
pub(super) async fn run(
    cx: &Cx,
    service: &Service,
    action: &str,
    sent: &RawDocument,
) -> Result<RawBson, Problem> {
    if action != "send" {
        return Err(Problem::new(
            Kind::NotFound,
            "ServiceCommandNotFound",
            format!("unknown Twilio action '{action}'"),
        ));
    }
    let argument = |name: &str| {
        text(sent, name)?
            .ok_or_else(|| Problem::missing_parameter(format!("missing argument '{name}'")))
    };
    let (to, from, body) = (argument("to")?, argument("from")?, argument("body")?);
    let sid = service.setting("sid")?;
    // It becomes a part of the path.
    if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid("the service's 'sid' is no account of Twilio"));
    }
    let token = service.secret(cx, "auth_token").await?;
    let base = cx.app.core.endpoints.get("twilio");
    let url = format!("{base}/2010-04-01/Accounts/{sid}/Messages.json");
    let pair = STANDARD.encode(format!("{sid}:{token}"));
    let mut basic = HeaderValue::from_str(&format!("Basic {pair}")).map_err(Problem::internal)?;
    basic.set_sensitive(true);
    let request = Request::form(url, &[("To", to), ("From", from), ("Body", body)])
        .header(header::AUTHORIZATION, basic);
    let answer = cx.egress().send(request, LIMITS).await;
    let answer = answer.map_err(failed)?;
    if answer.status.is_success() {
        return Ok(RawBson::Undefined);
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let why = said["message"].as_str().unwrap_or("no reason");
    let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
    Err(Problem::new(
        Kind::Invalid,
        "TwilioError",
        format!("Twilio answers {}: {why}", answer.status.as_u16()),
    ))
}
