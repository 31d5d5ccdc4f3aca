//! What an app uses and the server does not have yet: a warning for each, which
//! names the feature. A line goes when its feature comes.

use config::{AppConfig, Flaw, Kind};
use serde_json::Value;

/// Adds a warning for each.
pub(crate) fn find(config: &AppConfig, flaws: &mut Vec<Flaw>) {
    let mut finder = Finder { flaws };
    finder.app(config);
    finder.functions(config);
    finder.nodes(config);
}

struct Finder<'a> {
    flaws: &'a mut Vec<Flaw>,
}

impl Finder<'_> {
    fn later(&mut self, kind: Kind, key: &str, pointer: &str, what: impl std::fmt::Display) {
        let text = format!("not supported yet: {what}");
        self.flaws.push(Flaw::warning(kind, key, pointer, text));
    }

    fn app(&mut self, config: &AppConfig) {
        let Some(root) = config.get(Kind::Root, "") else {
            return;
        };
        for pointer in [
            "/allowed_request_origins",
            "/security/allowed_request_origins",
        ] {
            let origins = root.at(pointer).and_then(Value::as_array);
            if origins.is_some_and(|origins| !origins.is_empty()) {
                self.later(
                    Kind::Root,
                    "",
                    pointer,
                    "allowed request origins; browsers may call from everywhere",
                );
            }
        }
    }

    fn functions(&mut self, config: &AppConfig) {
        let packages = config
            .get(Kind::Dependencies, "")
            .and_then(|node| node.at("/dependencies")?.as_object());
        if packages.is_some_and(|packages| !packages.is_empty()) {
            let what = "npm dependencies of functions";
            self.later(Kind::Dependencies, "", "/dependencies", what);
        }
    }

    fn nodes(&mut self, config: &AppConfig) {
        for (name, source) in config.data_sources() {
            if source.kind() == "datalake" {
                let what = format!("the federated data source \"{name}\"");
                self.later(Kind::DataSource, name, "/type", what);
            }
        }
        for (name, trigger) in config.triggers() {
            if trigger.enabled() {
                let kind = trigger.kind().to_lowercase();
                let what = format!("{kind} triggers; \"{name}\" does not fire");
                self.later(Kind::Trigger, name, "/type", what);
            }
        }
        for kind in LATER {
            for (key, node) in config.all(kind) {
                let used = match kind {
                    Kind::Hosting => node.flag("enabled") && !node.text("custom_domain").is_empty(),
                    Kind::Sync => node.text("state") == "enabled",
                    Kind::Service => !crate::actions::KINDS.contains(&node.text("type")),
                    _ => !node.flag("disabled"),
                };
                if !used {
                    continue;
                }
                let (field, what) = match kind {
                    Kind::Endpoint => ("/route", format!("HTTPS endpoints; {key} is not served")),
                    Kind::DataApi => ("", "the Data API".to_owned()),
                    Kind::Hosting => ("/custom_domain", "custom domains of hosting".to_owned()),
                    Kind::Sync => ("/state", "Device Sync".to_owned()),
                    Kind::GraphqlResolver => ("/field_name", "GraphQL custom resolvers".to_owned()),
                    Kind::LogForwarder => ("/name", format!("log forwarders; \"{key}\" is idle")),
                    Kind::Webhook => ("/name", format!("webhooks; \"{key}\" is not served")),
                    _ => {
                        let of = node.text("type");
                        ("/type", format!("the {of} service \"{key}\""))
                    }
                };
                self.later(kind, key, field, what);
            }
        }
    }
}

const LATER: [Kind; 8] = [
    Kind::Endpoint,
    Kind::DataApi,
    Kind::Hosting,
    Kind::Sync,
    Kind::GraphqlResolver,
    Kind::LogForwarder,
    Kind::Service,
    Kind::Webhook,
];
