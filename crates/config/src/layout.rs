//! Which file holds what, in every layout (admin-api.md §4.7), and back.

use crate::node::RootLayout;
use crate::{AppConfig, Files, Kind};

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// One node in one JSON file.
    One(Kind, String),
    /// An object whose entries are nodes by key.
    Map(Kind),
    /// An array whose elements are nodes.
    List(Kind),
    /// An older layout's root file, which holds other nodes too.
    OlderRoot,
    /// `services/<name>/config.json`: a service, or in older layouts a data source.
    Service(String),
    /// `services/<name>/rules/<file>.json`, of either.
    ServiceRule(String, String),
    /// A source, by kind and key.
    Source(Kind, String),
    /// A hosted file, by path.
    Hosted(String),
    /// Not part of the configuration.
    Ignored,
    /// Part of another layout; why it does not count.
    Elsewhere(String),
    /// Nothing that is known.
    Unknown,
}

const ROOTS: [(&str, RootLayout); 4] = [
    ("root_config.json", RootLayout::Root),
    ("realm_config.json", RootLayout::Realm),
    ("config.json", RootLayout::Older),
    ("stitch.json", RootLayout::Stitch),
];

/// The layout of a directory: of several root files the newest counts.
pub(crate) fn layout(files: &Files) -> Option<RootLayout> {
    let found = ROOTS
        .into_iter()
        .find(|(path, _)| files.get(path).is_some());
    found.map(|(_, layout)| layout)
}

/// The folders and files that an app directory has at its top.
pub(crate) const TOP: &[&str] = &[
    "auth",
    "auth_providers",
    "data_sources",
    "environments",
    "functions",
    "graphql",
    "hosting",
    "http_endpoints",
    "https_endpoints",
    "log_forwarders",
    "services",
    "sync",
    "triggers",
    "values",
];

/// Whether a file stands at the top and belongs to the repository, not the app.
fn beside_the_app(name: &str) -> bool {
    std::path::Path::new(name)
        .extension()
        .is_none_or(|e| e != "json" && e != "js")
        || matches!(
            name,
            "package.json" | "package-lock.json" | "jsconfig.json" | "tsconfig.json"
        )
}

