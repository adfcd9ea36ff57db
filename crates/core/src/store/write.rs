//! The writes of the API: one statement each.
//!
//! A write inserts a row into one of the views of `schema_writes.sql`. The row holds the request, its caller's standing, and the obstacles that the
//! statement found. If there is no obstacle, the view's trigger carries the write out, and writes its audit entry. `RETURNING` answers
//! the standing and the obstacles. So no write can forget the caller's key or its entry.
//!
//! A database that fails may have committed the write all the same. So every write carries a random token into its audit entry, where it is
//! unique, and does nothing if the log has the token already. The same batch can therefore run again: it makes the write if the first try
//! did not, and [`Written`] has the answer either way.

use alloc::format;
use alloc::string::String;
use core::ops::{Deref, DerefMut};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Caller;
use crate::sql::{Batch, Results, Sql, Value, unexpected_result};
use crate::store::idempotency::{Idempotency, Past};
use crate::store::registry;
use crate::store::sealed::placed;
use crate::store::standing::{self, Judged};
use crate::value::fault::{ApiError, Internal};
use crate::value::random::{Random, RandomUnavailable};
use crate::wire::conditional::Version;

/// Stands between the session and the random part of a token. Neither has it.
const OF_SESSION: char = '.';

/// The random part of the token of an entry. A reader of events learns no more of its author.
pub(crate) fn random_part(token: &str) -> &str {
    token
        .rsplit_once(OF_SESSION)
        .map_or(token, |(_, random)| random)
}

/// A caller that writes, in a request of this id.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    caller: Caller,
    request_id: String,
    token: String,
    idempotency: Option<Idempotency>,
    /// The revisions of which the resource must have one, as a list in JSON. `None` if any will do.
    revisions: Option<String>,
}

impl Writer {
    /// The length of a token, in bytes: as many as a random UUID has, since no two writes may ever share one.
    const TOKEN_BYTES: usize = 16;

    /// Gives a caller's write its token.
    pub(crate) fn new(
        caller: &Caller,
        request_id: &str,
        idempotency: Option<&Idempotency>,
        random: &mut dyn Random,
    ) -> Result<Self, ApiError> {
        let mut bytes = [0; Self::TOKEN_BYTES];
        random
            .fill(&mut bytes)
            .map_err(|RandomUnavailable| ApiError::Internal(Internal::Random))?;
        let mut token = URL_SAFE_NO_PAD.encode(bytes);
        // So the entry says which session wrote it, whichever trigger writes the entry.
        if let Some(session) = caller.session_id() {
            token = format!("{session}{OF_SESSION}{token}");
        }
        Ok(Self {
            caller: caller.clone(),
            request_id: request_id.into(),
            token,
            idempotency: idempotency.cloned(),
            revisions: None,
        })
    }

    /// The same writer, if the resource has one of these revisions, a list in JSON.
    pub(crate) fn if_one_of(self, revisions: Option<String>) -> Self {
        Self { revisions, ..self }
    }

    /// The revisions of which the resource must have one, as a list in JSON. `None` if any will do.
    pub(crate) fn revisions(&self) -> Option<&str> {
        self.revisions.as_deref()
    }

    /// The id of the request.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The request's `Idempotency-Key`.
    pub(crate) fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_ref()
    }

    /// The token of the write.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Deref for Writer {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// The text of a write, in parts: the token's placeholder comes after those of the write's own values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteText {
    pub(crate) columns: &'static str,
    pub(crate) values: &'static str,
    /// The rows that the values come from: `FROM` and what follows it. Empty if there are none.
    pub(crate) from: &'static str,
    pub(crate) returning: &'static str,
    /// What to remember of the response, for a request with an `Idempotency-Key`: the values that `returning` has after the obstacles, as a
    /// list in JSON, as they are before the write. The view's trigger adds the write's revision, which comes last. `None` if a statement after
    /// this one remembers the response.
    pub(crate) answer: Option<&'static str>,
    /// The start of the condition that the resource has none of the revisions that the request wants ([`registry::is_stale!`]). `None` if the write has
    /// no resource to compare.
    pub(crate) is_stale: Option<&'static str>,
}

