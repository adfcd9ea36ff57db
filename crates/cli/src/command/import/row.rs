//! A record of an import as the request that makes it so.

use serde::Serialize;
use serde_json::value::RawValue;
use tenants_chevereto::seal::EncryptionKey;
use tenants_core::value::id::{PlanId, TenantId};

use super::map::{env, limits, nested, raw};
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
                ("env", text) => env(value, text.as_deref(), key)?,
                ("limits", text) => limits(value, text.as_deref())?,
                ("labels", Some(text)) => nested(&name, &text)?,
                _ => value,
            };
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
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
}
