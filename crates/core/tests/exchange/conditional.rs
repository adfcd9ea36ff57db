//! Versions of tenants and plans, and requests with conditions on them (docs/API.md, "Safe retries").

use tenants_core::task::reseal::Reseal;
use tenants_core::task::restored::Restored;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;

use crate::ask::{
    Ask, delete, delete_with_tables, get, head, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::{Host, SECRETS};

/// A host with a plan `p`, which the tenant `a` has, and a tenant `b` without one.
fn filled() -> Host {
    let mut host = Host::legacy(&[("TENANTS_STATS_MIN_AGE", "0")]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    host.expect(204, &patch("/tenants/a", r#"{"plan_id":"p"}"#));
    host.expect(201, &new_tenant("b"));
    host
}

fn etag(host: &mut Host, path: &str) -> String {
    let got = host.expect(200, &get(path));
    got.header("etag").unwrap().to_owned()
}

/// The number of the write in a tag, and the part about the statistics.
fn parts(etag: &str) -> (i64, &str) {
    let (revision, rest) = etag.trim_matches('"').split_once('-').unwrap();
    let number = revision.strip_prefix("fedcba9876543210.").unwrap();
    (number.parse().unwrap(), rest)
}

fn count_statistics(host: &mut Host) {
    let now = Timestamp::from_unix(host.now).unwrap();
    let task = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(9), 9);
    host.complete(task);
}

#[test]
fn every_answer_with_one_resource_has_its_etag() {
    let mut host = filled();
    for (path, number) in [
        ("/tenants/a", 3),
        ("/tenants/b", 4),
        ("/tenants-plans/p", 1),
    ] {
        let tag = etag(&mut host, path);
        assert_eq!(tag, format!("\"fedcba9876543210.{number}-1\""));
        for ask in [head(path), get(path).legacy(), head(path).legacy()] {
            assert_eq!(host.expect(200, &ask).header("etag"), Some(&*tag));
        }
    }
    // A write answers the tag that a read then has.
    let body = r#"{"tenant_id":"c","hostname":"c","is_enabled":1}"#;
    let writes = [
        (201, new_tenant("d"), "/tenants/d"),
        (201, post("/tenants", body).legacy(), "/tenants/c"),
        (
            204,
            patch("/tenants/D", r#"{"limits":{"A":1}}"#),
            "/tenants/d",
        ),
        (
            204,
            patch("/tenants/c", r#"{"hostname":"e"}"#).legacy(),
            "/tenants/c",
        ),
        (201, new_plan("q"), "/tenants-plans/q"),
        (
            204,
            patch("/tenants-plans/Q", r#"{"limits":null}"#),
            "/tenants-plans/q",
        ),
    ];
    for (status, ask, path) in writes {
        let written = host.expect(status, &ask);
        assert_eq!(written.header("etag"), Some(&*etag(&mut host, path)));
    }
    for ask in [
        get("/tenants"),
        get("/tenants-plans"),
        get("/tenants/a/settings"),
    ] {
        assert_eq!(host.expect(200, &ask).header("etag"), None, "{ask:?}");
    }
    host.expect(201, &install("a"));
    for (status, ask) in [
        (200, reset("a")),
        (404, get("/tenants/nobody")),
        (409, new_tenant("a")),
        (422, patch("/tenants/a", r#"{"plan_id":"none"}"#)),
        (204, delete("/tenants/a")),
        (204, delete_with_tables("b")),
        (204, delete("/tenants-plans/p")),
    ] {
        assert_eq!(host.expect(status, &ask).header("etag"), None, "{ask:?}");
    }
}

#[test]
fn a_revision_grows_with_the_writes_that_change_the_answer_and_with_no_other() {
    let mut host = filled();
    let mut seen = vec![etag(&mut host, "/tenants/a")];
    let mut is_new = |host: &mut Host, ask: &Ask| {
        let got = host.ask(ask);
        assert!(got.status < 300, "{got:?}");
        let tag = etag(host, "/tenants/a");
        let last = seen.last().unwrap().clone();
        // An installation changes the part after the revision.
        if parts(&tag).0 == parts(&last).0 {
            return false;
        }
        assert!(parts(&tag).0 > parts(&last).0, "{last}, {tag}");
        assert!(!seen.contains(&tag));
        seen.push(tag);
        true
    };
    for (ask, changes) in [
        (patch("/tenants/a", r#"{"env":{"A":"hidden"}}"#), true),
        // It has the same second as the one before, and the same values.
        (patch("/tenants/a", r#"{"env":{"A":"hidden"}}"#), true),
        (patch("/tenants/a", r#"{"is_enabled":0}"#).legacy(), true),
        (patch("/tenants/b", r#"{"is_enabled":false}"#), false),
        (patch("/tenants-plans/p", r#"{"limits":{"A":2}}"#), false),
        (install("a"), false),
        (reset("a"), false),
        (new_plan("q"), false),
        (delete("/tenants/b"), false),
        (delete("/tenants-plans/q"), false),
        (delete("/tenants-plans/p"), true),
    ] {
        assert_eq!(is_new(&mut host, &ask), changes, "{ask:?}");
    }
    // Each way to delete a tenant, and the same id again.
    for gone in [delete("/tenants/a"), delete_with_tables("a")] {
        host.expect(204, &gone);
        assert!(is_new(&mut host, &new_tenant("a")));
    }
}

#[test]
fn statistics_change_the_tag_and_leave_the_revision() {
    let mut host = filled();
    let revision = |tag: &str| parts(tag).0;
    let never = etag(&mut host, "/tenants/a");
    assert_eq!(parts(&never).1, "1");
    host.expect(201, &install("a"));
    count_statistics(&mut host);
    let counted = etag(&mut host, "/tenants/a");
    // A second count in the same second finds another user.
    host.sql(
        "INSERT INTO chv_a_users (username, email, password_hash, is_admin, is_manager, created_at) VALUES ('u', 'u', '', 0, 0, '')",
        &[],
    );
    count_statistics(&mut host);
    let again = etag(&mut host, "/tenants/a");
    host.now += 1;
    count_statistics(&mut host);
    let later = etag(&mut host, "/tenants/a");
    let all = [&never, &counted, &again, &later];
    for (i, tag) in all.iter().enumerate() {
        assert_eq!(revision(tag), revision(&never));
        assert!(!all[..i].contains(tag), "{all:?}");
    }
    let written = host.expect(204, &patch("/tenants/a", r#"{"limits":{"A":1}}"#));
    let tag = etag(&mut host, "/tenants/a");
    assert_eq!(written.header("etag"), Some(&*tag));
    assert_eq!(parts(&tag).1, parts(&later).1);
    assert!(revision(&tag) > revision(&later));
}

/// The write has happened, so it is no failure.
#[test]
fn a_patch_of_a_tenant_whose_statistics_are_corrupt_has_no_etag() {
    let mut host = filled();
    host.sql("UPDATE tenants SET stats = '{}' WHERE id = 'a'", &[]);
    let got = host.expect(204, &patch("/tenants/a", r#"{"limits":{"A":1}}"#));
    assert_eq!(got.header("etag"), None);
}

#[test]
fn a_reseal_leaves_the_tag_and_a_restored_backup_has_another() {
    let mut host = filled();
    host.expect(204, &patch("/tenants/a", r#"{"env":{"A":"hidden"}}"#));
    let before = [
        etag(&mut host, "/tenants/a"),
        etag(&mut host, "/tenants-plans/p"),
    ];
    host.configure(&[
        (
            "CHEVERETO_ENCRYPTION_KEY",
            "//////////////////////////////////////////8=",
        ),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", SECRETS[2].1),
    ]);
    let run = Run::new("cli-1").by(Operator::parse("me@host").unwrap());
    let now = Timestamp::from_unix(host.now).unwrap();
    let task = Reseal::begin(host.api.config().unwrap(), &run, &now, 96_000).unwrap();
    assert_eq!(host.complete(task).resealed, 2);
    let resealed = [
        etag(&mut host, "/tenants/a"),
        etag(&mut host, "/tenants-plans/p"),
    ];
    assert_eq!(resealed, before);
    host.complete(Restored::begin(&run, &now));
    let restored = [
        etag(&mut host, "/tenants/a"),
        etag(&mut host, "/tenants-plans/p"),
    ];
    for tag in restored {
        assert!(!before.contains(&tag), "{tag}");
    }
}

/// A Worker that is older than the columns writes into the views without them.
#[test]
fn the_write_of_an_older_worker_moves_the_revision() {
    let mut host = filled();
    let before = [
        etag(&mut host, "/tenants/a"),
        etag(&mut host, "/tenants-plans/p"),
    ];
    for text in [
        "INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, is_enabled, \
         sets_plan_id, sets_limits, sets_env) VALUES (1, 'r', '2026-08-18 23:16:57', 1, 1, 0, 1, 'A', 0, 0, 0, 0)",
        "INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, sets_description, sets_limits, sets_env) \
         VALUES (1, 'r', '2026-08-18 23:16:57', 1, 1, 'P', 0, 1, 0)",
        "INSERT INTO create_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled) \
         VALUES (1, 'r', '2026-08-18 23:16:57', 1, 0, 0, 1, 'c', 'c', 1)",
    ] {
        host.sql(text, &[]);
    }
    let tenant = etag(&mut host, "/tenants/a");
    let plan = etag(&mut host, "/tenants-plans/p");
    let created = etag(&mut host, "/tenants/c");
    assert!(parts(&tenant).0 > parts(&before[0]).0);
    assert!(parts(&plan).0 > parts(&tenant).0);
    assert!(parts(&created).0 > parts(&plan).0);
}

/// If this fails, an answer has changed its form: raise `FORM` in `wire/conditional.rs`, since a caller with an old tag would get a 304 for an
/// answer that it has not seen. Then write the new members here.
#[test]
fn the_tags_stand_for_these_members() {
    let mut host = filled();
    assert_eq!(parts(&etag(&mut host, "/tenants/a")).1, "1");
    let members = |json: serde_json::Value| -> String {
        let names: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        names.join(" ")
    };
    for (ask, expected) in [
        (
            get("/tenants/a"),
            "cell_id created_at delete_at deletion_protection env external_id holds hostname id is_enabled labels last_job_at limits plan_id served site stats suspend_at updated_at",
        ),
        (
            get("/tenants/a").legacy(),
            "created_at env hostname is_enabled last_job_at limits plan_id stats tenant_id updated_at",
        ),
        (
            get("/tenants-plans/p"),
            "created_at env external_id id labels limits updated_at",
        ),
        (
            get("/tenants-plans/p").legacy(),
            "created_at description env limits name plan_id updated_at",
        ),
    ] {
        assert_eq!(members(host.json(200, &ask)), expected);
    }
}

/// A row that no write has touched since the column is there.
#[test]
fn a_row_without_a_revision_has_a_tag_until_its_first_write() {
    let mut host = filled();
    host.sql(
        "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('old', 'old', 1, '', '')",
        &[],
    );
    let before = etag(&mut host, "/tenants/old");
    assert_eq!(parts(&before).0, 0);
    let got = host.expect(304, &get("/tenants/old").if_none_match(&*before));
    assert_eq!(got.header("etag"), Some(&*before));
    host.expect(204, &patch("/tenants/old", r#"{"is_enabled":false}"#));
    host.expect(200, &get("/tenants/old").if_none_match(before));
}

#[test]
fn a_read_with_the_current_tag_is_a_304_without_a_body() {
    let mut host = filled();
    host.expect(201, &install("a"));
    count_statistics(&mut host);
    for path in ["/tenants/a", "/tenants/b", "/tenants-plans/p"] {
        let tag = etag(&mut host, path);
        let weak = format!("W/{tag}");
        let list = format!("\"x\",, {tag} , W/\"y\"");
        for known in ["*", &tag, &weak, &list] {
            for ask in [
                get(path),
                head(path),
                get(path).legacy(),
                get(&path
                    .to_uppercase()
                    .replace("TENANTS-PLANS", "tenants-plans")
                    .replace("TENANTS", "tenants")),
            ] {
                let got = host.expect(304, &ask.if_none_match(known));
                assert_eq!(got.header("etag"), Some(&*tag));
                assert_eq!(got.header("content-type"), None);
            }
        }
        let bare = tag.trim_matches('"');
        for other in [
            "\"x\"".to_owned(),
            format!("\"{}\"", bare.split_once('-').unwrap().0),
            format!("\"{bare}0\""),
            format!("\"{}\"", bare.replacen('.', ".0", 1)),
            format!("\"{}\"", bare.to_uppercase()),
        ] {
            assert_eq!(
                host.expect(200, &get(path).if_none_match(other))
                    .header("etag"),
                Some(&*tag)
            );
        }
        for bad in ["", ",", bare, "\"a b\"", "\"", "*, *", "\"a\" \"b\""] {
            let got = host.refuse(400, &get(path).if_none_match(bad));
            assert_eq!(got.json()["code"], "malformed_header");
            assert_eq!(
                got.json()["detail"],
                r#"expected If-None-Match to be `*` or a list of entity tags, such as `"a", "b"`"#
            );
        }
    }
    // The key and the resource come first.
    for path in [
        "/tenants/nobody",
        "/tenants/_",
        "/tenants-plans/nobody",
        "/tenants-plans/_",
    ] {
        host.expect(404, &get(path).if_none_match("*"));
    }
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &get("/tenants/a").if_none_match("*"));
    host.refuse(401, &get("/tenants/a").if_none_match("a").no_signature());
}

/// These have no tag, so nothing is compared and nothing can be malformed.
#[test]
fn if_none_match_is_ignored_on_a_route_without_an_etag() {
    let mut host = filled();
    for tag in ["*", "x"] {
        host.expect(200, &get("/tenants").if_none_match(tag));
        host.expect(200, &get("/tenants-plans").if_none_match(tag));
        host.expect(200, &get("/tenants/a/settings").if_none_match(tag));
    }
}