/// The role of a path. `has` says whether there is a file.
pub(crate) fn role(path: &str, layout: RootLayout, has: impl Fn(&str) -> bool) -> Role {
    let one = |kind, key: &str| Role::One(kind, key.to_owned());
    let parts: Vec<&str> = path.split('/').collect();
    let json = |file: &str, role: &dyn Fn(&str) -> Role| {
        file.strip_suffix(".json").map_or(Role::Unknown, role)
    };
    let older = layout.is_older();
    let elsewhere = |other: &str| {
        Role::Elsewhere(format!(
            "this file is left out: with {} this belongs in {other}",
            layout.root_file()
        ))
    };
    if let ["hosting", "files", rest @ ..] = parts.as_slice() {
        // Hidden files are served too, such as those of `.well-known`.
        return match rest.last() {
            Some(&".DS_Store") => Role::Ignored,
            _ => Role::Hosted(format!("/{}", rest.join("/"))),
        };
    }
    if parts.iter().any(|part| part.starts_with('.')) {
        return Role::Ignored;
    }
    match parts.as_slice() {
        [root] if ROOTS.iter().any(|(name, _)| name == root) => {
            if *root != layout.root_file() {
                return Role::Elsewhere(format!(
                    "this file is left out: the app's root file is {}",
                    layout.root_file()
                ));
            }
            if older {
                Role::OlderRoot
            } else {
                one(Kind::Root, "")
            }
        }
        ["secrets.json"] => Role::Elsewhere(
            "this file is no part of the configuration: a push sends its secrets with it"
                .to_owned(),
        ),
        ["auth", "providers.json"] if older => elsewhere("auth_providers/"),
        ["auth", "custom_user_data.json"] | ["hosting" | "sync", "config.json"] if older => {
            elsewhere(layout.root_file())
        }
        ["auth_providers", _] if !older => elsewhere("auth/providers.json"),
        ["data_sources", ..] if older => elsewhere("services/"),
        ["auth", "providers.json"] => Role::Map(Kind::AuthProvider),
        ["auth_providers", file] => json(file, &|name| one(Kind::AuthProvider, name)),
        ["auth", "custom_user_data.json"] => one(Kind::CustomUserData, ""),
        ["data_sources", source, "config.json"] => one(Kind::DataSource, source),
        ["data_sources", source, "default_rule.json"] => one(Kind::DefaultRule, source),
        ["data_sources", source, database, collection @ .., file] if !collection.is_empty() => {
            let key = format!("{source}/{database}/{}", collection.join("/"));
            match *file {
                "rules.json" => one(Kind::Rule, &key),
                "schema.json" => one(Kind::Schema, &key),
                "relationships.json" => one(Kind::Relationships, &key),
                _ => Role::Unknown,
            }
        }
        ["functions", rest @ ..] => function(rest, older),
        ["values", file] => json(file, &|name| one(Kind::Value, name)),
        ["environments", file] => json(file, &|name| one(Kind::Environment, name)),
        ["triggers", file] => json(file, &|name| one(Kind::Trigger, name)),
        ["log_forwarders", file] => json(file, &|name| one(Kind::LogForwarder, name)),
        ["graphql", "config.json"] => one(Kind::GraphqlConfig, ""),
        ["graphql", "validation_settings.json"] => one(Kind::GraphqlValidation, ""),
        ["graphql", "custom_resolvers", file] => {
            json(file, &|name| one(Kind::GraphqlResolver, name))
        }
        ["hosting", "config.json"] => one(Kind::Hosting, ""),
        ["hosting", "metadata.json"] => one(Kind::HostingMetadata, ""),
        ["sync", "config.json"] => one(Kind::Sync, ""),
        [
            "http_endpoints" | "https_endpoints",
            file @ ("config.json" | "data_api_config.json"),
        ] => {
            let own = format!("{}/{file}", endpoints(layout));
            if path != own && has(&own) {
                return elsewhere(&format!("{}/", endpoints(layout)));
            }
            match *file {
                "config.json" => Role::List(Kind::Endpoint),
                _ => one(Kind::DataApi, ""),
            }
        }
        ["data_api_config.json"] => one(Kind::DataApi, ""),
        ["services", service, "default_rule.json"] => one(Kind::DefaultRule, service),
        ["services" | "http_endpoints", service, "config.json"] => {
            Role::Service((*service).to_owned())
        }
        ["services" | "http_endpoints", service, "rules", rest @ ..] => {
            json(&rest.join("/"), &|name| {
                Role::ServiceRule((*service).to_owned(), name.to_owned())
            })
        }
        [
            "services" | "http_endpoints",
            service,
            "incoming_webhooks",
            hook,
            file,
        ] => {
            let key = format!("{service}/{hook}");
            match *file {
                "config.json" => one(Kind::Webhook, &key),
                "source.js" => Role::Source(Kind::Webhook, key),
                _ => Role::Unknown,
            }
        }
        [name] if beside_the_app(name) => Role::Ignored,
        _ => Role::Unknown,
    }
}

/// The role of a path below `functions/`.
fn function(rest: &[&str], older: bool) -> Role {
    match rest {
        ["node_modules", ..] => Role::Ignored,
        [archive] if archive.starts_with("node_modules.") => Role::Elsewhere(
            "this archive is no part of the configuration: a push sends it with --include-node-modules"
                .to_owned(),
        ),
        ["package.json"] => Role::One(Kind::Dependencies, String::new()),
        ["package-lock.json" | "yarn.lock" | "pnpm-lock.yaml"] => Role::Ignored,
        [name @ .., "source.js"] if older && !name.is_empty() => {
            Role::Source(Kind::Function, name.join("/"))
        }
        [name @ .., "config.json"] if older && !name.is_empty() => {
            Role::One(Kind::Function, name.join("/"))
        }
        _ if older => Role::Unknown,
        ["config.json"] => Role::List(Kind::Function),
        _ => match rest.join("/").strip_suffix(".js") {
            Some(name) => Role::Source(Kind::Function, name.to_owned()),
            None => Role::Unknown,
        },
    }
}

