//! The change streams that users hold open: bounded, and ended with what they
//! began with.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::{Document, RawDocument, RawDocumentBuf, doc};
use config::{AppConfig, Node};
use kit::{Kind, Problem, limit};
use tokio::sync::{oneshot, watch};

use super::invalid_session;
use crate::call::Started;
use crate::data::{Namespace, Watch};
use crate::meters::Area;
use crate::service_calls::details;
use crate::{App, Cx, RequestInfo, User, stored};

/// Why a stream ends: a problem that is told, or none.
type Ending = Option<Problem>;

/// The open streams of one app, by user.
#[derive(Default)]
pub(crate) struct Streams(Mutex<HashMap<String, Vec<Place>>>);

struct Place {
    session_id: String,
    end: oneshot::Sender<Ending>,
}

/// A change stream of a user.
pub struct UserStream {
    watch: Watch,
    app: Arc<App>,
    user: Arc<User>,
    ended: oneshot::Receiver<Ending>,
    /// When to ask again whether the session goes on, in seconds.
    ask_at: i64,
    /// Tells when another release is live.
    swaps: watch::Receiver<()>,
    rule: RuleInForce,
    entry: Entry,
}

/// The rule under which a stream began.
struct RuleInForce {
    service: String,
    namespace: Namespace,
    nodes: RuleNodes,
    id: String,
}

/// The rule of a collection, and the default rule when that has its say.
type RuleNodes = (Option<Arc<Node>>, Option<Arc<Node>>);

/// The log entry of a stream, which is written when the stream is over.
struct Entry {
    cx: Cx,
    started: Started,
    details: Document,
    problem: Option<Problem>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let details = std::mem::take(&mut self.details);
        let (cx, problem) = (&self.cx, self.problem.as_ref());
        cx.app.log(
            cx,
            "SERVICE_STREAM_FUNCTION",
            &self.started,
            details,
            problem,
        );
    }
}

impl RuleInForce {
    fn of(cx: &Cx, service: &str, namespace: &Namespace) -> Self {
        let nodes = nodes(&cx.release.config, service, namespace);
        let key = key(service, namespace);
        let id = match &nodes {
            (Some(rule), _) if governs(rule) => cx.app.node_id(config::Kind::Rule, &key),
            _ => cx.app.node_id(config::Kind::DefaultRule, service),
        };
        Self {
            service: service.to_owned(),
            namespace: namespace.clone(),
            nodes,
            id: id.unwrap_or_default(),
        }
    }

    /// Why the stream ends, when the rule is another one in a release.
    fn replaced(&self, config: &AppConfig) -> Option<Problem> {
        if nodes(config, &self.service, &self.namespace) == self.nodes {
            return None;
        }
        Some(Problem::new(
            Kind::Invalid,
            "NoMatchingRuleFound",
            format!(
                "rule with id=\"{}\" no longer exists on mongodb service, closing watch stream",
                self.id
            ),
        ))
    }
}

fn key(service: &str, namespace: &Namespace) -> String {
    format!("{service}/{}/{}", namespace.database, namespace.collection)
}

/// Whether a rule has roles of its own.
fn governs(rule: &Node) -> bool {
    let roles = rule.at("/roles").and_then(serde_json::Value::as_array);
    roles.is_some_and(|roles| !roles.is_empty())
}

fn nodes(config: &AppConfig, service: &str, namespace: &Namespace) -> RuleNodes {
    let rule = config.get(config::Kind::Rule, &key(service, namespace));
    let default = match rule {
        Some(rule) if governs(rule) => None,
        _ => config.get(config::Kind::DefaultRule, service),
    };
    (rule.cloned(), default.cloned())
}

impl Streams {
    fn places(&self) -> MutexGuard<'_, HashMap<String, Vec<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, user: &User) -> Result<oneshot::Receiver<Ending>, Problem> {
        let mut places = self.places();
        places.retain(|_, places| {
            places.retain(|place| !place.end.is_closed());
            !places.is_empty()
        });
        let all: usize = places.values().map(Vec::len).sum();
        let own = places.entry(user.id.clone()).or_default();
        if own.len() >= limit::USER_STREAMS_MAX || all >= limit::APP_STREAMS_MAX {
            return Err(Problem::new(
                Kind::Limited,
                "TooManyRequests",
                "too many change streams are open",
            ));
        }
        let (end, ended) = oneshot::channel();
        own.push(Place {
            session_id: user.session_id.clone(),
            end,
        });
        Ok(ended)
    }

    /// Ends the streams of a user: of one session, or all.
    pub(crate) fn end(&self, user_id: &str, session_id: Option<&str>) {
        let mut places = self.places();
        let Some(own) = places.get_mut(user_id) else {
            return;
        };
        let ends = |place: &mut Place| session_id.is_none_or(|id| place.session_id == id);
        for place in own.extract_if(.., ends) {
            // It may have ended by itself.
            let _ = place.end.send(Some(invalid_session()));
        }
    }

    /// Ends the streams of a session, whoever its user is.
    pub(crate) fn end_session(&self, session_id: &str) {
        for own in self.places().values_mut() {
            for place in own.extract_if(.., |place| place.session_id == session_id) {
                let _ = place.end.send(Some(invalid_session()));
            }
        }
    }

    /// User and session of every stream.
    fn holders(&self) -> Vec<(String, String)> {
        let places = self.places();
        let of = |(user, own): (&String, &Vec<Place>)| {
            let sessions = own.iter().map(|place| place.session_id.clone());
            sessions
                .map(|session| (user.clone(), session))
                .collect::<Vec<_>>()
        };
        places.iter().flat_map(of).collect()
    }

    /// Ends every stream without a word.
    pub(crate) fn end_all(&self) {
        for place in self.places().drain().flat_map(|(_, places)| places) {
            let _ = place.end.send(None);
        }
    }
}

