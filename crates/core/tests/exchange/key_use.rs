//! When a key was last used (contract §13): to the hour, written once an hour at most, and after the response; and the host's rate limiter.

use tenants_core::sql::{Batch, Value};
use tenants_core::{Answer, Body, Headers, Machine as _, Request, Step};

use crate::ask::{Ask, get, new_tenant, post};
use crate::host::{Exhausted, Host, WaitsForBatch as _};

/// Sends a request, and returns its status and what is to be written afterwards.
fn sent(host: &mut Host, ask: &Ask) -> (u16, Option<Batch>) {
    let mut step = host.begin(ask);
    loop {
        match step {
            Step::Done(Answer {
                response,
                afterwards,
                ..
            }) => return (response.status, afterwards),
            Step::Run(exchange) => {
                let rows = host.run(exchange.batch());
                step = host.resumed(exchange, rows);
            }
        }
    }
}

/// Sends a request, and runs what is to be written afterwards. Returns the status, and whether there was anything.
fn noted(host: &mut Host, ask: &Ask) -> (u16, bool) {
    let (status, afterwards) = sent(host, ask);
    if let Some(batch) = &afterwards {
        assert_eq!(batch.statements().len(), 1);
        host.run(batch).unwrap();
    }
    (status, afterwards.is_some())
}

fn last_used(host: &Host, id: i64) -> Value {
    let rows = host.sql(
        "SELECT last_used_at FROM api_keys WHERE id = ?1",
        &[id.into()],
    );
    rows[0][0].clone()
}

#[test]
fn the_first_use_in_an_hour_is_written_and_no_other() {
    let mut host = Host::new();
    let ask = get("/tenants");
    assert_eq!(last_used(&host, 1), Value::Null);
    assert_eq!(noted(&mut host, &ask), (200, true));
    assert_eq!(last_used(&host, 1), "2026-08-18 23:00:00".into());
    for ask in [
        &ask,
        &get("/tenants/nobody"),
        &new_tenant("a"),
        &post("/auth/verify", ""),
    ] {
        assert!(!noted(&mut host, ask).1, "{ask:?}");
    }
    // 00:00:00, in the next hour.
    host.now += 2_583;
    assert_eq!(noted(&mut host, &ask), (200, true));
    assert_eq!(last_used(&host, 1), "2026-08-19 00:00:00".into());
    assert_eq!(noted(&mut host, &ask), (200, false));
    // Each key has its own.
    let (id, key) = host.issue("second", None);
    assert_eq!(noted(&mut host, &get("/tenants").key(key)), (200, true));
    assert_eq!(last_used(&host, id), "2026-08-19 00:00:00".into());
    let shown = host.json(200, &get("/keys/1"));
    assert_eq!(shown["last_used_at"], "2026-08-19 00:00:00");
    // It is no write of the registry.
    assert_eq!(
        host.sql("SELECT 1 FROM audit_log WHERE action LIKE 'api_key%'", &[])
            .len(),
        0
    );
}

#[test]
fn another_instance_writes_no_row_again() {
    let mut host = Host::new();
    assert_eq!(noted(&mut host, &get("/tenants")), (200, true));
    // A new instance has no memory.
    host.configure(&[]);
    let (_, afterwards) = sent(&mut host, &get("/tenants"));
    let before = host.db.total_changes();
    host.run(&afterwards.unwrap()).unwrap();
    assert_eq!(host.db.total_changes(), before);
    // Nor does an instance whose clock is behind.
    host.configure(&[]);
    host.now -= 7_200;
    assert_eq!(noted(&mut host, &get("/tenants")), (200, true));
    assert_eq!(last_used(&host, 1), "2026-08-18 23:00:00".into());
}

