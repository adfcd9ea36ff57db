//! The registry's answers that the agent reads (contract §15). Unknown members are ignored, so that a newer registry works.

use serde::{Deserialize, Deserializer};
use tenants_chevereto::php::Value;
use zeroize::Zeroizing;

/// A page of changes since a cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) cursor: String,
    pub(crate) more: bool,
    #[serde(default)]
    pub(crate) jobs_waiting: bool,
    pub(crate) gone: Vec<String>,
    pub(crate) tenants: Vec<Entry>,
}

/// A tenant that changed.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// The registry cannot read it.
    Broken { id: String, error: String },
    /// The tenant as the installation caches it.
    Whole(Box<FeedTenant>),
}

/// A tenant as the installation caches it.
#[derive(Debug, Deserialize)]
pub(crate) struct FeedTenant {
    pub(crate) id: String,
    pub(crate) hostname: String,
    pub(crate) hostnames: Vec<String>,
    pub(crate) is_enabled: bool,
    pub(crate) plan_id: Option<String>,
    #[serde(default = "null")]
    pub(crate) limits: Value,
    #[serde(default = "null")]
    pub(crate) env: Value,
    pub(crate) created_at: Option<String>,
    pub(crate) updated_at: Option<String>,
    #[serde(default)]
    pub(crate) last_job_at: Option<String>,
}

fn null() -> Value {
    Value::Null
}

/// The answer of a lease.
#[derive(Debug, Deserialize)]
pub(crate) struct Leased {
    pub(crate) jobs: Vec<Job>,
}

/// A leased job.
#[derive(Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) lease: String,
    pub(crate) tenant_id: String,
    pub(crate) kind: String,
    pub(crate) attempt: u32,
    #[serde(default)]
    pub(crate) input: Option<Input>,
}

/// The input of a job. It holds a password.
#[derive(Deserialize)]
pub(crate) struct Input {
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) email: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(crate) password: Zeroizing<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} of {}", self.kind, self.id, self.tenant_id)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Page};

    /// The example of docs/API.md.
    #[test]
    fn the_contracts_example_is_read() {
        let guide = include_str!("../../../docs/API.md");
        let (_, after) = guide
            .split_once("`GET /cells/{id}/tenants` answers\n\n```json\n")
            .unwrap();
        let (json, _) = after.split_once("```").unwrap();
        let page: Page = serde_json::from_str(json).unwrap();
        assert_eq!(page.gone, ["Shop"]);
        assert!(!page.more && !page.jobs_waiting);
        assert_eq!(page.tenants.len(), 2);
        assert!(matches!(&page.tenants[0], Entry::Whole(t) if t.id == "a" && t.is_enabled));
        assert!(matches!(&page.tenants[1], Entry::Broken { id, .. } if id == "b"));
    }
}
