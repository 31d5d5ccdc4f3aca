//! What a running function reaches: the worker's requests, answered as the
//! frame that asks.

use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocumentBuf};
use engine::BoxFuture;
use js::{Entered, Frame, Host, HostError};
use kit::{Problem, limit};
use rules::Needed;

use crate::call::{RequestExpansions, caller_of, context, may_run, rule_function};
use crate::caller::{Caller, Cx};
use crate::compile::NamedValue;
use crate::data::{Access, Calls, Data, UserAccess};

/// The host of one top-level call.
pub(crate) struct CallHost {
    /// The context of each frame; the first is the top-level function's.
    frames: Mutex<Vec<Cx>>,
}

impl CallHost {
    pub(crate) fn new(cx: Cx) -> Self {
        Self {
            frames: Mutex::new(vec![cx]),
        }
    }

    fn frame(&self, frame: Frame) -> Result<Cx, HostError> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames
            .get(frame as usize)
            .cloned()
            .ok_or_else(|| HostError::new("an unknown frame"))
    }
}

impl Host for CallHost {
    fn call(
        &self,
        frame: Frame,
        operation: &str,
        arguments: Document,
    ) -> js::BoxFuture<'_, Result<Bson, HostError>> {
        let operation = operation.to_owned();
        Box::pin(async move {
            let cx = self.frame(frame)?;
            match operation.as_str() {
                "mongodb" => mongodb(&cx, &arguments).await,
                "value" => value(&cx, arguments.get_str("name").unwrap_or_default()).await,
                other => Err(HostError::new(format!("unknown operation '{other}'"))),
            }
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
            let context = context(&inner);
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

/// A problem as an error that the function may catch.
fn thrown(problem: Problem) -> HostError {
    HostError {
        name: "Error".to_owned(),
        code: problem.code.into_owned(),
        message: problem.message,
    }
}

/// `context.services.get(…).db(…).collection(…)`.
async fn mongodb(cx: &Cx, arguments: &Document) -> Result<Bson, HostError> {
    let service = arguments.get_str("service").unwrap_or_default();
    let action = arguments.get_str("action").unwrap_or_default();
    let inner = arguments
        .get_document("arguments")
        .cloned()
        .unwrap_or_default();
    let inner =
        RawDocumentBuf::try_from(&inner).map_err(|error| HostError::new(error.to_string()))?;
    let value = cx.data(service, action, &inner).await.map_err(thrown)?;
    Bson::try_from(value).map_err(|error| HostError::new(error.to_string()))
}

/// `context.values.get`; an unknown value is undefined.
async fn value(cx: &Cx, name: &str) -> Result<Bson, HostError> {
    match cx.release.values.get(name) {
        None => Ok(Bson::Undefined),
        Some(NamedValue::Plain(value)) => Ok(value.clone()),
        Some(NamedValue::Secret(secret)) => match cx.app.secret(secret).await.map_err(thrown)? {
            Some(value) => Ok(Bson::String(value.to_string())),
            None => Err(HostError::new(format!(
                "the secret '{secret}' of the value '{name}' has no value on this server"
            ))),
        },
    }
}

impl Cx {
    /// Runs one action of a data source on behalf of the caller.
    ///
    /// # Errors
    /// `FunctionExecutionError` for an unknown service, in the service's words,
    /// and what the data door answers.
    pub async fn data(
        &self,
        service: &str,
        action: &str,
        arguments: &bson::RawDocument,
    ) -> Result<RawBson, Problem> {
        let (data, access) = self.door(service, action)?;
        data.run(&access, action, arguments, None).await
    }

    /// Opens a stream of changes on behalf of the caller.
    pub async fn watch(
        &self,
        service: &str,
        arguments: &bson::RawDocument,
    ) -> Result<crate::data::Watch, Problem> {
        let (data, access) = self.door(service, "watch")?;
        data.watch(&access, arguments).await
    }

    fn door(&self, service: &str, action: &str) -> Result<(Data, Access), Problem> {
        let source = self.release.sources.get(service).ok_or_else(|| {
            let text = if self.release.services.contains_key(service) {
                format!("the service '{service}' is of a type that is not supported yet")
            } else {
                format!("TypeError: Cannot access member '{action}' of undefined")
            };
            Problem::new(kit::Kind::Invalid, "FunctionExecutionError", text)
        })?;
        let core = &self.app.core;
        let data = Data::new(core.cluster(&source.cluster).clone(), core.clock.clone());
        let access = match &self.caller {
            Caller::System => Access::System,
            Caller::User(_) => Access::User(UserAccess {
                expansions: Arc::new(RequestExpansions::of(self)),
                rules: source.rules.clone(),
                calls: Arc::new(RuleCalls(self.clone())),
            }),
        };
        Ok((data, access))
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
