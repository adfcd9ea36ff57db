//! Batches and rows as JSON, for hosts that reach their database through JavaScript. A batch crosses as one text, and so do its rows.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use serde_json::error::Category;

use super::{Batch, Row, Rows, Statement, Value};

impl Batch {
    /// The statements: `[[text, [value, …]], …]`.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, integers and nulls always encode.
        serde_json::to_string(self.statements()).unwrap_or_default()
    }
}

impl Statement {
    /// The values: `[value, …]`.
    #[must_use]
    pub fn values_to_json(&self) -> String {
        // Strings, integers and nulls always encode.
        serde_json::to_string(self.values()).unwrap_or_default()
    }
}

/// How a statement begins whose rows are JSON arrays, a text each. A host that takes rows from JSON may put such an array itself in the place of
/// its row, since to escape it and to parse it twice costs more than all the rest.
pub const JSON_ROWS: &str = "SELECT json_array(";

/// Parses the rows of a batch's statements: `[[[value, …], …], …]`, a list of rows for each statement. Whole numbers become integers,
/// and `true` and `false` become 1 and 0.
///
/// # Errors
/// A sentence that says where the text is wrong. It quotes nothing of the text, since it goes to the log, and rows must not.
pub fn rows_from_json(text: &str) -> Result<Vec<Rows>, String> {
    let results: Result<Vec<RowsOfOne>, _> = serde_json::from_str(text);
    let results = results.map_err(|error| malformed("rows", &error, text))?;
    Ok(results.into_iter().map(|RowsOfOne(rows)| rows).collect())
}

/// Parses one row: `[value, …]`.
pub(crate) fn row_from_json(text: &str) -> Result<Row, String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    // About as many as a tenant has.
    let row = RowOf { width: 20 }.deserialize(&mut parser);
    row.and_then(|row| parser.end().map(|()| row))
        .map_err(|error| malformed("a row", &error, text))
}

fn malformed(what: &str, error: &serde_json::Error, text: &str) -> String {
    let found = match error.classify() {
        Category::Data => "another value than lists of values",
        Category::Eof => "an early end",
        Category::Syntax | Category::Io => "no JSON",
    };
    let (column, length) = (error.column(), text.len());
    format!("{what} in JSON: {found} at column {column} of {length}")
}

/// The rows of one statement.
struct RowsOfOne(Rows);

impl<'de> Deserialize<'de> for RowsOfOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOfRows;

        impl<'de> Visitor<'de> for ListOfRows {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::new();
                // All rows of a statement have the same width, so reserve room by the last one.
                while let Some(row) = list.next_element_seed(RowOf {
                    width: rows.last().map_or(0, Vec::len),
                })? {
                    rows.push(row);
                }
                Ok(rows)
            }
        }

        deserializer.deserialize_seq(ListOfRows).map(Self)
    }
}

/// Reads a row, with room reserved for `width` values.
struct RowOf {
    width: usize,
}

impl<'de> DeserializeSeed<'de> for RowOf {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowOf {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Row, A::Error> {
        let mut row = Row::with_capacity(self.width);
        while let Some(value) = values.next_element()? {
            row.push(value);
        }
        Ok(row)
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(self.text())?;
        pair.serialize_element(self.values())?;
        pair.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Integer(n) => serializer.serialize_i64(*n),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl Visitor<'_> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a whole number, a boolean or a string")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
                Ok(b.into())
            }

            fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
                Ok(Value::Integer(n))
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
                i64::try_from(n).map(Value::Integer).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Value, E> {
                const LAST_EXACT: f64 = 9_007_199_254_740_992.0;
                if n.abs() <= LAST_EXACT {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_precision_loss,
                        reason = "compared with what it came from"
                    )]
                    {
                        let whole = n as i64;
                        if whole as f64 == n {
                            return Ok(Value::Integer(whole));
                        }
                    }
                }
                Err(E::custom("a number that is not whole"))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(text.into())
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::Value;
    use super::{row_from_json, rows_from_json};

    #[test]
    fn rows_are_parsed_and_invalid_values_are_refused() {
        assert_eq!(
            rows_from_json(r#"[[],[[1,"a\"b",null],[2.0,"é",true]]]"#).unwrap(),
            vec![
                vec![],
                vec![
                    vec![Value::Integer(1), "a\"b".into(), Value::Null],
                    vec![Value::Integer(2), "é".into(), Value::Integer(1)],
                ]
            ]
        );
        // The width of the last row is only a hint.
        assert_eq!(
            rows_from_json("[[[1],[2,3],[]]]").unwrap(),
            vec![vec![
                vec![Value::Integer(1)],
                vec![Value::Integer(2), Value::Integer(3)],
                vec![],
            ]]
        );
        for bad in [
            "",
            "{}",
            "[{}]",
            "[[1]]",
            "[[[1.5]]]",
            "[[[1e300]]]",
            "[[[{}]]]",
            "[[[18446744073709551615]]]",
            "[[]",
        ] {
            assert!(rows_from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_is_parsed_and_nothing_may_follow_it() {
        let row = vec![Value::Integer(1), "a\"b\n".into(), Value::Null];
        assert_eq!(row_from_json(r#"[1,"a\"b\n",null]"#).unwrap(), row);
        for bad in ["", "1", "[1.5]", "[[1]]", "[1", "[1],[2]", "x"] {
            let error = row_from_json(bad).unwrap_err();
            assert!(error.starts_with("a row in JSON: "), "{bad}: {error}");
        }
    }
}