impl App {
    /// Opens a change stream for the holder of an access token.
    ///
    /// # Errors
    /// `InvalidSession`, `TooManyRequests`, and what the data door answers.
    pub async fn open_stream(
        self: &Arc<Self>,
        token: &str,
        service: &str,
        arguments: &RawDocument,
        request: RequestInfo,
    ) -> Result<UserStream, Problem> {
        let user = self.authenticate(token).await?;
        let ended = self.streams.open(&user)?;
        // What ended between the two would not have found the place.
        self.authenticate(token).await?;
        let (swaps, started) = (self.swaps(), Started::now(self));
        let cx = Cx::of_user(self, user.clone(), request);
        let mut entry = Entry {
            details: details(service, "watch", arguments),
            started,
            problem: None,
            cx,
        };
        let watch = match entry.cx.watch(service, arguments).await {
            Ok(watch) => watch,
            Err(problem) => {
                entry.problem = Some(problem.clone());
                return Err(problem);
            }
        };
        Ok(UserStream {
            rule: RuleInForce::of(&entry.cx, service, watch.namespace()),
            watch,
            app: self.clone(),
            user,
            ended,
            ask_at: self.core.clock.now_s() + limit::ACCESS_TOKEN_S,
            swaps,
            entry,
        })
    }
}

impl App {
    /// Ends the streams whose users may no longer have them.
    pub(crate) async fn end_stale_streams(&self) -> Result<(), Problem> {
        let holders = self.streams.holders();
        if holders.is_empty() {
            return Ok(());
        }
        let (users, sessions): (Vec<&String>, Vec<&String>) = holders
            .iter()
            .map(|(user, session)| (user, session))
            .unzip();
        let state = &self.core.state;
        let good = doc! { "_id": { "$in": users }, "app_id": &self.id, "disabled": false };
        let users = state.users.list(good, doc! { "_id": 1 }, 0, 0).await;
        let users: HashSet<String> = users.map_err(stored)?.into_iter().map(|u| u.id).collect();
        let good = doc! { "_id": { "$in": sessions }, "app_id": &self.id };
        let sessions = state.sessions.list(good, doc! { "_id": 1 }, 0, 0).await;
        let sessions = sessions.map_err(stored)?.into_iter().map(|s| s.id);
        let sessions: HashSet<String> = sessions.collect();
        for (user, session) in holders {
            if !users.contains(&user) || !sessions.contains(&session) {
                self.streams.end(&user, Some(&session));
            }
        }
        Ok(())
    }
}

impl UserStream {
    /// Counts what was sent of it.
    pub fn count_sent(&self, bytes: u64) {
        self.app.count_sent(Area::Mql, bytes);
    }

    /// Waits for the next event; none when the server ends the stream.
    ///
    /// Not cancel safe: give up the stream with the future.
    ///
    /// # Errors
    /// What ends the stream.
    pub async fn next(&mut self) -> Result<Option<RawDocumentBuf>, Problem> {
        let told = self.told().await;
        if let Err(problem) = &told {
            self.entry.problem = Some(problem.clone());
        }
        told
    }

    async fn told(&mut self) -> Result<Option<RawDocumentBuf>, Problem> {
        let event = {
            // One wait for the event, whatever else comes meanwhile.
            let next = self.watch.next();
            tokio::pin!(next);
            loop {
                tokio::select! {
                    biased;
                    ending = &mut self.ended => {
                        return ending.unwrap_or_default().map_or(Ok(None), Err);
                    }
                    swapped = self.swaps.changed() => {
                        if swapped.is_err() {
                            return Ok(None);
                        }
                        if let Some(ended) = self.rule.replaced(&self.app.release().config) {
                            return Err(ended);
                        }
                    }
                    event = &mut next => break event?,
                }
            }
        };
        let now = self.app.core.clock.now_s();
        if now >= self.ask_at {
            self.app.goes_on(&self.user).await?;
            self.ask_at = now + limit::ACCESS_TOKEN_S;
        }
        Ok(Some(event))
    }
}
