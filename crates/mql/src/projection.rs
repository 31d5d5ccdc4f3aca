//! Projections: inclusion, exclusion, positional, `$slice`, `$elemMatch` and
//! computed fields (embedded-engine.md C.7).

use bson::raw::{CStr, RawBsonRef};
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use crate::collation::Collation;
use crate::error::{MqlError, Result, guard};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::{self, Matcher, malformed, truthy};
use crate::order::into_raw;

/// A parsed projection.
#[derive(Debug, Clone)]
pub struct Projection {
    fields: Vec<(String, Field)>,
    inclusive: bool,
    id: bool,
    /// The path of `path.$`.
    positional: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
enum Field {
    Include,
    Exclude,
    Slice(i64, Option<i64>),
    ElementMatch(Matcher),
    Computed(Expression),
    Tree(Vec<(String, Field)>),
}

impl Projection {
    /// Parses a projection as `find` takes it.
    ///
    /// # Errors
    /// MongoDB's: 31253/31254 for mixed inclusion and exclusion, 31249/31250
    /// for colliding paths, 40352/40353 for empty path parts.
    pub fn parse(specification: &RawDocument) -> Result<Self> {
        Self::parse_with(specification, None, &Variables::default())
    }

    /// Parses a projection whose strings compare by a collation, and whose
    /// expressions see variables.
    ///
    /// # Errors
    /// Those of [`Projection::parse`]; 17276 for a variable that is not there.
    pub fn parse_with(
        specification: &RawDocument,
        collation: Option<&Collation>,
        variables: &Variables,
    ) -> Result<Self> {
        let mut projection = Self::parse_open(specification)?;
        projection.bind(variables)?;
        collate(&mut projection.fields, collation);
        Ok(projection)
    }

    /// Parses a projection whose variables are put in by [`Projection::bind`].
    ///
    /// # Errors
    /// Those of [`Projection::parse`], but for unknown variables.
    pub fn parse_open(specification: &RawDocument) -> Result<Self> {
        Self::with(specification, true)
    }

    /// Puts the variables from outside into its expressions.
    ///
    /// # Errors
    /// 17276 for one that is not there.
    pub fn bind(&mut self, variables: &Variables) -> Result<()> {
        each_expression(&mut self.fields, &mut |e| e.bind(variables))
    }

    /// Whether it leaves alone what is at a path.
    pub(crate) fn keeps(&self, path: &[&str]) -> bool {
        let Some((first, _)) = path.split_first() else {
            return false;
        };
        let found = self.fields.iter().find(|(name, _)| name == first);
        match found {
            Some((_, field)) => matches!(field, Field::Include),
            None if *first == "_id" => self.id,
            None => !self.inclusive,
        }
    }

    /// The paths that it excludes, if it does nothing else.
    pub(crate) fn excluded(&self) -> Option<Vec<Vec<String>>> {
        fn walk(fields: &[(String, Field)], above: &[String], into: &mut Vec<Vec<String>>) -> bool {
            fields.iter().all(|(name, field)| {
                let path = [above, std::slice::from_ref(name)].concat();
                match field {
                    Field::Exclude => into.push(path),
                    Field::Tree(inner) => return walk(inner, &path, into),
                    _ => return false,
                }
                true
            })
        }
        let mut paths = Vec::new();
        if !self.id {
            paths.push(vec!["_id".to_owned()]);
        }
        (!self.inclusive && walk(&self.fields, &[], &mut paths)).then_some(paths)
    }

    /// Parses a `$project` stage, whose variables are still open. Its numbers
    /// and booleans mean the same, but it has neither `$slice` by position nor
    /// `$elemMatch`.
    pub(crate) fn stage(specification: &RawDocument) -> Result<Self> {
        if specification.is_empty() {
            return Err(MqlError::new(
                51272,
                "Invalid $project :: caused by :: projection specification must have at least one field",
            ));
        }
        Self::with(specification, false)
    }

    fn with(specification: &RawDocument, find: bool) -> Result<Self> {
        crate::depth::check(specification)?;
        let mut parser = Parser {
            find,
            inclusive: None,
            id: None,
            seen: Seen::default(),
            positional: None,
        };
        let mut fields = Vec::new();
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            parser.field("", name.as_str(), value, &mut fields, 0)?;
        }
        // $slice and $elemMatch go with either; alone they decide.
        let inclusive = parser
            .inclusive
            .unwrap_or(parser.id == Some(true) || (parser.seen.element && !parser.seen.slice));
        Ok(Self {
            fields,
            inclusive,
            id: parser.id.unwrap_or(true),
            positional: parser.positional,
        })
    }

