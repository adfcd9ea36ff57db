//! PHP's `serialize()` format: the types that JSON has, too.
//!
//! Objects, references and enums are refused: Chevereto stores none for a tenant, and unserializing them is a known way to attack PHP
//! programs. No published crate fits: php_serde 0.6, the newest, has had no release since 2024, prints floats as Rust does, and has no value
//! type that keeps an array's order and its bytes.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroize;

/// How deep arrays may nest. Chevereto's nest three levels.
const MAX_DEPTH: usize = 64;

/// A PHP value. `Debug` shows its type only, since it may hold a secret.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string, which is bytes in PHP.
    Text(Vec<u8>),
    /// An array, in its order. INVARIANT: no key occurs twice.
    Array(Vec<(Key, Value)>),
}

/// The key of an array's entry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// An integer. PHP turns text such as `12` into one.
    Int(i64),
    /// A text that is no decimal integer.
    Text(Vec<u8>),
}

/// The reason why bytes are not a serialized value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhpError {
    /// The bytes do not have the format, or end too soon.
    Malformed,
    /// The value is followed by more bytes.
    Trailing,
    /// The value holds an object, a reference or an enum.
    Unsupported,
    /// Arrays nest deeper than 64 levels.
    TooDeep,
}

impl fmt::Display for PhpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a value that PHP serialized",
            Self::Trailing => "more bytes follow the serialized value",
            Self::Unsupported => "an object or a reference, which no tenant has",
            Self::TooDeep => "arrays nest deeper than 64 levels",
        })
    }
}

impl std::error::Error for PhpError {}

impl Value {
    /// A string.
    #[must_use]
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    /// The string's bytes, if this is a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The entry of an array under a text key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Array(entries) = self else {
            return None;
        };
        let key = Key::from_bytes(key.as_bytes());
        entries.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Whether PHP takes the value as false in a condition.
    #[must_use]
    pub fn is_falsy(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Int(0) => true,
            Self::Float(float) => *float == 0.0,
            Self::Text(bytes) => bytes.is_empty() || bytes == b"0",
            Self::Array(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// Returns what PHP's `serialize()` returns.
    #[must_use]
    pub fn serialize(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend(b"N;"),
            Self::Bool(value) => out.extend(format!("b:{};", u8::from(*value)).bytes()),
            Self::Int(value) => out.extend(format!("i:{value};").bytes()),
            Self::Float(value) => out.extend(format!("d:{};", float(*value)).bytes()),
            Self::Text(bytes) => write_text(out, bytes),
            Self::Array(entries) => {
                out.extend(format!("a:{}:{{", entries.len()).bytes());
                for (key, value) in entries {
                    match key {
                        Key::Int(key) => out.extend(format!("i:{key};").bytes()),
                        Key::Text(key) => write_text(out, key),
                    }
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// Reads what PHP's `serialize()` wrote.
    ///
    /// # Errors
    /// [`PhpError`], if the bytes are anything else than one value of the types above.
    pub fn unserialize(bytes: &[u8]) -> Result<Self, PhpError> {
        let mut reader = Reader(bytes);
        let value = reader.value(0)?;
        if reader.0.is_empty() {
            Ok(value)
        } else {
            Err(PhpError::Trailing)
        }
    }
}

impl Key {
    /// Returns the key that PHP makes of a text: an integer, if the text is one in its shortest form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let number = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .filter(|number| number.to_string().as_bytes() == bytes);
        number.map_or_else(|| Self::Text(bytes.into()), Self::Int)
    }
}

fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("s:{}:\"", bytes.len()).bytes());
    out.extend(bytes);
    out.extend(b"\";");
}

/// Formats a float as PHP does with `serialize_precision=-1`: the shortest digits that give the float back, with an exponent where the
/// decimal point lies more than 17 digits to the right or more than 3 zeros to the left of them.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NAN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.into();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..17).contains(&exponent) {
        return format!("{value}");
    }
    let mut text = String::from(mantissa);
    if !mantissa.contains('.') {
        text.push_str(".0");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a String cannot fail.
    let _ = write!(text, "E{sign}{}", exponent.unsigned_abs());
    text
}

