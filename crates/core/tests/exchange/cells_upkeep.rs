//! What the cron trigger does for cells (contract §15): passwords, expired jobs, leases that ran out, and old marks. All of it under the tests'
//! own clock, in slices, and as well twice.

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;
use tenants_core::task::Run;
use tenants_core::task::restored::Restored;
use tenants_core::value::clock::Timestamp;

use crate::ask::{delete, delete_with_tables, get, install, new_tenant_on, patch, post, reset};
use crate::cells::{host_with, host_with_cells};
use crate::cells_jobs::{LEASE, drive, finish, follow, lease, with_end};
use crate::host::Host;

const DAY: i64 = 24 * 60 * 60;

/// Runs the cron trigger.
fn cron(host: &mut Host) {
    host.cron();
}

/// Runs it twice, and compares what both leave.
fn cron_twice(host: &mut Host) {
    cron(host);
    let after = host.dump();
    cron(host);
    assert_eq!(host.dump(), after);
}

fn inputs(host: &Host) -> i64 {
    let rows = host.sql(
        "SELECT 1 FROM cell_work WHERE input IS NOT NULL OR lease IS NOT NULL AND state = 'failed'",
        &[],
    );
    i64::try_from(rows.len()).unwrap()
}

fn states(host: &mut Host) -> Vec<(String, Json)> {
    let jobs = host.json(200, &get("/jobs"));
    let jobs = jobs.as_array().unwrap().iter();
    jobs.map(|job| (job["state"].as_str().unwrap().into(), job["error"].clone()))
        .collect()
}

/// A host with a tenant on the cell `eu` whose installation waits.
fn host_with_waiting_job() -> Host {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(drive(&mut host, &install("a"), |_, _| false).status, 202);
    host
}

#[test]
fn a_password_that_no_agent_came_for_is_wiped_after_a_quarter_of_an_hour() {
    let mut host = host_with_waiting_job();
    host.now += 899;
    cron(&mut host);
    assert_eq!(
        (inputs(&host), states(&mut host)[0].0.as_str()),
        (1, "waiting")
    );
    host.now += 1;
    cron_twice(&mut host);
    assert_eq!(inputs(&host), 0);
    assert_eq!(
        states(&mut host),
        [("failed".into(), json!("no agent did it in time"))]
    );
    assert_eq!(
        host.json(200, &get("/tenants/a"))["site"]["state"],
        "none",
        "nothing was begun"
    );
    assert_eq!(host.json(200, &get("/cells/eu"))["jobs_waiting"], 0);
}

#[test]
fn a_drop_that_no_agent_came_for_fails_after_a_day_and_its_tables_are_kept() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    let drop = delete("/tenants/a").body(r#"{"drop_tables":true}"#);
    assert_eq!(drive(&mut host, &drop, |_, _| false).status, 202);
    host.now += DAY - 1;
    cron(&mut host);
    assert_eq!(states(&mut host)[0].0, "waiting");
    host.now += 1;
    cron_twice(&mut host);
    assert_eq!(states(&mut host)[0].0, "failed");
    assert_eq!(
        host.expect(409, &new_tenant_on("a", "us")).json()["code"],
        "site_exists"
    );
    let again = host.json(201, &new_tenant_on("a", "eu"));
    assert_eq!(again["site"]["adopted"], true);
}

#[test]
fn a_generated_password_is_wiped_ten_minutes_after_its_job() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    assert_eq!(with_end(&mut host, &install("a"), "done").status, 201);
    let reset = patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#);
    assert_eq!(with_end(&mut host, &reset, "done").status, 200);
    host.now += 599;
    cron(&mut host);
    assert_eq!(inputs(&host), 1);
    host.now += 1;
    cron_twice(&mut host);
    assert_eq!(inputs(&host), 0);
    let ends = states(&mut host);
    assert_eq!(ends, vec![("done".to_owned(), json!("because")); 2]);
}

