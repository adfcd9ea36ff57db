//! `If-Match` (contract §12): a write happens only if the resource has the revision that the caller knows.

use crate::ask::{
    Ask, delete, delete_with_tables, get, head, install, new_plan, new_tenant, new_tenant_on, patch,
};
use crate::cells::host_with_cells;
use crate::cells_jobs::drive;
use crate::described;
use crate::failures::filled;
use crate::filled::host_with_tables;
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::scopes::{asked_by_keys, example};

const REPRESENTATION: &str = "return=representation";

fn assert_failed(got: &Got) {
    assert_eq!(got.status, 412, "{got:?}");
    assert_eq!(got.json()["code"], "precondition_failed");
}

/// Every write of a tenant or a plan, its success, and the resource. `a` and `p` are there.
fn writes() -> Vec<(Ask, u16, &'static str)> {
    vec![
        (
            patch("/tenants/A", r#"{"is_enabled":false}"#),
            204,
            "/tenants/a",
        ),
        (
            patch("/tenants/a", r#"{"env":null}"#).prefer(REPRESENTATION),
            200,
            "/tenants/a",
        ),
        (
            patch("/tenants/a", r#"{"is_enabled":0}"#).legacy(),
            204,
            "/tenants/a",
        ),
        (delete("/tenants/A"), 204, "/tenants/a"),
        (delete("/tenants/a").legacy(), 204, "/tenants/a"),
        (delete_with_tables("A"), 204, "/tenants/a"),
        (
            patch("/tenants-plans/P", r#"{"env":null}"#),
            204,
            "/tenants-plans/p",
        ),
        (
            patch("/tenants-plans/p", r#"{"name":"N"}"#).legacy(),
            204,
            "/tenants-plans/p",
        ),
        (delete("/tenants-plans/P"), 204, "/tenants-plans/p"),
        (delete("/tenants-plans/p").legacy(), 204, "/tenants-plans/p"),
    ]
}

fn host() -> Host {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    host.expect(204, &patch("/tenants/a", r#"{"plan_id":"p"}"#));
    host
}

fn etag(host: &mut Host, path: &str) -> String {
    let got = host.expect(200, &get(path));
    got.header("etag").unwrap().to_owned()
}

/// Sends a write whose batch may fail on the way: DELETE with `drop_tables` looks for the reason then.
fn sent(host: &mut Host, ask: &Ask) -> Got {
    let before = host.dump();
    let got = host.ask(ask);
    if got.status >= 400 {
        assert_eq!(host.dump(), before, "{ask:?}");
    }
    got
}

/// Sends a request to its end, on a host that does not wait.
fn send(host: &mut Host, ask: &Ask) -> Got {
    drive(host, ask, |_, _| false)
}

#[test]
fn a_write_happens_only_if_one_of_the_tags_has_the_present_revision() {
    for (write, success, path) in writes() {
        let tag = etag(&mut host(), path);
        let bare = tag.trim_matches('"');
        let (revision, form) = bare.split_once('-').unwrap();
        for header in [
            tag.clone(),
            "*".into(),
            format!("\"x\", {tag} , W/\"y\""),
            // The statistics are not compared, nor is the form of the answer.
            format!("\"{revision}-0.0123456789abcdef\""),
            format!("\"{revision}-\""),
        ] {
            let got = sent(&mut host(), &write.clone().if_match(&header));
            assert_eq!(got.status, success, "{header} {write:?}");
        }
        let mut host = host();
        for header in [
            format!("W/{tag}"),
            format!("\"{revision}\""),
            format!("\"{revision}0-{form}\""),
            format!("\"0000000000000000.{form}\""),
            format!("\"{}\"", bare.to_uppercase()),
            "\"\", \"*\"".into(),
        ] {
            assert_failed(&sent(&mut host, &write.clone().if_match(header)));
        }
        let got = sent(&mut host, &write.if_match(tag));
        assert_eq!(got.status, success);
    }
}

#[test]
fn the_tag_of_every_answer_is_good_for_the_next_write() {
    let mut host = host();
    let created = host.expect(201, &new_tenant("b"));
    let change = patch("/tenants/b", r#"{"is_enabled":false}"#);
    let mut tag = created.header("etag").unwrap().to_owned();
    for ask in [change.clone(), change.prefer(REPRESENTATION)] {
        let got = host.ask(&ask.clone().if_match(&tag));
        assert!(got.status < 300, "{got:?}");
        // A second writer with the same tag is late.
        assert_failed(&host.ask(&ask.if_match(&tag)));
        got.header("etag").unwrap().clone_into(&mut tag);
    }
    // An installation is no write of the tenant's own answer.
    host.expect(201, &install("b"));
    host.expect(204, &delete("/tenants/b").if_match(tag));
}

/// Both exchanges begin before either runs its batch, so a comparison before the batch would let both write.
#[test]
fn of_two_writers_with_the_same_tag_one_is_refused() {
    for (write, success, path) in writes() {
        let mut host = host();
        let ask = write.if_match(etag(&mut host, path));
        let (one, other) = (host.exchange(&ask), host.exchange(&ask));
        let first = host.finish_with(&ask, one, |host, batch| host.run(batch));
        assert_eq!(first.status, success, "{ask:?}");
        let second = host.finish_with(&ask, other, |host, batch| host.run(batch));
        let expected = if ask.method == "DELETE" { 404 } else { 412 };
        assert_eq!(second.status, expected, "{ask:?}: {second:?}");
    }
}

#[test]
fn the_caller_the_replay_and_the_resource_come_first_and_the_body_s_conflicts_last() {
    let mut host = filled();
    let stale = "\"fedcba9876543210.0-1\"";
    for ask in [
        patch("/tenants/nobody", r#"{"is_enabled":true}"#),
        patch("/tenants/_", r#"{"is_enabled":true}"#),
        delete("/tenants/nobody"),
        delete_with_tables("nobody"),
        patch("/tenants-plans/nobody", r#"{"limits":null}"#),
        delete("/tenants-plans/nobody"),
        get("/tenants/nobody"),
    ] {
        for tag in [stale, "*"] {
            assert_eq!(sent(&mut host, &ask.clone().if_match(tag)).status, 404);
        }
    }
    for body in [
        r#"{"plan_id":"nope"}"#,
        r#"{"cell_id":"nope"}"#,
        r#"{"hostname":"not-yet.example.com"}"#,
    ] {
        assert_failed(&host.ask(&patch("/tenants/a", body).if_match(stale)));
        let got = host.ask(&patch("/tenants/a", body).if_match("*"));
        assert!(matches!(got.status, 409 | 422), "{got:?}");
    }

    // The first answer again, although the tag is an old one by then.
    for (change, path) in [
        (patch("/tenants/a", r#"{"labels":{"l":"1"}}"#), "/tenants/a"),
        (
            patch("/tenants-plans/p", r#"{"external_id":"e"}"#),
            "/tenants-plans/p",
        ),
        (delete_with_tables("not-yet"), "/tenants/not-yet"),
        (delete("/tenants-plans/r"), "/tenants-plans/r"),
    ] {
        let tag = etag(&mut host, path);
        let ask = change.idempotency_key(path).if_match(tag);
        assert_failed(&sent(&mut host, &ask.clone().if_match(stale)));
        let first = host.ask(&ask);
        assert!(first.status < 300, "{first:?}");
        let again = sent(&mut host, &ask);
        assert_eq!(again.status, first.status, "{again:?}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }

    let change = patch("/tenants/a", r#"{"is_enabled":false}"#).if_match(stale);
    host.refuse(401, &change.clone().no_signature());
    host.refuse(422, &patch("/tenants/a", "{}").if_match(stale));
    host.sql("UPDATE api_keys SET permits = 0", &[]);
    host.expect(403, &change);
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &change);
}

#[test]
fn a_malformed_header_is_refused_before_the_database() {
    let mut host = host();
    for (write, ..) in writes() {
        for header in ["", ",", "x", "\"a b\"", "\"", "*, *", "\"a\" \"b\""] {
            let got = host.refuse(400, &write.clone().if_match(header));
            assert_eq!(got.json()["code"], "malformed_header");
            let detail =
                r#"expected If-Match to be `*` or a list of entity tags, such as `"a", "b"`"#;
            assert_eq!(got.json()["detail"], detail);
        }
        host.refuse(401, &write.if_match("x").no_signature());
    }
    host.refuse(400, &get("/tenants").if_match("x"));
    host.refuse(400, &Ask::new("GET", "/_/health").if_match("x"));
}

#[test]
fn a_read_with_another_tag_is_a_412() {
    let mut host = host();
    for path in ["/tenants/a", "/tenants-plans/p"] {
        let tag = etag(&mut host, path);
        for read in [get(path), head(path), get(path).legacy()] {
            host.expect(200, &read.clone().if_match(&tag));
            host.expect(200, &read.clone().if_match("*"));
            host.expect(304, &read.clone().if_match(&tag).if_none_match(&tag));
            for other in ["\"x-1\"".to_owned(), format!("W/{tag}")] {
                let got = host.expect(412, &read.clone().if_match(&other).if_none_match(&tag));
                if read.method == "GET" {
                    assert_failed(&got);
                }
            }
        }
    }
    // The whole tag of a response without a revision.
    let description = Ask::new("GET", "/_/api/4/openapi.json");
    let tag = host.refuse(200, &description);
    let tag = tag.header("etag").unwrap();
    host.refuse(200, &description.clone().if_match(tag));
    assert_failed(&host.refuse(412, &description.if_match(format!("W/{tag}"))));
}

/// The routes for keys that refuse a malformed one are those whose description has the header.
#[test]
fn the_description_names_if_none_match_where_it_is_read() {
    for route in asked_by_keys().filter(|route| route.scopes.is_some()) {
        let mut host = host_with_tables();
        let got = send(&mut host, &example(&route).if_none_match("x"));
        // A poll gets the configuration, whatever it sends.
        let refuses = route.path.ends_with("/config/traefik")
            || got.status == 400 && got.json()["code"] == "malformed_header";
        assert_eq!(
            refuses,
            described::reads(&route, "If-None-Match"),
            "{route:?}: {got:?}"
        );
    }
}

/// Each route of the table with a tag that nothing has, and those without an `ETag` with `*`. Visitors of a held tenant get its page whatever
/// they send (`held.rs`).
#[test]
fn no_route_ignores_it() {
    for route in asked_by_keys().filter(|route| route.path != "/_/held/{id}") {
        let ask = match route.path.as_str() {
            "/_/health" | "/_/api/4/openapi.json" => Ask::new("GET", &*route.path),
            _ => example(&route),
        };
        let has_etag = described::reads(&route, "If-Match");
        let is_known = route.path.ends_with("/tenants/{id}")
            || route.path.ends_with("/tenants-plans/{id}")
            || route.path.contains("/holds/")
            || route.path.contains("/hostnames") && !route.path.ends_with("/verify")
            || ["openapi.json", "traefik", "/cells/{id}/tenants"]
                .iter()
                .any(|end| route.path.ends_with(end));
        assert_eq!(has_etag, is_known, "{route:?}");
        let tags = if has_etag {
            &["\"x-1\""][..]
        } else {
            &["\"x-1\"", "*"]
        };
        for tag in tags {
            let mut host = host_with_tables();
            let before = host.dump();
            let ask = ask.clone().if_match(*tag);
            assert_failed(&send(&mut host, &ask));
            assert_eq!(host.dump(), before, "{ask:?}");
        }
    }
}

/// The comparison is a part of the transaction that gives the tables to the cell, too.
#[test]
fn a_cell_drops_the_tables_of_a_tenant_with_the_right_revision_alone() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let tag = etag(&mut host, "/tenants/a");
    let before = host.dump();
    let other = delete_with_tables("a").if_match("\"fedcba9876543210.0-1\"");
    assert_failed(&send(&mut host, &other));
    assert_eq!(host.dump(), before);

    // The tenant changes between the look and the deletion.
    let ask = delete_with_tables("a").if_match(&tag);
    let failed = host.first(&ask);
    let refused = host.run(failed.batch());
    assert!(refused.is_err());
    let look = host.ask_why(&ask, failed, "constraint");
    let rows = host.run(look.batch()).unwrap();
    let drop = host.second(&ask, look, rows);
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    let before = host.dump();
    let rows = host.run(drop.batch());
    assert_failed(&host.finish(&ask, drop, rows));
    assert_eq!(host.dump(), before);

    let tag = etag(&mut host, "/tenants/a");
    assert_eq!(
        send(&mut host, &delete_with_tables("a").if_match(tag)).status,
        202
    );
}
