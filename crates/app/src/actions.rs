//! Actions of services that are no data sources, such as `http`: who may run
//! them (triggers-ops.md §14). Nothing is allowed that no rule allows.

mod aws;
mod digest;
mod http;
mod twilio;

use std::collections::HashMap;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use config::{AppConfig, Flaw, Kind, Node};
use kit::Problem;
use rules::{ActionRule, Answers, Scope, Trace};
use serde_json::Value;
use url::Url;

use crate::call::{CallExplanation, RequestExpansions, decided};
use crate::caller::{Caller, Cx};
use crate::data::service::{Of, check_functions, document, report};

/// A service that is no data source.
#[derive(Debug)]
pub struct Service {
    kind: String,
    rules: Vec<ActionRule>,
    node: Arc<Node>,
}

/// Types of services that have actions here, or none anywhere.
pub(crate) const KINDS: [&str; 4] = ["http", "aws", "twilio", "github"];

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
        let service = Service {
            kind: node.text("type").to_owned(),
            rules,
            node: node.clone(),
        };
        (name.to_owned(), Arc::new(service))
    });
    services.collect()
}

impl Service {
    /// A field of its `config`.
    fn setting(&self, name: &str) -> Result<&str, Problem> {
        let found = self.node.at(&format!("/config/{name}"));
        let found = found
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        found.ok_or_else(|| {
            crate::host::execution(format!("the service has no \"{name}\" in its config"))
        })
    }

    /// The value of the secret that a field of its `secret_config` names.
    async fn secret(&self, cx: &Cx, name: &str) -> Result<Arc<str>, Problem> {
        let missing = || {
            let text = format!("the secret with the service's \"{name}\" has no value");
            crate::host::execution(text)
        };
        let named = self.node.at(&format!("/secret_config/{name}"));
        let named = named.and_then(Value::as_str).ok_or_else(missing)?;
        cx.app.secret(named).await?.ok_or_else(missing)
    }
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
    /// `NoMatchingRuleFound`, and what the action ends with.
    pub(crate) async fn act(
        &self,
        name: &str,
        service: &Service,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<RawBson, Problem> {
        if service.kind == "aws"
            && action == "execute"
            && let Some((action, arguments)) = aws::of_old_sdks(arguments)
        {
            return Box::pin(self.act(name, service, &action, &arguments)).await;
        }
        if !self.may_act(name, service, action, arguments, None).await? {
            return Err(refused(name, action));
        }
        match service.kind.as_str() {
            "http" => {
                // A second address is asked first: rules are about it, too.
                if let Ok(Some(RawBsonRef::String(asked))) = arguments.get("authUrl") {
                    let asked = with_url(arguments, asked);
                    if !self.may_act(name, service, action, &asked, None).await? {
                        return Err(refused(name, action));
                    }
                }
                http::send(&self.egress(), action, arguments).await
            }
            "twilio" => twilio::run(self, service, action, arguments).await,
            "aws" => aws::run(self, service, action, arguments).await,
            kind => Err(crate::host::execution(format!(
                "the service type '{kind}' has no action '{action}' on this server"
            ))),
        }
    }

    /// `context.http`, about which there are no rules.
    pub(crate) async fn http(
        &self,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<RawBson, Problem> {
        http::send(&self.egress(), action, arguments).await
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

/// The same arguments for another address.
fn with_url(arguments: &RawDocument, url: &str) -> RawDocumentBuf {
    let mut other = rawdoc! { "url": url };
    for (name, value) in arguments.iter().flatten() {
        if name != "url" {
            other.append(name, value);
        }
    }
    other
}

/// `%%args`: the arguments as rules see them. An `http` service's address is
/// in its parts, however it was written, so that a rule about the host cannot
/// be got round.
fn seen(kind: &str, arguments: &RawDocument) -> RawDocumentBuf {
    if kind != "http" {
        return arguments.to_owned();
    }
    let mut seen = RawDocumentBuf::new();
    for (name, value) in arguments.iter().flatten() {
        if name != "url" {
            seen.append(name, value);
        }
    }
    // What is no address has no parts, which no rule can match.
    let url = match http::address(arguments) {
        Ok(address) => parts(&address.url),
        Err(_) => RawDocumentBuf::new(),
    };
    seen.append(cstr!("url"), url);
    seen
}

fn parts(url: &Url) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
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
                "body": "b",
                "url": {
                    "scheme": "https", "host": "example.com:8443", "path": "/b",
                    "query": { "x": ["1", "2"], "y": [" "] }, "fragment": "f",
                },
            }
        );
        let written = rawdoc! { "domain": "example.com", "path": "/a", "query": { "x": "1" } };
        assert_eq!(
            seen("http", &written),
            rawdoc! {
                "domain": "example.com", "path": "/a", "query": { "x": "1" },
                "url": { "scheme": "http", "host": "example.com", "path": "/a", "query": { "x": ["1"] } },
            }
        );
        for none in [rawdoc! { "url": "no address" }, rawdoc! { "host": "a@b" }] {
            assert!(seen("http", &none).get_document("url").unwrap().is_empty());
        }
        let sent = rawdoc! { "url": "https://example.com" };
        assert_eq!(seen("twilio", &sent), sent);
    }
}