    /// Whether it has the positional operator.
    pub fn is_positional(&self) -> bool {
        self.positional.is_some()
    }

    /// Whether the projection changes nothing.
    pub fn is_identity(&self) -> bool {
        self.fields.is_empty() && !self.inclusive && self.id
    }

    /// Projects one document; `query` is what it was found by, for the
    /// positional operator.
    pub fn apply(&self, document: &RawDocument, query: Option<&Matcher>) -> Result<RawDocumentBuf> {
        let cx = Applying {
            inclusive: self.inclusive,
            scope: Scope::of(document),
        };
        let mut out = RawDocumentBuf::new();
        cx.document(Some(document), &self.fields, Some(self.id), &mut out)?;
        match (&self.positional, query) {
            (Some(path), Some(query)) => picked(&out, path, &|| position(query, document)),
            _ => Ok(out),
        }
    }
}

fn each_expression(
    fields: &mut [(String, Field)],
    visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
) -> Result<()> {
    for (_, field) in fields {
        match field {
            Field::Computed(expression) => visit(expression)?,
            Field::Tree(inner) => each_expression(inner, visit)?,
            _ => {}
        }
    }
    Ok(())
}

/// Has the conditions of `$elemMatch` compare by a collation.
fn collate(fields: &mut [(String, Field)], collation: Option<&Collation>) {
    for (_, field) in fields {
        match field {
            Field::ElementMatch(matcher) => {
                let own = std::mem::replace(matcher, Matcher::all());
                *matcher = own.collated(collation);
            }
            Field::Tree(inner) => collate(inner, collation),
            _ => {}
        }
    }
}

/// A projected document whose first array on a path has only the element at a
/// position, which is asked for where there is an array.
fn picked(
    document: &RawDocument,
    path: &[String],
    position: &dyn Fn() -> Result<usize>,
) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    let Some((first, rest)) = path.split_first() else {
        return Ok(document.to_owned());
    };
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        match value {
            RawBsonRef::Array(array) if name == first.as_str() => {
                let element = array.get(position()?).map_err(malformed)?;
                let element = element.ok_or_else(|| {
                    MqlError::new(
                        51247,
                        "Executor error during find command :: caused by :: positional operator \
                         '.$' element mismatch",
                    )
                })?;
                out.append(name, one(element));
            }
            RawBsonRef::Document(inner) if name == first.as_str() => {
                out.append(name, picked(inner, rest, position)?);
            }
            value => out.append(name, value),
        }
    }
    Ok(out)
}

/// The element that the query found.
fn position(query: &Matcher, document: &RawDocument) -> Result<usize> {
    query.position_as_written(document).ok_or_else(|| {
        MqlError::new(
            51246,
            "Executor error during find command :: caused by :: positional operator '.$' couldn't \
             find a matching element in the array",
        )
    })
}

fn has_computed(fields: &[(String, Field)]) -> bool {
    fields.iter().any(|(_, field)| match field {
        Field::Computed(_) => true,
        Field::Tree(inner) => has_computed(inner),
        _ => false,
    })
}

struct Parser {
    find: bool,
    inclusive: Option<bool>,
    id: Option<bool>,
    seen: Seen,
    positional: Option<Vec<String>>,
}

/// What a projection has had so far.
#[derive(Default)]
struct Seen {
    slice: bool,
    element: bool,
}