/// The bytes that are not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, PhpError> {
        let kind = self.take(1)?[0];
        match kind {
            b'N' => {
                self.expect(b";")?;
                Ok(Value::Null)
            }
            b'b' => match self.scalar()? {
                "0" => Ok(Value::Bool(false)),
                "1" => Ok(Value::Bool(true)),
                _ => Err(PhpError::Malformed),
            },
            b'i' => Ok(Value::Int(integer(self.scalar()?)?)),
            b'd' => match self.scalar()? {
                "INF" => Ok(Value::Float(f64::INFINITY)),
                "-INF" => Ok(Value::Float(f64::NEG_INFINITY)),
                "NAN" => Ok(Value::Float(f64::NAN)),
                text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => {
                    text.parse()
                        .map(Value::Float)
                        .map_err(|_| PhpError::Malformed)
                }
                _ => Err(PhpError::Malformed),
            },
            b's' => Ok(Value::Text(self.text()?.to_vec())),
            b'a' => self.array(depth),
            b'O' | b'C' | b'E' | b'r' | b'R' | b'S' => Err(PhpError::Unsupported),
            _ => Err(PhpError::Malformed),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, PhpError> {
        if depth == MAX_DEPTH {
            return Err(PhpError::TooDeep);
        }
        self.expect(b":")?;
        let count = self.length()?;
        self.expect(b"{")?;
        // The count is not trusted with an allocation.
        let mut entries = Entries::default();
        for _ in 0..count {
            let key = match self.take(1)?[0] {
                b'i' => Key::Int(integer(self.scalar()?)?),
                b's' => Key::from_bytes(self.text()?),
                _ => return Err(PhpError::Malformed),
            };
            entries.put(key, self.value(depth + 1)?);
        }
        self.expect(b"}")?;
        Ok(Value::Array(entries.entries))
    }

    /// Reads `:<text>;`.
    fn scalar(&mut self) -> Result<&'a str, PhpError> {
        self.expect(b":")?;
        let text = self.until(b';')?;
        std::str::from_utf8(text).map_err(|_| PhpError::Malformed)
    }

    /// Reads `:<length>:"<bytes>";`.
    fn text(&mut self) -> Result<&'a [u8], PhpError> {
        self.expect(b":")?;
        let length = self.length()?;
        self.expect(b"\"")?;
        let bytes = self.take(length)?;
        self.expect(b"\";")?;
        Ok(bytes)
    }

    /// Reads `<length>:`.
    fn length(&mut self) -> Result<usize, PhpError> {
        let digits = self.until(b':')?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(PhpError::Malformed);
        }
        let text = std::str::from_utf8(digits).map_err(|_| PhpError::Malformed)?;
        text.parse().map_err(|_| PhpError::Malformed)
    }

    fn until(&mut self, end: u8) -> Result<&'a [u8], PhpError> {
        // The longest number is a float of some 25 characters.
        let window = &self.0[..self.0.len().min(64)];
        let at = window.iter().position(|b| *b == end);
        let bytes = self.take(at.ok_or(PhpError::Malformed)?)?;
        self.take(1)?;
        Ok(bytes)
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), PhpError> {
        if self.take(wanted.len())? == wanted {
            Ok(())
        } else {
            Err(PhpError::Malformed)
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PhpError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PhpError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// PHP's own integers only: no sign but a minus, no other characters.
fn integer(text: &str) -> Result<i64, PhpError> {
    if text.starts_with('+') {
        return Err(PhpError::Malformed);
    }
    text.parse().map_err(|_| PhpError::Malformed)
}

/// An array that is being read.
#[derive(Default)]
struct Entries {
    entries: Vec<(Key, Value)>,
    places: HashMap<Key, usize>,
}

impl Entries {
    /// Sets an entry as PHP does: a key that is there keeps its place.
    fn put(&mut self, key: Key, value: Value) {
        match self.places.get(&key) {
            Some(place) => self.entries[*place].1 = value,
            None => {
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(…)",
            Self::Int(_) => "Int(…)",
            Self::Float(_) => "Float(…)",
            Self::Text(_) => "Text(…)",
            Self::Array(_) => "Array(…)",
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(key) => write!(f, "{key}"),
            Self::Text(key) => write!(f, "{}", key.escape_ascii()),
        }
    }
}

impl Zeroize for Value {
    fn zeroize(&mut self) {
        match self {
            Self::Text(bytes) => bytes.zeroize(),
            Self::Array(entries) => {
                for (_, value) in entries.iter_mut() {
                    value.zeroize();
                }
                entries.clear();
            }
            scalar => *scalar = Self::Null,
        }
    }
}

/// Reads JSON (or any other format of serde) as PHP's `json_decode` with arrays does: objects keep their order, integers beyond 64 bits
/// become floats.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfJson)
    }
}

struct OfJson;

impl<'de> Visitor<'de> for OfJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "PHP turns an integer that is too large into the nearest float, too"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(value) = seq.next_element()? {
            let index = i64::try_from(entries.len()).map_err(A::Error::custom)?;
            entries.push((Key::Int(index), value));
        }
        Ok(Value::Array(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Entries::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            entries.put(Key::from_bytes(name.as_bytes()), value);
        }
        Ok(Value::Array(entries.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, PhpError, Value};

    fn of_json(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    /// The right side is what PHP 8.2 prints for `serialize(json_decode('…', true))`.
    #[test]
    fn json_becomes_what_php_makes_of_it() {
        for (json, php) in [
            ("null", "N;"),
            ("true", "b:1;"),
            ("-7", "i:-7;"),
            ("9223372036854775807", "i:9223372036854775807;"),
            ("9223372036854775808", "d:9.223372036854776E+18;"),
            ("1.0", "d:1;"),
            ("-0.0", "d:-0;"),
            ("1.5", "d:1.5;"),
            ("0.1", "d:0.1;"),
            ("0.0001", "d:0.0001;"),
            ("0.00001", "d:1.0E-5;"),
            ("1.25e-7", "d:1.25E-7;"),
            ("1e15", "d:1000000000000000;"),
            ("1e16", "d:10000000000000000;"),
            ("123456789012345680", "i:123456789012345680;"),
            ("1e17", "d:1.0E+17;"),
            ("1e18", "d:1.0E+18;"),
            ("1.7976931348623157e308", "d:1.7976931348623157E+308;"),
            ("5e-324", "d:5.0E-324;"),
            ("\"é\"", "s:2:\"é\";"),
            ("[]", "a:0:{}"),
            ("{}", "a:0:{}"),
            ("[\"a\"]", "a:1:{i:0;s:1:\"a\";}"),
            (
                r#"{"1":"a","01":"b","-5":"c","-0":"d","":"e"}"#,
                "a:5:{i:1;s:1:\"a\";s:2:\"01\";s:1:\"b\";i:-5;s:1:\"c\";s:2:\"-0\";s:1:\"d\";s:0:\"\";s:1:\"e\";}",
            ),
            (
                r#"{"a":1,"b":2,"a":3}"#,
                "a:2:{s:1:\"a\";i:3;s:1:\"b\";i:2;}",
            ),
        ] {
            let value = of_json(json);
            let bytes = value.serialize();
            assert_eq!(String::from_utf8_lossy(&bytes), php, "{json}");
            assert_eq!(Value::unserialize(&bytes).unwrap().serialize(), bytes);
        }
    }

    #[test]
    fn bytes_that_php_did_not_serialize_are_refused() {
        for (bad, error) in [
            ("", PhpError::Malformed),
            ("N", PhpError::Malformed),
            ("N;N;", PhpError::Trailing),
            ("b:2;", PhpError::Malformed),
            ("i:;", PhpError::Malformed),
            ("i:+1;", PhpError::Malformed),
            ("i:1 ;", PhpError::Malformed),
            ("i:9223372036854775808;", PhpError::Malformed),
            ("d:x;", PhpError::Malformed),
            ("d:infinity;", PhpError::Malformed),
            ("s:1:\"ab\";", PhpError::Malformed),
            ("s:3:\"ab\";", PhpError::Malformed),
            ("s:-1:\"\";", PhpError::Malformed),
            ("s:18446744073709551615:\"\";", PhpError::Malformed),
            ("s:99999999999999999999:\"\";", PhpError::Malformed),
            ("a:1:{}", PhpError::Malformed),
            ("a:0:{N;}", PhpError::Malformed),
            ("a:1:{N;N;}", PhpError::Malformed),
            ("a:4294967295:{i:0;N;}", PhpError::Malformed),
            ("O:8:\"stdClass\":0:{}", PhpError::Unsupported),
            ("a:1:{i:0;R:1;}", PhpError::Unsupported),
        ] {
            assert_eq!(
                Value::unserialize(bad.as_bytes()).unwrap_err(),
                error,
                "{bad}"
            );
        }
        let nested = |levels: usize| "a:1:{i:0;".repeat(levels) + "N;" + &"}".repeat(levels);
        assert!(Value::unserialize(nested(64).as_bytes()).is_ok());
        assert_eq!(
            Value::unserialize(nested(65).as_bytes()).unwrap_err(),
            PhpError::TooDeep
        );
        assert_eq!(
            Value::unserialize(nested(100_000).as_bytes()).unwrap_err(),
            PhpError::TooDeep
        );
    }

    #[test]
    fn a_number_as_text_finds_its_entry() {
        let value = of_json(r#"{"12":"a","x":"b"}"#);
        assert_eq!(value.get("12").unwrap().as_bytes(), Some(&b"a"[..]));
        assert_eq!(value.get("x").unwrap().as_bytes(), Some(&b"b"[..]));
        assert_eq!(value.get("y"), None);
        assert_eq!(Key::from_bytes(b"12"), Key::Int(12));
    }

    #[test]
    fn debug_output_shows_no_value() {
        let value = of_json(r#"{"SECRET":"hunter2"}"#);
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn falsy_is_what_php_takes_as_false() {
        for (json, falsy) in [
            ("0", true),
            ("1", false),
            ("null", true),
            ("false", true),
            ("\"0\"", true),
            ("\"\"", true),
            ("\"00\"", false),
            ("0.0", true),
            ("[]", true),
            ("[0]", false),
        ] {
            assert_eq!(of_json(json).is_falsy(), falsy, "{json}");
        }
    }
}
