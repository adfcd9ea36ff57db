//! A run of the deliveries: the events of many subjects and webhooks.

use serde_json::{Value as Json, json};
use tenants_core::machine::Outcome;
use tenants_core::sql::Value;
use tenants_core::task::deliver::{DISABLED_AFTER_S, Delivery, MOST_QUERIES, PAUSES_S, Report};
use tenants_core::{Effect, Machine as _};

use crate::ask::{get, new_tenant, post};
use crate::host::Host;
use crate::query_plans::plan;
use crate::webhooks::{accept, deliveries, outcomes, run, run_counted, run_with, status, webhook};

/// A host drives runs as long as they say that they were cut off (`scheduled` of the npm package), so one without a network must not say so.
#[test]
fn a_run_without_a_network_refuses_nothing_and_is_not_cut_off() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    for tenant in ["a", "b", "c"] {
        host.expect(201, &new_tenant(tenant));
    }
    for _ in 0..2 {
        let (got, report) = run(&mut host, |_| Outcome::CannotFetch);
        assert_eq!(got, ["tenant.created a"], "one is enough to find out");
        let expected = Report {
            enabled: true,
            ..Report::default()
        };
        assert_eq!(report, expected);
    }
    let shown = host.json(200, &get(&format!("/webhooks/{id}")));
    assert_eq!(
        (&shown["failing_since"], &shown["behind"]),
        (&Json::Null, &0.into())
    );
    assert_eq!(deliveries(&mut host, &id), [json!(null); 0]);
    // The events wait for a host with one.
    let (got, report) = run(&mut host, accept);
    assert_eq!((got.len(), report.is_cut), (3, false));
}

/// So many events of each of these tenants, in turns.
pub(crate) fn updates(host: &Host, tenants: &[&str], each: i64) {
    for tenant in tenants {
        host.sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?2) \
             INSERT INTO audit_log (action, subject, request_id, created_at) SELECT 'tenant.update', ?1, 'r', '2026-08-18 23:16:57' FROM c",
            &[(*tenant).into(), each.into()],
        );
    }
}

/// Runs once. Returns the subject and the entry of each event.
fn run_entries(
    host: &mut Host,
    mut answer: impl FnMut(&mut Host, &str, i64) -> Outcome,
) -> (Vec<(String, i64)>, Report) {
    let mut got = Vec::new();
    let report = run_with(host, |host, message| {
        let data = &message.body["data"];
        let subject = data["id"].as_str().unwrap().to_owned();
        let revision = data["revision"].as_str().unwrap();
        let entry: i64 = revision.rsplit('.').next().unwrap().parse().unwrap();
        let came = answer(host, &subject, entry);
        got.push((subject, entry));
        came
    });
    (got, report)
}

/// A host with a webhook and tenants that are behind with all of their events, the first of which was refused.
fn host_behind(tenants: &[&str], each: i64) -> (Host, String) {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    updates(&host, tenants, each);
    let (got, report) = run_entries(&mut host, |_, _, _| status(500));
    assert_eq!((got.len(), report.is_cut), (tenants.len(), false));
    host.now += 10;
    (host, id)
}

#[test]
fn a_subject_that_is_behind_catches_up_as_fast_as_any_other() {
    let (mut host, _) = host_behind(&["a"], 100);
    let (mut runs, mut all) = (0, Vec::new());
    loop {
        let (got, report) = run_entries(&mut host, |_, _, _| status(204));
        all.extend(got.into_iter().map(|(_, entry)| entry));
        runs += 1;
        if !report.is_cut {
            break;
        }
    }
    assert_eq!((all.len(), runs), (100, 4));
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
    assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
}

#[test]
fn a_subject_that_is_behind_takes_no_more_than_half_of_a_run_from_the_others() {
    let (mut host, _) = host_behind(&["a"], 100);
    for n in 0..40 {
        updates(&host, &[&format!("t{n}")], 1);
    }
    let (got, report) = run_entries(&mut host, |_, _, _| status(204));
    let of_a = got.iter().filter(|(subject, _)| subject == "a").count();
    assert_eq!((of_a, got.len(), report.is_cut), (15, 30, true));
}

