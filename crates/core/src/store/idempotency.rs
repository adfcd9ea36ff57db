//! `idempotency`: requests with an `Idempotency-Key` that were carried out, until they expire (contract §12).
//!
//! A request that comes again gets the first response again. The response is made from the request, which is the same, and from the values
//! that only the database knew: the row remembers these, in the transaction of the write itself. A secret that was generated for the
//! response is encrypted for its row.

use alloc::format;
use alloc::string::String;

use crate::auth::KeyHolder;
use crate::crypto::fingerprint::{Covered, Fingerprints};
use crate::crypto::seal::Place;
use crate::sql::json::row_from_json;
use crate::sql::{Columns, Results, Sql, Value, unexpected_result};
use crate::store::registry;
use crate::store::standing::{self, Judged, key, standing};
use crate::value::clock::Timestamp;
use crate::value::fault::{ApiError, Internal};
use crate::value::id::TenantId;

const TABLE: &str = "idempotency";

/// The `Idempotency-Key` of a request.
#[derive(Debug, Clone)]
pub(crate) struct Idempotency {
    key: String,
    fingerprint: String,
    /// The fingerprint under the previous secret, during a rotation.
    previous: Option<String>,
    expires_at: Timestamp,
}

impl Idempotency {
    /// Takes the key of a request. Its response is remembered until `expires_at`.
    pub(crate) fn new(
        fingerprints: &Fingerprints,
        covered: Covered<'_>,
        expires_at: Timestamp,
    ) -> Self {
        let (fingerprint, previous) = fingerprints.make(covered);
        Self {
            key: covered.key.into(),
            fingerprint,
            previous,
            expires_at,
        }
    }

    /// The key, to bind.
    pub(crate) fn key(&self) -> Value {
        self.key.as_str().into()
    }

