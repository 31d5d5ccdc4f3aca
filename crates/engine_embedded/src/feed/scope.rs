//! Which events are a feed's, and which end it.

use bson::RawDocument;
use engine::{CommandError, WatchRequest};

/// Databases whose changes are nobody's business.
const INTERNAL: &[&str] = &["admin", "config", "local"];
/// Kinds that only those see who ask for more.
const EXPANDED: &[&str] = &["create", "createIndexes", "dropIndexes", "modify"];

pub(super) struct Scope {
    database: Option<String>,
    collection: Option<String>,
    pub(super) expanded: bool,
}

impl Scope {
    pub(super) fn of(request: &WatchRequest) -> Result<Self, CommandError> {
        let refused = |what: String| {
            Err(CommandError::new(
                73,
                format!("$changeStream may not be opened on the internal {what}"),
            ))
        };
        let database = request.database.as_deref().unwrap_or_default();
        if INTERNAL.contains(&database) {
            return refused(format!("{database} database"));
        }
        if let Some(name) = &request.collection
            && name.starts_with("system.")
        {
            return refused(format!("{database}.{name} collection"));
        }
        Ok(Self {
            database: request.database.clone(),
            collection: request.collection.clone(),
            expanded: request.show_expanded_events,
        })
    }

    /// Whether an event is told.
    pub(super) fn has(&self, event: &RawDocument) -> bool {
        let kind = event.get_str("operationType").unwrap_or_default();
        if !self.expanded && EXPANDED.contains(&kind) {
            return false;
        }
        self.names(event, "ns") || (kind == "rename" && self.names(event, "to"))
    }

    /// Whether an event is the feed's last.
    pub(super) fn ends_with(&self, event: &RawDocument) -> bool {
        match event.get_str("operationType").unwrap_or_default() {
            "drop" | "rename" => self.collection.is_some() && self.has(event),
            "dropDatabase" => self.database.is_some() && self.has(event),
            _ => false,
        }
    }

    fn names(&self, event: &RawDocument, field: &str) -> bool {
        let Ok(namespace) = event.get_document(field) else {
            return false;
        };
        let database = namespace.get_str("db").unwrap_or_default();
        let collection = namespace.get_str("coll").ok();
        let wanted = |want: &Option<String>, found: Option<&str>| {
            want.as_deref().is_none_or(|want| Some(want) == found)
        };
        !INTERNAL.contains(&database)
            && !collection.is_some_and(|name| name.starts_with("system."))
            && wanted(&self.database, Some(database))
            && wanted(&self.collection, collection)
    }
}

/// MongoDB's name of a stage that a feed's pipeline may not have.
pub(super) fn forbidden_stage(name: &str) -> Option<&str> {
    match name {
        "$count" | "$sortByCount" | "$bucket" => Some("$group"),
        "$setWindowFields" => Some("$_internalSetWindowFields"),
        "$densify" => Some("$sort"),
        "$group" | "$sort" | "$limit" | "$skip" | "$unwind" | "$lookup" | "$out" | "$merge"
        | "$facet" | "$sample" | "$bucketAuto" | "$graphLookup" | "$unionWith" | "$documents"
        | "$collStats" | "$indexStats" => Some(name),
        _ => None,
    }
}
