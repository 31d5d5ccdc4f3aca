//! A schema of documents that were seen: each field with every type that it
//! had (rules-schemas.md §15).

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Bson, Document, RawDocument, doc};

use crate::matcher::type_name;

/// Fields of one schema; those that are seen later are left out.
const FIELDS_MAX: usize = 10_000;
/// Levels of one schema; what is deeper is an object or array of anything.
const DEPTH_MAX: usize = 50;

/// What was seen of documents.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    root: Seen,
    fields: usize,
}

/// What was seen in one place.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Names of types, in the order in which they were seen.
    types: Vec<&'static str>,
    /// Whether there was null: no type to expect by itself, since it says that
    /// there was nothing.
    null: bool,
    /// Of objects: fields in the order in which they were seen.
    fields: Vec<(String, Seen)>,
    /// Where each of them is.
    places: HashMap<String, usize>,
    /// Of arrays.
    items: Option<Box<Seen>>,
}

impl Observed {
    /// Adds a document.
    pub fn add(&mut self, document: &RawDocument) {
        let root = RawBsonRef::Document(document);
        self.root.add(root, 0, &mut self.fields);
    }

    /// The schema, `title` being what one document is called. Only `_id` is
    /// required: a field that all had may be missing in the next.
    pub fn schema(&self, title: &str) -> Document {
        let mut schema = doc! { "title": title, "bsonType": "object" };
        let has_id = self.root.fields.iter().any(|(name, _)| name == "_id");
        if has_id {
            schema.insert("required", vec!["_id"]);
        }
        schema.insert("properties", self.root.properties());
        schema
    }
}

impl Seen {
    fn add(&mut self, value: RawBsonRef<'_>, depth: usize, fields: &mut usize) {
        let Some(name) = name(value) else {
            self.null = true;
            return;
        };
        if !self.types.contains(&name) {
            self.types.push(name);
        }
        if depth >= DEPTH_MAX {
            return;
        }
        match value {
            RawBsonRef::Document(document) => {
                for (name, value) in document.iter().flatten() {
                    if let Some(seen) = self.field(name.as_str(), fields) {
                        seen.add(value, depth + 1, fields);
                    }
                }
            }
            RawBsonRef::Array(array) => {
                let items = self.items.get_or_insert_default();
                for value in array.into_iter().flatten() {
                    items.add(value, depth + 1, fields);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, name: &str, count: &mut usize) -> Option<&mut Self> {
        let at = match self.places.get(name) {
            Some(at) => *at,
            None if *count >= FIELDS_MAX => return None,
            None => {
                *count += 1;
                self.fields.push((name.to_owned(), Self::default()));
                self.places.insert(name.to_owned(), self.fields.len() - 1);
                self.fields.len() - 1
            }
        };
        self.fields.get_mut(at).map(|(_, seen)| seen)
    }

    /// The schemas of fields that were ever something.
    fn properties(&self) -> Document {
        let fields = self.fields.iter();
        fields
            .filter_map(|(name, seen)| Some((name.clone(), Bson::Document(seen.schema()?))))
            .collect()
    }

    fn schema(&self) -> Option<Document> {
        let mut types = self.types.clone();
        if types.is_empty() {
            return None;
        }
        if self.null {
            types.push("null");
        }
        let types: Bson = match types.as_slice() {
            [one] => (*one).into(),
            // It takes the others in.
            many if many.contains(&"mixed") => "mixed".into(),
            many => many.to_vec().into(),
        };
        let mut schema = doc! { "bsonType": types };
        if !self.fields.is_empty() {
            schema.insert("properties", self.properties());
        }
        if let Some(items) = self.items.as_ref().and_then(|items| items.schema()) {
            schema.insert("items", items);
        }
        Some(schema)
    }
}

/// What schemas call a value's type; none for null.
fn name(value: RawBsonRef<'_>) -> Option<&'static str> {
    match value {
        RawBsonRef::Null => None,
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => Some("uuid"),
        RawBsonRef::JavaScriptCodeWithScope(_) => Some("javascript"),
        // The service's schemas have no names for these.
        RawBsonRef::Undefined | RawBsonRef::DbPointer(_) => Some("mixed"),
        value => Some(type_name(value)),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, RawDocumentBuf, Uuid, bson, doc};

    use super::{FIELDS_MAX, Observed};

    fn schema(documents: &[Document]) -> Document {
        let mut observed = Observed::default();
        for document in documents {
            observed.add(&RawDocumentBuf::try_from(document).unwrap());
        }
        observed.schema("thing")
    }

    #[test]
    fn every_type_of_every_field_is_in_the_schema() {
        let found = schema(&[
            doc! { "_id": 1, "name": "a", "at": { "x": 1.5 }, "tags": ["a", 5], "gone": null },
            doc! { "_id": 2_i64, "name": null, "at": { "y": true }, "tags": [],
            "more": [{ "a": 1 }, { "b": [[Uuid::new()]] }] },
        ]);
        let wanted = bson!({
            "title": "thing", "bsonType": "object", "required": ["_id"],
            "properties": {
                "_id": { "bsonType": ["int", "long"] },
                "name": { "bsonType": ["string", "null"] },
                "at": { "bsonType": "object", "properties": {
                    "x": { "bsonType": "double" }, "y": { "bsonType": "bool" },
                } },
                "tags": { "bsonType": "array", "items": { "bsonType": ["string", "int"] } },
                "more": { "bsonType": "array", "items": { "bsonType": "object", "properties": {
                    "a": { "bsonType": "int" },
                    "b": { "bsonType": "array", "items": {
                        "bsonType": "array", "items": { "bsonType": "uuid" },
                    } },
                } } },
            },
        });
        assert_eq!(Bson::Document(found), wanted);
    }

    #[test]
    fn documents_satisfy_their_own_schema() {
        let documents = [
            doc! { "_id": 1, "list": [1, "x", [2.5]], "deep": { "er": { "est": Bson::MaxKey } } },
            doc! { "_id": "x", "list": 5, "deep": [1_i64] },
        ];
        let schema = crate::schema::Schema::parse(&schema(&documents)).unwrap();
        for document in documents {
            let document = RawDocumentBuf::try_from(&document).unwrap();
            assert_eq!(
                schema.violations(&document, crate::schema::Options::default()),
                []
            );
        }
    }

    #[test]
    fn a_schema_does_not_grow_without_end() {
        let wide: Document = (0..FIELDS_MAX + 10)
            .map(|n| (n.to_string(), Bson::Int32(1)))
            .collect();
        let found = schema(&[wide]);
        assert_eq!(found.get_document("properties").unwrap().len(), FIELDS_MAX);
        let deep = (0..180).fold(doc! { "x": 1 }, |inner, _| doc! { "a": inner });
        let text = schema(&[deep]).to_string();
        assert_eq!(text.matches("properties").count(), super::DEPTH_MAX);
        assert_eq!(
            schema(&[]),
            doc! { "title": "thing", "bsonType": "object", "properties": {} }
        );
    }
}
