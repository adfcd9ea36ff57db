//! API keys on SQLite: creating, listing and deleting them, the rows that this leaves, and the requests that a key can make.

use tenants_core::sql::Value;
use tenants_core::task::key_import::{ForeignKey, Imported, KeyImport};
use tenants_core::task::keys::{
    KeyChoice, KeyCreation, KeyDeletion, KeyList, KeyName, KeyRotation,
};
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;

use crate::ask::{Header, get, post};
use crate::host::{Exhausted, Host, NOW, NOW_TEXT, TaskStep, UNEXPECTED_ROWS};

fn begin(host: &mut Host, name: Option<&str>, expires_at: Option<&str>) -> KeyCreation {
    let name = name.map(|name| KeyName::parse(name).unwrap());
    let expires_at = expires_at.map(|at| Timestamp::parse(at).unwrap());
    let config = host.api.config().unwrap();
    KeyCreation::begin(config, name, expires_at, NOW, host.random.as_mut()).unwrap()
}

fn status_with(host: &mut Host, key: &str) -> u16 {
    let mut ask = get("/tenants");
    ask.key = Header::Is(key.into());
    host.ask(&ask).status
}

#[test]
fn a_created_key_is_valid_and_the_database_has_only_its_digest() {
    let mut host = Host::new();
    let task = begin(&mut host, Some("billing"), Some("2026-08-18 23:16:58"));
    let created = host.complete(task);
    assert_eq!(created.id, 2);
    assert_eq!(
        host.sql(
            "SELECT id, name, digest, created_at, expires_at, deleted_at FROM api_keys WHERE id = 2",
            &[]
        ),
        [[
            Value::Integer(2),
            "billing".into(),
            created.key.digest().into(),
            NOW_TEXT.into(),
            "2026-08-18 23:16:58".into(),
            Value::Null,
        ]]
    );
    assert_eq!(
        host.sql(
            "SELECT key_id, action, subject, created_at FROM audit_log",
            &[]
        ),
        [[
            Value::Null,
            "api_key.create".into(),
            "2".into(),
            NOW_TEXT.into()
        ]]
    );
    assert!(!host.dump().contains(created.key.text()));
    assert_eq!(status_with(&mut host, created.key.text()), 200);
    host.now += 1;
    assert_eq!(status_with(&mut host, created.key.text()), 401, "expired");
}

#[test]
fn an_id_that_another_key_took_is_replaced_by_the_next() {
    let mut host = Host::new();
    let task = begin(&mut host, None, None);
    let task = host.step_on(task);
    let (between, _) = host.issue("between", None);
    let created = host.complete(task);
    assert_eq!((between, created.id), (2, 3));
    assert_eq!(
        host.one("SELECT group_concat(subject) FROM audit_log"),
        "3".into()
    );
    assert_eq!(status_with(&mut host, created.key.text()), 200);
}

#[test]
fn the_task_names_the_id_that_its_batch_inserts() {
    let mut host = Host::new();
    let task = begin(&mut host, None, None);
    assert_eq!(task.inserts(), None);
    let task = host.step_on(task);
    assert_eq!(task.inserts(), Some(2));
    host.issue("between", None);
    let task = host.step_on(task);
    assert_eq!(task.inserts(), None);
    let task = host.step_on(task);
    assert_eq!(task.inserts(), Some(3));
}

#[test]
fn the_task_gives_up_if_another_key_takes_every_id() {
    let mut host = Host::new();
    let mut task = begin(&mut host, None, None);
    for _ in 0..20 {
        match host.step(task) {
            Ok(TaskStep::Run(next)) => task = next,
            Ok(TaskStep::Done(created)) => panic!("{created:?} under another's id"),
            Err(error) => {
                assert_eq!(
                    error.to_string(),
                    format!(
                        "{UNEXPECTED_ROWS}somebody else got every id that was free a moment before"
                    )
                );
                return;
            }
        }
        host.issue("another", None);
    }
    panic!("the task never gives up");
}

#[test]
fn a_missing_secret_clock_or_randomness_is_named() {
    let mut host = Host::new();
    let task = begin(&mut host, None, None);
    let error = host.resume(task, Err("disk full".into())).unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");

    host.configure(&[("CHEVERETO_TENANTS_API_KEY_SECRET", "")]);
    let config = host.api.config().unwrap();
    let error = KeyCreation::begin(config, None, None, NOW, host.random.as_mut()).unwrap_err();
    assert_eq!(
        error.missing_variable(),
        Some("CHEVERETO_TENANTS_API_KEY_SECRET")
    );

    let host = Host::new();
    let config = host.api.config().unwrap();
    let none = KeyCreation::begin(config, None, None, NOW, &mut Exhausted).unwrap_err();
    assert!(none.to_string().contains("random"), "{none}");
    let clock = KeyCreation::begin(config, None, None, i64::MAX, &mut Exhausted).unwrap_err();
    assert!(clock.to_string().contains("clock"), "{clock}");
}

