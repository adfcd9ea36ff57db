//! The texts that Traefik's configuration is made from: the ids and hostnames of enabled tenants, and the state of the registry.

use alloc::string::String;

use crate::auth::ProxyReader;
use crate::sql::{Batch, Columns, Results, Row, Sql};
use crate::store::audit::Action;
use crate::store::registry::epoch;
use crate::store::standing::{self, Judged, allowed_caller, caller};
use crate::value::fault::ApiError;
use crate::value::hostname::Hostname;
use crate::value::id::TenantId;

/// The state of the registry. Every write leads to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// It changes when a backup is restored, since revisions then start again from an older one.
    pub(crate) epoch: String,
    /// The newest audit entry, since every write leaves one in its own transaction. Entries of a re-encryption are skipped, because nothing
    /// that can be read changes by it.
    pub(crate) revision: i64,
}

/// Ends each id and each hostname in the text of [`Chunk::routes`].
pub(crate) const BREAK: char = '\n';

/// The tenants of one chunk. SQLite joins them to one text, because a host copies a few long texts sooner than thousands of short ones. A
/// value of D1 has 2,000,000 bytes at the most (<https://developers.cloudflare.com/d1/platform/limits/>), and the longest chunk has
/// 5,000 * (16 + 255 + 2) bytes = 1,365,000 bytes. A row of [`Route::Unfit`] takes less: each of its 48 characters has at most 6 bytes.
const CHUNK_ROWS: i64 = 5_000;

/// The longest id and hostname together, in bytes.
const LONGEST: usize = TenantId::MAX_LENGTH + Hostname::MAX_LENGTH;

/// The chunks come in any order: to sort them, SQLite would copy their texts. A chunk's rows begin with the id `start`. If the
/// reader's key is not valid or lacks a scope, there are no chunks.
///
/// Somebody may have put anything into a row by hand. A row that is too long for a chunk, or that has a line break, is written as a JSON
/// array of shortened texts, in which a line break is escaped.
macro_rules! chunks {
    ($allowed:expr, $start:literal, $rows:literal, $longest:literal, $break:literal) => {
        concat!(
            "(WITH RECURSIVE chunk (number, start) AS (SELECT 0, ",
            $start,
            " FROM ",
            $allowed,
            " UNION ALL SELECT number + 1, (SELECT id FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT 1 OFFSET ",
            $rows,
            ") FROM chunk WHERE start IS NOT NULL) SELECT number, (SELECT group_concat(route, ",
            $break,
            ") FROM (SELECT iif(length(CAST(id || hostname AS BLOB)) <= ",
            $longest,
            " AND instr(id || hostname, ",
            $break,
            ") = 0, id || ",
            $break,
            " || hostname, json_array(substr(id, 1, 16), substr(hostname, 1, 32)) || ",
            $break,
            ") AS route FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT ",
            $rows,
            ")) AS routes FROM chunk WHERE start IS NOT NULL) AS c"
        )
    };
}

/// The standing of a developer, who needs no key.
macro_rules! developer {
    () => {
        "(SELECT 1 AS standing)"
    };
}

/// The state, and what else is `$selected`.
macro_rules! state {
    ($from:expr, $reseal:literal, $selected:literal) => {
        concat!(
            "SELECT k.standing, ",
            epoch!(),
            " AS epoch, ",
            revision!($reseal),
            " AS revision",
            $selected,
            " FROM ",
            $from,
            " AS k"
        )
    };
}

macro_rules! all {
    ($from:expr, $allowed:expr, $reseal:literal, $start:literal, $rows:literal, $longest:literal, $break:literal) => {
        concat!(
            state!($from, $reseal, ", c.number, c.routes"),
            " LEFT JOIN ",
            chunks!($allowed, $start, $rows, $longest, $break)
        )
    };
}

macro_rules! revision {
    ($reseal:literal) => {
        concat!(
            "(SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ",
            $reseal,
            ")"
        )
    };
}

/// Reads the state alone. The text is short because almost every poll runs it: the planning of [`tenants`] alone takes D1 longer.
pub(crate) fn state(reader: &ProxyReader) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => Sql::new(state!(developer!(), "?1", "")),
        ProxyReader::Holder(holder) => standing::statement(holder, state!(caller!(), "?5", "")),
    };
    Batch::one(statement.values([Action::EnvReseal.as_str().into()]))
}

/// Reads the row of [`state`].
pub(crate) fn read_state(results: &mut Results) -> Result<State, ApiError> {
    State::decode(&mut standing::judged_read(results)?)
}

/// Reads the state and all enabled tenants. The rows are [`Chunk`]s.
pub(crate) fn tenants(reader: &ProxyReader) -> Batch {
    let statement = match reader {
        ProxyReader::Developer => Sql::new(all!(
            developer!(),
            developer!(),
            "?1",
            "?2",
            "?3",
            "?4",
            "?5"
        )),
        ProxyReader::Holder(holder) => standing::statement(
            holder,
            all!(caller!(), allowed_caller!(), "?5", "?6", "?7", "?8", "?9"),
        ),
    };
    Batch::one(statement.values([
        Action::EnvReseal.as_str().into(),
        "".into(),
        CHUNK_ROWS.into(),
        i64::try_from(LONGEST).unwrap_or(i64::MAX).into(),
        String::from(BREAK).into(),
    ]))
}

impl State {
    fn decode(row: &mut Judged) -> Result<Self, ApiError> {
        Ok(Self {
            epoch: row.text("epoch")?,
            revision: row.integer("revision")?,
        })
    }
}

/// A row of [`tenants`].
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) state: State,
    /// The chunk's place among the others.
    pub(crate) number: Option<i64>,
    /// The tenants. `None` if there are no more of them.
    routes: Option<String>,
}

/// An enabled tenant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Its columns, unchecked.
    Row { id: &'a str, hostname: &'a str },
    /// Its columns are too long, or one of them has a line break. They come shortened, in a JSON array.
    Unfit(&'a str),
}

impl Chunk {
    /// Reads a row.
    pub(crate) fn decode(row: Row) -> Result<Self, ApiError> {
        let mut row: Judged = standing::judge(Columns::new(row))?;
        Ok(Self {
            state: State::decode(&mut row)?,
            number: row.optional_integer("number")?,
            routes: row.optional_text("routes")?,
        })
    }

    /// The length of the text, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.routes.as_ref().map_or(0, String::len)
    }

    /// The tenants, in the order of their ids.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        let mut texts = self.routes.iter().flat_map(|text| text.split(BREAK));
        core::iter::from_fn(move || {
            let id = texts.next()?;
            // SQLite wrote a break into each row.
            let hostname = texts.next().unwrap_or("");
            Some(if hostname.is_empty() {
                Route::Unfit(id)
            } else {
                Route::Row { id, hostname }
            })
        })
    }
}
