//! A key is created, on a real SQLite: what it leaves behind, and what opens what from then on.

use tenants_core::sql::Value;
use tenants_core::task::keys::{KeyCreation, KeyName};
use tenants_core::value::clock::Timestamp;

use crate::ask::{Header, get};
use crate::host::{Exhausted, Host, NOW, NOW_TEXT, TaskStep};

fn begin(host: &mut Host, name: Option<&str>, expires_at: Option<&str>) -> KeyCreation {
    let name = name.map(|name| KeyName::parse(name).unwrap());
    let expires_at = expires_at.map(|at| Timestamp::parse(at).unwrap());
    let config = host.api.config().unwrap();
    KeyCreation::begin(config, name, expires_at, NOW, host.random.as_mut()).unwrap()
}

fn opens(host: &mut Host, key: &str) -> u16 {
    let mut ask = get("/tenants");
    ask.key = Header::Is(key.into());
    host.ask(&ask).status
}

#[test]
fn a_key_that_was_created_opens_and_the_database_has_its_digest_alone() {
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
    assert_eq!(opens(&mut host, created.key.text()), 200);
    host.now += 1;
    assert_eq!(opens(&mut host, created.key.text()), 401, "expired");
}

#[test]
fn an_id_that_was_given_away_meanwhile_is_replaced_by_the_next() {
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
    assert_eq!(opens(&mut host, created.key.text()), 200);
}

#[test]
fn a_key_whose_id_is_always_given_away_is_given_up() {
    let mut host = Host::new();
    let mut task = begin(&mut host, None, None);
    for _ in 0..20 {
        match host.step(task) {
            Ok(TaskStep::Run(next)) => task = next,
            Ok(TaskStep::Done(created)) => panic!("{created:?} under another's id"),
            Err(error) => {
                assert_eq!(
                    error.to_string(),
                    "the database's answer is not its statement's: every id that was free was another's a moment later"
                );
                return;
            }
        }
        host.issue("another", None);
    }
    panic!("it never gives up");
}

#[test]
fn what_a_key_cannot_be_created_without_is_named() {
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
fn a_hosts_own_id_stands_in_the_audit_log() {
    let mut host = Host::new();
    let task = begin(&mut host, None, None).under("cli-1");
    host.complete(task);
    assert_eq!(
        host.one("SELECT request_id FROM audit_log WHERE action = 'api_key.create'"),
        "cli-1".into()
    );
}
