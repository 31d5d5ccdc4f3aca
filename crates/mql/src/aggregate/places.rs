//! Fields that one stage removes and a later one sets again. MongoDB's documents
//! keep the place of what is removed until a stage makes another document, so
//! that such a field is back where it was.

use std::collections::BTreeMap;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::Stage;
use super::reshape::{AddFields, Unset, key};
use crate::Projection;
use crate::error::Result;
use crate::matcher::malformed;

/// Stages in a row that change documents in place.
pub(super) struct Chain {
    stages: Vec<InPlace>,
    touched: Touched,
}

enum InPlace {
    AddFields(AddFields),
    Unset(Unset),
    Exclude(Projection),
}

/// What the stages of a chain change: fields by name, or all of it.
#[derive(Default)]
struct Touched {
    whole: bool,
    fields: BTreeMap<String, Touched>,
}

impl Chain {
    /// The chain that stages begin with, and its length, where one of them may
    /// set again what another one removed.
    pub(super) fn of(stages: &[Stage]) -> Option<(usize, Self)> {
        let mut chain = Vec::new();
        let mut paths: Vec<Vec<String>> = Vec::new();
        let mut touched = Touched::default();
        let mut length = 0;
        for stage in stages {
            let (in_place, own) = match stage {
                Stage::AddFields(fields) => (InPlace::AddFields(fields.clone()), fields.paths()),
                Stage::Unset(unset) => (InPlace::Unset(unset.clone()), unset.paths()),
                Stage::Project(projection) => match projection.excluded() {
                    Some(paths) => (InPlace::Exclude(projection.clone()), paths),
                    None => break,
                },
                _ => break,
            };
            let meets = |other: &Vec<String>| {
                own.iter()
                    .any(|path| path.iter().zip(other).all(|(a, b)| a == b))
            };
            chain.push(in_place);
            if matches!(stage, Stage::AddFields(_)) && paths.iter().any(meets) {
                length = chain.len();
            }
            paths.extend(own);
        }
        if length == 0 {
            return None;
        }
        chain.truncate(length);
        for path in &paths {
            touched.add(path);
        }
        let chain = Self {
            stages: chain,
            touched,
        };
        Some((length, chain))
    }

    pub(super) fn apply(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        let mut states = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let before = states
                .last()
                .map_or(document, |state: &RawDocumentBuf| state);
            states.push(match stage {
                InPlace::AddFields(fields) => fields.apply(before)?,
                InPlace::Unset(unset) => unset.apply(before)?,
                InPlace::Exclude(projection) => projection.apply(before, None)?,
            });
        }
        let mut all = vec![document];
        all.extend(states.iter().map(|state| state as &RawDocument));
        self.touched.in_place(&all)
    }
}

impl Touched {
    fn add(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.whole = true,
            Some((first, rest)) => self.fields.entry(first.clone()).or_default().add(rest),
        }
    }

    /// The last of a document's states, with each field where it first was.
    fn in_place(&self, states: &[&RawDocument]) -> Result<RawDocumentBuf> {
        let mut names: Vec<&str> = Vec::new();
        for state in states {
            for entry in *state {
                let (name, _) = entry.map_err(malformed)?;
                if !names.contains(&name.as_str()) {
                    names.push(name.as_str());
                }
            }
        }
        let mut out = RawDocumentBuf::new();
        for name in names {
            let values: Vec<_> = states
                .iter()
                .map(|state| state.get(name).map_err(malformed))
                .collect::<Result<_>>()?;
            let Some(Some(last)) = values.last() else {
                continue;
            };
            match self.fields.get(name) {
                Some(inner) if !inner.whole => {
                    let values: Vec<_> = values.iter().copied().flatten().collect();
                    out.append(key(name)?, inner.value(&values, *last)?);
                }
                _ => out.append(key(name)?, *last),
            }
        }
        Ok(out)
    }

    fn value(&self, states: &[RawBsonRef<'_>], last: RawBsonRef<'_>) -> Result<RawBson> {
        match last {
            RawBsonRef::Document(_) => {
                let documents = states.iter().filter_map(|state| state.as_document());
                let documents: Vec<&RawDocument> = documents.collect();
                Ok(RawBson::Document(self.in_place(&documents)?))
            }
            RawBsonRef::Array(array) => {
                let arrays: Vec<_> = states.iter().filter_map(|state| state.as_array()).collect();
                let mut out = RawArrayBuf::new();
                for (at, element) in array.into_iter().enumerate() {
                    let element = element.map_err(malformed)?;
                    let same = arrays.iter().map(|array| array.get(at).map_err(malformed));
                    let same: Vec<_> = same.collect::<Result<_>>()?;
                    let same: Vec<_> = same.into_iter().flatten().collect();
                    out.push(self.value(&same, element)?);
                }
                Ok(RawBson::Array(out))
            }
            other => Ok(other.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, doc};

    use crate::Pipeline;

    #[test]
    fn what_is_set_again_is_back_in_its_place() {
        let b = |document: Document| Bson::Document(document);
        for (stages, before, after) in [
            (
                vec![doc! { "$unset": "a" }, doc! { "$set": { "q": 1, "a": 1 } }],
                doc! { "a": 5, "b": 6 },
                doc! { "a": 1, "b": 6, "q": 1 },
            ),
            (
                vec![
                    doc! { "$project": { "a": 0 } },
                    doc! { "$set": { "a.x": 1 } },
                ],
                doc! { "a": 5, "b": 6 },
                doc! { "a": { "x": 1 }, "b": 6 },
            ),
            (
                vec![doc! { "$unset": "a.x" }, doc! { "$set": { "a.x": 1 } }],
                doc! { "a": [{ "x": 3, "y": 2 }], "b": 6 },
                doc! { "a": [{ "x": 1, "y": 2 }], "b": 6 },
            ),
            (
                vec![
                    doc! { "$set": { "z": 1, "y": 2 } },
                    doc! { "$unset": "z" },
                    doc! { "$set": { "z": 3 } },
                ],
                doc! { "a": 5 },
                doc! { "a": 5, "z": 3, "y": 2 },
            ),
            // A stage that makes another document forgets.
            (
                vec![
                    doc! { "$unset": "a" },
                    doc! { "$project": { "b": 1 } },
                    doc! { "$set": { "a": 1 } },
                ],
                doc! { "a": 5, "b": 6 },
                doc! { "b": 6, "a": 1 },
            ),
        ] {
            let stages: Vec<Bson> = stages.into_iter().map(b).collect();
            let pipeline = Pipeline::parse_bson(&stages).expect("a pipeline");
            let made = pipeline.run_one(&before).expect("a document");
            assert_eq!(made.to_string(), after.to_string(), "{stages:?}");
        }
    }
}