#[test]
fn a_name_is_1_to_255_characters_and_has_no_nul() {
    assert!(KeyName::parse("a").is_ok());
    assert!(KeyName::parse(&"é".repeat(255)).is_ok());
    for bad in ["", "a\0b", &"a".repeat(256)] {
        assert!(KeyName::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_audit_log_has_the_run_and_the_operator_that_the_host_gives() {
    let mut host = Host::new();
    let run = || Run::new("cli-1").by(Operator::parse("O'Neil@host").unwrap());
    let task = begin(&mut host, None, None).under(run());
    let id = host.complete(task).id.try_into().unwrap();
    let now = Timestamp::parse(NOW_TEXT).unwrap();
    host.complete(KeyDeletion::begin(&KeyChoice::Id(id), &run(), &now));
    let task = begin(&mut host, None, None);
    host.complete(task);
    let entries = host.sql(
        "SELECT action, operator, request_id = 'cli-1', detail FROM audit_log ORDER BY id",
        &[],
    );
    let entry = |action: &str, operator: Option<&str>| {
        let is_run = i64::from(operator.is_some());
        vec![action.into(), operator.into(), is_run.into(), Value::Null]
    };
    assert_eq!(
        entries,
        [
            entry("api_key.create", Some("O'Neil@host")),
            entry("api_key.delete", Some("O'Neil@host")),
            entry("api_key.create", None)
        ]
    );
}

#[test]
fn keys_are_listed_in_the_order_of_their_ids_with_deleted_ones() {
    let mut host = Host::new();
    host.issue("second", Some("2027-01-01 00:00:00"));
    host.sql(
        "UPDATE api_keys SET deleted_at = '2026-02-02 00:00:00' WHERE id = 1",
        &[],
    );
    let rows = host.complete(KeyList::all());
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = row.name.as_deref();
            (
                row.id,
                name,
                row.expires_at.as_deref(),
                row.deleted_at.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (1, Some("first"), None, Some("2026-02-02 00:00:00")),
            (2, Some("second"), Some("2027-01-01 00:00:00"), None),
        ]
    );
}

#[test]
fn a_key_is_found_by_its_id_and_its_digest_together() {
    let mut host = Host::new();
    let Value::Text(digest) = host.one("SELECT digest FROM api_keys WHERE id = 1") else {
        panic!("the first key has no digest")
    };
    assert_eq!(host.complete(KeyList::of(1, &digest)).len(), 1);
    assert!(host.complete(KeyList::of(2, &digest)).is_empty());
    assert!(host.complete(KeyList::of(1, "x")).is_empty());
}

#[test]
fn only_the_chosen_keys_are_deleted_and_each_deletion_is_audited_once() {
    let mut host = Host::new();
    let (second, key) = host.issue("O'Neil", None);
    let (third, _) = host.issue("O'Neil", None);
    let now = Timestamp::parse(NOW_TEXT).unwrap();
    let oneil = || KeyName::parse("O'Neil").unwrap();
    let mut delete =
        |choice: KeyChoice| host.complete(KeyDeletion::begin(&choice, &Run::new("cli-1"), &now));
    assert_eq!(delete(KeyChoice::Both(1, oneil())), [0; 0]);
    assert_eq!(delete(KeyChoice::Both(third, oneil())), [third]);
    assert_eq!(delete(KeyChoice::Name(oneil())), [second]);
    assert_eq!(delete(KeyChoice::Name(oneil())), [0; 0]);
    assert_eq!(delete(KeyChoice::Id(99)), [0; 0]);
    assert_eq!(
        host.one(
            "SELECT group_concat(action || ' ' || subject || ' ' || request_id) FROM audit_log"
        ),
        format!("api_key.delete {third} cli-1,api_key.delete {second} cli-1")
            .as_str()
            .into()
    );
    assert_eq!(status_with(&mut host, &key), 401);
}

/// The vectors' keys are issued under their own secret, with the ids 1 and 42.
#[test]
fn the_keys_of_a_chevereto_installation_are_taken_over_by_id_and_expiry() {
    let file = include_str!("../../../../tests/vectors/chevereto.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let [first, second] = file["api_keys"].as_array().unwrap().as_slice() else {
        panic!("two keys")
    };
    let text = |vector: &serde_json::Value, name: &str| vector[name].as_str().unwrap().to_owned();
    let (first_key, key) = (text(first, "key"), text(second, "key"));
    let mut host = Host::new();
    host.configure(&[("CHEVERETO_TENANTS_API_KEY_SECRET", &text(second, "secret"))]);
    assert_eq!(status_with(&mut host, &key), 401, "not imported");
    let import = |id: i64, expires_at: &str| ForeignKey {
        id,
        name: KeyName::parse("billing").ok(),
        created_at: Timestamp::parse("2024-01-02 03:04:05").ok(),
        expires_at: Timestamp::parse(expires_at).ok(),
    };
    let now = Timestamp::from_unix(NOW).unwrap();
    let run = || Run::new("run-1");
    // Key 1 is the host's own.
    let keys = [import(1, ""), import(42, "2026-08-18 23:16:58")];
    let outcomes = host.complete(KeyImport::begin(&keys, &run(), &now));
    assert_eq!(outcomes, [Imported::Taken, Imported::Now]);
    assert_eq!(status_with(&mut host, &key), 200);
    assert_eq!(status_with(&mut host, &first_key), 401, "the host's own id");
    let foreign = key.replacen("chv_42_", "chv_43_", 1);
    assert_eq!(status_with(&mut host, &foreign), 401, "forged");
    let row = "SELECT name, digest, created_at, expires_at FROM api_keys WHERE id = 42";
    assert_eq!(
        host.sql(row, &[]),
        [[
            "billing",
            "chevereto:42",
            "2024-01-02 03:04:05",
            "2026-08-18 23:16:58"
        ]
        .map(Value::from)]
    );
    let entries = "SELECT action, subject, request_id FROM audit_log";
    assert_eq!(
        host.sql(entries, &[]),
        [["api_key.import", "42", "run-1"].map(Value::from)]
    );
    // Once more: nothing changes.
    let before = host.dump();
    let again = host.complete(KeyImport::begin(&keys, &run(), &now));
    let known = Imported::Before { deleted_at: None };
    assert_eq!(again, [Imported::Taken, known]);
    assert_eq!(host.dump(), before);
    host.now += 1;
    assert_eq!(status_with(&mut host, &key), 401, "expired");

    host.now -= 1;
    host.complete(KeyDeletion::begin(&KeyChoice::Id(42), &run(), &now));
    assert_eq!(status_with(&mut host, &key), 401, "deleted");
    let again = host.complete(KeyImport::begin(&keys[1..], &run(), &now));
    let deleted_at = Some(now.as_str().into());
    assert_eq!(again, [Imported::Before { deleted_at }]);
    assert_eq!(status_with(&mut host, &key), 401, "it stays deleted");
}

#[test]
fn a_key_that_was_rotated_here_is_still_one_that_was_imported_before() {
    let mut host = Host::new();
    let now = Timestamp::from_unix(NOW).unwrap();
    let run = || Run::new("run-1");
    let keys = [ForeignKey {
        id: 42,
        name: None,
        created_at: None,
        expires_at: None,
    }];
    let outcomes = host.complete(KeyImport::begin(&keys, &run(), &now));
    assert_eq!(outcomes, [Imported::Now]);
    let config = host.api.config().unwrap();
    let rotation = KeyRotation::begin(config, 42, 0, run(), NOW).unwrap();
    let rotated = host.complete(rotation).unwrap();
    let before = host.dump();
    let again = host.complete(KeyImport::begin(&keys, &run(), &now));
    assert_eq!(again, [Imported::Before { deleted_at: None }]);
    assert_eq!(host.dump(), before, "the rotated key stays as it is");
    assert_eq!(status_with(&mut host, rotated.key.text()), 200);
    // A key of this service under the same id as an installation's.
    let own = [ForeignKey {
        id: 1,
        ..keys[0].clone()
    }];
    let taken = host.complete(KeyImport::begin(&own, &run(), &now));
    assert_eq!(taken, [Imported::Taken]);
}

#[test]
fn no_key_is_made_with_an_id_that_no_text_has_room_for() {
    let mut host = Host::new();
    host.sql(
        "INSERT INTO api_keys (id, digest, created_at) VALUES (999999999999999, 'chevereto:999999999999999', '2024-01-02 03:04:05')",
        &[],
    );
    let before = host.dump();
    let task = begin(&mut host, None, None);
    let error = host.step(task).unwrap_err().to_string();
    assert!(error.contains("room for 15 digits"), "{error}");
    let got = host.ask(&post("/keys", r#"{"scopes":["tenants:read"]}"#));
    assert_eq!(got.status, 500);
    assert!(got.cause().contains("room for 15 digits"), "{got:?}");
    assert_eq!(host.dump(), before);
}
