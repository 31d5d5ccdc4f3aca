//! Which file holds what, in every layout (admin-api.md §4.7).

use crate::Kind;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// One node in one JSON file.
    One(Kind, String),
    /// An object whose entries are nodes by key.
    Map(Kind),
    /// An array whose elements are nodes.
    List(Kind),
    /// A function's source, by name.
    FunctionSource(String),
    /// An older function's manifest, by name.
    FunctionManifest(String),
    /// A webhook's source, by key.
    WebhookSource(String),
    /// A hosted file, by path.
    Hosted(String),
    /// Not part of the configuration.
    Ignored,
    /// Nothing that is known.
    Unknown,
}

/// The role of a path.
pub(crate) fn role(path: &str) -> Role {
    let one = |kind, key: &str| Role::One(kind, key.to_owned());
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.starts_with('.')) {
        return Role::Ignored;
    }
    let stem = |name: &'static str| move |file: &str| file.strip_suffix(name).map(str::to_owned);
    let json = stem(".json");
    match parts.as_slice() {
        ["realm_config.json" | "root_config.json" | "config.json" | "stitch.json"] => {
            one(Kind::Root, "")
        }
        ["secrets.json"] => Role::Ignored,
        ["auth", "providers.json"] => Role::Map(Kind::AuthProvider),
        ["auth_providers", file] => {
            json(file).map_or(Role::Unknown, |n| one(Kind::AuthProvider, &n))
        }
        ["auth", "custom_user_data.json"] => one(Kind::CustomUserData, ""),
        ["data_sources", source, "config.json"] => one(Kind::DataSource, source),
        ["data_sources", source, "default_rule.json"] => one(Kind::DefaultRule, source),
        ["data_sources", source, database, collection, file] => {
            let key = format!("{source}/{database}/{collection}");
            match *file {
                "rules.json" => one(Kind::Rule, &key),
                "schema.json" => one(Kind::Schema, &key),
                "relationships.json" => one(Kind::Relationships, &key),
                _ => Role::Unknown,
            }
        }
        ["functions", "config.json"] => Role::List(Kind::Function),
        ["functions", "package.json"] => one(Kind::Dependencies, ""),
        ["functions", "package-lock.json"] => Role::Ignored,
        ["functions", first, ..] if first.starts_with("node_modules") => Role::Ignored,
        ["functions", rest @ .., "source.js"] if !rest.is_empty() => {
            Role::FunctionSource(rest.join("/"))
        }
        ["functions", rest @ .., "config.json"] if !rest.is_empty() => {
            Role::FunctionManifest(rest.join("/"))
        }
        ["functions", rest @ ..] => match rest.join("/").strip_suffix(".js") {
            Some(name) => Role::FunctionSource(name.to_owned()),
            None => Role::Unknown,
        },
        ["values", file] => json(file).map_or(Role::Unknown, |n| one(Kind::Value, &n)),
        ["environments", file] => json(file).map_or(Role::Unknown, |n| one(Kind::Environment, &n)),
        ["triggers", file] => json(file).map_or(Role::Unknown, |n| one(Kind::Trigger, &n)),
        ["log_forwarders", file] => {
            json(file).map_or(Role::Unknown, |n| one(Kind::LogForwarder, &n))
        }
        ["graphql", "config.json"] => one(Kind::GraphqlConfig, ""),
        ["graphql", "validation_settings.json"] => one(Kind::GraphqlValidation, ""),
        ["graphql", "custom_resolvers", file] => {
            json(file).map_or(Role::Unknown, |n| one(Kind::GraphqlResolver, &n))
        }
        ["hosting", "config.json"] => one(Kind::Hosting, ""),
        ["hosting", "metadata.json"] => one(Kind::HostingMetadata, ""),
        ["hosting", "files", rest @ ..] => Role::Hosted(format!("/{}", rest.join("/"))),
        ["sync", "config.json"] => one(Kind::Sync, ""),
        ["http_endpoints" | "https_endpoints", "config.json"] => Role::List(Kind::Endpoint),
        ["http_endpoints" | "https_endpoints", "data_api_config.json"]
        | ["data_api_config.json"] => one(Kind::DataApi, ""),
        ["services" | "http_endpoints", service, "config.json"] => one(Kind::Service, service),
        ["services" | "http_endpoints", service, "rules", file] => json(file)
            .map_or(Role::Unknown, |n| {
                one(Kind::ServiceRule, &format!("{service}/{n}"))
            }),
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
                "source.js" => Role::WebhookSource(key),
                _ => Role::Unknown,
            }
        }
        [name]
            if !std::path::Path::new(name)
                .extension()
                .is_some_and(|e| e == "json" || e == "js") =>
        {
            Role::Ignored
        }
        _ => Role::Unknown,
    }
}
