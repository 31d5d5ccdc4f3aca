//! Values against a schema.
//!
//! The order is gojsonschema's, of which the service's validator was one:
//! what a schema is combined of, then what the type of the value asks, then
//! constants and formats, then properties (rules-schemas.md §15). Of `anyOf`,
//! `oneOf` and `contains` it also tells what the nearest alternative lacks.

use std::collections::HashMap;
use std::fmt::Write as _;

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};

use super::{
    Additional, Condition, Dependency, Items, Judge, Options, Schema, UNDECIDED, VIOLATIONS_MAX,
    Violation, identity, names,
};
use crate::order::rank;

/// Characters of a field's name that a path shows.
const NAME_CHARS_MAX: usize = 128;

/// One check of a value.
pub(super) struct Run<'r> {
    options: Options,
    judge: Option<&'r mut dyn Judge>,
    /// How many violations are wanted.
    most: usize,
    /// How near the value comes to the schema.
    score: i64,
    pub(super) found: Vec<Violation>,
}

/// A value that is checked: what it is, what it was, where it stands.
#[derive(Clone, Copy)]
struct Spot<'v> {
    value: RawBsonRef<'v>,
    before: Option<RawBsonRef<'v>>,
    at: &'v At<'v>,
}

/// A place in a document.
struct At<'a> {
    outer: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    /// No step: the same value by a schema that this one is a part of.
    Within(&'a Schema),
}

impl<'a> At<'a> {
    const ROOT: At<'static> = At {
        outer: None,
        step: Step::Root,
    };

    fn to(&'a self, step: Step<'a>) -> Self {
        Self {
            outer: Some(self),
            step,
        }
    }

    fn write(&self, path: &mut String) {
        if let Some(outer) = self.outer {
            outer.write(path);
        }
        match self.step {
            Step::Root => path.push_str("(root)"),
            Step::Field(name) => {
                path.push('.');
                path.push_str(shown(name));
            }
            Step::Index(index) => {
                let _ = write!(path, ".{index}");
            }
            Step::Within(_) => {}
        }
    }

    /// Whether a schema of the same value, `schema` or one that it is a part
    /// of, requires a field.
    fn requires(&self, schema: &Schema, name: &str) -> bool {
        let outer = match (self.step, self.outer) {
            (Step::Within(whole), Some(outer)) => outer.requires(whole, name),
            _ => false,
        };
        outer || schema.requires(name)
    }
}

/// As much of a name as a path shows.
fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(NAME_CHARS_MAX);
    end.and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// What a part of a schema finds.
struct Part {
    found: Vec<Violation>,
    score: i64,
    /// Whether a pattern in it could not be decided.
    undecided: bool,
}

impl Part {
    fn is_valid(&self) -> bool {
        self.found.is_empty() && !self.undecided
    }
}

impl<'r> Run<'r> {
    /// A check that tells everything.
    pub(super) fn all(options: Options, judge: Option<&'r mut dyn Judge>) -> Self {
        Self {
            options,
            judge,
            most: VIOLATIONS_MAX,
            score: 0,
            found: Vec::new(),
        }
    }

    /// A check that stops at the first violation.
    pub(super) fn first() -> Self {
        Self {
            most: 1,
            ..Self::all(Options::default(), None)
        }
    }

    /// Checks a value.
    pub(super) fn check(&mut self, schema: &Schema, value: RawBsonRef<'_>) {
        self.check_change(schema, value, None);
    }

