//! What a cell sees of its tenants (contract §15): the feed, its cursor, and what a poll costs.

use rusqlite::StatementStatus;
use serde_json::{Value as Json, json};
use tenants_core::sql::Value;

use crate::ask::{Ask, delete, get, new_plan, new_tenant, new_tenant_on, patch, post, put};
use crate::cells::host_with_cells;
use crate::costs::counted;
use crate::host::{Host, WaitsForBatch as _};

/// An agent's poll of the cell `eu` after a cursor.
fn poll(after: &str) -> Ask {
    get(&format!(
        "/cells/eu/tenants?agent=one&agent_version=1.0&after={after}"
    ))
}

fn read(host: &mut Host, cell: &str, after: Option<&str>) -> Json {
    let after = after.map_or(String::new(), |after| format!("?after={after}"));
    host.json(200, &get(&format!("/cells/{cell}/tenants{after}")))
}

fn cursor(page: &Json) -> &str {
    page["cursor"].as_str().unwrap()
}

fn ids(page: &Json) -> Vec<&str> {
    let tenants = page["tenants"].as_array().unwrap();
    tenants.iter().map(|t| t["id"].as_str().unwrap()).collect()
}

#[test]
fn a_tenant_comes_as_the_installation_caches_it() {
    let mut host = host_with_cells();
    host.expect(201, &new_plan("p"));
    let body = r#"{"id":"A","hostname":"a.example.com","is_enabled":false,"plan_id":"P","cell_id":"eu","limits":{"L":"2","M":"3"},"env":{"F":"hidden"}}"#;
    host.expect(201, &post("/tenants", body));
    host.expect(201, &new_tenant_on("b", "eu"));
    host.expect(201, &new_tenant_on("c", "us"));
    host.expect(201, &new_tenant("d"));
    let page = read(&mut host, "EU", None);
    let time = "2026-08-18 23:16:57";
    assert_eq!(
        page,
        json!({
            "cursor": "fedcba9876543210.2.b", "more": false, "jobs_waiting": false, "gone": [], "tenants": [
                {
                    "id": "A", "revision": 1, "hostname": "a.example.com", "hostnames": ["a.example.com"], "is_enabled": false, "plan_id": "p",
                    "limits": {"L": "2", "M": "3"}, "env": {"E": "hidden-plan", "F": "hidden"}, "created_at": time, "updated_at": time
                },
                {
                    "id": "b", "revision": 2, "hostname": "b.example.com", "hostnames": ["b.example.com"], "is_enabled": true, "plan_id": null,
                    "limits": null, "env": null, "created_at": time, "updated_at": time
                }
            ]
        })
    );
    assert_eq!(ids(&read(&mut host, "us", None)), ["c"]);
    host.expect(404, &get("/cells/asia/tenants"));
    host.expect(404, &get("/cells/_/tenants"));
}

