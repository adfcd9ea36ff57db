//! `GET /_/health` (contract §11).

use tenants_core::task::prepare::MIGRATIONS;
use tenants_core::{Answer, Context, Failure, Machine as _, Outcome, Step, VERSION};

use crate::ask::Ask;
use crate::host::{Got, Host, problem};

fn health() -> Ask {
    Ask::new("GET", "/_/health").no_key().no_signature()
}

fn newest() -> &'static str {
    MIGRATIONS[MIGRATIONS.len() - 1].name
}

fn not_ready() -> String {
    let detail = "the service is not ready; its log has the reason under the request id";
    problem(503, "Service Unavailable", detail, "not_ready", "")
}

#[test]
fn a_healthy_service_tells_its_version_and_its_schema_to_anybody_and_nothing_else() {
    let mut host = Host::new();
    let expected = format!(r#"{{"version":"{VERSION}","schema":"{}"}}"#, newest());
    let queried = Ask::new("GET", "/_/health?a=b").no_key().no_signature();
    for ask in [health(), health().key("x").signature("x"), queried] {
        let got = host.expect(200, &ask);
        assert_eq!(got.body, expected);
        assert_eq!(got.log.route, Some("/_/health"));
        assert_eq!((got.log.key_id, got.log.legacy), (None, false));
    }
    let mut head = health();
    head.method = "HEAD".into();
    assert_eq!(host.expect(200, &head).body, "");
}

#[test]
fn the_service_needs_no_secret_to_be_healthy() {
    let mut host = Host::with(&[
        ("CHEVERETO_TENANTS_API_KEY_SECRET", ""),
        ("CHEVERETO_TENANTS_API_REQUEST_SECRET", ""),
        ("CHEVERETO_ENCRYPTION_KEY", ""),
    ]);
    host.expect(200, &health());
    host.configure(&[("TENANTS_LOG_LEVEL", "nonsense")]);
    host.refuse(503, &health());
}

#[test]
fn another_method_is_a_405() {
    let mut host = Host::new();
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "OPTIONS"] {
        let ask = Ask::new(method, "/_/health").no_key();
        let got = host.refuse(405, &ask);
        assert_eq!(got.header("allow"), Some("GET, HEAD"));
        assert_eq!(got.log.route, Some("/_/health"));
    }
}

#[test]
fn the_list_of_addresses_that_may_call_holds_for_it_too() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "192.0.2.1")]);
    host.refuse(403, &health());
    host.refuse(403, &health().from("192.0.2.2"));
    host.expect(200, &health().from("192.0.2.1"));
}

#[test]
fn a_database_that_is_behind_is_a_503_and_only_the_log_says_why() {
    let mut host = Host::new();
    host.sql(
        "DELETE FROM d1_migrations WHERE name = ?1",
        &[newest().into()],
    );
    let got = host.expect(503, &health());
    assert_eq!(got.body, not_ready());
    let lacks = format!("the database lacks the migration `{}`", newest());
    assert_eq!(got.cause(), lacks);

    let insert = "INSERT INTO d1_migrations (name) VALUES (?1)";
    host.sql(insert, &[newest().into()]);
    host.expect(200, &health());
}

#[test]
fn a_database_that_a_newer_version_migrated_is_healthy_unless_it_is_behind_too() {
    let mut host = Host::new();
    let insert = "INSERT INTO d1_migrations (name) VALUES (?1)";
    host.sql(insert, &["9999_later.sql".into()]);
    let expected = format!(r#"{{"version":"{VERSION}","schema":"9999_later.sql"}}"#);
    assert_eq!(host.expect(200, &health()).body, expected);
    host.sql(
        "DELETE FROM d1_migrations WHERE name = ?1",
        &[newest().into()],
    );
    host.expect(503, &health());
}

#[test]
fn a_database_without_a_record_or_that_fails_is_a_503() {
    let mut host = Host::new();
    host.sql("DROP TABLE d1_migrations", &[]);
    let ask = health();
    let exchange = host.exchange(&ask);
    let Err(reason) = host.run(crate::host::WaitsForBatch::batch(&exchange)) else {
        panic!("the record was read");
    };
    assert!(reason.contains("no such table"), "{reason}");
    let got: Got = host.finish(&ask, exchange, Err(reason.clone()));
    assert_eq!((got.status, got.body.as_str()), (503, not_ready().as_str()));
    assert_eq!(got.cause(), format!("the database failed: {reason}"));

    let exchange = host.exchange(&ask);
    let outcome = Outcome::Batch(Err(Failure::unavailable("database is locked")));
    let context = &mut Context {
        unix_seconds: host.now,
        random: host.random.as_mut(),
    };
    let Step::Done(Answer { response, .. }) = exchange.resume(outcome, context) else {
        panic!("it asks for another batch");
    };
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
}
