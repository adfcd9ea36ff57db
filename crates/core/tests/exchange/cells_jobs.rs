//! Jobs (contract §15): requests that wait for a cell, leases, and the ends of jobs.

use serde_json::{Value as Json, json};
use tenants_core::{Effect, Failure, Machine as _, Outcome, Step};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_tenant_on, patch, post, reset,
};
use crate::cells::{host_with, host_with_cells};
use crate::host::{Got, Host};
use crate::invariants;

pub(crate) const LEASE: &str = r#"{"max":10,"seconds":60}"#;

/// Sends a request, and calls `pause` at each pause. If that returns `false`, the host cannot wait.
pub(crate) fn drive(
    host: &mut Host,
    ask: &Ask,
    mut pause: impl FnMut(&mut Host, u32) -> bool,
) -> Got {
    let mut step = host.begin(ask);
    let mut failed = false;
    loop {
        let exchange = match step {
            Step::Run(exchange) => exchange,
            Step::Done(answer) => {
                // Only an error tells of a batch that failed.
                let failed = failed && answer.response.status >= 400;
                return host.sent(ask, Step::Done(answer), failed).unwrap();
            }
        };
        step = match exchange.effect() {
            Effect::Batch(batch) => {
                let batch = batch.clone();
                let rows = host.run(&batch);
                failed |= rows.is_err();
                host.resumed(exchange, rows)
            }
            Effect::Wait(milliseconds) => {
                let outcome = if pause(host, milliseconds) {
                    Outcome::Waited
                } else {
                    Outcome::CannotWait
                };
                host.resumed_with(exchange, outcome)
            }
            Effect::Fetch(_) => host.resumed_with(exchange, Outcome::CannotFetch),
        };
    }
}

/// Leases the jobs of the cell `eu`.
pub(crate) fn lease(host: &mut Host) -> Vec<Json> {
    let got = host.json(200, &post("/cells/eu/jobs/lease", LEASE));
    got["jobs"].as_array().unwrap().clone()
}

pub(crate) fn finish(job: &Json, state: &str) -> Ask {
    let (id, lease) = (job["id"].as_str().unwrap(), job["lease"].as_str().unwrap());
    let body = format!(r#"{{"lease":"{lease}","state":"{state}","error":"because"}}"#);
    post(&format!("/jobs/{id}/finish"), body)
}

/// Does the only job, with this end.
fn work(host: &mut Host, state: &str) -> Json {
    let jobs = lease(host);
    let [job] = jobs.as_slice() else {
        panic!("{jobs:?}")
    };
    host.expect(200, &finish(job, state));
    job.clone()
}

/// An agent has followed the feed of `eu` to its end.
pub(crate) fn follow(host: &mut Host) {
    let page = host.json(200, &get("/cells/eu/tenants?agent=one"));
    let after = page["cursor"].as_str().unwrap().to_owned();
    host.expect(
        200,
        &get(&format!("/cells/eu/tenants?agent=one&after={after}")),
    );
}

/// Sends a request whose job ends in this state at the first pause.
pub(crate) fn with_end(host: &mut Host, ask: &Ask, state: &str) -> Got {
    drive(host, ask, |host, _| {
        follow_if_dropping(host);
        work(host, state);
        true
    })
}

fn follow_if_dropping(host: &mut Host) {
    if host.json(200, &get("/jobs?state=waiting"))[0]["kind"] == "drop" {
        follow(host);
    }
}

fn host_with_site() -> Host {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    host
}

fn site(host: &mut Host, id: &str) -> Json {
    host.json(200, &get(&format!("/tenants/{id}")))["site"].clone()
}

#[test]
fn an_installation_waits_for_its_job_and_answers_as_one_without_a_cell() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let mut pauses = Vec::new();
    let got = drive(&mut host, &install("A"), |host, milliseconds| {
        pauses.push(milliseconds);
        match pauses.len() {
            1 => assert_eq!(site(host, "a")["state"], "installing"),
            3 => {
                let job = work(host, "done");
                let input = json!({"username": "admin", "email": "admin@example.com", "password": "hidden password"});
                assert_eq!(
                    (
                        &job["input"],
                        &job["tenant_id"],
                        &job["kind"],
                        &job["attempt"]
                    ),
                    (&input, &json!("a"), &json!("install"), &json!(1))
                );
            }
            _ => {}
        }
        true
    });
    assert_eq!(pauses, [300, 450, 675]);
    assert_eq!(got.status, 201, "{got:?}");
    assert_eq!(
        got.json(),
        json!({"id": "A", "username": "admin", "email": "admin@example.com"})
    );
    assert_eq!(got.header("location"), Some("/_/api/4/tenants/A"));
    let job_id = host.json(200, &get("/jobs"))[0]["id"].clone();
    assert_eq!(
        site(&mut host, "a"),
        json!({"state": "installed", "job_id": job_id})
    );
    assert_eq!(
        host.one("SELECT count(*) FROM cell_work WHERE input IS NOT NULL"),
        0.into()
    );
    let again = drive(&mut host, &install("a"), |_, _| panic!("it does not wait"));
    assert_eq!(
        (again.status, again.json()["detail"].clone()),
        (409, json!("the tenant is installed already"))
    );
    let actions = host.sql(
        "SELECT action, subject, detail FROM audit_log ORDER BY id DESC LIMIT 3",
        &[],
    );
    let job_id = job_id.as_str().unwrap();
    let expected = [
        ["job.finish", job_id, "done"],
        ["tenant.install", "a", ""],
        ["job.create", job_id, "install"],
    ];
    for (row, [action, subject, detail]) in actions.iter().zip(expected) {
        let detail = (!detail.is_empty()).then_some(detail);
        assert_eq!(row, &[action.into(), subject.into(), detail.into()]);
    }
}

