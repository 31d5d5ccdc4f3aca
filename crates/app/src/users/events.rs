//! What becomes of users, told in one place: to the log, and to whoever follows
//! (triggers-ops.md §3).

use std::sync::Arc;

use bson::{Bson, DateTime, Document, doc};
use kit::{Kind, Problem};
use tokio::sync::broadcast;

use super::Device;
use crate::call::Started;
use crate::{App, Cx, RequestInfo, User};

/// Events that a follower may be behind; one that is further misses the oldest.
const BEHIND_MAX: usize = 1024;

/// What became of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthEventKind {
    /// There is a new one, or an identity was added to one.
    Create,
    /// The user logged in.
    Login,
    /// The user is gone.
    Delete,
}

impl AuthEventKind {
    /// `operationType` of the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Login => "LOGIN",
            Self::Delete => "DELETE",
        }
    }
}

/// What authentication triggers are given.
#[derive(Debug, Clone)]
pub struct AuthEvent {
    /// What happened.
    pub kind: AuthEventKind,
    /// The types of the providers: one, or of a user who is gone all.
    pub providers: Vec<String>,
    /// The user afterwards; of one who is gone, before.
    pub user: Arc<User>,
    /// When.
    pub time: DateTime,
}

impl AuthEvent {
    /// The argument of a trigger's function:
    /// `{ operationType, providers, user, time }`.
    pub fn document(&self) -> Document {
        let user = Document::try_from(&*self.user.document).unwrap_or_default();
        doc! {
            "operationType": self.kind.as_str(), "providers": &self.providers,
            "user": user, "time": self.time,
        }
    }
}

/// The followers of an app's events.
pub(crate) struct AuthEvents(broadcast::Sender<Arc<AuthEvent>>);

impl Default for AuthEvents {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

/// In which request something happens, and since when.
pub(super) struct Happening<'r> {
    request: &'r RequestInfo,
    device: Option<&'r Device>,
    started: Started,
}

impl<'r> Happening<'r> {
    pub(super) fn now(app: &App, request: &'r RequestInfo, device: Option<&'r Device>) -> Self {
        Self {
            request,
            device,
            started: Started::now(app),
        }
    }
}

impl App {
    /// Follows what becomes of users on this server from now on.
    pub fn auth_events(&self) -> broadcast::Receiver<Arc<AuthEvent>> {
        self.auth_events.0.subscribe()
    }

    /// Tells what became of a user.
    pub(super) fn auth_event(
        self: &Arc<Self>,
        kind: AuthEventKind,
        user: Arc<User>,
        providers: Vec<String>,
        happening: &Happening<'_>,
    ) {
        let provider = providers.join(",");
        self.log_auth(kind.as_str(), &provider, Some(&user), happening, None);
        let event = AuthEvent {
            kind,
            providers,
            user,
            time: DateTime::from_millis(self.core.clock.now_ms()),
        };
        // Nobody may follow.
        let _ = self.auth_events.0.send(Arc::new(event));
    }

    /// Writes an entry of type `AUTH`.
    pub(super) fn log_auth(
        self: &Arc<Self>,
        what: &str,
        provider: &str,
        user: Option<&Arc<User>>,
        happening: &Happening<'_>,
        problem: Option<&Problem>,
    ) {
        let mut cx = Cx::of_system(self, happening.request.clone());
        cx.user = user.cloned();
        let mut event: Document = doc! { "type": what, "provider": provider };
        event.insert("failed", Bson::Boolean(problem.is_some()));
        let mut details = doc! { "auth_event": event };
        if let Some(device) = happening.device {
            device.logged(&mut details);
        }
        let explained = problem.map(explained);
        self.log(&cx, "AUTH", &happening.started, details, explained.as_ref());
    }
}

/// A problem as the developer is told of it, who may know why; what is wrong
/// with the server itself is the operator's.
fn explained(problem: &Problem) -> Problem {
    let mut told = problem.clone();
    let own = matches!(problem.kind, Kind::Internal | Kind::Unavailable);
    if let Some(because) = problem.because.as_ref().filter(|_| !own) {
        told.message = format!("{}: {because}", problem.message);
    }
    told
}