/// Its agent may not have had the answer.
#[test]
fn an_end_may_be_reported_again_after_the_password_was_wiped() {
    let mut host = host_with_waiting_job();
    let job = lease(&mut host).remove(0);
    host.expect(200, &finish(&job, "done"));
    drive(
        &mut host,
        &patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#),
        |_, _| false,
    );
    let job = lease(&mut host).remove(0);
    host.expect(200, &finish(&job, "done"));
    host.now += 601;
    cron_twice(&mut host);
    assert_eq!(inputs(&host), 0);
    host.expect(200, &finish(&job, "done"));
}

#[test]
fn a_lease_that_ran_out_is_given_back_and_the_fifth_one_fails_the_job() {
    let mut host = host_with_waiting_job();
    for attempt in 1..=5 {
        let job = lease(&mut host).remove(0);
        assert_eq!(job["attempt"], attempt);
        host.now += 59;
        cron(&mut host);
        assert_eq!(states(&mut host)[0].0, "running");
        host.now += 1;
        cron_twice(&mut host);
        let (state, error) = states(&mut host).remove(0);
        if attempt < 5 {
            assert_eq!((state.as_str(), &error), ("waiting", &json!(null)));
            assert_eq!(
                host.json(200, &get("/jobs?state=waiting"))[0]["attempts"],
                attempt
            );
            assert_eq!(inputs(&host), 1);
        } else {
            assert_eq!(
                (state.as_str(), error.as_str()),
                ("failed", Some("its lease ran out five times"))
            );
            assert_eq!(inputs(&host), 0);
            // The last agent lost its lease with the job.
            assert_eq!(
                host.expect(409, &finish(&job, "done")).json()["code"],
                "lease_lost"
            );
        }
    }
    assert_eq!(
        host.json(200, &get("/tenants/a"))["site"]["state"],
        "failed"
    );
}

#[test]
fn a_late_report_of_a_job_that_was_given_back_counts_until_another_lease() {
    let mut host = host_with_waiting_job();
    let first = lease(&mut host).remove(0);
    host.now += 60;
    cron(&mut host);
    host.expect(200, &finish(&first, "done"));
    assert_eq!(
        host.json(200, &get("/tenants/a"))["site"]["state"],
        "installed"
    );
    // A job that was cancelled meanwhile has no lease any more.
    host.expect(201, &new_tenant_on("b", "eu"));
    drive(&mut host, &install("b"), |_, _| false);
    let job = lease(&mut host).remove(0);
    host.now += 60;
    let id = job["id"].as_str().unwrap();
    host.expect(200, &post(&format!("/jobs/{id}/cancel"), ""));
    assert_eq!(
        host.expect(409, &finish(&job, "done")).json()["code"],
        "lease_lost"
    );
}

#[test]
fn many_jobs_end_in_slices() {
    let mut host = host_with_cells();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1200) \
         INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, input, created_at, expires_at, wipe_at, lease, lease_until, attempts) \
         SELECT 'j' || n, 't' || n, 'eu', 'install', iif(n % 2, 'waiting', 'running'), 'x', '2026-08-18 23:00:00', '2026-08-18 23:15:00', \
         iif(n % 2, '2026-08-18 23:15:00', '2026-08-18 23:30:00'), iif(n % 2, NULL, 'l'), iif(n % 2, NULL, '2026-08-18 23:16:00'), 5 FROM c",
        &[],
    );
    let mut left = Vec::new();
    for _ in 0..3 {
        cron(&mut host);
        left.push(inputs(&host));
    }
    // 600 expired, and the lease of 600 ran out for the fifth time: 500 of each in a run.
    assert_eq!(left, [200, 0, 0]);
}

/// The marks of the cell `eu`.
fn marks(host: &Host) -> usize {
    let rows = host.sql(
        "SELECT 1 FROM cell_feed WHERE cell_id = 'eu' AND is_gone = 1",
        &[],
    );
    rows.len()
}

fn read(host: &mut Host, status: u16, after: &str) -> Json {
    let got = host.expect(status, &get(&format!("/cells/eu/tenants?limit=2{after}")));
    got.json()
}