#[test]
fn an_event_that_is_refused_on_the_way_holds_up_those_after_it_alone() {
    let (mut host, id) = host_behind(&["a", "b"], 6);
    let first = host.one("SELECT min(entry_id) FROM webhook_behind");
    let Value::Integer(first) = first else {
        panic!("{first:?}")
    };
    // The fourth event of `a`.
    let bad = first + 3;
    let refuse = |_: &mut Host, _: &str, entry: i64| status(if entry == bad { 503 } else { 204 });
    let (got, report) = run_entries(&mut host, refuse);
    let of = |tenant: &str| -> Vec<i64> {
        let of = got.iter().filter(|(subject, _)| subject == tenant);
        of.map(|(_, entry)| entry - first).collect()
    };
    assert_eq!(of("a"), [0, 1, 2, 3]);
    assert_eq!(of("b"), [6, 7, 8, 9, 10, 11]);
    assert_eq!((report.accepted, report.refused), (9, 1));
    let left = host.sql(
        "SELECT subject, entry_id, attempts FROM webhook_behind",
        &[],
    );
    assert_eq!(left, [["a".into(), bad.into(), 1.into()]]);
    // Nothing before its pause is over.
    let (got, _) = run_entries(&mut host, |_, _, _| status(204));
    assert_eq!(got, []);
    host.now += 10;
    let (got, _) = run_entries(&mut host, |_, _, _| status(204));
    let got: Vec<i64> = got.into_iter().map(|(_, entry)| entry - first).collect();
    assert_eq!(got, [3, 4, 5]);
    assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
    let shown = host.json(200, &get(&format!("/webhooks/{id}")));
    assert_eq!(shown["failing_since"], json!(null));
}

#[test]
fn a_subject_goes_on_after_an_event_that_is_gone_or_given_up() {
    for is_gone in [true, false] {
        let (mut host, id) = host_behind(&["a"], 5);
        let attempts = PAUSES_S.len() as i64;
        if is_gone {
            host.sql(
                "DELETE FROM audit_log WHERE id = (SELECT entry_id FROM webhook_behind)",
                &[],
            );
        } else {
            host.sql(
                "UPDATE webhook_behind SET attempts = ?1",
                &[attempts.into()],
            );
        }
        let mut sent = 0;
        let (got, report) = run_entries(&mut host, |_, _, _| {
            sent += 1;
            status(if sent == 1 && !is_gone { 500 } else { 204 })
        });
        assert_eq!(got.len(), if is_gone { 4 } else { 5 });
        assert_eq!(report.given_up, u32::from(!is_gone));
        assert_eq!(report.accepted, 4);
        assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
        let expected = if is_gone {
            "refused accepted accepted accepted accepted"
        } else {
            "refused given_up accepted accepted accepted accepted"
        };
        assert_eq!(outcomes(&mut host, &id), expected);
    }
}

/// Somebody asks for an earlier event while later ones of the subject are on their way.
#[test]
fn an_event_that_is_asked_for_during_a_run_is_sent_before_the_later_ones() {
    for came in [204, 500] {
        let (mut host, id) = host_behind(&["a"], 3);
        let mut all = Vec::new();
        let (got, _) = run_entries(&mut host, |_, _, _| status(204));
        all.extend(got.iter().map(|(_, entry)| *entry));
        let first = all[0];
        updates(&host, &["a"], 2);
        let mut is_asked = false;
        let (got, _) = run_entries(&mut host, |host, _, _| {
            if is_asked {
                return status(204);
            }
            is_asked = true;
            let event = host.json(200, &get("/events?type=tenant.updated"))[0]["id"].clone();
            let event = event.as_str().unwrap();
            let ask = post(&format!("/webhooks/{id}/deliveries/{event}/retry"), "");
            host.expect(204, &ask);
            status(came)
        });
        let got: Vec<i64> = got.into_iter().map(|(_, entry)| entry - first).collect();
        let again = if came == 204 { 2 } else { 1 };
        assert_eq!(got[again..], [0, 1, 2, 3, 4], "{came}: {got:?}");
        assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
    }
}

