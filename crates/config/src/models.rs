//! Data models of the SDKs, from the schemas of collections: the classes that a
//! client app writes to have the same objects (device-sync.md).
//!
//! [`models`] reads the schemas, `languages` writes classes. What a schema says
//! and no SDK has is told in warnings.

mod languages;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{AppConfig, Kind};

/// A language of an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `C_SHARP`
    CSharp,
    /// `JAVA`
    Java,
    /// `JAVA_SCRIPT`
    JavaScript,
    /// `KOTLIN`
    Kotlin,
    /// `OBJECTIVE_C`
    ObjectiveC,
    /// `SWIFT`
    Swift,
    /// `TYPE_SCRIPT`
    TypeScript,
}

impl Language {
    /// Every language, by the name that the Admin API has.
    pub const ALL: [(&'static str, Self); 7] = [
        ("C_SHARP", Self::CSharp),
        ("JAVA", Self::Java),
        ("JAVA_SCRIPT", Self::JavaScript),
        ("KOTLIN", Self::Kotlin),
        ("OBJECTIVE_C", Self::ObjectiveC),
        ("SWIFT", Self::Swift),
        ("TYPE_SCRIPT", Self::TypeScript),
    ];
}

/// The classes of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The schema's key: data source, database and collection.
    pub key: String,
    /// The class's name; empty when there is an error.
    pub name: String,
    /// Lines that have to stand before the code.
    pub imports: Vec<String>,
    /// The code; empty when there is an error.
    pub code: String,
    /// What the schema says and the code does not.
    pub warnings: Vec<Alert>,
    /// Why there is no code.
    pub error: Option<Alert>,
}

/// Something to tell of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// In words.
    pub message: String,
    /// As a code.
    pub code: &'static str,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    name: String,
    /// Whether its objects live inside of others.
    embedded: bool,
    properties: Vec<Property>,
}

/// A property of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Property {
    name: String,
    /// What it, or each of its elements, is.
    of: Type,
    shape: Shape,
    required: bool,
    primary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Set,
    Dictionary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Float,
    Double,
    Text,
    Data,
    Date,
    Decimal,
    ObjectId,
    Uuid,
    Mixed,
    /// An object of a class: linked or embedded.
    Object(String),
}

/// The models of every schema, in the order of the configuration.
pub fn models(config: &AppConfig, language: Language) -> Vec<Model> {
    let names: BTreeMap<&str, String> = config
        .all(Kind::Schema)
        .map(|(key, node)| (key.as_str(), class_name(node.text("title"))))
        .collect();
    let schemas = config.all(Kind::Schema);
    schemas
        .filter(|(_, node)| node.fields().is_some_and(|fields| !fields.is_empty()))
        .map(|(key, node)| {
            let relationships = config.get(Kind::Relationships, key);
            let mut reader = Reader {
                names: &names,
                relationships: relationships.map_or(&Value::Null, |node| &node.json),
                classes: Vec::new(),
                warnings: Vec::new(),
            };
            let read = reader.root(&node.json);
            let Reader {
                classes, warnings, ..
            } = reader;
            match read {
                Ok(name) => Model {
                    key: key.clone(),
                    name,
                    imports: languages::imports(language, &classes),
                    code: languages::code(language, &classes),
                    warnings,
                    error: None,
                },
                Err(error) => Model {
                    key: key.clone(),
                    name: String::new(),
                    imports: Vec::new(),
                    code: String::new(),
                    warnings,
                    error: Some(error),
                },
            }
        })
        .collect()
}

fn alert(code: &'static str, message: String) -> Alert {
    Alert { message, code }
}

/// A title as every language can name a class.
fn class_name(title: &str) -> String {
    let mut name: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// Deepest embedded object.
const DEPTH_MAX: usize = 32;

struct Reader<'c> {
    names: &'c BTreeMap<&'c str, String>,
    relationships: &'c Value,
    classes: Vec<Class>,
    warnings: Vec<Alert>,
}

