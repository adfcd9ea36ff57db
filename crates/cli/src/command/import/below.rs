//! The parts of a tenant's line that have requests of their own: holds and further hostnames.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tenants_core::value::clock::Timestamp;
use tenants_core::value::hostname::Hostname;

use super::map::raw;
use crate::command::hold;
use crate::output::Fields;
use crate::records::raw_text;

/// A hold of a tenant, or a hostname besides its own: a resource below the tenant's, which a PUT makes so.
#[derive(Debug, Clone)]
pub(super) struct Below {
    /// The path's segment that says what it is: `holds` or `hostnames`.
    pub(super) folder: &'static str,
    /// The kind of the hold, or the hostname in lower case.
    pub(super) name: String,
    /// The body of the PUT.
    pub(super) body: Box<RawValue>,
    /// The end of a hold that has one.
    pub(super) until: Option<Timestamp>,
}

impl Below {
    /// Its path below the tenant's.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    /// The hold that the cron trigger puts on a tenant at its `suspend_at` (contract §16): one of this kind that is there already loses its end.
    pub(super) fn of_suspension(at: &Timestamp, there: Option<&Self>) -> Self {
        let fields = there.and_then(|hold| serde_json::from_str(hold.body.get()).ok());
        let body = match fields {
            None => format!(
                "{{\"reason\":{}}}",
                raw_text(&format!("suspend_at {}", at.as_str()))
            ),
            Some(Fields(fields)) => {
                let kept = fields.iter().filter(|(name, _)| name != "until");
                let kept: Vec<String> = kept
                    .map(|(name, value)| format!("{}:{value}", raw_text(name)))
                    .collect();
                format!("{{{}}}", kept.join(","))
            }
        };
        Self {
            folder: "holds",
            name: SUSPENDED.into(),
            body: raw(&body),
            until: None,
        }
    }
}

/// The kind of the hold of a tenant that is past its `suspend_at`.
pub(super) const SUSPENDED: &str = "non_payment";

/// Reads `holds`, as GET answers them.
///
/// # Errors
/// A sentence, if it is no object, or has a kind that there is not. The API judges the rest.
pub(super) fn holds(value: &RawValue) -> Result<Vec<Below>, String> {
    #[derive(Deserialize)]
    struct End {
        until: Option<String>,
    }

    let holds: Option<Fields> = read("holds", value, "an object of holds by their kinds")?;
    let end = |hold: &RawValue| {
        let end = serde_json::from_str::<End>(hold.get()).ok();
        end.and_then(|end| Timestamp::parse(&end.until?).ok())
    };
    let mut all = Vec::new();
    for (name, body) in holds.map(|Fields(holds)| holds).unwrap_or_default() {
        if !hold::KINDS.contains(&name.as_str()) {
            let kinds = hold::KINDS.join(", ");
            return Err(format!("holds: expected the kinds {kinds}; got `{name}`"));
        }
        all.push(Below {
            folder: "holds",
            name,
            until: end(&body),
            body,
        });
    }
    Ok(all)
}

/// Reads `hostnames`, as GET of a tenant's hostnames answers them. One that is only claimed is left out: it is the tenant's once its owner shows it.
///
/// # Errors
/// A sentence, if it is no such list. The API judges the kinds.
pub(super) fn hostnames(value: &RawValue) -> Result<Vec<Below>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Further {
        hostname: String,
        kind: String,
        claimed_until: Option<String>,
        #[serde(rename = "created_at")]
        _created_at: Option<IgnoredAny>,
        #[serde(rename = "updated_at")]
        _updated_at: Option<IgnoredAny>,
        #[serde(rename = "proof")]
        _proof: Option<IgnoredAny>,
        #[serde(rename = "proof_missing_since")]
        _proof_missing_since: Option<IgnoredAny>,
    }

    let further: Option<Vec<Further>> = read(
        "hostnames",
        value,
        "a list of objects with hostname and kind",
    )?;
    further
        .unwrap_or_default()
        .into_iter()
        .filter(|one| one.claimed_until.is_none())
        .map(|one| {
            let hostname = Hostname::parse(&one.hostname);
            let hostname = hostname.map_err(|detail| format!("hostnames: {detail}"))?;
            Ok(Below {
                folder: "hostnames",
                name: hostname.to_string(),
                body: raw(&format!("{{\"kind\":{}}}", raw_text(&one.kind))),
                until: None,
            })
        })
        .collect()
}

/// Reads JSON, or a string of JSON, as in CSV. `null` is as if absent.
fn read<T: for<'de> Deserialize<'de>>(
    name: &str,
    value: &RawValue,
    expected: &str,
) -> Result<Option<T>, String> {
    let text = serde_json::from_str::<String>(value.get()).ok();
    let text = text.as_deref().unwrap_or(value.get());
    serde_json::from_str(text).map_err(|_| format!("{name}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{Below, holds, hostnames};

    fn shown(read: Result<Vec<Below>, String>) -> Result<Vec<String>, String> {
        let show = |one: Below| format!("{} {}", one.path(), one.body);
        read.map(|all| all.into_iter().map(show).collect())
    }

    fn value(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn holds_are_read_as_they_are() {
        let read = |text: &str| shown(holds(&value(text)));
        let text = r#"{"abuse":{"reason":"spam","message":null,"until":null},
            "non_payment":{"reason":"y","until":"2026-08-18 23:16:58"},"admin":{"until":"soon"}}"#;
        let expected = [
            r#"holds/abuse {"reason":"spam","message":null,"until":null}"#,
            r#"holds/non_payment {"reason":"y","until":"2026-08-18 23:16:58"}"#,
            // The API says what is wrong with it.
            r#"holds/admin {"until":"soon"}"#,
        ];
        assert_eq!(read(text).unwrap(), expected);
        let in_csv = serde_json::to_string(text).unwrap();
        assert_eq!(read(&in_csv).unwrap(), expected);
        for none in ["null", "{}", "\"{}\""] {
            assert!(read(none).unwrap().is_empty(), "{none}");
        }
        for bad in ["[]", "1", "\"x\"", r#"{"other":{"reason":"x"}}"#] {
            assert!(
                read(bad).unwrap_err().starts_with("holds: expected "),
                "{bad}"
            );
        }
    }

    #[test]
    fn further_hostnames_are_read_without_claims() {
        let read = |text: &str| shown(hostnames(&value(text)));
        let text = r#"[{"hostname":"Photos.acme.example","kind":"alias","created_at":"x","updated_at":"x","claimed_until":null,"proof":null,"proof_missing_since":null},
            {"hostname":"www.acme.example","kind":"redirect"},
            {"hostname":"b.example","kind":"alias","claimed_until":"2026-08-24 23:15:57","proof":{"name":"x"}}]"#;
        let expected = [
            r#"hostnames/photos.acme.example {"kind":"alias"}"#,
            r#"hostnames/www.acme.example {"kind":"redirect"}"#,
        ];
        assert_eq!(read(text).unwrap(), expected);
        assert!(read("null").unwrap().is_empty());
        for bad in [
            "{}",
            r#"["a.example"]"#,
            r#"[{"hostname":"a.example"}]"#,
            r#"[{"hostname":"a/b","kind":"alias"}]"#,
            r#"[{"hostname":"a.example","kind":"alias","until":1}]"#,
        ] {
            assert!(read(bad).unwrap_err().starts_with("hostnames: "), "{bad}");
        }
    }
}