#[test]
fn every_change_of_what_a_cell_sees_is_a_new_revision_and_no_other_is() {
    let mut host = host_with_cells();
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_plan("q"));
    host.expect(201, &new_tenant_on("a", "eu"));
    host.expect(201, &new_tenant_on("b", "eu"));
    host.expect(201, &new_tenant("embedded"));
    let mut last = cursor(&read(&mut host, "eu", None)).to_owned();
    for (ask, changed, gone) in [
        (
            patch("/tenants/a", r#"{"hostname":"z.example.com"}"#),
            vec!["a"],
            vec![],
        ),
        (
            patch("/tenants/a", r#"{"is_enabled":false}"#),
            vec!["a"],
            vec![],
        ),
        (
            patch("/tenants/a", r#"{"limits":{"L":"1"}}"#),
            vec!["a"],
            vec![],
        ),
        (
            patch("/tenants/a", r#"{"env":{"E":"hidden"}}"#),
            vec!["a"],
            vec![],
        ),
        (patch("/tenants/a", r#"{"plan_id":"p"}"#), vec!["a"], vec![]),
        (patch("/tenants/b", r#"{"plan_id":"p"}"#), vec!["b"], vec![]),
        (
            patch("/tenants/embedded", r#"{"plan_id":"p"}"#),
            vec![],
            vec![],
        ),
        (
            patch("/tenants-plans/p", r#"{"limits":{"L":"9"}}"#),
            vec!["a", "b"],
            vec![],
        ),
        (
            patch("/tenants-plans/p", r#"{"env":{"E":"hidden"}}"#),
            vec!["a", "b"],
            vec![],
        ),
        (
            patch("/tenants-plans/p", r#"{"labels":{"x":"y"}}"#),
            vec![],
            vec![],
        ),
        (
            patch("/tenants-plans/q", r#"{"limits":{"L":"9"}}"#),
            vec![],
            vec![],
        ),
        (
            patch("/tenants/b", r#"{"cell_id":"us"}"#),
            vec![],
            vec!["b"],
        ),
        (
            patch("/tenants/b", r#"{"cell_id":"eu"}"#),
            vec!["b"],
            vec![],
        ),
        (delete("/tenants-plans/p"), vec!["a", "b"], vec![]),
        (delete("/tenants/a"), vec![], vec!["a"]),
        (new_tenant_on("A", "eu"), vec!["A"], vec![]),
        (delete("/tenants/a"), vec![], vec!["A"]),
    ] {
        let status = if ask.method == "POST" { 201 } else { 204 };
        host.now += 1;
        host.expect(status, &ask);
        let page = read(&mut host, "eu", Some(&last));
        assert_eq!(ids(&page), changed, "{ask:?}");
        assert_eq!(page["gone"], json!(gone), "{ask:?}");
        last = cursor(&page).to_owned();
    }
    // Two spellings of an id are two sites for a cell.
    let all = read(&mut host, "eu", None);
    assert_eq!((ids(&all), &all["gone"]), (vec!["b"], &json!(["a", "A"])));
}

#[test]
fn a_write_of_an_earlier_release_moves_the_feed_too() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let last = cursor(&read(&mut host, "eu", None)).to_owned();
    host.sql(
        "INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, \
         sets_plan_id, plan_id, sets_limits, limits, sets_env, env) VALUES (1, 'r', '2026-08-19 00:00:00', 1, 1, 0, 1, 'a', 'y', NULL, 0, NULL, 0, NULL, 0, NULL)",
        &[],
    );
    assert_eq!(ids(&read(&mut host, "eu", Some(&last))), ["a"]);
}

#[test]
fn pages_end_at_the_limit_and_at_four_mebibytes() {
    let mut host = host_with_cells();
    for n in 0..7 {
        host.expect(201, &new_tenant_on(&format!("t{n}"), "eu"));
    }
    let mut after = None;
    let mut pages = Vec::new();
    loop {
        let from = after.map_or(String::new(), |after: String| format!("&after={after}"));
        let page = host.json(200, &get(&format!("/cells/eu/tenants?limit=3{from}")));
        pages.push(ids(&page).join(" "));
        after = Some(cursor(&page).to_owned());
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(pages, ["t0 t1 t2", "t3 t4 t5", "t6"]);
    let large = json!({"L": "x".repeat(2 * 1024 * 1024 - 100)}).to_string();
    host.sql("UPDATE tenants SET limits = ?1", &[large.as_str().into()]);
    let page = read(&mut host, "eu", None);
    assert_eq!((ids(&page).len(), &page["more"]), (3, &json!(true)));
    let rest = read(&mut host, "eu", Some(cursor(&page)));
    assert_eq!((ids(&rest).len(), &rest["more"]), (3, &json!(true)));
    let last = read(&mut host, "eu", Some(cursor(&rest)));
    assert_eq!((ids(&last).len(), &last["more"]), (1, &json!(false)));
}

#[test]
fn a_cursor_of_another_epoch_or_before_the_oldest_mark_is_gone() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let known = cursor(&read(&mut host, "eu", None)).to_owned();
    for wrong in ["0000000000000000.1.a", "fedcba9876543210.99.a"] {
        let got = host.expect(410, &get(&format!("/cells/eu/tenants?after={wrong}")));
        assert_eq!(got.json()["code"], "cursor_gone");
    }
    for malformed in [
        "a",
        "",
        "fedcba9876543210.x.a",
        "fedcba9876543210.1._",
        "fedcba9876543210.1",
    ] {
        let got = host.refuse(422, &get(&format!("/cells/eu/tenants?after={malformed}")));
        assert_eq!(got.named(), ["after"], "{malformed}");
    }
    host.sql(
        "UPDATE cells SET forgotten_revision = 2 WHERE id = 'eu'",
        &[],
    );
    host.expect(410, &get(&format!("/cells/eu/tenants?after={known}")));
    host.sql("UPDATE registry SET epoch = '0000000000000001'", &[]);
    host.expect(410, &get(&format!("/cells/eu/tenants?after={known}")));
    for bad in [
        "limit=0",
        "limit=1001",
        "agent=",
        "agent=a%20b",
        "agent_version=",
        "x=1",
    ] {
        host.refuse(422, &get(&format!("/cells/eu/tenants?{bad}")));
    }
}

#[test]
fn a_row_that_cannot_be_decrypted_comes_as_an_error_and_the_others_follow() {
    let mut host = host_with_cells();
    for id in ["a", "b", "c"] {
        host.expect(201, &new_tenant_on(id, "eu"));
    }
    host.sql("UPDATE tenants SET env = 'broken' WHERE id = 'b'", &[]);
    let got = host.expect(200, &get("/cells/eu/tenants"));
    let page = got.json();
    assert_eq!(ids(&page), ["a", "c", "b"]);
    assert_eq!(
        page["tenants"][2],
        json!({"id": "b", "revision": 4, "error": "its settings cannot be read"})
    );
    assert!(got.cause().contains("tenants/b/env"), "{}", got.cause());
}

#[test]
fn an_agent_is_noted_once_a_minute_and_another_one_must_wait() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let cell = |host: &mut Host| host.json(200, &get("/cells/eu"));
    assert_eq!(cell(&mut host)["behind"], 1);
    let page = host.json(200, &get("/cells/eu/tenants?agent=one&agent_version=1.0"));
    let seen = cell(&mut host);
    assert_eq!(
        (
            &seen["last_seen_at"],
            &seen["agent_version"],
            &seen["behind"]
        ),
        (&json!("2026-08-18 23:16:57"), &json!("1.0"), &json!(1))
    );
    let after = cursor(&page).to_owned();
    host.now += 2;
    let etag = host
        .expect(200, &poll(&after))
        .header("etag")
        .unwrap()
        .to_owned();
    let seen = cell(&mut host);
    assert_eq!(
        (&seen["cursor"], &seen["behind"]),
        (&json!(after), &json!(0))
    );
    assert_eq!(seen["last_seen_at"], "2026-08-18 23:16:59");
    host.now += 59;
    host.expect(304, &poll(&after).if_none_match(&etag));
    assert_eq!(cell(&mut host)["last_seen_at"], "2026-08-18 23:16:59");
    host.now += 1;
    host.expect(304, &poll(&after).if_none_match(&etag));
    assert_eq!(cell(&mut host)["last_seen_at"], "2026-08-18 23:17:59");
    let other = get(&format!("/cells/eu/tenants?agent=two&after={after}"));
    host.now += 119;
    assert_eq!(host.expect(409, &other).json()["code"], "agent_conflict");
    host.now += 1;
    host.expect(200, &other);
    host.expect(409, &poll(&after));
    // A read without an agent is for anybody.
    read(&mut host, "eu", Some(&after));
}

/// SQLite takes several steps of its virtual machine for each row that it visits.
#[test]
fn an_idle_poll_takes_the_same_steps_however_many_tenants_there_are() {
    let mut steps = Vec::new();
    for tenants in [1, 300] {
        let mut host = host_with_cells();
        host.sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
             INSERT INTO tenants (id, hostname, is_enabled, cell_id, created_at, updated_at) SELECT 't' || n, 't' || n, 1, 'eu', '', '' FROM c",
            &[Value::Integer(tenants)],
        );
        host.sql(
            "INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, created_at, expires_at, finished_at) \
             SELECT id, id, 'eu', 'drop', 'done', '', '', '' FROM tenants",
            &[],
        );
        let page = host.json(200, &get("/cells/eu/tenants?agent=one&agent_version=1.0"));
        let after = cursor(&page).to_owned();
        let etag = host
            .expect(200, &poll(&after))
            .header("etag")
            .unwrap()
            .to_owned();
        let ask = poll(&after).if_none_match(etag);
        let exchange = host.first(&ask);
        let counted: i32 = exchange
            .batch()
            .statements()
            .iter()
            .map(|statement| {
                counted(
                    &host.db,
                    StatementStatus::VmStep,
                    statement.text(),
                    statement.values(),
                )
            })
            .sum();
        assert_eq!(host.expect(304, &ask).body, "");
        steps.push(counted);
    }
    assert_eq!(steps[0], steps[1]);
    assert!(steps[0] < 400, "{steps:?}");
}

/// Each write of a further hostname marks its tenant in the feed.
#[test]
fn a_further_hostname_takes_the_same_steps_however_many_tenants_there_are() {
    let mut steps = Vec::new();
    for tenants in [1, 300] {
        let host = host_with_cells();
        host.sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
             INSERT INTO tenants (id, hostname, is_enabled, cell_id, created_at, updated_at) SELECT 't' || n, 't' || n, 1, 'eu', '', '' FROM c",
            &[Value::Integer(tenants)],
        );
        let revision =
            |host: &Host| host.one("SELECT revision FROM cell_feed WHERE tenant_id = 't1'");
        steps.push(
            [
                "INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at) VALUES ('t1', 'n', 'alias', '', '')",
                "UPDATE tenant_hostnames SET kind = 'redirect' WHERE tenant_id = 't1' AND hostname = 'n'",
                "DELETE FROM tenant_hostnames WHERE tenant_id = 't1' AND hostname = 'n'",
            ]
            .map(|text| {
                let before = revision(&host);
                let taken = counted(&host.db, StatementStatus::VmStep, text, &[]);
                assert_ne!(revision(&host), before, "{text}");
                taken
            }),
        );
    }
    assert_eq!(steps[0], steps[1]);
}

#[test]
fn a_site_that_its_cell_counts_is_installed_and_changes_its_cell_by_a_move_alone() {
    let mut host = host_with_cells();
    // As an import leaves it: the registry has installed nothing, and does not know what the cell has.
    for id in ["counted", "none"] {
        host.expect(201, &new_tenant_on(id, "eu"));
    }
    let site =
        |host: &mut Host, id: &str| host.json(200, &get(&format!("/tenants/{id}")))["site"].clone();
    let none = json!({"state": "none", "job_id": null});
    assert_eq!(site(&mut host, "counted"), none);
    let etag = host
        .expect(200, &get("/tenants/counted"))
        .header("etag")
        .unwrap()
        .to_owned();
    let counted =
        json!({"id": "counted", "stats": host_stats(), "counted_at": "2026-08-18 23:16:57"});
    let report = post("/cells/eu/stats", json!({"tenants": [counted]}).to_string());
    assert_eq!(host.json(200, &report), json!({"stored": 1}));
    assert_eq!(
        site(&mut host, "counted"),
        json!({"state": "installed", "job_id": null})
    );
    assert_ne!(
        host.expect(200, &get("/tenants/counted"))
            .header("etag")
            .unwrap(),
        etag
    );
    assert_eq!(site(&mut host, "none"), none);
    assert_eq!(host.json(200, &report), json!({"stored": 0}), "once");

    // Nothing is known to be installed for the other one, so its cell is free to change.
    let elsewhere = |id: &str| patch(&format!("/tenants/{id}"), r#"{"cell_id": "us"}"#);
    assert_eq!(
        host.expect(409, &elsewhere("counted")).json()["code"],
        "cell_conflict"
    );
    host.expect(204, &elsewhere("none"));
    // Tables that are known stay known after a deletion.
    host.expect(204, &delete("/tenants/counted"));
    assert_eq!(
        host.expect(409, &new_tenant_on("counted", "us")).json()["code"],
        "site_exists"
    );
    let adopted = host.json(201, &new_tenant_on("counted", "eu"));
    assert_eq!(adopted["site"]["state"], "installed");
}

#[test]
fn statistics_are_stored_where_they_changed_and_once_an_hour() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    host.expect(201, &new_tenant_on("b", "us"));
    let stats = |users: u32| {
        let mut all = host_stats();
        all["users"] = users.into();
        all
    };
    let report = |id: &str, users: u32, at: &str| {
        post(
            "/cells/eu/stats",
            json!({"tenants": [{"id": id, "stats": stats(users), "counted_at": at}]}).to_string(),
        )
    };
    let last = cursor(&read(&mut host, "eu", None)).to_owned();
    let at = "2026-08-18 23:17:00";
    host.now += 5;
    assert_eq!(host.json(200, &report("A", 3, at)), json!({"stored": 1}));
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(
        (&tenant["stats"]["users"], &tenant["last_job_at"]),
        (&json!(3), &json!(at))
    );
    assert_eq!(
        read(&mut host, "eu", Some(&last))["tenants"],
        json!([]),
        "no revision"
    );
    assert_eq!(
        host.json(200, &report("a", 4, at)),
        json!({"stored": 0}),
        "too soon"
    );
    // A report that comes late does not replace a newer one.
    let late = json!({"tenants": [{"id": "a", "stats": stats(9), "counted_at": "2026-08-18 23:16:59"}], "at_once": true});
    let late = post("/cells/eu/stats", late.to_string());
    assert_eq!(host.json(200, &late), json!({"stored": 0}));
    // A clock that is ahead does not keep later counts out.
    host.expect(201, &new_tenant_on("ahead", "eu"));
    let ahead = report("ahead", 3, "2031-01-01 00:00:00");
    assert_eq!(host.json(200, &ahead), json!({"stored": 1}));
    assert_eq!(
        host.json(200, &get("/tenants/ahead"))["last_job_at"],
        "2026-08-18 23:17:02"
    );
    host.now += 3600;
    assert_eq!(
        host.json(200, &report("ahead", 4, "2026-08-19 00:17:02")),
        json!({"stored": 1})
    );
    assert_eq!(
        host.json(200, &report("a", 3, at)),
        json!({"stored": 0}),
        "the same"
    );
    assert_eq!(
        host.json(200, &report("a", 4, "2026-08-19 00:00:00")),
        json!({"stored": 1})
    );
    assert_eq!(
        host.json(200, &report("b", 4, at)),
        json!({"stored": 0}),
        "of another cell"
    );
    let at_once = |users: u32| {
        let tenant = json!({"id": "a", "stats": stats(users), "counted_at": "2026-08-19 00:00:01"});
        post(
            "/cells/eu/stats",
            json!({"tenants": [tenant], "at_once": true}).to_string(),
        )
    };
    assert_eq!(host.json(200, &at_once(5)), json!({"stored": 1}));
    assert_eq!(
        host.json(200, &at_once(5)),
        json!({"stored": 0}),
        "the same again"
    );
    host.expect(404, &post("/cells/asia/stats", r#"{"tenants":[]}"#));
    for (body, named) in [
        (r#"{"tenants":{}}"#, &["/tenants"][..]),
        (
            r#"{"tenants":[{"id":"a"}]}"#,
            &["/tenants/0/stats", "/tenants/0/counted_at"],
        ),
        (
            r#"{"tenants":[{"id":"_","stats":{},"counted_at":""}]}"#,
            &["/tenants/0/id", "/tenants/0/stats", "/tenants/0/counted_at"],
        ),
        (
            r#"{"tenants":[{"id":"a","stats":{"users":-1}}]}"#,
            &["/tenants/0/stats", "/tenants/0/counted_at"],
        ),
    ] {
        assert_eq!(
            host.refuse(422, &post("/cells/eu/stats", body)).named(),
            named
        );
    }
}

pub(crate) fn host_stats() -> Json {
    let names = [
        "tags",
        "files",
        "pages",
        "users",
        "admins",
        "albums",
        "managers",
        "storages",
        "cron_time",
        "categories",
        "file_likes",
        "file_views",
        "album_likes",
        "album_views",
        "storage_used",
        "login_providers",
    ];
    names
        .into_iter()
        .map(|name| (name.to_owned(), json!(0)))
        .collect()
}

#[test]
fn the_key_of_one_cell_is_refused_for_another_ones_tenants() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let eu = host.issue_scoped(&["cell:EU"]);
    let us = host.issue_scoped(&["cell:us"]);
    let all = host.issue_scoped(&["cells"]);
    for path in ["/cells/eu/tenants", "/cells/Eu/tenants?agent=a"] {
        host.expect(200, &get(path).key(&eu));
        host.expect(200, &get(path).key(&all));
        let got = host.expect(403, &get(path).key(&us));
        assert_eq!(got.json()["code"], "insufficient_scope");
    }
    for ask in [
        post("/cells/eu/stats", r#"{"tenants":[]}"#),
        post("/cells/eu/jobs/lease", r#"{"max":1,"seconds":60}"#),
    ] {
        host.expect(403, &ask.clone().key(&us));
        host.expect(200, &ask.key(&eu));
    }
    for ask in [
        get("/cells"),
        get("/cells/eu"),
        put("/cells/eu", "{}"),
        delete("/cells/eu"),
        get("/tenants/a"),
        get("/jobs"),
    ] {
        host.expect(403, &ask.key(&eu));
    }
}

#[test]
fn the_roots_own_name_is_none_of_a_tenants_hostnames() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    host.expect(201, &new_tenant_on("b", "eu"));
    let alias = r#"{"kind":"alias"}"#;
    for name in ["one.example", "two.example"] {
        host.expect(201, &put(&format!("/tenants/a/hostnames/{name}"), alias));
    }
    for (root, of_a, of_b, note) in [
        (
            "localhost",
            json!(["a.example.com", "one.example", "two.example"]),
            json!(["b.example.com"]),
            "",
        ),
        (
            "one.example",
            json!(["a.example.com", "two.example"]),
            json!(["b.example.com"]),
            "left out of the hostnames: tenants/a: `one.example` is not valid, or the root's own",
        ),
        (
            "B.example.com",
            json!(["a.example.com", "one.example", "two.example"]),
            json!([]),
            "left out of the hostnames: tenants/b: `b.example.com` is not valid, or the root's own",
        ),
    ] {
        host.configure(&[("CHEVERETO_INTERNAL_HOSTNAME", root)]);
        let got = host.expect(200, &get("/cells/eu/tenants"));
        let page = got.json();
        // `a` has changed since.
        assert_eq!(ids(&page), ["b", "a"]);
        let [b, a] = [0, 1].map(|i| &page["tenants"][i]);
        assert_eq!((&a["hostnames"], &b["hostnames"]), (&of_a, &of_b), "{root}");
        assert_eq!(b["hostname"], "b.example.com");
        assert_eq!(got.cause(), note);
    }
}
