//! Lines of a source round a place in it, for people.

use std::fmt::Write as _;

/// Lines shown before and after the place.
const AROUND: usize = 2;
/// Most characters of a line, round the column: a bundle may be one line.
const LINE_CHARS_MAX: usize = 120;

/// The lines round a place, numbered, with a mark below the column; empty when
/// there is no such line. Line and column are 1-based, the column in
/// characters.
pub fn code_frame(source: &str, line: u32, column: u32) -> String {
    let at = (line as usize).saturating_sub(1);
    let column = (column as usize).saturating_sub(1);
    let first = at.saturating_sub(AROUND);
    let lines: Vec<&str> = source.lines().skip(first).take(2 * AROUND + 1).collect();
    let Some(marked) = lines.get(at - first) else {
        return String::new();
    };
    let start = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown = |line: &str| -> String {
        let part = line.chars().skip(start).take(LINE_CHARS_MAX);
        // What moves the cursor would move the mark.
        let part = part.map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        });
        part.collect::<String>().trim_end().to_owned()
    };
    let width = (first + lines.len()).to_string().len();
    let mut frame = String::new();
    for (index, line) in lines.iter().enumerate() {
        let number = first + index + 1;
        let pointer = if number == at + 1 { '>' } else { ' ' };
        let line = format!("{pointer} {number:width$} | {}", shown(line));
        let _ = writeln!(frame, "{}", line.trim_end());
        if number == at + 1 {
            let before = marked.chars().skip(start).take(column - start);
            let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            let _ = writeln!(frame, "  {:width$} | {indent}^", "");
        }
    }
    frame.truncate(frame.trim_end().len());
    frame
}

#[cfg(test)]
mod tests {
    use super::code_frame;

    #[test]
    fn the_place_is_marked() {
        let source = "one\ntwo\n\tthree = ;\n\nfive\nsix";
        let wanted =
            "  1 | one\n  2 | two\n> 3 | \tthree = ;\n    | \t        ^\n  4 |\n  5 | five";
        assert_eq!(code_frame(source, 3, 10), wanted);
        assert_eq!(code_frame("a", 1, 2), "> 1 | a\n    |  ^");
        assert_eq!(code_frame("é 😀x", 1, 4), "> 1 | é 😀x\n    |    ^");
        let ten = "x\n".repeat(12);
        assert!(code_frame(&ten, 9, 1).contains("\n>  9 | x\n     | ^\n  10 | x"));
    }

    #[test]
    fn no_place_breaks_it() {
        assert_eq!(code_frame("", 1, 1), "");
        assert_eq!(code_frame("a", 2, 1), "");
        for (line, column) in [(0, 0), (1, u32::MAX), (u32::MAX, 1)] {
            code_frame("a\u{1b}[2Jb", line, column);
        }
        assert!(!code_frame("a\u{1b}[2Jb", 1, 1).contains('\u{1b}'));
        let long = code_frame(&"ab".repeat(1 << 20), 1, 1 << 20);
        assert!(long.len() < 400, "{}", long.len());
    }
}
