//! Encryption under a new key, on SQLite: which rows a run changes, which it leaves, and that it may be interrupted anywhere.

use std::collections::{BTreeMap, BTreeSet};

use tenants_core::sql::Value;
use tenants_core::task::reseal::{Count, Counts, Report, Reseal, Survey, Table, Unreadable};
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;

use crate::ask::{get, patch, post};
use crate::host::{
    Exhausted, HIDDEN, Host, NOW, SECRETS, TaskStep, UNEXPECTED_ROWS, WaitsForBatch as _,
};

const NEWER: &str = "//////////////////////////////////////////8=";
const THIRD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const OLDER: &str = SECRETS[2].1;
const ROOMY: u32 = 96_000;

/// A host with tenants and plans whose `env` is encrypted under [`OLDER`], configured for a rotation to [`NEWER`].
fn rotating(tenants: usize, plans: usize) -> Host {
    let mut host = Host::new();
    for n in 0..tenants {
        host.expect(201, &with_env("/tenants", &format!("T{n:04}"), "hidden"));
    }
    for n in 0..plans {
        host.expect(
            201,
            &with_env("/tenants-plans", &format!("P{n:04}"), "hidden"),
        );
    }
    rotate(&mut host, NEWER, OLDER);
    host
}

fn rotate(host: &mut Host, current: &str, previous: &str) {
    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", current),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", previous),
    ]);
}

