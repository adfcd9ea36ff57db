//! A site's move from tables in the registry to a database of its own, and back (contract §19).
//!
//! The rows of the old place do not change while `site_databases.state` says that the site is being moved, since its writes are refused
//! (`store/sites.rs`). Each step of a move is one batch: a read of the next rows of a table, or a write of them. The new place's number of rows
//! says how far the move is, so it goes on after any cut. Its last batch puts the new place in force and, if the old one is the registry, drops
//! that. So there are never two in force.
//!
//! The new place may have rows from before the order: those of an earlier move if the registry was restored, for example. They are dropped first.
//! `site_databases.ordered` is the number of the order. A database keeps the newest number of its work, so one that has seen an older number has
//! nothing of this move. The registry's own column is `NULL` once its tables are dropped, in the same transaction.

use alloc::string::String;

use crate::sql::{Batch, Columns, Sql, unexpected_result};
use crate::store::audit;
use crate::store::site_databases::{self, TO_DATABASE, TO_DROP};
use crate::store::site_schema::{self, TABLES, Table};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::run::Run;
use crate::value::table_name::{TableNames, TablePrefix};

/// The most rows that one step copies.
const SLICE_ROWS: i64 = 5_000;

/// The most characters of a step's rows in JSON, unless a single row has more. A value that D1 binds has 2,000,000 bytes at the most
/// (<https://developers.cloudflare.com/d1/platform/limits/>), and a character up to four.
const SLICE_CHARACTERS: i64 = 400_000;

/// Marks an installed site to be moved into a database of its own, if its tables are in the registry. The cron trigger moves it. Returns a row if
/// it is marked now.
pub(crate) fn to_database(id: &TenantId, prefix: &TablePrefix, now: &Timestamp) -> Sql {
    Sql::new(
        "INSERT INTO site_databases (tenant_id, number, state) SELECT ?1, unixepoch(?2), 4 FROM tenants WHERE id = ?1 AND cell_id IS NULL \
         AND EXISTS (SELECT 1 FROM pragma_table_info(?3)) ON CONFLICT (tenant_id) DO UPDATE \
         SET state = 4, number = max(site_databases.number + 1, excluded.number) WHERE state < 2 RETURNING state",
    )
    .values([
        id.folded().into(),
        now.as_str().into(),
        site_schema::key(prefix, id).into(),
    ])
}

/// Marks an installed site to be moved into tables in the registry, if it has a database of its own. A move into one is given up: the tables are
/// in force, and the database is marked "to drop". Returns the new state if something changed.
pub(crate) fn to_tables(id: &TenantId, now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE site_databases SET state = iif(state = 4, 1, 5), number = max(number + 1, unixepoch(?2)) WHERE tenant_id = ?1 AND state IN (3, 4) \
         AND EXISTS (SELECT 1 FROM tenants WHERE id = ?1) RETURNING state",
    )
    .values([id.folded().into(), now.as_str().into()])
}

/// Whether the row of [`to_tables`] or [`to_database`] says that a move was given up.
pub(crate) fn gave_up(row: Option<Columns>) -> Result<bool, ApiError> {
    row.map_or(Ok(false), |mut row| Ok(row.integer("state")? == TO_DROP))
}

/// Gives up a move into tables in the registry: drops those, and the database stays in force. If there is no such move, the whole batch fails.
pub(crate) fn give_up_tables(
    id: &TenantId,
    prefix: &TablePrefix,
    run: &Run,
    now: &Timestamp,
) -> Batch {
    let entry = audit::site_stays(id, run, now);
    let stay = Sql::new(
        "UPDATE site_databases SET state = 3, number = max(number + 1, unixepoch(?2)) WHERE tenant_id = ?1 AND state = 5",
    )
    .values([id.folded().into(), now.as_str().into()]);
    let names = TableNames::in_registry(prefix, id);
    let drops = site_schema::drop(&names);
    Batch::of([entry, stay].into_iter().chain(drops)).and(place(id, prefix))
}