    /// The place of the secret that the response has.
    pub(crate) fn secret_place(&self) -> Place<'_> {
        secret_place(&self.fingerprint)
    }

    /// Adds the fingerprint and the end of a row that a view's trigger writes.
    pub(crate) fn row(&self, sql: Sql) -> Sql {
        sql.bind(self.fingerprint.as_str())
            .sql(", ")
            .bind(self.expires_at.as_str())
    }

    /// Adds the expression of what is remembered to a caller's statement: `NULL`, or a text for [`Past::read`]. `key` and `token` are the
    /// placeholders of the key and of the write's token.
    pub(crate) fn recall(&self, sql: Sql, key: usize, token: Option<usize>) -> Sql {
        let sql = self.of_request(sql.sql("(SELECT json_array("));
        let sql = sql.sql(", fingerprint, expires_at, secret, answer, job_id, ");
        let sql = match token {
            None => sql.sql("0"),
            Some(token) => sql
                .sql("EXISTS (SELECT 1 FROM audit_log WHERE token = ")
                .placeholder(token)
                .sql(")"),
        };
        rows(sql.sql(")"), key).sql(")")
    }

    /// Adds a condition to a caller's statement: whether a response is remembered. `key` is the placeholder of the key.
    pub(crate) fn is_known(sql: Sql, key: usize) -> Sql {
        rows(sql.sql("EXISTS (SELECT 1"), key).sql(" AND length(answer) > 0)")
    }

    /// Adds a condition to a statement of this request's caller: whether the request's key is known.
    pub(crate) fn known(&self, sql: Sql) -> Sql {
        let sql = sql.values([self.key()]);
        let key = sql.bound();
        Self::is_known(sql, key)
    }

    /// Reads what is remembered of a caller's request. [`past`] reads the row.
    pub(crate) fn recalled(&self, holder: &KeyHolder) -> Sql {
        let sql = standing::alone(holder).values([self.key()]);
        let key = sql.bound();
        self.recall(sql.sql(", "), key, None).sql(" AS remembered")
    }

    /// Remembers the response to a request that changes nothing, and shows the `env` of this resource. Returns a row if it was remembered. `answer` is
    /// the expression of the other values and the rows that they come from, up to the id; the row must have one of the revisions, a list in JSON.
    pub(crate) fn remember_unchanged(
        &self,
        holder: &KeyHolder,
        resource: Resource<'_>,
        answer: &'static str,
        revisions: &str,
    ) -> Sql {
        let sql = standing::statement(
            holder,
            "INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, expires_at, tenant_id, secret, answer) SELECT ?1, ",
        );
        let sql = sql.bind(self.key.as_str());
        let key = sql.bound();
        let sql = sql
            .sql(", ")
            .bind(self.fingerprint.as_str())
            .sql(", ")
            .bind(self.expires_at.as_str())
            .sql(", lower(")
            .bind(resource.tenant())
            .sql("), env || ")
            .bind(resource.placed())
            .sql(", ")
            .sql(answer)
            .bind(resource.id)
            .sql(concat!(" AND ", standing!(), " AND "));
        let sql = registry::is_one_of(sql, revisions).sql(" AND NOT ");
        Self::is_known(sql, key).sql(" RETURNING 1 AS is_remembered")
    }

    /// Remembers the values of the response, if the write with this token was made in the same transaction. `answer` adds their expression, the rows that they
    /// come from (those of a resource, if its `env` is remembered), and a condition.
    pub(crate) fn remember(
        &self,
        holder: &KeyHolder,
        token: &str,
        secret: Remembered<'_>,
        answer: impl FnOnce(Sql) -> Sql,
    ) -> Sql {
        let (text, secret, tenant) = match secret {
            Remembered::OfSite { tenant, secret } => (
                remember_into!("tenant_id, secret, ", "lower(?7), ?6, "),
                secret,
                Some(tenant.as_str()),
            ),
            Remembered::EnvOf(resource) => (
                remember_into!("tenant_id, secret, ", "lower(?7), env || ?6, "),
                Some(resource.placed()),
                resource.tenant(),
            ),
        };
        let sql = Sql::new(text)
            .values(self.values(holder, secret))
            .values([tenant.into()]);
        let sql = answer(sql)
            .sql(" AND EXISTS (SELECT 1 FROM audit_log WHERE token = ")
            .bind(token)
            .sql(") AND NOT ");
        Self::is_known(sql, 2)
    }

    /// Remembers the secret of a write of a tenant's site that the statement before it has begun, without an answer, so that the same request
    /// writes the same secret if this one is cut off. A secret of the same request stays, and one that another request has begun with goes.
    pub(crate) fn begin(&self, holder: &KeyHolder, tenant: &TenantId, secret: &str) -> Sql {
        let sql = Sql::new(remember_into!(
            "tenant_id, secret, ",
            "lower(?7), ?6, ?8 WHERE changes() > 0 AND NOT EXISTS (SELECT 1"
        ))
        .values(self.values(holder, Some(secret.into())))
        .values([tenant.as_str(), ""].map(Value::from));
        self.of_request(rows(sql, 2).sql(" AND (length(answer) > 0 OR "))
            .sql("))")
    }

    /// Forgets what [`Self::begin`] has remembered: the request wrote nothing.
    pub(crate) fn forget_begun(&self, holder: &KeyHolder) -> Sql {
        let sql = Sql::new(
            "DELETE FROM idempotency WHERE key_id = ?1 AND key = ?2 AND length(answer) = 0 AND ",
        )
        .values([holder.key_id().into(), self.key()]);
        self.of_request(sql)
    }

    /// Adds a condition: the row is of this very request.
    fn of_request(&self, sql: Sql) -> Sql {
        let sql = sql.sql("fingerprint IN (").bind(self.fingerprint.as_str());
        let sql = match &self.previous {
            None => sql,
            Some(previous) => sql.sql(", ").bind(previous.as_str()),
        };
        sql.sql(")")
    }

    /// What the statements of [`Self::remember`] and [`Self::remember_job`] bind first, from `?1` on. `?3` is the time, for [`Self::is_known`].
    fn values(&self, holder: &KeyHolder, secret: Option<String>) -> [Value; 6] {
        [
            holder.key_id().into(),
            self.key(),
            holder.now().as_str().into(),
            self.fingerprint.as_str().into(),
            self.expires_at.as_str().into(),
            secret.into(),
        ]
    }

    /// Remembers the job of another request, which this one waits for, too. `secret` is the job's password, if the service made it, encrypted.
    pub(crate) fn remember_job(
        &self,
        holder: &KeyHolder,
        job_id: &str,
        secret: Option<String>,
    ) -> Sql {
        let sql = Sql::new(
            "INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, expires_at, secret, answer, job_id) \
             SELECT ?1, ?2, ?4, ?5, ?6, json_array(id), id FROM cell_work WHERE id = ?7 AND state NOT IN (?8, ?9) AND NOT ",
        )
        .values(self.values(holder, secret))
        .values([job_id, FORGOTTEN[0], FORGOTTEN[1]].map(Value::from));
        Self::is_known(sql, 2)
    }

    /// Remembers the values of the response to a write that may have found nothing to change. `answer` adds their expression, the row that they come
    /// from, and a condition.
    pub(crate) fn remember_all(&self, holder: &KeyHolder, answer: impl FnOnce(Sql) -> Sql) -> Sql {
        let sql = standing::statement(
            holder,
            "INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, expires_at, answer) SELECT ?1, ?5, ?6, ?7, ",
        )
        .values([
            self.key(),
            self.fingerprint.as_str().into(),
            self.expires_at.as_str().into(),
        ]);
        let sql = answer(sql).sql(concat!(" AND ", standing::standing!(), " AND NOT "));
        Self::is_known(sql, 5)
    }
}

