//! `/tenants/{id}/holds/{kind}` (contract §16): why a tenant's site is off, and what the cron trigger lifts.

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;

use crate::ask::{Ask, delete, get, new_tenant, new_tenant_on, patch, post, put};
use crate::cells::host_with_cells;
use crate::host::Host;

const UNPAID: &str = r#"{"reason":"invoice 7","message":"Paused","until":"2026-08-19 00:00:00"}"#;
const REASON: &str = r#"{"reason":"r"}"#;
/// A second of `UNPAID`'s end, as seconds since 1970.
const END: i64 = 1_787_097_600;

fn hold(kind: &str, body: &str) -> Ask {
    put(&format!("/tenants/a/holds/{kind}"), body)
}

fn release(kind: &str) -> Ask {
    delete(&format!("/tenants/a/holds/{kind}"))
}

fn host() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host
}

/// The members of the tenant `a` that holds change.
fn state(host: &mut Host) -> (bool, Json) {
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(tenant["is_enabled"], true, "a hold leaves `is_enabled`");
    (tenant["served"].as_bool().unwrap(), tenant["holds"].clone())
}

fn cron(host: &mut Host) {
    let task = host.api.begin_stats(host.now).unwrap();
    host.complete(task);
}

/// The action and the kind of each entry on holds.
fn entries(host: &Host) -> Vec<Vec<Value>> {
    host.sql(
        "SELECT action || ' ' || detail || ' ' || changed || ' ' || subject || ' ' || coalesce(key_id, 'cron') FROM audit_log \
         WHERE action IN ('tenant.hold', 'tenant.release') ORDER BY id",
        &[],
    )
}

fn texts(all: &[&str]) -> Vec<Vec<Value>> {
    all.iter().map(|text| vec![(*text).into()]).collect()
}

