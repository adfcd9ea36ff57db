//! A record of an import as the request that makes it so.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_chevereto::php::{Key, Value};
use tenants_chevereto::seal::EncryptionKey;
use tenants_core::value::id::{PlanId, TenantId};

use crate::records::{Members, Record, raw_text};

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A plan
    Plan,
    /// A tenant
    Tenant,
}

impl Kind {
    /// The kind's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Tenant => "tenant",
        }
    }

    /// The path of the kind's resources.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Plan => "/tenants-plans",
            Self::Tenant => "/tenants",
        }
    }
}

/// A record that can be sent.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) hostname: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) plan_id: Option<String>,
    /// The request's fields.
    pub(super) fields: Vec<(String, Box<RawValue>)>,
}

impl Row {
    /// The request's body. Without its plan, if the plan is only about to be created.
    pub(super) fn body(&self, without_plan: bool) -> Vec<u8> {
        let mut body = vec![b'{'];
        for (name, value) in &self.fields {
            if without_plan && name == "plan_id" {
                continue;
            }
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(raw_text(name).get().as_bytes());
            body.push(b':');
            body.extend_from_slice(value.get().as_bytes());
        }
        body.push(b'}');
        body
    }
}

/// Members that the service keeps itself. An export has them, and a table of a Chevereto installation.
const READ_ONLY: &[&str] = &[
    "created_at",
    "updated_at",
    "last_job_at",
    "stats",
    "revision",
    "served",
    "holds",
    "site",
];

/// The kind and the id of a record, as far as they are known, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) kind: Kind,
    pub(super) id: Option<String>,
    pub(super) detail: String,
}

/// Reads a record. `other` is the kind of one that does not say.
pub(super) fn row(
    record: Record,
    other: Kind,
    key: Option<&EncryptionKey>,
) -> Result<Row, Unusable> {
    let mut kind = other;
    let mut id = None;
    let read = record
        .members
        .and_then(|members| fields(members, &mut kind, &mut id, key));
    match (read, id) {
        (Ok(fields), Some(id)) => {
            let text = |name: &str| {
                let (_, value) = fields.iter().find(|(known, _)| known == name)?;
                serde_json::from_str::<String>(value.get()).ok()
            };
            Ok(Row {
                line: record.line,
                kind,
                hostname: text("hostname").filter(|_| kind == Kind::Tenant),
                external_id: text("external_id"),
                plan_id: text("plan_id").filter(|id| !id.is_empty()),
                id,
                fields,
            })
        }
        (Ok(_), None) => Err(Unusable {
            kind,
            id: None,
            detail: "id: required; it is missing".into(),
        }),
        (Err(detail), id) => Err(Unusable { kind, id, detail }),
    }
}

fn fields(
    mut members: Members,
    kind: &mut Kind,
    id: &mut Option<String>,
    key: Option<&EncryptionKey>,
) -> Result<Vec<(String, Box<RawValue>)>, String> {
    match members.take_text("type")?.as_deref() {
        Some("plan") => *kind = Kind::Plan,
        Some("tenant") => *kind = Kind::Tenant,
        Some(_) => return Err("type: expected plan or tenant".into()),
        None => {}
    }
    *id = members.take_text("id")?;
    if let Some(id) = id.as_deref() {
        match kind {
            Kind::Plan => PlanId::parse(id).map(drop),
            Kind::Tenant => TenantId::parse(id).map(drop),
        }
        .map_err(|detail| format!("id: {detail}"))?;
    }
    for name in READ_ONLY {
        members.take(name);
    }
    members
        .rest()
        .into_iter()
        .map(|(name, value)| {
            let text = serde_json::from_str::<String>(value.get()).ok();
            let value = match (name.as_str(), text) {
                ("is_enabled", text) => match text.as_deref().unwrap_or(value.get()) {
                    "1" | "true" => raw("true"),
                    "0" | "false" => raw("false"),
                    _ => value,
                },
                ("env", Some(text)) => env(&text, key)?,
                ("limits" | "labels", Some(text)) => nested(&name, &text)?,
                _ => value,
            };
            Ok((name, value))
        })
        .collect()
}

/// Reads a map that is written as JSON in a string, as in CSV.
fn nested(name: &str, text: &str) -> Result<Box<RawValue>, String> {
    // The error names no value, which may be a secret.
    serde_json::from_str(text).map_err(|_| format!("{name}: expected a JSON object"))
}

/// Reads an `env` that is a string: JSON, or encrypted by a Chevereto installation.
fn env(text: &str, key: Option<&EncryptionKey>) -> Result<Box<RawValue>, String> {
    if text.starts_with(['{', '[']) || text == "null" {
        return nested("env", text);
    }
    let Some(key) = key else {
        return Err("env: expected a JSON object; an encrypted one needs --chevereto-key".into());
    };
    let stored = stored_bytes(text)
        .ok_or("env: expected base64, or 0x and hexadecimal digits, of what the database has")?;
    match key.decrypt(&stored) {
        Ok(Value::Array(entries)) => object(&entries),
        Ok(_) => Ok(raw("null")),
        Err(error) => Err(format!("env: {error}")),
    }
}

