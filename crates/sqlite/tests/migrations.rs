//! Opening a database applies the migrations that it lacks.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use rusqlite::Connection;
use tenants_core::task::prepare::MIGRATIONS;
use tenants_sqlite::{open, open_in_memory};

/// A folder that is deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tenants-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The schema without comments, spaces and the record.
fn schema(db: &Connection) -> Vec<String> {
    let text = "SELECT type || ' ' || sql FROM sqlite_master \
                WHERE name NOT LIKE 'sqlite%' AND name <> 'd1_migrations' ORDER BY type, name";
    let mut statement = db.prepare(text).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|sql: Result<String, _>| {
        let sql = sql.unwrap();
        let lines = sql.lines().map(|line| line.split("--").next().unwrap());
        lines
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect()
    })
    .collect()
}

fn recorded(db: &Connection) -> Vec<String> {
    let text = "SELECT name FROM d1_migrations ORDER BY id";
    let mut statement = db.prepare(text).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn names() -> Vec<&'static str> {
    MIGRATIONS.iter().map(|migration| migration.name).collect()
}

#[test]
fn the_list_has_every_file_of_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(names(), files);
}

#[test]
fn a_new_database_gets_the_schema() {
    let db = open_in_memory().unwrap();
    let whole = Connection::open_in_memory().unwrap();
    whole
        .execute_batch(concat!(
            include_str!("../../../schema.sql"),
            include_str!("../../../schema_writes.sql")
        ))
        .unwrap();
    assert_eq!(schema(&db), schema(&whole));
    assert!(schema(&db).len() > 10);
    assert_eq!(recorded(&db), names());
}

#[test]
fn a_database_in_each_earlier_state_is_brought_up_to_date_and_keeps_its_rows() {
    let folder = Folder::new("states");
    let newest = schema(&open_in_memory().unwrap());
    for has_record in [true, false] {
        for state in 1..=MIGRATIONS.len() {
            // Later states have a record, because only releases before it made databases without one.
            if !has_record && state > 3 {
                continue;
            }
            let path = folder.0.join(format!("{state}-{has_record}.sqlite"));
            let old = Connection::open(&path).unwrap();
            // Otherwise SQLite waits for the disk after each of some ten thousand statements, which takes minutes.
            old.pragma_update(None, "synchronous", false).unwrap();
            if has_record {
                // Copied from wrangler.
                old.execute_batch("CREATE TABLE IF NOT EXISTS d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)").unwrap();
            }
            for migration in &MIGRATIONS[..state] {
                old.execute_batch(migration.sql).unwrap();
                if has_record {
                    let sql = "INSERT INTO d1_migrations (name) VALUES (?1)";
                    old.execute(sql, [migration.name]).unwrap();
                }
            }
            let insert = "INSERT INTO api_keys (digest, created_at) VALUES ('kept', '')";
            old.execute(insert, []).unwrap();
            drop(old);
            for _ in 0..2 {
                let db = open(&path).unwrap();
                assert_eq!(schema(&db), newest, "{state}");
                assert_eq!(recorded(&db), names(), "{state}");
                let count = "SELECT count(*) FROM api_keys WHERE digest = 'kept'";
                let keys: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
                assert_eq!(keys, 1, "{state}");
            }
        }
    }
}

#[test]
fn many_may_open_a_new_database_at_once() {
    let folder = Folder::new("at-once");
    let path = folder.0.join("a.sqlite");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || drop(open(path).unwrap()))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(recorded(&open(&path).unwrap()), names());
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let folder = Folder::new("newer");
    let path = folder.0.join("a.sqlite");
    let db = open(&path).unwrap();
    db.execute_batch(
        "DELETE FROM d1_migrations WHERE id = 3; DROP INDEX tenants_by_stats_turn; ALTER TABLE tenants DROP COLUMN stats_turn_at; \
         INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')",
    )
    .unwrap();
    let before = schema(&db);
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("`9999_later.sql`"), "{error}");
    assert!(error.contains("newer version"), "{error}");
    assert_eq!(schema(&db), before);
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    let folder = Folder::new("failing");
    let path = folder.0.join("a.sqlite");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(MIGRATIONS[0].sql).unwrap();
    // The name of the last view of the second migration is taken.
    old.execute_batch("CREATE VIEW delete_plan AS SELECT 1")
        .unwrap();
    let before = schema(&old);
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("delete_plan already exists"), "{error}");
    assert_eq!(schema(&old), before);
    assert_eq!(recorded(&old), ["0001_registry.sql"]);
}