#[test]
fn a_host_that_cannot_wait_and_a_job_that_takes_long_are_a_202() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let got = drive(&mut host, &install("a"), |_, _| false);
    assert_eq!(got.status, 202, "{got:?}");
    let job = got.json();
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(
        got.header("location"),
        Some(format!("/_/api/4{path}").as_str())
    );
    assert_eq!(
        (&job["state"], &job["kind"], &job["cell_id"]),
        (&json!("waiting"), &json!("install"), &json!("eu"))
    );
    assert_eq!(host.json(200, &get(&path)), job);
    // The same request waits for the same job.
    let (mut waited, mut pauses) = (0, 0);
    let got = drive(&mut host, &install("a"), |_, milliseconds| {
        waited += milliseconds;
        pauses += 1;
        true
    });
    assert_eq!((got.status, waited), (202, 20_000));
    assert!(pauses <= 15, "{pauses}");
    assert_eq!(got.json(), job);
    let other = post(
        "/tenants/a/install",
        r#"{"username":"admin","email":"admin@example.com","password":"another hidden"}"#,
    );
    let got = drive(&mut host, &other, |_, _| panic!("it does not wait"));
    assert_eq!(
        (got.status, got.json()["code"].clone()),
        (409, json!("cell_conflict"))
    );
    assert_eq!(host.json(200, &get("/jobs")).as_array().unwrap().len(), 1);
    assert_eq!(host.json(200, &get("/cells/eu"))["jobs_waiting"], 1);
    let mut host = host_with(&[("TENANTS_JOB_WAIT_SECONDS", "0")]);
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(drive(&mut host, &install("a"), |_, _| panic!()).status, 202);
}

#[test]
fn the_ends_of_a_job_decide_the_response_and_the_site() {
    for (end, status, state) in [
        ("done", 201, "installed"),
        ("refused", 409, "installed"),
        ("failed", 502, "failed"),
    ] {
        let mut host = host_with_cells();
        host.expect(201, &new_tenant_on("a", "eu"));
        let got = with_end(&mut host, &install("a"), end);
        assert_eq!(got.status, status, "{end}: {got:?}");
        assert_eq!(site(&mut host, "a")["state"], state, "{end}");
        let job = host.json(200, &get("/jobs"))[0].clone();
        assert_eq!(
            (&job["state"], &job["error"]),
            (&json!(end), &json!("because"))
        );
    }
    // After a failure it is tried anew.
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    with_end(&mut host, &install("a"), "failed");
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    for (end, status) in [("done", 200), ("refused", 404), ("failed", 502)] {
        let got = with_end(&mut host, &reset("a"), end);
        assert_eq!(got.status, status, "{end}: {got:?}");
    }
}

