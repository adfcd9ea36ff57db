//! The two Redis values of a tenant, and their keys.

use crate::php::{Key, Value};

/// The names of the Redis keys of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    root: String,
}

impl Keys {
    /// Takes `CHEVERETO_CACHE_KEY_ROOT_PREFIX`, which is `chv:` unless the installation changes it.
    #[must_use]
    pub fn new(root: impl Into<String>) -> Self {
        Self { root: root.into() }
    }

    /// The prefix of the registry's own keys.
    #[must_use]
    pub fn registry(&self) -> String {
        format!("{}_:", self.root)
    }

    /// The key of a tenant.
    #[must_use]
    pub fn tenant(&self, id: &str) -> String {
        format!("{}_:tenant:{id}", self.root)
    }

    /// The key of a hostname.
    #[must_use]
    pub fn hostname(&self, hostname: &str) -> String {
        format!("{}_:hostname:{hostname}", self.root)
    }

    /// The prefix of the keys that a tenant's own site writes.
    #[must_use]
    pub fn site(&self, id: &str) -> String {
        format!("{}{id}:", self.root)
    }
}

/// A tenant as an installation caches it: ten entries, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// The identifier.
    pub id: String,
    /// The tenant's own hostname.
    pub hostname: String,
    /// The limits, with the plan's under them: an array or null.
    pub limits: Value,
    /// `env` in its encrypted form (see [`crate::seal`]).
    pub env: Option<Vec<u8>>,
    /// Whether the site is served.
    pub is_enabled: bool,
    /// The plan.
    pub plan_id: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS`.
    pub created_at: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS`.
    pub updated_at: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS`.
    pub last_job_at: Option<String>,
    /// The counters: an array, text or null. Chevereto does not read them from here.
    pub stats: Value,
}

impl Tenant {
    /// Returns the array that stands in Redis under [`Keys::tenant`].
    #[must_use]
    pub fn to_value(&self) -> Value {
        let optional = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::text);
        let env = self.env.as_deref().map_or(Value::Null, Value::text);
        let entries = [
            ("id", Value::text(self.id.as_str())),
            ("hostname", Value::text(self.hostname.as_str())),
            ("limits", self.limits.clone()),
            ("env", env),
            ("is_enabled", Value::Int(self.is_enabled.into())),
            ("plan_id", optional(&self.plan_id)),
            ("created_at", optional(&self.created_at)),
            ("updated_at", optional(&self.updated_at)),
            ("last_job_at", optional(&self.last_job_at)),
            ("stats", self.stats.clone()),
        ];
        let entries = entries
            .into_iter()
            .map(|(name, value)| (Key::Text(name.into()), value));
        Value::Array(entries.collect())
    }
}

/// Returns the value that stands in Redis under [`Keys::hostname`]. An id of digits stays a string.
#[must_use]
pub fn hostname_value(id: &str) -> Vec<u8> {
    Value::text(id).serialize()
}
