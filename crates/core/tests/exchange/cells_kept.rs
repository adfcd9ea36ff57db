//! What an earlier tenant of an id has left at a cell (contract §15): its site, its jobs, and reports that come late.

use serde_json::{Value as Json, json};

use crate::ask::{Ask, delete, delete_with_tables, get, install, new_tenant_on, post, put, reset};
use crate::cells::{host_with, host_with_cells};
use crate::cells_feed::host_stats;
use crate::cells_jobs::{drive, finish, follow, lease, with_end};
use crate::host::Host;

/// Makes the job of a request that is not waited for.
fn begin(host: &mut Host, ask: &Ask) {
    assert_eq!(drive(host, ask, |_, _| false).status, 202);
}

fn put_tenant(id: &str) -> Ask {
    let body = format!(r#"{{"hostname":"{id}.example.com","is_enabled":true,"cell_id":"eu"}}"#);
    put(&format!("/tenants/{id}"), body)
}

/// The states of all jobs, the newest first.
fn states(host: &mut Host, query: &str) -> Vec<String> {
    let jobs = host.json(200, &get(&format!("/jobs{query}")));
    let jobs = jobs.as_array().unwrap().iter();
    jobs.map(|job| job["state"].as_str().unwrap().into())
        .collect()
}

#[test]
fn an_id_that_must_not_be_used_again_is_refused_on_a_cell_too() {
    for (reused_id, status) in [("refuse", 409), ("adopt", 201)] {
        for (ends, state) in [("done", "installed"), ("failed", "failed")] {
            for again in [new_tenant_on("a", "eu"), put_tenant("a")] {
                let mut host = host_with(&[("TENANTS_REUSED_ID", reused_id)]);
                host.expect(201, &new_tenant_on("a", "eu"));
                with_end(&mut host, &install("a"), ends);
                host.expect(204, &delete("/tenants/a"));
                let got = host.expect(status, &again).json();
                if status == 409 {
                    assert_eq!(got["code"], "site_exists");
                    host.expect(404, &get("/tenants/a"));
                    continue;
                }
                assert_eq!(
                    got["site"],
                    json!({"state": state, "job_id": null, "adopted": true})
                );
                let shown = host.json(200, &get("/tenants/a"));
                assert_eq!(shown["site"]["state"], state);
            }
        }
    }
}

/// An installation that no agent has begun leaves nothing, and one that was cut off leaves what the next installation looks at.
#[test]
fn a_new_tenant_begins_with_the_site_that_was_left() {
    let none = json!({"state": "none", "job_id": null});
    // Never leased.
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    begin(&mut host, &install("a"));
    host.expect(204, &delete("/tenants/a"));
    let elsewhere = host.expect(201, &new_tenant_on("a", "us")).json();
    assert_eq!(elsewhere["site"], none);
    // Leased.
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    begin(&mut host, &install("a"));
    lease(&mut host);
    host.expect(204, &delete("/tenants/a"));
    host.expect(409, &new_tenant_on("a", "us"));
    host.now += 61;
    let again = host.expect(201, &new_tenant_on("a", "eu")).json();
    assert_eq!(
        again["site"],
        json!({"state": "failed", "job_id": null, "adopted": true})
    );
    begin(&mut host, &install("a"));
    let job = lease(&mut host).remove(0);
    assert_eq!(job["attempt"], 2, "it proves what it finds");
    host.expect(200, &finish(&job, "done"));
    let shown = host.json(200, &get("/tenants/a"));
    assert_eq!(shown["site"]["state"], "installed");
    // Nothing was installed, and the drop was not carried out.
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    begin(&mut host, &delete_with_tables("a"));
    host.now += 24 * 60 * 60;
    host.cron();
    let again = host.expect(201, &new_tenant_on("a", "eu")).json();
    assert_eq!(again["site"], none);
    // The same with a site that is there.
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    with_end(&mut host, &install("a"), "done");
    begin(&mut host, &delete_with_tables("a"));
    host.now += 24 * 60 * 60;
    host.cron();
    let again = host.expect(201, &new_tenant_on("a", "eu")).json();
    assert_eq!(again["site"]["state"], "installed");
}

#[test]
fn a_count_of_an_earlier_tenant_of_the_id_is_not_taken() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    with_end(&mut host, &install("a"), "done");
    let report = |at: &str| {
        let counted = json!({"id": "a", "stats": host_stats(), "counted_at": at});
        post("/cells/eu/stats", json!({"tenants": [counted]}).to_string())
    };
    assert_eq!(
        with_end(&mut host, &delete_with_tables("a"), "done").status,
        204
    );
    host.now += 2;
    host.expect(201, &new_tenant_on("a", "eu"));
    let late = host.json(200, &report("2026-08-18 23:16:58"));
    assert_eq!(late, json!({"stored": 0}));
    let shown = host.json(200, &get("/tenants/a"));
    assert_eq!(shown["site"]["state"], "none");
    assert_eq!(shown["last_job_at"], Json::Null);
    let own = host.json(200, &report("2026-08-18 23:16:59"));
    assert_eq!(own, json!({"stored": 1}));
}