/// Reads whether there is the tenant, whether it has a cell, whether its site has tables in the registry, and its state.
pub(crate) fn place(id: &TenantId, prefix: &TablePrefix) -> Sql {
    Sql::new(
        "SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ?1) AS is_there, \
         EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND cell_id IS NOT NULL) AS has_cell, \
         EXISTS (SELECT 1 FROM pragma_table_info(?2)) AS has_tables, \
         (SELECT state FROM site_databases WHERE tenant_id = ?1) AS state",
    )
    .values([id.folded().into(), site_schema::key(prefix, id).into()])
}

/// Takes up the move that waited longest. From now on, no run that had it before can go on with it.
pub(crate) fn take_up(now: &Timestamp) -> Sql {
    Sql::new(
        "UPDATE site_databases SET number = max(number + 1, unixepoch(?1)) WHERE tenant_id = (SELECT tenant_id FROM site_databases \
         WHERE state > 3 ORDER BY number LIMIT 1) RETURNING tenant_id, number, state, ordered",
    )
    .values([now.as_str().into()])
}

/// The values of a row's array. Their numbers are part of the text, since D1 binds a number as a real one, which is no place in an array.
const PLACES: [&str; 14] = [
    "value ->> 0",
    "value ->> 1",
    "value ->> 2",
    "value ->> 3",
    "value ->> 4",
    "value ->> 5",
    "value ->> 6",
    "value ->> 7",
    "value ->> 8",
    "value ->> 9",
    "value ->> 10",
    "value ->> 11",
    "value ->> 12",
    "value ->> 13",
];

/// A move that a run has taken up.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) id: TenantId,
    number: i64,
    pub(crate) to_database: bool,
    /// The number of the order. `None`: the registry's tables have nothing from before it.
    ordered: Option<i64>,
    in_registry: TableNames,
    apart: TableNames,
}

impl Move {
    /// Reads the row of [`take_up`].
    pub(crate) fn decode(mut row: Columns, prefix: &TablePrefix) -> Result<Self, ApiError> {
        let id = row.text("tenant_id")?;
        let id = TenantId::parse(&id).map_err(unexpected_result)?;
        Ok(Self {
            number: row.integer("number")?,
            to_database: row.integer("state")? == TO_DATABASE,
            ordered: row.optional_integer("ordered")?,
            in_registry: TableNames::in_registry(prefix, &id),
            apart: TableNames::of(prefix, &id),
            id,
        })
    }

    /// The names at the new place.
    fn target(&self) -> &TableNames {
        if self.to_database {
            &self.apart
        } else {
            &self.in_registry
        }
    }

    /// Lets the database that is the old place refuse writes that are older than the move.
    pub(crate) fn close(&self) -> Batch {
        site_databases::work(&self.id, self.number, [].into())
    }

    /// Reads the number that the database at the new place has seen last. [`Move::is_before`] judges it.
    pub(crate) fn look(&self) -> Batch {
        site_databases::seen(&self.id, self.number)
    }

    /// Whether what the database at the new place has is from before the order, by the row of [`Move::look`].
    pub(crate) fn is_before(&self, row: &mut Columns) -> Result<bool, ApiError> {
        Ok(self.ordered > Some(row.integer("number")?))
    }

    /// Whether the registry's tables at the new place may be from before the order.
    pub(crate) fn may_be_before(&self) -> bool {
        self.ordered.is_some()
    }

    /// Drops what the new place has from before the order. In a database it is done under the order's number, which is older than that of any
    /// copy: if it comes late, or twice, it drops nothing of this move.
    pub(crate) fn empty(&self) -> Batch {
        let drops = site_schema::drop(self.target());
        if self.to_database {
            let ordered = self.ordered.unwrap_or_default();
            return site_databases::work(&self.id, ordered, drops.collect());
        }
        let done = Sql::new("UPDATE site_databases SET ordered = NULL WHERE tenant_id = ?1")
            .values([self.id.folded().into()]);
        self.written(drops.chain([done]))
    }

    /// Creates the tables of the new place that are missing. [`Move::counts`] reads the result.
    pub(crate) fn prepare(&self) -> Batch {
        let names = self.target();
        let mut count = Sql::new("SELECT ");
        for (i, table) in TABLES.iter().enumerate() {
            count = if i == 0 { count } else { count.sql(", ") };
            count = count
                .sql("(SELECT count(*) FROM ")
                .name(&names.name(table.name))
                .sql(")");
        }
        self.written(site_schema::complete(names).chain([count]))
    }