#[test]
fn a_generated_password_can_be_read_for_ten_minutes_after_the_job() {
    let mut host = host_with_site();
    let ask = patch("/tenants/a/user-password-reset", r#"{"username":"Admin"}"#);
    let mut sent = json!(null);
    let got = drive(&mut host, &ask, |host, _| {
        // A second request gets the password of the same job.
        let second = drive(host, &ask, |host, _| {
            sent = work(host, "done")["input"].clone();
            true
        });
        assert_eq!(second.json(), sent);
        true
    });
    assert_eq!((got.status, got.json()), (200, sent.clone()));
    assert_eq!(sent["password"].as_str().unwrap().len(), 20);
    let id = host.json(200, &get("/jobs"))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let read = get(&format!("/jobs/{id}"));
    host.now += 599;
    for _ in 0..2 {
        assert_eq!(host.json(200, &read)["result"], sent);
    }
    host.now += 1;
    assert_eq!(host.json(200, &read)["result"], json!(null));
    lease(&mut host);
    assert_eq!(
        host.one("SELECT count(*) FROM cell_work WHERE input IS NOT NULL"),
        0.into()
    );
    // A password that the caller chose is not kept.
    with_end(&mut host, &reset("a"), "done");
    assert_eq!(
        host.json(200, &get("/jobs?state=done&limit=1"))[0]["result"],
        json!(null)
    );
    assert_eq!(
        host.one("SELECT count(*) FROM cell_work WHERE input IS NOT NULL"),
        0.into()
    );
}

#[test]
fn a_lease_that_runs_out_gives_the_job_back_and_five_are_enough() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    let first = lease(&mut host).remove(0);
    assert_eq!(lease(&mut host), [json!(null); 0]);
    host.now += 59;
    let renew = |job: &Json, seconds: u32| {
        let (id, lease) = (job["id"].as_str().unwrap(), job["lease"].as_str().unwrap());
        post(
            &format!("/jobs/{id}/renew"),
            format!(r#"{{"lease":"{lease}","seconds":{seconds}}}"#),
        )
    };
    host.expect(204, &renew(&first, 60));
    host.now += 59;
    assert_eq!(lease(&mut host), [json!(null); 0]);
    host.now += 1;
    let second = lease(&mut host).remove(0);
    assert_eq!(second["attempt"], 2);
    assert_ne!(second["lease"], first["lease"]);
    for lost in [renew(&first, 60), finish(&first, "done")] {
        assert_eq!(host.expect(409, &lost).json()["code"], "lease_lost");
    }
    for attempt in 3..=5 {
        host.now += 60;
        assert_eq!(lease(&mut host)[0]["attempt"], attempt);
    }
    host.now += 60;
    assert_eq!(lease(&mut host), [json!(null); 0]);
    let job = host.json(200, &get("/jobs"))[0].clone();
    assert_eq!(
        (&job["state"], &job["error"]),
        (&json!("failed"), &json!("its lease ran out five times"))
    );
    assert_eq!(site(&mut host, "a")["state"], "failed");
    for body in [
        r#"{"max":0,"seconds":60}"#,
        r#"{"max":1,"seconds":4}"#,
        r#"{"max":21,"seconds":60}"#,
        r#"{"max":1}"#,
    ] {
        host.refuse(422, &post("/cells/eu/jobs/lease", body));
    }
    host.expect(404, &post("/cells/asia/jobs/lease", LEASE));
}

#[test]
fn an_end_that_is_reported_twice_is_one_end() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    let job = lease(&mut host).remove(0);
    let first = host.expect(200, &finish(&job, "done"));
    let entries = host.one("SELECT count(*) FROM audit_log");
    assert_eq!(host.expect(200, &finish(&job, "done")).body, first.body);
    // Another end would be taken for one that counts.
    let other = host.expect(409, &finish(&job, "failed"));
    assert_eq!(other.json()["code"], "lease_lost");
    assert_eq!(host.one("SELECT count(*) FROM audit_log"), entries);
    let id = job["id"].as_str().unwrap();
    host.refuse(
        422,
        &post(
            &format!("/jobs/{id}/finish"),
            r#"{"lease":"x","state":"waiting"}"#,
        ),
    );
    host.expect(
        404,
        &post(
            "/jobs/absent/finish",
            r#"{"lease":"0123456789abcdef0123456789abcdef","state":"done"}"#,
        ),
    );
}