fn cursor(page: &Json) -> String {
    format!("&after={}", page["cursor"].as_str().unwrap())
}

#[test]
fn marks_are_pruned_after_a_month_and_an_older_cursor_is_gone() {
    let mut host = host_with_cells();
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant_on(id, "eu"));
    }
    let old = read(&mut host, 200, "");
    host.expect(204, &delete("/tenants/b"));
    let followed = read(&mut host, 200, &cursor(&old));
    assert_eq!(followed["gone"], json!(["b"]));
    let (old, followed) = (cursor(&old), cursor(&followed));
    // The first run notes the day. No run may take the mark before 30 days are over, whenever the runs come.
    host.now += 60;
    cron_twice(&mut host);
    for _ in 0..30 {
        host.now += DAY;
        cron(&mut host);
        assert_eq!(marks(&host), 1);
    }
    read(&mut host, 200, &old);
    host.now += DAY;
    cron_twice(&mut host);
    assert_eq!(marks(&host), 0);
    let gone = host.expect(410, &get(&format!("/cells/eu/tenants?limit=2{old}")));
    assert_eq!(gone.json()["code"], "cursor_gone");
    // Whoever had followed it goes on, and so does whoever begins again, page by page: the tenants are older than the mark.
    assert_eq!(read(&mut host, 200, &followed)["more"], false);
    let first = read(&mut host, 200, "");
    assert_eq!(first["more"], false, "two tenants are left");
    let after = cursor(&first);
    let page = read(&mut host, 200, &after);
    assert_eq!((&page["tenants"], &page["gone"]), (&json!([]), &json!([])));
    host.expect(201, &new_tenant_on("d", "eu"));
    let page = read(&mut host, 200, &after);
    assert_eq!(page["tenants"][0]["id"], "d");
    // The cursor of a reading that began after the pruning is gone when the next mark is.
    host.expect(204, &delete("/tenants/d"));
    for _ in 0..32 {
        host.now += DAY;
        cron(&mut host);
    }
    read(&mut host, 410, &after);
    let days = host.one("SELECT count(*) FROM feed_days");
    assert_eq!(days, 32.into(), "older days are of no use");
}

#[test]
fn a_reading_of_several_pages_survives_marks_that_are_newer_than_its_tenants() {
    let mut host = host_with_cells();
    for id in ["a", "b", "c", "d", "e"] {
        host.expect(201, &new_tenant_on(id, "eu"));
    }
    host.expect(204, &delete("/tenants/e"));
    cron(&mut host);
    host.now += 32 * DAY;
    cron(&mut host);
    assert_eq!(marks(&host), 0);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = read(&mut host, 200, &after);
        for tenant in page["tenants"].as_array().unwrap() {
            seen.push(tenant["id"].as_str().unwrap().to_owned());
        }
        after = cursor(&page);
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    let agent = get(&format!("/cells/eu/tenants?agent=one{after}"));
    let etag = host.expect(200, &agent).header("etag").unwrap().to_owned();
    host.expect(304, &agent.if_none_match(etag));
}

#[test]
fn many_marks_are_pruned_in_slices_and_other_cells_do_not_notice() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("us", "us"));
    let us = host.json(200, &get("/cells/us/tenants"));
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1100) \
         INSERT INTO cell_feed (cell_id, tenant_id, revision, is_gone) SELECT 'eu', 't' || n, n + 10, 1 FROM c",
        &[],
    );
    host.sql("UPDATE feed_clock SET revision = 2000", &[]);
    cron(&mut host);
    host.now += 32 * DAY;
    let mut left = Vec::new();
    for _ in 0..4 {
        cron(&mut host);
        left.push(marks(&host));
        // No cursor may pass a mark that is gone.
        let forgotten = host.one("SELECT forgotten_revision FROM cells WHERE id = 'eu'");
        let pruned = 1100 - left[left.len() - 1] as i64;
        assert_eq!(forgotten, (pruned + 10).into());
    }
    assert_eq!(left, [600, 100, 0, 0]);
    let after = us["cursor"].as_str().unwrap();
    host.expect(200, &get(&format!("/cells/us/tenants?after={after}")));
}

