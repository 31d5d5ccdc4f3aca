//! Places in stack traces as people wrote the code: through the source map that
//! a compiler left in a file, and with columns in characters.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most places of one map; a file with more keeps its own.
const SEGMENTS_MAX: usize = 2_000_000;
/// Most frames of one text that are looked at: stacks are what functions write.
const FRAMES_MAX: usize = 64;
/// Most bytes of a line whose characters are counted.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What a file's last lines have before the map in them.
const COMMENT: &str = "//# sourceMappingURL=data:";

/// The source of a file that runs, and what it was made of.
pub struct Origin {
    source: Arc<str>,
    /// Where its lines begin; none where bytes are characters anyway.
    lines: Vec<usize>,
    map: Option<SourceMap>,
}

impl Origin {
    /// Of the file at `path`; a map is read if there is a good one in it.
    pub fn of(path: &str, source: Arc<str>) -> Self {
        let map = inline(&source).and_then(|json| SourceMap::parse(path, &json));
        let lines = if source.is_ascii() {
            Vec::new()
        } else {
            let breaks = source.match_indices('\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect()
        };
        Self { source, lines, map }
    }

    /// What stands before a column of bytes; none where that is all the same.
    fn before(&self, line: u32, column: u32) -> Option<&str> {
        let begun = *self.lines.get(line.checked_sub(1)? as usize)?;
        let length = column.checked_sub(1)? as usize;
        if length > LINE_BYTES_MAX {
            return None;
        }
        self.source.get(begun..begun + length)
    }

    /// The place that the engine's place stands for: a file where it is another
    /// one, a 1-based line, and a 1-based column in characters.
    fn of_place(&self, line: u32, column: u32) -> (Option<&str>, u32, u32) {
        // The engine counts bytes.
        let before = self.before(line, column);
        if let Some(map) = &self.map {
            let units = before.map_or(column, |before| before.encode_utf16().count() as u32 + 1);
            if let Some((source, line, column)) = map.find(line, units) {
                return (Some(source), line, column);
            }
        }
        let characters = before.map_or(column, |before| before.chars().count() as u32 + 1);
        (None, line, characters)
    }
}

/// A text with stack traces in it, in which each place in a file that `find`
/// knows is the one that people wrote.
pub fn original<'a>(text: &str, find: impl Fn(&str) -> Option<&'a Origin>) -> String {
    let mut frames = 0;
    let lines = text.lines().map(|line| {
        let Some((before, path, at, after)) = place(line).filter(|_| frames < FRAMES_MAX) else {
            return line.to_owned();
        };
        frames += 1;
        let Some(origin) = find(path) else {
            return line.to_owned();
        };
        let (source, line, column) = origin.of_place(at.0, at.1);
        let path = source.unwrap_or(path);
        format!("{before}{path}:{line}:{column}{after}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Takes `    at name (path:line:column)` apart.
fn place(line: &str) -> Option<(&str, &str, (u32, u32), &str)> {
    let frame = line.trim_start();
    if !frame.starts_with("at ") {
        return None;
    }
    let (start, end) = match (line.rfind(" ("), line.ends_with(')')) {
        (Some(open), true) => (open + 2, line.len() - 1),
        _ => (line.len() - frame.len() + "at ".len(), line.len()),
    };
    let inner = line.get(start..end)?;
    let (rest, column) = inner.rsplit_once(':')?;
    let (path, number) = rest.rsplit_once(':')?;
    let at = (number.parse().ok()?, column.parse().ok()?);
    Some((&line[..start], path, at, &line[end..]))
}

/// The map that lies in a file.
fn inline(source: &str) -> Option<Vec<u8>> {
    let mut last = source.lines().rev().map(str::trim);
    // Only at the end, so that no text of the program is taken for it.
    let comment = last.find(|line| !line.is_empty())?;
    let (kind, content) = comment.strip_prefix(COMMENT)?.split_once(',')?;
    let is_json = kind.starts_with("application/json") && kind.ends_with(";base64");
    is_json.then(|| STANDARD.decode(content).ok()).flatten()
}

/// A source map, version 3.
struct SourceMap {
    sources: Vec<String>,
    segments: Vec<Segment>,
    /// Where each line's segments begin.
    lines: Vec<usize>,
}

/// From this column of a line on, in UTF-16 units from 0.
#[derive(Clone, Copy)]
struct Segment {
    column: u32,
    /// The source, and the 0-based line and column in it.
    origin: Option<(u32, u32, u32)>,
}

#[derive(serde::Deserialize)]
struct Json {
    version: u32,
    #[serde(default, rename = "sourceRoot")]
    root: Option<String>,
    sources: Vec<Option<String>>,
    mappings: String,
}

impl SourceMap {
    fn parse(path: &str, json: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(json).ok()?;
        if json.version != 3 {
            return None;
        }
        let root = json.root.unwrap_or_default();
        let sources = json.sources.iter();
        let sources = sources
            .map(|source| resolved(path, &root, source.as_deref().unwrap_or_default()))
            .collect();
        let mut map = Self {
            sources,
            segments: Vec::new(),
            lines: Vec::new(),
        };
        map.read(json.mappings.as_bytes())?;
        Some(map)
    }

    /// Reads the mappings: lines with `;` between them, segments with `,`,
    /// each some numbers that count from those before.
    fn read(&mut self, mappings: &[u8]) -> Option<()> {
        let [mut source, mut line, mut column] = [0i64; 3];
        for text in mappings.split(|byte| *byte == b';') {
            self.lines.push(self.segments.len());
            let mut generated = 0i64;
            for segment in text
                .split(|byte| *byte == b',')
                .filter(|text| !text.is_empty())
            {
                if self.segments.len() == SEGMENTS_MAX {
                    return None;
                }
                let mut numbers = Numbers(segment);
                generated += numbers.next()??;
                let origin = match numbers.next() {
                    None => None,
                    Some(moved) => {
                        source += moved?;
                        line += numbers.next()??;
                        column += numbers.next()??;
                        let known = usize::try_from(source).ok()? < self.sources.len();
                        known.then_some((
                            u32::try_from(source).ok()?,
                            u32::try_from(line).ok()?,
                            u32::try_from(column).ok()?,
                        ))
                    }
                };
                self.segments.push(Segment {
                    column: u32::try_from(generated).ok()?,
                    origin,
                });
            }
            let begun = self.lines[self.lines.len() - 1];
            self.segments[begun..].sort_by_key(|segment| segment.column);
        }
        Some(())
    }

    /// The source, line and column of a place; all 1-based.
    fn find(&self, line: u32, column: u32) -> Option<(&str, u32, u32)> {
        let line = line.checked_sub(1)? as usize;
        let begun = *self.lines.get(line)?;
        let ended = self.lines.get(line + 1).copied();
        let segments = &self.segments[begun..ended.unwrap_or(self.segments.len())];
        let column = column.checked_sub(1)?;
        let after = segments.partition_point(|segment| segment.column <= column);
        let (source, line, column) = segments.get(after.checked_sub(1)?)?.origin?;
        Some((&self.sources[source as usize], line + 1, column + 1))
    }
}

/// A source's path: relative ones are seen from the file that has the map.
fn resolved(path: &str, root: &str, source: &str) -> String {
    let root = match root.strip_suffix('/').unwrap_or(root) {
        "" => String::new(),
        root => format!("{root}/"),
    };
    let whole = format!("{root}{source}");
    if whole.starts_with('/') || whole.contains("://") {
        return whole;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Numbers in base 64, with their signs in the last bit and six bits to a digit.
struct Numbers<'a>(&'a [u8]);

impl Iterator for Numbers<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let Some((digit, rest)) = self.0.split_first() else {
                return Some(None);
            };
            self.0 = rest;
            let digit = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return Some(None),
            };
            // No number of a map has more than 32 bits.
            if shift > 30 {
                return Some(None);
            }
            value |= i64::from(digit & 31) << shift;
            shift += 5;
            if digit & 32 == 0 {
                let size = value >> 1;
                return Some(Some(if value & 1 == 0 { size } else { -size }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `source` with a map in it.
    fn with_map(source: &str, map: &str) -> Arc<str> {
        let map = STANDARD.encode(map);
        format!("{source}\n{COMMENT}application/json;charset=utf-8;base64,{map}\n").into()
    }

    fn shown(origin: &Origin, trace: &str) -> String {
        original(trace, |path| (path == "functions/a.js").then_some(origin))
    }

    #[test]
    fn places_go_through_the_map() {
        // Three places, and one that has no origin.
        let map = r#"{"version":3,"sources":["../src/a.ts",null],"names":[],"mappings":"AAAA,QAEI;AAIA,C"}"#;
        let source = with_map("aaaaaaaaaaaaaaaaaaaaaaa\nbbb", map);
        let origin = Origin::of("functions/a.js", source);
        let trace = "Error: a\n    at f (functions/a.js:1:1)\n    at g (functions/a.js:1:12)\n    at functions/a.js:2:1\n    at i (functions/a.js:2:2)\n    at h (other.js:1:1)\nCaused by: x";
        let wanted = "Error: a\n    at f (src/a.ts:1:1)\n    at g (src/a.ts:3:5)\n    at src/a.ts:7:5\n    at i (functions/a.js:2:2)\n    at h (other.js:1:1)\nCaused by: x";
        assert_eq!(shown(&origin, trace), wanted);
    }

    #[test]
    fn columns_count_characters() {
        let origin = Origin::of("functions/a.js", "'é😀'; x()".into());
        let shown = shown(&origin, "    at f (functions/a.js:1:11)");
        assert_eq!(shown, "    at f (functions/a.js:1:7)");
    }

    #[test]
    fn maps_that_are_wrong_are_none() {
        for map in [
            "",
            "[]",
            r#"{"version":2,"sources":["a"],"mappings":"AAAA"}"#,
            r#"{"version":3,"sources":["a"],"mappings":"A!AA"}"#,
            r#"{"version":3,"sources":["a"],"mappings":"gggggggggggggggg"}"#,
            r#"{"version":3,"sources":["a"],"mappings":"AADA"}"#,
            r#"{"version":3,"sources":["a"],"mappings":"AA"}"#,
            r#"{"version":3,"sources":["a"],"mappings":"D"}"#,
            r#"{"version":3,"sources":[],"mappings":"AAAA"}"#,
        ] {
            let origin = Origin::of("functions/a.js", with_map("abc", map));
            let trace = "    at f (functions/a.js:1:2)";
            assert_eq!(shown(&origin, trace), trace, "{map}");
        }
        // A text that only looks like one.
        for source in [
            "//# sourceMappingURL=data:application/json;base64,!",
            "//# sourceMappingURL=a.map",
            "",
        ] {
            assert!(Origin::of("a.js", source.into()).map.is_none());
        }
    }

    #[test]
    fn what_is_no_frame_stays() {
        let origin = Origin::of("functions/a.js", "a".into());
        for text in [
            "",
            "at",
            "    at ",
            "    at f (functions/a.js)",
            "    at f (functions/a.js:1)",
            "    at f (functions/a.js:x:1)",
            "    at f (functions/a.js:99999999999:1)",
            "    at f (functions/a.js:0:0",
            "é at (",
        ] {
            assert_eq!(shown(&origin, text), text);
        }
        // Neither is what many of them would cost.
        let line = "    at f (functions/a.js:1:1048575)\n";
        let origin = Origin::of("functions/a.js", "é".repeat(1 << 20).into());
        let shown = shown(&origin, &line.repeat(100_000));
        assert_eq!(shown.matches(":524288)").count(), FRAMES_MAX);
        assert!(shown.ends_with(line.trim_end()));
    }

    #[test]
    fn sources_are_seen_from_the_file() {
        for (root, source, wanted) in [
            ("", "a.ts", "functions/deep/a.ts"),
            ("", "../../src/a.ts", "src/a.ts"),
            ("", "../../../a.ts", "../a.ts"),
            ("../../src/", "./a.ts", "src/a.ts"),
            ("", "webpack:///./src/a.ts", "webpack:///./src/a.ts"),
            ("/root", "a.ts", "/root/a.ts"),
        ] {
            assert_eq!(resolved("functions/deep/b.js", root, source), wanted);
        }
    }
}
