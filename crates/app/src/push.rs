//! Push notifications that administrators write, keep as drafts and send
//! (admin-api.md §2.8, triggers-ops.md §15).
//!
//! Not here: the push provider. Sending refuses until there is one.

use bson::doc;
use config::Kind as Node;
use kit::{Kind, Problem, limit};
use state::Message;

use crate::call::Started;
use crate::{App, Cx, RequestInfo, new_id, stored};

/// What a notification says.
#[derive(Debug, Clone)]
pub struct Notification {
    /// What administrators call it.
    pub label: String,
    /// Its text.
    pub message: String,
    /// Whom it goes to.
    pub topic: String,
}

impl Notification {
    fn check(&self) -> Result<(), Problem> {
        let longest = |name: &str, text: &str, most: usize| {
            if text.chars().count() > most {
                return Err(Problem::bad_request(format!(
                    "'{name}' has at most {most} characters"
                )));
            }
            Ok(())
        };
        longest("label", &self.label, limit::PUSH_LABEL_CHARS_MAX)?;
        longest("message", &self.message, limit::PUSH_MESSAGE_CHARS_MAX)?;
        longest("topic", &self.topic, limit::PUSH_TOPIC_CHARS_MAX)
    }
}

fn missing(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "PushMessageNotFound",
        format!("push notification not found: '{id}'"),
    )
}

fn already_sent() -> Problem {
    Problem::bad_request("the push notification was sent already")
}

impl App {
    /// The notifications, oldest first: those that were sent, drafts, or all.
    pub async fn notifications(&self, sent: Option<bool>) -> Result<Vec<Message>, Problem> {
        let mut filter = doc! { "app_id": &self.id };
        match sent {
            Some(true) => filter.insert("sent", doc! { "$ne": null }),
            Some(false) => filter.insert("sent", bson::Bson::Null),
            None => None,
        };
        let messages = &self.core.state.messages;
        let found = messages.list(filter, doc! { "_id": 1 }, 0, 0).await;
        found.map_err(stored)
    }

    /// Writes a draft.
    ///
    /// # Errors
    /// `BadRequest` for one that is too long or one too many.
    pub async fn write_notification(&self, new: Notification) -> Result<Message, Problem> {
        new.check()?;
        let messages = &self.core.state.messages;
        let count = messages.count(doc! { "app_id": &self.id }).await;
        if count.map_err(stored)? >= limit::PUSH_MESSAGES_MAX {
            return Err(Problem::bad_request(format!(
                "an app has at most {} push notifications",
                limit::PUSH_MESSAGES_MAX
            )));
        }
        let message = Message {
            id: new_id(),
            app_id: self.id.clone(),
            label: new.label,
            message: new.message,
            topic: new.topic,
            created: self.core.clock.now_ms(),
            sent: None,
        };
        messages.insert(&message).await.map_err(stored)?;
        Ok(message)
    }

    /// One notification.
    ///
    /// # Errors
    /// `PushMessageNotFound`.
    pub async fn notification(&self, id: &str) -> Result<Message, Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id };
        let found = self.core.state.messages.first(filter).await;
        found.map_err(stored)?.ok_or_else(|| missing(id))
    }

    /// Changes a draft.
    ///
    /// # Errors
    /// `PushMessageNotFound`, `BadRequest` for one that was sent.
    pub async fn rewrite_notification(
        &self,
        id: &str,
        new: Notification,
    ) -> Result<Message, Problem> {
        new.check()?;
        self.notification(id).await?;
        let draft = doc! { "_id": id, "app_id": &self.id, "sent": null };
        let set = doc! { "label": new.label, "message": new.message, "topic": new.topic };
        let messages = &self.core.state.messages;
        let found = messages.change(draft, doc! { "$set": set }).await;
        if !found.map_err(stored)? {
            return Err(already_sent());
        }
        self.notification(id).await
    }

    /// Removes a notification; what was sent stays sent.
    ///
    /// # Errors
    /// `PushMessageNotFound`.
    pub async fn delete_notification(&self, id: &str) -> Result<(), Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id };
        let gone = self.core.state.messages.delete_all(filter).await;
        if gone.map_err(stored)? > 0 {
            Ok(())
        } else {
            Err(missing(id))
        }
    }

    /// Sends a draft.
    ///
    /// # Errors
    /// `PushMessageNotFound`, `BadRequest` for one that was sent, and
    /// `GCMError`: nothing can be sent yet.
    pub async fn send_notification(
        self: &std::sync::Arc<Self>,
        id: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        let started = Started::now(self);
        let message = self.notification(id).await?;
        if message.sent.is_some() {
            return Err(already_sent());
        }
        let problem = self.no_push_provider();
        let cx = Cx::of_system(self, request.clone());
        let details =
            doc! { "push_notification": { "label": message.label, "topic": message.topic } };
        self.log(&cx, "PUSH", &started, details, Some(&problem));
        Err(problem)
    }

    /// Why nothing can be sent.
    ///
    /// # Errors
    /// Always `GCMError`.
    pub fn no_push_provider(&self) -> Problem {
        let release = self.release();
        let mut services = release.config.all(Node::Service);
        let text = match services.find(|(_, node)| node.text("type") == "gcm") {
            Some((name, _)) => {
                format!("sending push notifications through '{name}': not supported yet")
            }
            None => "the app has no push provider: it has no service of the type 'gcm'".to_owned(),
        };
        Problem::new(Kind::Invalid, "GCMError", text)
    }
}
