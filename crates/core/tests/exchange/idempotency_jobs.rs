//! `Idempotency-Key` of requests that make a job for a cell: the key remembers the job (contract §15, "One job").

use serde_json::{Value as Json, json};

use crate::ask::{Ask, delete_with_tables, get, install, new_tenant_on, patch, post, put};
use crate::cells_jobs::drive;
use crate::host::{Got, Host};

/// A host with the tenant `a` on the cell `eu`, on which no request waits.
fn host_with_tenant() -> Host {
    let mut host = Host::with(&[("TENANTS_JOB_WAIT_SECONDS", "0")]);
    host.expect(201, &put("/cells/eu", "{}"));
    host.expect(201, &new_tenant_on("a", "eu"));
    host
}

/// The same, with an installed site.
fn host_with_site() -> Host {
    let mut host = host_with_tenant();
    expect(&mut host, 202, &install("a"));
    end(&mut host, "done");
    host
}

/// The agent follows the feed, leases the only job that waits, and ends it.
fn end(host: &mut Host, state: &str) {
    let page = host.json(200, &get("/cells/eu/tenants?agent=one"));
    let after = page["cursor"].as_str().unwrap();
    host.expect(
        200,
        &get(&format!("/cells/eu/tenants?agent=one&after={after}")),
    );
    let leased = host.json(
        200,
        &post("/cells/eu/jobs/lease", r#"{"max":9,"seconds":60}"#),
    );
    let [job] = leased["jobs"].as_array().unwrap().as_slice() else {
        panic!("{leased}")
    };
    let body = json!({"lease": job["lease"], "state": state, "error": "because"}).to_string();
    let path = format!("/jobs/{}/finish", job["id"].as_str().unwrap());
    host.expect(200, &post(&path, body));
}

/// Sends a request, on a host that cannot wait.
fn send(host: &mut Host, ask: &Ask) -> Got {
    drive(host, ask, |_, _| false)
}

/// Sends a request that must have this status.
fn expect(host: &mut Host, status: u16, ask: &Ask) -> Got {
    let got = send(host, ask);
    assert_eq!(got.status, status, "{ask:?}: {got:?}");
    got
}

fn jobs(host: &mut Host) -> Vec<Json> {
    host.json(200, &get("/jobs")).as_array().unwrap().clone()
}

fn is_replay(got: &Got) -> bool {
    got.header("idempotency-replayed") == Some("true")
}

/// A reset whose password the service generates.
fn generated() -> Ask {
    patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#)
}

fn keyed() -> [(Host, Ask, u16); 3] {
    [
        (host_with_tenant(), install("a").idempotency_key("k-1"), 201),
        (host_with_site(), generated().idempotency_key("k-1"), 200),
        (
            host_with_site(),
            delete_with_tables("a").idempotency_key("k-1"),
            204,
        ),
    ]
}

#[test]
fn the_same_request_again_joins_its_job_and_gets_its_answer_for_as_long_as_it_is_remembered() {
    for (mut host, ask, status) in keyed() {
        let first = expect(&mut host, 202, &ask);
        assert!(!is_replay(&first));
        let made = jobs(&mut host);
        let again = expect(&mut host, 202, &ask);
        assert!(is_replay(&again), "{ask:?}");
        assert_eq!(again.body, first.body);
        let other = ask.clone().body(r#"{"username":"other"}"#);
        let got = send(&mut host, &other);
        assert_eq!(got.status, 422, "{got:?}");
        end(&mut host, "done");
        let done = expect(&mut host, status, &ask);
        assert!(is_replay(&done));
        // A generated password can be read from the job for ten minutes, and is remembered with the request.
        host.now += 3600;
        host.ask(&get("/cells/eu/tenants?agent=one"));
        let later = expect(&mut host, status, &ask);
        assert!(is_replay(&later));
        assert_eq!(later.body, done.body);
        assert_eq!(jobs(&mut host).len(), made.len(), "{ask:?}");
        host.now += 72 * 3600;
        let after = send(&mut host, &ask);
        assert!(!is_replay(&after), "{after:?}");
    }
}

#[test]
fn a_job_that_failed_or_was_cancelled_is_forgotten_and_one_that_was_refused_is_not() {
    for (state, is_forgotten) in [("failed", true), ("refused", false)] {
        for (mut host, ask, _) in keyed() {
            expect(&mut host, 202, &ask);
            end(&mut host, state);
            let count = jobs(&mut host).len();
            let again = send(&mut host, &ask);
            let is_drop = ask.method == "DELETE";
            match (is_forgotten, is_drop) {
                // The tenant itself is deleted.
                (true, true) => assert_eq!(again.status, 404, "{again:?}"),
                (true, false) => assert_eq!((again.status, is_replay(&again)), (202, false)),
                (false, true) => assert!(again.status >= 400 && !is_replay(&again), "{again:?}"),
                (false, false) => assert!(matches!(again.status, 404 | 409), "{again:?}"),
            }
            let made = usize::from(is_forgotten && !is_drop);
            assert_eq!(jobs(&mut host).len(), count + made, "{state} {ask:?}");
        }
    }
    let mut host = host_with_tenant();
    let ask = install("a").idempotency_key("k-1");
    let first = expect(&mut host, 202, &ask);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    host.expect(200, &post(&format!("/jobs/{id}/cancel"), ""));
    let again = expect(&mut host, 202, &ask);
    assert!(!is_replay(&again));
    assert_ne!(again.body, first.body);
    // A job that nobody did in time has failed, whether or not anything came by to note it.
    host.now += 24 * 3600;
    let late = expect(&mut host, 202, &ask);
    assert!(!is_replay(&late));
    assert_ne!(late.body, again.body);
}

#[test]
fn a_request_that_joins_the_job_of_another_one_remembers_it_too() {
    let mut host = host_with_site();
    let first = expect(&mut host, 202, &generated().idempotency_key("k-1"));
    let joined = expect(&mut host, 202, &generated().idempotency_key("k-2"));
    assert_eq!(joined.body, first.body);
    assert!(!is_replay(&joined));
    end(&mut host, "done");
    host.now += 3600;
    host.ask(&get("/cells/eu/tenants?agent=one"));
    let answers =
        ["k-1", "k-2"].map(|key| expect(&mut host, 200, &generated().idempotency_key(key)));
    assert!(answers.iter().all(is_replay));
    assert_eq!(answers[0].body, answers[1].body);
    assert!(answers[0].json()["password"].as_str().unwrap().len() >= 16);
    // Another password is another request, and is not remembered.
    expect(&mut host, 202, &generated());
    let other = patch(
        "/tenants/a/user-password-reset",
        r#"{"username":"admin","password":"another hidden"}"#,
    );
    for _ in 0..2 {
        let got = expect(&mut host, 409, &other.clone().idempotency_key("k-3"));
        assert!(!is_replay(&got));
    }
}
