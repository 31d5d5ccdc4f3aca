//! Calling a function: who may, as whom, under which limits, and what is
//! logged.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use js::{Call, Failure, Outcome};
use kit::{Kind, Problem};
use rules::{Answers, Asked, Decided, Expansions, Expression, Needed, Scope};
use state::RawLogEntry;

use crate::caller::{Caller, Cx};
use crate::compile::{Function, Release};
use crate::host::CallHost;
use crate::meters::Area;
use crate::{App, new_id};

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calling {
    /// By a client: private functions are closed.
    Client,
    /// By the server itself, such as for a rule.
    Server,
}

/// Why a function may be called or not.
#[derive(Debug)]
pub struct CallExplanation {
    /// Whether it is closed to clients.
    pub private: bool,
    /// What its `can_evaluate` says; `None` when it has none.
    pub can_evaluate: Option<bool>,
    /// How that came about.
    pub asked: Vec<Asked>,
}

impl CallExplanation {
    /// Whether a client may call it.
    pub fn allowed(&self) -> bool {
        !self.private && self.can_evaluate != Some(false)
    }
}

/// What a debug run shows.
#[derive(Debug)]
pub struct DebugRun {
    /// The value, or why there is none.
    pub result: Result<Bson, Problem>,
    /// Every line of the console.
    pub logs: Vec<String>,
    /// Those of `console.warn` and `console.error` once more.
    pub error_logs: Vec<String>,
    /// Where the function threw: frames, innermost first, and what caused it;
    /// empty when it did not.
    pub stack: String,
    /// Microseconds.
    pub time_us: u64,
}

impl App {
    /// Calls a function of the request's release.
    ///
    /// # Errors
    /// `FunctionNotFound`, `NotCallable`, `FunctionExecutionError`,
    /// `ExecutionTimeLimitExceeded`.
    pub async fn call(
        &self,
        cx: &Cx,
        name: &str,
        arguments: Vec<Bson>,
        calling: Calling,
    ) -> Result<Bson, Problem> {
        let function = cx.release.functions.get(name).cloned();
        let function = function.ok_or_else(|| missing(name))?;
        if function.private && calling == Calling::Client {
            return Err(Problem::new(
                Kind::Forbidden,
                "NotCallable",
                format!("function '{name}' is private"),
            ));
        }
        let started = Started::now(self);
        let allowed = may_run(cx, &function).await;
        let passed = raw_array(&arguments);
        // A call may wait for long, and a tree takes many times its bytes.
        drop(arguments);
        // Only calls of clients have entries of their own.
        let is_logged = calling == Calling::Client;
        let logged = passed.as_ref().ok();
        let logged = logged.filter(|_| is_logged && !function.disable_arg_logs);
        let logged = logged.cloned();
        let (outcome, result) = if let Err(problem) = allowed {
            (None, Err(problem))
        } else {
            let mut outcome = self.run(cx, &function, passed?, None).await;
            let result = value(&mut outcome);
            if calling == Calling::Client {
                self.count_work(Area::Sdk, outcome.time_us, outcome.memory_bytes);
            }
            (Some(outcome), result)
        };
        if is_logged {
            self.log_call(cx, name, logged, &started, outcome.as_ref(), &result);
        }
        result
    }

    /// Runs a function, or source that is no function of the app, and shows
    /// everything: for administrators.
    pub async fn debug_run(
        &self,
        cx: &Cx,
        name: &str,
        source: Option<&str>,
        evaluate: Option<String>,
        arguments: Vec<Bson>,
    ) -> Result<DebugRun, Problem> {
        let function = if let Some(source) = source {
            let code = js::compile("source.js", source).map_err(|error| {
                Problem::new(
                    Kind::Invalid,
                    "FunctionSyntaxError",
                    format!(
                        "{} (line {}, column {})\n{}",
                        error.message,
                        error.line,
                        error.column,
                        kit::code_frame(source, error.line, error.column)
                    ),
                )
            })?;
            Arc::new(Function::of_source(code))
        } else {
            let function = cx.release.functions.get(name).cloned();
            function.ok_or_else(|| missing(name))?
        };
        let started = Started::now(self);
        may_run(cx, &function).await?;
        let passed = raw_array(&arguments)?;
        let logged = (!function.disable_arg_logs).then(|| passed.clone());
        let mut outcome = self.run(cx, &function, passed, evaluate).await;
        let result = value(&mut outcome);
        self.log_call(cx, name, logged, &started, Some(&outcome), &result);
        let lines = |only_errors: bool| {
            outcome
                .logs
                .iter()
                .filter(|line| line.is_error || !only_errors)
                .map(|line| line.text.clone())
                .collect()
        };
        let stack = match &outcome.result {
            Err(Failure::Threw { stack, .. }) => stack.clone(),
            _ => String::new(),
        };
        Ok(DebugRun {
            result,
            stack,
            logs: lines(false),
            error_logs: lines(true),
            time_us: outcome.time_us,
        })
    }

