//! Changes of a webhook, and what is asked for, while events wait and while they are on their way.

use serde_json::{Value as Json, json};
use tenants_core::machine::Outcome;
use tenants_core::sql::Value;
use tenants_core::task::deliver::{DISABLED_AFTER_S, PAUSES_S};

use crate::ask::{Ask, delete, get, new_plan, new_tenant, patch, post};
use crate::host::Host;
use crate::webhook_runs::updates;
use crate::webhooks::{Got, URL, accept, deliveries, outcomes, run, run_with, status, webhook};

const OTHER: &str = "https://hooks.example.com/another";

/// Runs once. Returns where each event went, and its type and subject.
fn run_urls(
    host: &mut Host,
    mut answer: impl FnMut(&mut Host, &Got) -> Outcome,
) -> Vec<(String, String)> {
    let mut got = Vec::new();
    run_with(host, |host, message| {
        let came = answer(host, &message);
        got.push((message.url.clone(), message.name()));
        came
    });
    got
}

#[test]
fn another_url_is_another_receiver_which_has_refused_nothing() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    let path = format!("/webhooks/{id}");
    host.expect(201, &new_tenant("a"));
    for _ in 0..2 {
        assert_eq!(run(&mut host, |_| status(500)).1.refused, 1);
        host.now += 10;
    }
    let failing_since = |host: &mut Host| host.json(200, &get(&path))["failing_since"].clone();
    // The same one, and another change, leave all as it is.
    host.expect(
        204,
        &patch(&path, json!({"url": URL, "description": "x"}).to_string()),
    );
    assert_ne!(failing_since(&mut host), json!(null));
    assert_eq!(
        run(&mut host, accept).0,
        [""; 0],
        "it waits for five minutes"
    );
    host.expect(204, &patch(&path, json!({"url": OTHER}).to_string()));
    assert_eq!(failing_since(&mut host), json!(null));
    assert_eq!(host.one("SELECT attempts FROM webhook_behind"), 0.into());
    let got = run_urls(&mut host, |_, _| status(204));
    assert_eq!(got, [(OTHER.into(), "tenant.created a".into())]);
}

#[test]
fn a_run_takes_a_change_of_its_webhook_up_with_the_next_events() {
    for (change, went_on) in [
        (json!({"url": OTHER}), Some(OTHER)),
        (json!({"is_enabled": false}), None),
        (json!({"types": ["plan.*"]}), None),
    ] {
        let mut host = Host::new();
        let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
        for n in 0..15 {
            updates(&host, &[&format!("t{n}")], 1);
        }
        let path = format!("/webhooks/{id}");
        let mut is_changed = false;
        // The first receiver refuses the first event, and is not the one of the webhook any more.
        let got = run_urls(&mut host, |host, _| {
            if is_changed {
                return status(204);
            }
            is_changed = true;
            host.expect(204, &patch(&path, change.to_string()));
            status(500)
        });
        let at = |url: &str| got.iter().filter(|(to, _)| to == url).count();
        assert_eq!(at(URL), 10, "{change}: {got:?}");
        let shown = host.json(200, &get(&path));
        match went_on {
            Some(other) => {
                assert_eq!(at(other), 6, "the one that was refused, too: {got:?}");
                assert_eq!(
                    (&shown["failing_since"], &shown["behind"]),
                    (&Json::Null, &0.into())
                );
            }
            None => {
                assert_eq!(got.len(), 10, "{change}");
                assert_eq!(shown["behind"], 1);
            }
        }
        assert_eq!(deliveries(&mut host, &id).len(), got.len());
    }
}

/// The refusals of a receiver that is no more the webhook's disable nothing.
#[test]
fn a_webhook_is_not_disabled_for_the_refusal_of_an_earlier_receiver() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    let path = format!("/webhooks/{id}");
    host.expect(201, &new_tenant("a"));
    run(&mut host, |_| status(500));
    host.now += DISABLED_AFTER_S;
    let mut answers = [500, 204].into_iter();
    let got = run_urls(&mut host, |host, message| {
        if message.url == URL {
            host.expect(204, &patch(&path, json!({"url": OTHER}).to_string()));
        }
        status(answers.next().unwrap())
    });
    let urls: Vec<&str> = got.iter().map(|(url, _)| url.as_str()).collect();
    assert_eq!(urls, [URL, OTHER]);
    let shown = host.json(200, &get(&path));
    assert_eq!(
        (&shown["is_enabled"], &shown["failing_since"]),
        (&true.into(), &Json::Null)
    );
}