    /// The next rows of a table at the old place, after so many. Its row is the rows in JSON, their number, and that of all if there is none.
    pub(crate) fn read(&self, table: &Table, after: i64) -> Batch {
        let names = if self.to_database {
            &self.in_registry
        } else {
            &self.apart
        };
        let name = names.name(table.name);
        let keys = &table.columns[..table.keys];
        let sql = Sql::new("SELECT json_group_array(json(line)) AS part, count(*) AS n, iif(count(*) = 0, (SELECT count(*) FROM ")
            .name(&name)
            .sql("), NULL) AS total FROM (SELECT line, place, sum(length(line)) OVER (ORDER BY place) AS characters FROM (SELECT json_array(");
        let sql = listed(sql, table.columns).sql(") AS line, row_number() OVER (ORDER BY ");
        let sql = listed(sql, keys)
            .sql(") AS place FROM (SELECT * FROM ")
            .name(&name)
            .sql(" ORDER BY ");
        let sql = listed(sql, keys)
            .sql(" LIMIT ")
            .bind(SLICE_ROWS)
            .sql(" OFFSET ")
            .bind(after)
            .sql("))) WHERE place = 1 OR characters <= ")
            .bind(SLICE_CHARACTERS);
        if self.to_database {
            Batch::one(sql)
        } else {
            site_databases::read(&self.id, sql)
        }
    }

    /// Writes rows of [`Move::read`] at the new place.
    pub(crate) fn write(&self, table: &Table, part: String) -> Batch {
        let sql = Sql::new("INSERT INTO ")
            .name(&self.target().name(table.name))
            .sql(" (");
        let mut sql = listed(sql, table.columns).sql(") SELECT ");
        for (i, (place, _)) in PLACES.into_iter().zip(table.columns).enumerate() {
            sql = if i == 0 { sql } else { sql.sql(", ") };
            sql = sql.sql(place);
        }
        let sql = sql.sql(" FROM json_each(").bind(part).sql(")");
        self.written(core::iter::once(sql))
    }

    /// Puts the new place in force. If the old one is the registry, its tables are dropped in the same transaction. If it is a database, that is
    /// marked "to drop".
    pub(crate) fn finish(&self) -> Batch {
        let finish = Sql::new(
            "UPDATE site_databases SET state = iif(number = ?2 AND state > 3, ?3, NULL) WHERE tenant_id = ?1",
        )
        .values([
            self.id.folded().into(),
            self.number.into(),
            (if self.to_database { 3 } else { 1 }).into(),
        ]);
        let drops = self
            .to_database
            .then(|| site_schema::drop(&self.in_registry));
        Batch::of(core::iter::once(finish).chain(drops.into_iter().flatten()))
    }

    /// Drops the database that was the old place.
    pub(crate) fn drop(&self) -> Batch {
        site_databases::work(
            &self.id,
            self.number,
            site_schema::drop(&self.apart).collect(),
        )
    }

    /// Notes that it is dropped.
    pub(crate) fn dropped(&self) -> Batch {
        Batch::one(site_databases::dropped(&self.id, self.number))
    }

    /// Statements at the new place, all of them or none. There are none if another run has taken the move up, or the site was dropped meanwhile.
    fn written(&self, statements: impl Iterator<Item = Sql>) -> Batch {
        if self.to_database {
            return site_databases::work(&self.id, self.number, statements.collect());
        }
        // `NULL` is refused, and with it the whole batch.
        let check = Sql::new(
            "UPDATE site_databases SET number = iif(number = ?2 AND state = 5, number, NULL) WHERE tenant_id = ?1",
        )
        .values([self.id.folded().into(), self.number.into()]);
        Batch::of(core::iter::once(check).chain(statements))
    }
}

/// Adds names of columns.
fn listed(mut sql: Sql, columns: &[&'static str]) -> Sql {
    for (i, column) in columns.iter().enumerate() {
        sql = if i == 0 { sql } else { sql.sql(", ") };
        sql = sql.sql(column);
    }
    sql
}