impl Parser {
    fn field(
        &mut self,
        prefix: &str,
        name: &str,
        value: RawBsonRef<'_>,
        fields: &mut Vec<(String, Field)>,
        depth: usize,
    ) -> Result<()> {
        guard(depth)?;
        let path = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        };
        let (name, positional) = match name.strip_suffix(".$") {
            Some(name) if self.find => (name, true),
            Some(_) => {
                return Err(MqlError::new(
                    31324,
                    "Cannot use positional projection in aggregation projection",
                ));
            }
            None => (name, false),
        };
        crate::depth::check_path(&path)?;
        match value {
            RawBsonRef::Document(inner) if inner.is_empty() => {}
            _ => _ = crate::path::Path::parse(name)?,
        }
        let field = match value {
            _ if positional => {
                self.check_positional(value)?;
                let whole = path.trim_end_matches(".$").split('.');
                self.positional = Some(whole.map(str::to_owned).collect());
                insert(fields, name, Field::Include, &path)?;
                return self.mode(&path, true);
            }
            RawBsonRef::Boolean(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => {
                let include = truthy(value);
                if path == "_id" {
                    self.id = Some(include);
                    return Ok(());
                }
                let field = if include {
                    Field::Include
                } else {
                    Field::Exclude
                };
                insert(fields, name, field, &path)?;
                return self.mode(&path, include);
            }
            RawBsonRef::Document(inner) => return self.nested(name, &path, inner, fields, depth),
            expression => Field::Computed(Expression::parse_open(expression)?),
        };
        insert(fields, name, field, &path)?;
        if self.inclusive == Some(false) {
            return Err(MqlError::new(
                31310,
                format!("Cannot use an expression {path} in an exclusion projection"),
            ));
        }
        self.mode(&path, true)
    }

    /// Refuses what `path.$` may not be.
    fn check_positional(&self, value: RawBsonRef<'_>) -> Result<()> {
        let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
        match value {
            RawBsonRef::Document(_) => refused(
                31271,
                "positional projection cannot be used with an expression or sub object",
            ),
            RawBsonRef::Boolean(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => {
                if !truthy(value) {
                    return refused(31395, "positional projection cannot be used with exclusion");
                }
                if self.seen.element {
                    return refused(31256, "Cannot specify positional operator and $elemMatch.");
                }
                if self.positional.is_some() {
                    return refused(
                        31276,
                        "Cannot specify more than one positional projection per query.",
                    );
                }
                Ok(())
            }
            _ => refused(31308, "positional projection cannot be used with a literal"),
        }
    }

    /// An operator of expressions, which only goes with inclusion: that is looked
    /// at before what is wrong with its operands.
    fn expression(
        &mut self,
        path: &str,
        operator: &str,
        expression: &RawDocument,
    ) -> Result<Field> {
        let parsed = Expression::parse_open(RawBsonRef::Document(expression));
        match &parsed {
            Err(error) if error.code == 168 && error.message.contains(&format!("'{operator}'")) => {
                return Err(MqlError::new(
                    31325,
                    format!("Unknown expression {operator}"),
                ));
            }
            _ if self.inclusive == Some(false) => {
                return Err(MqlError::new(
                    31252,
                    "Cannot use expression other than $meta in exclusion projection",
                ));
            }
            _ => {}
        }
        let field = Field::Computed(parsed?);
        self.mode(path, true)?;
        Ok(field)
    }

    fn nested(
        &mut self,
        name: &str,
        path: &str,
        inner: &RawDocument,
        fields: &mut Vec<(String, Field)>,
        depth: usize,
    ) -> Result<()> {
        let first = inner.iter().next().transpose().map_err(malformed)?;
        let Some((operator, operand)) = first else {
            return Err(empty_inside());
        };
        // An operator beside other fields is a field whose name is not valid.
        let alone = inner.iter().nth(1).is_none();
        let field = match operator.as_str() {
            text if text.starts_with('$') && !alone => {
                if matches!(operand, RawBsonRef::Document(operand) if operand.is_empty()) {
                    return Err(empty_inside());
                }
                crate::path::Path::parse(text)?;
                return Ok(());
            }
            "$slice" if self.find && !is_expression_slice(operand) => {
                let sliced = slice(operand).and_then(|field| insert(fields, name, field, path));
                if sliced.is_ok() {
                    self.seen.slice = true;
                    return Ok(());
                }
                // What has no place as a slice is read as an expression.
                self.expression(path, "$slice", inner)?
            }
            "$elemMatch" if self.find => {
                let RawBsonRef::Document(query) = operand else {
                    return Err(MqlError::new(
                        31274,
                        "elemMatch: Invalid argument, object required",
                    ));
                };
                if self.positional.is_some() {
                    return Err(MqlError::new(
                        31255,
                        "Cannot specify positional operator and $elemMatch.",
                    ));
                }
                if path.contains('.') {
                    return Err(MqlError::new(
                        31275,
                        "Cannot use $elemMatch projection on a nested field.",
                    ));
                }
                self.seen.element = true;
                let mut wrapped = RawDocumentBuf::new();
                let mut operators = RawDocumentBuf::new();
                operators.append(bson::cstr!("$elemMatch"), query.to_owned());
                wrapped.append(bson::cstr!("e"), operators);
                Field::ElementMatch(Matcher::parse(&wrapped)?)
            }
            text if text.starts_with('$') => self.expression(path, text, inner)?,
            _ => {
                for entry in inner {
                    let (inner_name, value) = entry.map_err(malformed)?;
                    if inner_name.as_str().is_empty() {
                        crate::path::Path::parse("")?;
                    }
                    let full = format!("{name}.{}", inner_name.as_str());
                    self.field("", &full, value, fields, depth + 1)?;
                }
                return Ok(());
            }
        };
        insert(fields, name, field, path)
    }

    fn mode(&mut self, path: &str, include: bool) -> Result<()> {
        match self.inclusive {
            Some(mode) if mode != include => Err(if mode {
                MqlError::new(
                    31254,
                    format!("Cannot do exclusion on field {path} in inclusion projection"),
                )
            } else {
                MqlError::new(
                    31253,
                    format!("Cannot do inclusion on field {path} in exclusion projection"),
                )
            }),
            _ => {
                self.inclusive = Some(include);
                Ok(())
            }
        }
    }
}

/// Whether a `$slice` is not one of `find`: a list that is not how many to skip and
/// how many to take.
fn is_expression_slice(operand: RawBsonRef<'_>) -> bool {
    let RawBsonRef::Array(array) = operand else {
        return false;
    };
    let elements: Vec<_> = array.into_iter().flatten().collect();
    match elements.as_slice() {
        [skip, take] => !matches!((whole(*skip), whole(*take)), (Some(_), Some(1..))),
        other => other.len() > 2,
    }
}

/// The whole part of a number.
fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n),
        RawBsonRef::Double(n) => Some(n as i64),
        RawBsonRef::Decimal128(n) => Some(crate::decimal::to_whole(n)),
        _ => None,
    }
}

