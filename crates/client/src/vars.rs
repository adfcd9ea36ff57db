//! Parses files of variables as wrangler parses `.dev.vars`: by the rules of dotenv 16.3, which wrangler bundles.
//!
//! dotenv skips lines that it does not understand. This module reports the first of them instead: without it, a command would go on
//! with another address or another secret than the file's author meant. dotenv also takes `NAME: value` and a byte order mark; this
//! module refuses both.

use std::fmt;

/// A variable of a file, and its line. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The line on which it begins.
    pub line: usize,
    /// The variable's name.
    pub name: String,
    /// Its value, which may be empty.
    pub value: String,
}

/// A line that cannot be used. Its text is not shown, since it may be a part of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line's number.
    pub line: usize,
    /// The reason.
    pub detail: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.detail)
    }
}

/// The character that some editors put at the beginning of a file.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the variables of a file with `NAME=value` lines, comments and empty lines. A value may have quotes and then several lines.
///
/// As in wrangler, the last value of a repeated name counts.
///
/// # Errors
/// Names the first line that is none of these.
pub fn parse(text: &str) -> Result<Vec<Assignment>, LineError> {
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(LineError {
            line: 1,
            detail: "the file begins with a byte order mark; save it as UTF-8 without one".into(),
        });
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut vars = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let after = if rest.starts_with('#') {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else {
            let (name, value, after) = assignment(rest).ok_or_else(|| LineError {
                line,
                detail: "expected NAME=value, a comment (#) or nothing".into(),
            })?;
            vars.push(Assignment {
                line,
                name: name.to_owned(),
                value,
            });
            after
        };
        rest = after.trim_start();
    }
    Ok(vars)
}

/// Reads `NAME=value` at the beginning of a line. Returns the name, the value and the text after it.
fn assignment(text: &str) -> Option<(&str, String, &str)> {
    let mut text = text;
    if let Some(after) = text.strip_prefix("export")
        && after.starts_with([' ', '\t'])
    {
        text = after.trim_start_matches([' ', '\t']);
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))?;
    let (name, after) = text.split_at(end);
    let after = after.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let after = after.trim_start_matches([' ', '\t']);
    if name.is_empty() {
        return None;
    }
    let (value, after) = quoted(after).unwrap_or_else(|| bare(after));
    Some((name, value, after))
}

/// Reads a value in quotes. Only a comment may follow it on its line.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| "'\"`".contains(*c))?;
    let mut escaped = false;
    let (end, _) = text.char_indices().skip(1).find(|&(_, c)| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    let (value, after) = (&text[1..end], &text[end + 1..]);
    let (tail, after) = after.split_once('\n').unwrap_or((after, ""));
    let tail = tail.trim_start();
    (tail.is_empty() || tail.starts_with('#')).then(|| (unescaped(value, quote), after))
}

/// Reads a value without quotes, up to a `#` or the line's end.
fn bare(text: &str) -> (String, &str) {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let value = line.split('#').next().unwrap_or_default().trim();
    let quote = value.chars().next().unwrap_or_default();
    let value = match value.strip_prefix(['\'', '"', '`']) {
        Some(inner) => inner.strip_suffix(quote).unwrap_or(value),
        None => value,
    };
    (unescaped(value, quote), after)
}

fn unescaped(value: &str, quote: char) -> String {
    if quote == '"' {
        value.replace("\\n", "\n").replace("\\r", "\r")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{LineError, parse};

    /// Returns the last value of `A`.
    fn value(text: &str) -> String {
        let mut vars = parse(text).unwrap().into_iter();
        vars.rfind(|var| var.name == "A").unwrap().value
    }

    /// dotenv 16.3.1 reads each of these lines in the same way.
    #[test]
    fn every_form_of_dotenv_is_read_as_dotenv_reads_it() {
        for (text, expected) in [
            ("A=1", "1"),
            ("  A = 1  ", "1"),
            ("export A=1", "1"),
            ("A=", ""),
            ("A=x==", "x=="),
            ("A=x # y", "x"),
            ("A=x#y", "x"),
            ("A='x # y' # z", "x # y"),
            ("A=\"x\\ny\"", "x\ny"),
            ("A='x\\ny'", "x\\ny"),
            ("A=`it's \"it\"`", "it's \"it\""),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=\"a\\\"b\"", "a\\\"b"),
            ("A=\"a\"b", "\"a\"b"),
            ("A='x", "'x"),
            ("A=1\r\nB=2", "1"),
            ("# A=0\n\nA=1\n  # A=2", "1"),
            ("A=0\nA=1", "1"),
            ("A=grüße 世界", "grüße 世界"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_value_does_not_swallow_the_next_line() {
        let vars = parse("A=\nB=2\n").unwrap();
        let vars: Vec<_> = vars
            .iter()
            .map(|var| (var.line, var.name.as_str(), var.value.as_str()))
            .collect();
        assert_eq!(vars, [(1, "A", ""), (2, "B", "2")]);
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named_by_its_number_and_never_shown() {
        for (text, line) in [
            ("hunter2", 1),
            ("A=1\nhunter2: 2", 2),
            ("A=1\r\n\r\n  hunter2 2\r\nB=3", 3),
            ("# comment\n=hunter2", 2),
            ("A='one\ntwo'\nhunter2", 3),
            ("A=\"one\nhunter2", 2),
            ("A=1\n\nexport hunter2\n", 3),
            ("A=1\n{\"A\": \"hunter2\"}", 2),
            ("A=1\n\u{feff}B=hunter2", 2),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("line {line}: expected NAME=value, a comment (#) or nothing"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_named() {
        let LineError { line, detail } = parse("\u{feff}A=1").unwrap_err();
        assert_eq!(line, 1);
        assert!(detail.contains("byte order mark"), "{detail}");
    }
}
