//! Sync's configuration in its two dialects, and data models of the SDKs.

use config::models::{Language, Model, models};
use config::{AppConfig, EditError, Files, Kind, SourceSync};
use serde_json::{Value, json};

fn config(extra: &str) -> AppConfig {
    let files = Files::from_fixture(&format!(
        r#"
//- /realm_config.json
{{ "config_version": 20210101, "app_id": "todo-abcde", "name": "todo" }}
//- /data_sources/db/config.json
{{ "name": "db", "type": "mongodb-atlas", "config": {{ "clusterName": "Cluster0" }} }}
//- /data_sources/other/config.json
{{ "name": "other", "type": "mongodb-atlas", "config": {{ "clusterName": "Cluster1" }} }}
{extra}"#
    ));
    let (config, findings) = config::parse(&files);
    config.unwrap_or_else(|| panic!("{findings:?}"))
}

const SCHEMAS: &str = r##"
//- /data_sources/db/todo/Task/schema.json
{
    "title": "Task", "bsonType": "object", "required": ["_id", "name", "address", "data", "when"],
    "properties": {
        "name": { "bsonType": "string" },
        "_id": { "bsonType": "objectId" },
        "done": { "bsonType": "bool" },
        "count": { "bsonType": ["long", "null"] },
        "data": { "bsonType": "binData" },
        "when": { "bsonType": "date" },
        "tags": { "bsonType": "array", "items": { "bsonType": "string" } },
        "ids": { "bsonType": "array", "uniqueItems": true, "items": { "bsonType": "uuid" } },
        "prices": { "bsonType": "object", "additionalProperties": { "bsonType": "decimal" } },
        "any": { "bsonType": "mixed" },
        "owner_id": { "bsonType": "objectId" },
        "helpers": { "bsonType": "array", "items": { "bsonType": "objectId" } },
        "address": {
            "bsonType": "object", "required": ["street"],
            "properties": { "street": { "bsonType": "string" }, "no": { "bsonType": "int" } }
        },
        "odd": { "bsonType": "regex" }
    }
}
//- /data_sources/db/todo/Task/relationships.json
{
    "owner_id": { "ref": "#/relationship/db/todo/User", "foreign_key": "_id", "is_list": false },
    "helpers": { "ref": "#/relationship/db/todo/User", "foreign_key": "_id", "is_list": true }
}
//- /data_sources/db/todo/User/schema.json
{ "title": "User", "bsonType": "object", "properties": { "_id": { "bsonType": "objectId" } } }
//- /data_sources/db/todo/Nameless/schema.json
{ "bsonType": "object", "properties": { "_id": { "bsonType": "objectId" } } }
//- /data_sources/db/todo/Keyless/schema.json
{ "title": "Keyless", "bsonType": "object", "properties": { "a": { "bsonType": "int" } } }
//- /data_sources/db/todo/Empty/schema.json
{}
"##;

fn of(language: Language) -> Vec<Model> {
    models(&config(SCHEMAS), language)
}

fn task(language: Language) -> Model {
    let mut all = of(language);
    let at = all.iter().position(|model| model.name == "Task").unwrap();
    all.swap_remove(at)
}

#[test]
fn what_a_schema_lacks_is_told() {
    let mut told: Vec<(String, Vec<&str>)> = of(Language::Swift)
        .into_iter()
        .map(|model| {
            let alerts = model.error.iter().chain(&model.warnings);
            let codes = alerts.map(|alert| alert.code).collect();
            (model.key, codes)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            (
                "db/todo/Keyless".to_owned(),
                vec!["SchemaMissingPrimaryKey"]
            ),
            ("db/todo/Nameless".to_owned(), vec!["SchemaMissingTitle"]),
            ("db/todo/Task".to_owned(), vec!["UnsupportedPropertyType"]),
            ("db/todo/User".to_owned(), vec![]),
        ]
    );
    // An app without schemas has no models.
    assert!(models(&config(""), Language::Swift).is_empty());
}

#[test]
fn swift() {
    let model = task(Language::Swift);
    assert_eq!(model.imports, ["import Foundation", "import RealmSwift"]);
    assert_eq!(
        model.code,
        "class Task: Object {
    @Persisted(primaryKey: true) var _id: ObjectId
    @Persisted var name: String
    @Persisted var done: Bool?
    @Persisted var count: Int?
    @Persisted var data: Data
    @Persisted var when: Date
    @Persisted var tags: List<String>
    @Persisted var ids: MutableSet<UUID>
    @Persisted var prices: Map<String, Decimal128>
    @Persisted var any: AnyRealmValue
    @Persisted var owner_id: User?
    @Persisted var helpers: List<User>
    @Persisted var address: Task_address?
}

class Task_address: EmbeddedObject {
    @Persisted var street: String
    @Persisted var no: Int?
}
"
    );
}

