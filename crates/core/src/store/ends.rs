//! When a tenant is suspended and deleted, and its protection from deletion (contract §16): columns of `tenants`.
//!
//! [`carry_out`] carries out what is past its time. The cron trigger runs it each minute: on a minute with nothing to do it reads no row of a tenant,
//! and writes nothing.

use alloc::format;
use alloc::string::String;

use crate::sql::{Results, Sql};
use crate::store::standing::Judged;
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::patch::Edit;
use crate::wire::json::object;

/// What a request sets.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// When the cron trigger holds the tenant for `non_payment`.
    pub(crate) suspend_at: Edit<Timestamp>,
    /// When the cron trigger deletes the tenant.
    pub(crate) delete_at: Edit<Timestamp>,
    /// Whether nothing deletes the tenant. `None`: as before.
    pub(crate) deletion_protection: Option<bool>,
}

/// What a tenant has.
#[derive(Debug, Default)]
pub(crate) struct StoredEnds {
    pub(crate) suspend_at: Option<String>,
    pub(crate) delete_at: Option<String>,
    pub(crate) deletion_protection: bool,
}

impl Ends {
    /// Everything stays as it is.
    pub(crate) const KEPT: Self = Self {
        suspend_at: Edit::Keep,
        delete_at: Edit::Keep,
        deletion_protection: None,
    };

    /// Whether everything stays as it is.
    pub(crate) fn keep(&self) -> bool {
        self.suspend_at.keeps() && self.delete_at.keeps() && self.deletion_protection.is_none()
    }

    /// The object that the views take. `None` if everything stays.
    pub(crate) fn to_json(&self) -> Option<String> {
        if self.keep() {
            return None;
        }
        Some(object(|out| {
            let times = [
                ("suspend_at", &self.suspend_at),
                ("delete_at", &self.delete_at),
            ];
            let out = times
                .into_iter()
                .filter(|(_, time)| !time.keeps())
                .fold(out, |out, (name, time)| {
                    out.optional_text(name, time.value().map(Timestamp::as_str))
                });
            match self.deletion_protection {
                None => out,
                Some(true) => out.raw("deletion_protection", "true"),
                Some(false) => out.raw("deletion_protection", "false"),
            }
        }))
    }

    /// What a new tenant has.
    pub(crate) fn as_stored(&self) -> StoredEnds {
        let text = |time: &Edit<Timestamp>| time.value().map(|time| time.as_str().into());
        StoredEnds {
            suspend_at: text(&self.suspend_at),
            delete_at: text(&self.delete_at),
            deletion_protection: self.deletion_protection.unwrap_or(false),
        }
    }

    /// What of it differs from a tenant.
    pub(crate) fn change_of(&self, stored: &StoredEnds) -> Self {
        let time = |wanted: &Edit<Timestamp>, stored: Option<&str>| {
            if wanted.value().map(Timestamp::as_str) == stored {
                Edit::Keep
            } else {
                wanted.clone()
            }
        };
        Self {
            suspend_at: time(&self.suspend_at, stored.suspend_at.as_deref()),
            delete_at: time(&self.delete_at, stored.delete_at.as_deref()),
            deletion_protection: self
                .deletion_protection
                .filter(|wanted| *wanted != stored.deletion_protection),
        }
    }
}

impl StoredEnds {
    /// Reads the columns.
    pub(crate) fn decode(row: &mut Judged) -> Result<Self, ApiError> {
        Ok(Self {
            suspend_at: row.optional_text("suspend_at")?,
            delete_at: row.optional_text("delete_at")?,
            deletion_protection: row.boolean("deletion_protection")?,
        })
    }
}

/// How long the cron trigger waits between two runs that do all of its work: ten minutes, but for what two runs may be late.
const UPKEEP: &str = "-570 seconds";

/// What the clock is moved by, to find the last time at which a tenant that cannot be brought back any more was deleted.
pub(crate) fn before(days: u32) -> String {
    format!("-{days} days")
}

/// Carries out what is past its time, up to 200 tenants for each of holds, `suspend_at` and `delete_at`, and wipes up to 200 that cannot be brought
/// back any more. The trigger of the view does it. Returns whether the rest of the cron trigger's work is due: every ten minutes, however often the
/// trigger runs.
pub(crate) fn carry_out(now: &Timestamp, restore_days: u32) -> Sql {
    Sql::new(
        "INSERT INTO carry_out (now, is_due, wiped_until) SELECT ?1, upkeep_at IS NULL OR upkeep_at NOT BETWEEN datetime(?1, ?2) AND ?1, \
         datetime(?1, ?3) FROM registry WHERE id = 1 RETURNING is_due",
    )
    .values([
        now.as_str().into(),
        UPKEEP.into(),
        before(restore_days).into(),
    ])
}

/// Reads the row of [`carry_out`].
pub(crate) fn is_due(results: &mut Results) -> Result<bool, ApiError> {
    results.outcome()?.boolean("is_due")
}