impl Reader<'_> {
    fn root(&mut self, schema: &Value) -> Result<String, Alert> {
        let title = text(schema, "title");
        if title.is_empty() {
            let message = "the schema has no title, which names the class".to_owned();
            return Err(alert("SchemaMissingTitle", message));
        }
        if !matches!(type_name(schema), "object" | "") {
            let message = "the schema is not of an object".to_owned();
            return Err(alert("SchemaNotObject", message));
        }
        let name = class_name(title);
        let class = self.class(schema, &name, "", 0);
        if !class.properties.iter().any(|property| property.primary) {
            let message = "the schema has no property _id, which a synced object needs".to_owned();
            return Err(alert("SchemaMissingPrimaryKey", message));
        }
        self.classes.insert(0, class);
        Ok(name)
    }

    /// The class of an object. `path` is where it stands, with a dot at the end.
    fn class(&mut self, schema: &Value, name: &str, path: &str, depth: usize) -> Class {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut properties = Vec::new();
        let fields = schema.get("properties").and_then(Value::as_object);
        for (field, of) in fields.into_iter().flatten() {
            let place = format!("{path}{field}");
            if !is_name(field) {
                let text = format!("'{place}' is no name that a property can have");
                self.warnings.push(alert("InvalidPropertyName", text));
                continue;
            }
            let parent = if path.is_empty() { name } else { path };
            let Some((of, shape)) = self.property(of, &place, name, depth) else {
                let text = format!("'{place}' of {parent} is of a type that no SDK has");
                self.warnings.push(alert("UnsupportedPropertyType", text));
                continue;
            };
            properties.push(Property {
                name: field.clone(),
                of,
                shape,
                required: required.contains(&field.as_str()),
                primary: path.is_empty() && field == "_id",
            });
        }
        // The key comes first, as everybody writes it.
        properties.sort_by_key(|property| !property.primary);
        Class {
            name: name.to_owned(),
            embedded: !path.is_empty(),
            properties,
        }
    }

    fn property(
        &mut self,
        schema: &Value,
        place: &str,
        parent: &str,
        depth: usize,
    ) -> Option<(Type, Shape)> {
        if let Some(linked) = self.link(place) {
            let many = type_name(schema) == "array";
            let shape = if many {
                list_or_set(schema)
            } else {
                Shape::One
            };
            return Some((Type::Object(linked), shape));
        }
        match type_name(schema) {
            "array" => {
                let items = schema.get("items").filter(|items| items.is_object())?;
                let (of, shape) = self.property(items, place, parent, depth)?;
                (shape == Shape::One).then(|| (of, list_or_set(schema)))
            }
            "object" if schema.get("properties").is_none() => {
                let of = schema
                    .get("additionalProperties")
                    .filter(|of| of.is_object());
                let Some(of) = of else {
                    return Some((Type::Mixed, Shape::Dictionary));
                };
                let (of, shape) = self.property(of, place, parent, depth)?;
                (shape == Shape::One).then_some((of, Shape::Dictionary))
            }
            "object" if depth < DEPTH_MAX => {
                let title = class_name(text(schema, "title"));
                let field = place.rsplit('.').next().unwrap_or(place);
                let name = if title.is_empty() {
                    format!("{parent}_{}", class_name(field))
                } else {
                    title
                };
                let class = self.class(schema, &name, &format!("{place}."), depth + 1);
                if !self.classes.iter().any(|known| known.name == name) {
                    self.classes.push(class);
                }
                Some((Type::Object(name), Shape::One))
            }
            name => Some((scalar(name)?, Shape::One)),
        }
    }

    /// The class that a relationship of a field leads to.
    fn link(&mut self, place: &str) -> Option<String> {
        let relationship = self
            .relationships
            .get(place)
            .or_else(|| self.relationships.get(format!("{place}.[]")))?;
        let target = text(relationship, "ref").strip_prefix("#/relationship/")?;
        let found = self.names.get(target).filter(|name| !name.is_empty());
        if found.is_none() {
            let text = format!("'{place}' leads to {target}, which has no schema with a title");
            self.warnings.push(alert("RelationshipTargetMissing", text));
        }
        found.cloned()
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether every language can have a property of this name.
fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The one type that is no null; empty without one.
fn type_name(schema: &Value) -> &str {
    match schema.get("bsonType").or_else(|| schema.get("type")) {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            let mut names = names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| *name != "null");
            match (names.next(), names.next()) {
                (Some(name), None) => name,
                (Some(_), Some(_)) => "mixed",
                _ => "",
            }
        }
        _ if schema.get("properties").is_some() => "object",
        _ => "",
    }
}

fn list_or_set(schema: &Value) -> Shape {
    let unique = schema.get("uniqueItems").and_then(Value::as_bool);
    if unique == Some(true) {
        Shape::Set
    } else {
        Shape::List
    }
}

fn scalar(name: &str) -> Option<Type> {
    Some(match name {
        "bool" | "boolean" => Type::Bool,
        "int" | "long" | "integer" => Type::Int,
        "float" => Type::Float,
        "double" | "number" => Type::Double,
        "string" => Type::Text,
        "binData" => Type::Data,
        "date" => Type::Date,
        "decimal" => Type::Decimal,
        "objectId" => Type::ObjectId,
        "uuid" => Type::Uuid,
        "mixed" => Type::Mixed,
        _ => return None,
    })
}