#[test]
fn kotlin_and_java() {
    let model = task(Language::Kotlin);
    assert!(
        model
            .imports
            .contains(&"import io.realm.kotlin.ext.realmSetOf".to_owned())
    );
    assert!(
        model
            .imports
            .contains(&"import org.mongodb.kbson.ObjectId".to_owned())
    );
    for line in [
        "class Task : RealmObject {\n    @PrimaryKey\n    var _id: ObjectId = ObjectId()\n",
        "    var name: String = \"\"\n",
        "    var count: Long? = null\n",
        "    var tags: RealmList<String> = realmListOf()\n",
        "    var prices: RealmDictionary<Decimal128> = realmDictionaryOf()\n",
        "    var owner_id: User? = null\n",
        "    var any: RealmAny? = null\n",
        "class Task_address : EmbeddedRealmObject {\n    var street: String = \"\"\n",
    ] {
        assert!(model.code.contains(line), "{line} in\n{}", model.code);
    }
    let model = task(Language::Java);
    for line in [
        "public class Task extends RealmObject {\n    @PrimaryKey\n    @Required\n    private ObjectId _id;\n",
        "    @Required\n    private String name;\n",
        "    private Long count;\n",
        "    private RealmList<User> helpers;\n",
        "    public User getOwnerId() {\n        return owner_id;\n    }\n",
        "@RealmClass(embedded = true)\npublic class Task_address extends RealmObject {\n",
    ] {
        assert!(model.code.contains(line), "{line} in\n{}", model.code);
    }
    assert!(
        model
            .imports
            .contains(&"import org.bson.types.ObjectId;".to_owned())
    );
}

#[test]
fn c_sharp_and_objective_c() {
    let model = task(Language::CSharp);
    for line in [
        "public partial class Task : IRealmObject\n{\n    [MapTo(\"_id\")]\n    [PrimaryKey]\n    public ObjectId Id { get; set; }\n",
        "    [MapTo(\"name\")]\n    [Required]\n    public string Name { get; set; }\n",
        "    public long? Count { get; set; }\n",
        "    public IList<string> Tags { get; }\n",
        "    public ISet<Guid> Ids { get; }\n",
        "    public IDictionary<string, Decimal128> Prices { get; }\n",
        "    [MapTo(\"owner_id\")]\n    public User OwnerId { get; set; }\n",
        "public partial class Task_address : IEmbeddedObject\n",
    ] {
        assert!(model.code.contains(line), "{line} in\n{}", model.code);
    }
    let model = task(Language::ObjectiveC);
    assert_eq!(model.imports, ["#import <Realm/Realm.h>"]);
    for line in [
        "@interface Task : RLMObject\n@property RLMObjectId *_id;\n",
        "@property NSNumber<RLMInt> *count;\n",
        "@property RLMArray<NSString *><RLMString> *tags;\n",
        "@property RLMDictionary<NSString *, RLMDecimal128 *><RLMString, RLMDecimal128> *prices;\n",
        "@property id<RLMValue> any;\n",
        "RLM_COLLECTION_TYPE(Task)\n",
        "    return @[@\"_id\", @\"name\", @\"data\", @\"when\"];\n",
        "@interface Task_address : RLMEmbeddedObject\n",
    ] {
        assert!(model.code.contains(line), "{line} in\n{}", model.code);
    }
}

#[test]
fn scripts() {
    let model = task(Language::JavaScript);
    assert!(model.imports.is_empty());
    assert_eq!(
        model.code,
        "export const TaskSchema = {
  name: 'Task',
  properties: {
    _id: 'objectId',
    name: 'string',
    done: 'bool?',
    count: 'int?',
    data: 'data',
    when: 'date',
    tags: 'string[]',
    ids: 'uuid<>',
    prices: 'decimal128{}',
    any: 'mixed',
    owner_id: 'User',
    helpers: 'User[]',
    address: 'Task_address',
  },
  primaryKey: '_id',
};

export const Task_addressSchema = {
  name: 'Task_address',
  embedded: true,
  properties: {
    street: 'string',
    no: 'int?',
  },
};
"
    );
    let typed = task(Language::TypeScript);
    assert!(typed.code.contains(&model.code[..40]));
    for line in [
        "export type Task = {\n  _id: Realm.BSON.ObjectId;\n  name: string;\n  done?: boolean;\n",
        "  ids: Realm.Set<Realm.BSON.UUID>;\n",
        "  owner_id?: User;\n",
    ] {
        assert!(typed.code.contains(line), "{line} in\n{}", typed.code);
    }
}

