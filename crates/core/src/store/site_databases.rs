//! `site_databases`: the databases of tenants' sites, if each site has its own (contract §8).
//!
//! The registry and a site's database are two transactions. So a write of a site has three: the registry gives it a number, the site does the
//! work under that number, and the registry notes that it is done. A site's numbers only grow, and its database keeps the newest one in
//! `site_mark`. Work under an older number fails as a whole, and work under the newest one is done once, however often and however late its
//! batch comes. `version` is that of its tables, of which there has been one so far. A database that was dropped keeps its mark, so nothing that is
//! late can bring it back.
//!
//! A site may still have its tables in the registry, because it was installed before there were databases. It is found there, and works as
//! it did, until it is moved (`store/moves.rs`).

use alloc::string::String;
use alloc::vec::Vec;

use crate::sql::{Batch, Columns, Database, Results, Sql, Value};
use crate::store::standing::{self, key, standing};
use crate::store::write::Writer;
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;

/// The state of a site whose database is to be dropped.
pub(crate) const TO_DROP: i64 = 1;
/// The state of a site that is being installed.
pub(crate) const INSTALLING: i64 = 2;
/// The state of a site that is installed.
pub(crate) const INSTALLED: i64 = 3;
/// The state of a site whose tables in the registry are copied into its database. Until that is done, the tables are in force.
pub(crate) const TO_DATABASE: i64 = 4;
/// The state of a site whose database is copied into tables in the registry. Until that is done, the database is in force.
pub(crate) const TO_TABLES: i64 = 5;

/// The place of the tables of a site that is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The registry: it was installed before there were databases, or was moved back.
    Registry,
    /// A database of its own.
    Database,
    /// It is being moved from one to the other.
    Moving,
}

impl Place {
    /// The place by a site's state.
    pub(crate) fn of(state: Option<i64>) -> Self {
        match state {
            Some(INSTALLED) => Self::Database,
            Some(TO_DATABASE | TO_TABLES) => Self::Moving,
            _ => Self::Registry,
        }
    }
}

/// Whether a tenant has a site, in a caller's statement: its users have a table in the registry, or it has a database that is in force, whatever the
/// isolation mode is now. The parameters are the placeholders of [`site_schema::key`](crate::store::site_schema::key) and of the tenant's id.
macro_rules! has_site {
    ($key:literal, $id:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM pragma_table_info(",
            $key,
            ")) OR EXISTS (SELECT 1 FROM site_databases WHERE tenant_id = ",
            $id,
            " AND state IN (3, 5)))"
        )
    };
}
pub(crate) use has_site;

/// Gives a caller's write of a site a number, if the key is valid, and the site is installed or not as `state` needs it. Returns a row if so. If
/// it was committed already, the same statement gives another number. `key` is the site's name in the registry.
pub(crate) fn claim(writer: &Writer, id: &TenantId, key: &str, state: i64) -> Sql {
    let sql = standing::statement(
        writer,
        concat!(
            "INSERT INTO site_databases (tenant_id, number, state) SELECT lower(id), unixepoch(",
            key!(now),
            "), ?6 FROM tenants WHERE id = ?5 AND cell_id IS NULL AND ",
            standing!(),
            " AND iif(?6 = 3, EXISTS (SELECT 1 FROM site_databases WHERE tenant_id = ?5 AND state = 3), \
             NOT EXISTS (SELECT 1 FROM site_databases WHERE tenant_id = ?5 AND state > 2) AND NOT EXISTS (SELECT 1 FROM pragma_table_info(?7)))"
        ),
    )
    .values([id.as_str().into(), state.into(), key.into()]);
    let sql = match writer.idempotency() {
        None => sql,
        Some(idempotency) => idempotency.known(sql.sql(" AND NOT ")),
    };
    sql.sql(
        " ON CONFLICT (tenant_id) DO UPDATE SET state = excluded.state, number = max(site_databases.number + 1, excluded.number) \
         RETURNING number, (SELECT id FROM tenants WHERE id = ?5) AS tenant_id",
    )
}

/// A write of a site that has its number.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) number: i64,
    /// The tenant's id as it was created.
    pub(crate) tenant_id: String,
}

impl Claim {
    /// Reads the row of [`claim`], the first result.
    pub(crate) fn decode(results: &mut Results) -> Result<Option<Self>, ApiError> {
        let Some(mut row) = results.row()? else {
            return Ok(None);
        };
        Ok(Some(Self {
            number: row.integer("number")?,
            tenant_id: row.text("tenant_id")?,
        }))
    }
}

/// Notes that the work under a number is done, so the site is installed. Returns a row if nothing came between.
pub(crate) fn finish(id: &TenantId, number: i64) -> Sql {
    Sql::new(
        "UPDATE site_databases SET state = 3 WHERE tenant_id = ?1 AND number = ?2 \
         AND EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND cell_id IS NULL) RETURNING number",
    )
    .values([id.as_str().into(), number.into()])
}

