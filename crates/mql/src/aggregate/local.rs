//! What a `$lookup` compares with.

use bson::raw::RawBsonRef;
use bson::{RawArray, RawBson, RawDocument};

use crate::error::Result;
use crate::matcher::malformed;
use crate::path::{Part, Path};

/// What a local field is compared with: its values, those of arrays one by
/// one; null when there is none.
///
/// # Errors
/// 22 for a document that is not BSON.
pub(super) fn values(document: &RawDocument, path: &Path) -> Result<Vec<RawBson>> {
    let mut found = known_values(document, path)?;
    if found.is_empty() {
        found.push(RawBson::Null);
    }
    Ok(found)
}

/// [`values`], without null where there is none.
pub(super) fn known_values(document: &RawDocument, path: &Path) -> Result<Vec<RawBson>> {
    let mut found = Vec::new();
    visit(document, path.parts(), &mut found)?;
    Ok(found)
}

fn visit(document: &RawDocument, parts: &[Part], found: &mut Vec<RawBson>) -> Result<()> {
    let Some((first, mut rest)) = parts.split_first() else {
        return Ok(());
    };
    let mut value = document.get(&first.name).map_err(malformed)?;
    // In an array a number is a place, and never the name of a field.
    while let (Some(RawBsonRef::Array(array)), Some((part, after))) = (value, rest.split_first())
        && let Some(index) = part.index
    {
        value = array.get(index).map_err(malformed)?;
        rest = after;
    }
    match value {
        Some(RawBsonRef::Array(array)) => elements(array, rest, found),
        Some(RawBsonRef::Document(inner)) if !rest.is_empty() => visit(inner, rest, found),
        Some(value) if rest.is_empty() => {
            found.push(value.into());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn elements(array: &RawArray, rest: &[Part], found: &mut Vec<RawBson>) -> Result<()> {
    for element in array {
        let element = element.map_err(malformed)?;
        match element {
            element if rest.is_empty() => found.push(element.into()),
            RawBsonRef::Document(inner) => visit(inner, rest, found)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::{Bson, rawdoc};

    use super::*;

    #[test]
    fn a_number_is_a_place_in_an_array_and_nothing_else() {
        let document = rawdoc! { "l": [{ "1": 5 }, { "1": [7] }], "n": { "1": [3, 4] }, "e": [] };
        for (path, expected) in [
            ("l.1", vec![Bson::Document(bson::doc! { "1": [7] })]),
            ("l.1.1", vec![Bson::Int32(7)]),
            ("l.5", vec![Bson::Null]),
            ("n.1", vec![Bson::Int32(3), Bson::Int32(4)]),
            ("e", vec![Bson::Null]),
        ] {
            let found = values(&document, &Path::new(path)).expect("values");
            let found: Vec<Bson> = found
                .into_iter()
                .map(|value| Bson::try_from(value).expect("a value"))
                .collect();
            assert_eq!(found, expected, "{path}");
        }
        let none = known_values(&document, &Path::new("e")).expect("values");
        assert!(none.is_empty());
    }
}
