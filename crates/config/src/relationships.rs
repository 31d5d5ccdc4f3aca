//! Relationships of a collection: which field of its documents names documents
//! of which other collection (rules-schemas.md §14).
//!
//! What is no relationship at all is an error. What cannot lead anywhere is a
//! warning: the service takes it, and such a field is null then.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{AppConfig, Flaw, Kind, Node};

const REF: &str = "#/relationship/";
/// Levels of a path; documents have no more.
const PARTS_MAX: usize = 100;

/// What is wrong with the relationships at `key`.
pub(crate) fn flaws(config: &AppConfig, key: &str, node: &Node) -> Vec<Flaw> {
    let Some(entries) = node.json.as_object() else {
        let text = "relationships are an object of fields";
        return vec![Flaw::error(Kind::Relationships, key, "", text)];
    };
    let mut found = Vec::new();
    for (path, entry) in entries {
        let pointer = format!("/{}", path.replace('~', "~0").replace('/', "~1"));
        let checked = match Relationship::read(path, entry) {
            Err((field, text)) => {
                let pointer = format!("{pointer}{field}");
                found.push(Flaw::error(Kind::Relationships, key, &pointer, text));
                continue;
            }
            Ok(relationship) => relationship.doubts(config, key),
        };
        let warnings = checked.into_iter().map(|(field, text)| {
            let pointer = format!("{pointer}{field}");
            Flaw::warning(Kind::Relationships, key, &pointer, text)
        });
        found.extend(warnings);
    }
    found
}

/// A field of an entry, as a pointer, and what is wrong there.
type Wrong = (&'static str, String);

struct Relationship<'v> {
    /// The field that names documents.
    source: &'v str,
    target: &'v str,
    foreign: &'v str,
    is_list: bool,
}

impl<'v> Relationship<'v> {
    fn read(path: &'v str, entry: &'v Value) -> Result<Self, Wrong> {
        let Value::Object(fields) = entry else {
            return Err(("", format!("the relationship of '{path}' is an object")));
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(format!("'{name}' of a relationship is a text")),
        };
        let needed = |name: &str| match text(name)? {
            "" => Err(format!("a relationship needs '{name}'")),
            text => Ok(text),
        };
        if !is_path(path) {
            return Err((
                "",
                format!("'{path}' is no path to a field: a, a.b, list.[].a"),
            ));
        }
        let target = needed("ref").map_err(|text| ("/ref", text))?;
        let foreign = needed("foreign_key").map_err(|text| ("/foreign_key", text))?;
        let source = text("source_key").map_err(|text| ("/source_key", text))?;
        let is_list = match fields.get("is_list") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_list)) => *is_list,
            Some(_) => {
                let text = "'is_list' of a relationship is true or false";
                return Err(("/is_list", text.to_owned()));
            }
        };
        Ok(Self {
            source: if source.is_empty() { path } else { source },
            target,
            foreign,
            is_list,
        })
    }

    /// Why it may lead nowhere.
    fn doubts(&self, config: &AppConfig, key: &str) -> Vec<Wrong> {
        let mut found = Vec::new();
        let own = config.get(Kind::Schema, key).map(|node| &node.json);
        let place = own.map(|schema| place(schema, self.source));
        match place {
            Some(None) => {
                let text = format!("the schema has no field '{}'", self.source);
                found.push(("", text));
            }
            Some(Some(place)) if place.required => {
                let text = format!("'{}' is required, so it cannot be missing", self.source);
                found.push(("", text));
            }
            _ if self.source == "_id" => {
                found.push(("", "'_id' cannot name other documents".to_owned()));
            }
            _ => {}
        }
        let Some(target) = self.target.strip_prefix(REF) else {
            let text = format!("a reference is {REF}<data source>/<database>/<collection>");
            found.push(("/ref", text));
            return found;
        };
        let source = target.split('/').next().unwrap_or_default();
        if config.get(Kind::DataSource, source).is_none() {
            found.push(("/ref", format!("there is no data source \"{source}\"")));
            return found;
        }
        let Some(other) = config.get(Kind::Schema, target) else {
            found.push(("/ref", format!("{target} has no schema")));
            return found;
        };
        let Some(foreign) = self::place(&other.json, self.foreign) else {
            let text = format!("the schema of {target} has no field '{}'", self.foreign);
            found.push(("/foreign_key", text));
            return found;
        };
        if let Some(place) = place.flatten() {
            found.extend(self.mismatch(place.schema, foreign.schema));
        }
        found
    }

    fn mismatch(&self, own: &Value, foreign: &Value) -> Option<Wrong> {
        let mut names = types(own);
        if self.is_list && !self.source.ends_with("[]") {
            if !names.is_empty() && !names.contains("array") && !names.contains("mixed") {
                let text = format!("'{}' is a list of keys, and no array", self.source);
                return Some(("/is_list", text));
            }
            names = own.get("items").map(types).unwrap_or_default();
        }
        let others = types(foreign);
        let any = |names: &BTreeSet<&str>| names.is_empty() || names.contains("mixed");
        let fits = any(&names) || any(&others) || !names.is_disjoint(&others);
        (!fits).then(|| {
            let shown = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
            let text = format!(
                "'{}' is of type {}, '{}' of type {}: they never match",
                self.source,
                shown(names),
                self.foreign,
                shown(others)
            );
            ("/foreign_key", text)
        })
    }
}