/// Lets tables in the registry be a tenant's site, in the transaction that creates them: an installation into a database that was cut off, or is
/// late, ends. If the site has a database in force, or is being moved, `NULL` is refused, and with it the whole transaction.
pub(crate) fn yield_to_tables(id: &TenantId) -> Sql {
    Sql::new(
        "UPDATE site_databases SET state = iif(state = 2, 1, NULL), number = number + 1 WHERE tenant_id = ?1 AND state > 1",
    )
    .values([id.as_str().into()])
}

/// Adds the condition to a statement on a site's tables in the registry that they are in force.
pub(crate) fn if_tables_count(sql: Sql, id: &TenantId) -> Sql {
    sql.sql("NOT EXISTS (SELECT 1 FROM site_databases WHERE state > 2 AND tenant_id = ")
        .bind(id.as_str())
        .sql(")")
}

/// Marks a site "to drop", if it has a database with anything in it. Returns the number of the work.
pub(crate) fn condemn(id: &TenantId, now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE site_databases SET state = 1, number = max(number + 1, unixepoch(?2)) WHERE tenant_id = ?1 AND state > 0 RETURNING number",
    )
    .values([id.as_str().into(), now.as_str().into()])
}

/// Takes the mark away that [`condemn`] made under this number.
pub(crate) fn dropped(id: &TenantId, number: i64) -> Sql {
    Sql::new("UPDATE site_databases SET state = 0 WHERE tenant_id = ?1 AND number = ?2")
        .values([id.as_str().into(), number.into()])
}

/// The seconds after which a write that has not gone on is taken for one that was cut off.
const CUT_OFF_S: i64 = 120;

/// The most databases that one run of the cron trigger drops.
const DROPPED: i64 = 10;

/// Marks the sites "to drop" whose drop or installation was cut off: nobody was told of that installation. Returns their ids and the numbers of
/// the work. One that cannot be dropped comes last in the next run, since its number is the newest.
pub(crate) fn cut_off(now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE site_databases SET state = 1, number = max(number + 1, unixepoch(?1)) WHERE tenant_id IN (SELECT tenant_id FROM site_databases \
         WHERE state IN (1, 2) AND number < unixepoch(?1) - ?2 ORDER BY number LIMIT ?3) RETURNING tenant_id, number",
    )
    .values([now.as_str().into(), CUT_OFF_S.into(), DROPPED.into()])
}

/// Finds the installed sites whose tenant is no longer there. The first column stands for a table's name.
pub(crate) const ORPHANS: &str = "SELECT tenant_id AS name, tenant_id AS id FROM site_databases WHERE state IN (3, 5) \
     AND NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = site_databases.tenant_id)";

/// Counts the sites that are being installed, dropped or moved.
pub(crate) fn under_way() -> Sql {
    Sql::new("SELECT count(*) AS sites FROM site_databases WHERE state IN (1, 2, 4, 5)")
}

/// Reads a row of [`cut_off`].
pub(crate) fn read_cut_off(row: Vec<Value>) -> Result<(String, i64), ApiError> {
    let mut row = Columns::new(row);
    Ok((row.text("tenant_id")?, row.integer("number")?))
}

/// Statements that only read a site's database.
pub(crate) fn read(id: &TenantId, statement: Sql) -> Batch {
    Batch::one(statement).on(Database::Site(id.folded()))
}

/// Begins a batch on a site's database that fails as a whole if the site has seen a newer number.
fn unless_newer(number: i64) -> [Sql; 2] {
    [
        Sql::new(
            "CREATE TABLE IF NOT EXISTS site_mark (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1) STRICT",
        ),
        // `NULL` is refused, and with it the whole batch.
        Sql::new(
            "INSERT INTO site_mark (id, number) VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET number = iif(number <= ?1, number, NULL)",
        )
        .values([number.into()]),
    ]
}

/// Work on a site's database under a number. It fails as a whole if the site has seen a newer one. Its statements carry the condition
/// [`not_done`]. The first of them has the third result.
pub(crate) fn work(id: &TenantId, number: i64, statements: Vec<Sql>) -> Batch {
    let mut all = Vec::from(unless_newer(number));
    all.extend(statements);
    all.push(Sql::new("UPDATE site_mark SET number = ?1 WHERE id = 1").values([number.into()]));
    Batch::of(all).on(Database::Site(id.folded()))
}

/// Reads the number that a site's database has seen last, as the last result; 0 if it has seen none. It fails if that is newer than this one.
pub(crate) fn seen(id: &TenantId, number: i64) -> Batch {
    let read = Sql::new("SELECT number FROM site_mark WHERE id = 1");
    let all = unless_newer(number).into_iter().chain([read]);
    Batch::of(all).on(Database::Site(id.folded()))
}

/// Adds the condition that the work under this number is not done yet.
pub(crate) fn not_done(sql: Sql, number: i64) -> Sql {
    sql.sql("(SELECT number FROM site_mark WHERE id = 1) < ")
        .bind(number)
}
