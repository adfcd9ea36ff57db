//! Parses `.dev.vars` as wrangler does: by the rules of dotenv 16.3, which wrangler bundles.

use std::collections::BTreeMap;

/// Returns the variables of a file with `NAME=value` lines and comments. A value may have quotes and then several lines.
///
/// As in wrangler, other lines are skipped, and the last value of a repeated name counts.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut vars = BTreeMap::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        rest = match assignment(rest) {
            Some((name, value, after)) => {
                vars.insert(name.to_owned(), value);
                after
            }
            None => rest.split_once('\n').map_or("", |(_, after)| after),
        };
    }
    vars
}

/// Reads `NAME=value` at the beginning of a line. Returns the name, the value and the text after it.
fn assignment(text: &str) -> Option<(&str, String, &str)> {
    let mut text = text.trim_start();
    if let Some(after) = text.strip_prefix("export")
        && after.starts_with(char::is_whitespace)
    {
        text = after.trim_start();
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
    use super::parse;

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
            ("# A=0\n\nA=1\n# A=2", "1"),
            ("A=0\nA=1", "1"),
            ("no assignment\nA=1", "1"),
            ("A=grüße 世界", "grüße 世界"),
        ] {
            assert_eq!(
                parse(text).get("A").map(String::as_str),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn an_empty_value_does_not_swallow_the_next_line() {
        let vars = parse("A=\nB=2\n=3\nC");
        assert_eq!(vars.len(), 2);
        assert_eq!((vars["A"].as_str(), vars["B"].as_str()), ("", "2"));
    }
}
