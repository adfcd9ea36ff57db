//! An API key is created: a job of two batches, since the key has its row's id in it, under its MAC.
//!
//! The first asks which id comes next. The second inserts the key's digest under it, unless somebody else was given that id
//! meanwhile; then the job begins again. The key itself is in the report and nowhere else.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::auth::key::{IssuedKey, KeySecret};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::http::{Random, request_id};
use crate::job::{Job, JobError, JobStep};
use crate::problem::{ApiError, Internal};
use crate::sql::{Answers, Batch, Rows, Sql};

/// Whose ids are counted.
const TABLE: &str = "api_keys";
/// How long a key's name may be.
const MAX_NAME_CHARACTERS: usize = 255;
/// How often an id that was given away in between is replaced by the next one.
const ATTEMPTS: u8 = 5;

/// What a key is for: 1 to 255 characters, without U+0000, at which SQLite's own functions end a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

/// A text that is no [`KeyName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAKeyName;

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// Where it is empty, too long, or has a U+0000 in it.
    pub fn parse(text: &str) -> Result<Self, NotAKeyName> {
        if (1..=MAX_NAME_CHARACTERS).contains(&text.chars().count()) && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(NotAKeyName)
        }
    }
}

/// A key that is being created.
#[derive(Debug)]
pub struct KeyCreation {
    secret: KeySecret,
    wanted: Wanted,
    waits_for: WaitsFor,
    batch: Batch,
    attempts_left: u8,
}

#[derive(Debug)]
struct Wanted {
    name: Option<KeyName>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
    request_id: String,
}

#[derive(Debug)]
enum WaitsFor {
    NextId,
    Inserted(CreatedKey),
}

/// A key that stands.
#[derive(Debug)]
pub struct CreatedKey {
    /// Its row's id.
    pub id: u64,
    /// The key.
    pub key: IssuedKey,
}

impl KeyCreation {
    /// Begins. The key opens nothing from `expires_at` on. The audit log has it under an id of its own, without a key.
    ///
    /// # Errors
    /// Without `CHEVERETO_TENANTS_API_KEY_SECRET`; where the clock or the randomness is of no use.
    pub fn begin(
        config: &Config,
        name: Option<KeyName>,
        expires_at: Option<Timestamp>,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Result<Self, JobError> {
        let secret = config.key_secret().ok_or(ApiError::NotConfigured {
            variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
        })?;
        let now =
            Timestamp::from_unix(unix_seconds).map_err(|_| ApiError::Internal(Internal::Clock))?;
        let request_id =
            request_id(None, random).map_err(|_| ApiError::Internal(Internal::Random))?;
        Ok(Self {
            secret: secret.clone(),
            wanted: Wanted {
                name,
                expires_at,
                now,
                request_id,
            },
            waits_for: WaitsFor::NextId,
            batch: next_id(),
            attempts_left: ATTEMPTS,
        })
    }

    /// Has the audit log know it by an id of the host's: its run's.
    #[must_use]
    pub fn under(mut self, run_id: &str) -> Self {
        self.wanted.request_id = run_id.into();
        self
    }

    fn insert(mut self, id: u64, random: &mut dyn Random) -> Result<Self, ApiError> {
        let key = self
            .secret
            .issue(id, random)
            .map_err(|_| ApiError::Internal(Internal::Random))?;
        self.batch = insertion(row_id(id)?, &key, &self.wanted);
        self.waits_for = WaitsFor::Inserted(CreatedKey { id, key });
        Ok(self)
    }

    fn again(mut self) -> Result<Self, ApiError> {
        self.attempts_left -= 1;
        if self.attempts_left == 0 {
            return Err(ApiError::Internal(Internal::Rows(
                "every id that was free was another's a moment later".into(),
            )));
        }
        self.batch = next_id();
        self.waits_for = WaitsFor::NextId;
        Ok(self)
    }
}

impl Job for KeyCreation {
    type Report = CreatedKey;

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn resume(
        mut self,
        rows: Result<Vec<Rows>, String>,
        random: &mut dyn Random,
    ) -> Result<JobStep<Self, CreatedKey>, JobError> {
        let mut answers = Answers::of_job(rows, &self.batch)?;
        let row = answers.row()?;
        match core::mem::replace(&mut self.waits_for, WaitsFor::NextId) {
            WaitsFor::NextId => {
                let mut row = row.ok_or_else(no_id)?;
                let id = u64::try_from(row.integer("id")?).map_err(|_| no_id())?;
                Ok(JobStep::Run(self.insert(id, random)?))
            }
            WaitsFor::Inserted(created) if row.is_some() => Ok(JobStep::Done(created)),
            WaitsFor::Inserted(_) => Ok(JobStep::Run(self.again()?)),
        }
    }
}

impl fmt::Display for NotAKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a name of 1 to {MAX_NAME_CHARACTERS} characters without U+0000"
        )
    }
}

fn no_id() -> ApiError {
    ApiError::Internal(Internal::Rows("no id for the next key".into()))
}

fn row_id(id: u64) -> Result<i64, ApiError> {
    i64::try_from(id).map_err(|_| no_id())
}

fn next_id() -> Batch {
    Batch::of_job([Sql::of_nobody(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0) + 1 AS id",
    )
    .values([TABLE.into()])])
}

/// The first statement answers a row where the id was still free; the second writes the audit entry of that.
fn insertion(id: i64, key: &IssuedKey, wanted: &Wanted) -> Batch {
    let now = wanted.now.as_str();
    let name = wanted.name.as_ref().map(|name| name.0.as_str());
    let expires_at = wanted.expires_at.as_ref().map(Timestamp::as_str);
    Batch::of_job([
        Sql::of_nobody(
            "INSERT INTO api_keys (id, name, digest, created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?6 AND seq >= ?1) RETURNING id",
        )
        .values([
            id.into(),
            name.into(),
            key.digest().into(),
            now.into(),
            expires_at.into(),
            TABLE.into(),
        ]),
        Sql::of_nobody(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) \
             SELECT NULL, ?2, CAST(?1 AS TEXT), ?3, ?4 FROM api_keys WHERE id = ?1 AND digest = ?5",
        )
        .values([
            id.into(),
            "api_key.create".into(),
            wanted.request_id.as_str().into(),
            now.into(),
            key.digest().into(),
        ]),
    ])
}
