//! The maps of an import: `limits`, and `env`, which a Chevereto installation encrypts.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use tenants_chevereto::php::{Key, Value};
use tenants_chevereto::seal::EncryptionKey;

use crate::output::Fields;
use crate::records::raw_text;

/// Reads `limits`. `text` is the value's own text, if it is a string: JSON, as in CSV.
pub(super) fn limits(value: Box<RawValue>, text: Option<&str>) -> Result<Box<RawValue>, String> {
    let map = match text {
        Some(text) => nested("limits", text)?,
        None => value,
    };
    Ok(with_phps_booleans(map))
}

/// Reads a map that is written as JSON in a string, as in CSV.
pub(super) fn nested(name: &str, text: &str) -> Result<Box<RawValue>, String> {
    // The error names no value, which may be a secret.
    serde_json::from_str(text).map_err(|_| format!("{name}: expected a JSON object"))
}

/// Reads `env`. `text` is the value's own text, if it is a string: JSON, or encrypted by a Chevereto installation.
pub(super) fn env(
    value: Box<RawValue>,
    text: Option<&str>,
    key: Option<&EncryptionKey>,
) -> Result<Box<RawValue>, String> {
    let Some(text) = text else {
        return Ok(with_phps_booleans(value));
    };
    if text.starts_with(['{', '[']) || text == "null" {
        return nested("env", text).map(with_phps_booleans);
    }
    let Some(key) = key else {
        return Err("env: expected a JSON object; an encrypted one needs --chevereto-key".into());
    };
    let mut wrong =
        "env: expected base64, or 0x and hexadecimal digits, of what the database has".into();
    for stored in stored_bytes(text) {
        match key.decrypt(&stored) {
            Ok(Value::Array(entries)) => return object(&entries),
            Ok(_) => return Ok(raw("null")),
            Err(error) => wrong = format!("env: {error}"),
        }
    }
    Err(wrong)
}

/// Decodes the bytes of a column: as `TO_BASE64` of MySQL writes them, its `JSON_OBJECT` (`base64:type252:…`), or the exports that write `0x…`. One
/// base64 text in 4,096 begins with `0x` as well, so what can be both has two readings, of which the key decrypts one.
fn stored_bytes(text: &str) -> impl Iterator<Item = Vec<u8>> {
    /// Takes base64 with and without its padding.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let digits = text.strip_prefix("0x");
    let base64 = match text.strip_prefix("base64:type") {
        Some(rest) => rest.split_once(':').map_or("", |(_, base64)| base64),
        None => text,
    };
    // `TO_BASE64` breaks lines.
    let base64: String = base64.split_ascii_whitespace().collect();
    let hexadecimal = digits.and_then(|digits| hex::decode(digits).ok());
    hexadecimal.into_iter().chain(LENIENT.decode(base64).ok())
}

/// Writes a map of PHP as JSON. A boolean becomes 1 or 0, since PHP takes the text `false` as true.
fn object(entries: &[(Key, Value)]) -> Result<Box<RawValue>, String> {
    let mut out = String::from("{");
    for (name, value) in entries {
        let name = match name {
            Key::Int(number) => number.to_string(),
            Key::Text(bytes) => String::from_utf8(bytes.clone())
                .map_err(|_| String::from("env: expected names in UTF-8"))?,
        };
        let text = match value {
            Value::Text(bytes) => String::from_utf8(bytes.clone())
                .map_err(|_| format!("env/{name}: expected UTF-8"))?,
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(is) => if *is { "1" } else { "0" }.into(),
            Value::Null => return Err(format!("env/{name}: expected a text; got null")),
            Value::Array(_) => return Err(format!("env/{name}: expected a text; got an array")),
        };
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(raw_text(&name).get());
        out.push(':');
        out.push_str(raw_text(&text).get());
    }
    out.push('}');
    Ok(raw(&out))
}

/// Writes the booleans of a map as [`object`] does. Anything but a map stays as it is, and the API says what is wrong with it.
fn with_phps_booleans(map: Box<RawValue>) -> Box<RawValue> {
    let Ok(Fields(entries)) = serde_json::from_str(map.get()) else {
        return map;
    };
    let text = |value: &RawValue| match value.get() {
        "true" => Some("\"1\""),
        "false" => Some("\"0\""),
        _ => None,
    };
    if !entries.iter().any(|(_, value)| text(value).is_some()) {
        return map;
    }
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, value)| {
            let value = text(value).unwrap_or(value.get());
            format!("{}:{value}", raw_text(name))
        })
        .collect();
    raw(&format!("{{{}}}", entries.join(",")))
}

