//! Every statement on SQLite itself, in the tables of `schema.sql`.

use rusqlite::Connection;
use tenants_core::auth::key::{IssuedKey, KeySecret};
use tenants_core::clock::Timestamp;
use tenants_core::config::Config;
use tenants_core::job::{Job as _, JobStep};
use tenants_core::reseal::Reseal;
use tenants_core::secret::Secret;
use tenants_core::sql::Value;

use super::{KEYS, KeyChoice, Trace, delete_keys, key_row, script, text};
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
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch(include_str!("../../../../schema.sql"))
        .unwrap();
    database
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn issue(id: u64) -> IssuedKey {
    KeySecret::new(&Secret::new("s".into()))
        .issue(id, &mut SystemRandom)
        .unwrap()
}

/// Runs statements as D1 does: in one transaction, every one's rows kept. Answers the first column of each row.
fn run(database: &mut Connection, sql: &str) -> Vec<Vec<i64>> {
    let transaction = database.transaction().unwrap();
    let mut results = Vec::new();
    for statement in sql.split("; ") {
        let mut prepared = transaction.prepare(statement).unwrap();
        let rows = prepared.query_map([], |row| row.get(0)).unwrap();
        results.push(rows.collect::<Result<Vec<i64>, _>>().unwrap());
    }
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
fn every_text_comes_back_as_it_went_in() {
    let database = database();
    for name in NAMES {
        let sql = format!("SELECT {}", text(name));
        let back: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(&back, name);
        assert!(!sql.contains("BEGIN") && !sql.contains("COMMIT") && !sql.contains(';'));
    }
}

#[test]
fn plain_texts_stay_readable_and_nothing_else_is_plain() {
    for plain in ["2026-01-02 03:04:05", "Tenant_1", "1.b8afdba8.AvL_Oc59-q"] {
        assert_eq!(text(plain), format!("'{plain}'"));
    }
    // A space is in no word.
    assert!(text("BEGIN TRANSACTION").starts_with("CAST("));
    for c in '\0'..='\u{ff}' {
        let literal = text(&c.to_string());
        let plain = c.is_ascii_alphanumeric() || "._-: ".contains(c);
        assert_eq!(literal.starts_with('\''), plain, "{c:?}");
    }
}

/// Inserts a key, as far as these tests look at one.
fn insert(database: &Connection, id: i64, name: Option<&str>, digest: &str) {
    let sql = "INSERT INTO api_keys (id, name, digest, created_at) VALUES (?1, ?2, ?3, '')";
    database.execute(sql, (id, name, digest)).unwrap();
}

#[test]
fn only_what_is_meant_is_deleted_and_only_once() {
    let mut database = database();
    let now = at("2026-01-02 03:04:05");
    let trace = Trace {
        request_id: "cli-0a",
        now: &now,
    };
    for (id, name) in [(1, Some("O'Neil")), (2, Some("O'Neil")), (3, None)] {
        insert(&database, id, name, "");
    }
    let mut delete = |id, name| {
        let sql = delete_keys(KeyChoice { id, name }, trace);
        run(&mut database, &sql).remove(1)
    };
    assert_eq!(delete(Some(3), Some("O'Neil")), [0; 0]);
    assert_eq!(delete(Some(1), Some("O'Neil")), [1]);
    assert_eq!(delete(None, Some("O'Neil")), [2]);
    assert_eq!(delete(None, Some("O'Neil")), [0; 0]);
    assert_eq!(delete(Some(3), None), [3]);
    assert_eq!(
        audit(&database),
        [1, 2, 3].map(|id| format!("api_key.delete {id} cli-0a 2026-01-02 03:04:05 operator"))
    );
    assert_eq!(run(&mut database, KEYS), [[1, 2, 3]]);
}

#[test]
fn a_keys_row_is_found_by_id_and_digest_together() {
    let mut database = database();
    let key = issue(1);
    insert(&database, 1, None, key.digest());
    assert_eq!(run(&mut database, &key_row(1, key.digest())), [[1]]);
    assert_eq!(run(&mut database, &key_row(2, key.digest())), [[0; 0]]);
    assert_eq!(run(&mut database, &key_row(1, issue(1).digest())), [[0; 0]]);
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

/// The first rows of a script's last statement, as the core has them.
fn last_rows(database: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for statement in sql.split("; ") {
        let mut prepared = database.prepare(statement).unwrap();
        let columns = prepared.column_count();
        let rows = prepared.query_map([], |row| {
            (0..columns)
                .map(|column| {
                    Ok(match row.get_ref(column)? {
                        rusqlite::types::ValueRef::Integer(n) => Value::Integer(n),
                        rusqlite::types::ValueRef::Text(text) => {
                            String::from_utf8(text.to_vec()).unwrap().into()
                        }
                        _ => Value::Null,
                    })
                })
                .collect()
        });
        all = rows.unwrap().collect::<Result<_, _>>().unwrap();
    }
    all
}

#[test]
fn a_batch_of_the_core_becomes_text_with_its_values_in_their_places() {
    let database = database();
    database
        .execute_batch(
            "INSERT INTO tenants (id, hostname, is_enabled, env, created_at, updated_at) VALUES \
             ('it''s; a', 'a', 1, 'not sealed', '', ''), ('b', 'b', 1, NULL, '', '')",
        )
        .unwrap();
    let now = at("2026-01-02 03:04:05");
    let job = Reseal::begin(&config(), "cli-0a", &now, 1000).unwrap();
    let counts = script(job.batch());
    assert!(!counts.contains('?'), "{counts}");
    // `?2` is the previous key's, which is not there.
    assert!(counts.contains("substr(env, 1, 11) = NULL"), "{counts}");
    let rows = last_rows(&database, &counts);
    assert_eq!(
        rows,
        [[1, 0, 0], [0, 0, 0]].map(|row| row.map(Value::Integer))
    );
    let Ok(JobStep::Run(job)) = job.resume(Ok(vec![rows]), &mut SystemRandom) else {
        panic!("nothing to do")
    };
    let slice = script(job.batch());
    assert!(
        slice.contains("WHERE id > '' AND") && slice.contains("LIMIT 500"),
        "{slice}"
    );
    let rows = last_rows(&database, &slice);
    assert_eq!(rows, [["it's; a".into(), Value::from("not sealed")]]);
    let Ok(JobStep::Run(job)) = job.resume(Ok(vec![rows]), &mut SystemRandom) else {
        panic!("one slice more")
    };
    let next = script(job.batch());
    assert!(
        next.contains("WHERE id > CAST(X'697427733b2061' AS TEXT) AND"),
        "{next}"
    );
    assert!(last_rows(&database, &next).is_empty());
}
