//! What a running function reaches: the worker's requests, answered as the
//! frame that asks.

mod modules;
mod network;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, doc, rawdoc};
use engine::{BoxFuture, Session, SharedEngine};
use js::{Entered, Frame, Host, HostError};
use kit::{Kind, Problem, limit};
use rules::Needed;

use crate::call::{CallExplanation, RequestExpansions, caller_of, context, may_run, rule_function};
use crate::caller::{Caller, Cx};
use crate::compile::NamedValue;
use crate::data::failure::mongodb;
use crate::data::{Access, Calls, Data, Explanation, UserAccess};

/// Why an action of a service is allowed or refused.
#[derive(Debug)]
pub enum Explained {
    /// Of a data source.
    Data(Box<Explanation>),
    /// Of another service.
    Call(CallExplanation),
}

/// The host of one top-level call.
pub(crate) struct CallHost {
    /// The context of each frame; the first is the top-level function's.
    frames: Mutex<Vec<Cx>>,
    /// Transactions that are open, by the worker's number.
    transactions: Mutex<HashMap<i32, Transaction>>,
    network: network::Network,
}

#[derive(Clone)]
struct Transaction {
    session: Session,
    engine: SharedEngine,
}

impl CallHost {
    pub(crate) fn new(cx: Cx) -> Self {
        Self {
            network: network::Network::new(cx.egress()),
            frames: Mutex::new(vec![cx]),
            transactions: Mutex::default(),
        }
    }

    /// Closes and aborts what the call left open.
    pub(crate) async fn finish(&self) {
        self.network.finish();
        abort(self.take_all()).await;
    }

    fn frame(&self, frame: Frame) -> Result<Cx, HostError> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames
            .get(frame as usize)
            .cloned()
            .ok_or_else(|| HostError::new("an unknown frame"))
    }

    fn transactions(&self) -> MutexGuard<'_, HashMap<i32, Transaction>> {
        self.transactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn take_all(&self) -> Vec<Transaction> {
        self.transactions().drain().map(|(_, open)| open).collect()
    }

    /// `context.services.get(…).db(…).collection(…)`, in a transaction when the
    /// operation names one.
    async fn mongodb(&self, cx: &Cx, asked: &RawDocument) -> Result<RawBson, Problem> {
        let (service, action) = (text(asked, "service"), text(asked, "action"));
        let arguments = asked.get_document("arguments").map_err(invalid)?;
        let (data, access) = cx.door(service, action).await?;
        let session = match asked.get_i32("session") {
            Ok(number) => Some(self.session(number, cx.engine(service)?)?),
            Err(_) => None,
        };
        if action == "aggregate" && matches!(arguments.get("collection"), Ok(None)) {
            return data
                .aggregate_documents(&access, arguments, session.as_ref())
                .await;
        }
        data.run(&access, action, arguments, session.as_ref()).await
    }

    /// The open transaction of a number, begun with its first operation.
    fn session(&self, number: i32, engine: &SharedEngine) -> Result<Session, Problem> {
        let mut transactions = self.transactions();
        let open = transactions.entry(number).or_insert_with(|| Transaction {
            session: Session::start(),
            engine: engine.clone(),
        });
        if Arc::ptr_eq(&open.engine, engine) {
            Ok(open.session.clone())
        } else {
            Err(execution("a session belongs to one data source"))
        }
    }

    /// Commits or aborts; a transaction without operations has nothing to end.
    /// An abort answers whether it is worth another try.
    async fn transaction(&self, asked: &RawDocument) -> Result<RawBson, Problem> {
        let number = asked.get_i32("session").map_err(invalid)?;
        let commits = text(asked, "how") == "commit";
        let open = {
            let mut transactions = self.transactions();
            // What is not committed is asked about once more.
            if commits {
                transactions.get(&number).cloned()
            } else {
                transactions.remove(&number)
            }
        };
        let Some(open) = open else {
            return Ok(RawBson::Boolean(false));
        };
        let lost = if commits {
            let committed = open.session.commit(&open.engine).await;
            committed.map_err(mongodb)?;
            self.transactions().remove(&number);
            false
        } else {
            // The abort of one that the engine has already ended says so, too.
            let lost = open.session.is_lost();
            abort(vec![open]).await;
            lost
        };
        Ok(RawBson::Boolean(lost))
    }
}

impl Drop for CallHost {
    /// A call whose caller left leaves nothing open either.
    fn drop(&mut self) {
        let open = self.take_all();
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !open.is_empty()
        {
            runtime.spawn(abort(open));
        }
    }
}

async fn abort(transactions: Vec<Transaction>) {
    for Transaction { session, engine } in transactions {
        // The engine forgets transactions by itself, only later.
        if let Err(error) = session.abort(&engine).await {
            tracing::debug!(%error, "a transaction was not aborted");
        }
    }
}

