//! Rows of a database, from JavaScript's values into the core's.

use js_sys::{Array, BigInt};
use tenants_core::sql::{Rows, Value};
use wasm_bindgen::{JsCast as _, JsValue};

use crate::error::kind_of;

/// The last integer that a JavaScript number and all before it hold exactly: 2^53 - 1.
const LAST_SAFE: f64 = 9_007_199_254_740_991.0;

/// Reads a list of rows for each statement. A number beyond 2^53 is refused, because it may have been another one before it became a
/// JavaScript number. A `bigint` is exact.
///
/// # Errors
/// Says which value no database returns, without the value: the text goes to the log.
pub(crate) fn read(results: &JsValue) -> Result<Vec<Rows>, String> {
    let mut all = Vec::new();
    for (s, rows) in list(results, || "the results".into())?.iter().enumerate() {
        let mut read = Vec::new();
        for (r, row) in list(&rows, || format!("statement {s}"))?.iter().enumerate() {
            let columns = list(&row, || format!("statement {s}, row {r}"))?;
            let row: Result<Vec<Value>, String> = columns
                .iter()
                .enumerate()
                .map(|(c, value)| {
                    one(&value).ok_or_else(|| {
                        format!(
                            "statement {s}, row {r}, column {c}: expected null, a string, a boolean, a whole number within ±2^53 or a bigint of 64 bits; got {}",
                            kind_of(&value)
                        )
                    })
                })
                .collect();
            read.push(row?);
        }
        all.push(read);
    }
    Ok(all)
}

fn list(value: &JsValue, place: impl FnOnce() -> String) -> Result<&Array, String> {
    value
        .dyn_ref::<Array>()
        .ok_or_else(|| format!("{}: expected an array; got {}", place(), kind_of(value)))
}

fn one(value: &JsValue) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    if let Some(text) = value.as_string() {
        return Some(Value::Text(text));
    }
    if let Some(number) = value.as_f64() {
        if number.abs() <= LAST_SAFE && number.trunc() == number {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
            return Some(Value::Integer(number as i64));
        }
        return None;
    }
    if let Some(flag) = value.as_bool() {
        return Some(flag.into());
    }
    let big = value.dyn_ref::<BigInt>()?.clone();
    i64::try_from(big).ok().map(Value::Integer)
}
