//! Taking over the API keys of a Chevereto installation.
//!
//! A key's text is not needed, and nobody has it but its holder: the key's MAC proves it, under the secret that the installation and this
//! service share. So a row with the key's id and its expiry is enough.

use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::api_key::imported_digest;
use crate::machine::{Context, Effect, Machine, Outcome, Step};
use crate::sql::{Batch, Results};
use crate::store::keys::{self, NewKey};
use crate::task::keys::KeyName;
use crate::task::{TaskError, results};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::run::Run;
use crate::value::scope::Scopes;

/// The highest id to take over. The ids of new keys go on from the highest one, and a key's text has room for 15 digits, so this leaves a thousand
/// times as many.
pub const MAX_ID: i64 = 1_000_000_000_000;

/// A key to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its id, from 1 to [`MAX_ID`].
    pub id: i64,
    /// Its purpose.
    pub name: Option<KeyName>,
    /// The time of its creation, if it is known.
    pub created_at: Option<Timestamp>,
    /// The first second in which it is no longer valid.
    pub expires_at: Option<Timestamp>,
}

/// The outcome for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The key is valid from now on.
    Now,
    /// An earlier import took it over.
    Before {
        /// The time at which it was deleted here, if it was. It stays deleted.
        deleted_at: Option<String>,
    },
    /// Another key has the id. Its row stays as it is.
    Taken,
}

/// Takes over keys, all in one transaction with an audit entry for each. The output has an outcome for each, in their order.
#[derive(Debug)]
pub struct KeyImport {
    batch: Batch,
    count: usize,
}

impl KeyImport {
    /// Begins. The audit entries name the run.
    #[must_use]
    pub fn begin(keys: &[ForeignKey], run: &Run, now: &Timestamp) -> Self {
        let all = Scopes::all();
        let statements = keys.iter().flat_map(|key| {
            let new = NewKey {
                id: key.id,
                name: key.name.as_ref().map(KeyName::as_str),
                digest: &imported_digest(key.id),
                created_at: key.created_at.as_ref().unwrap_or(now),
                expires_at: key.expires_at.as_ref(),
                scopes: &all,
                is_bound: false,
            };
            keys::import(new, run, now)
        });
        Self {
            batch: Batch::of(statements),
            count: keys.len(),
        }
    }
}

impl Machine for KeyImport {
    type Output = Result<Vec<Imported>, TaskError>;

    fn effect(&self) -> Effect<'_> {
        Effect::Batch(&self.batch)
    }

    fn resume(self, outcome: Outcome, _: &mut Context<'_>) -> Step<Self> {
        let imported = results(outcome, &self.batch).and_then(|mut results| {
            (0..self.count)
                .map(|_| imported(&mut results))
                .collect::<Result<_, _>>()
        });
        Step::Done(imported.map_err(TaskError::from))
    }
}

fn imported(results: &mut Results) -> Result<Imported, ApiError> {
    let is_new = results.row()?.is_some();
    results.skip()?;
    let row = results.row()?;
    Ok(match row {
        None => Imported::Taken,
        Some(_) if is_new => Imported::Now,
        Some(mut row) => Imported::Before {
            deleted_at: row.optional_text("deleted_at")?,
        },
    })
}