#[test]
fn a_job_that_no_agent_takes_fails_after_a_quarter_of_an_hour() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let id = drive(&mut host, &install("a"), |_, _| false).json()["id"].clone();
    host.now += 900;
    let read = get(&format!("/jobs/{}", id.as_str().unwrap()));
    assert_eq!(host.json(200, &read)["state"], "failed", "by the clock");
    assert_eq!(lease(&mut host), [json!(null); 0]);
    assert_eq!(host.json(200, &read)["state"], "failed");
    assert_eq!(
        host.one("SELECT count(*) FROM cell_work WHERE input IS NOT NULL"),
        0.into()
    );
    assert_eq!(site(&mut host, "a")["state"], "none", "nothing was begun");
    assert_eq!(
        drive(&mut host, &install("a"), |_, _| false).status,
        202,
        "judged anew"
    );
}

#[test]
fn only_a_waiting_job_is_cancelled() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let cancel = |host: &mut Host| {
        let id = drive(host, &install("a"), |_, _| false).json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        post(&format!("/jobs/{id}/cancel"), "")
    };
    let first = cancel(&mut host);
    assert_eq!(host.json(200, &first)["state"], "cancelled");
    assert_eq!(site(&mut host, "a")["state"], "none");
    assert_eq!(host.expect(409, &first).json()["code"], "job_not_waiting");
    let second = cancel(&mut host);
    lease(&mut host);
    host.expect(409, &second);
    host.expect(404, &post("/jobs/absent/cancel", ""));
    host.now += 60;
    host.expect(200, &second);
}

#[test]
fn dropping_waits_for_the_feed_and_keeps_the_id_until_it_is_done() {
    let mut host = host_with_site();
    follow(&mut host);
    let got = drive(&mut host, &delete_with_tables("A"), |host, _| {
        host.expect(404, &get("/tenants/a"));
        assert_eq!(
            lease(host),
            [json!(null); 0],
            "the agent has not seen the mark"
        );
        assert_eq!(
            host.expect(409, &new_tenant_on("a", "eu")).json()["code"],
            "site_exists"
        );
        let page = host.json(200, &get("/cells/eu/tenants?agent=one"));
        assert_eq!(page["gone"], json!(["a"]));
        follow(host);
        let page = host.json(200, &get("/cells/eu/tenants"));
        assert_eq!(page["jobs_waiting"], true);
        let job = work(host, "done");
        assert_eq!(
            (&job["kind"], &job["tenant_id"], &job["input"]),
            (&json!("drop"), &json!("a"), &json!(null))
        );
        true
    });
    assert_eq!(got.status, 204, "{got:?}");
    host.expect(201, &crate::ask::new_tenant("a"));
    // Nothing is there for a second request.
    assert_eq!(
        drive(&mut host, &delete_with_tables("b"), |_, _| panic!()).status,
        404
    );
}