    async fn run(
        &self,
        cx: &Cx,
        function: &Arc<Function>,
        arguments: RawArrayBuf,
        evaluate: Option<String>,
    ) -> Outcome {
        let caller = caller_of(cx, function).await;
        let cx = match caller {
            Ok(caller) => cx.acting_as(caller),
            Err(problem) => {
                return Outcome {
                    result: Err(Failure::Threw {
                        message: problem.message,
                        stack: String::new(),
                        code: problem.code.into_owned(),
                    }),
                    logs: Vec::new(),
                    time_us: 0,
                    memory_bytes: 0,
                };
            }
        };
        let call = Call {
            owner: self.id.as_str().into(),
            code: function.code.clone(),
            arguments,
            context: context(&cx, &function.name),
            limits: self.core.limits,
            evaluate,
            depth: cx.depth,
        };
        let release = cx.release.clone();
        let host = Arc::new(CallHost::new(cx));
        let mut outcome = self.core.pool.call(call, host.clone()).await;
        host.finish().await;
        if let Err(Failure::Threw { stack, .. }) = &mut outcome.result {
            *stack = release.original(stack);
        }
        for line in &mut outcome.logs {
            if line.text.contains("\n    at ") {
                line.text = release.original(&line.text);
            }
        }
        outcome
    }

    fn log_call(
        &self,
        cx: &Cx,
        name: &str,
        arguments: Option<RawArrayBuf>,
        started: &Started,
        outcome: Option<&Outcome>,
        result: &Result<Bson, Problem>,
    ) {
        let mut details = RawDocumentBuf::new();
        details.append(cstr!("function_name"), name);
        let lines = outcome.into_iter().flat_map(|outcome| &outcome.logs);
        let lines: RawArrayBuf = lines.map(|line| line.text.as_str()).collect();
        details.append(cstr!("messages"), lines);
        let usage = outcome.map_or(0, |o| o.memory_bytes.saturating_mul(o.time_us) / 1000);
        details.append(cstr!("mem_time_usage"), usage as i64);
        if let Some(arguments) = arguments {
            details.append(cstr!("arguments"), arguments);
        }
        if let Some(Failure::Threw { stack, .. }) = outcome.and_then(|o| o.result.as_ref().err())
            && !stack.is_empty()
        {
            details.append(cstr!("stack"), stack.as_str());
        }
        self.log_raw(cx, "FUNCTION", started, details, result.as_ref().err());
    }

    /// Adds a log entry.
    pub(crate) fn log(
        &self,
        cx: &Cx,
        kind: &str,
        started: &Started,
        details: Document,
        problem: Option<&Problem>,
    ) {
        let details = RawDocumentBuf::try_from(details).unwrap_or_else(|error| {
            tracing::error!(kind, "a log entry has no details: {error}");
            RawDocumentBuf::new()
        });
        self.log_raw(cx, kind, started, details, problem);
    }

    fn log_raw(
        &self,
        cx: &Cx,
        kind: &str,
        started: &Started,
        mut details: RawDocumentBuf,
        problem: Option<&Problem>,
    ) {
        details.append(cstr!("request_url"), cx.request.path.as_str());
        details.append(cstr!("request_method"), cx.request.method.as_str());
        details.append(
            cstr!("remote_ip_address"),
            cx.request.remote_address.as_str(),
        );
        if let Some(metrics) = cx.rules.document()
            && let Ok(metrics) = RawDocumentBuf::try_from(metrics)
        {
            details.append(cstr!("rule_metrics"), metrics);
        }
        let error = problem.map(|problem| cx.rules.explained(&problem.message));
        self.core.logbook.add(&RawLogEntry {
            id: &new_id(),
            app_id: &self.id,
            started: started.at,
            completed: self.core.clock.now_ms(),
            kind,
            co_id: &cx.request.id,
            user_id: cx.user.as_ref().map_or("", |user| &user.id),
            error: error.as_deref().unwrap_or_default(),
            error_code: problem.map_or("", |problem| &problem.code),
            details: &details,
        });
    }
}

/// When something began.
pub(crate) struct Started {
    pub(crate) at: i64,
    _instant: Instant,
}

impl Started {
    pub(crate) fn now(app: &App) -> Self {
        Self {
            at: app.core.clock.now_ms(),
            _instant: Instant::now(),
        }
    }
}

impl Function {
    /// A function of an administrator's source.
    fn of_source(code: js::Compiled) -> Self {
        Self::bare("", Arc::new(code))
    }
}

