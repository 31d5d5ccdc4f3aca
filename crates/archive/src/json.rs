//! Extended JSON documents one after another: on lines, or in an array.

use std::io::{BufRead, BufReader, Read};

use bson::Document;

use crate::ArchiveError;

/// Bytes of one document's text at most.
const TEXT_BYTES_MAX: usize = 8 * kit::limit::DOCUMENT_BYTES_MAX;

/// Reads documents from a stream.
pub(crate) struct JsonFile<R> {
    input: BufReader<R>,
    name: String,
    line: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    /// Before a document or an array's bracket.
    Before,
    /// Documents with nothing but space between them.
    Lines,
    /// After the bracket: a document or the end.
    First,
    /// After a document: a comma or the end.
    Next,
    /// After a comma: a document.
    Another,
    /// After the closing bracket.
    After,
}

impl<R: Read> JsonFile<R> {
    pub(crate) fn new(input: R, name: String) -> Self {
        Self {
            input: BufReader::with_capacity(256 * 1024, input),
            name,
            line: 1,
            state: State::Before,
        }
    }

    /// The next document and the line that it begins on; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Document)>, ArchiveError> {
        loop {
            let Some(byte) = self.peek()? else {
                return match self.state {
                    State::Before | State::Lines | State::After => Ok(None),
                    _ => Err(self.wrong("the array has no end")),
                };
            };
            let next = match (&self.state, byte) {
                (_, b'\n') => {
                    self.line += 1;
                    None
                }
                (_, b' ' | b'\t' | b'\r') => None,
                // A byte order mark.
                (State::Before, 0xef | 0xbb | 0xbf) if self.line == 1 => None,
                (State::Before | State::Lines, b'{') => {
                    self.state = State::Lines;
                    return self.document().map(Some);
                }
                (State::First | State::Another, b'{') => {
                    self.state = State::Next;
                    return self.document().map(Some);
                }
                (State::Before, b'[') => Some(State::First),
                (State::First | State::Next, b']') => Some(State::After),
                (State::Next, b',') => Some(State::Another),
                (State::After, _) => return Err(self.wrong("something follows the array")),
                (State::Next, _) => return Err(self.wrong("a comma is expected")),
                _ => return Err(self.wrong("a document is expected")),
            };
            self.input.consume(1);
            if let Some(next) = next {
                self.state = next;
            }
        }
    }

    /// Reads on where the object ends whose first brace comes next.
    fn document(&mut self) -> Result<(u64, Document), ArchiveError> {
        let start = self.line;
        let mut text = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
        'all: loop {
            let buffer = self
                .input
                .fill_buf()
                .map_err(ArchiveError::named(&self.name))?;
            if buffer.is_empty() {
                return Err(self.wrong("the file ends inside of a document"));
            }
            for (at, byte) in buffer.iter().enumerate() {
                self.line += u64::from(*byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    b'{' if !quoted => depth += 1,
                    b'}' if !quoted => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    text.extend_from_slice(&buffer[..=at]);
                    self.input.consume(at + 1);
                    break 'all;
                }
            }
            text.extend_from_slice(buffer);
            let used = buffer.len();
            self.input.consume(used);
            if text.len() > TEXT_BYTES_MAX {
                return Err(self.wrong("a document's text is too long"));
            }
        }
        let document = kit::ejson::parse_document(&text).map_err(|error| ArchiveError::Line {
            file: self.name.clone(),
            line: start + (error.line as u64).saturating_sub(1),
            what: error.message,
        })?;
        Ok((start, document))
    }

    fn peek(&mut self) -> Result<Option<u8>, ArchiveError> {
        let buffer = self
            .input
            .fill_buf()
            .map_err(ArchiveError::named(&self.name))?;
        Ok(buffer.first().copied())
    }

    fn wrong(&self, what: &str) -> ArchiveError {
        ArchiveError::Line {
            file: self.name.clone(),
            line: self.line,
            what: what.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn read(text: &str) -> Result<Vec<(u64, Document)>, ArchiveError> {
        // In pieces of one byte, so that no state is lost between two.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let n = self.0.len().min(1).min(out.len());
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let mut file = JsonFile::new(Slow(text.as_bytes()), "f".to_owned());
        let mut all = Vec::new();
        while let Some(next) = file.next()? {
            all.push(next);
        }
        Ok(all)
    }

    #[test]
    fn documents_and_their_lines() {
        let expected = [
            (1, doc! { "a": "}{\"" }),
            (2, doc! { "b": { "c": [1, 2] } }),
            (4, doc! { "d": "\\" }),
        ];
        let one = "{\"a\":\"}{\\\"\"}";
        let two = "{\"b\":{\n\"c\":[1,2]}}";
        let three = "{\"d\":\"\\\\\"}";
        assert_eq!(
            read(&format!("\u{feff}{one}\n{two}\n{three}")).unwrap(),
            expected
        );
        assert_eq!(
            read(&format!("[{one},\n{two}\n,{three}]\n")).unwrap(),
            expected
        );
        assert!(read("").unwrap().is_empty());
        assert!(read("[]").unwrap().is_empty());
        assert_eq!(read("{}{}").unwrap().len(), 2);
    }

    #[test]
    fn mistakes_have_lines() {
        for (text, line) in [
            ("{}\n{\"a\":}\n", 2),
            ("{}\n\n{\"a\":\n1,\n}\n", 5),
            ("{}\n,", 2),
            ("{\"a\": 1", 1),
            ("{}\n[{}]", 2),
            ("x", 1),
            ("[{}\n", 2),
            ("[{}\n{}]", 2),
            ("[{},]", 1),
            ("[{}]\nx", 2),
        ] {
            match read(text) {
                Err(ArchiveError::Line { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