    /// Checks a value that was another one before.
    pub(super) fn check_change(
        &mut self,
        schema: &Schema,
        value: RawBsonRef<'_>,
        before: Option<RawBsonRef<'_>>,
    ) {
        let at = &At::ROOT;
        self.spot(schema, Spot { value, before, at });
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    fn report(&mut self, at: &At<'_>, code: &'static str, message: impl Into<String>) {
        self.score -= 2;
        if self.is_full() {
            return;
        }
        let mut path = String::new();
        at.write(&mut path);
        self.found.push(Violation {
            code,
            path,
            message: message.into(),
        });
    }

    /// What `check` finds, told or not as it turns out. A pattern that cannot
    /// be decided is told in any case: neither answer would be true.
    fn apart(&mut self, check: impl FnOnce(&mut Self)) -> Part {
        let found = std::mem::take(&mut self.found);
        let score = std::mem::take(&mut self.score);
        check(self);
        let mut part = Part {
            found: std::mem::replace(&mut self.found, found),
            score: std::mem::replace(&mut self.score, score),
            undecided: false,
        };
        if part.found.iter().any(|one| one.code == UNDECIDED) {
            let undecided = part.found.extract_if(.., |one| one.code == UNDECIDED);
            self.found.extend(undecided);
            part.undecided = true;
        }
        part
    }

    fn merge(&mut self, part: Option<Part>) {
        let Some(part) = part else { return };
        self.score += part.score;
        let room = self.most.saturating_sub(self.found.len());
        self.found.extend(part.found.into_iter().take(room));
    }

    /// Checks a value and then asks the expression that stands there.
    fn spot(&mut self, schema: &Schema, spot: Spot<'_>) {
        if self.is_full() {
            return;
        }
        let before = spot.before.filter(|_| schema.asks_inside());
        let spot = Spot { before, ..spot };
        if schema.never {
            self.report(spot.at, "false", "False always fails validation");
            return;
        }
        let fits = |types: &Vec<super::Type>| types.iter().any(|one| one.is(spot.value));
        if !schema.types.iter().all(fits) {
            let given = names::of(spot.value);
            let text = format!(
                "Invalid type. Expected: {}, given: [{given}]",
                schema.expected
            );
            self.report(spot.at, "invalid_type", text);
            self.expressions(schema, Some(spot.value), spot.before, spot.at);
            return;
        }
        self.combined(schema, spot);
        match spot.value {
            RawBsonRef::Document(document) => self.document(schema, document, spot),
            RawBsonRef::Array(array) => {
                self.array(schema, array, spot);
                self.constants(schema, spot);
            }
            value => {
                if rank(value) == 10 {
                    let mut report =
                        |code: &'static str, text: String| self.report(spot.at, code, text);
                    schema.limits.check(value, &mut report);
                    self.score += 1;
                }
                self.constants(schema, spot);
                if let RawBsonRef::String(text) = value {
                    self.text(schema, text, spot.at);
                }
            }
        }
        if !matches!(spot.value, RawBsonRef::Document(_)) && spot.before.is_some() {
            self.inner_expressions(schema, None, spot.before, spot.at);
        }
        self.score += 1;
        self.ask(schema, Some(spot.value), spot.before, spot.at);
    }

    fn ask(
        &mut self,
        schema: &Schema,
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
        at: &At<'_>,
    ) {
        if let (Some(validate), Some(judge)) = (schema.validate, self.judge.as_mut())
            && !judge.holds(validate, this, prev)
        {
            self.report(at, "false", "the validate expression is false");
        }
    }

    fn combined(&mut self, schema: &Schema, spot: Spot<'_>) {
        let within = spot.at.to(Step::Within(schema));
        let inner = Spot {
            at: &within,
            ..spot
        };
        if !schema.any_of.is_empty() {
            let mut nearest: Option<Part> = None;
            let valid = schema.any_of.iter().any(|part| {
                let part = self.apart(|run| run.spot(part, inner));
                part.is_valid() || {
                    keep_nearer(&mut nearest, part);
                    false
                }
            });
            if !valid {
                let text = "Must validate at least one schema (anyOf)";
                self.report(spot.at, "number_any_of", text);
                self.merge(nearest);
            }
        }
        if !schema.one_of.is_empty() {
            let (mut valid, mut nearest) = (0, None);
            for part in &schema.one_of {
                let part = self.apart(|run| run.spot(part, inner));
                if part.is_valid() {
                    valid += 1;
                } else {
                    keep_nearer(&mut nearest, part);
                }
            }
            if valid != 1 {
                let text = "Must validate one and only one schema (oneOf)";
                self.report(spot.at, "number_one_of", text);
                self.merge(nearest.filter(|_| valid == 0));
            }
        }
        let mut valid = true;
        for part in &schema.all_of {
            valid &= self.apart(|run| run.spot(part, inner)).is_valid();
        }
        if !valid {
            let text = "Must validate all the schemas (allOf)";
            self.report(spot.at, "number_all_of", text);
        }
        if let Some(not) = &schema.not
            && self.apart(|run| run.spot(not, inner)).is_valid()
        {
            self.report(spot.at, "number_not", "Must not validate the schema (not)");
        }
        if let RawBsonRef::Document(document) = spot.value {
            self.dependencies(schema, document, inner);
        }
        if let Some(condition) = &schema.condition {
            self.condition(condition, spot.at, &mut |run, part| run.spot(part, inner));
        }
        self.score += 1;
    }

    fn condition(
        &mut self,
        condition: &Condition,
        at: &At<'_>,
        check: &mut dyn FnMut(&mut Self, &Schema),
    ) {
        let holds = self.apart(|run| check(run, &condition.when)).is_valid();
        let (branch, code, text) = if holds {
            let text = "Must validate \"then\" as \"if\" was valid";
            (&condition.then, "condition_then", text)
        } else {
            let text = "Must validate \"else\" as \"if\" was not valid";
            (&condition.otherwise, "condition_else", text)
        };
        let Some(branch) = branch else { return };
        let part = self.apart(|run| check(run, branch));
        if !part.is_valid() {
            self.report(at, code, text);
            self.merge(Some(part));
        }
    }

    fn dependencies(&mut self, schema: &Schema, document: &RawDocument, inner: Spot<'_>) {
        let is_there = |name: &str| matches!(document.get(name), Ok(Some(_)));
        for (name, dependency) in &schema.dependencies {
            match dependency {
                _ if !is_there(name) => {}
                Dependency::Fields(names) => {
                    for other in names.iter().filter(|other| !is_there(other)) {
                        let text = format!("Has a dependency on {other}");
                        self.report(inner.at, "missing_dependency", text);
                    }
                }
                Dependency::Schema(schema) => self.spot(schema, inner),
            }
        }
    }

    fn constants(&mut self, schema: &Schema, spot: Spot<'_>) {
        let lists = [
            ("const", &schema.constant, "does not match"),
            ("enum", &schema.choices, "must be one of the following"),
        ];
        for (code, choices, text) in lists {
            let Some(choices) = choices else { continue };
            let known = choices.identities.binary_search(&identity(spot.value));
            if known.is_err() {
                let mut path = String::new();
                spot.at.write(&mut path);
                let field = path.strip_prefix("(root).").unwrap_or(&path);
                let text = format!("{field} {text}: {}", choices.written);
                self.report(spot.at, code, text);
            }
        }
        if let (Some((format, name)), RawBsonRef::String(text)) = (&schema.format, spot.value)
            && !format.accepts(text)
        {
            let text = format!("Does not match format '{name}'");
            self.report(spot.at, "format", text);
        }
        self.score += 1;
    }

    fn text(&mut self, schema: &Schema, text: &str, at: &At<'_>) {
        let (least, most) = schema.counts.length;
        if (least, most) != (None, None) {
            let length = text.chars().count() as i64;
            if let Some(least) = least.filter(|least| length < *least) {
                let text = format!("String length must be greater than or equal to {least}");
                self.report(at, "string_gte", text);
            }
            if let Some(most) = most.filter(|most| length > *most) {
                let text = format!("String length must be less than or equal to {most}");
                self.report(at, "string_lte", text);
            }
        }
        if let Some(pattern) = &schema.pattern {
            match pattern.is_match(text) {
                Ok(true) => {}
                Ok(false) => {
                    let text = format!("Does not match pattern '{}'", pattern.pattern);
                    self.report(at, "pattern", text);
                }
                Err(error) => self.report(at, UNDECIDED, error.message),
            }
        }
        self.score += 1;
    }

    fn array(&mut self, schema: &Schema, array: &RawArray, spot: Spot<'_>) {
        let values: Vec<RawBsonRef<'_>> = array.into_iter().flatten().collect();
        let before: Vec<RawBsonRef<'_>> = match spot.before {
            Some(RawBsonRef::Array(array)) => array.into_iter().flatten().collect(),
            _ => Vec::new(),
        };
        let item = |run: &mut Self, schema: &Schema, index: usize, value: RawBsonRef<'_>| {
            let at = &spot.at.to(Step::Index(index));
            let before = before.get(index).copied();
            run.spot(schema, Spot { value, before, at });
        };
        let indexed = || values.iter().copied().enumerate();
        match &schema.items {
            None => {}
            Some(Items::Each(each)) => {
                for (index, value) in indexed() {
                    item(self, each, index, value);
                }
            }
            Some(Items::Tuple(tuple)) => {
                for ((index, value), schema) in indexed().zip(tuple) {
                    item(self, schema, index, value);
                }
                let is_longer = values.len() > tuple.len();
                match &schema.additional_items {
                    Some(Additional::Forbidden) if is_longer => {
                        let text = "No additional items allowed on array";
                        self.report(spot.at, "array_no_additional_items", text);
                    }
                    Some(Additional::Schema(schema)) => {
                        for (index, value) in indexed().skip(tuple.len()) {
                            item(self, schema, index, value);
                        }
                    }
                    _ => {}
                }
                // What was taken from the end of the tuple.
                let gone = tuple.iter().zip(&before).enumerate().skip(values.len());
                for (index, (schema, old)) in gone {
                    let at = spot.at.to(Step::Index(index));
                    self.expressions(schema, None, Some(*old), &at);
                }
            }
        }
        let (least, most) = schema.counts.items;
        let length = values.len() as i64;
        if let Some(least) = least.filter(|least| length < *least) {
            let text = format!("Array must have at least {least} items");
            self.report(spot.at, "array_min_items", text);
        }
        if let Some(most) = most.filter(|most| length > *most) {
            let text = format!("Array must have at most {most} items");
            self.report(spot.at, "array_max_items", text);
        }
        if schema.unique_items {
            let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
            for (index, value) in indexed() {
                if let Some(first) = known.insert(identity(value), index) {
                    let text = format!("array items[{first},{index}] must be unique");
                    self.report(spot.at, "unique", text);
                }
            }
        }
        if let Some(contains) = &schema.contains {
            let mut nearest = None;
            let valid = indexed().any(|(index, value)| {
                let part = self.apart(|run| item(run, contains, index, value));
                part.is_valid() || {
                    keep_nearer(&mut nearest, part);
                    false
                }
            });
            if !valid {
                let text = "At least one of the items must match";
                self.report(spot.at, "contains", text);
                self.merge(nearest);
            }
        }
        self.score += 1;
    }

    fn document(&mut self, schema: &Schema, document: &RawDocument, spot: Spot<'_>) {
        let fields: Vec<(&str, RawBsonRef<'_>)> = document
            .iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let before: HashMap<&str, RawBsonRef<'_>> = fields_of(spot.before);
        let (least, most) = schema.counts.properties;
        let count = fields.len() as i64;
        if let Some(least) = least.filter(|least| count < *least) {
            let text = format!("Must have at least {least} properties");
            self.report(spot.at, "array_min_properties", text);
        }
        if let Some(most) = most.filter(|most| count > *most) {
            let text = format!("Must have at most {most} properties");
            self.report(spot.at, "array_max_properties", text);
        }
        for name in &schema.required {
            if names.binary_search(&name.as_str()).is_ok() {
                self.score += 1;
            } else {
                self.report(spot.at, "required", format!("{name} is required"));
            }
        }
        let mut present: Vec<Vec<RawBsonRef<'_>>> = vec![Vec::new(); schema.properties.len()];
        for (name, value) in fields.iter().copied() {
            let before = before.get(name).copied();
            let own = schema.property(name);
            if let Some(values) = own.and_then(|(at, _)| present.get_mut(at)) {
                values.push(value);
            }
            let at = &spot.at.to(Step::Field(name));
            let field = Spot { value, before, at };
            let by_pattern = self.by_pattern(schema, name, at, &mut |run, pattern| {
                run.field(schema, pattern, name, field, spot.at);
            });
            if own.is_some() || by_pattern {
                continue;
            }
            match &schema.additional {
                None => {}
                Some(Additional::Forbidden) => {
                    let text = format!("Additional property {} is not allowed", shown(name));
                    self.report(spot.at, "additional_property_not_allowed", text);
                }
                Some(Additional::Schema(additional)) => {
                    self.field(schema, additional, name, field, spot.at);
                }
            }
        }
        if let Some(wanted) = &schema.names {
            for name in &names {
                let value = RawBsonRef::String(name);
                let part = self.apart(|run| run.spot(wanted, Spot { value, ..spot }));
                if !part.is_valid() {
                    let text = format!("Property name of \"{}\" does not match", shown(name));
                    self.report(spot.at, "invalid_property_name", text);
                    self.merge(Some(part));
                }
            }
        }
        self.score += 1;
        self.constants(schema, spot);
        for ((name, property), values) in schema.properties.iter().zip(present) {
            let at = &spot.at.to(Step::Field(name));
            let before = before.get(name.as_str()).copied();
            if values.is_empty() {
                self.expressions(property, None, before, at);
            }
            for value in values {
                let field = Spot { value, before, at };
                self.field(schema, property, name, field, spot.at);
            }
        }
        self.unset(schema, &names, &before, spot.at);
    }

    /// Checks a field of a document that stands at `outer`; null is excused
    /// where it may be, but not from expressions.
    fn field(&mut self, of: &Schema, schema: &Schema, name: &str, field: Spot<'_>, outer: &At<'_>) {
        let excused = self.options.null_for_optional
            && matches!(field.value, RawBsonRef::Null)
            && !schema.never
            && !outer.requires(of, name);
        if excused {
            self.expressions(schema, Some(field.value), field.before, field.at);
        } else {
            self.spot(schema, field);
        }
    }

    /// Does something with each schema whose pattern a name matches; says
    /// whether there was one.
    fn by_pattern(
        &mut self,
        schema: &Schema,
        name: &str,
        at: &At<'_>,
        each: &mut dyn FnMut(&mut Self, &Schema),
    ) -> bool {
        let mut any = false;
        for (pattern, schema) in &schema.patterns {
            match pattern.is_match(name) {
                Ok(false) => {}
                Ok(true) => {
                    any = true;
                    each(self, schema);
                }
                Err(error) => self.report(at, UNDECIDED, error.message),
            }
        }
        any
    }

    /// Asks the expressions of fields that are known by a pattern or are
    /// additional, and are gone.
    fn unset(
        &mut self,
        schema: &Schema,
        names: &[&str],
        before: &HashMap<&str, RawBsonRef<'_>>,
        at: &At<'_>,
    ) {
        let mut gone: Vec<(&str, RawBsonRef<'_>)> = before
            .iter()
            .map(|(name, old)| (*name, *old))
            .filter(|(name, _)| names.binary_search(name).is_err())
            .collect();
        gone.sort_unstable_by_key(|(name, _)| *name);
        for (name, old) in gone {
            let own = schema.property(name).is_some();
            let at = &at.to(Step::Field(name));
            let by_pattern = self.by_pattern(schema, name, at, &mut |run, pattern| {
                run.expressions(pattern, None, Some(old), at);
            });
            if let (false, Some(Additional::Schema(additional))) =
                (own || by_pattern, &schema.additional)
            {
                self.expressions(additional, None, Some(old), at);
            }
        }
    }

    /// Asks only the expressions: of a value that is not there, that is excused
    /// from the rest, or that is of another type. Alternatives count where each
    /// has something to ask: the others say nothing of such a value.
    fn expressions(
        &mut self,
        schema: &Schema,
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
        at: &At<'_>,
    ) {
        if !schema.asks_inside() || self.judge.is_none() || self.is_full() {
            return;
        }
        let holds = |run: &mut Self, part: &Schema| {
            run.apart(|run| run.expressions(part, this, prev, at))
                .is_valid()
        };
        let all_ask = |parts: &[Schema]| !parts.is_empty() && parts.iter().all(Schema::asks);
        if all_ask(&schema.any_of) && !schema.any_of.iter().any(|part| holds(self, part)) {
            let text = "Must validate at least one schema (anyOf)";
            self.report(at, "number_any_of", text);
        }
        if all_ask(&schema.one_of) {
            let valid = schema.one_of.iter().filter(|part| holds(self, part));
            if valid.count() != 1 {
                let text = "Must validate one and only one schema (oneOf)";
                self.report(at, "number_one_of", text);
            }
        }
        let mut valid = true;
        for part in &schema.all_of {
            valid &= holds(self, part);
        }
        if !valid {
            let text = "Must validate all the schemas (allOf)";
            self.report(at, "number_all_of", text);
        }
        if let Some(not) = schema.not.as_ref().filter(|not| not.asks())
            && not.types.is_empty()
            && holds(self, not)
        {
            self.report(at, "number_not", "Must not validate the schema (not)");
        }
        if let Some(condition) = schema.condition.as_ref().filter(|one| one.when.asks()) {
            self.condition(condition, at, &mut |run, part| {
                run.expressions(part, this, prev, at);
            });
        }
        self.inner_expressions(schema, this, prev, at);
        self.ask(schema, this, prev, at);
    }

    /// Asks the expressions of the fields of a document that is none any more,
    /// or is not looked into.
    fn inner_expressions(
        &mut self,
        schema: &Schema,
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
        at: &At<'_>,
    ) {
        let (now, before) = (fields_of(this), fields_of(prev));
        for (name, property) in &schema.properties {
            let (this, prev) = (now.get(name.as_str()), before.get(name.as_str()));
            if this.is_some() || prev.is_some() {
                let at = at.to(Step::Field(name));
                self.expressions(property, this.copied(), prev.copied(), &at);
            }
        }
        if now.is_empty() {
            self.unset(schema, &[], &before, at);
        }
    }
}

fn keep_nearer(nearest: &mut Option<Part>, part: Part) {
    if nearest
        .as_ref()
        .is_none_or(|known| part.score > known.score)
    {
        *nearest = Some(part);
    }
}

/// The fields of a document; none of what is no document.
fn fields_of(value: Option<RawBsonRef<'_>>) -> HashMap<&str, RawBsonRef<'_>> {
    let Some(RawBsonRef::Document(document)) = value else {
        return HashMap::new();
    };
    let fields = document.iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value)).collect()
}