/// As whom a function runs.
pub(crate) async fn caller_of(cx: &Cx, function: &Function) -> Result<Caller, Problem> {
    if function.run_as_system {
        return Ok(Caller::System);
    }
    if let Some(script) = &function.run_as_script {
        return chosen_by(cx, function, script).await;
    }
    if function.run_as_user_id.is_empty() {
        return Ok(cx.caller.clone());
    }
    let user = cx.app.acting_user(&function.run_as_user_id).await?;
    Ok(Caller::User(user))
}

/// As whom a script says: it returns a user's id, or `{runAsSystem: true}`.
async fn chosen_by(
    cx: &Cx,
    function: &Function,
    script: &Arc<js::Compiled>,
) -> Result<Caller, Problem> {
    let cx = cx.deeper();
    let call = Call {
        owner: cx.app.id.as_str().into(),
        code: script.clone(),
        arguments: RawArrayBuf::new(),
        context: context(&cx, &function.name),
        limits: cx.app.core.limits,
        evaluate: None,
        depth: cx.depth,
    };
    let host = Arc::new(CallHost::new(cx.clone()));
    let mut outcome = cx.app.core.pool.call(call, host).await;
    match value(&mut outcome)? {
        Bson::String(id) => Ok(Caller::User(cx.app.acting_user(&id).await?)),
        Bson::Document(choice) if choice.get_bool("runAsSystem").unwrap_or(false) => {
            Ok(Caller::System)
        }
        _ => Err(Problem::new(
            Kind::Invalid,
            "FunctionExecutionError",
            format!(
                "the script of function \"{}\" must return a user's id",
                function.name
            ),
        )),
    }
}

/// Checks `can_evaluate`; functions that it calls run as the system.
pub(crate) fn may_run<'a>(
    cx: &'a Cx,
    function: &'a Function,
) -> js::BoxFuture<'a, Result<(), Problem>> {
    Box::pin(async move {
        let Some(condition) = &function.can_evaluate else {
            return Ok(());
        };
        if matches!(cx.caller, Caller::System) && cx.user.is_none() {
            return Ok(());
        }
        if holds(cx, &function.name, condition, None).await? {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Invalid,
            "FunctionExecutionError",
            format!("rule not matched for function \"{}\"", function.name),
        ))
    })
}

/// Whether an expression about the request holds, functions that it calls
/// included.
async fn holds(
    cx: &Cx,
    function: &str,
    condition: &Expression,
    trace: Option<&rules::Trace>,
) -> Result<bool, Problem> {
    let expansions = RequestExpansions::of(cx, "", function).await?;
    let mut answers = Answers::default();
    decided(cx, &mut answers, |answers| {
        condition.holds(&Scope::request(&expansions, answers).tracing(trace))
    })
    .await
}

/// Decides, as often as functions have to be called first; what they said is
/// kept in `answers`.
pub(crate) async fn decided<T>(
    cx: &Cx,
    answers: &mut Answers,
    decide: impl Fn(&Answers) -> Decided<T>,
) -> Result<T, Problem> {
    loop {
        match decide(answers) {
            Ok(decision) => return Ok(decision),
            Err(needed) => {
                let result = rule_function(cx, &needed).await?;
                answers.insert(*needed, result);
            }
        }
    }
}

impl Cx {
    /// Why a client that is the caller may or may not call a function; it is
    /// not called.
    ///
    /// # Errors
    /// `FunctionNotFound`, and what a function of `can_evaluate` ends with.
    pub async fn explain_call(&self, name: &str) -> Result<CallExplanation, Problem> {
        let function = self.release.functions.get(name);
        let function = function.ok_or_else(|| missing(name))?;
        let trace = rules::Trace::default();
        let can_evaluate = match &function.can_evaluate {
            None => None,
            Some(condition) => Some(holds(self, name, condition, Some(&trace)).await?),
        };
        Ok(CallExplanation {
            private: function.private,
            can_evaluate,
            asked: trace.take(),
        })
    }
}

fn missing(name: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "FunctionNotFound",
        format!("function not found: '{name}'"),
    )
}

/// Runs a function that a rule calls.
pub(crate) async fn rule_function(cx: &Cx, needed: &Needed) -> Result<Option<RawBson>, Problem> {
    let arguments: Vec<Bson> = needed
        .arguments
        .into_iter()
        .flatten()
        .filter_map(|value| Bson::try_from(value).ok())
        .collect();
    let result = cx
        .app
        .call(&cx.deeper(), &needed.function, arguments, Calling::Server)
        .await?;
    match result {
        Bson::Undefined => Ok(None),
        value => Ok(RawBson::try_from(value).ok()),
    }
}