#[test]
fn a_run_serves_several_webhooks_one_in_each_of_its_batches() {
    let mut host = Host::new();
    for _ in 0..6 {
        webhook(&mut host, json!({"types": ["tenant.*"]}));
    }
    host.expect(201, &new_tenant("a"));
    let (got, report) = run(&mut host, accept);
    assert_eq!((got.len(), report.is_cut), (4, true));
    let (got, report) = run(&mut host, accept);
    assert_eq!((got.len(), report.is_cut), (2, false));
}

#[test]
fn a_run_makes_no_more_queries_than_it_may_whatever_receivers_answer() {
    let mut most = 0;
    for (came, silence) in [(204, 0), (500, 0), (500, DISABLED_AFTER_S)] {
        let mut host = Host::new();
        for _ in 0..8 {
            webhook(&mut host, json!({"types": ["tenant.*"]}));
        }
        updates(&host, &["a", "b"], 3);
        while run_with(&mut host, |_, _| status(500)).is_cut {}
        host.now += 10 + silence;
        let (mut sent, mut disabled) = (0, 0);
        loop {
            let (report, queries) = run_counted(&mut host, |_, _| status(came));
            assert!(queries <= MOST_QUERIES, "{queries} queries");
            most = most.max(queries);
            sent += report.accepted + report.refused;
            disabled += report.disabled;
            if !report.is_cut {
                break;
            }
        }
        let all = if came == 204 { 8 * 2 * 3 } else { 8 * 2 };
        assert_eq!((sent, disabled), (all, if silence > 0 { 8 } else { 0 }));
    }
    assert!(most > MOST_QUERIES - 10, "{most} queries");
}

/// However long the log is, the events of the subjects that are behind are found by their index.
#[test]
fn the_events_of_subjects_that_are_behind_are_found_by_an_index() {
    let (mut host, _) = host_behind(&["a", "b"], 50);
    let config = host.api.config().unwrap();
    let delivery = Delivery::begin(config, host.now, host.random.as_mut()).unwrap();
    let Effect::Batch(batch) = delivery.effect() else {
        panic!("it reads first")
    };
    let due = batch.statements().iter();
    let due = due.filter(|statement| statement.text().contains(" LEFT JOIN audit_log "));
    let [due] = due.collect::<Vec<_>>()[..] else {
        panic!("one statement reads them")
    };
    let plan = plan(&host.db, due.text(), due.values());
    for step in [
        "SEARCH a USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
        "SEARCH x USING INDEX audit_log_by_subject (subject=? AND rowid>? AND rowid<?)",
    ] {
        assert!(plan.iter().any(|found| found == step), "{plan:#?}");
    }
}

/// An event names neither the key nor the session that wrote it.
#[test]
fn a_message_does_not_tell_the_session_of_the_console_that_wrote() {
    let mut host = crate::sessions::host();
    webhook(&mut host, json!({}));
    let console = crate::sessions::Console::new(&mut host);
    host.expect(201, &console.ask(new_tenant("a")));
    let token = host.one("SELECT token FROM audit_log WHERE action = 'tenant.create'");
    let Value::Text(token) = token else {
        panic!("{token:?}")
    };
    let random = token.strip_prefix(&format!("{}.", console.id)).unwrap();
    for came in [500, 204] {
        let mut ids = Vec::new();
        run_with(&mut host, |_, message| {
            if message.name() == "tenant.created a" {
                assert!(!message.text.contains(&console.id));
                ids.push(message.id);
            }
            status(came)
        });
        assert_eq!(ids, [random], "the same in each attempt");
        host.now += 10;
    }
}