fn with_env(path: &str, id: &str, value: &str) -> crate::ask::Ask {
    let more = if path == "/tenants" {
        format!(
            r#""hostname":"{}.example.com","is_enabled":true,"#,
            id.to_lowercase()
        )
    } else {
        String::new()
    };
    post(
        path,
        format!(r#"{{"id":"{id}",{more}"env":{{"A":"{value}-{id}"}}}}"#),
    )
}

fn begin(host: &Host, slice_bytes: u32) -> Reseal {
    let now = Timestamp::from_unix(NOW + 60).unwrap();
    let run = Run::new("cli-1").by(Operator::parse("me@host").unwrap());
    Reseal::begin(host.api.config().unwrap(), &run, &now, slice_bytes).unwrap()
}

fn reseal(host: &mut Host) -> Report {
    let task = begin(host, ROOMY);
    host.complete(task)
}

fn survey(host: &mut Host) -> Counts {
    let task = Survey::begin(host.api.config().unwrap()).unwrap();
    host.complete(task)
}

/// All columns of tenants and plans apart from `env`.
fn visible(host: &Host) -> String {
    let tables = [
        "SELECT id, hostname, is_enabled, plan_id, limits, stats, created_at, updated_at, last_job_at FROM tenants ORDER BY id",
        "SELECT id, name, description, limits, created_at, updated_at FROM tenants_plans ORDER BY id",
    ];
    format!("{:?}", tables.map(|text| host.sql(text, &[])))
}

fn sealed(host: &Host) -> BTreeMap<String, Value> {
    let rows = host.sql(
        "SELECT 'tenants/' || id, env FROM tenants UNION ALL SELECT 'tenants_plans/' || id, env FROM tenants_plans",
        &[],
    );
    rows.into_iter()
        .map(|row| match &row[0] {
            Value::Text(place) => (place.clone(), row[1].clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn entries(host: &Host) -> Vec<Value> {
    host.sql(
        "SELECT coalesce(key_id, 0) || ' ' || subject || ' ' || request_id || ' ' || operator || ' ' || created_at FROM audit_log \
         WHERE action = 'env.reseal' ORDER BY id",
        &[],
    )
    .concat()
}

const NOTHING: Count = Count {
    current: 0,
    previous: 0,
    other: 0,
};

#[test]
fn rows_under_the_previous_key_are_encrypted_under_the_current_one_and_nothing_else_changes() {
    let mut host = rotating(7, 3);
    host.expect(201, &with_env("/tenants", "New", "hidden"));
    host.expect(
        201,
        &post(
            "/tenants",
            r#"{"id":"none","hostname":"none","is_enabled":true}"#,
        ),
    );
    let before = (visible(&host), sealed(&host));
    let answers = [get("/tenants"), get("/tenants-plans")].map(|ask| host.expect(200, &ask).body);
    let traefik = |host: &mut Host| {
        host.configure(&[("TENANTS_DEVELOPMENT", "true")]);
        let got = host.ask(&get("/config/traefik").from("127.0.0.1"));
        got.header("etag").unwrap().to_owned()
    };
    let etag = traefik(&mut host);
    let counts = Counts {
        tenants: Count {
            current: 1,
            previous: 7,
            other: 0,
        },
        plans: Count {
            current: 0,
            previous: 3,
            other: 0,
        },
        answers: NOTHING,
        jobs: NOTHING,
        deleted: NOTHING,
        webhooks: NOTHING,
    };
    assert_eq!(survey(&mut host), counts);

    let report = reseal(&mut host);
    assert_eq!(
        report,
        Report {
            before: counts,
            after: Counts {
                tenants: Count {
                    current: 8,
                    ..NOTHING
                },
                plans: Count {
                    current: 3,
                    ..NOTHING
                },
                answers: NOTHING,
                jobs: NOTHING,
                deleted: NOTHING,
                webhooks: NOTHING,
            },
            resealed: 10,
            overtaken: 0,
            unreadable: Vec::new(),
        }
    );
    assert_eq!(visible(&host), before.0);
    let after = sealed(&host);
    for (place, old) in &before.1 {
        let untouched = place.ends_with("/New") || place.ends_with("/none");
        assert_eq!(after[place] == *old, untouched, "{place}");
    }
    assert_eq!(traefik(&mut host), etag);
    assert_eq!(entries(&host).len(), 1);
    let Value::Text(new) = &after["tenants/New"] else {
        panic!("{after:?}")
    };
    let fingerprint = new.split('.').nth(1).unwrap();
    assert_eq!(
        entries(&host),
        [format!("0 {fingerprint} cli-1 me@host 2026-08-18 23:17:57").into()]
    );

    // From here on the previous key is not needed.
    rotate(&mut host, NEWER, "");
    for (ask, body) in [get("/tenants"), get("/tenants-plans")].iter().zip(answers) {
        assert_eq!(host.expect(200, ask).body, body);
    }
}

#[test]
fn a_second_run_writes_nothing() {
    let mut host = rotating(3, 1);
    reseal(&mut host);
    let all = host.dump();
    let report = reseal(&mut host);
    assert_eq!((report.resealed, report.before), (0, report.after));
    assert_eq!(host.dump(), all);
}

/// During a change of configuration, both variables can hold the old key.
#[test]
fn a_key_that_is_both_current_and_previous_is_counted_once() {
    let mut host = rotating(3, 1);
    rotate(&mut host, OLDER, OLDER);
    let report = reseal(&mut host);
    assert_eq!((report.resealed, report.before), (0, report.after));
    assert_eq!(
        report.after.tenants,
        Count {
            current: 3,
            ..NOTHING
        }
    );
}

#[test]
fn a_run_that_was_interrupted_anywhere_is_completed_by_the_next() {
    let whole = {
        let mut host = rotating(9, 4);
        let (mut batches, mut task) = (1, begin(&host, 1200));
        while let TaskStep::Run(next) = host.step(task).unwrap() {
            task = next;
            batches += 1;
        }
        batches
    };
    assert!(whole > 6, "{whole}");
    for batches in 0..=whole {
        // The program ends before it sees the rows of its last batch, which the database has committed or not.
        for is_committed in [false, true] {
            let mut host = rotating(9, 4);
            let visible_before = visible(&host);
            let mut task = begin(&host, 1200);
            for _ in 0..batches {
                match host.step(task).unwrap() {
                    TaskStep::Run(next) => task = next,
                    TaskStep::Done(_) => {
                        task = begin(&host, 1200);
                    }
                }
            }
            if is_committed {
                host.run(task.batch()).unwrap();
            }
            let report = reseal(&mut host);
            assert_eq!(report.after.to_do(), 0, "{batches}");
            assert_eq!(report.after.tenants.current, 9);
            assert_eq!(report.after.plans.current, 4);
            assert_eq!(
                report.resealed,
                u64::try_from(report.before.to_do()).unwrap()
            );
            assert_eq!(visible(&host), visible_before);
            assert!((1..=2).contains(&entries(&host).len()), "{batches}");
            rotate(&mut host, NEWER, "");
            host.expect(200, &get("/tenants"));
            host.expect(200, &get("/tenants-plans"));
        }
    }
}

fn edit(host: &mut Host, id: &str) {
    let ask = patch(
        &format!("/tenants/{id}"),
        r#"{"env":{"A":"hidden-edited"}}"#,
    );
    host.expect(204, &ask);
}

/// Runs the first batches of a task, which must have more.
fn steps(host: &mut Host, mut task: Reseal, batches: usize) -> Reseal {
    for _ in 0..batches {
        task = host.step_on(task);
    }
    task
}

#[test]
fn a_concurrent_edit_wins() {
    let mut host = rotating(4, 0);
    // The task has counted, read the slice and written the first row. Its next batch writes the other three.
    let task = begin(&host, ROOMY);
    let task = steps(&mut host, task, 3);
    edit(&mut host, "T0001");
    // A Worker that still has the old key makes this edit.
    rotate(&mut host, OLDER, "");
    edit(&mut host, "T0003");
    rotate(&mut host, NEWER, OLDER);
    let before = sealed(&host);
    let report = host.complete(task);
    assert_eq!((report.resealed, report.overtaken), (2, 2));
    let left = report.after.tenants;
    assert_eq!((left.current, left.previous), (3, 1));
    for (place, text) in sealed(&host) {
        assert_eq!(text == before[&place], !place.ends_with("T0002"), "{place}");
    }
    assert_eq!(reseal(&mut host).after.to_do(), 0);
    rotate(&mut host, NEWER, "");
    let body = host.expect(200, &get("/tenants")).body;
    assert_eq!(body.matches("hidden-edited").count(), 2, "{body}");
}

#[test]
fn a_run_that_changes_nothing_leaves_no_audit_entry() {
    let mut host = rotating(2, 0);
    let task = begin(&host, ROOMY);
    let task = steps(&mut host, task, 2);
    edit(&mut host, "T0000");
    let task = steps(&mut host, task, 1);
    assert!(entries(&host).is_empty());
    edit(&mut host, "T0001");
    let report = host.complete(task);
    assert_eq!((report.resealed, report.overtaken), (0, 2));
    assert!(entries(&host).is_empty());
    assert_eq!(report.after.to_do(), 0);
}

#[test]
fn a_row_that_is_deleted_meanwhile_is_skipped() {
    let mut host = rotating(2, 0);
    let task = begin(&host, ROOMY);
    let task = steps(&mut host, task, 2);
    host.sql("DELETE FROM tenants WHERE id = 'T0000'", &[]);
    let report = host.complete(task);
    assert_eq!((report.resealed, report.overtaken), (1, 1));
    assert_eq!(report.after.tenants.current, 1);
}

#[test]
fn rows_that_cannot_be_decrypted_are_reported_and_left_unchanged() {
    let mut host = rotating(3, 2);
    let put = |host: &Host, table: &str, id: &str, env: Value| {
        host.sql(
            &format!("UPDATE {table} SET env = ?1 WHERE id = ?2"),
            &[env, id.into()],
        );
    };
    let all = sealed(&host);
    rotate(&mut host, THIRD, "");
    host.expect(
        204,
        &patch("/tenants-plans/P0000", r#"{"env":{"A":"hidden"}}"#),
    );
    rotate(&mut host, NEWER, OLDER);
    put(&host, "tenants", "T0000", all["tenants/T0001"].clone());
    put(&host, "tenants", "T0002", r#"{"A":"hidden"}"#.into());
    put(&host, "tenants_plans", "P0001", "".into());
    let before = sealed(&host);
    let report = reseal(&mut host);
    let row = |place: &str, reason| Unreadable {
        place: place.into(),
        reason,
    };
    assert_eq!(
        report.unreadable,
        [
            row(
                "tenants/t0000/env",
                "does not open: it was changed, or moved here from another place"
            ),
            row("tenants/t0002/env", "is not a sealed text"),
            row(
                "tenants_plans/p0000/env",
                "was sealed under a key that is not configured"
            ),
            row("tenants_plans/p0001/env", "is not a sealed text"),
        ]
    );
    assert_eq!(report.resealed, 1);
    assert_eq!(report.after.to_do(), 4);
    assert_eq!(report.after.of(Table::Plans).other, 2);
    assert!(!format!("{report:?}").contains(HIDDEN));
    for (place, text) in sealed(&host) {
        assert_eq!(text == before[&place], place != "tenants/T0001", "{place}");
    }
}

#[test]
fn without_the_previous_key_nothing_is_written() {
    let mut host = rotating(30, 1);
    rotate(&mut host, NEWER, "");
    let all = host.dump();
    let task = begin(&host, ROOMY);
    // One slice holds all thirty.
    let task = steps(&mut host, task, 2);
    assert_eq!(task.progress(), (30, 31));
    let report = host.complete(task);
    assert_eq!(report.unreadable.len(), 31);
    assert_eq!(host.dump(), all);
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", "")]);
    let now = Timestamp::from_unix(NOW).unwrap();
    let error =
        Reseal::begin(host.api.config().unwrap(), &Run::new("cli-1"), &now, ROOMY).unwrap_err();
    assert_eq!(error.missing_variable(), Some("CHEVERETO_ENCRYPTION_KEY"));
    assert_eq!(
        error.to_string(),
        "CHEVERETO_ENCRYPTION_KEY is not configured"
    );
}

#[test]
fn a_batch_stays_within_its_size_and_a_longer_row_goes_alone() {
    let mut host = rotating(40, 0);
    rotate(&mut host, OLDER, "");
    let long = "x".repeat(39_000);
    host.expect(
        204,
        &patch(
            "/tenants/T0020",
            format!(r#"{{"env":{{"A":"hidden{long}"}}}}"#),
        ),
    );
    rotate(&mut host, NEWER, OLDER);
    let mut task = begin(&host, 4_000);
    let mut alone = 0;
    let mut most = 0;
    loop {
        let writes: Vec<usize> = task
            .batch()
            .statements()
            .iter()
            .filter(|statement| statement.text().starts_with("UPDATE"))
            .map(|statement| {
                let values = statement.values().iter().map(|value| match value {
                    Value::Text(text) => text.len(),
                    _ => 0,
                });
                statement.text().len() + values.sum::<usize>()
            })
            .collect();
        most = most.max(writes.len());
        if writes.iter().sum::<usize>() > 4_000 {
            assert_eq!(writes.len(), 1);
            alone += 1;
        }
        match host.step(task).unwrap() {
            TaskStep::Run(next) => task = next,
            TaskStep::Done(report) => {
                assert_eq!(report.resealed, 40);
                break;
            }
        }
    }
    assert_eq!(alone, 1);
    assert!(most > 5, "{most}");
}

#[test]
fn all_rows_are_encrypted_if_there_are_more_than_a_slice_holds() {
    let mut host = rotating(1, 0);
    // A text cannot be decrypted in another row, so each row must be encrypted by itself.
    rotate(&mut host, OLDER, "");
    for n in 1..1203 {
        let ask = with_env("/tenants", &format!("T{n:04}"), "hidden");
        let exchange = host.exchange(&ask);
        host.run(exchange.batch()).unwrap();
    }
    rotate(&mut host, NEWER, OLDER);
    let report = {
        let task = begin(&host, 1_000_000);
        host.complete(task)
    };
    assert_eq!((report.resealed, report.after.to_do()), (1203, 0));
}

#[test]
fn a_failing_database_or_missing_randomness_stops_the_run_and_changes_nothing() {
    let mut host = rotating(3, 0);
    let all = host.dump();
    host.random = Box::new(Exhausted);
    let task = begin(&host, ROOMY);
    let error = host.resume(task, Err("disk I/O error".into())).unwrap_err();
    assert_eq!(error.to_string(), "the database failed: disk I/O error");
    let task = begin(&host, ROOMY);
    let task = host.step_on(task);
    let error = host.step(task).unwrap_err();
    assert_eq!(error.to_string(), "the host has no randomness");
    for wrong in [
        vec![],
        vec![vec![]],
        vec![vec![vec![Value::Null; 3]; 2]],
        vec![vec![vec![Value::Integer(1); 2]; 2]],
        vec![vec![], vec![]],
    ] {
        let task = begin(&host, ROOMY);
        let error = host.resume(task, Ok(wrong)).unwrap_err();
        assert!(error.to_string().starts_with(UNEXPECTED_ROWS), "{error}");
    }
    assert_eq!(host.dump(), all);
}

/// The columns that `schema.sql` calls encrypted.
fn encrypted_columns() -> BTreeSet<(String, String)> {
    let schema = include_str!("../../../../schema.sql");
    let (mut table, mut found) = (String::new(), BTreeSet::new());
    for line in schema.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = rest.split(' ').next().unwrap().into();
        }
        let (code, comment) = line.split_once("--").unwrap_or((line, ""));
        if comment.contains("encrypted") && !code.trim().is_empty() {
            let column = code.split_whitespace().next().unwrap();
            found.insert((table.clone(), column.into()));
        }
    }
    found
}

#[test]
fn every_encrypted_column_is_encrypted_again() {
    let all = Table::ALL.map(|table| (table.name().to_owned(), table.column().to_owned()));
    assert_eq!(BTreeSet::from(all), encrypted_columns());

    // A text under the old key in each of them.
    let mut host = crate::cells::host_with_cells();
    host.expect(201, &with_env("/tenants", "t", "hidden"));
    host.expect(201, &with_env("/tenants-plans", "p", "hidden"));
    host.expect(201, &crate::ask::install("t"));
    let reset = r#"{"username":"admin"}"#;
    host.expect(201, &with_env("/tenants", "d", "hidden"));
    host.expect(204, &crate::ask::delete("/tenants/d"));
    let generated = patch("/tenants/t/user-password-reset", reset).idempotency_key("k");
    host.expect(200, &generated);
    host.expect(201, &crate::ask::new_tenant_on("c", "eu"));
    let job = crate::cells_jobs::drive(&mut host, &crate::ask::install("c"), |_, _| false);
    assert_eq!(job.status, 202);
    crate::webhooks::add_webhook(&mut host);
    rotate(&mut host, NEWER, OLDER);
    let under = |host: &Host, prefix: &str| -> BTreeSet<(String, String)> {
        let texts = host.sql(
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'",
            &[],
        );
        texts
            .into_iter()
            .map(|row| match row.as_slice() {
                [Value::Text(table), Value::Text(column)] => (table.clone(), column.clone()),
                other => panic!("{other:?}"),
            })
            .filter(|(table, column)| {
                let text = format!("SELECT count(*) FROM \"{table}\" WHERE \"{column}\" GLOB ?1");
                host.sql(&text, &[format!("{prefix}*").into()])[0][0] != 0.into()
            })
            .collect()
    };
    let prefix =
        |host: &Host| match host.one("SELECT substr(env, 1, 11) FROM tenants WHERE id = 't'") {
            Value::Text(prefix) => prefix,
            other => panic!("{other:?}"),
        };
    let old = prefix(&host);
    assert_eq!(under(&host, &old), encrypted_columns());
    let report = reseal(&mut host);
    assert_eq!((report.resealed, report.after.to_do()), (6, 0));
    let new = prefix(&host);
    assert_ne!(new, old);
    assert_eq!(under(&host, &old), BTreeSet::new());
    assert_eq!(under(&host, &new), encrypted_columns());

    let again = host.expect(200, &generated);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));

    // Without the old key, the job goes on.
    rotate(&mut host, NEWER, "");
    let job = crate::cells_jobs::lease(&mut host).remove(0);
    assert_eq!(job["input"]["password"], "hidden password");
}

#[test]
fn an_input_that_is_wiped_meanwhile_stays_wiped() {
    let mut host = crate::cells::host_with_cells();
    host.expect(201, &crate::ask::new_tenant_on("c", "eu"));
    crate::cells_jobs::drive(&mut host, &crate::ask::install("c"), |_, _| false);
    rotate(&mut host, NEWER, OLDER);
    let task = begin(&host, ROOMY);
    // The counts and the slice are read. Then the job ends.
    let task = host.step_on(task);
    let task = host.step_on(task);
    let job = crate::cells_jobs::lease(&mut host).remove(0);
    host.expect(200, &crate::cells_jobs::finish(&job, "done"));
    let report = host.complete(task);
    assert_eq!((report.resealed, report.overtaken), (0, 1));
    assert_eq!(
        host.one("SELECT count(*) FROM cell_work WHERE input IS NOT NULL"),
        0.into()
    );
}