#[test]
fn a_tenant_is_served_when_its_last_hold_is_lifted() {
    let mut host = host();
    assert_eq!(state(&mut host), (true, json!({})));
    let before = host.expect(200, &get("/tenants/a"));
    host.now += 1;
    let got = host.expect(204, &hold("non_payment", UNPAID));
    let unpaid =
        json!({"reason": "invoice 7", "message": "Paused", "until": "2026-08-19 00:00:00"});
    assert_eq!(state(&mut host), (false, json!({"non_payment": unpaid})));
    let after = host.expect(200, &get("/tenants/A"));
    assert_eq!(got.header("etag"), after.header("etag"));
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_ne!(before.json()["updated_at"], after.json()["updated_at"]);

    host.expect(
        204,
        &hold("abuse", r#"{"reason":"\"é\u0041'","message":null}"#),
    );
    let abuse = json!({"reason": "\"éA'", "message": null, "until": null});
    let both = json!({"non_payment": unpaid, "abuse": abuse});
    assert_eq!(state(&mut host), (false, both));
    // It replaces the whole hold.
    host.expect(204, &hold("abuse", REASON));
    host.expect(204, &release("non_payment"));
    let abuse = json!({"reason": "r", "message": null, "until": null});
    assert_eq!(state(&mut host), (false, json!({"abuse": abuse})));
    let got = host.expect(204, &release("abuse"));
    assert_eq!(state(&mut host), (true, json!({})));
    let after = host.expect(200, &get("/tenants/a"));
    assert_eq!(got.header("etag"), after.header("etag"));
    assert_eq!(
        entries(&host),
        texts(&[
            "tenant.hold non_payment holds a 1",
            "tenant.hold abuse holds a 1",
            "tenant.hold abuse holds a 1",
            "tenant.release non_payment holds a 1",
            "tenant.release abuse holds a 1",
        ])
    );
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(tenant["served"], false, "a disabled one is not served");
}

#[test]
fn bad_input_is_refused_and_named() {
    let mut host = host();
    for (kind, body, pointer) in [
        ("spam", REASON, "/kind"),
        ("ABUSE", REASON, "/kind"),
        ("abuse", "{}", "/reason"),
        ("abuse", r#"{"reason":""}"#, "/reason"),
        ("abuse", r#"{"reason":null}"#, "/reason"),
        ("abuse", r#"{"reason":"r","message":""}"#, "/message"),
        ("abuse", r#"{"reason":"r","until":"tomorrow"}"#, "/until"),
        // This second is not in the future.
        (
            "abuse",
            r#"{"reason":"r","until":"2026-08-18 23:16:57"}"#,
            "/until",
        ),
        ("abuse", r#"{"reason":"r","kind":"abuse"}"#, "/kind"),
    ] {
        let got = host.refuse(422, &hold(kind, body));
        assert_eq!(got.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let long = |member: &str, length: usize| {
        let mut body = json!({"reason": "r"});
        body[member] = "é".repeat(length).into();
        hold("admin", &body.to_string())
    };
    for (member, most) in [("reason", 255), ("message", 500)] {
        host.refuse(422, &long(member, most + 1));
        host.expect(204, &long(member, most));
    }
    host.expect(404, &put("/tenants/gone/holds/abuse", REASON));
    host.expect(404, &put("/tenants/_/holds/abuse", REASON));
    host.expect(404, &delete("/tenants/gone/holds/abuse"));
    for kind in ["abuse", "spam", "ADMIN"] {
        let got = host.expect(404, &release(kind));
        assert_eq!(got.json()["detail"], "there is no such hold");
    }
    host.expect(204, &release("admin"));
    host.expect(404, &release("admin"));
}

#[test]
fn a_put_that_changes_nothing_writes_nothing() {
    let mut host = host();
    let first = host.expect(204, &hold("non_payment", UNPAID));
    let before = host.dump();
    host.now += 1;
    let spaced = UNPAID
        .replace(':', " : ")
        .replace("00 : 00 : 00", "00:00:00");
    let again = host.expect(204, &hold("non_payment", &spaced));
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(host.dump(), before);

    // It is remembered all the same: later, the request does not hold the tenant again.
    let keyed = hold("non_payment", UNPAID).idempotency_key("k-1");
    let first = host.expect(204, &keyed);
    host.expect(204, &release("non_payment"));
    let before = host.dump();
    let again = host.expect(204, &keyed);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(host.dump(), before);
}

#[test]
fn a_wrong_revision_changes_no_hold() {
    let mut host = host();
    let tag = host.expect(200, &get("/tenants/a"));
    let tag = tag.header("etag").unwrap().to_owned();
    host.expect(204, &hold("abuse", REASON).if_match(&tag));
    let before = host.dump();
    for ask in [
        hold("abuse", REASON),
        hold("abuse", UNPAID),
        release("abuse"),
    ] {
        assert_eq!(
            host.expect(412, &ask.if_match(&tag)).json()["code"],
            "precondition_failed"
        );
    }
    assert_eq!(host.dump(), before);
}

#[test]
fn a_list_has_both_members() {
    let mut host = host();
    host.expect(201, &new_tenant("b"));
    host.expect(204, &hold("maintenance", REASON));
    let hold = json!({"maintenance": {"reason": "r", "message": null, "until": null}});
    assert_eq!(
        host.json(200, &get("/tenants?fields=holds,id,served")),
        json!([{"id": "a", "served": false, "holds": hold}, {"id": "b", "served": true, "holds": {}}])
    );
    let all = host.json(200, &get("/tenants"));
    assert_eq!(all[0], host.json(200, &get("/tenants/a")));
}

#[test]
fn a_response_that_an_earlier_version_remembered_has_no_hold() {
    let mut host = host();
    let ask = patch("/tenants/a", r#"{"limits":{"A":"1"}}"#)
        .prefer("return=representation")
        .idempotency_key("k-1");
    let first = host.expect(200, &ask);
    // One before the times and the protection, and then one before the holds.
    for members in [3, 1] {
        for _ in 0..members {
            host.sql(
                "UPDATE idempotency SET answer = json_remove(answer, '$[#-1]')",
                &[],
            );
        }
        assert_eq!(host.expect(200, &ask).body, first.body);
    }
}

#[test]
fn a_cell_sees_a_held_tenant_as_disabled() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let mut last = String::new();
    // All within one second.
    for (ask, is_enabled) in [
        (hold("abuse", REASON), false),
        (hold("admin", REASON), false),
        (release("abuse"), false),
        (release("admin"), true),
    ] {
        host.expect(204, &ask);
        let page = host.json(200, &get(&format!("/cells/eu/tenants{last}")));
        assert_eq!(page["tenants"][0]["is_enabled"], is_enabled, "{ask:?}");
        last = format!("?after={}", page["cursor"].as_str().unwrap());
    }
}

#[test]
fn a_held_tenant_is_not_routed_to_its_site() {
    let mut host = Host::with(&[("TENANTS_DEVELOPMENT", "true")]);
    // A host that does not know where its pages are.
    let poll = || {
        let mut ask = get("/config/traefik").no_key().no_signature().from("::1");
        ask.origin = None;
        ask
    };
    host.expect(201, &new_tenant("A").from("::1"));
    host.expect(201, &new_tenant("b").from("::1"));
    let served = host.expect(200, &poll());
    assert!(served.body.contains("a.example.com"));
    host.expect(204, &hold("abuse", REASON).from("::1"));
    let held = host.expect(200, &poll());
    assert_ne!(served.header("etag"), held.header("etag"));
    assert!(!held.body.contains("a.example.com"));
    assert!(held.body.contains("b.example.com"));
    host.expect(204, &release("abuse").from("::1"));
    assert_eq!(host.expect(200, &poll()).body, served.body);
}

#[test]
fn the_cron_trigger_lifts_what_is_past_its_time() {
    let mut host = host();
    host.expect(204, &hold("non_payment", UNPAID));
    let later = r#"{"reason":"r","until":"2026-08-19 00:00:01"}"#;
    host.expect(204, &hold("maintenance", later));
    host.expect(204, &hold("abuse", REASON));
    host.now = END - 1;
    let before = host.dump();
    cron(&mut host);
    let holds = host.one("SELECT holds FROM tenants");
    assert_eq!(before.matches("invoice 7").count(), 1);
    assert!(matches!(&holds, Value::Text(text) if text.contains("invoice 7")));

    host.now = END;
    // Nothing but a write lifts it.
    assert!(state(&mut host).1.get("non_payment").is_some());
    cron(&mut host);
    let after = host.dump();
    cron(&mut host);
    assert_eq!(host.dump(), after);
    let left: Vec<String> = state(&mut host)
        .1
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(left, ["abuse", "maintenance"]);
    host.now += 1;
    cron(&mut host);
    host.now += 86_400;
    cron(&mut host);
    assert!(!state(&mut host).0);
    assert_eq!(
        entries(&host)[3..],
        texts(&[
            "tenant.release non_payment holds a cron",
            "tenant.release maintenance holds a cron"
        ])
    );
    host.expect(204, &release("abuse"));
    assert!(state(&mut host).0);
    assert_eq!(host.one("SELECT hold_until FROM tenants"), Value::Null);
}

#[test]
fn the_cron_trigger_lifts_many_in_slices() {
    let mut host = host();
    host.expect(204, &hold("non_payment", UNPAID));
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 249) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, has_site, holds, hold_until) \
         SELECT 't' || n, 't' || n, 1, '', '', 0, holds, hold_until FROM c, tenants WHERE id = 'a'",
        &[],
    );
    // Only the work of each minute is due then.
    host.now = END - 60;
    cron(&mut host);
    host.now = END;
    let held = |host: &Host| host.one("SELECT count(*) FROM tenants WHERE holds IS NOT NULL");
    assert_eq!(held(&host), Value::Integer(250));
    cron(&mut host);
    assert_eq!(held(&host), Value::Integer(50));
    cron(&mut host);
    assert_eq!(held(&host), Value::Integer(0));
    assert_eq!(
        host.one("SELECT count(DISTINCT revision) FROM tenants"),
        Value::Integer(250)
    );
}

#[test]
fn a_tenant_that_is_held_for_maintenance_can_be_moved() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let to_us = post("/tenants/a/move", r#"{"cell_id":"us"}"#);
    host.expect(204, &hold("abuse", REASON));
    let got = host.expect(409, &to_us);
    assert_eq!(got.json()["code"], "cell_conflict");
    host.expect(204, &hold("maintenance", REASON));
    host.expect(204, &to_us);
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(
        (&tenant["cell_id"], &tenant["served"]),
        (&json!("us"), &json!(false))
    );
}