/// The placeholder of the request's id in a write. A write's own values follow it.
macro_rules! request_id {
    () => {
        "?5"
    };
}

/// The text of a write. `$columns` and `$values` begin with the obstacles. `$returning` names the columns to return: the obstacles, and then
/// those of `$answer`, if there are any. `$standing` is the caller's, if it is not that of the route's scopes.
macro_rules! write_into {
    ($view:literal, $columns:literal, $values:expr, $returning:expr) => {
        $crate::store::write::write_into!($view, $columns, $values, $returning, "json_array()")
    };
    ($view:literal, $columns:literal, $values:expr, $returning:expr, $answer:expr) => {
        $crate::store::write::write_into!(
            $crate::store::standing::standing!(),
            $view,
            $columns,
            $values,
            $returning,
            $answer
        )
    };
    ($standing:expr, $view:literal, $columns:literal, $values:expr, $returning:expr, $answer:expr) => {
        $crate::store::write::WriteText {
            columns: concat!(
                "INSERT INTO ",
                $view,
                " (key_id, request_id, now, key_stands, ",
                $columns,
                ", token, is_done"
            ),
            values: concat!(
                $crate::store::standing::key!(id),
                ", ",
                $crate::store::write::request_id!(),
                ", ",
                $crate::store::standing::key!(now),
                ", ",
                $standing,
                ", ",
                $values,
                ", "
            ),
            from: "",
            returning: $returning,
            answer: Some($answer),
            is_stale: None,
        }
    };
}

/// The id of the row of a table that holds a taken value, or `NULL` if the value is free. Nothing is looked up if it is free.
macro_rules! holder {
    ($is_taken:literal, $table:literal, $condition:literal) => {
        concat!(
            "iif(",
            $is_taken,
            ", (SELECT id FROM ",
            $table,
            " WHERE ",
            $condition,
            "), NULL)"
        )
    };
}

/// The labels of the row `?6` of a table, after the merge of the patch in this parameter.
macro_rules! merged_labels {
    ($table:literal, $patch:literal) => {
        concat!(
            "json_patch((SELECT labels FROM ",
            $table,
            " WHERE id = ?6), ",
            $patch,
            ")"
        )
    };
}

/// Whether the merged labels keep within `MAX_LABELS` and `MAX_LABELS_BYTES` of `wire/labels.rs`.
macro_rules! labels_fit {
    ($table:literal, $patch:literal) => {
        concat!(
            "(SELECT count(*) FROM json_each(",
            $crate::store::write::merged_labels!($table, $patch),
            ")) <= 32 AND coalesce(length(CAST(replace(",
            $crate::store::write::merged_labels!($table, $patch),
            ", char(39), char(39, 39)) AS BLOB)), 0) <= 12000"
        )
    };
}

pub(crate) use {holder, labels_fit, merged_labels, request_id, write_into};

/// A write. `text` comes from [`write_into!`], and `values` are bound from `?6` on, the resource's id first. The first result is a [`Written`].
pub(crate) fn write(
    writer: &Writer,
    text: WriteText,
    values: impl IntoIterator<Item = Value>,
) -> Batch {
    Batch::one(statement(writer, text, values, None))
}