fn empty_inside() -> MqlError {
    MqlError::new(
        51270,
        "An empty sub-projection is not a valid value. Found empty object at path",
    )
}

fn no_slice() -> MqlError {
    MqlError::new(
        28667,
        "Invalid $slice syntax. The given syntax did not match the find() syntax",
    )
}

fn slice(operand: RawBsonRef<'_>) -> Result<Field> {
    let number = |value: RawBsonRef<'_>| whole(value).ok_or_else(no_slice);
    match operand {
        RawBsonRef::Array(array) => {
            let numbers: Vec<i64> = array
                .into_iter()
                .map(|entry| number(entry.map_err(malformed)?))
                .collect::<Result<_>>()?;
            match numbers.as_slice() {
                [skip, limit] => Ok(Field::Slice(*skip, Some(*limit))),
                _ => Err(no_slice()),
            }
        }
        single => Ok(Field::Slice(number(single)?, None)),
    }
}

fn insert(fields: &mut Vec<(String, Field)>, name: &str, field: Field, path: &str) -> Result<()> {
    let collision = |code| MqlError::new(code, format!("Path collision at {path}"));
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    let at = fields.iter().position(|(name, _)| name == first);
    match (at, rest) {
        (None, None) => fields.push((first.to_owned(), field)),
        (Some(_), None) => return Err(collision(31250)),
        (None, Some(rest)) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, field, path)?;
            fields.push((first.to_owned(), Field::Tree(inner)));
        }
        (Some(at), Some(rest)) => match &mut fields[at].1 {
            Field::Tree(inner) => insert(inner, rest, field, path)?,
            _ => return Err(collision(31249)),
        },
    }
    Ok(())
}

struct Applying<'a> {
    inclusive: bool,
    scope: Scope<'a>,
}