pub(super) fn raw(json: &str) -> Box<RawValue> {
    // The callers write JSON.
    RawValue::from_string(json.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::Value as Json;
    use serde_json::value::RawValue;
    use tenants_chevereto::seal::EncryptionKey;

    use super::{limits, raw};

    /// Reads `env`, which JSON lines or CSV have as this text, or as this value.
    fn env(value: &Json, key: Option<&EncryptionKey>) -> Result<String, String> {
        let text = value.as_str();
        super::env(raw(&value.to_string()), text, key).map(|map| map.get().to_owned())
    }

    /// Every `env` that PHP and phpseclib encrypted, in each form in which a column may be exported.
    #[test]
    fn the_env_of_a_chevereto_installation_is_decrypted() {
        let file = include_str!("../../../../../tests/vectors/chevereto.json");
        let file: Json = serde_json::from_str(file).unwrap();
        let mut read = 0;
        for vector in file["vectors"].as_array().unwrap() {
            let (Some(stored), name) = (vector["stored"].as_str(), &vector["name"]) else {
                continue;
            };
            let key = EncryptionKey::parse(vector["key_base64"].as_str().unwrap()).unwrap();
            let bytes = super::stored_bytes(stored).next().unwrap();
            let broken: Vec<&str> = stored
                .as_bytes()
                .chunks(76)
                .map(|chunk| std::str::from_utf8(chunk).unwrap())
                .collect();
            for form in [
                stored.to_owned(),
                stored.trim_end_matches('=').to_owned(),
                broken.join("\n"),
                format!("base64:type252:{stored}"),
                format!("0x{}", hex::encode_upper(&bytes)),
                hex_of_text(stored),
            ] {
                let got = env(&form.into(), Some(&key));
                if name == "env-typed" {
                    // It has a null and a list, which no variable can be.
                    assert_eq!(got.unwrap_err(), "env/Z: expected a text; got null");
                    continue;
                }
                let got: Json = serde_json::from_str(&got.unwrap()).unwrap();
                assert_eq!(got, vector["env"], "{name}");
                read += 1;
            }
        }
        assert_eq!(read, 19 * 6);
        let wrong = EncryptionKey::parse("8OHSw7SlloeGaVpLPC0eDwARIjNEVWZ3iJmqu8zd7v8=").unwrap();
        let stored = file["vectors"][1]["stored"].as_str().unwrap();
        assert_eq!(
            env(&stored.into(), Some(&wrong)).unwrap_err(),
            "env: the encryption key does not decrypt the value"
        );
    }

    /// A column that holds the base64 text, exported as hexadecimal digits.
    fn hex_of_text(stored: &str) -> String {
        format!("0x{}", hex::encode(stored))
    }

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn base64_that_begins_as_hexadecimal_digits_do_is_decrypted() {
        let key = EncryptionKey::parse(KEY).unwrap();
        let sealed = |plain: &[u8], nonce: &str| {
            let nonce = BASE64_STANDARD.decode(nonce).unwrap();
            BASE64_STANDARD.encode(key.encrypt_bytes(plain, nonce.try_into().unwrap()))
        };
        let map = b"a:1:{s:1:\"A\";s:1:\"x\";}";
        let stored = sealed(map, "0xZZZZZZZZZZZZZZ");
        assert!(stored.starts_with("0xZ"));
        assert_eq!(env(&stored.into(), Some(&key)).unwrap(), r#"{"A":"x"}"#);
        // A text that can be read in both ways. Only one of them decrypts.
        let mut texts = (0_u64..).map(|n| sealed(b"a:0:{}", &format!("0x{n:014x}")));
        let both = texts
            .find(|text| hex::decode(text.trim_end_matches('=').trim_start_matches("0x")).is_ok());
        let both = both.unwrap();
        let both = both.trim_end_matches('=');
        assert_eq!(env(&both.into(), Some(&key)).unwrap(), "{}", "{both}");
        for unread in ["0xZZ!", "x", "base64:type252"] {
            let error = env(&unread.into(), Some(&key)).unwrap_err();
            assert!(error.starts_with("env: "), "{error}");
        }
    }

    #[test]
    fn numbers_and_booleans_of_php_become_texts() {
        let key = EncryptionKey::parse(KEY).unwrap();
        let column = |plain: &[u8]| {
            let sealed = key.encrypt_bytes(plain, [9; 12]);
            Json::from(format!("0x{}", hex::encode(sealed)))
        };
        let map = b"a:4:{s:1:\"I\";i:5;s:1:\"T\";b:1;s:1:\"F\";b:0;s:1:\"D\";d:1.5;}";
        assert_eq!(
            env(&column(map), Some(&key)).unwrap(),
            r#"{"I":"5","T":"1","F":"0","D":"1.5"}"#
        );
        // A plan that was made without env.
        assert_eq!(env(&column(b"N;"), Some(&key)).unwrap(), "null");
    }

    #[test]
    fn booleans_in_json_become_what_php_takes_for_them() {
        let map = r#"{"F":false, "T": true,"é\"":"false","N":1.0e3,"L":[true],"F":false}"#;
        let same = r#"{"F":"0","T":"1","é\"":"false","N":1.0e3,"L":[true],"F":"0"}"#;
        let value = |text: &str| serde_json::from_str::<Box<RawValue>>(text).unwrap();
        assert_eq!(limits(value(map), None).unwrap().get(), same);
        assert_eq!(limits(raw("\"\""), Some(map)).unwrap().get(), same);
        assert_eq!(super::env(value(map), None, None).unwrap().get(), same);
        assert_eq!(env(&map.into(), None).unwrap(), same);
        // Any other map keeps its own bytes, and what is no map is the API's to refuse.
        for other in [r#"{ "A":"true","B" :1}"#, "true", "null", "[false]"] {
            assert_eq!(limits(value(other), None).unwrap().get(), other);
        }
    }
}