#[test]
fn hostile_schemas_make_no_code() {
    let deep = (0..200).fold(
        json!({ "bsonType": "string" }),
        |inner, _| json!({ "bsonType": "object", "properties": { "a": inner } }),
    );
    let schema = json!({
        "title": "1'; drop\n\"table", "bsonType": "object",
        "properties": {
            "_id": { "bsonType": "objectId" }, "a'b": { "bsonType": "int" },
            "x\ny": { "bsonType": "int" }, "": { "bsonType": "int" }, "deep": deep,
            "list": { "bsonType": "array", "items": [{ "bsonType": "int" }] },
        },
    });
    let mut config = config("");
    let node = config::Node::new(schema);
    config.set(Kind::Schema, "db/todo/x", node).unwrap();
    for (name, language) in Language::ALL {
        let model = &models(&config, language)[0];
        assert_eq!(model.name, "_1___drop__table");
        assert!(
            !model.code.contains("a'b") && !model.code.contains("drop\n"),
            "{name}"
        );
        assert!(model.warnings.len() >= 4, "{name}: {:?}", model.warnings);
    }
}

fn sync(field: &'static str, settings: Value) -> SourceSync {
    let Value::Object(settings) = settings else {
        panic!("{settings}");
    };
    SourceSync { field, settings }
}

#[test]
fn a_data_sources_sync_is_the_apps_file() {
    let mut config = config("");
    assert_eq!(config.sync_of("db"), None);
    assert_eq!(config.sync_state(), None);
    let on = json!({
        "state": "enabled", "database_name": "todo", "queryable_fields_names": ["owner"],
        "type": "ignored", "permissions": null,
    });
    config.set_sync("db", &sync("flexible_sync", on)).unwrap();
    let file = |config: &AppConfig| config.get(Kind::Sync, "").unwrap().json.clone();
    assert_eq!(
        file(&config),
        json!({
            "type": "flexible", "service_name": "db", "state": "enabled", "database_name": "todo",
            "queryable_fields_names": ["owner"],
        })
    );
    assert_eq!(config.sync_state(), Some(("flexible", "enabled")));
    assert_eq!(config.sync_of("other"), None);

    // A part is merged; terminated, the settings stay to be read.
    let off = sync("flexible_sync", json!({ "state": "" }));
    config.set_sync("db", &off).unwrap();
    assert_eq!(config.sync_state(), None);
    assert_eq!(
        Value::Object(config.sync_of("db").unwrap().settings),
        json!({ "database_name": "todo", "queryable_fields_names": ["owner"], "state": "" })
    );
    assert!(file(&config).get("state").is_none());

    // Now it may be another kind's and another data source's.
    let partition = json!({
        "state": "enabled", "database_name": "todo", "partition": { "key": "team" },
    });
    config.set_sync("other", &sync("sync", partition)).unwrap();
    assert_eq!(config.sync_state(), Some(("partition", "enabled")));
    assert_eq!(config.sync_of("db"), None);
    assert_eq!(config.sync_of("other").unwrap().field, "sync");
    assert!(file(&config).get("queryable_fields_names").is_none());
    let refused = config.set_sync("db", &sync("flexible_sync", json!({ "state": "enabled" })));
    assert!(matches!(refused, Err(EditError::Invalid(_))));
}

#[test]
fn sync_that_cannot_be_is_refused() {
    for (field, settings) in [
        ("flexible_sync", json!({ "state": "on" })),
        ("flexible_sync", json!({ "state": 1 })),
        (
            "sync",
            json!({ "state": "enabled", "partition": { "key": "a" } }),
        ),
        ("sync", json!({ "state": "enabled", "database_name": "d" })),
        ("flexible_sync", json!({ "database_name": 1 })),
    ] {
        let mut config = config("");
        let refused = config.set_sync("db", &sync(field, settings.clone()));
        assert!(matches!(refused, Err(EditError::Invalid(_))), "{settings}");
    }
}