impl Applying<'_> {
    /// `id` is what happens to `_id` at the top level; `None` further down.
    /// Without a document there is nothing but the computed fields.
    fn document(
        &self,
        document: Option<&RawDocument>,
        fields: &[(String, Field)],
        id: Option<bool>,
        out: &mut RawDocumentBuf,
    ) -> Result<()> {
        let mut seen = vec![false; fields.len()];
        for entry in document.into_iter().flatten() {
            let (name, value) = entry.map_err(malformed)?;
            let at = fields.iter().position(|(field, _)| field == name.as_str());
            let Some(at) = at else {
                let keep = match id {
                    Some(keep) if name == "_id" => keep,
                    _ => !self.inclusive,
                };
                if keep {
                    out.append(name, value);
                }
                continue;
            };
            seen[at] = true;
            match &fields[at].1 {
                // What `$elemMatch` picks counts as computed among included fields.
                Field::ElementMatch(_) if self.inclusive => seen[at] = false,
                Field::Computed(_) => seen[at] = false,
                Field::Include => out.append(name, value),
                Field::Exclude => {}
                Field::Tree(inner) => {
                    if let Some(value) = self.value(value, inner)? {
                        out.append(name, value);
                    }
                }
                Field::Slice(skip, limit) => match value {
                    RawBsonRef::Array(array) => out.append(name, sliced(array, *skip, *limit)),
                    other => out.append(name, other),
                },
                Field::ElementMatch(matcher) => {
                    if let RawBsonRef::Array(array) = value
                        && let Some(element) = first_match(array, matcher)
                    {
                        out.append(name, one(element));
                    }
                }
            }
        }
        // Computed fields come after the document's own, in the order written;
        // under a path they go into each document, and what is none becomes one.
        for ((name, field), _) in fields.iter().zip(seen).filter(|(_, seen)| !seen) {
            match field {
                Field::Computed(expression) => {
                    if let Some(value) = expression.evaluate(&self.scope)? {
                        out.append(key(name)?, into_raw(value));
                    }
                }
                Field::Tree(inner) if has_computed(inner) => {
                    let mut made = RawDocumentBuf::new();
                    self.document(None, inner, None, &mut made)?;
                    out.append(key(name)?, made);
                }
                Field::ElementMatch(matcher) => {
                    let found = document.map(|document| document.get(name.as_str()));
                    if let Some(Ok(Some(RawBsonRef::Array(array)))) = found
                        && let Some(element) = first_match(array, matcher)
                    {
                        out.append(key(name)?, one(element));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A value under a path that goes on: documents and arrays of documents
    /// are projected; scalars stay only where fields are excluded.
    fn value(&self, value: RawBsonRef<'_>, inner: &[(String, Field)]) -> Result<Option<RawBson>> {
        Ok(match value {
            RawBsonRef::Array(array) => {
                let mut out = RawArrayBuf::new();
                for element in array {
                    if let Some(kept) = self.value(element.map_err(malformed)?, inner)? {
                        out.push(kept);
                    }
                }
                Some(RawBson::Array(out))
            }
            RawBsonRef::Document(_) => self.made(value, inner)?,
            _ if has_computed(inner) => self.made(value, inner)?,
            _ if self.inclusive => None,
            scalar => Some(scalar.into()),
        })
    }

    fn made(&self, value: RawBsonRef<'_>, inner: &[(String, Field)]) -> Result<Option<RawBson>> {
        let mut out = RawDocumentBuf::new();
        let document = match value {
            RawBsonRef::Document(document) => Some(document),
            _ => None,
        };
        self.document(document, inner, None, &mut out)?;
        Ok(Some(RawBson::Document(out)))
    }
}

/// A field's name as BSON has it.
fn key(name: &str) -> Result<&CStr> {
    name.try_into().map_err(malformed)
}

fn one(element: RawBsonRef<'_>) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    array.push(element);
    array
}

fn sliced(array: &RawArray, skip: i64, limit: Option<i64>) -> RawArrayBuf {
    let count = array.into_iter().count() as i64;
    let (start, length) = match limit {
        None if skip < 0 => ((count + skip).max(0), -skip),
        None => (0, skip),
        Some(limit) if skip < 0 => ((count + skip).max(0), limit),
        Some(limit) => (skip, limit),
    };
    let mut out = RawArrayBuf::new();
    for element in array
        .into_iter()
        .flatten()
        .skip(start as usize)
        .take(length as usize)
    {
        out.push(element);
    }
    out
}

fn first_match<'a>(array: &'a RawArray, matcher: &Matcher) -> Option<RawBsonRef<'a>> {
    let matcher::Node::Field(_, test) = matcher.root() else {
        return None;
    };
    array
        .into_iter()
        .flatten()
        .find(|element| test.element(*element, None).unwrap_or(false))
}
