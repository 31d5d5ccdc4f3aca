//! The door to data: the cases, and what is no case (rules-schemas.md).

#[path = "data/at_once.rs"]
mod at_once;
#[path = "data/attacks.rs"]
mod attacks;
#[path = "data/cases.rs"]
mod cases;
#[path = "data/collations.rs"]
mod collations;
#[path = "data/differential.rs"]
mod differential;
#[path = "data/edges.rs"]
mod edges;
#[path = "data/explain.rs"]
mod explain;
#[path = "data/feeds.rs"]
mod feeds;
#[path = "data/fuzz.rs"]
mod fuzz;
#[path = "data/hostile.rs"]
mod hostile;

use std::sync::Arc;

use app::data::{Access, Calls, Data, ServiceRules, UserAccess};
use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocumentBuf};
use engine::{BoxFuture, SharedEngine};
use engine_embedded::Embedded;
use kit::{Problem, SystemClock};
use testkit::given::Given;

/// Extended JSON as raw BSON.
fn raw(text: &str) -> RawDocumentBuf {
    let document = kit::ejson::parse_document(text.as_bytes())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    RawDocumentBuf::try_from(&document).unwrap()
}

/// A value as relaxed Extended JSON.
fn relaxed(value: RawBsonRef<'_>) -> String {
    let mut out = Vec::new();
    kit::ejson::relaxed(value, &mut out);
    String::from_utf8(out).unwrap()
}

/// An engine with one service, `s`, and the collection `d.c`.
struct World {
    data: Data,
    engine: SharedEngine,
    rules: Arc<ServiceRules>,
}

fn embedded_or_mongodb() -> SharedEngine {
    crate::on_mongodb::engine(module_path!(), || {
        Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap())
    })
}

/// `isEven` answers whether its argument is; `fails` throws.
struct Functions;

impl Calls for Functions {
    fn call(
        &self,
        function: Arc<str>,
        arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>> {
        Box::pin(async move {
            match &*function {
                "isEven" => {
                    let even =
                        matches!(arguments.get(0), Ok(Some(RawBsonRef::Int32(n))) if n % 2 == 0);
                    Ok(Some(RawBson::Boolean(even)))
                }
                _ => Err(Problem::new(
                    kit::Kind::Invalid,
                    "FunctionExecutionError",
                    "it threw",
                )),
            }
        })
    }
}

/// A rules file of `d.c` around `roles`.
fn roles(roles: &str) -> String {
    format!(r#"{{"database":"d","collection":"c","roles":[{roles}]}}"#)
}

impl World {
    /// A world with the files of the data source, by path below it.
    fn new(files: &[(&str, &str)]) -> Self {
        let mut all = config::Files::default();
        let root = r#"{"config_version":20210101,"app_id":"a-abcde","name":"a"}"#;
        all.insert("realm_config.json", root.as_bytes().to_vec());
        all.insert(
            "data_sources/s/config.json",
            br#"{"name":"s","type":"mongodb-atlas","config":{"clusterName":"c"}}"#.to_vec(),
        );
        all.insert(
            "functions/config.json",
            br#"[{"name":"isEven","private":true},{"name":"fails","private":true}]"#.to_vec(),
        );
        for name in ["isEven", "fails"] {
            all.insert(
                format!("functions/{name}.js"),
                b"exports = () => true;".to_vec(),
            );
        }
        for (path, text) in files {
            all.insert(format!("data_sources/s/{path}"), text.as_bytes().to_vec());
        }
        let (config, findings) = config::parse(&all);
        let config = config.unwrap_or_else(|| panic!("{findings:?}"));
        let rules = ServiceRules::compile(&config, "s").unwrap_or_else(|e| panic!("{e:?}"));
        let engine = embedded_or_mongodb();
        Self {
            data: Data::new(engine.clone(), Arc::new(SystemClock)),
            engine,
            rules: Arc::new(rules),
        }
    }

    /// A world with these roles on `d.c`, and documents in it.
    async fn with(roles: &str, documents: &str) -> Self {
        let world = Self::new(&[("d/c/rules.json", &self::roles(roles))]);
        world.seed(documents).await;
        world
    }

    /// The same with settings of the data source's rules.
    async fn set(roles: &str, settings: &str, documents: &str) -> Self {
        let source = format!(
            r#"{{"name":"s","type":"mongodb-atlas","config":{{"clusterName":"c","rules":{settings}}}}}"#
        );
        let files = [
            ("d/c/rules.json", &*self::roles(roles)),
            ("config.json", &source),
        ];
        let world = Self::new(&files);
        world.seed(documents).await;
        world
    }

    fn is_embedded(&self) -> bool {
        self.engine.capabilities().name == "embedded"
    }

    async fn seed(&self, documents: &str) {
        let arguments = format!(r#"{{"documents":[{documents}]}}"#);
        self.system("insertMany", &arguments).await.unwrap();
    }

    fn user(&self, user: &str) -> Access {
        Access::User(UserAccess {
            expansions: Arc::new(Given::user(raw(user))),
            rules: self.rules.clone(),
            calls: Arc::new(Functions),
            null_for_optional: false,
            log: Arc::default(),
        })
    }

    async fn run(&self, access: &Access, action: &str, arguments: &str) -> Result<String, Problem> {
        let mut all = bson::rawdoc! { "database": "d", "collection": "c" };
        for entry in &raw(arguments) {
            let (name, value) = entry.unwrap();
            all.append(name, value);
        }
        let result = self.data.run(access, action, &all, None).await?;
        Ok(relaxed(result.as_raw_bson_ref()))
    }

    async fn system(&self, action: &str, arguments: &str) -> Result<String, Problem> {
        self.run(&Access::System, action, arguments).await
    }

    /// As the user `ann`: the result, or `code: text` of the problem.
    async fn ann(&self, action: &str, arguments: &str) -> String {
        self.says(
            &self.user(r#"{"id":"ann","custom_data":{}}"#),
            action,
            arguments,
        )
        .await
    }

    /// As the user `bob`.
    async fn bob(&self, action: &str, arguments: &str) -> String {
        self.says(
            &self.user(r#"{"id":"bob","custom_data":{}}"#),
            action,
            arguments,
        )
        .await
    }

    async fn says(&self, access: &Access, action: &str, arguments: &str) -> String {
        match self.run(access, action, arguments).await {
            Ok(result) => result,
            Err(problem) => format!("{}: {}", problem.code, problem.message),
        }
    }

    /// Everything that is stored, by `_id`.
    async fn stored(&self) -> String {
        self.system("find", r#"{"sort":{"_id":1}}"#).await.unwrap()
    }
}
