//! One index: its specification, checked as MongoDB checks it.

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::CommandError;
use mql::matcher::{Node, Test};
use mql::path::Path;
use mql::{Collation, Matcher};

use crate::text::shown;

/// Fields of a compound index at most.
const FIELDS_MAX: usize = 32;
/// Seconds that a document may outlive its date at most.
const EXPIRE_AFTER_S_MAX: i64 = 0x7fff_ffff;
/// Options that are kept out of what `createIndexes` takes, or say nothing.
const IGNORED: &[&str] = &["background", "ns", "dropDups"];
/// Options of other kinds of indexes.
const UNSUPPORTED: &[&str] = &[
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
    "bucketSize",
    "wildcardProjection",
    "storageEngine",
    "clustered",
    "prepareUnique",
];

fn is_option(name: &str) -> bool {
    const OWN: &[&str] = &[
        "key",
        "name",
        "v",
        "unique",
        "sparse",
        "hidden",
        "partialFilterExpression",
        "expireAfterSeconds",
        "collation",
    ];
    [OWN, IGNORED, UNSUPPORTED]
        .iter()
        .any(|known| known.contains(&name))
}

/// An index.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "MongoDB's own options")]
pub(crate) struct Index {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// The key as it was given.
    pub(crate) key: Document,
    /// The paths, each with whether it is descending.
    pub(crate) fields: Vec<(Path, bool)>,
    pub(crate) version: i32,
    pub(crate) unique: bool,
    pub(crate) sparse: bool,
    /// The planner does not see it; it is kept up to date all the same.
    pub(crate) hidden: bool,
    pub(crate) partial: Option<(Document, Matcher)>,
    /// How its strings are ordered; `None` is by their bytes.
    pub(crate) collation: Option<Collation>,
    /// Documents go when the date at the key is this many seconds old.
    pub(crate) expire_after_s: Option<i64>,
    /// For each field, the bits of the names on its path at which some document
    /// has had an array.
    pub(crate) multikey: Vec<u32>,
    /// Being filled: writes keep it up to date, reads do not use it.
    pub(crate) building: bool,
}

impl Index {
    /// Reads a specification as `createIndexes` takes it. `default` is the
    /// collection's collation.
    ///
    /// # Errors
    /// MongoDB's for what is wrong with it; 67 too for kinds of index that the
    /// embedded engine does not have.
    pub(crate) fn parse(
        id: u32,
        specification: &Document,
        default: Option<&Collation>,
    ) -> Result<Self, CommandError> {
        let mut index = Self::read(id, specification, default).map_err(|mut error| {
            error.message = format!(
                "Error in specification {} :: caused by :: {}",
                shown(specification),
                error.message
            );
            error
        })?;
        index.check(specification)?;
        if let Some(seconds) = specification.get("expireAfterSeconds") {
            index.expire_after_s =
                Some(expire_after(seconds).map_err(|text| {
                    cannot(format!("{text}. Index spec: {}", shown(specification)))
                })?);
        }
        Ok(index)
    }

    fn read(
        id: u32,
        specification: &Document,
        default: Option<&Collation>,
    ) -> Result<Self, CommandError> {
        let required = |field: &str| {
            let text =
                format!("The '{field}' field is a required property of an index specification");
            CommandError::new(9, text)
        };
        // Names that are not known come before all that is wrong with the others.
        if let Some(odd) = specification.keys().find(|option| !is_option(option)) {
            return Err(CommandError::new(
                197,
                format!(
                    "The field '{odd}' is not valid for an index specification. Specification: {}",
                    shown(specification)
                ),
            ));
        }
        let key = match specification.get("key") {
            Some(Bson::Document(key)) => key,
            Some(other) => return Err(mistyped("key", "an object", other)),
            None => return Err(required("key")),
        };
        let fields = fields(key)?;
        let name = match specification.get("name") {
            Some(Bson::String(name)) => name.clone(),
            Some(other) => return Err(mistyped("name", "a string", other)),
            None => return Err(required("name")),
        };
        let mut index = Self {
            id,
            multikey: vec![0; fields.len()],
            name,
            key: key.clone(),
            fields,
            version: 2,
            unique: false,
            sparse: false,
            hidden: false,
            partial: None,
            collation: default.cloned(),
            expire_after_s: None,
            building: false,
        };
        for (option, value) in specification {
            index.option(option, value, specification)?;
        }
        let collation = index.collation.as_ref();
        index.partial = index
            .partial
            .map(|(filter, matcher)| (filter, matcher.collated(collation)));
        if index.name.is_empty() {
            return Err(cannot("index name cannot be empty"));
        }
        if index.name.contains('\0') {
            return Err(cannot("index name cannot contain NUL bytes"));
        }
        if index.partial.is_some() && index.sparse {
            return Err(cannot(
                "cannot mix \"partialFilterExpression\" and \"sparse\" options",
            ));
        }
        Ok(index)
    }