/// The folder of the HTTPS endpoints.
pub(crate) fn endpoints(layout: RootLayout) -> &'static str {
    match layout {
        RootLayout::Root => "https_endpoints",
        _ => "http_endpoints",
    }
}

/// The file of a node that has one of its own.
pub(crate) fn path(config: &AppConfig, kind: Kind, key: &str) -> String {
    let layout = config.layout();
    let older = layout.is_older();
    let service = |folder: &str, end: &str| {
        let (name, rest) = key.split_once('/').unwrap_or((key, ""));
        let kind = config.get(Kind::Service, name);
        // Newer layouts have a place of their own for the service "http".
        let top = match kind.map(|node| node.text("type")) {
            Some("http") if !older => "http_endpoints",
            _ => "services",
        };
        format!("{top}/{name}{folder}{rest}{end}")
    };
    match kind {
        Kind::Root => layout.root_file().to_owned(),
        Kind::AuthProvider => format!("auth_providers/{key}.json"),
        Kind::CustomUserData => "auth/custom_user_data.json".to_owned(),
        Kind::DataSource if older => format!("services/{key}/config.json"),
        Kind::DefaultRule if older => format!("services/{key}/default_rule.json"),
        Kind::Rule if older => {
            let (source, rest) = key.split_once('/').unwrap_or((key, ""));
            format!(
                "services/{source}/rules/{}.json",
                rest.replacen('/', ".", 1)
            )
        }
        Kind::DataSource => format!("data_sources/{key}/config.json"),
        Kind::DefaultRule => format!("data_sources/{key}/default_rule.json"),
        Kind::Rule => format!("data_sources/{key}/rules.json"),
        Kind::Schema => format!("data_sources/{key}/schema.json"),
        Kind::Relationships => format!("data_sources/{key}/relationships.json"),
        Kind::Function => format!("functions/{key}/config.json"),
        Kind::Dependencies => "functions/package.json".to_owned(),
        Kind::Value => format!("values/{key}.json"),
        Kind::Environment => format!("environments/{key}.json"),
        Kind::Endpoint => format!("{}/config.json", endpoints(layout)),
        Kind::DataApi if older => "data_api_config.json".to_owned(),
        Kind::DataApi => format!("{}/data_api_config.json", endpoints(layout)),
        Kind::Trigger => format!("triggers/{key}.json"),
        Kind::GraphqlConfig => "graphql/config.json".to_owned(),
        Kind::GraphqlResolver => format!("graphql/custom_resolvers/{key}.json"),
        Kind::GraphqlValidation => "graphql/validation_settings.json".to_owned(),
        Kind::Hosting => "hosting/config.json".to_owned(),
        Kind::HostingMetadata => "hosting/metadata.json".to_owned(),
        Kind::HostingFile => format!("hosting/files{key}"),
        Kind::LogForwarder => format!("log_forwarders/{key}.json"),
        Kind::Sync => "sync/config.json".to_owned(),
        Kind::Service => service("/config.json", ""),
        Kind::ServiceRule => service("/rules/", ".json"),
        Kind::Webhook => service("/incoming_webhooks/", "/config.json"),
    }
}

/// The file of a node's source.
pub(crate) fn source_path(config: &AppConfig, kind: Kind, key: &str) -> String {
    match kind {
        Kind::Webhook => {
            let manifest = path(config, kind, key);
            let folder = manifest.strip_suffix("config.json").unwrap_or(&manifest);
            format!("{folder}source.js")
        }
        _ if config.layout().is_older() => format!("functions/{key}/source.js"),
        _ => format!("functions/{key}.js"),
    }
}
