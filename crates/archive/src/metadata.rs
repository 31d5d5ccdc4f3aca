//! What a dump says of a collection beside its documents: mongodump's
//! `metadata.json`.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocumentBuf, doc};

use crate::ArchiveError;

/// A collection or view without its documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) view: bool,
    /// As `create` takes them.
    pub(crate) options: Document,
    /// As `listIndexes` gives them.
    pub(crate) indexes: Vec<Document>,
    /// Hex digits.
    pub(crate) uuid: Option<String>,
}

impl Metadata {
    /// The file's text.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut document = Document::new();
        if !self.options.is_empty() {
            document.insert("options", self.options.clone());
        }
        document.insert(
            "indexes",
            self.indexes
                .iter()
                .cloned()
                .map(Bson::from)
                .collect::<Vec<_>>(),
        );
        if let Some(uuid) = &self.uuid {
            document.insert("uuid", uuid);
        }
        document.insert("collectionName", &self.name);
        document.insert("type", if self.view { "view" } else { "collection" });
        let raw = RawDocumentBuf::try_from(&document)
            .map_err(|error| ArchiveError::Refused(format!("{}: {error}", self.name)))?;
        let mut out = Vec::new();
        kit::ejson::canonical(RawBsonRef::Document(&raw), &mut out);
        Ok(out)
    }

    /// Reads a file's text; `name` is what its name says.
    pub(crate) fn from_json(file: &str, name: &str, text: &[u8]) -> Result<Self, ArchiveError> {
        let wrong = |what: String| ArchiveError::Line {
            file: file.to_owned(),
            line: 1,
            what,
        };
        let document = kit::ejson::parse_document(text).map_err(|error| ArchiveError::Line {
            file: file.to_owned(),
            line: error.line as u64,
            what: error.message.clone(),
        })?;
        let mut options = match document.get("options") {
            None | Some(Bson::Null) => Document::new(),
            Some(Bson::Document(options)) => options.clone(),
            Some(_) => return Err(wrong("'options' is no object".to_owned())),
        };
        // Old dumps repeat these.
        for known in ["create", "uuid", "autoIndexId", "idIndex"] {
            options.remove(known);
        }
        let indexes = match document.get("indexes") {
            None | Some(Bson::Null) => Vec::new(),
            Some(Bson::Array(indexes)) => indexes
                .iter()
                .map(|index| index.as_document().cloned())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong("an index is no object".to_owned()))?,
            Some(_) => return Err(wrong("'indexes' is no list".to_owned())),
        };
        let view = document.get_str("type").is_ok_and(|kind| kind == "view")
            || options.contains_key("viewOn");
        Ok(Self {
            name: document
                .get_str("collectionName")
                .unwrap_or(name)
                .to_owned(),
            view,
            options,
            indexes,
            uuid: document.get_str("uuid").ok().map(str::to_owned),
        })
    }

    /// The command that makes an index of the collection.
    pub(crate) fn create_index(&self, index: &Document) -> Document {
        let mut index = index.clone();
        for gone in ["ns", "background", "safe"] {
            index.remove(gone);
        }
        // One without a collation has none, also where the collection's own is
        // what it would get.
        if self.options.contains_key("collation") && !index.contains_key("collation") {
            index.insert("collation", doc! { "locale": "simple" });
        }
        doc! { "createIndexes": &self.name, "indexes": [index] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_comes_back_and_old_forms_are_read() {
        let metadata = Metadata {
            name: "c".to_owned(),
            view: false,
            options: doc! { "capped": true, "size": 4096i64 },
            indexes: vec![doc! { "v": 2, "key": { "a": -1.0 }, "name": "a_-1" }],
            uuid: Some("00".repeat(16)),
        };
        let text = metadata.to_json().unwrap();
        assert_eq!(
            String::from_utf8(text.clone()).unwrap(),
            format!(
                r#"{{"options":{{"capped":true,"size":{{"$numberLong":"4096"}}}},"indexes":[{{"v":{{"$numberInt":"2"}},"key":{{"a":{{"$numberDouble":"-1.0"}}}},"name":"a_-1"}}],"uuid":"{}","collectionName":"c","type":"collection"}}"#,
                "00".repeat(16)
            )
        );
        assert_eq!(Metadata::from_json("f", "other", &text).unwrap(), metadata);
        let old = br#"{"options":{"create":"c"},"indexes":[{"v":1,"key":{"_id":1},"ns":"d.c","name":"_id_"}]}"#;
        let old = Metadata::from_json("f", "c", old).unwrap();
        assert!(old.options.is_empty() && old.name == "c");
        assert!(
            !old.create_index(&old.indexes[0])
                .to_string()
                .contains("ns\"")
        );
    }

    #[test]
    fn wrong_texts_say_what_is_wrong() {
        for (text, line) in [
            ("{\n\"indexes\": }", 2),
            (r#"{"indexes": 3}"#, 1),
            ("[]", 1),
        ] {
            match Metadata::from_json("f", "c", text.as_bytes()) {
                Err(ArchiveError::Line { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