/// Decodes the bytes of a column: as `TO_BASE64` of MySQL writes them, its `JSON_OBJECT` (`base64:type252:…`), or the exports that write `0x…`.
fn stored_bytes(text: &str) -> Option<Vec<u8>> {
    /// Takes base64 with and without its padding.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if let Some(digits) = text.strip_prefix("0x") {
        return hex::decode(digits).ok();
    }
    let base64 = match text.strip_prefix("base64:type") {
        Some(rest) => rest.split_once(':')?.1,
        None => text,
    };
    // `TO_BASE64` breaks lines.
    let base64: String = base64.split_ascii_whitespace().collect();
    LENIENT.decode(base64).ok()
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

fn raw(json: &str) -> Box<RawValue> {
    // The callers write JSON.
    RawValue::from_string(json.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;
    use tenants_chevereto::seal::EncryptionKey;

    use super::{Kind, row};
    use crate::records::{self, Record};

    fn record(text: &str) -> Record {
        records::read(text.as_bytes()).unwrap().remove(0)
    }

    fn body(text: &str, key: Option<&EncryptionKey>) -> Result<String, String> {
        match row(record(text), Kind::Tenant, key) {
            Ok(row) => Ok(String::from_utf8(row.body(false)).unwrap()),
            Err(unusable) => Err(unusable.detail),
        }
    }

    #[test]
    fn a_record_is_the_body_of_a_put_without_what_the_service_keeps_itself() {
        let line = r#"{"type":"tenant","id":"a","hostname":"a.example.com","is_enabled":1,"plan_id":null,"limits":{"A":1.0e3},"env":{"B":"x"},"labels":{},"created_at":"x","stats":{},"last_job_at":null,"unknown":1}"#;
        assert_eq!(
            body(line, None).unwrap(),
            r#"{"hostname":"a.example.com","is_enabled":true,"plan_id":null,"limits":{"A":1.0e3},"env":{"B":"x"},"labels":{},"unknown":1}"#
        );
        let csv =
            "id,hostname,is_enabled,limits,env\na,a.example.com,0,\"{\"\"A\"\":\"\"1\"\"}\",{}\n";
        assert_eq!(
            body(csv, None).unwrap(),
            r#"{"hostname":"a.example.com","is_enabled":false,"limits":{"A":"1"},"env":{}}"#
        );
        for (bad, detail) in [
            (r#"{"hostname":"a"}"#, "id: required; it is missing"),
            (r#"{"id":7}"#, "id: expected a string"),
            (r#"{"id":"a/b"}"#, "id: "),
            (
                r#"{"type":"key","id":"a"}"#,
                "type: expected plan or tenant",
            ),
            (
                r#"{"id":"a","env":"AAAA"}"#,
                "env: expected a JSON object; an encrypted",
            ),
            (
                r#"{"id":"a","limits":"{hunter2"}"#,
                "limits: expected a JSON object",
            ),
        ] {
            let error = body(bad, None).unwrap_err();
            assert!(error.starts_with(detail), "{error}");
            assert!(!error.contains("hunter2"));
        }
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
            let bytes = super::stored_bytes(stored).unwrap();
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
                let line = serde_json::json!({"id": "a", "env": form}).to_string();
                let got = body(&line, Some(&key));
                if name == "env-typed" {
                    // It has a null and a list, which no variable can be.
                    assert_eq!(got.unwrap_err(), "env/Z: expected a text; got null");
                    continue;
                }
                let got: Json = serde_json::from_str(&got.unwrap()).unwrap();
                assert_eq!(got["env"], vector["env"], "{name}");
                read += 1;
            }
        }
        assert_eq!(read, 19 * 6);
        let wrong = EncryptionKey::parse("8OHSw7SlloeGaVpLPC0eDwARIjNEVWZ3iJmqu8zd7v8=").unwrap();
        let stored = file["vectors"][1]["stored"].as_str().unwrap();
        let line = serde_json::json!({"id": "a", "env": stored}).to_string();
        assert_eq!(
            body(&line, Some(&wrong)).unwrap_err(),
            "env: the encryption key does not decrypt the value"
        );
    }

    /// A column that holds the base64 text, exported as hexadecimal digits.
    fn hex_of_text(stored: &str) -> String {
        format!("0x{}", hex::encode(stored))
    }

    #[test]
    fn numbers_and_booleans_of_php_become_texts() {
        let key = EncryptionKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let sealed = key.encrypt_bytes(
            b"a:4:{s:1:\"I\";i:5;s:1:\"T\";b:1;s:1:\"F\";b:0;s:1:\"D\";d:1.5;}",
            [9; 12],
        );
        let line = format!(r#"{{"id":"a","env":"0x{}"}}"#, hex::encode(sealed));
        assert_eq!(
            body(&line, Some(&key)).unwrap(),
            r#"{"env":{"I":"5","T":"1","F":"0","D":"1.5"}}"#
        );
        // A plan that was made without env.
        let sealed = key.encrypt_bytes(b"N;", [9; 12]);
        let line = format!(r#"{{"id":"a","env":"0x{}"}}"#, hex::encode(sealed));
        assert_eq!(body(&line, Some(&key)).unwrap(), r#"{"env":null}"#);
    }
}