#[test]
fn an_agent_of_a_cell_that_was_made_anew_begins_again() {
    let mut host = host_with(&[("TENANTS_RESTORE_DAYS", "0")]);
    host.expect(201, &new_tenant_on("a", "eu"));
    let page = host.json(200, &get("/cells/eu/tenants"));
    host.expect(204, &delete("/tenants/a"));
    host.expect(204, &delete("/cells/eu"));
    host.expect(201, &crate::ask::put("/cells/eu", "{}"));
    let after = cursor(&page);
    host.expect(410, &get(&format!("/cells/eu/tenants?limit=2{after}")));
    let page = read(&mut host, 200, "");
    assert_eq!((&page["tenants"], &page["gone"]), (&json!([]), &json!([])));
    let after = cursor(&page);
    read(&mut host, 200, &after);
    host.expect(201, &new_tenant_on("b", "eu"));
    assert_eq!(read(&mut host, 200, &after)["tenants"][0]["id"], "b");
}

/// The entries of the ends of jobs: action, key, the start of the request's id, detail.
fn ends(host: &Host) -> Vec<String> {
    let rows = host.sql(
        "SELECT action || ' ' || coalesce(key_id, 'nobody') || ' ' || substr(request_id, 1, instr(request_id, '-') - 1) || ' ' || detail \
         FROM audit_log WHERE action IN ('job.finish', 'job.cancel') ORDER BY id",
        &[],
    );
    let text = |row: Vec<Value>| match &row[..] {
        [Value::Text(text)] => text.clone(),
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(text).collect()
}

/// However a job ends: its readers have an event.
#[test]
fn a_job_that_no_agent_ends_leaves_an_entry_and_an_event() {
    let failed = "job.finish nobody cron failed";
    for by_cron in [true, false] {
        // Nobody takes it.
        let mut host = host_with_waiting_job();
        host.now += 900;
        if by_cron {
            cron_twice(&mut host);
        } else {
            assert_eq!(lease(&mut host), [json!(null); 0]);
            assert_eq!(lease(&mut host), [json!(null); 0]);
        }
        assert_eq!(ends(&host), [failed], "{by_cron}");
        // The fifth lease runs out.
        let mut host = host_with_waiting_job();
        for _ in 0..5 {
            assert_eq!(lease(&mut host).len(), 1);
            host.now += 60;
        }
        if by_cron {
            cron_twice(&mut host);
        } else {
            assert_eq!(lease(&mut host), [json!(null); 0]);
        }
        assert_eq!(ends(&host), [failed], "{by_cron}");
        let events = host.json(200, &get("/events?type=job.finished"));
        let job = host.json(200, &get("/jobs"))[0]["id"].clone();
        assert_eq!(
            (&events[0]["data"]["id"], events.as_array().unwrap().len()),
            (&job, 1)
        );
    }
}

#[test]
fn a_job_that_is_cancelled_with_its_tenant_leaves_the_entry_of_the_request() {
    let mut host = host_with_waiting_job();
    host.expect(204, &delete("/tenants/a"));
    assert_eq!(ends(&host), ["job.cancel 1 r install"]);
    // By the clock.
    let mut host = host_with_waiting_job();
    host.expect(
        204,
        &patch("/tenants/a", r#"{"delete_at":"2026-08-18 23:20:00"}"#),
    );
    host.now += 600;
    cron_twice(&mut host);
    assert_eq!(ends(&host), ["job.cancel nobody cron install"]);
    // With its tables.
    let mut host = host_with_waiting_job();
    let drop = delete("/tenants/a").body(r#"{"drop_tables":true}"#);
    assert_eq!(drive(&mut host, &drop, |_, _| false).status, 202);
    assert_eq!(ends(&host), ["job.cancel 1 r install"]);
    // An agent's own word, and a caller's, are one entry each.
    let mut host = host_with_waiting_job();
    let job = lease(&mut host).remove(0);
    host.expect(200, &finish(&job, "failed"));
    assert_eq!(ends(&host), ["job.finish 1 r failed"]);
}

/// The site that it finds may be whole or half of one: the agent proves it, as it does on a later attempt of one job.
#[test]
fn an_installation_after_one_that_failed_is_no_first_attempt() {
    let mut host = host_with_waiting_job();
    let job = lease(&mut host).remove(0);
    assert_eq!(job["attempt"], 1);
    host.expect(200, &finish(&job, "failed"));
    drive(&mut host, &install("a"), |_, _| false);
    let job = lease(&mut host).remove(0);
    assert_eq!(job["attempt"], 2);
    host.expect(200, &finish(&job, "done"));
    drive(&mut host, &reset("a"), |_, _| false);
    assert_eq!(lease(&mut host)[0]["attempt"], 1);
}

#[test]
fn a_job_whose_input_cannot_be_decrypted_holds_up_no_other_one() {
    let mut host = host_with_waiting_job();
    host.sql("UPDATE cell_work SET input = 'v1.unreadable'", &[]);
    host.expect(201, &new_tenant_on("b", "eu"));
    drive(&mut host, &install("b"), |_, _| false);
    let got = host.expect(200, &post("/cells/eu/jobs/lease", LEASE));
    let jobs = got.json()["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    assert_eq!(jobs[0]["tenant_id"], "b");
    assert!(
        got.cause().starts_with("left out of the lease: cell_work/"),
        "{got:?}"
    );
    host.expect(200, &finish(&jobs[0], "done"));
    for _ in 1..5 {
        host.now += 60;
        assert_eq!(lease(&mut host), [json!(null); 0]);
    }
    host.now += 60;
    assert_eq!(lease(&mut host), [json!(null); 0]);
    assert_eq!(states(&mut host)[1].0, "failed");
}

/// Otherwise the site of a later tenant would get the user of an earlier one.
#[test]
fn a_job_is_for_the_tenant_that_was_there_when_it_was_made() {
    for ask in [install("a"), reset("a")] {
        let mut host = host_with_waiting_job();
        if ask.method == "PATCH" {
            let job = lease(&mut host).remove(0);
            host.expect(200, &finish(&job, "done"));
            drive(&mut host, &ask, |_, _| false);
        }
        assert_eq!(lease(&mut host).len(), 1);
        host.expect(204, &delete("/tenants/a"));
        host.now += 30;
        host.expect(201, &new_tenant_on("a", "eu"));
        host.now += 30;
        assert_eq!(lease(&mut host), [json!(null); 0], "{ask:?}");
        let polled = host.expect(200, &get("/cells/eu/tenants"));
        assert_eq!(polled.json()["jobs_waiting"], false);
        host.now += 900;
        cron_twice(&mut host);
        assert_eq!(inputs(&host), 0);
    }
}

/// A drop of the backup's time may have been done since, and the id may have another site now.
#[test]
fn a_restored_registry_does_no_job_of_its_backup() {
    let mut host = host_with_waiting_job();
    let job = lease(&mut host).remove(0);
    host.expect(200, &finish(&job, "done"));
    drive(&mut host, &delete_with_tables("a"), |_, _| false);
    host.expect(201, &new_tenant_on("b", "eu"));
    drive(&mut host, &install("b"), |_, _| false);
    let now = Timestamp::from_unix(host.now).unwrap();
    host.complete(Restored::begin(&Run::new("cli-1"), &now));
    follow(&mut host);
    assert_eq!(lease(&mut host), [json!(null); 0]);
    let ended: Vec<String> = states(&mut host)
        .into_iter()
        .map(|(state, _)| state)
        .collect();
    assert_eq!(ended, ["failed", "failed", "done"]);
    assert_eq!(inputs(&host), 0);
    // The tables are kept, and may be dropped again.
    assert_eq!(
        host.sql("SELECT tenant_id, job_id FROM kept_sites", &[]),
        [["a".into(), Value::Null]]
    );
}
