//! The kinds of nodes, and the fields that each has.

use serde_json::Value;

/// A kind of node: the table of contents of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `realm_config.json` or `root_config.json`.
    Root,
    /// One entry of `auth/providers.json`, by name.
    AuthProvider,
    /// `auth/custom_user_data.json`.
    CustomUserData,
    /// `data_sources/<name>/config.json`.
    DataSource,
    /// `data_sources/<name>/default_rule.json`, by data source.
    DefaultRule,
    /// `…/<database>/<collection>/rules.json`, by `source/database/collection`.
    Rule,
    /// `…/schema.json`.
    Schema,
    /// `…/relationships.json`.
    Relationships,
    /// A function, by name: manifest and source.
    Function,
    /// `functions/package.json`.
    Dependencies,
    /// `values/<name>.json`.
    Value,
    /// `environments/<name>.json`.
    Environment,
    /// One entry of the endpoints, by method and route.
    Endpoint,
    /// `data_api_config.json`.
    DataApi,
    /// `triggers/<name>.json`.
    Trigger,
    /// `graphql/config.json`.
    GraphqlConfig,
    /// `graphql/custom_resolvers/*.json`.
    GraphqlResolver,
    /// `graphql/validation_settings.json`.
    GraphqlValidation,
    /// `hosting/config.json`.
    Hosting,
    /// `hosting/metadata.json`.
    HostingMetadata,
    /// A file below `hosting/files/`, by path.
    HostingFile,
    /// `log_forwarders/<name>.json`.
    LogForwarder,
    /// `sync/config.json`.
    Sync,
    /// A third-party service's `config.json`.
    Service,
    /// A third-party service's rule, by `service/name`.
    ServiceRule,
    /// A third-party service's webhook, by `service/name`: config and source.
    Webhook,
}

/// A field that a kind has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Flag,
    Number,
    Object,
    List,
    /// Of texts.
    Texts,
    Any,
    OneOf(&'static [&'static str]),
}

const fn need(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        required: true,
        shape,
    }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        required: false,
        shape,
    }
}

use Shape::{Any, Flag, List, Number, Object, OneOf, Text, Texts};

