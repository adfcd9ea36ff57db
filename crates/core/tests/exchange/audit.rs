//! The audit log: the entries of writes, and the names of the members that they changed.

use serde_json::json;
use tenants_core::sql::Value;
use tenants_core::task::stats::{Refresh, Which};

use crate::ask::{Ask, delete, get, head, new_plan, new_tenant, patch, post, put};
use crate::host::Host;
use crate::query_plans::{plan, walks};
use crate::statements::statements_of;

/// The names that the newest entry of a subject has.
fn changed(host: &Host, subject: &str) -> Value {
    let mut rows = host.sql(
        "SELECT changed FROM audit_log WHERE subject = ?1 ORDER BY id DESC LIMIT 1",
        &[subject.into()],
    );
    rows.remove(0).remove(0)
}

/// Sends an edit, and expects these names in its entry.
fn expect(host: &mut Host, ask: &Ask, subject: &str, names: &str) {
    host.expect(if ask.method == "PUT" { 200 } else { 204 }, ask);
    assert_eq!(
        changed(host, subject),
        names.into(),
        "{}",
        String::from_utf8_lossy(&ask.body)
    );
}

#[test]
fn an_entry_names_the_members_that_an_edit_of_a_tenant_changed() {
    let mut host = Host::new();
    host.expect(201, &new_plan("basic"));
    host.expect(201, &put("/cells/eu", "{}"));
    host.expect(201, &new_tenant("Shop"));
    assert_eq!(changed(&host, "shop"), Value::Null, "a create names none");
    for (body, names) in [
        (json!({"hostname": "new.example.com"}), "hostname"),
        // The same value again, in another case for the hostname.
        (json!({"hostname": "NEW.example.com"}), ""),
        (json!({"is_enabled": true}), ""),
        (json!({"is_enabled": false}), "is_enabled"),
        (json!({"plan_id": "BASIC"}), "plan_id"),
        (json!({"plan_id": "basic"}), ""),
        (json!({"plan_id": null}), "plan_id"),
        (json!({"plan_id": ""}), ""),
        (json!({"external_id": "B-1"}), "external_id"),
        (json!({"external_id": "b-1"}), "external_id"),
        (json!({"external_id": "b-1"}), ""),
        (json!({"labels": {"a": "1", "b": "é\"\\"}}), "labels"),
        (json!({"labels": {"b": "é\"\\"}}), ""),
        (json!({"labels": {"c": null}}), ""),
        (json!({"labels": {"a": null}}), "labels"),
        (json!({"labels": null}), "labels"),
        (json!({"labels": null}), ""),
        (json!({"limits": {}}), ""),
        (json!({"limits": {"B": "1", "A": "2"}}), "limits"),
        (json!({"limits": {"A": "2", "B": 1}}), ""),
        (json!({"limits": null}), "limits"),
        // An encrypted map cannot be compared, so one that is given counts as changed, unless there is none before and after.
        (json!({"env": {}}), ""),
        (json!({"env": {"A": "hidden"}}), "env"),
        (json!({"env": {"A": "hidden"}}), "env"),
        (json!({"env": null}), "env"),
        (json!({"env": null}), ""),
        (json!({"cell_id": "EU"}), "cell_id"),
        (json!({"cell_id": "eu"}), ""),
        (json!({"cell_id": null}), "cell_id"),
        (
            json!({"env": {"A": "hidden"}, "is_enabled": true, "hostname": "z.example.com", "limits": null}),
            "hostname is_enabled env",
        ),
    ] {
        let ask = patch("/tenants/shop", body.to_string());
        expect(&mut host, &ask, "shop", names);
    }
    host.expect(204, &delete("/tenants/shop"));
    assert_eq!(changed(&host, "shop"), Value::Null, "a deletion names none");
}

