//! Reads a row: `INSERT INTO "table" ("column",…) VALUES(…);`, as an export writes it.

use std::borrow::Cow;

use super::Row;
use super::split::{name, quoted_length};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `NULL`
    Null,
    /// A number, as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// A blob, as hexadecimal digits in upper case.
    Blob(String),
}

impl Value {
    /// Returns a form in which equal values are equal texts. An export writes the number 2.0 as `2`.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Null => "n".into(),
            Self::Number(digits) => format!("i{}", number(digits)).into(),
            Self::Text(text) => format!("t{text}").into(),
            Self::Blob(digits) => format!("b{digits}").into(),
        }
    }
}

/// The numbers up to which every integer is an `f64`: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn number(digits: &str) -> String {
    if let Ok(integer) = digits.parse::<i64>() {
        return integer.to_string();
    }
    match digits.parse::<f64>() {
        Ok(real) if real.fract() == 0.0 && real.abs() <= EXACT => format!("{real:.0}"),
        Ok(real) => format!("{real:e}"),
        Err(_) => digits.into(),
    }
}

/// Reads a row.
pub(super) fn row(sql: &str) -> Result<Row<'_>, String> {
    const FORM: &str = "a row has another form than in an export";
    let rest = sql.get("INSERT INTO".len()..).ok_or(FORM)?.trim_start();
    let (table, rest) = name(rest).ok_or(FORM)?;
    let mut rest = rest
        .trim_start()
        .strip_prefix('(')
        .ok_or("a row does not name its columns")?;
    let mut columns = Vec::new();
    loop {
        let (column, after) = name(rest.trim_start()).ok_or(FORM)?;
        columns.push(column);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                rest = after.strip_prefix(')').ok_or(FORM)?;
                break;
            }
        }
    }
    let rest = rest.trim_start().strip_prefix("VALUES").ok_or(FORM)?;
    let mut rest = rest.trim_start().strip_prefix('(').ok_or(FORM)?;
    let mut values = Vec::new();
    let mut is_escaped = false;
    loop {
        let (value, escaped, after) = value(rest.trim_start())?;
        values.push(value);
        is_escaped |= escaped;
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                rest = after.strip_prefix(')').ok_or(FORM)?;
                break;
            }
        }
    }
    if !rest.trim().is_empty() || columns.len() != values.len() {
        return Err(FORM.into());
    }
    Ok(Row {
        table,
        columns,
        values,
        is_escaped,
        sql,
    })
}

/// Reads a value at the start of a text. Returns it, whether its line ends were escaped, and the rest.
fn value(text: &str) -> Result<(Value, bool, &str), String> {
    const FORM: &str = "a value has another form than in an export";
    if let Some(inner) = text.strip_prefix("replace(") {
        let (value, _, rest) = value(inner)?;
        let Value::Text(inner) = value else {
            return Err(FORM.into());
        };
        for (escape, call, real) in [
            ("\\n", ",'\\n',char(10))", "\n"),
            ("\\r", ",'\\r',char(13))", "\r"),
        ] {
            if let Some(rest) = rest.strip_prefix(call) {
                return Ok((Value::Text(inner.replace(escape, real)), true, rest));
            }
        }
        return Err(FORM.into());
    }
    // `tenants backup` writes a text like this if the export has lost it.
    if let Some(rest) = text.strip_prefix("CAST(X'") {
        let (digits, rest) = rest.split_once("' AS TEXT)").ok_or(FORM)?;
        let bytes = hex::decode(digits).map_err(|_| FORM)?;
        let inner = String::from_utf8(bytes).map_err(|_| FORM)?;
        return Ok((Value::Text(inner), false, rest));
    }
    if text.starts_with('\'') {
        let length = quoted_length(text).ok_or(FORM)?;
        let inner = text[1..length - 1].replace("''", "'");
        return Ok((Value::Text(inner), false, &text[length..]));
    }
    if let Some(rest) = text.strip_prefix("X'") {
        let (digits, rest) = rest.split_once('\'').ok_or(FORM)?;
        return Ok((Value::Blob(digits.to_ascii_uppercase()), false, rest));
    }
    let end = text.find([',', ')']).ok_or(FORM)?;
    let (word, rest) = text.split_at(end);
    let word = word.trim_end();
    if word == "NULL" {
        return Ok((Value::Null, false, rest));
    }
    match word.parse::<f64>() {
        Ok(_) if word.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) => {
            Ok((Value::Number(word.into()), false, rest))
        }
        _ => Err(FORM.into()),
    }
}

/// Returns the text as an export writes it, before the call that undoes the escapes.
#[must_use]
pub(super) fn escaped(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}