/// The login providers.
pub(crate) const PROVIDERS: &[&str] = &[
    "anon-user",
    "local-userpass",
    "api-key",
    "custom-token",
    "custom-function",
    "oauth2-google",
    "oauth2-facebook",
    "oauth2-apple",
];
/// The types of data sources.
pub(crate) const DATA_SOURCES: &[&str] = &["mongodb-atlas", "mongodb", "datalake"];
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "*"];
const VALIDATION: &[&str] = &["NO_VALIDATION", "SECRET_AS_QUERY_PARAM", "VERIFY_PAYLOAD"];

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 26] = [
        Self::Root,
        Self::AuthProvider,
        Self::CustomUserData,
        Self::DataSource,
        Self::DefaultRule,
        Self::Rule,
        Self::Schema,
        Self::Relationships,
        Self::Function,
        Self::Dependencies,
        Self::Value,
        Self::Environment,
        Self::Endpoint,
        Self::DataApi,
        Self::Trigger,
        Self::GraphqlConfig,
        Self::GraphqlResolver,
        Self::GraphqlValidation,
        Self::Hosting,
        Self::HostingMetadata,
        Self::HostingFile,
        Self::LogForwarder,
        Self::Sync,
        Self::Service,
        Self::ServiceRule,
        Self::Webhook,
    ];

    /// The service's noun.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Root => "app",
            Self::AuthProvider => "auth provider",
            Self::CustomUserData => "custom user data",
            Self::DataSource => "data source",
            Self::DefaultRule => "default rule",
            Self::Rule => "rule",
            Self::Schema => "schema",
            Self::Relationships => "relationships",
            Self::Function => "function",
            Self::Dependencies => "dependencies",
            Self::Value => "value",
            Self::Environment => "environment",
            Self::Endpoint => "endpoint",
            Self::DataApi => "data API",
            Self::Trigger => "trigger",
            Self::GraphqlConfig => "GraphQL configuration",
            Self::GraphqlResolver => "custom resolver",
            Self::GraphqlValidation => "GraphQL validation settings",
            Self::Hosting => "hosting",
            Self::HostingMetadata => "hosting metadata",
            Self::HostingFile => "hosted file",
            Self::LogForwarder => "log forwarder",
            Self::Sync => "sync",
            Self::Service => "service",
            Self::ServiceRule => "service rule",
            Self::Webhook => "webhook",
        }
    }

    /// Whether a node of this kind has an id, which files of some exports carry.
    pub(crate) fn has_id(self) -> bool {
        matches!(
            self,
            Self::AuthProvider
                | Self::DataSource
                | Self::DefaultRule
                | Self::Rule
                | Self::Function
                | Self::Value
                | Self::Endpoint
                | Self::Trigger
                | Self::GraphqlResolver
                | Self::LogForwarder
                | Self::Service
                | Self::ServiceRule
                | Self::Webhook
        )
    }

    /// The fields that are checked; others are carried along.
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Root => {
                const {
                    &[
                        may("config_version", Number),
                        may("app_id", Text),
                        need("name", Text),
                        may("location", Text),
                        may("provider_region", Text),
                        may("deployment_model", OneOf(&["GLOBAL", "LOCAL"])),
                        may(
                            "environment",
                            OneOf(&[
                                "",
                                "none",
                                "no-environment",
                                "development",
                                "testing",
                                "qa",
                                "production",
                            ]),
                        ),
                        may("allowed_request_origins", List),
                        may("security", Object),
                    ]
                }
            }
            Self::AuthProvider => {
                const {
                    &[
                        may("name", Text),
                        need("type", OneOf(PROVIDERS)),
                        may("disabled", Flag),
                        may("config", Object),
                        may("secret_config", Object),
                        may("metadata_fields", List),
                        may("redirect_uris", List),
                        may("domain_restrictions", List),
                    ]
                }
            }
            Self::CustomUserData => {
                const {
                    &[
                        may("enabled", Flag),
                        may("mongo_service_name", Text),
                        may("database_name", Text),
                        may("collection_name", Text),
                        may("user_id_field", Text),
                        may("on_user_creation_function_name", Text),
                    ]
                }
            }
            Self::DataSource => {
                const {
                    &[
                        need("name", Text),
                        need("type", OneOf(DATA_SOURCES)),
                        may("config", Object),
                        may("version", Number),
                        may("secret_config", Object),
                    ]
                }
            }
            Self::DefaultRule => const { &[may("roles", List), may("filters", List)] },
            Self::Rule => {
                const {
                    &[
                        may("database", Text),
                        may("collection", Text),
                        may("roles", List),
                        may("filters", List),
                    ]
                }
            }
            Self::Schema => {
                const {
                    &[
                        may("title", Text),
                        may("properties", Object),
                        may("required", List),
                    ]
                }
            }
            Self::Function => {
                const {
                    &[
                        need("name", Text),
                        may("private", Flag),
                        may("can_evaluate", Object),
                        may("run_as_system", Flag),
                        may("run_as_user_id", Text),
                        may("run_as_user_id_script_source", Text),
                        may("disable_arg_logs", Flag),
                    ]
                }
            }
            Self::Dependencies => const { &[may("dependencies", Object)] },
            Self::Value => {
                const {
                    &[
                        need("name", Text),
                        need("value", Any),
                        may("private", Flag),
                        may("from_secret", Flag),
                    ]
                }
            }
            Self::Environment => const { &[need("values", Object)] },
            Self::Endpoint => {
                const {
                    &[
                        need("route", Text),
                        need("http_method", OneOf(METHODS)),
                        need("function_name", Text),
                        may("validation_method", OneOf(VALIDATION)),
                        may("secret_name", Text),
                        may("respond_result", Flag),
                        may("fetch_custom_user_data", Flag),
                        may("create_user_on_auth", Flag),
                        may("disabled", Flag),
                        may("return_type", OneOf(&["JSON", "EJSON"])),
                    ]
                }
            }
            Self::DataApi => {
                const {
                    &[
                        may("versions", List),
                        may("disabled", Flag),
                        may("can_evaluate", Object),
                        may("create_user_on_auth", Flag),
                        may("fetch_custom_user_data", Flag),
                        may("log_function_arguments", Flag),
                        may("run_as_system", Flag),
                        may("run_as_user_id", Text),
                        may("run_as_user_id_script_source", Text),
                        may("validation_method", OneOf(VALIDATION)),
                        may("secret_name", Text),
                        may("return_type", OneOf(&["JSON", "EJSON"])),
                    ]
                }
            }
            Self::Trigger => {
                const {
                    &[
                        need("name", Text),
                        need("type", OneOf(&["DATABASE", "AUTHENTICATION", "SCHEDULED"])),
                        may("disabled", Flag),
                        may("config", Object),
                        may("function_name", Text),
                        may("event_processors", Object),
                        may("error_handler", Object),
                    ]
                }
            }
            Self::GraphqlConfig => {
                const {
                    &[
                        may("use_natural_pluralization", Flag),
                        may("disable_schema_introspection", Flag),
                    ]
                }
            }
            Self::GraphqlResolver => {
                const {
                    &[
                        need("on_type", Text),
                        need("field_name", Text),
                        need("function_name", Text),
                        may("input_type", Any),
                        may("input_type_format", Text),
                        may("payload_type", Any),
                        may("payload_type_format", Text),
                    ]
                }
            }
            Self::Hosting => {
                const {
                    &[
                        may("enabled", Flag),
                        may("custom_domain", Text),
                        may("app_default_domain", Text),
                        may("default_response_code", Any),
                        may("default_error_path", Text),
                        may("default_error_code", Any),
                    ]
                }
            }
            Self::LogForwarder => {
                const {
                    &[
                        need("name", Text),
                        may("log_types", Texts),
                        may("log_statuses", Texts),
                        may("policy", Object),
                        may("action", Object),
                        may("disabled", Flag),
                    ]
                }
            }
            Self::Sync => {
                const {
                    &[
                        may("type", OneOf(&["flexible", "partition"])),
                        may("state", OneOf(&["", "enabled", "disabled"])),
                        may("service_name", Text),
                        may("database_name", Text),
                        may("development_mode_enabled", Flag),
                        may("client_max_offline_days", Number),
                        may("is_recovery_mode_disabled", Flag),
                        may("queryable_fields_names", List),
                        may("partition", Object),
                    ]
                }
            }
            Self::Service => {
                const {
                    &[
                        need("name", Text),
                        need(
                            "type",
                            OneOf(&[
                                "http", "aws", "twilio", "github", "gcm", "aws-s3", "aws-ses",
                            ]),
                        ),
                        may("config", Object),
                        may("secret_config", Object),
                        may("version", Number),
                    ]
                }
            }
            Self::ServiceRule => {
                const {
                    &[
                        need("name", Text),
                        may("actions", List),
                        may("when", Object),
                    ]
                }
            }
            Self::Webhook => {
                const {
                    &[
                        need("name", Text),
                        may("can_evaluate", Object),
                        may("run_as_user_id", Text),
                        may("run_as_user_id_script_source", Text),
                        may("respond_result", Flag),
                        may("options", Object),
                    ]
                }
            }
            Self::GraphqlValidation
            | Self::Relationships
            | Self::HostingMetadata
            | Self::HostingFile => const { &[] },
        }
    }
}

impl Shape {
    /// What is wrong with a value; `None` when it fits.
    pub(crate) fn fault(self, value: &Value) -> Option<String> {
        let (fits, wanted) = match self {
            Text => (value.is_string(), "a string"),
            Flag => (value.is_boolean(), "true or false"),
            Number => (value.is_number(), "a number"),
            // An absent object is often written as null.
            Object => (value.is_object() || value.is_null(), "an object"),
            List => (value.is_array() || value.is_null(), "an array"),
            Texts => (
                value.is_null()
                    || value
                        .as_array()
                        .is_some_and(|list| list.iter().all(Value::is_string)),
                "an array of strings",
            ),
            Any => (true, ""),
            OneOf(known) => match value.as_str() {
                Some(text) if known.contains(&text) => (true, ""),
                Some(text) => {
                    return Some(match nearest(text, known) {
                        Some(near) => {
                            format!("\"{text}\" is not known here; did you mean \"{near}\"?")
                        }
                        None => format!("\"{text}\" is none of {}", known.join(", ")),
                    });
                }
                None => (false, "a string"),
            },
        };
        (!fits).then(|| format!("has to be {wanted}"))
    }
}

/// The known word that a wrong one is nearest to.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