/// Adds the row of a caller's key that has not expired, if there is one.
fn rows(sql: Sql, key: usize) -> Sql {
    sql.sql(concat!(
        " FROM idempotency WHERE key_id = ",
        key!(id),
        " AND key = "
    ))
    .placeholder(key)
    .sql(concat!(" AND expires_at > ", key!(now)))
}

/// The states of a job that are not remembered: the same request makes another job. (The trigger `cell_work_ended` has them, too.)
const FORGOTTEN: [&str; 2] = ["failed", "cancelled"];

/// The statement that remembers a response, up to its values. The parameters are the columns before `answer`, and their values.
macro_rules! remember_into {
    ($columns:literal, $values:literal) => {
        concat!(
            "INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, expires_at, ",
            $columns,
            "answer) SELECT ?1, ?2, ?4, ?5, ",
            $values
        )
    };
}
use remember_into;

/// The secret of a response.
pub(crate) enum Remembered<'a> {
    /// The password of a user of a tenant's site, encrypted for [`Idempotency::secret_place`], or none. An erasure of the tenant finds the row.
    OfSite {
        tenant: &'a TenantId,
        secret: Option<String>,
    },
    /// The column `env` of this resource, as it is after the write: the response shows it. Only the database knows the text, which stays encrypted
    /// for the resource's own place. So the place follows it.
    EnvOf(Resource<'a>),
}

/// The row of a resource with an `env`, which a response shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
    pub(crate) is_tenant: bool,
}

impl<'a> Resource<'a> {
    /// The tenant that the remembered row belongs to, so that an erasure finds it. `None`: the resource is none.
    fn tenant(self) -> Option<&'a str> {
        self.is_tenant.then_some(self.id)
    }

    /// What follows the encrypted text.
    fn placed(self) -> String {
        format!("{PLACED}{}/{}", self.table, self.id)
    }
}

/// Stands between a text and its place, if that is not the place of the row. No encrypted text has it.
pub(crate) const PLACED: char = '@';

/// The place of a secret. The fingerprint covers the caller and the key, so no two rows share one.
pub(crate) fn secret_place(fingerprint: &str) -> Place<'_> {
    Place {
        table: TABLE,
        row: fingerprint,
        column: "secret",
    }
}

/// The same request, carried out before.
#[derive(Debug)]
pub(crate) struct Past {
    /// The values of the response that only the database knew.
    pub(crate) answer: Columns,
    /// The job of a cell that the request waits for. A job that fails is not remembered any more.
    pub(crate) job_id: Option<String>,
    /// The secret of the response, encrypted for the place of this fingerprint.
    pub(crate) secret: Option<(String, String)>,
    /// It was begun and is not done, as far as is known: there is a secret and no answer.
    pub(crate) is_begun: bool,
    /// Until when it is remembered. `None` if it was an earlier try of the very same request.
    pub(crate) replayed_until: Option<Timestamp>,
}