/// `a`, `a.b`, `list.[].a`.
fn is_path(path: &str) -> bool {
    let mut parts = path.split('.');
    parts.clone().count() <= PARTS_MAX
        && parts.next() != Some("[]")
        && path
            .split('.')
            .all(|part| !part.is_empty() && !part.starts_with('$') && !part.contains('\0'))
}

/// A field in a schema.
#[derive(Clone, Copy)]
struct Place<'v> {
    schema: &'v Value,
    /// Whether it is required where it stands.
    required: bool,
}

fn place<'v>(schema: &'v Value, path: &str) -> Option<Place<'v>> {
    let mut found = Place {
        schema,
        required: false,
    };
    for part in path.split('.') {
        found = if part == "[]" {
            Place {
                schema: found.schema.get("items")?,
                required: found.required,
            }
        } else {
            let required = found.schema.get("required").and_then(Value::as_array);
            Place {
                schema: found.schema.get("properties")?.get(part)?,
                required: required.is_some_and(|names| names.iter().any(|name| name == part)),
            }
        };
    }
    Some(found)
}

/// The types that a schema asks for, null aside, each by one name.
fn types(schema: &Value) -> BTreeSet<&str> {
    let names = match schema.get("bsonType").or_else(|| schema.get("type")) {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    let names = names.iter().filter_map(Value::as_str);
    names
        .filter(|name| *name != "null")
        .map(|name| match name {
            "boolean" => "bool",
            "float" => "double",
            "binary" => "binData",
            name => name,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use kit::Severity;
    use serde_json::{Value, json};

    use super::flaws;
    use crate::places::Part;
    use crate::{AppConfig, Kind, Node};

    fn told(entries: &Value) -> Vec<(Severity, String, String)> {
        let users = json!({ "properties": {
            "_id": { "bsonType": "objectId" }, "name": { "bsonType": ["string", "null"] },
            "any": {}, "in": { "properties": { "key": { "bsonType": "int" } } },
        } });
        let tasks = json!({ "required": ["must"], "properties": {
            "_id": { "bsonType": "objectId" }, "must": { "bsonType": "objectId" },
            "one": { "bsonType": "objectId" }, "text": { "bsonType": "string" },
            "many": { "bsonType": "array", "items": { "bsonType": "objectId" } },
            "d": { "bsonType": "object", "properties": { "x": { "bsonType": "int" } } },
            "list": { "bsonType": "array", "items": {
                "bsonType": "object", "properties": { "f": { "bsonType": "objectId" } },
            } },
        } });
        let source = json!({ "name": "db", "type": "mongodb-atlas", "config": {} });
        let mut config = AppConfig::default();
        for (kind, key, json) in [
            (Kind::DataSource, "db", source),
            (Kind::Schema, "db/d/users", users),
            (Kind::Schema, "db/d/tasks", tasks),
        ] {
            config.set(kind, key, Node::new(json)).unwrap();
        }
        flaws(&config, "db/d/tasks", &Node::new(entries.clone()))
            .into_iter()
            .map(|flaw| match flaw.part {
                Part::Field(pointer) => (flaw.severity, pointer, flaw.message),
                part @ Part::Source(..) => panic!("{part:?}"),
            })
            .collect()
    }

    #[test]
    fn what_is_a_relationship() {
        let of = |path: &str, foreign: &str, is_list: bool| json!({ path: { "ref": "#/relationship/db/d/users", "foreign_key": foreign, "is_list": is_list } });
        let changed = |field: &str, value: Value| {
            let mut one = of("one", "_id", false);
            one["one"][field] = value;
            one
        };
        let source_key = json!({ "owner": {
            "ref": "#/relationship/db/d/users", "source_key": "one", "foreign_key": "_id",
        } });
        for right in [
            json!({}),
            of("one", "_id", false),
            of("one", "any", false),
            of("text", "name", false),
            of("many", "_id", true),
            of("many.[]", "_id", true),
            of("d.x", "in.key", false),
            of("list.[].f", "_id", false),
            changed("is_list", Value::Null),
            source_key,
        ] {
            assert_eq!(told(&right), [], "{right}");
        }
        use Severity::{Error, Warning};
        for (wrong, severity, pointer, text) in [
            (json!([]), Error, "", "an object of fields"),
            (json!({ "a": 1 }), Error, "/a", "is an object"),
            (of("a..b", "_id", false), Error, "/a..b", "no path"),
            (of("", "_id", false), Error, "/", "no path"),
            (of("[].a", "_id", false), Error, "/[].a", "no path"),
            (of("$a", "_id", false), Error, "/$a", "no path"),
            (of("~/", "_id", false), Warning, "/~0~1", "has no field"),
            (
                changed("ref", Value::Null),
                Error,
                "/one/ref",
                "needs 'ref'",
            ),
            (changed("ref", json!(5)), Error, "/one/ref", "is a text"),
            (
                changed("foreign_key", json!("")),
                Error,
                "/one/foreign_key",
                "needs",
            ),
            (
                changed("source_key", json!([])),
                Error,
                "/one/source_key",
                "is a text",
            ),
            (
                changed("is_list", json!("no")),
                Error,
                "/one/is_list",
                "true or false",
            ),
            (
                changed("ref", json!("db/d/users")),
                Warning,
                "/one/ref",
                "a reference is",
            ),
            (
                changed("ref", json!("#/relationship/x/d/users")),
                Warning,
                "/one/ref",
                "no data source",
            ),
            (
                changed("ref", json!("#/relationship/db/d/none")),
                Warning,
                "/one/ref",
                "has no schema",
            ),
            (
                of("one", "none", false),
                Warning,
                "/one/foreign_key",
                "has no field 'none'",
            ),
            (
                of("gone", "_id", false),
                Warning,
                "/gone",
                "has no field 'gone'",
            ),
            (of("must", "_id", false), Warning, "/must", "is required"),
            (of("_id", "_id", false), Warning, "/_id", "'_id' cannot"),
            (
                of("text", "_id", false),
                Warning,
                "/text/foreign_key",
                "they never match",
            ),
            (
                of("many", "name", true),
                Warning,
                "/many/foreign_key",
                "they never match",
            ),
            (of("one", "_id", true), Warning, "/one/is_list", "no array"),
            (
                of("many", "_id", false),
                Warning,
                "/many/foreign_key",
                "they never match",
            ),
        ] {
            let found = told(&wrong);
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
            assert_eq!((found[0].0, &*found[0].1), (severity, pointer), "{wrong}");
            assert!(found[0].2.contains(text), "{wrong}: {found:?}");
        }
    }
}
