//! The query plans of statements, those of triggers and foreign keys included.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tenants_core::sql::Value;

use crate::host::Host;

/// The steps of a statement's plan, with those of the triggers and foreign keys that it fires.
pub(crate) fn plan(db: &Connection, text: &str, values: &[Value]) -> Vec<String> {
    // Without it, EXPLAIN QUERY PLAN leaves the programs of triggers out.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP, true)
        .unwrap();
    // SQLite prepares a cached statement again when a table has changed, but never an EXPLAIN.
    db.flush_prepared_statement_cache();
    let rows = tenants_sqlite::query(db, &format!("EXPLAIN QUERY PLAN {text}"), values).unwrap();
    rows.into_iter()
        .filter_map(|mut row| match row.pop() {
            Some(Value::Text(step)) => Some(step),
            // The program of a foreign key has no name.
            Some(Value::Null) => None,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The steps that walk through a whole table or index, that sort, or that build an index for one statement.
pub(crate) fn walks(steps: &[String]) -> Vec<String> {
    // A subquery's rows are walked through as well; the steps of the subquery itself say where they come from.
    let subqueries: BTreeSet<&str> = steps
        .iter()
        .filter_map(|step| {
            step.strip_prefix("CO-ROUTINE ")
                .or_else(|| step.strip_prefix("MATERIALIZE "))
        })
        .collect();
    let is_walk = |step: &&String| match step.strip_prefix("SCAN ") {
        Some("CONSTANT ROW") => false,
        // The columns of one table, which is looked up by its name.
        Some(scanned) if scanned.starts_with("pragma_table_info ") => false,
        Some(scanned) => !subqueries.contains(scanned),
        None => step.contains("TEMP B-TREE") || step.contains("AUTOMATIC"),
    };
    steps.iter().filter(is_walk).cloned().collect()
}

/// SQLite has no index of its own table of tables: a statement that creates or drops one walks through it.
pub(crate) fn creates_or_drops(text: &str) -> bool {
    text.starts_with("CREATE ") || text.starts_with("DROP ")
}

/// Proves that [`walks`] finds a bad plan, wherever it is.
#[test]
fn a_walk_in_a_statement_a_trigger_or_a_foreign_key_is_found() {
    let host = Host::new();
    let walks_of = |text: &str| walks(&plan(&host.db, text, &[]));
    assert_eq!(
        walks_of("SELECT * FROM tenants WHERE last_job_at = 'x'"),
        ["SCAN tenants"]
    );
    assert_eq!(
        walks_of("SELECT id FROM tenants WHERE id > '' ORDER BY id COLLATE BINARY"),
        ["USE TEMP B-TREE FOR ORDER BY"]
    );

    let insert = "INSERT INTO found VALUES ('x')";
    host.sql("CREATE VIEW found (x) AS SELECT NULL", &[]);
    let trigger = |condition: &str| {
        host.sql("DROP TRIGGER IF EXISTS found_done", &[]);
        let body = format!("UPDATE tenants SET stats = NULL WHERE {condition}");
        host.sql(
            &format!("CREATE TRIGGER found_done INSTEAD OF INSERT ON found BEGIN {body}; END"),
            &[],
        );
    };
    trigger("id = NEW.x");
    assert_eq!(walks_of(insert), [""; 0]);
    trigger("last_job_at = NEW.x");
    assert_eq!(walks_of(insert), ["SCAN tenants"]);

    let delete = "DELETE FROM tenants_plans WHERE id = 'p'";
    assert_eq!(walks_of(delete), [""; 0]);
    host.sql("DROP INDEX tenants_by_plan", &[]);
    let walks = walks_of(delete);
    assert!(
        walks.iter().all(|step| step == "SCAN tenants") && !walks.is_empty(),
        "{walks:?}"
    );
}