#[test]
fn tables_that_stay_are_for_the_same_spelling_on_the_same_cell() {
    let mut host = host_with_site();
    host.expect(204, &delete("/tenants/a"));
    let rejected = |host: &mut Host| {
        for ask in [
            new_tenant_on("A", "eu"),
            new_tenant_on("a", "us"),
            crate::ask::new_tenant("a"),
        ] {
            assert_eq!(
                host.expect(409, &ask).json()["code"],
                "site_exists",
                "{ask:?}"
            );
        }
        host.expect(409, &delete("/cells/eu"));
    };
    rejected(&mut host);
    let again = host.expect(201, &new_tenant_on("a", "EU"));
    assert_eq!(
        again.json()["site"],
        json!({"state": "installed", "job_id": null, "adopted": true})
    );
    assert_eq!(again.log.cause.as_deref(), Some(invariants::ADOPTED));
    // A job that failed leaves the tables, too.
    let got = with_end(&mut host, &delete_with_tables("a"), "failed");
    assert_eq!(
        (got.status, got.json()["code"].clone()),
        (502, json!("job_failed"))
    );
    rejected(&mut host);
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(
        with_end(&mut host, &delete_with_tables("a"), "done").status,
        204
    );
    host.expect(204, &delete("/cells/eu"));
}

#[test]
fn the_key_of_one_cell_is_refused_for_another_ones_jobs() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    let job = lease(&mut host).remove(0);
    let (eu, us) = (
        host.issue_scoped(&["cell:eu"]),
        host.issue_scoped(&["cell:us"]),
    );
    let lease = job["lease"].as_str().unwrap();
    let renew = post(
        &format!("/jobs/{}/renew", job["id"].as_str().unwrap()),
        format!(r#"{{"lease":"{lease}","seconds":60}}"#),
    );
    host.expect(403, &renew.clone().key(&us));
    host.expect(204, &renew.key(&eu));
    host.expect(403, &finish(&job, "done").key(&us));
    host.expect(
        403,
        &finish(&json!({"id": "absent", "lease": lease}), "done").key(&eu),
    );
    host.expect(403, &get("/jobs").key(&eu));
    host.expect(200, &finish(&job, "done").key(&eu));
}

#[test]
fn more_than_twenty_unfinished_jobs_of_a_cell_are_not_waited_for() {
    let mut host = host_with_cells();
    for n in 0..21 {
        host.expect(201, &new_tenant_on(&format!("t{n}"), "eu"));
        let mut waits = 0;
        let got = drive(&mut host, &install(&format!("t{n}")), |_, _| {
            waits += 1;
            false
        });
        assert_eq!((got.status, waits), (202, u32::from(n < 20)));
    }
    let jobs = host.json(200, &get("/jobs?limit=2"));
    let after = jobs[1]["id"].as_str().unwrap();
    assert_eq!(
        (&jobs[0]["tenant_id"], &jobs[1]["tenant_id"]),
        (&json!("t20"), &json!("t19"))
    );
    let next = host.json(
        200,
        &get(&format!("/jobs?limit=1&after={after}&state=waiting")),
    );
    assert_eq!(next[0]["tenant_id"], "t18");
    assert_eq!(
        host.json(200, &get("/jobs?tenant=T3"))[0]["tenant_id"],
        "t3"
    );
    let mut next = "/jobs?limit=9&state=waiting".to_owned();
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let got = host.expect(200, &get(&next));
        all.extend(
            got.json()
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["id"].clone()),
        );
        pages += 1;
        let Some(link) = got.header("link") else {
            break;
        };
        let (path, after) = link.split_once("&after=").unwrap();
        assert_eq!(path, "</_/api/4/jobs?limit=9");
        assert!(after.ends_with("&state=waiting>; rel=\"next\""), "{link}");
        let path = link.trim_start_matches("</_/api/4").split('>').next();
        next = path.unwrap().to_owned();
    }
    let whole = host.expect(200, &get("/jobs?limit=200&state=waiting"));
    assert!(whole.header("link").is_none());
    let ids: Vec<Json> = whole
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].clone())
        .collect();
    assert!(pages > 1 && all == ids);
    for bad in ["limit=0", "limit=%2B5", "state=x", "tenant=_", "x=1"] {
        host.refuse(422, &get(&format!("/jobs?{bad}")));
    }
}