impl Host for CallHost {
    fn call(
        &self,
        frame: Frame,
        operation: &str,
        arguments: RawDocumentBuf,
    ) -> js::BoxFuture<'_, Result<RawBson, HostError>> {
        let operation = operation.to_owned();
        Box::pin(async move {
            if let Some(answer) = self.network.call(&operation, &arguments).await {
                return answer;
            }
            let cx = self.frame(frame)?;
            let result = match operation.as_str() {
                "mongodb" => self.mongodb(&cx, &arguments).await,
                "service" => service(&cx, &arguments).await,
                "http" => http(&cx, &arguments).await,
                "transaction" => self.transaction(&arguments).await,
                "value" => value(&cx, text(&arguments, "name")).await,
                "app" => app(&cx).await,
                "names" => names(&cx, &arguments).await,
                name if name.starts_with("modules.") => modules::answer(&cx, name, arguments).await,
                other => Err(execution(format!("unknown operation '{other}'"))),
            };
            result.map_err(thrown)
        })
    }

    fn enter(&self, frame: Frame, name: &str) -> js::BoxFuture<'_, Result<Entered, HostError>> {
        let name = name.to_owned();
        Box::pin(async move {
            let cx = self.frame(frame)?;
            let missing = || HostError::new(format!("function not found: '{name}'"));
            let function = cx
                .release
                .functions
                .get(&name)
                .cloned()
                .ok_or_else(missing)?;
            may_run(&cx, &function).await.map_err(thrown)?;
            let caller = caller_of(&cx, &function).await.map_err(thrown)?;
            let inner = cx.acting_as(caller);
            let context = context(&inner, &name);
            let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
            if frames.len() > limit::CALL_HOST_OPERATIONS_MAX as usize {
                return Err(HostError::new("too many nested function calls"));
            }
            frames.push(inner);
            Ok(Entered {
                frame: (frames.len() - 1) as Frame,
                code: function.code.clone(),
                context,
            })
        })
    }
}

fn text<'d>(asked: &'d RawDocument, name: &str) -> &'d str {
    asked.get_str(name).unwrap_or_default()
}

/// A problem as an error that the function may catch.
fn thrown(problem: Problem) -> HostError {
    if problem.kind == Kind::Internal {
        // The function learns nothing, so that the log is the only place.
        tracing::error!(%problem, "an operation of a function failed");
    }
    HostError {
        name: "Error".to_owned(),
        code: problem.code.into_owned(),
        message: problem.message,
    }
}

pub(crate) fn execution(message: impl Into<String>) -> Problem {
    Problem::new(Kind::Invalid, "FunctionExecutionError", message)
}

fn invalid(error: impl std::fmt::Display) -> Problem {
    execution(format!("invalid operation: {error}"))
}

/// `context.services.get(…)` of what is no data source.
async fn service(cx: &Cx, asked: &RawDocument) -> Result<RawBson, Problem> {
    let (service, action) = (text(asked, "service"), text(asked, "action"));
    let arguments = asked.get_document("arguments").map_err(invalid)?;
    cx.data(service, action, arguments).await
}

/// `context.http`.
async fn http(cx: &Cx, asked: &RawDocument) -> Result<RawBson, Problem> {
    let arguments = asked.get_document("arguments").map_err(invalid)?;
    cx.http(text(asked, "action"), arguments).await
}

/// `context.values.get`; an unknown value is undefined.
async fn value(cx: &Cx, name: &str) -> Result<RawBson, Problem> {
    match cx.release.values.get(name) {
        None => Ok(RawBson::Undefined),
        Some(NamedValue::Plain(value)) => RawBson::try_from(value.clone()).map_err(invalid),
        Some(NamedValue::Secret(secret)) => match cx.app.secret(secret).await? {
            Some(value) => Ok(RawBson::String(value.to_string())),
            None => Err(execution(format!(
                "the secret '{secret}' of the value '{name}' has no value on this server"
            ))),
        },
    }
}

/// `context.app`.
async fn app(cx: &Cx) -> Result<RawBson, Problem> {
    let root = cx.release.config.get(config::Kind::Root, "");
    let root_text = |name: &str| root.map_or("", |node| node.text(name)).to_owned();
    let mut app = doc! {
        "id": &cx.app.id, "clientAppId": &cx.app.client_app_id,
        "name": cx.release.config.name(), "projectId": &cx.app.project_id,
        "deployment": {
            "model": root_text("deployment_model"), "providerRegion": root_text("provider_region"),
        },
    };
    let newest = cx.app.deployments().await?.into_iter().next();
    let deployed = newest.map_or(cx.app.record().created, |deployment| deployment.at);
    if let Ok(mut text) = bson::DateTime::from_millis(deployed).try_to_rfc3339_string() {
        // As JavaScript writes dates: with milliseconds, also without any.
        if !text.contains('.') {
            text = text.replace('Z', ".000Z");
        }
        app.insert("lastDeployed", text);
    }
    let hosting = cx.release.config.get(config::Kind::Hosting, "");
    if hosting.is_some_and(|hosting| hosting.flag("enabled")) {
        app.insert(
            "hostingUri",
            format!("/app/{}/hosting/", cx.app.client_app_id),
        );
    }
    RawDocumentBuf::try_from(&app)
        .map(RawBson::Document)
        .map_err(invalid)
}

