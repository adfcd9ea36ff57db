//! API keys, without a request: creating, listing, verifying and deleting them.
//!
//! Creating a key takes two batches, because the key holds its row's id under its MAC. The first batch reads the next id. The second one
//! inserts the key's digest under it, unless somebody else got that id meanwhile; then the task begins again. The key itself is in the
//! report and nowhere else.

use alloc::vec::Vec;

use crate::config::Config;
use crate::crypto::api_key::{IssuedKey, KeySecret, issuable};
use crate::crypto::secret::Secret;
use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::{Batch, Columns, Results};
use crate::store::keys::{self, NewKey};
pub use crate::store::keys::{KeyRow, MAX_OVERLAP_SECONDS};
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};
pub use crate::value::key_name::{KeyName, NotAKeyName};
use crate::value::random::Random;
use crate::value::run::Run;
use crate::value::scope::Scopes;
use crate::wire::http::request_id;

/// The number of ids to try. An id is lost if somebody else gets it between the two batches.
const ATTEMPTS: u8 = 5;

/// Creates a key.
#[derive(Debug)]
pub struct KeyCreation {
    secret: KeySecret,
    name: Option<KeyName>,
    expires_at: Option<Timestamp>,
    scopes: Scopes,
    is_bound: bool,
    now: Timestamp,
    run: Run,
    waits_for: WaitsFor,
    batch: Batch,
    attempts_left: u8,
}

#[derive(Debug)]
enum WaitsFor {
    NextId,
    Inserted(CreatedKey),
}

/// A key that is now valid.
#[derive(Debug)]
pub struct CreatedKey {
    /// The id of its row.
    pub id: u64,
    /// The key.
    pub key: IssuedKey,
    /// The signing secret, if the key is bound.
    pub signing_secret: Option<Secret>,
}

impl CreatedKey {
    fn new(
        id: i64,
        is_bound: bool,
        secret: &KeySecret,
        random: &mut dyn Random,
    ) -> Result<Self, ApiError> {
        let id = issuable(id).ok_or_else(|| keys::not_issuable(id))?;
        let key = secret
            .issue(id, random)
            .map_err(|_| ApiError::Internal(Internal::Random))?;
        let signing_secret = is_bound.then(|| secret.signing_secret_of_issued(&key));
        Ok(Self {
            id,
            key,
            signing_secret,
        })
    }
}

impl KeyCreation {
    /// Begins. The key is invalid from `expires_at` on. Its audit entry has a new request id, and no key.
    ///
    /// # Errors
    /// Without `CHEVERETO_TENANTS_API_KEY_SECRET`, without randomness, or if the clock is outside the years 0000 to 9999.
    pub fn begin(
        config: &Config,
        name: Option<KeyName>,
        expires_at: Option<Timestamp>,
        unix_seconds: i64,
        random: &mut dyn Random,
    ) -> Result<Self, TaskError> {
        let secret = config.key_secret().ok_or(ApiError::NotConfigured {
            variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
        })?;
        let now = Timestamp::of_clock(unix_seconds)?;
        let request_id =
            request_id(None, random).map_err(|_| ApiError::Internal(Internal::Random))?;
        Ok(Self {
            secret: secret.clone(),
            name,
            expires_at,
            scopes: Scopes::all(),
            is_bound: false,
            now,
            run: Run::new(request_id),
            waits_for: WaitsFor::NextId,
            batch: keys::next_id(),
            attempts_left: ATTEMPTS,
        })
    }

    /// Returns the id that the current batch inserts a key under, if it inserts one. If the host never learns the batch's result, a key
    /// with this id may exist, although nobody has it.
    #[must_use]
    pub fn inserts(&self) -> Option<u64> {
        match &self.waits_for {
            WaitsFor::NextId => None,
            WaitsFor::Inserted(created) => Some(created.id),
        }
    }

    /// Gives the key these scopes instead of all.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Makes the key a bound one if `is_bound`: it signs whole requests, with the report's signing secret.
    #[must_use]
    pub fn bound(mut self, is_bound: bool) -> Self {
        self.is_bound = is_bound;
        self
    }

    /// Uses the host's own run for the audit entry.
    #[must_use]
    pub fn under(mut self, run: Run) -> Self {
        self.run = run;
        self
    }

    fn insert(mut self, id: i64, random: &mut dyn Random) -> Result<Self, ApiError> {
        let created = CreatedKey::new(id, self.is_bound, &self.secret, random)?;
        let new = NewKey {
            id,
            name: self.name.as_ref().map(KeyName::as_str),
            digest: created.key.digest(),
            created_at: &self.now,
            expires_at: self.expires_at.as_ref(),
            scopes: &self.scopes,
            is_bound: self.is_bound,
        };
        self.batch = keys::insert(new, &self.run);
        self.waits_for = WaitsFor::Inserted(created);
        Ok(self)
    }

    fn again(mut self) -> Result<Self, ApiError> {
        self.attempts_left -= 1;
        if self.attempts_left == 0 {
            return Err(ApiError::Internal(Internal::Rows(
                "somebody else got every id that was free a moment before".into(),
            )));
        }
        self.batch = keys::next_id();
        self.waits_for = WaitsFor::NextId;
        Ok(self)
    }

