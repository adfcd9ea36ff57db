//! `Prefer: return=representation` (contract §12): a PATCH answers with the resource in place of an empty response.

use tenants_core::task::Run;
use tenants_core::task::reseal::Reseal;
use tenants_core::value::clock::Timestamp;

use crate::ask::{Ask, delete, get, install, new_plan, new_tenant, patch};
use crate::host::{Got, Host, SECRETS};
use crate::invariants::UNSHOWN;

const REPRESENTATION: &str = "return=representation";

/// A host with a plan `p`, a tenant `a` that has it and an `env`, and a tenant `b` without.
fn filled() -> Host {
    let mut host = Host::legacy(&[("TENANTS_STATS_MIN_AGE", "0")]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    let body =
        r#"{"plan_id":"p","env":{"A":"hidden-a"},"labels":{"l":"1","m":"2"},"external_id":"e"}"#;
    host.expect(204, &patch("/tenants/a", body));
    host.expect(201, &new_tenant("b"));
    host.expect(201, &install("b"));
    host
}

/// The changes of both resources, in the current dialect and the legacy one.
fn changes() -> Vec<Ask> {
    vec![
        patch("/tenants/A", r#"{"labels":{"l":null,"n":"3"}}"#),
        patch("/tenants/a", r#"{"env":{"B":"hidden-b"},"plan_id":null}"#),
        patch("/tenants/a", r#"{"env":null,"labels":null}"#),
        patch("/tenants/b", r#"{"is_enabled":false,"limits":{"L":1}}"#),
        patch("/tenants/b", r#"{"hostname":"c.example.com"}"#).legacy(),
        patch("/tenants-plans/P", r#"{"external_id":"e"}"#),
        patch("/tenants-plans/p", r#"{"limits":{"A":"1"},"env":null}"#),
        patch("/tenants-plans/p", r#"{"name":"N","description":"D"}"#).legacy(),
    ]
}

/// The read of the resource that a change names.
fn read(change: &Ask) -> Ask {
    let mut read = get("");
    read.target.clone_from(&change.target);
    read
}

/// The response shows the resource as a read does.
fn assert_shows(got: &Got, read: &Got) {
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.header("preference-applied"), Some(REPRESENTATION));
    assert_eq!(got.body, read.body);
    assert_eq!(got.header("etag"), read.header("etag"));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("location"), None);
}

#[test]
fn a_patch_answers_with_the_resource_as_a_read_shows_it() {
    let mut host = filled();
    for change in changes() {
        host.now += 1;
        let got = host.expect(200, &change.clone().prefer(REPRESENTATION));
        let now = host.expect(200, &read(&change));
        assert_shows(&got, &now);
        let header = "foo, Return = \"representation\"; x, wait=3";
        let got = host.expect(200, &change.prefer(header));
        assert_eq!(got.header("preference-applied"), Some(REPRESENTATION));
    }
}

#[test]
fn any_other_preference_leaves_the_empty_response() {
    let mut host = filled();
    for change in changes() {
        for header in [
            "",
            "return=minimal",
            "return=minimal, return=representation",
            "x",
        ] {
            let got = host.expect(204, &change.clone().prefer(header));
            assert_eq!(got.header("preference-applied"), None, "{header}");
            assert!(got.header("etag").is_some());
        }
    }
    // What has no empty response, or nothing to show, ignores it.
    let created = host.expect(201, &new_tenant("d").prefer(REPRESENTATION));
    assert_eq!(created.header("preference-applied"), None);
    host.expect(200, &get("/tenants/a").prefer(REPRESENTATION));
    host.expect(204, &delete("/tenants/d").prefer(REPRESENTATION));
}

#[test]
fn a_refused_patch_is_the_error_that_it_was() {
    let mut host = filled();
    for (status, change) in [
        (404, patch("/tenants/nobody", r#"{"is_enabled":true}"#)),
        (404, patch("/tenants/_", r#"{"is_enabled":true}"#)),
        (409, patch("/tenants/b", r#"{"external_id":"e"}"#)),
        (422, patch("/tenants/b", r#"{"plan_id":"nope"}"#)),
        (404, patch("/tenants-plans/nope", r#"{"limits":null}"#)),
    ] {
        let got = host.expect(status, &change.prefer(REPRESENTATION));
        assert_eq!(got.header("preference-applied"), None);
    }
    host.refuse(422, &patch("/tenants/b", "{}").prefer(REPRESENTATION));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    let change = patch("/tenants/b", r#"{"is_enabled":true}"#);
    host.expect(401, &change.prefer(REPRESENTATION));
}

/// `Prefer` is no part of the request that is compared, so the first request's decides.
#[test]
fn a_replay_is_the_first_response_with_or_without_the_preference() {
    for change in changes() {
        let keyed = change.clone().idempotency_key("k");
        let preferred = keyed.clone().prefer(REPRESENTATION);
        let mut host = filled();
        let first = host.expect(200, &preferred);
        let shown = host.expect(200, &read(&change));
        assert_shows(&first, &shown);
        host.now += 1;
        for other in [
            patch("/tenants/a", r#"{"env":{"Z":"hidden"}}"#),
            patch("/tenants-plans/p", r#"{"env":{"Z":"hidden"}}"#),
            delete("/tenants/a"),
            delete("/tenants/b"),
            delete("/tenants-plans/p"),
        ] {
            host.expect(204, &other);
        }
        for again in [&preferred, &keyed] {
            let got = host.expect(200, again);
            assert_shows(&got, &shown);
            assert_eq!(got.header("idempotency-replayed"), Some("true"));
        }

        let mut host = filled();
        host.expect(204, &keyed);
        let got = host.expect(204, &preferred);
        assert_eq!(got.header("idempotency-replayed"), Some("true"));
        assert_eq!(got.header("preference-applied"), None);
    }
}

/// The remembered `env` is encrypted, and a rotation of the key takes it along, even after its resource is gone.
#[test]
fn a_remembered_env_is_encrypted_again_under_a_new_key() {
    const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let mut host = filled();
    let asks = [
        patch("/tenants/A", r#"{"is_enabled":false}"#).idempotency_key("k-1"),
        patch("/tenants-plans/P", r#"{"external_id":"e"}"#).idempotency_key("k-2"),
        patch("/tenants/b", r#"{"is_enabled":false}"#).idempotency_key("k-3"),
    ]
    .map(|ask| ask.prefer(REPRESENTATION));
    let first = asks.clone().map(|ask| host.expect(200, &ask).body);
    assert!(first[0].contains("hidden-a") && first[1].contains("hidden-plan"));
    host.expect(204, &delete("/tenants/a"));
    host.expect(204, &delete("/tenants-plans/p"));
    let again = |host: &mut Host| asks.clone().map(|ask| host.expect(200, &ask).body);
    assert_eq!(again(&mut host), first);

    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", OTHER),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", SECRETS[2].1),
    ]);
    assert_eq!(again(&mut host), first);
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let task = Reseal::begin(config, &Run::new("cli-1"), &now, 10_000).unwrap();
    let report = host.complete(task);
    // The tenant `b` has no `env`.
    assert_eq!(report.before.answers.previous, 2, "{report:?}");
    assert_eq!(report.after.answers.current, 2, "{report:?}");
    assert!(report.unreadable.is_empty(), "{report:?}");
    assert_eq!(again(&mut host), first);
}

/// The write has happened, so it is no failure. The log says why the response is empty.
#[test]
fn a_resource_that_cannot_be_shown_is_an_empty_response() {
    let mut host = filled();
    host.sql(
        "UPDATE tenants SET env = '1.00000000.x' WHERE id = 'a'",
        &[],
    );
    host.sql("UPDATE tenants_plans SET env = '1.00000000.x'", &[]);
    for (key, change) in [
        ("k-1", patch("/tenants/a", r#"{"is_enabled":false}"#)),
        ("k-2", patch("/tenants-plans/p", r#"{"external_id":"e"}"#)),
    ] {
        let ask = change.prefer(REPRESENTATION).idempotency_key(key);
        for _ in 0..2 {
            let got = host.ask(&ask);
            assert_eq!(got.status, 204, "{got:?}");
            assert_eq!(got.header("preference-applied"), None);
            let cause = got.log.cause.as_deref().unwrap_or_default();
            assert!(cause.starts_with(UNSHOWN), "{cause}");
            assert!(cause.contains("/env: "), "{cause}");
        }
    }
}