/// `getDBNames` and `getCollectionNames`, which rules say nothing about.
async fn names(cx: &Cx, asked: &RawDocument) -> Result<RawBson, Problem> {
    let engine = cx.engine(text(asked, "service"))?;
    let database = asked.get_str("database").ok();
    if !matches!(cx.caller, Caller::System) {
        let name = if database.is_some() {
            "getCollectionNames"
        } else {
            "getDBNames"
        };
        return Err(execution(format!("{name} needs a system function")));
    }
    let command = if database.is_some() {
        rawdoc! { "listCollections": 1, "nameOnly": true, "cursor": { "batchSize": 100_000 } }
    } else {
        rawdoc! { "listDatabases": 1, "nameOnly": true }
    };
    let reply = engine.command(database.unwrap_or("admin"), &command).await;
    let reply = reply.map_err(mongodb)?;
    let list = match database {
        Some(_) => reply
            .get_document("cursor")
            .and_then(|cursor| cursor.get_array("firstBatch")),
        None => reply.get_array("databases"),
    };
    let mut names = RawArrayBuf::new();
    for entry in list.map_err(Problem::internal)? {
        if let Ok(RawBsonRef::Document(entry)) = entry
            && !cx.app.core.clusters.is_closed(text(entry, "name"))
        {
            names.push(text(entry, "name"));
        }
    }
    Ok(RawBson::Array(names))
}

impl Cx {
    /// What functions and services of the app send with.
    pub(crate) fn egress(&self) -> egress::Http {
        self.app.core.egress.for_app(&self.app.client_app_id)
    }

    /// Runs one action of a data source on behalf of the caller.
    ///
    /// # Errors
    /// `FunctionExecutionError` for an unknown service, in the service's words,
    /// and what the data door answers.
    pub async fn data(
        &self,
        service: &str,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<RawBson, Problem> {
        if let Some(other) = self.release.actions.get(service) {
            return self.act(service, other, action, arguments).await;
        }
        let (data, access) = self.door(service, action).await?;
        data.run(&access, action, arguments, None).await
    }

    /// Why the rules allow or refuse the caller an action; nothing is changed.
    ///
    /// # Errors
    /// As [`Data::explain`].
    pub async fn explain(
        &self,
        service: &str,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<Explained, Problem> {
        if let Some(other) = self.release.actions.get(service) {
            let explained = self
                .explain_action(service, other, action, arguments)
                .await?;
            return Ok(Explained::Call(explained));
        }
        let (data, access) = self.door(service, action).await?;
        let explained = data.explain(&access, action, arguments).await?;
        Ok(Explained::Data(Box::new(explained)))
    }

    /// Opens a stream of changes on behalf of the caller.
    pub async fn watch(
        &self,
        service: &str,
        arguments: &RawDocument,
    ) -> Result<crate::data::Watch, Problem> {
        let (data, access) = self.door(service, "watch").await?;
        data.watch(&access, arguments).await
    }

    async fn door(&self, service: &str, action: &str) -> Result<(Data, Access), Problem> {
        let source = self.release.sources.get(service).ok_or_else(|| {
            let text = if matches!(self.release.services.get(service), Ok(Some(_))) {
                format!("the service '{service}' is of a type that is not supported yet")
            } else {
                format!("TypeError: Cannot access member '{action}' of undefined")
            };
            execution(text)
        })?;
        if source.federated {
            self.read_federated(service, action)?;
        }
        let core = &self.app.core;
        let data = Data::new(core.cluster(&source.cluster).clone(), core.clock.clone())
            .reading(source.reads.clone());
        let access = match &self.caller {
            Caller::System => Access::System,
            Caller::User(_) => Access::User(UserAccess {
                expansions: Arc::new(RequestExpansions::of(self, service, action).await?),
                rules: source.rules.clone(),
                calls: Arc::new(RuleCalls(self.clone())),
                null_for_optional: self.app.record().settings.null_type_validation,
                log: self.rules.clone(),
            }),
        };
        Ok((data, access))
    }

    /// Federated data has no rules, so that it is the system's, and is only read
    /// (rules-schemas.md §10).
    fn read_federated(&self, service: &str, action: &str) -> Result<(), Problem> {
        if matches!(self.caller, Caller::User(_)) {
            return Err(Problem::new(
                Kind::Forbidden,
                "NoMatchingRuleFound",
                format!(
                    "the federated data source '{service}' has no rules: only the system reads it"
                ),
            ));
        }
        if crate::data::READS.contains(&action) {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Invalid,
            "MongoDBError",
            format!("unsupported: the federated data source '{service}' is only read ({action})"),
        ))
    }

    fn engine(&self, service: &str) -> Result<&SharedEngine, Problem> {
        let source = self.release.sources.get(service);
        let source = source.ok_or_else(|| execution(format!("unknown service '{service}'")))?;
        Ok(self.app.core.cluster(&source.cluster))
    }
}

/// Functions that rules call, run for the request that asks.
struct RuleCalls(Cx);

impl Calls for RuleCalls {
    fn call(
        &self,
        function: Arc<str>,
        arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>> {
        Box::pin(async move {
            let needed = Needed {
                function,
                arguments,
            };
            rule_function(&self.0, &needed).await
        })
    }
}