/// The statement of a write. `secret` was generated for the response, and is encrypted for [`Idempotency::secret_place`].
pub(crate) fn statement(
    writer: &Writer,
    text: WriteText,
    values: impl IntoIterator<Item = Value>,
    secret: Option<String>,
) -> Sql {
    let sql = standing::statement(writer, text.columns);
    let guard = text.is_stale.zip(writer.revisions());
    let sql = match guard {
        None => sql,
        Some(_) => sql.sql(", precondition_fails"),
    };
    let Some(idempotency) = writer.idempotency() else {
        let (sql, _) = is_done(sql.sql(") SELECT "), writer, text, values);
        let (sql, is_done) = match guard {
            None => (sql, "is_done"),
            Some(guard) => (
                guarded(sql, guard),
                "iif(is_done, 1, 2 * precondition_fails) AS is_done",
            ),
        };
        return sql
            .sql(text.from)
            .sql(" RETURNING key_stands, ")
            .sql(is_done)
            .sql(", ")
            .sql(text.returning);
    };
    let sql = sql.sql(match text.answer {
        Some(_) => ", idempotency_key, fingerprint, remembered_until, answer, secret) SELECT ",
        None => ") SELECT ",
    });
    let (sql, token) = is_done(sql, writer, text, values);
    // A request that was carried out before is not carried out again.
    let sql = sql.values([idempotency.key()]);
    let key = sql.bound();
    let sql = Idempotency::is_known(sql.sql(" OR "), key);
    let (sql, not_done) = match guard {
        None => (sql, "0"),
        Some(guard) => (guarded(sql, guard), "2 * precondition_fails"),
    };
    let sql = match text.answer {
        Some(answer) => idempotency
            .row(sql.sql(", ").placeholder(key).sql(", "))
            .sql(", ")
            .sql(answer)
            .sql(", ")
            .bind(secret),
        None => sql,
    };
    let sql = sql
        .sql(text.from)
        .sql(" RETURNING key_stands, iif(is_done, coalesce(");
    idempotency
        .recall(sql, key, Some(token))
        .sql(", 1), ")
        .sql(not_done)
        .sql(") AS is_done, ")
        .sql(text.returning)
}

/// Adds whether the resource has none of the revisions that the request wants.
fn guarded(sql: Sql, (is_stale, revisions): (&'static str, &str)) -> Sql {
    registry::is_one_of(sql.sql(", ").sql(is_stale), revisions).sql(")")
}

/// Adds the values of a write, its token, and whether the log has the token already. Returns the token's placeholder, too.
fn is_done(
    sql: Sql,
    writer: &Writer,
    text: WriteText,
    values: impl IntoIterator<Item = Value>,
) -> (Sql, usize) {
    let sql = sql
        .sql(text.values)
        .values([writer.request_id().into()])
        .values(values)
        .bind(writer.token());
    let token = sql.bound();
    let sql = sql
        .sql(", EXISTS (SELECT 1 FROM audit_log WHERE token = ")
        .placeholder(token)
        .sql(")");
    (sql, token)
}

/// The row of a write: its obstacles, and then the values that only the database knew.
#[derive(Debug)]
pub(crate) struct Written {
    row: Judged,
    /// Whether the write was made before: by an earlier try of this request, or by the same request with the same `Idempotency-Key`.
    is_done: bool,
    /// Whether the resource has none of the revisions that the request wants.
    is_stale: bool,
    /// Whether the row has no obstacles, but the values alone.
    is_remembered: bool,
    secret: Option<(String, String)>,
}

impl Written {
    /// Reads the row that [`write`] returns.
    ///
    /// # Errors
    /// 401 or 403 by the key's standing, 422 if the `Idempotency-Key` belongs to another request.
    pub(crate) fn read(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = standing::judged(results)?;
        let (is_done, is_stale) = match row.value("is_done")? {
            Value::Integer(0) => (false, false),
            Value::Integer(1) => (true, false),
            Value::Integer(2) => (false, true),
            Value::Text(text) => {
                let past = Past::read("is_done", &text)?;
                return Ok(Self::of_past(row, past, results));
            }
            Value::Integer(_) | Value::Null => {
                return Err(unexpected_result(
                    "column is_done: expected 0, 1, 2 or a text; got another value".into(),
                ));
            }
        };
        Ok(Self {
            row,
            is_done,
            is_stale,
            is_remembered: false,
            secret: None,
        })
    }

    /// Takes the response of the same request, which was carried out before.
    pub(crate) fn of_past(row: Judged, past: Past, results: &mut Results) -> Self {
        results.replay(past.replayed_until);
        Self {
            row: row.with(past.answer),
            is_done: true,
            is_stale: false,
            is_remembered: true,
            secret: past.secret,
        }
    }

    /// Whether the row has no obstacles, but the values of the response to the same request, which was carried out before.
    pub(crate) fn is_remembered(&self) -> bool {
        self.is_remembered
    }

    /// Whether the resource has none of the revisions that the request wants.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Judges the first obstacles of a write that needs a resource.
    ///
    /// # Errors
    /// `not_found` if it is not there, or else 412 if it has none of the revisions that the request wants.
    pub(crate) fn needs(&self, id_is_there: bool, not_found: ApiError) -> Result<(), ApiError> {
        if !id_is_there {
            Err(not_found)
        } else if self.is_stale {
            Err(ApiError::PreconditionFailed)
        } else {
            Ok(())
        }
    }

    /// Reads an obstacle. `free` is its value if it is not in the way. A write that was made before met no obstacle, although the write itself
    /// may be one by now.
    pub(crate) fn obstacle(&mut self, name: &'static str, free: bool) -> Result<bool, ApiError> {
        if self.is_remembered {
            return Ok(free);
        }
        let found = self.row.boolean(name)?;
        Ok(if self.is_done { free } else { found })
    }

    /// The secret of the response, if the same request was carried out before and the response had one that was generated. It is encrypted for
    /// the place of this fingerprint.
    pub(crate) fn secret(&mut self) -> Option<(String, String)> {
        self.secret.take()
    }

    /// The values of the same request, carried out before; or else the row.
    pub(crate) fn remembered(self) -> Result<Judged, Self> {
        if self.is_remembered {
            Ok(self.row)
        } else {
            Err(self)
        }
    }

    /// Reads the holder of a value that the write needs, an obstacle. `None` if the value is free.
    pub(crate) fn holder(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        if self.is_remembered {
            return Ok(None);
        }
        let found = self.row.optional_text(name)?;
        Ok(found.filter(|_| !self.is_done))
    }
}

/// A resource that was read, to be compared with what a request wants.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) stored: T,
    pub(crate) version: Version,
    /// Whether its `env` could be decrypted. If not, `stored` has none.
    pub(crate) env_is_readable: bool,
}

