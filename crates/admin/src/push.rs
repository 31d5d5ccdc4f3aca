//! Push notifications (admin-api.md §2.8, #54, #55, #58–#62).

use app::push::Notification;
use axum::http::Method;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, date, info, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/push/notifications";
const ONE: &str = "/groups/{groupId}/apps/{appId}/push/notifications/{messageId}";
const TYPE: &str = "/groups/{groupId}/apps/{appId}/push/notifications/{messageId}/type";
const SEND: &str = "/groups/{groupId}/apps/{appId}/push/notifications/{messageId}/send";

pub(crate) const ROWS: &[Row] = &[
    row("adminListNotifications", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row(
        "adminCreateNotification",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row("adminGetMessage", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminUpdateMessage", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(update(cx, r))
    }),
    row("adminDeleteMessage", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row("adminSetMessageType", Method::PUT, TYPE, Write, |cx, r| {
        Box::pin(set_type(cx, r))
    }),
    row("adminSendMessage", Method::POST, SEND, Write, |cx, r| {
        Box::pin(send(cx, r))
    }),
];

fn show(message: &state::Message) -> Value {
    let state = if message.sent.is_some() {
        "sent"
    } else {
        "draft"
    };
    let mut shown = json!({
        "_id": message.id, "appID": message.app_id, "label": message.label,
        "message": message.message, "topic": message.topic, "state": state,
        "created": date(message.created),
    });
    if let Some(sent) = message.sent {
        shown["sent"] = json!(date(sent));
    }
    shown
}

/// What a body says of a notification.
fn notification(fields: &Map<String, Value>) -> Result<Notification, Problem> {
    let text = |name: &str| body::text(fields, name).map(str::to_owned);
    Ok(Notification {
        label: text("label")?,
        message: text("message")?,
        topic: text("topic")?,
    })
}

/// Whether a notification is one that is sent.
fn is_sent(state: &str) -> Result<bool, Problem> {
    match state {
        "sent" => Ok(true),
        "draft" => Ok(false),
        other => Err(Problem::invalid_parameter(format!(
            "'{other}' is neither 'draft' nor 'sent'"
        ))),
    }
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let state = request.query_value("state").filter(|text| !text.is_empty());
    let sent = state.as_deref().map(is_sent).transpose()?;
    let messages = cx.app()?.notifications(sent).await?;
    Ok(Answer::ok(&messages.iter().map(show).collect()))
}

/// A draft, or one that is sent at once.
async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let new = notification(&fields)?;
    if is_sent(body::text(&fields, "state")?)? {
        return Err(cx.app()?.no_push_provider());
    }
    let message = cx.app()?.write_notification(new).await?;
    Ok(Answer::created(&show(&message)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let message = cx
        .app()?
        .notification(request.parameter("messageId"))
        .await?;
    Ok(Answer::ok(&show(&message)))
}

async fn update(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let id = request.parameter("messageId");
    let message = cx
        .app()?
        .rewrite_notification(id, notification(&fields)?)
        .await?;
    Ok(Answer::ok(&show(&message)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("messageId");
    cx.app()?.delete_notification(id).await?;
    Ok(Answer::no_content())
}

/// Makes a draft of a draft, which changes nothing, or sends it.
async fn set_type(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let sends = is_sent(body::text(&fields, "type")?)?;
    let (app, id) = (cx.app()?, request.parameter("messageId"));
    let message = app.notification(id).await?;
    match (message.sent.is_some(), sends) {
        (was, is) if was == is => {}
        (true, _) => {
            return Err(Problem::bad_request(
                "a push notification that was sent is no draft",
            ));
        }
        (false, _) => app.send_notification(id, &info(&request)).await?,
    }
    Ok(Answer::ok(&show(&app.notification(id).await?)))
}

async fn send(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (app, id) = (cx.app()?, request.parameter("messageId"));
    app.send_notification(id, &info(&request)).await?;
    Ok(Answer::ok(&show(&app.notification(id).await?)))
}