impl Past {
    /// Reads the column of what is remembered. A row that another request has only begun is nothing: nobody had its answer, and this one takes its place.
    ///
    /// # Errors
    /// 422 if the key belongs to another request.
    pub(crate) fn remembered(row: &mut Columns) -> Result<Option<Self>, ApiError> {
        let text = row.optional_text("remembered")?;
        match text
            .map(|text| Self::of_row("remembered", &text))
            .transpose()?
        {
            Some((past, is_same)) if !is_same && past.is_begun => Ok(None),
            past => past.map(Self::of_same).transpose(),
        }
    }

    /// Reads what [`Idempotency::recall`] finds.
    ///
    /// # Errors
    /// 422 if the key belongs to another request.
    pub(crate) fn read(column: &str, text: &str) -> Result<Self, ApiError> {
        Self::of_row(column, text).and_then(Self::of_same)
    }

    fn of_same((past, is_same): (Self, bool)) -> Result<Self, ApiError> {
        if is_same {
            Ok(past)
        } else {
            Err(ApiError::IdempotencyKeyReused)
        }
    }

    /// Reads what [`Idempotency::recall`] finds, and whether it is of this very request.
    fn of_row(column: &str, text: &str) -> Result<(Self, bool), ApiError> {
        let values = |text: &str| {
            values(text).ok_or_else(|| {
                unexpected_result(format!(
                    "column {column}: expected a remembered response; got another text"
                ))
            })
        };
        let mut row = values(text)?;
        let is_same = row.boolean("is_same")?;
        let fingerprint = row.text("fingerprint")?;
        let expires_at = row.text("expires_at")?;
        let secret = row.optional_text("secret")?;
        let answer = row.text("answer")?;
        let is_begun = answer.is_empty();
        let answer = values(if is_begun { "[]" } else { &answer })?;
        let job_id = row.optional_text("job_id")?;
        let is_own = row.boolean("is_own")?;
        let expires_at = Timestamp::parse(&expires_at).map_err(|_| {
            ApiError::Internal(Internal::Stored {
                place: format!("{TABLE}/{fingerprint}/expires_at"),
                reason: "is not a time".into(),
            })
        })?;
        let past = Self {
            answer,
            job_id,
            secret: secret.map(|secret| (fingerprint, secret)),
            is_begun,
            replayed_until: (!is_own).then_some(expires_at),
        };
        Ok((past, is_same))
    }
}

/// Reads the row of [`Idempotency::recalled`].
///
/// # Errors
/// 401 or 403 by the key's standing, 422 if the key belongs to another request.
pub(crate) fn past(results: &mut Results) -> Result<Option<(Judged, Past)>, ApiError> {
    let mut row = standing::judged(results)?;
    let past = Past::remembered(&mut row)?;
    Ok(past.map(|past| (row, past)))
}

/// Reads a list of values in JSON.
fn values(text: &str) -> Option<Columns> {
    row_from_json(text).ok().map(Columns::new)
}

/// The rows that one run of the cron trigger looks at. The trigger `idempotency_swept` has the same number. Expired rows have no effect, so a run that
/// leaves some does no harm.
const SWEPT_ROWS: i64 = 2000;

/// Deletes what has expired of the next rows, and begins again after the last one.
pub(crate) fn sweep(now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE registry SET swept_at = ?1, (swept_key_id, swept_key) = (SELECT key_id, key FROM idempotency \
         WHERE (key_id, key) > (coalesce(registry.swept_key_id, 0), coalesce(registry.swept_key, ?2)) ORDER BY key_id, key LIMIT 1 OFFSET ?3) \
         WHERE id = 1",
    )
    .values([
        now.as_str().into(),
        "".into(),
        (SWEPT_ROWS - 1).into(),
    ])
}
