//! Actions of services that are no data sources, such as `http`: who may run
//! them (triggers-ops.md §14). Nothing is allowed that no rule allows.
//!
//! Not here yet: the actions themselves.

use std::collections::HashMap;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr};
use config::{AppConfig, Flaw, Kind};
use kit::Problem;
use rules::{ActionRule, Answers, Scope, Trace};
use url::Url;

use crate::call::{CallExplanation, RequestExpansions, decided};
use crate::caller::{Caller, Cx};
use crate::data::service::{Of, check_functions, document, report};

/// A service that is no data source.
#[derive(Debug)]
pub struct Service {
    kind: String,
    rules: Vec<ActionRule>,
}

/// Compiles the rules of every such service, by name.
pub(crate) fn compile(config: &AppConfig, flaws: &mut Vec<Flaw>) -> HashMap<String, Arc<Service>> {
    let services = config.all(Kind::Service).map(|(name, node)| {
        let prefix = format!("{name}/");
        let mut rules = Vec::new();
        for (key, rule) in config.all(Kind::ServiceRule) {
            if !key.starts_with(&prefix) {
                continue;
            }
            let of: Of = (Kind::ServiceRule, key);
            check_functions(config, rule, of, flaws);
            match document(rule, of, flaws).map(|rule| ActionRule::parse(&rule)) {
                Some(Ok(rule)) => rules.push(rule),
                Some(Err(issues)) => report(issues, rule, of, flaws),
                None => {}
            }
        }
        let kind = node.text("type").to_owned();
        (name.to_owned(), Arc::new(Service { kind, rules }))
    });
    services.collect()
}

fn refused(service: &str, action: &str) -> Problem {
    Problem::new(
        kit::Kind::Forbidden,
        "NoMatchingRuleFound",
        format!("no rule allows the action '{action}' of the service '{service}'"),
    )
}

impl Cx {
    /// Runs an action of a service that is no data source.
    ///
    /// # Errors
    /// `NoMatchingRuleFound`; and, as long as there are no actions, that there
    /// are none.
    pub(crate) async fn act(
        &self,
        name: &str,
        service: &Service,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<RawBson, Problem> {
        if !self.may_act(name, service, action, arguments, None).await? {
            return Err(refused(name, action));
        }
        Err(crate::host::execution(format!(
            "the service type '{}' ({name}.{action}) is not supported yet",
            service.kind
        )))
    }

    /// Why the rules of a service allow or refuse an action.
    pub(crate) async fn explain_action(
        &self,
        name: &str,
        service: &Service,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<CallExplanation, Problem> {
        let trace = Trace::default();
        let allowed = self
            .may_act(name, service, action, arguments, Some(&trace))
            .await?;
        Ok(CallExplanation {
            private: false,
            can_evaluate: Some(allowed),
            asked: trace.take(),
        })
    }

    /// Whether one of the rules allows it; the system needs none.
    async fn may_act(
        &self,
        name: &str,
        service: &Service,
        action: &str,
        arguments: &RawDocument,
        trace: Option<&Trace>,
    ) -> Result<bool, Problem> {
        if matches!(self.caller, Caller::System) {
            return Ok(true);
        }
        let arguments = seen(&service.kind, arguments);
        let expansions = RequestExpansions::of(self, name, action).await?;
        let mut answers = Answers::default();
        for rule in &service.rules {
            let allows = |answers: &Answers| {
                let mut scope = Scope::request(&expansions, answers).tracing(trace);
                scope.args = Some(&arguments);
                rule.allows(action, &scope)
            };
            if decided(self, &mut answers, allows).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `%%args`: the arguments as rules see them. An `http` service's address is
/// in its parts, however it was written, so that a rule about the host cannot
/// be got round.
fn seen(kind: &str, arguments: &RawDocument) -> RawDocumentBuf {
    if kind != "http" {
        return arguments.to_owned();
    }
    let mut seen = RawDocumentBuf::new();
    let mut has_url = false;
    for (name, value) in arguments.iter().flatten() {
        let is_url = name.as_str() == "url";
        has_url |= is_url;
        match value {
            // What is no address has no parts, which no rule can match.
            RawBsonRef::String(text) if is_url => seen.append(name, parts(text)),
            value => seen.append(name, value),
        }
    }
    if !has_url {
        let mut url = RawDocumentBuf::new();
        for part in [
            cstr!("scheme"),
            cstr!("host"),
            cstr!("path"),
            cstr!("query"),
            cstr!("fragment"),
        ] {
            match (part.as_str(), arguments.get(part.as_str())) {
                (_, Ok(Some(value))) => url.append(part, value),
                ("scheme", _) => url.append(part, "http"),
                _ => {}
            }
        }
        seen.append(cstr!("url"), url);
    }
    seen
}

fn parts(text: &str) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
    let Ok(url) = Url::parse(text) else {
        return out;
    };
    out.append(cstr!("scheme"), url.scheme());
    if let Some(host) = url.host_str() {
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        out.append(cstr!("host"), host);
    }
    out.append(cstr!("path"), url.path());
    let mut query: Vec<(String, RawArrayBuf)> = Vec::new();
    for (name, value) in url.query_pairs() {
        let known = query.iter().position(|(known, _)| *known == name);
        let index = known.unwrap_or_else(|| {
            query.push((name.into_owned(), RawArrayBuf::new()));
            query.len() - 1
        });
        query[index].1.push(value.as_ref());
    }
    let mut fields = RawDocumentBuf::new();
    for (name, values) in query {
        if let Ok(name) = bson::raw::CString::try_from(name) {
            fields.append(name, values);
        }
    }
    out.append(cstr!("query"), fields);
    if let Some(fragment) = url.fragment() {
        out.append(cstr!("fragment"), fragment);
    }
    out
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::seen;

    #[test]
    fn an_address_is_seen_in_its_parts() {
        let url = "https://USER:pw@Example.com:8443/a/../b?x=1&x=2&y=%20#f";
        assert_eq!(
            seen("http", &rawdoc! { "url": url, "body": "b" }),
            rawdoc! {
                "url": {
                    "scheme": "https", "host": "example.com:8443", "path": "/b",
                    "query": { "x": ["1", "2"], "y": [" "] }, "fragment": "f",
                },
                "body": "b",
            }
        );
        let written = rawdoc! { "host": "example.com", "path": "/a" };
        assert_eq!(
            seen("http", &written),
            rawdoc! {
                "host": "example.com", "path": "/a",
                "url": { "scheme": "http", "host": "example.com", "path": "/a" },
            }
        );
        assert_eq!(
            seen("http", &rawdoc! { "url": "no address" }),
            rawdoc! { "url": {} }
        );
        let sent = rawdoc! { "url": "https://example.com" };
        assert_eq!(seen("twilio", &sent), sent);
    }
}