#[test]
fn an_entry_names_the_members_that_an_edit_of_a_plan_a_key_or_a_cell_changed() {
    let mut host = Host::new();
    host.expect(201, &new_plan("basic"));
    assert_eq!(changed(&host, "basic"), Value::Null);
    for (body, names) in [
        (json!({"limits": {"L": "1"}}), ""),
        (json!({"limits": {}}), "limits"),
        (json!({"limits": null}), "limits"),
        (json!({"limits": null}), ""),
        (json!({"env": {"E": "hidden-plan"}}), "env"),
        (
            json!({"external_id": "1", "labels": {"a": "b"}, "env": null}),
            "external_id labels env",
        ),
        (json!({"env": null}), ""),
    ] {
        let ask = patch("/tenants-plans/basic", body.to_string());
        expect(&mut host, &ask, "basic", names);
    }

    let key = host.json(201, &post("/keys", r#"{"name":"a","scopes":["audit"]}"#));
    let id = key["id"].to_string();
    assert_eq!(changed(&host, &id), Value::Null);
    // One that changes nothing leaves no entry (`api_keys.rs`).
    for (body, names) in [
        (json!({"name": null}), "name"),
        (
            json!({"name": "b", "expires_at": "2999-01-01 00:00:00"}),
            "name expires_at",
        ),
    ] {
        let ask = patch(&format!("/keys/{id}"), body.to_string());
        expect(&mut host, &ask, &id, names);
    }
    host.expect(200, &post(&format!("/keys/{id}/rotate"), ""));
    assert_eq!(changed(&host, &id), Value::Null, "a rotation names none");

    host.expect(201, &put("/cells/eu", r#"{"name":"Europe"}"#));
    assert_eq!(changed(&host, "eu"), Value::Null);
    for (body, names) in [
        (json!({"name": null, "accepting": false}), "name accepting"),
        (
            json!({"service": {"name": "php", "port": 1}, "accepting": false}),
            "service",
        ),
        (
            json!({"service": {"name": "php", "port": 2}, "name": "E"}),
            "name service",
        ),
    ] {
        let ask = put("/cells/eu", body.to_string());
        expect(&mut host, &ask, "eu", names);
    }
}

/// Entries 1 to 5: two of a key, one of another, and two of the command line.
fn host_with_entries() -> Host {
    host_with_entries_of(&[])
}

/// The same entries, of a host with these variables.
fn host_with_entries_of(variables: &[(&'static str, &str)]) -> Host {
    let host = Host::with(variables);
    host.sql("DELETE FROM audit_log", &[]);
    host.sql("DELETE FROM sqlite_sequence WHERE name = 'audit_log'", &[]);
    for (key, action, subject, changed, time) in [
        (
            Some(1),
            "tenant.create",
            "shop",
            None,
            "2026-01-01 00:00:00",
        ),
        (
            Some(1),
            "tenant.update",
            "shop",
            Some("hostname env"),
            "2026-02-01 00:00:00",
        ),
        (
            Some(7),
            "plan.update",
            "shop",
            Some(""),
            "2026-03-01 00:00:00",
        ),
        (None, "api_key.delete", "7", None, "2026-04-01 00:00:00"),
        // An entry of an earlier release.
        (None, "plan.update", "basic", None, "2026-05-01 00:00:00"),
    ] {
        host.sql(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at, changed) VALUES (?1, ?2, ?3, 'r', ?5, ?4)",
            &[key.into(), action.into(), subject.into(), changed.into(), time.into()],
        );
    }
    host
}

#[test]
fn entries_come_oldest_first_with_the_members_of_the_contract() {
    let mut host = host_with_entries();
    let got = host.expect(200, &get("/audit?limit=2"));
    assert_eq!(
        got.body,
        concat!(
            r#"[{"id":1,"created_at":"2026-01-01 00:00:00","key_id":1,"action":"tenant.create","subject_type":"tenant","subject":"shop","#,
            r#""changed":[],"request_id":"r","session_id":null},"#,
            r#"{"id":2,"created_at":"2026-02-01 00:00:00","key_id":1,"action":"tenant.update","subject_type":"tenant","subject":"shop","#,
            r#""changed":["hostname","env"],"request_id":"r","session_id":null}]"#
        )
    );
    let all = host.json(200, &get("/audit"));
    let rest: Vec<_> = all.as_array().unwrap()[2..]
        .iter()
        .map(|entry| {
            json!([
                entry["id"],
                entry["key_id"],
                entry["subject_type"],
                entry["changed"]
            ])
        })
        .collect();
    assert_eq!(
        rest,
        [
            json!([3, 7, "plan", []]),
            json!([4, null, "api_key", []]),
            json!([5, null, "plan", null])
        ]
    );
    let head = host.expect(200, &head("/audit?limit=2"));
    assert_eq!(head.header("link"), got.header("link"));
}

#[test]
fn entries_are_filtered_and_paged() {
    let mut host = host_with_entries();
    for (query, ids) in [
        ("", &[1, 2, 3, 4, 5][..]),
        ("after=2", &[3, 4, 5]),
        ("after=5", &[]),
        ("subject=SHOP", &[1, 2, 3]),
        ("subject=shop&subject_type=plan", &[3]),
        ("subject=sho", &[]),
        ("subject_type=plan", &[3, 5]),
        ("subject_type=api_key", &[4]),
        ("action=plan.update", &[3, 5]),
        ("action=plan.update&subject=shop&after=1", &[3]),
        ("key_id=1", &[1, 2]),
        ("key_id=9", &[]),
        ("key_id=", &[4, 5]),
        ("key_id=&action=plan.update", &[5]),
        ("since=2026-03-01%2000:00:00", &[3, 4, 5]),
        ("since=2026-03-01%2000:00:01", &[4, 5]),
        ("since=2027-01-01%2000:00:00", &[]),
        ("since=2026-02-01%2000:00:00&key_id=1", &[2]),
        ("since=2026-02-01%2000:00:00&after=3", &[4, 5]),
    ] {
        // All at once, and page by page.
        for limit in ["", "limit=1&", "limit=2&"] {
            let mut shown = Vec::new();
            let mut next = Some(format!("/audit?{limit}{query}"));
            while let Some(path) = next {
                let got = host.expect(200, &get(&path));
                for entry in got.json().as_array().unwrap() {
                    shown.push(entry["id"].as_i64().unwrap());
                }
                next = got.header("link").map(|link| {
                    let link = link.strip_prefix("</_/api/4").unwrap();
                    link.strip_suffix(">; rel=\"next\"").unwrap().into()
                });
            }
            assert_eq!(shown, ids, "{limit}{query}");
        }
    }
    let got = host.expect(
        200,
        &get(
            "/audit?key_id=1&since=2026-01-01%2000:00:00&limit=1&subject=SHOP&action=tenant.create",
        ),
    );
    assert_eq!(got.header("link"), None);
    let got = host.expect(
        200,
        &get(
            "/audit?subject_type=tenant&key_id=1&since=2026-01-01%2000:00:00&limit=1&subject=SHOP",
        ),
    );
    assert_eq!(
        got.header("link"),
        Some(
            r#"</_/api/4/audit?limit=1&after=1&subject_type=tenant&key_id=1&since=2026-01-01%2000:00:00&subject=SHOP>; rel="next""#
        )
    );
}

/// Each host has a clock of its own, so an entry may have an earlier time than the one before it.
#[test]
fn since_finds_an_entry_whose_clock_was_behind() {
    let mut host = host_with_entries();
    for (id, time) in [(2, "2026-03-01 00:00:02"), (3, "2026-03-01 00:00:01")] {
        let values = [id.into(), time.into()];
        host.sql(
            "UPDATE audit_log SET created_at = ?2 WHERE id = ?1",
            &values,
        );
    }
    for (since, ids) in [
        ("00:00:01", [2, 3, 4, 5].to_vec()),
        ("00:00:02", vec![2, 4, 5]),
    ] {
        let shown = host.json(200, &get(&format!("/audit?since=2026-03-01%20{since}")));
        let shown: Vec<_> = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["id"].as_i64().unwrap())
            .collect();
        assert_eq!(shown, ids, "{since}");
    }
}

#[test]
fn an_unknown_or_malformed_parameter_of_the_log_is_a_422() {
    let mut host = Host::new();
    for (query, named) in [
        ("actions=a", &["actions"][..]),
        ("limit=0&after=-1", &["limit", "after"]),
        ("limit=1001", &["limit"]),
        ("limit=1&limit=1", &["limit"]),
        ("after=9007199254740992", &["after"]),
        ("after=a", &["after"]),
        ("subject=", &["subject"]),
        ("subject=%00", &["subject"]),
        ("subject_type=tenants", &["subject_type"]),
        ("action=tenant.created", &["action"]),
        ("key_id=0", &["key_id"]),
        ("key_id=x", &["key_id"]),
        ("key_id=1&key_id=2", &["key_id"]),
        ("since=2026-01-01", &["since"]),
    ] {
        let got = host.refuse(422, &get(&format!("/audit?{query}")));
        assert_eq!(got.named(), named, "{query}");
    }
    host.expect(200, &get("/audit?limit=1000&after=9007199254740991"));
    host.expect(405, &post("/audit", "{}"));
}

#[test]
fn each_filter_has_its_index() {
    let mut host = Host::new();
    for (query, step) in [
        ("", "SEARCH a USING INTEGER PRIMARY KEY (rowid>?)"),
        (
            "subject=a&action=tenant.create&key_id=1&subject_type=tenant",
            "SEARCH a USING INDEX audit_log_by_subject (subject=? AND rowid>?)",
        ),
        (
            "action=tenant.create&key_id=1",
            "SEARCH a USING INDEX audit_log_by_action (action=? AND rowid>?)",
        ),
        (
            "key_id=1&subject_type=tenant",
            "SEARCH a USING INDEX audit_log_by_key (key_id=? AND rowid>?)",
        ),
        (
            "key_id=&since=2026-01-01%2000:00:00",
            "SEARCH a USING INDEX audit_log_by_key (key_id=? AND rowid>?)",
        ),
        (
            "subject_type=tenant&since=2026-01-01%2000:00:00",
            "SEARCH a USING INDEX audit_log_by_subject_type (<expr>=? AND rowid>?)",
        ),
        (
            "since=2026-01-01%2000:00:00",
            "SEARCH audit_log USING INTEGER PRIMARY KEY (rowid>?)",
        ),
    ] {
        let statements = statements_of(&mut host, &get(&format!("/audit?{query}")));
        let [_, rows] = statements.as_slice() else {
            panic!("{statements:?}")
        };
        let plan = plan(&host.db, rows.text(), rows.values());
        assert!(plan.iter().any(|found| found == step), "{query}: {plan:?}");
        assert_eq!(walks(&plan), [""; 0], "{query}");
    }
}

#[test]
fn the_cron_trigger_deletes_old_entries_in_slices_and_never_the_newest() {
    let run = |host: &mut Host| {
        let now = tenants_core::value::clock::Timestamp::from_unix(host.now).unwrap();
        let task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(1), 1);
        host.complete(task);
    };
    let ids = |host: &Host| -> String {
        let rows = host.sql(
            "SELECT group_concat(id) FROM (SELECT id FROM audit_log ORDER BY id)",
            &[],
        );
        match &rows[0][0] {
            Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    // Without the variable nothing is deleted.
    let mut host = host_with_entries();
    run(&mut host);
    assert_eq!(ids(&host), "1,2,3,4,5");

    // The clock says 2026-08-18 23:16:57: 30 days before it are in July.
    let mut host = host_with_entries_of(&[("TENANTS_AUDIT_DAYS", "30")]);
    for (time, action) in [
        ("2026-07-19 23:16:57", "tenant.create"),
        ("2026-07-19 23:16:56", "tenant.create"),
    ] {
        host.sql(
            "INSERT INTO audit_log (action, subject, request_id, created_at) VALUES (?2, 'a', 'r', ?1)",
            &[time.into(), action.into()],
        );
    }
    run(&mut host);
    assert_eq!(ids(&host), "6,7", "entry 7 is too old, and the newest");
    host.sql(
        "UPDATE audit_log SET created_at = '2026-01-01 00:00:00'",
        &[],
    );
    host.sql(
        "INSERT INTO audit_log (action, subject, request_id, created_at) VALUES ('env.reseal', 'a', 'r', '2026-01-01 00:00:00')",
        &[],
    );
    run(&mut host);
    assert_eq!(
        ids(&host),
        "7,8",
        "the newest write is the revision of Traefik's configuration"
    );

    // A run looks at 2,000 entries.
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000) \
         INSERT INTO audit_log (action, subject, request_id, created_at) SELECT 'tenant.create', 'a', 'r', '2026-01-01 00:00:00' FROM c",
        &[],
    );
    for left in [2002, 2, 1, 1] {
        run(&mut host);
        assert_eq!(host.one("SELECT count(*) FROM audit_log"), left.into());
    }
    assert_eq!(ids(&host), "4008");
    // Ids go on counting.
    host.expect(201, &new_tenant("a"));
    assert_eq!(ids(&host), "4008,4009");
}
