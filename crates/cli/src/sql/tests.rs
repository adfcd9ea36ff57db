//! Runs every statement on SQLite, with the tables of `schema.sql`.

use rusqlite::Connection;
use tenants_core::config::Config;
use tenants_core::sql::{Batch, Row, Rows, Value};
use tenants_core::task::Run;
use tenants_core::task::keys::{KeyChoice, KeyDeletion, KeyName};
use tenants_core::task::reseal::Reseal;
use tenants_core::value::clock::Timestamp;
use tenants_core::{Context, Machine, Outcome, Step};

use super::{script, text};
use crate::random::SystemRandom;

const NAMES: &[&str] = &[
    "development",
    "it's",
    "'; DROP TABLE api_keys; --",
    "BEGIN TRANSACTION;",
    "COMMIT;",
    "a\r\nb\nc",
    "\\",
    "\"`[x]",
    "grüße 世界 🐘",
    "$1 ?1 :a @b",
    "",
];

fn database() -> Connection {
    tenants_sqlite::open_in_memory().unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn batch<M: Machine>(task: &M) -> &Batch {
    task.effect().batch().unwrap()
}

/// Resumes a task that has another batch to run.
fn next<M: Machine>(task: M, rows: Rows) -> M {
    let mut context = Context {
        unix_seconds: 0,
        random: &mut SystemRandom,
    };
    match task.resume(Outcome::Batch(Ok(vec![rows])), &mut context) {
        Step::Run(next) => next,
        Step::Done(_) => panic!("the task is done"),
    }
}

/// Runs a script in one transaction, as D1 does. Returns, for each statement, the first column of its rows.
fn run(database: &mut Connection, sql: &str) -> Vec<Vec<i64>> {
    let transaction = database.transaction().unwrap();
    let first = |row: &Row| match row[0] {
        Value::Integer(n) => n,
        ref other => panic!("{other:?}"),
    };
    let results = sql
        .split("; ")
        .map(|statement| tenants_sqlite::query(&transaction, statement, &[]).unwrap())
        .map(|rows| rows.iter().map(first).collect())
        .collect();
    transaction.commit().unwrap();
    results
}

fn audit(database: &Connection) -> Vec<String> {
    let sql = "SELECT action || ' ' || subject || ' ' || request_id || ' ' || created_at || ' ' || coalesce(key_id, 'operator') FROM audit_log ORDER BY id";
    let mut prepared = database.prepare(sql).unwrap();
    let rows = prepared.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_text_survives_as_a_literal() {
    let database = database();
    for name in NAMES {
        let sql = format!("SELECT {}", text(name));
        let back: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(&back, name);
        assert!(!sql.contains("BEGIN") && !sql.contains("COMMIT") && !sql.contains(';'));
    }
}

#[test]
fn plain_texts_stay_readable_and_all_others_are_encoded() {
    for plain in [
        "2026-01-02 03:04:05",
        "Tenant_1",
        "1.b8afdba8.AvL_Oc59-q",
        // An encrypted text with its place, of a remembered response.
        "1.b8afdba8.AvL_Oc59-q@tenants_plans/basic",
        "me@host",
    ] {
        assert_eq!(text(plain), format!("'{plain}'"));
    }
    // A space ends a word.
    assert!(text("BEGIN TRANSACTION").starts_with("CAST("));
    for c in '\0'..='\u{ff}' {
        let literal = text(&c.to_string());
        let plain = c.is_ascii_alphanumeric() || "._-@/: ".contains(c);
        assert_eq!(literal.starts_with('\''), plain, "{c:?}");
    }
}

/// Inserts a key with the columns that these tests read.
fn insert(database: &Connection, id: i64, name: Option<&str>, digest: &str) {
    let sql = "INSERT INTO api_keys (id, name, digest, created_at) VALUES (?1, ?2, ?3, '')";
    database.execute(sql, (id, name, digest)).unwrap();
}

#[test]
fn only_the_chosen_keys_are_deleted_and_only_once() {
    let mut database = database();
    let now = at("2026-01-02 03:04:05");
    for (id, name) in [(1, Some("O'Neil")), (2, Some("O'Neil")), (3, None)] {
        insert(&database, id, name, "");
    }
    let oneil = || KeyName::parse("O'Neil").unwrap();
    let mut delete = |choice| {
        let deletion = KeyDeletion::begin(&choice, &Run::new("cli-0a"), &now);
        run(&mut database, &script(batch(&deletion))).remove(1)
    };
    assert_eq!(delete(KeyChoice::Both(3, oneil())), [0; 0]);
    assert_eq!(delete(KeyChoice::Both(1, oneil())), [1]);
    assert_eq!(delete(KeyChoice::Name(oneil())), [2]);
    assert_eq!(delete(KeyChoice::Name(oneil())), [0; 0]);
    assert_eq!(delete(KeyChoice::Id(3)), [3]);
    assert_eq!(
        audit(&database),
        [1, 2, 3].map(|id| format!("api_key.delete {id} cli-0a 2026-01-02 03:04:05 operator"))
    );
}

fn config() -> Config {
    let key = |name: &str| match name {
        "CHEVERETO_ENCRYPTION_KEY" => {
            Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned())
        }
        _ => None,
    };
    Config::read(key).unwrap()
}

/// Runs a script and returns the rows of its last statement.
fn last_rows(database: &Connection, sql: &str) -> Rows {
    let query = |statement| tenants_sqlite::query(database, statement, &[]).unwrap();
    sql.split("; ").map(query).last().unwrap()
}

#[test]
fn a_script_has_the_values_of_a_batch_in_place_of_its_placeholders() {
    let database = database();
    database
        .execute_batch(
            "INSERT INTO tenants (id, hostname, is_enabled, env, created_at, updated_at) VALUES \
             ('it''s; a', 'a', 1, 'not sealed', '', ''), ('b', 'b', 1, NULL, '', '')",
        )
        .unwrap();
    let now = at("2026-01-02 03:04:05");
    let task = Reseal::begin(&config(), &Run::new("cli-0a"), &now, 1000).unwrap();
    let counts = script(batch(&task));
    assert!(!counts.contains('?'), "{counts}");
    // `?2` belongs to the previous key, which is not configured.
    assert!(counts.contains("substr(env, 1, 11) = NULL"), "{counts}");
    let rows = last_rows(&database, &counts);
    assert_eq!(
        rows,
        [
            [1, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
            [0, 0, 0]
        ]
        .map(|row| row.map(Value::Integer))
    );
    let task = next(task, rows);
    let slice = script(batch(&task));
    assert!(
        slice.contains("WHERE id > '' AND") && slice.contains("LIMIT 500"),
        "{slice}"
    );
    let rows = last_rows(&database, &slice);
    assert_eq!(rows, [["it's; a".into(), Value::from("not sealed")]]);
    let task = next(task, rows);
    let last = script(batch(&task));
    assert!(
        last.contains("WHERE id > CAST(X'697427733b2061' AS TEXT) AND"),
        "{last}"
    );
    assert!(last_rows(&database, &last).is_empty());
}