/// Nobody can lease it any more, so it would be in the way for as long as its password is kept.
#[test]
fn a_job_of_an_earlier_tenant_of_the_id_is_not_in_the_way() {
    for ask in [install("a"), reset("a")] {
        let mut host = host_with_cells();
        host.expect(201, &new_tenant_on("a", "eu"));
        with_end(&mut host, &install("a"), "done");
        begin(&mut host, &reset("a"));
        let job = lease(&mut host).remove(0);
        assert_eq!(
            with_end(&mut host, &delete_with_tables("a"), "done").status,
            204
        );
        host.now += 10;
        host.expect(201, &new_tenant_on("a", "eu"));
        if ask.method == "PATCH" {
            with_end(&mut host, &install("a"), "done");
        }
        // Until then its agent may have it still.
        host.now += 60;
        begin(&mut host, &ask);
        let jobs = lease(&mut host);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        assert_ne!(jobs[0]["id"], job["id"]);
        host.expect(200, &finish(&jobs[0], "done"));
    }
}

#[test]
fn a_place_that_this_database_has_not_reached_is_not_noted() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    with_end(&mut host, &install("a"), "done");
    follow(&mut host);
    let page = host.json(200, &get("/cells/eu/tenants"));
    let cursor = page["cursor"].as_str().unwrap();
    let epoch = cursor.split('.').next().unwrap();
    let ahead = get(&format!(
        "/cells/eu/tenants?agent=one&after={epoch}.999999999999999.a"
    ));
    begin(&mut host, &delete_with_tables("a"));
    host.expect(410, &ahead);
    assert_eq!(lease(&mut host), [json!(null); 0], "it has not followed");
    follow(&mut host);
    assert_eq!(lease(&mut host).len(), 1);
}

/// The state that a job's body says, whether or not the cron trigger came by.
#[test]
fn jobs_are_listed_by_the_state_that_they_are_in() {
    let mut host = host_with_cells();
    let listed = |host: &mut Host| {
        let all = states(host, "");
        for state in [
            "waiting",
            "running",
            "done",
            "refused",
            "failed",
            "cancelled",
        ] {
            let these: Vec<&String> = all.iter().filter(|s| *s == state).collect();
            let found = states(host, &format!("?state={state}"));
            assert_eq!(found.iter().collect::<Vec<_>>(), these, "{state}");
        }
        all
    };
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant_on(id, "eu"));
        begin(&mut host, &install(id));
    }
    assert_eq!(listed(&mut host), ["waiting"; 3]);
    let jobs = lease(&mut host);
    assert_eq!(listed(&mut host), ["running"; 3]);
    host.expect(200, &finish(&jobs[0], "done"));
    host.expect(200, &finish(&jobs[1], "refused"));
    assert_eq!(listed(&mut host), ["running", "refused", "done"]);
    host.now += 60;
    assert_eq!(listed(&mut host), ["waiting", "refused", "done"]);
    host.now += 900;
    assert_eq!(listed(&mut host), ["failed", "refused", "done"]);
    host.cron();
    assert_eq!(listed(&mut host), ["failed", "refused", "done"]);
}

/// Somebody may have been told that it failed.
#[test]
fn a_job_that_is_past_its_time_is_not_renewed() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    begin(&mut host, &install("a"));
    let job = lease(&mut host).remove(0);
    let (id, token) = (job["id"].as_str().unwrap(), job["lease"].as_str().unwrap());
    let body = format!(r#"{{"lease":"{token}","seconds":60}}"#);
    let renew = post(&format!("/jobs/{id}/renew"), body);
    host.now += 899;
    host.expect(204, &renew);
    host.now += 61;
    assert_eq!(states(&mut host, ""), ["failed"]);
    let got = host.expect(409, &renew);
    assert_eq!(got.json()["code"], "lease_lost");
    assert_eq!(states(&mut host, ""), ["failed"]);
    // The work was done all the same.
    host.expect(200, &finish(&job, "done"));
    assert_eq!(states(&mut host, ""), ["done"]);
}
