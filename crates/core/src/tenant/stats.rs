//! The sixteen statistics of a tenant's site (contract §5).

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Counters of a tenant's own tables; all zero until they were first counted. Integers, exact beyond 2^53 too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// Tags.
    pub tags: u64,
    /// Files.
    pub files: u64,
    /// Pages.
    pub pages: u64,
    /// Users.
    pub users: u64,
    /// Users who are administrators.
    pub admins: u64,
    /// Albums.
    pub albums: u64,
    /// Users who are managers.
    pub managers: u64,
    /// External storages.
    pub storages: u64,
    /// Seconds that the last run of the site's own jobs took.
    pub cron_time: u64,
    /// Categories.
    pub categories: u64,
    /// Likes of files.
    pub file_likes: u64,
    /// Views of files.
    pub file_views: u64,
    /// Likes of albums.
    pub album_likes: u64,
    /// Views of albums.
    pub album_views: u64,
    /// Bytes that the files take.
    pub storage_used: u64,
    /// Login providers.
    pub login_providers: u64,
}

impl Stats {
    /// All of them zero, in JSON.
    pub const ZERO: &'static str = r#"{"tags":0,"files":0,"pages":0,"users":0,"admins":0,"albums":0,"managers":0,"storages":0,"cron_time":0,"categories":0,"file_likes":0,"file_views":0,"album_likes":0,"album_views":0,"storage_used":0,"login_providers":0}"#;

    /// Reads what is stored: a JSON object of all of them.
    ///
    /// # Errors
    /// A sentence where it is not one.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| alloc::format!("is not the statistics in JSON: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn counters_beyond_2_to_the_53_stay_exact() {
        let zero = serde_json::to_string(&Stats::default()).unwrap();
        assert_eq!(zero, Stats::ZERO);
        let large = zero.replace(r#""storage_used":0"#, r#""storage_used":9007199254740993"#);
        let stats = Stats::from_stored(&large).unwrap();
        assert_eq!(serde_json::to_string(&stats).unwrap(), large);
        assert!(Stats::from_stored("{}").is_err());
    }
}
