//! Cuts a text into statements.

use std::borrow::Cow;

/// Returns the statements of a text, without the semicolons at their ends. A trigger ends at a semicolon after an `END` that itself follows
/// a semicolon, as for SQLite's own `sqlite3_complete`.
pub(super) fn statements(text: &str) -> Result<Vec<&str>, String> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    let mut is_trigger = false;
    // Whether the last token was a semicolon, and whether it was an END right after one.
    let (mut after_semicolon, mut after_end) = (false, false);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").ok_or("a comment has no end")? + 2;
                continue;
            }
            b'\'' | b'"' | b'`' => quoted_length(rest).ok_or("a quoted text has no end")?,
            b'[' => rest.find(']').ok_or("a quoted name has no end")? + 1,
            byte if is_of_word(byte) => rest
                .bytes()
                .position(|b| !is_of_word(b))
                .unwrap_or(rest.len()),
            _ => 1,
        };
        let token = &text[at..at + length];
        at += length;
        if token != ";" {
            if start.is_none() {
                start = Some(at - length);
                is_trigger = is_of_trigger(rest);
            }
            after_end = after_semicolon && token.eq_ignore_ascii_case("END");
            after_semicolon = false;
            continue;
        }
        match start {
            Some(from) if !is_trigger || after_end => {
                found.push(text[from..at - 1].trim_end());
                start = None;
                (after_semicolon, after_end) = (false, false);
            }
            Some(_) => after_semicolon = true,
            None => {}
        }
    }
    match start {
        Some(_) => Err("its last statement has no end".into()),
        None => Ok(found),
    }
}

/// Returns the length of the quoted text at the start, with its quotes. A doubled quote is a part of the text.
pub(super) fn quoted_length(text: &str) -> Option<usize> {
    let quote = *text.as_bytes().first()?;
    let mut at = 1;
    loop {
        at += text.as_bytes()[at..].iter().position(|b| *b == quote)? + 1;
        if text.as_bytes().get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn is_of_trigger(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next().unwrap_or("").to_ascii_uppercase();
    next() == "CREATE" && next() == "TRIGGER"
}

/// Returns the name in `CREATE TABLE name` or `CREATE TABLE IF NOT EXISTS "name"`.
pub(super) fn table_name(sql: &str) -> Result<Cow<'_, str>, String> {
    let mut rest = sql;
    for word in ["CREATE", "TABLE", "IF", "NOT", "EXISTS"] {
        let trimmed = rest.trim_start();
        if let Some(after) = trimmed
            .get(..word.len())
            .filter(|start| start.eq_ignore_ascii_case(word))
            .map(|_| &trimmed[word.len()..])
            .filter(|after| after.starts_with([' ', '\n', '\t', '\r']))
        {
            rest = after;
        }
    }
    name(rest.trim_start())
        .map(|(name, _)| name)
        .ok_or_else(|| "a table has no name".into())
}

/// Reads a name at the start of a text, quoted or not. Returns it with the rest.
pub(super) fn name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if text.starts_with(['"', '\'', '`']) {
        let length = quoted_length(text)?;
        let (quote, inner) = (&text[..1], &text[1..length - 1]);
        let doubled = quote.repeat(2);
        let name = if inner.contains(&doubled) {
            Cow::Owned(inner.replace(&doubled, quote))
        } else {
            Cow::Borrowed(inner)
        };
        return Some((name, &text[length..]));
    }
    let length = text
        .bytes()
        .position(|b| !is_of_word(b))
        .unwrap_or(text.len());
    (length > 0).then(|| (Cow::Borrowed(&text[..length]), &text[length..]))
}