    fn next(mut self, outcome: Outcome, random: &mut dyn Random) -> Result<Step<Self>, TaskError> {
        let row = results(outcome, &self.batch)?.row()?;
        Ok(
            match core::mem::replace(&mut self.waits_for, WaitsFor::NextId) {
                WaitsFor::NextId => {
                    let mut row = row.ok_or_else(no_id)?;
                    Step::Run(self.insert(row.integer("id")?, random)?)
                }
                WaitsFor::Inserted(created) if row.is_some() => Step::Done(Ok(created)),
                WaitsFor::Inserted(_) => Step::Run(self.again()?),
            },
        )
    }
}

impl Machine for KeyCreation {
    type Output = Result<CreatedKey, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        self.next(outcome, context.random)
            .unwrap_or_else(|error| Step::Done(Err(error)))
    }
}

fn no_id() -> ApiError {
    ApiError::Internal(Internal::Rows("no id for the next key".into()))
}

/// Gives a key another secret under the same id.
#[derive(Debug)]
pub struct KeyRotation {
    secret: KeySecret,
    previous_until: Option<Timestamp>,
    now: Timestamp,
    run: Run,
    rotated: Option<CreatedKey>,
    batch: Batch,
}

impl KeyRotation {
    /// Begins. The secret before stays valid for `overlap_seconds`, at most [`MAX_OVERLAP_SECONDS`], but never past the key's own end.
    ///
    /// # Errors
    /// Without `CHEVERETO_TENANTS_API_KEY_SECRET`, or if the clock is outside the years 0000 to 9999.
    pub fn begin(
        config: &Config,
        id: i64,
        overlap_seconds: u32,
        run: Run,
        unix_seconds: i64,
    ) -> Result<Self, TaskError> {
        let secret = config.key_secret().ok_or(ApiError::NotConfigured {
            variable: "CHEVERETO_TENANTS_API_KEY_SECRET",
        })?;
        let at = |seconds: i64| Timestamp::of_clock(seconds);
        let until = unix_seconds.saturating_add(overlap_seconds.min(MAX_OVERLAP_SECONDS).into());
        Ok(Self {
            secret: secret.clone(),
            previous_until: if overlap_seconds > 0 {
                Some(at(until)?)
            } else {
                None
            },
            now: at(unix_seconds)?,
            run,
            rotated: None,
            batch: keys::by_id(id),
        })
    }

    /// Whether the batch gives the key its new secret. The one before only reads the key.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.rotated.is_some()
    }

    fn next(mut self, outcome: Outcome, random: &mut dyn Random) -> Result<Step<Self>, TaskError> {
        let mut results = results(outcome, &self.batch)?;
        if let Some(rotated) = self.rotated {
            let is_there = results.row()?.is_some();
            return Ok(Step::Done(Ok(is_there.then_some(rotated))));
        }
        let rows = KeyRow::decode_all(&mut results)?;
        let Some(row) = rows.first().filter(|row| row.deleted_at.is_none()) else {
            return Ok(Step::Done(Ok(None)));
        };
        let rotated = CreatedKey::new(row.id, row.bound, &self.secret, random)?;
        let until = self.previous_until.as_ref();
        self.batch = keys::rotate_row(row, rotated.key.digest(), until, &self.run, &self.now)?;
        self.rotated = Some(rotated);
        Ok(Step::Run(self))
    }
}

impl Machine for KeyRotation {
    /// The key under its new secret; `None` if there is no such key.
    type Output = Result<Option<CreatedKey>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, context: &mut Context<'_>) -> Step<Self> {
        self.next(outcome, context.random)
            .unwrap_or_else(|error| Step::Done(Err(error)))
    }
}

/// Reads the rows of keys.
#[derive(Debug)]
pub struct KeyList(Batch);

impl KeyList {
    /// Begins to read all keys, deleted ones too, in the order of their ids.
    #[must_use]
    pub fn all() -> Self {
        Self(keys::all())
    }

    /// Begins to read the key with this id, if it has this digest.
    #[must_use]
    pub fn of(id: i64, digest: &str) -> Self {
        Self(keys::by_digest(id, digest))
    }
}

impl Machine for KeyList {
    type Output = Result<Vec<KeyRow>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.0)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let rows =
            results(outcome, &self.0).and_then(|mut results| KeyRow::decode_all(&mut results));
        Step::Done(rows.map_err(TaskError::from))
    }
}

/// The keys to delete: by id, by name, or by both. A key must match all that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChoice {
    /// The key with this id.
    Id(i64),
    /// All keys with this name.
    Name(KeyName),
    /// The key with this id, if it has this name.
    Both(i64, KeyName),
}

/// Deletes keys. Their rows stay, marked, and each deletion has an audit entry.
#[derive(Debug)]
pub struct KeyDeletion(Batch);

impl KeyDeletion {
    /// Begins. The audit entries name the run.
    #[must_use]
    pub fn begin(choice: &KeyChoice, run: &Run, now: &Timestamp) -> Self {
        let (id, name) = match choice {
            KeyChoice::Id(id) => (Some(*id), None),
            KeyChoice::Name(name) => (None, Some(name)),
            KeyChoice::Both(id, name) => (Some(*id), Some(name)),
        };
        Self(keys::delete(id, name.map(KeyName::as_str), run, now))
    }
}

impl Machine for KeyDeletion {
    /// The ids of the keys that were deleted.
    type Output = Result<Vec<i64>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.0)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let ids = results(outcome, &self.0).and_then(|mut results| deleted(&mut results));
        Step::Done(ids.map_err(TaskError::from))
    }
}

fn deleted(results: &mut Results) -> Result<Vec<i64>, ApiError> {
    results.skip()?;
    results
        .rows()?
        .into_iter()
        .map(|row| Columns::new(row).integer("id"))
        .collect()
}