/// `%%user`, `%%values`, `%%environment` and `%%request` of a request.
pub(crate) struct RequestExpansions {
    release: Arc<Release>,
    user: Option<Arc<crate::User>>,
    empty: RawDocumentBuf,
    request: std::sync::OnceLock<RawDocumentBuf>,
    info: Arc<crate::RequestInfo>,
    /// `%%values`, when secrets are among them.
    values: Option<RawDocumentBuf>,
    service: String,
    action: String,
}

impl RequestExpansions {
    /// What rules see of a request, and of the action or function that it calls.
    ///
    /// # Errors
    /// When a secret that rules name cannot be read.
    pub(crate) async fn of(cx: &Cx, service: &str, action: &str) -> Result<Self, Problem> {
        let secrets = &cx.release.rule_secrets;
        let mut values = (!secrets.is_empty()).then(|| cx.release.values_document.clone());
        if let Some(values) = &mut values {
            for (name, secret) in secrets {
                // Without a value it is as good as not there, which closes.
                if let Some(value) = cx.app.secret(secret).await?
                    && let Ok(name) = <&bson::raw::CStr>::try_from(name.as_str())
                {
                    values.append(name, &*value);
                }
            }
        }
        Ok(Self {
            values,
            service: service.to_owned(),
            action: action.to_owned(),
            release: cx.release.clone(),
            user: match &cx.caller {
                Caller::User(user) => Some(user.clone()),
                Caller::System => cx.user.clone(),
            },
            empty: RawDocumentBuf::new(),
            request: std::sync::OnceLock::new(),
            info: cx.request.clone(),
        })
    }
}

impl Expansions for RequestExpansions {
    fn user(&self) -> &RawDocument {
        self.user
            .as_ref()
            .map_or(&self.empty, |user| &user.document)
    }

    fn values(&self) -> &RawDocument {
        self.values
            .as_ref()
            .unwrap_or(&self.release.values_document)
    }

    fn environment(&self) -> &RawDocument {
        &self.release.environment_document
    }

    fn request(&self) -> &RawDocument {
        self.request
            .get_or_init(|| self.info.document_of(&self.service, &self.action))
    }
}

/// What a frame's `context` holds, for the function `name`.
pub(crate) fn context(cx: &Cx, name: &str) -> RawDocumentBuf {
    let request = cx.request.document_of("", name);
    let mut context = rawdoc! { "system": matches!(cx.caller, Caller::System) };
    // The function sees the user behind the request, whoever it runs as.
    match (&cx.caller, &cx.user) {
        (Caller::User(user), _) | (Caller::System, Some(user)) => {
            context.append(cstr!("user"), user.document.as_ref() as &RawDocument);
        }
        (Caller::System, None) => context.append(
            cstr!("user"),
            rawdoc! { "id": "", "type": "system", "data": {}, "custom_data": {}, "identities": [] },
        ),
    }
    let environment: &RawDocument = &cx.release.environment_document;
    context.append(cstr!("environment"), environment);
    context.append(cstr!("request"), request);
    let services: &RawDocument = &cx.release.services;
    context.append(cstr!("services"), services);
    if let Some(installed) = &cx.packages {
        // For the worker, not for the function.
        context.append(cstr!("packages"), installed.body.as_str());
    }
    context
}

/// Arguments as a worker takes them.
fn raw_array(values: &[Bson]) -> Result<RawArrayBuf, Problem> {
    let mut array = RawArrayBuf::new();
    for value in values {
        match value {
            // Without a copy of the tree.
            Bson::Document(document) => {
                array.push(RawDocumentBuf::try_from(document).map_err(Problem::internal)?);
            }
            other => array.push(RawBson::try_from(other.clone()).map_err(Problem::internal)?),
        }
    }
    Ok(array)
}

/// An outcome as the wire tells it; the value is taken out.
fn value(outcome: &mut Outcome) -> Result<Bson, Problem> {
    let execution =
        |message: String| Problem::new(Kind::Invalid, "FunctionExecutionError", message);
    match &mut outcome.result {
        Ok(value) => Ok(std::mem::replace(value, Bson::Undefined)),
        Err(Failure::Threw { message, code, .. }) => Err(Problem::new(
            Kind::Invalid,
            if code == "ExecutionTimeLimitExceeded" {
                Cow::Owned(code.clone())
            } else {
                Cow::Borrowed("FunctionExecutionError")
            },
            message.clone(),
        )),
        Err(Failure::TimeLimit) => Err(Problem::new(
            Kind::Invalid,
            "ExecutionTimeLimitExceeded",
            "execution time limit exceeded",
        )),
        Err(Failure::MemoryLimit) => Err(execution("execution memory limit exceeded".to_owned())),
        Err(Failure::Crashed) => Err(execution("the function's process ended".to_owned())),
        Err(Failure::Overloaded) => Err(Problem::new(
            Kind::Limited,
            "TooManyRequests",
            "too many function calls are waiting",
        )),
    }
}