    fn option(
        &mut self,
        option: &str,
        value: &Bson,
        specification: &Document,
    ) -> Result<(), CommandError> {
        match option {
            "key" | "name" => {}
            "v" => {
                self.version = match value {
                    Bson::Int32(n @ (1 | 2)) => *n,
                    Bson::Int64(n @ (1 | 2)) => *n as i32,
                    Bson::Double(n) if *n == 1.0 || *n == 2.0 => *n as i32,
                    Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => {
                        return Err(cannot(format!(
                            "Invalid index specification {}; cannot create an index with v={value}",
                            shown(specification)
                        )));
                    }
                    other => return Err(mistyped("v", "a number", other)),
                };
            }
            "unique" => self.unique = truth(option, value)?,
            "sparse" => self.sparse = truth(option, value)?,
            "hidden" => match value {
                Bson::Boolean(hidden) => self.hidden = *hidden,
                other => return Err(mistyped("hidden", "a bool", other)),
            },
            "partialFilterExpression" => {
                let Bson::Document(filter) = value else {
                    return Err(mistyped(option, "an object", value));
                };
                let raw = RawDocumentBuf::try_from(filter)?;
                let matcher = Matcher::parse(&raw).map_err(crate::mql)?;
                check_partial(matcher.root())?;
                self.partial = Some((filter.clone(), matcher));
            }
            "expireAfterSeconds" => {}
            ignored if IGNORED.contains(&ignored) => {}
            unsupported if UNSUPPORTED.contains(&unsupported) => {
                return Err(cannot(format!(
                    "the index option '{option}' is not supported by the embedded engine"
                )));
            }
            "collation" => {
                let Bson::Document(given) = value else {
                    return Err(mistyped(option, "an object", value));
                };
                let given = RawDocumentBuf::try_from(given)?;
                if given.is_empty() {
                    return Err(CommandError::bad_value(
                        "The field 'collation' cannot be an empty object.",
                    ));
                }
                self.collation = Collation::parse(&given).map_err(crate::mql)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What options may not stand together.
    fn check(&self, specification: &Document) -> Result<(), CommandError> {
        if self.name == "*" {
            return Err(CommandError::new(
                2,
                "The index name '*' is not valid.".to_owned(),
            ));
        }
        let on_id = is_of_id(&self.key);
        if on_id && !self.is_on_id() {
            return Err(CommandError::new(
                2,
                format!(
                    "The field 'key' for an _id index must be {{_id: 1}}, but got {}",
                    shown(&self.key)
                ),
            ));
        }
        if on_id {
            let odd = specification.keys().find(|option| {
                !matches!(option.as_str(), "key" | "name" | "v" | "collation")
                    && !IGNORED.contains(&option.as_str())
            });
            if let Some(odd) = odd {
                return Err(CommandError::new(
                    197,
                    format!(
                        "The field '{odd}' is not valid for an _id index specification. Specification: {}",
                        shown(specification)
                    ),
                ));
            }
        } else if self.name == "_id_" {
            return Err(CommandError::new(
                2,
                format!(
                    "The index name '_id_' is reserved for the _id index, which must have key pattern {{_id: 1}}, found key: {}",
                    shown(&self.key)
                ),
            ));
        }
        if specification.contains_key("expireAfterSeconds") && self.fields.len() > 1 {
            return Err(CommandError::new(
                67,
                format!(
                    "TTL indexes are single-field indexes, compound indexes do not support TTL. Index spec: {}",
                    shown(specification)
                ),
            ));
        }
        Ok(())
    }

    /// The index on `_id` that every collection has.
    pub(crate) fn of_id(id: u32, collation: Option<Collation>) -> Self {
        Self {
            id,
            name: "_id_".to_owned(),
            key: doc! { "_id": 1 },
            fields: vec![(Path::new("_id"), false)],
            version: 2,
            unique: true,
            sparse: false,
            hidden: false,
            partial: None,
            collation,
            expire_after_s: None,
            multikey: vec![0],
            building: false,
        }
    }

    pub(crate) fn is_id(&self) -> bool {
        self.name == "_id_"
    }

    /// Whether it is on `{_id: 1}`, whatever its name.
    pub(crate) fn is_on_id(&self) -> bool {
        same_keys(&self.key, &doc! { "_id": 1 })
    }

    /// Whether keys and what tells two indexes on them apart are the same.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let partial = |index: &Self| index.partial.as_ref().map(|(filter, _)| filter.to_string());
        same_keys(&self.key, &other.key)
            && self.unique == other.unique
            && self.sparse == other.sparse
            && self.collation == other.collation
            && partial(self) == partial(other)
    }

    /// What `listIndexes` says.
    pub(crate) fn describe(&self) -> Document {
        let mut document = doc! { "v": self.version, "key": self.key.clone(), "name": &self.name };
        if self.hidden {
            document.insert("hidden", true);
        }
        if self.unique && !self.is_id() {
            document.insert("unique", true);
        }
        if self.sparse {
            document.insert("sparse", true);
        }
        if let Some((filter, _)) = &self.partial {
            document.insert("partialFilterExpression", filter.clone());
        }
        if let Some(collation) = &self.collation {
            document.insert("collation", collation.specification().clone());
        }
        if let Some(seconds) = self.expire_after_s {
            let seconds = i32::try_from(seconds).map_or(Bson::Int64(seconds), Bson::Int32);
            document.insert("expireAfterSeconds", seconds);
        }
        document
    }

    pub(super) fn to_document(&self) -> Document {
        let multikey: Vec<Bson> = self
            .multikey
            .iter()
            .map(|bits| Bson::Int64(i64::from(*bits)))
            .collect();
        doc! {
            "spec": self.describe(), "id": i64::from(self.id), "multikey": multikey,
            "building": self.building,
        }
    }

    pub(super) fn from_document(document: &Document) -> Option<Self> {
        let id = u32::try_from(document.get_i64("id").ok()?).ok()?;
        // An older entry is the specification itself.
        let specification = document.get_document("spec").cloned().unwrap_or_else(|_| {
            let mut old = document.clone();
            old.remove("id");
            old
        });
        if specification.get_str("name").ok()? == "_id_" {
            let collation = match specification.get_document("collation") {
                Ok(found) => Collation::parse(&RawDocumentBuf::try_from(found).ok()?).ok()?,
                Err(_) => None,
            };
            return Some(Self::of_id(id, collation));
        }
        let mut index = Self::parse(id, &specification, None).ok()?;
        index.building = document.get_bool("building").unwrap_or(false);
        index.multikey = match document.get_array("multikey") {
            Ok(bits) => bits
                .iter()
                .map(|bits| u32::try_from(bits.as_i64()?).ok())
                .collect::<Option<_>>()?,
            // Not known: as if there were arrays everywhere.
            Err(_) => vec![u32::MAX; index.fields.len()],
        };
        (index.multikey.len() == index.fields.len()).then_some(index)
    }
}

fn cannot(text: impl Into<String>) -> CommandError {
    CommandError::new(67, text)
}

fn mistyped(field: &str, wanted: &str, value: &Bson) -> CommandError {
    CommandError::new(
        14,
        format!(
            "The field '{field}' must be {wanted}, but got {}",
            mql::owned_type_name(value)
        ),
    )
}

fn truth(option: &str, value: &Bson) -> Result<bool, CommandError> {
    Ok(match value {
        Bson::Boolean(value) => *value,
        Bson::Int32(n) => *n != 0,
        Bson::Int64(n) => *n != 0,
        Bson::Double(n) => *n != 0.0,
        Bson::Decimal128(_) => mql::compare_bson(value, &Bson::Int32(0)).is_ne(),
        other => {
            return Err(CommandError::new(
                14,
                format!(
                    "The field '{option} has value {option}: {}, which is not convertible to bool",
                    crate::text::value_shown(other)
                ),
            ));
        }
    })
}

/// Whether two keys are equal; 1 and 1.0 are the same direction.
pub(crate) fn same_keys(a: &Document, b: &Document) -> bool {
    let same = |((path, of_a), (other, of_b)): ((&String, &Bson), (&String, &Bson))| {
        path == other && mql::compare_bson(of_a, of_b).is_eq()
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Whether MongoDB takes a key for that of the index on `_id`: it makes a whole
/// number of the direction, a double's by cutting it, a decimal's by rounding.
fn is_of_id(key: &Document) -> bool {
    let mut fields = key.iter();
    let (Some((path, direction)), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let whole = match direction {
        Bson::Int32(n) => f64::from(*n),
        Bson::Int64(n) => *n as f64,
        Bson::Double(n) => n.trunc(),
        Bson::Decimal128(n) => mql::decimal::to_double(*n).round_ties_even(),
        _ => return false,
    };
    path == "_id" && whole.abs() == 1.0
}

/// Whether a direction is none: zero, or no number.
fn is_nothing(direction: f64) -> bool {
    direction == 0.0 || direction.is_nan()
}

fn fields(key: &Document) -> Result<Vec<(Path, bool)>, CommandError> {
    if key.is_empty() {
        return Err(cannot("Index keys cannot be empty."));
    }
    if key.len() > FIELDS_MAX {
        return Err(CommandError::new(13103, "too many compound keys"));
    }
    let mut fields = Vec::with_capacity(key.len());
    for (path, direction) in key {
        let descending = match direction {
            Bson::Int32(n) if *n != 0 => *n < 0,
            Bson::Int64(n) if *n != 0 => *n < 0,
            Bson::Double(n) if !is_nothing(*n) => *n < 0.0,
            Bson::Decimal128(n) if !is_nothing(mql::decimal::to_double(*n)) => {
                mql::decimal::to_double(*n) < 0.0
            }
            Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => {
                return Err(cannot("Values in the index key pattern cannot be 0."));
            }
            Bson::String(kind) if kind.is_empty() => {
                return Err(cannot(
                    "Values in the index key pattern cannot be empty strings",
                ));
            }
            Bson::String(kind)
                if matches!(kind.as_str(), "text" | "2dsphere" | "2d" | "hashed") =>
            {
                return Err(cannot(format!(
                    "{kind} indexes are not supported by the embedded engine"
                )));
            }
            Bson::String(kind) => {
                return Err(cannot(format!("Unknown index plugin '{kind}'")));
            }
            other => {
                return Err(cannot(format!(
                    "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings are allowed.",
                    mql::owned_type_name(other)
                )));
            }
        };
        check_path(path)?;
        fields.push((Path::new(path), descending));
    }
    Ok(fields)
}

fn check_path(path: &str) -> Result<(), CommandError> {
    if path.is_empty() {
        return Err(cannot("Index keys cannot be an empty field."));
    }
    if path == "$**" || path.ends_with(".$**") {
        return Err(cannot(
            "wildcard indexes are not supported by the embedded engine",
        ));
    }
    for (at, part) in path.split('.').enumerate() {
        if part.is_empty() {
            return Err(cannot("Index keys cannot contain an empty field."));
        }
        // References have names with a dollar.
        let reference = at > 0 && matches!(part, "$id" | "$db" | "$ref");
        if part.starts_with('$') && !reference {
            return Err(cannot(
                "Index key contains an illegal field name: field name starts with '$'.",
            ));
        }
    }
    mql::depth::check_path(path).map_err(crate::mql)
}

/// The seconds of an `expireAfterSeconds`, or what is wrong with it.
pub(crate) fn expire_after(value: &Bson) -> Result<i64, String> {
    let wrong = |text: &str| Err(format!("TTL index 'expireAfterSeconds' option {text}"));
    let seconds = match value {
        Bson::Int32(n) => i64::from(*n),
        Bson::Int64(n) => *n,
        Bson::Double(n) => *n as i64,
        other => {
            return wrong(&format!(
                "must be numeric, but received a type of '{}'",
                mql::owned_type_name(other)
            ));
        }
    };
    if seconds < 0 {
        return wrong("cannot be less than 0");
    }
    if seconds > EXPIRE_AFTER_S_MAX {
        return wrong("must be within an acceptable range, try a lower number");
    }
    Ok(seconds)
}

/// What a partial index may be limited by.
fn check_partial(node: &Node) -> Result<(), CommandError> {
    let refused = |what: &str| {
        Err(cannot(format!(
            "Expression not supported in partial index: {what}"
        )))
    };
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().try_for_each(check_partial),
        Node::Field(_, test) => check_partial_test(test),
        Node::Expr(_) => Err(CommandError::new(
            224,
            "$expr is not allowed in this context",
        )),
        Node::Nor(_) => refused("$nor"),
        Node::Schema(_) => Err(CommandError::new(
            224,
            "$jsonSchema is not allowed in this context",
        )),
        Node::Never => refused("$alwaysFalse"),
    }
}

fn check_partial_test(test: &Test) -> Result<(), CommandError> {
    let what = match test {
        Test::Compare(..) | Test::Exists | Test::Type(_) => return Ok(()),
        Test::In(_, regexes) if regexes.is_empty() => return Ok(()),
        Test::All(tests) => return tests.iter().try_for_each(check_partial_test),
        Test::Not(_) => "$not",
        Test::In(..) | Test::Regex(_) => "$regex",
        Test::ElementMatches(_) | Test::ElementPasses(_) => "$elemMatch",
        Test::Size(_) => "$size",
        Test::Mod(..) => "$mod",
        Test::Bits { .. } => "$bits",
    };
    Err(cannot(format!(
        "Expression not supported in partial index: {what}"
    )))
}
