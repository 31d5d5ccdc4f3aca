//! Files of BSON documents one after another.

use std::io::{BufReader, ErrorKind, Read};

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument, RawDocumentBuf};

use crate::ArchiveError;

/// What a document may have beyond the limit, as MongoDB has it inside.
const ROOM_BYTES: usize = 16 * 1024;
/// The shortest document.
const DOCUMENT_BYTES_MIN: usize = 5;

/// Reads documents from a stream.
pub(crate) struct BsonFile<R> {
    input: BufReader<R>,
    name: String,
    offset: u64,
}

impl<R: Read> BsonFile<R> {
    pub(crate) fn new(input: R, name: String) -> Self {
        Self {
            input: BufReader::with_capacity(256 * 1024, input),
            name,
            offset: 0,
        }
    }

    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// `Damaged` with the offset of a document that is cut off or no BSON.
    pub(crate) fn next(&mut self) -> Result<Option<RawDocumentBuf>, ArchiveError> {
        let mut length = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.input.read(&mut length[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(self.damaged("the file ends inside of a document")),
                Ok(n) => have += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(DOCUMENT_BYTES_MIN..=kit::limit::DOCUMENT_BYTES_MAX + ROOM_BYTES).contains(&size) {
            return Err(self.damaged(&format!(
                "{} is no document's length",
                i32::from_le_bytes(length)
            )));
        }
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length);
        self.input
            .read_exact(&mut bytes[4..])
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => self.damaged("the file ends inside of a document"),
                _ => self.failed(error),
            })?;
        let document =
            RawDocumentBuf::from_bytes(bytes).map_err(|error| self.damaged(&error.to_string()))?;
        check(&document).map_err(|what| self.damaged(&what))?;
        self.offset += size as u64;
        Ok(Some(document))
    }

    fn damaged(&self, what: &str) -> ArchiveError {
        ArchiveError::Damaged {
            file: self.name.clone(),
            offset: self.offset,
            what: what.to_owned(),
        }
    }

    /// A packed file that is damaged is told by its reader.
    fn failed(&self, error: std::io::Error) -> ArchiveError {
        match error.kind() {
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
                self.damaged(&error.to_string())
            }
            _ => ArchiveError::File {
                place: self.name.clone(),
                error,
            },
        }
    }
}

/// Whether every value of a document can be read.
fn check(document: &RawDocument) -> Result<(), String> {
    fields(document, kit::limit::STORED_DEPTH_MAX)
}

fn fields(document: &RawDocument, depth: usize) -> Result<(), String> {
    for entry in document {
        value(entry.map_err(|error| error.to_string())?.1, depth)?;
    }
    Ok(())
}

fn items(array: &RawArray, depth: usize) -> Result<(), String> {
    for entry in array {
        value(entry.map_err(|error| error.to_string())?, depth)?;
    }
    Ok(())
}

fn value(value: RawBsonRef<'_>, depth: usize) -> Result<(), String> {
    let deeper = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| format!("nested deeper than {} levels", kit::limit::STORED_DEPTH_MAX))
    };
    match value {
        RawBsonRef::Document(document) => fields(document, deeper()?),
        RawBsonRef::Array(array) => items(array, deeper()?),
        RawBsonRef::JavaScriptCodeWithScope(code) => fields(code.scope, deeper()?),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    fn read(bytes: &[u8]) -> Result<Vec<RawDocumentBuf>, ArchiveError> {
        let mut file = BsonFile::new(bytes, "f.bson".to_owned());
        let mut all = Vec::new();
        while let Some(document) = file.next()? {
            all.push(document);
        }
        Ok(all)
    }

    #[test]
    fn damage_is_found_with_its_offset() {
        let one = rawdoc! { "_id": 1, "text": "abc", "list": [1, { "a": "b" }] };
        let two = rawdoc! { "_id": 2 };
        let good = [one.as_bytes(), two.as_bytes()].concat();
        assert_eq!(read(&good).unwrap(), [one.clone(), two.clone()]);
        assert!(read(&[]).unwrap().is_empty());
        let start = one.as_bytes().len() as u64;
        // Cut anywhere inside of the second document.
        for cut in 1..two.as_bytes().len() {
            match read(&good[..one.as_bytes().len() + cut]) {
                Err(ArchiveError::Damaged { offset, file, .. }) => {
                    assert_eq!((offset, file.as_str()), (start, "f.bson"), "{cut}");
                }
                other => panic!("{cut}: {other:?}"),
            }
        }
        // A length that cannot be, an unknown type, a text that is none.
        for (at, byte) in [(3, 0x7f), (0, 2), (4, 0x42), (24, 0xff)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(
                matches!(read(&bad), Err(ArchiveError::Damaged { offset: 0, .. })),
                "{at} {:?}",
                read(&bad)
            );
        }
    }

    #[test]
    fn no_depth_takes_the_stack() {
        let mut deep = rawdoc! {};
        for _ in 0..5000 {
            deep = rawdoc! { "a": deep };
        }
        match read(deep.as_bytes()) {
            Err(ArchiveError::Damaged { what, .. }) => assert!(what.contains("deeper"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}