/// What the response to a write shows of its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Nothing, or what the request says of it.
    Nothing,
    /// All of it, to a PATCH.
    Patched,
    /// All of it, to a PUT.
    Put,
}

/// The row of a resource after a write, from which the response shows it.
pub(crate) struct Shown {
    pub(crate) row: Judged,
    /// The column `env`, if it is not in the row.
    pub(crate) env: Option<String>,
}

impl Written {
    /// Takes the row of the resource: from the remembered response, after the values of every response, or else from the last statement of the
    /// batch, if the request `asks` for it. `None` if the response does not show the resource.
    pub(crate) fn shown(
        self,
        results: &mut Results,
        asks: bool,
    ) -> Result<Option<Shown>, ApiError> {
        let Self {
            row,
            is_remembered,
            secret,
            ..
        } = self;
        if is_remembered {
            let env = secret.map(|(fingerprint, secret)| {
                let (_, text, _) = placed(&fingerprint, &secret);
                text.into()
            });
            return Ok((!row.is_empty()).then_some(Shown { row, env }));
        }
        if !asks {
            return Ok(None);
        }
        let row = results
            .last()?
            .ok_or_else(|| unexpected_result("no row of the resource".into()))?;
        let row = standing::judge(row)?;
        Ok(Some(Shown { row, env: None }))
    }
}

impl Deref for Written {
    type Target = Judged;

    fn deref(&self) -> &Judged {
        &self.row
    }
}

impl DerefMut for Written {
    fn deref_mut(&mut self) -> &mut Judged {
        &mut self.row
    }
}

/// Reads the row of a write whose only obstacles are those of [`Written::needs`].
pub(crate) fn was_there(results: &mut Results, not_found: ApiError) -> Result<(), ApiError> {
    let mut row = Written::read(results)?;
    let id_is_there = row.obstacle("id_is_there", true)?;
    row.needs(id_is_there, not_found)
}