/// A host with a webhook of these types, which has refused the creation of the tenant `a`, and the webhook's path.
fn refused(types: &Json) -> (Host, String) {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": types}));
    host.expect(201, &new_tenant("a"));
    assert_eq!(run(&mut host, |_| status(500)).1.refused, 1);
    (host, format!("/webhooks/{id}"))
}

/// Asks for the event that the subject is behind with.
fn retry(host: &Host, path: &str) -> Ask {
    let event = host.one("SELECT epoch || '.' || entry_id FROM registry, webhook_behind");
    let Value::Text(event) = event else {
        panic!("{event:?}")
    };
    post(&format!("{path}/deliveries/{event}/retry"), "")
}

/// `failing_since` and `behind`.
fn shown(host: &mut Host, path: &str) -> (Json, Json) {
    let shown = host.json(200, &get(path));
    (shown["failing_since"].clone(), shown["behind"].clone())
}

#[test]
fn an_event_that_is_asked_for_is_tried_as_often_as_a_new_one() {
    let (mut host, path) = refused(&json!([]));
    for _ in 0..PAUSES_S.len() + 1 {
        let ask = retry(&host, &path);
        host.expect(204, &ask);
        let (_, report) = run(&mut host, |got| {
            status(if got == "tenant.created a" { 500 } else { 204 })
        });
        assert_eq!((report.refused, report.given_up), (1, 0));
        assert_eq!(host.one("SELECT attempts FROM webhook_behind"), 1.into());
    }
}

#[test]
fn only_an_event_that_the_webhook_wants_is_sent_again() {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    for action in [
        "env.reseal",
        "registry.restore",
        "tenant.of_a_newer_version",
    ] {
        host.sql(
            "INSERT INTO audit_log (action, subject, request_id, created_at) VALUES (?1, 'a', 'r', '2026-08-18 23:16:57')",
            &[action.into()],
        );
    }
    let entry = |host: &Host, action: &str| {
        let id = host.sql("SELECT epoch || '.' || a.id FROM registry, audit_log AS a WHERE action = ?1 ORDER BY a.id LIMIT 1", &[action.into()]);
        let [Value::Text(id)] = id[0].as_slice() else {
            panic!("{action}")
        };
        id.clone()
    };
    for (types, wanted) in [
        (
            json!([]),
            "plan.create tenant.create tenant.of_a_newer_version",
        ),
        (json!(["tenant.*"]), "tenant.create"),
        (json!(["plan.created", "tenant.deleted"]), "plan.create"),
        (json!(["key.*"]), ""),
    ] {
        let (id, _) = webhook(&mut host, json!({"types": types}));
        for action in [
            "plan.create",
            "tenant.create",
            "env.reseal",
            "registry.restore",
            "tenant.of_a_newer_version",
        ] {
            let event = entry(&host, action);
            let ask = post(&format!("/webhooks/{id}/deliveries/{event}/retry"), "");
            let is_wanted = wanted.split(' ').any(|wanted| wanted == action);
            host.expect(if is_wanted { 204 } else { 404 }, &ask);
        }
        host.expect(204, &delete(&format!("/webhooks/{id}")));
    }
}

/// The event that a subject is behind with is not sent if the webhook does not want it any more, and holds up none that it wants.
#[test]
fn an_event_that_is_not_wanted_any_more_holds_up_no_other() {
    for (types, expected) in [
        (json!(["tenant.updated"]), vec!["tenant.updated a"; 3]),
        (json!(["plan.*"]), vec![]),
    ] {
        let (mut host, path) = refused(&json!(["tenant.*"]));
        updates(&host, &["a"], 3);
        host.expect(204, &patch(&path, json!({"types": types}).to_string()));
        host.now += 10;
        let (got, report) = run(&mut host, accept);
        assert_eq!(got, expected);
        assert_eq!((report.accepted as usize, report.refused), (got.len(), 0));
        assert_eq!(shown(&mut host, &path), (Json::Null, 0.into()));
        let all = outcomes(&mut host, path.rsplit('/').next().unwrap());
        assert_eq!(all.split(' ').count(), 1 + got.len(), "{all}");
    }
}