#[test]
fn a_refused_key_was_not_used() {
    let mut host = Host::new();
    let (id, key) = host.issue("dead", Some("2026-08-18 23:00:00"));
    for ask in [
        get("/tenants").key(key.as_str()),
        get("/tenants").no_signature(),
        get("/tenants").no_key(),
        get("/no/route"),
    ] {
        let (status, afterwards) = sent(&mut host, &ask);
        assert!(
            matches!(status, 401 | 404) && afterwards.is_none(),
            "{ask:?}"
        );
    }
    assert_eq!(last_used(&host, id), Value::Null);
    // A key that lacks the scope was used, and so was one whose body was refused before the database saw its key.
    let scoped = host.issue_scoped(&["plans:read"]);
    assert_eq!(noted(&mut host, &get("/tenants").key(scoped)), (403, true));
    let scoped = host.issue_scoped(&["tenants:write"]);
    let bad = post("/tenants", "{}").key(scoped);
    assert_eq!(noted(&mut host, &bad), (422, true));
    let dead = post("/tenants", "{}").key(key);
    assert_eq!(noted(&mut host, &dead), (422, true));
    assert_eq!(
        last_used(&host, id),
        Value::Null,
        "the write judges the key, too"
    );
}

#[test]
fn a_reader_of_traefiks_configuration_and_a_bound_key_are_noted() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "192.0.2.7")]);
    let ask = get("/config/traefik").from("192.0.2.7").no_signature();
    assert_eq!(noted(&mut host, &ask), (200, true));
    assert_eq!(last_used(&host, 1), "2026-08-18 23:00:00".into());
    host.sql(
        "UPDATE api_keys SET is_bound = 1, digest = 'bound:' || digest",
        &[],
    );
    host.configure(&[]);
    let (status, afterwards) = sent(&mut host, &ask);
    assert!(status == 401 && afterwards.is_none());
}

#[test]
fn a_host_refuses_a_key_that_sends_too_many_requests() {
    let mut host = Host::legacy(&[]);
    let rotated = host.expect(200, &post("/keys/1/rotate", r#"{"overlap_seconds":60}"#));
    let rotated = rotated.json()["api_key"].as_str().unwrap().to_owned();
    let signature = host.sign(b"");
    let admit = |key: Option<&str>, target: &str| {
        let request = Request {
            method: "GET",
            target,
            origin: None,
            client_address: None,
            headers: Headers {
                api_key: key,
                signature: Some(&signature),
                request_id: Some("r-1"),
                ..Headers::default()
            },
            body: Body::Bytes(b""),
        };
        host.api.admit(&request, host.now, &mut Exhausted)
    };
    let forged = host.key.replacen("chv_1_", "chv_2_", 1);
    for (key, target, id) in [
        (Some(&*host.key), "/_/api/4/tenants", Some("1-")),
        // A key whose MAC is right counts, whatever else is wrong.
        (Some(&*host.key), "/api/4/_/tenants/a", Some("1-")),
        (Some(&*forged), "/_/api/4/tenants", None),
        (None, "/_/api/4/tenants", None),
        (Some(&*host.key), "/_/health", None),
    ] {
        let limited_as = admit(key, target).limited_as();
        let begins = limited_as.as_deref().map(|name| name.split_at(2).0);
        assert_eq!(begins, id, "{key:?} {target}");
    }
    // Whoever has a key's secret of before cannot use up the limit of the one that it has now.
    let of = |key: &str, target: &str| admit(Some(key), target).limited_as().unwrap();
    assert_eq!(
        of(&host.key, "/_/api/4/tenants"),
        of(&host.key, "/_/api/4/keys")
    );
    assert_ne!(
        of(&host.key, "/_/api/4/tenants"),
        of(&rotated, "/_/api/4/tenants")
    );
    let answer = admit(Some(&host.key), "/_/api/4/tenants").refused();
    assert_eq!(answer.response.status, 429);
    assert_eq!(answer.response.header("retry-after"), Some("60"));
    assert!(
        answer
            .response
            .body
            .contains(r#""code":"too_many_requests""#)
    );
    assert_eq!(
        (answer.log.key_id, answer.log.route),
        (Some(1), Some("/tenants"))
    );
    assert!(answer.afterwards.is_none());
    let legacy = admit(Some(&host.key), "/api/4/_/tenants/a").refused();
    assert!(legacy.response.header("deprecation").is_some());
    match admit(Some(&host.key), "/_/api/4/tenants").admitted() {
        Step::Run(exchange) => assert!(exchange.effect().batch().is_some()),
        Step::Done(answer) => panic!("{answer:?}"),
    }
}