#[test]
fn without_an_encryption_key_no_password_is_stored() {
    let mut host = host_with(&[("CHEVERETO_ENCRYPTION_KEY", "")]);
    host.expect(201, &new_tenant_on("a", "eu"));
    let got = drive(&mut host, &install("a"), |_, _| panic!());
    assert_eq!(got.status, 503);
    assert_eq!(host.one("SELECT count(*) FROM cell_work"), 0.into());
}

/// Each batch of a request that makes a job fails, before its commit and after it. The job is there once or not at all, and the request can be
/// repeated.
#[test]
fn a_failure_before_or_after_each_batch_leaves_one_job_or_none() {
    for (ask, batches) in [
        (install("b"), 3),
        (reset("a"), 3),
        (delete_with_tables("a"), 4),
    ] {
        for failing in 0..batches {
            for commits in [false, true] {
                let mut host = host_with_site();
                host.expect(201, &new_tenant_on("b", "eu"));
                let open = |host: &Host| {
                    host.one("SELECT count(*) FROM cell_work WHERE finished_at IS NULL")
                };
                let (mut step, mut batch_number) = (host.begin(&ask), 0);
                let got = loop {
                    let exchange = match step {
                        Step::Run(exchange) => exchange,
                        Step::Done(answer) => {
                            let failed = answer.response.status >= 400;
                            break host.sent(&ask, Step::Done(answer), failed).unwrap();
                        }
                    };
                    let Effect::Batch(batch) = exchange.effect() else {
                        // The only job is done before the request looks for it.
                        follow(&mut host);
                        work(&mut host, "done");
                        step = host.resumed_with(exchange, Outcome::Waited);
                        continue;
                    };
                    let batch = batch.clone();
                    let fails = batch_number == failing;
                    let result = if fails && !commits {
                        Err("disk I/O error".into())
                    } else {
                        let rows = host.run(&batch);
                        if fails {
                            Err("disk I/O error".into())
                        } else {
                            rows
                        }
                    };
                    batch_number += 1;
                    step = host.resumed(exchange, result);
                };
                let case = format!("{ask:?}, batch {failing}, committed: {commits}");
                // The first batch of a deletion fails in any case, since it is for tables in this database. The batch that makes the job runs
                // again, and finds the job that it made before.
                let survives = (ask.method == "DELETE" && failing == 0) || failing == batches - 2;
                if survives {
                    assert!(matches!(got.status, 200 | 201 | 204), "{case}: {got:?}");
                    assert_eq!(
                        host.one("SELECT count(*) FROM cell_work"),
                        2.into(),
                        "{case}"
                    );
                    continue;
                }
                assert!(matches!(got.status, 500 | 503), "{case}: {got:?}");
                assert_eq!(open(&host), 0.into(), "{case}");
                // The same request again makes the job, unless it was done.
                if failing < batches - 2 {
                    let got = with_end(&mut host, &ask, "done");
                    assert!(matches!(got.status, 200 | 201 | 204), "{case}: {got:?}");
                }
            }
        }
    }
}

#[test]
fn a_host_that_does_not_do_what_the_request_asks_for_gets_a_500() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let exchange = host.first(&install("a"));
    let step = host.resumed_with(exchange, Outcome::Waited);
    let got = host.sent(&install("a"), step, true).unwrap();
    assert_eq!(got.status, 500);
    let failed = Outcome::Batch(Err(Failure::new("x")));
    let exchange = host.first(&get("/tenants/a"));
    let step = host.resumed_with(exchange, failed);
    assert_eq!(
        host.sent(&get("/tenants/a"), step, true).unwrap().status,
        500
    );
}