/// Once no event waits any more, a later refusal is the first one again.
#[test]
fn a_webhook_that_has_nothing_left_to_send_again_fails_no_more() {
    let gone = "DELETE FROM audit_log WHERE id = (SELECT entry_id FROM webhook_behind)";
    let given_up = "UPDATE webhook_behind SET attempts = 9";
    for change in [Some(gone), Some(given_up), None] {
        let (mut host, path) = refused(&json!(["tenant.*", "plan.*"]));
        match change {
            Some(change) => drop(host.sql(change, &[])),
            None => drop(host.expect(204, &patch(&path, r#"{"types":["plan.*"]}"#))),
        }
        host.now += 10;
        run(&mut host, |_| status(500));
        assert_eq!(
            shown(&mut host, &path),
            (Json::Null, 0.into()),
            "{change:?}"
        );
        host.now += DISABLED_AFTER_S;
        host.expect(201, &new_plan("p"));
        let (got, report) = run(&mut host, |_| status(500));
        assert_eq!((got, report.disabled), (vec!["plan.created p".into()], 0));
        assert_ne!(shown(&mut host, &path).0, Json::Null);
    }
}

/// A change while the event is on its way counts, whatever comes of that attempt, and also if it was the last one.
#[test]
fn a_change_during_an_attempt_is_not_written_over_by_what_came_of_it() {
    for attempts in [3, PAUSES_S.len()] {
        for (is_retry, came) in [(true, 500), (false, 500), (true, 204)] {
            let (mut host, path) = refused(&json!(["tenant.*"]));
            host.sql(
                "UPDATE webhook_behind SET attempts = ?1",
                &[i64::try_from(attempts).unwrap().into()],
            );
            updates(&host, &["a"], 1);
            host.now += 10;
            let mut sent = 0;
            let got = run_urls(&mut host, |host, _| {
                sent += 1;
                if sent > 1 {
                    return status(204);
                }
                let ask = if is_retry {
                    retry(host, &path)
                } else {
                    patch(&path, json!({"url": OTHER}).to_string())
                };
                host.expect(204, &ask);
                status(came)
            });
            let url = if is_retry { URL } else { OTHER };
            let again: Vec<(&str, &str)> = got[got.len() - 2..]
                .iter()
                .map(|(url, name)| (url.as_str(), name.as_str()))
                .collect();
            let expected = [(url, "tenant.created a"), (url, "tenant.updated a")];
            assert_eq!(again, expected, "{attempts} {is_retry} {came}");
            assert_eq!(got[0], (URL.into(), "tenant.created a".into()));
            assert_eq!(shown(&mut host, &path), (Json::Null, 0.into()));
        }
    }
}

/// After the return to an older version the log has actions that it does not know. They are events of the webhooks that want all.
#[test]
fn an_unknown_action_behind_a_known_one_is_sent_if_all_are_wanted() {
    let unknown = "tenant.of_a_newer_version a";
    for types in [json!([]), json!(["tenant.*"])] {
        let mut host = Host::new();
        webhook(&mut host, json!({"types": types}));
        for tenant in ["a", "b", "c", "d", "e"] {
            host.expect(201, &new_tenant(tenant));
        }
        assert_eq!(run(&mut host, |_| status(500)).1.refused, 5);
        host.sql(
            "INSERT INTO audit_log (action, subject, request_id, created_at) VALUES ('tenant.of_a_newer_version', 'a', 'r', '2026-08-18 23:16:57')",
            &[],
        );
        // So many new ones that a batch has no room for the second event of a subject that is behind.
        for tenant in ["f", "g", "h", "i", "j", "k"] {
            host.expect(201, &new_tenant(tenant));
        }
        host.now += 10;
        let (got, _) = run(&mut host, accept);
        let at = |name: &str| got.iter().position(|got| got == name);
        assert_eq!(at("tenant.created a"), Some(0));
        assert_eq!(at(unknown).is_some(), types == json!([]), "{got:?}");
        assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
    }
}
