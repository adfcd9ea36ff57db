//! The migrations of the registry, and the record of those that a database has.
//!
//! The record is the table that wrangler keeps (`d1_migrations`, with the files' names), so a database can move between hosts.

use alloc::string::String;
use alloc::vec::Vec;

use crate::sql::{Batch, Columns, Results, Sql};
use crate::value::fault::ApiError;

/// A step from one schema of the registry to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The file's name.
    pub name: &'static str,
    /// The file's text.
    pub sql: &'static str,
}

/// Names a file of `migrations/` and takes its text.
macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration { name: $name, sql: include_str!(concat!("../../../../migrations/", $name)) }),*]
    };
}

/// Every migration, in order. A test compares the list with the folder.
pub const MIGRATIONS: &[Migration] = migrations![
    "0001_registry.sql",
    "0002_writes.sql",
    "0003_stats_turn.sql",
    "0004_sites.sql",
    "0005_operator.sql",
    "0006_epoch.sql",
    "0007_finding.sql",
    "0008_keys.sql",
    "0009_revisions.sql",
    "0010_routing.sql",
    "0011_token.sql",
    "0012_key_writes.sql",
    "0013_idempotency.sql",
    "0014_cells.sql",
    "0015_audit.sql",
    "0016_idempotency_of_jobs.sql",
    "0017_routes.sql",
    "0018_feed_days.sql",
    "0019_key_subjects.sql",
    "0020_fewer_indexes.sql",
    "0021_site_databases.sql",
    "0022_holds.sql",
    "0023_ends.sql",
    "0024_hostnames.sql",
    "0025_console_sessions.sql",
    "0026_restore.sql",
    "0027_erase.sql",
    "0028_hostname_proofs.sql",
    "0029_webhooks.sql",
    "0030_remembered_sites.sql",
    "0031_key_changes.sql",
    "0032_remembered_tenants.sql",
    "0033_erase_kept_sites.sql",
    "0034_deleted_tenants_by_cell.sql",
    "0035_ends_of_jobs.sql",
    "0036_new_receivers.sql",
    "0037_move_orders.sql",
    "0038_counted_sites.sql",
    "0039_abandoned_installations.sql",
    "0040_ended_claims.sql",
    "0041_old_secrets.sql",
    "0042_same_writes.sql",
    "0043_deleted_meanwhile.sql",
    "0044_retries.sql",
    "0045_kept_sites.sql",
];

/// A database's schema, compared with the one of [`MIGRATIONS`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Schema<'a> {
    /// It has every migration. Holds the name of the newest one.
    Current(&'static str),
    /// It lacks this migration.
    Lacks(&'static Migration),
    /// It has this migration, which this version does not know: a newer version made it.
    Newer(&'a str),
}

impl<'a> Schema<'a> {
    /// Compares the names in a record.
    pub(crate) fn of(names: &'a [String]) -> Self {
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            return Self::Newer(unknown);
        }
        match first_missing(names) {
            Some(missing) => Self::Lacks(missing),
            None => Self::Current(MIGRATIONS[MIGRATIONS.len() - 1].name),
        }
    }
}

/// The first migration that a record lacks.
pub(crate) fn first_missing(names: &[String]) -> Option<&'static Migration> {
    MIGRATIONS.iter().find(|migration| !has(names, migration))
}

/// Whether a record has a migration.
pub(crate) fn has(names: &[String], migration: &Migration) -> bool {
    names.iter().any(|name| name == migration.name)
}

fn is_known(name: &str) -> bool {
    MIGRATIONS.iter().any(|migration| migration.name == name)
}

/// Reads the names in the record. Fails if the database has none.
pub(crate) fn read() -> Batch {
    Batch::one(names())
}

/// Creates the record if there is none, and returns the names that it has. Releases before the record made databases from `schema.sql`. Such
/// a database shows by its tables which of the first three migrations it has. Every later one is in a record, so do not extend this list.
pub(crate) fn record() -> Batch {
    Batch::of([
        Sql::new(
            "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, \
             applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
        ),
        Sql::new(
            "INSERT INTO d1_migrations (name) SELECT name FROM (\
             SELECT ?1 AS name, EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?2) AS is_there \
             UNION ALL SELECT ?3, EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?4) \
             UNION ALL SELECT ?5, EXISTS (SELECT 1 FROM pragma_table_info(?6) WHERE name = ?7)) \
             WHERE is_there AND NOT EXISTS (SELECT 1 FROM d1_migrations) ORDER BY name",
        )
        .values([
            "0001_registry.sql".into(),
            "api_keys".into(),
            "0002_writes.sql".into(),
            "create_tenant".into(),
            "0003_stats_turn.sql".into(),
            "tenants".into(),
            "stats_turn_at".into(),
        ]),
        names(),
    ])
}

/// Applies a migration. The first statement fails if the database has it already, and so does the whole batch. The last one returns the
/// names in the record.
pub(crate) fn apply(migration: &Migration) -> Batch {
    let entry = Sql::new("INSERT INTO d1_migrations (name) VALUES (")
        .bind(migration.name)
        .sql(")");
    let steps = statements(migration.sql).into_iter().map(Sql::new);
    Batch::of([entry].into_iter().chain(steps).chain([names()]))
}

fn names() -> Sql {
    Sql::new("SELECT name FROM d1_migrations ORDER BY id")
}

/// Reads the names in the record, which the last statement of [`record`], [`read`] and [`apply`] returns.
pub(crate) fn recorded(results: &mut Results) -> Result<Vec<String>, ApiError> {
    results
        .last_rows()?
        .into_iter()
        .map(|row| Columns::new(row).text("name"))
        .collect()
}

/// The statements of a file, without comments before and after them. A statement ends at a line that ends with `;`. A trigger has such
/// lines, and ends with `END;`.
fn statements(sql: &'static str) -> Vec<&'static str> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (None, 0);
    for line in sql.split_inclusive('\n') {
        let code = line
            .split_once("--")
            .map_or(line, |(code, _)| code)
            .trim_end();
        if !code.is_empty() {
            let from = *start.get_or_insert(at);
            if let Some(code) = code.strip_suffix(';') {
                let statement = &sql[from..at + code.len()];
                if !statement.starts_with("CREATE TRIGGER") || statement.ends_with("END") {
                    statements.push(statement);
                    start = None;
                }
            }
        }
        at += line.len();
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::{MIGRATIONS, statements};

    #[test]
    fn a_text_is_split_into_statements() {
        assert_eq!(
            statements(
                "-- a; comment;\nCREATE TABLE a (\n  b -- c;\n); -- d\n\nCREATE TRIGGER t\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\nCREATE TRIGGER u BEGIN SELECT 1; END;\nDROP x;"
            ),
            [
                "CREATE TABLE a (\n  b -- c;\n)",
                "CREATE TRIGGER t\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND",
                "CREATE TRIGGER u BEGIN SELECT 1; END",
                "DROP x"
            ]
        );
    }

    #[test]
    fn no_statement_of_a_migration_is_lost() {
        for migration in MIGRATIONS {
            let last = statements(migration.sql).pop().unwrap();
            assert!(
                migration
                    .sql
                    .trim_end()
                    .ends_with(&alloc::format!("{last};")),
                "{}",
                migration.name
            );
        }
    }
}