#[test]
fn the_oldest_jobs_are_leased_first_and_no_more_than_asked_for() {
    let mut host = host_with_cells();
    for id in ["c", "a", "b"] {
        host.expect(201, &new_tenant_on(id, "eu"));
        drive(&mut host, &install(id), |_, _| false);
    }
    let body = r#"{"max":2,"seconds":60}"#;
    let two = host.json(200, &post("/cells/eu/jobs/lease", body));
    let ids: Vec<&Json> = two["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["tenant_id"])
        .collect();
    assert_eq!(ids, ["c", "a"]);
    assert_eq!(host.json(200, &get("/cells/eu"))["jobs_waiting"], 1);
    assert_eq!(lease(&mut host)[0]["tenant_id"], "b");
    assert_eq!(host.json(200, &get("/cells/eu"))["jobs_waiting"], 0);
    // The jobs of another cell are not leased with these.
    host.expect(201, &new_tenant_on("d", "us"));
    drive(&mut host, &install("d"), |_, _| false);
    assert_eq!(lease(&mut host), [json!(null); 0]);
    // A lease that ran out counts as waiting.
    host.now += 60;
    assert_eq!(host.json(200, &get("/cells/eu"))["jobs_waiting"], 3);
}

#[test]
fn only_the_token_of_the_lease_renews_and_finishes_a_job() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    let job = lease(&mut host).remove(0);
    let path = |action: &str| format!("/jobs/{}/{action}", job["id"].as_str().unwrap());
    let renew = |lease: &str| {
        post(
            &path("renew"),
            format!(r#"{{"lease":"{lease}","seconds":60}}"#),
        )
    };
    let end = |lease: &str| {
        post(
            &path("finish"),
            format!(r#"{{"lease":"{lease}","state":"done"}}"#),
        )
    };
    let other = "0123456789abcdef0123456789abcdef";
    for wrong in [renew(other), end(other)] {
        let got = host.expect(409, &wrong);
        assert_eq!(got.json()["code"], "lease_lost");
    }
    for bad in [renew("x"), end("x"), post(&path("finish"), "{}")] {
        host.refuse(422, &bad);
    }
    host.expect(
        404,
        &post(
            "/jobs/absent/renew",
            format!(r#"{{"lease":"{other}","seconds":60}}"#),
        ),
    );
    let token = job["lease"].as_str().unwrap();
    host.expect(204, &renew(token));
    host.expect(200, &end(token));
    // A job that has ended has no lease to renew.
    host.expect(409, &renew(token));
    host.expect(409, &end(other));
}

#[test]
fn an_unfinished_job_keeps_its_cell_and_its_tenant_where_they_are() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    let to_us = post("/tenants/a/move", r#"{"cell_id":"us"}"#);
    assert_eq!(host.expect(409, &to_us).json()["code"], "job_under_way");
    let edit = patch("/tenants/a", r#"{"cell_id":"us"}"#);
    assert_eq!(host.expect(409, &edit).json()["code"], "cell_conflict");
    work(&mut host, "failed");
    host.expect(204, &to_us);
    // Without the tenant, the job that drops its tables is in the way of the cell's end.
    host.expect(204, &post("/tenants/a/move", r#"{"cell_id":"eu"}"#));
    let drop = drive(&mut host, &delete_with_tables("a"), |_, _| false);
    assert_eq!(drop.status, 202);
    let got = host.expect(409, &delete("/cells/eu"));
    assert_eq!(got.json()["code"], "cell_in_use");
    follow(&mut host);
    work(&mut host, "done");
    host.expect(204, &delete("/cells/eu"));
}

/// Polls, leases, renewals and statistics.
#[test]
fn what_an_agent_does_all_day_leaves_no_audit_entry_and_no_revision() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    drive(&mut host, &install("a"), |_, _| false);
    let state = |host: &Host| {
        host.sql(
            "SELECT (SELECT max(id) FROM audit_log), (SELECT revision FROM feed_clock), (SELECT max(revision) FROM tenants)",
            &[],
        )
    };
    let before = state(&host);
    follow(&mut host);
    let job = lease(&mut host).remove(0);
    let (id, token) = (job["id"].as_str().unwrap(), job["lease"].as_str().unwrap());
    let renew = format!(r#"{{"lease":"{token}","seconds":60}}"#);
    host.expect(204, &post(&format!("/jobs/{id}/renew"), renew));
    host.expect(200, &post("/cells/eu/stats", r#"{"tenants":[]}"#));
    assert_eq!(state(&host), before);
    host.expect(200, &finish(&job, "done"));
    assert_ne!(state(&host), before);
}
