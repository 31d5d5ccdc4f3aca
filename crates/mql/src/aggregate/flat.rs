//! The order of `$top` and `$bottom`: MongoDB computes what they sort by first,
//! and sorts by the values, so that arrays are compared whole.

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocument};

use crate::Sort;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::order::raw;

/// Fields to sort by, each with whether it is descending.
#[derive(Debug, Clone, Default)]
pub(super) struct Flat {
    fields: Vec<(Expression, bool)>,
    collation: Option<Collation>,
}

impl Flat {
    pub(super) fn of(sort: &Sort) -> Result<Self> {
        let fields = sort.parts().iter().map(|(path, descending)| {
            let names: Vec<&str> = path.parts().iter().map(|part| part.name.as_str()).collect();
            let text = format!("${}", names.join("."));
            let field = Expression::parse_open(RawBsonRef::String(&text))?;
            Ok((field, *descending))
        });
        Ok(Self {
            fields: fields.collect::<Result<_>>()?,
            collation: None,
        })
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
    }

    /// Appends the document's key: byte order is sort order.
    ///
    /// # Errors
    /// 2 for more than one array, 16746 for an object whose fields have the
    /// numbers of the values.
    pub(super) fn key(&self, document: &RawDocument, out: &mut Vec<u8>) -> Result<()> {
        let scope = Scope::of(document);
        let mut arrays = 0;
        for (field, descending) in &self.fields {
            let start = out.len();
            match field.evaluate(&scope)? {
                None => crate::key::encode_missing(out),
                Some(value) => {
                    match &value {
                        Bson::Array(_) => arrays += 1,
                        Bson::Document(object) => self.check(object)?,
                        _ => {}
                    }
                    if arrays > 1 {
                        return Err(MqlError::bad_value(
                            "cannot sort with keys that are parallel arrays",
                        ));
                    }
                    if matches!(&value, Bson::Array(values) if values.is_empty()) {
                        crate::key::encode(RawBsonRef::Undefined, out);
                    } else {
                        let value = raw(&value);
                        crate::key::encode_with(
                            value.as_raw_bson_ref(),
                            self.collation.as_ref(),
                            out,
                        );
                    }
                }
            }
            if *descending {
                crate::key::invert(out, start);
            }
        }
        Ok(())
    }

    fn check(&self, object: &bson::Document) -> Result<()> {
        match (0..self.fields.len()).find(|at| object.contains_key(at.to_string())) {
            None => Ok(()),
            Some(at) => Err(MqlError::new(
                16746,
                format!(
                    "Ambiguous field name found in array (do not use numeric field names in embedded elements in an array), field: '{at}'"
                ),
            )),
        }
    }
}
