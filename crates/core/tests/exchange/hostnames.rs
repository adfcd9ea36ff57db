//! `/tenants/{id}/hostnames` (contract §18): the hostnames that a tenant has besides its own.

use serde_json::{Value as Json, json};
use tenants_core::sql::Value;

use crate::ask::{Ask, delete, get, new_tenant, new_tenant_on, patch, post, put};
use crate::cells::host_with_cells;
use crate::host::{Host, WaitsForBatch as _};
use crate::statements::{developers_poll, poll_of_cell};

const ALIAS: &str = r#"{"kind":"alias"}"#;
const REDIRECT: &str = r#"{"kind":"redirect"}"#;

/// Gives the tenant `on-eu` an alias.
pub(crate) fn add_hostname(host: &mut Host) {
    host.expect(201, &add("on-eu", "alias.example", ALIAS));
}

/// A request of each route of hostnames that succeeds on `host_with_tables`, those of a cell's routing, and the walks of their plans.
pub(crate) fn requests_of_hostnames() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    vec![
        (
            "GET /tenants/{id}/hostnames",
            get("/tenants/on-eu/hostnames"),
            &[],
        ),
        (
            "PUT /tenants/{id}/hostnames/{hostname}",
            add("a", "new.example", ALIAS),
            &[],
        ),
        (
            "DELETE /tenants/{id}/hostnames/{hostname}, with an Idempotency-Key",
            take("on-eu", "alias.example").idempotency_key("k-10"),
            &[],
        ),
        (
            "GET /config/traefik by a developer",
            developers_poll(),
            &[
                "SCAN chunk LEFT-JOIN",
                "SCAN cells",
                "SCAN t USING INDEX tenants_held",
                "SCAN f USING INDEX tenant_hostnames_taken",
                "USE TEMP B-TREE FOR GROUP BY",
            ],
        ),
        (
            "GET /config/traefik?cell=",
            poll_of_cell(),
            // The tenants with holds, and the hostnames besides the tenants' own, of which there are few.
            &[
                "SCAN t USING INDEX tenants_held",
                "SCAN f USING INDEX tenant_hostnames_taken",
                "USE TEMP B-TREE FOR GROUP BY",
            ],
        ),
        (
            "GET /config/traefik?cell= by a developer",
            get("/config/traefik?cell=eu")
                .no_key()
                .no_signature()
                .from("::1"),
            &[
                "SCAN t USING INDEX tenants_held",
                "SCAN f USING INDEX tenant_hostnames_taken",
                "USE TEMP B-TREE FOR GROUP BY",
            ],
        ),
        (
            "GET /config/traefik?cell= with If-None-Match: *",
            poll_of_cell().if_none_match("*"),
            &[],
        ),
    ]
}

fn add(id: &str, hostname: &str, body: &str) -> Ask {
    put(&format!("/tenants/{id}/hostnames/{hostname}"), body)
}

fn take(id: &str, hostname: &str) -> Ask {
    delete(&format!("/tenants/{id}/hostnames/{hostname}"))
}

fn host() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_tenant("b"));
    host
}

/// The hostnames of the tenant `a` and their kinds.
fn names(host: &mut Host) -> Json {
    let list = host.json(200, &get("/tenants/a/hostnames"));
    let pair = |one: &Json| json!([one["hostname"], one["kind"]]);
    list.as_array().unwrap().iter().map(pair).collect()
}

/// Who has a hostname, by the 409 of a request that wants it.
fn holder(host: &mut Host, ask: &Ask) -> String {
    let got = host.expect(409, ask);
    let error = &got.json()["errors"][0];
    assert_eq!(error["pointer"], "/hostname");
    error["holder"].as_str().unwrap().to_owned()
}

#[test]
fn a_tenant_has_further_hostnames_until_they_are_taken_from_it() {
    let mut host = host();
    let list = host.expect(200, &get("/tenants/a/hostnames"));
    assert_eq!(list.body, "[]");
    host.now += 1;
    let got = host.expect(201, &add("A", "Www.A.example", REDIRECT));
    let (first, second) = ("2026-08-18 23:16:58", "2026-08-18 23:16:59");
    let expected = json!({"hostname": "www.a.example", "kind": "redirect", "created_at": first, "updated_at": first, "claimed_until": null, "proof": null, "proof_missing_since": null});
    assert_eq!(got.json(), expected);
    let after = host.expect(200, &get("/tenants/a/hostnames"));
    assert_eq!(after.json(), json!([expected]));
    assert_eq!(got.header("etag"), after.header("etag"));
    assert_ne!(list.header("etag"), after.header("etag"));
    let tag = after.header("etag").unwrap();
    host.expect(304, &get("/tenants/A/hostnames").if_none_match(tag));
    let tenant = host.json(200, &get("/tenants/a"));
    assert_eq!(tenant["updated_at"], first);

    host.now += 1;
    let got = host.expect(200, &add("a", "www.a.example", ALIAS));
    let expected = json!({"hostname": "www.a.example", "kind": "alias", "created_at": first, "updated_at": second, "claimed_until": null, "proof": null, "proof_missing_since": null});
    assert_eq!(got.json(), expected);
    host.expect(201, &add("a", "a.a.example", ALIAS));
    assert_eq!(
        names(&mut host),
        json!([["a.a.example", "alias"], ["www.a.example", "alias"]])
    );
    let got = host.expect(204, &take("a", "WWW.a.example"));
    let after = host.expect(200, &get("/tenants/a/hostnames"));
    assert_eq!(got.header("etag"), after.header("etag"));
    assert_eq!(names(&mut host), json!([["a.a.example", "alias"]]));
    assert_eq!(
        host.sql(
            "SELECT action || ' ' || detail || ' ' || changed || ' ' || subject || ' ' || key_id FROM audit_log WHERE action = 'tenant.update' ORDER BY id",
            &[]
        ),
        [
            "tenant.update hostname_added hostnames a 1",
            "tenant.update hostname_changed hostnames a 1",
            "tenant.update hostname_added hostnames a 1",
            "tenant.update hostname_deleted hostnames a 1",
        ]
        .map(|text| vec![Value::from(text)])
    );
    let events = host.json(200, &get("/events?type=tenant.updated"));
    let last = &events.as_array().unwrap()[3];
    assert_eq!(last["data"]["changed"], json!(["hostnames"]));
    let tenant = host.expect(200, &get("/tenants/a"));
    let revision = last["data"]["revision"].as_str().unwrap();
    assert!(tenant.header("etag").unwrap().contains(revision));
}

#[test]
fn bad_input_is_refused_and_named() {
    let mut host = Host::with(&[
        ("CHEVERETO_INTERNAL_HOSTNAME", "root.example"),
        ("TENANTS_RESERVED_HOSTNAMES", "*.internal.example"),
    ]);
    host.expect(201, &new_tenant("a"));
    for (hostname, body, pointer) in [
        ("b.example", "{}", "/kind"),
        ("b.example", r#"{"kind":"Alias"}"#, "/kind"),
        ("b.example", r#"{"kind":null}"#, "/kind"),
        ("b.example", r#"{"kind":"alias","x":1}"#, "/x"),
        ("b..example", ALIAS, "/hostname"),
        ("b.example:80", ALIAS, "/hostname"),
        ("%62.example", ALIAS, "/hostname"),
        ("127.1", ALIAS, "/hostname"),
        ("ROOT.example", ALIAS, "/hostname"),
        ("b.internal.example", REDIRECT, "/hostname"),
    ] {
        let got = host.refuse(422, &add("a", hostname, body));
        assert_eq!(got.json()["errors"][0]["pointer"], pointer, "{hostname}");
    }
    host.expect(404, &get("/tenants/gone/hostnames"));
    host.expect(404, &get("/tenants/_/hostnames"));
    host.expect(404, &add("gone", "b.example", ALIAS));
    host.expect(404, &add("_", "b.example", ALIAS));
    host.expect(404, &take("gone", "b.example"));
    for hostname in ["b.example", "b..example", "a.example.com", "root.example"] {
        let got = host.expect(404, &take("a", hostname));
        assert_eq!(got.json()["detail"], "there is no such hostname");
    }
}

#[test]
fn a_hostname_is_unique_among_all_hostnames() {
    let mut host = host();
    host.expect(201, &add("b", "www.b.example", ALIAS));
    let own = "a.example.com";
    // Another's own, its own, and another's further one.
    assert_eq!(holder(&mut host, &add("a", "b.example.com", ALIAS)), "b");
    assert_eq!(holder(&mut host, &add("a", own, REDIRECT)), "a");
    assert_eq!(holder(&mut host, &add("a", "WWW.b.example", ALIAS)), "b");

    let new = |hostname: &str| format!(r#"{{"id":"c","hostname":"{hostname}","is_enabled":true}}"#);
    let body = |hostname: &str| format!(r#"{{"hostname":"{hostname}","is_enabled":true}}"#);
    for hostname in ["www.b.example", "WWW.B.example"] {
        for ask in [
            post("/tenants", new(hostname)),
            put("/tenants/c", body(hostname)),
            put("/tenants/a", body(hostname)),
            patch("/tenants/a", body(hostname)),
        ] {
            assert_eq!(holder(&mut host, &ask), "b", "{ask:?}");
            let got = host.expect(409, &ask.tried());
            assert_eq!(got.json()["code"], "conflict");
        }
    }
    // Who is taken a hostname leaves it to others.
    host.expect(204, &take("b", "www.b.example"));
    host.expect(201, &post("/tenants", new("www.b.example")));
    host.expect(204, &delete("/tenants/c"));
    host.expect(201, &add("a", "www.b.example", ALIAS));
    host.expect(204, &delete("/tenants/a"));
    assert_eq!(
        host.one("SELECT count(*) FROM tenant_hostnames"),
        Value::Integer(0)
    );
    host.expect(201, &add("b", "www.b.example", ALIAS));
}

/// The statements of both look into both tables, whichever runs first.
#[test]
fn of_two_that_want_a_hostname_at_the_same_time_one_gets_it() {
    let alias = add("a", "n.example", ALIAS);
    for (other, status) in [
        (patch("/tenants/b", r#"{"hostname":"n.example"}"#), 204),
        (
            post(
                "/tenants",
                r#"{"id":"c","hostname":"n.example","is_enabled":true}"#,
            ),
            201,
        ),
        (add("b", "n.example", REDIRECT), 201),
    ] {
        for alias_first in [true, false] {
            let mut host = host();
            let (first, second) = if alias_first {
                ((&alias, 201), &other)
            } else {
                ((&other, status), &alias)
            };
            // Both were judged before one of them ran.
            let late = host.exchange(second);
            host.expect(first.1, first.0);
            let rows = host.run(late.batch());
            let got = host.finish(second, late, rows);
            assert_eq!(got.status, 409, "{second:?}: {got:?}");
        }
    }
}

#[test]
fn the_legacy_dialect_cannot_take_one_either() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_tenant("b"));
    host.expect(201, &add("b", "www.b.example", ALIAS));
    let new = r#"{"tenant_id":"c","hostname":"www.b.example","is_enabled":1}"#;
    host.expect(409, &post("/tenants", new).legacy());
    host.expect(201, &new_tenant("a"));
    let edit = patch("/tenants/a", r#"{"hostname":"www.b.example"}"#);
    host.expect(409, &edit.legacy());
    host.expect(404, &get("/tenants/b/hostnames").legacy());
}

/// A Worker of the release before the table does not look into it.
#[test]
fn an_earlier_worker_cannot_give_one_away() {
    let mut host = host();
    host.expect(201, &add("b", "www.b.example", ALIAS));
    let create = "INSERT INTO create_tenant (key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, request_id, now) \
                  VALUES (1, 0, 0, 1, 'c', ?1, 1, 'r', 'now')";
    let edit = "INSERT INTO edit_tenant (key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, request_id, now) \
                VALUES (1, 1, 0, 1, 'a', ?1, 'r', 'now')";
    for text in [create, edit] {
        let before = host.dump();
        let failed = host.db.execute(text, ["www.b.example"]);
        assert!(failed.is_err(), "{failed:?}");
        assert_eq!(host.dump(), before);
        host.sql(text, &[format!("{}.example", text.len()).as_str().into()]);
    }
}

#[test]
fn a_tenant_may_make_a_further_hostname_its_own() {
    let mut host = host();
    host.expect(201, &add("a", "www.a.example", ALIAS));
    host.expect(204, &patch("/tenants/a", r#"{"hostname":"www.a.example"}"#));
    assert_eq!(names(&mut host), json!([]));
    // The one before is free.
    host.expect(201, &add("a", "a.example.com", REDIRECT));
    let same = r#"{"hostname":"a.example.com","is_enabled":true}"#;
    host.expect(200, &put("/tenants/a", same));
    assert_eq!(names(&mut host), json!([]));
}

#[test]
fn a_put_that_changes_nothing_writes_nothing() {
    let mut host = host();
    let first = host.expect(201, &add("a", "www.a.example", ALIAS));
    let before = host.dump();
    host.now += 1;
    let again = host.expect(200, &add("a", "www.a.example", r#"{ "kind" : "alias" }"#));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(host.dump(), before);

    // It is remembered all the same.
    let keyed = add("a", "www.a.example", ALIAS).idempotency_key("k-1");
    let first = host.expect(200, &keyed);
    host.expect(204, &take("a", "www.a.example"));
    let before = host.dump();
    let again = host.expect(200, &keyed);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((first.body, first.status), (again.body, again.status));
    assert_eq!(host.dump(), before);
    let keyed = add("a", "www.a.example", ALIAS).idempotency_key("k-2");
    let first = host.expect(201, &keyed);
    host.now += 1;
    let again = host.expect(201, &keyed);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("etag"), again.header("etag"));
}

#[test]
fn a_wrong_revision_changes_no_hostname() {
    let mut host = host();
    let tag = host.expect(200, &get("/tenants/a"));
    let tag = tag.header("etag").unwrap().to_owned();
    host.expect(201, &add("a", "www.a.example", ALIAS).if_match(&tag));
    let before = host.dump();
    for ask in [
        add("a", "www.a.example", ALIAS),
        add("a", "new.example", ALIAS),
        take("a", "www.a.example"),
    ] {
        let got = host.expect(412, &ask.if_match(&tag));
        assert_eq!(got.json()["code"], "precondition_failed");
    }
    assert_eq!(host.dump(), before);
    let list = host.expect(200, &get("/tenants/a/hostnames"));
    let tag = list.header("etag").unwrap();
    host.expect(204, &take("a", "www.a.example").if_match(tag));
}

#[test]
fn a_tenant_has_a_hundred_at_the_most() {
    let mut host = host();
    for n in 0..100 {
        host.expect(201, &add("a", &format!("n{n}.example"), ALIAS));
    }
    let got = host.expect(422, &add("a", "one-more.example", ALIAS));
    assert_eq!(
        got.json()["errors"][0]["detail"],
        "expected at most 100 hostnames besides the tenant's own"
    );
    host.expect(200, &add("a", "n7.example", REDIRECT));
    host.expect(201, &add("b", "one-more.example", ALIAS));
    host.expect(204, &take("a", "n8.example"));
    host.expect(201, &add("a", "n8.example", ALIAS));
}

#[test]
fn a_filter_by_hostname_finds_the_tenant_of_a_further_one() {
    let mut host = host();
    host.expect(201, &add("b", "www.b.example", REDIRECT));
    for (hostname, ids) in [
        ("www.b.example", json!([{"id": "b"}])),
        ("WWW.b.example", json!([{"id": "b"}])),
        ("b.example.com", json!([{"id": "b"}])),
        ("c.example", json!([])),
    ] {
        for more in ["", "&id=a&id=b", "&sort=hostname"] {
            let ask = get(&format!("/tenants?fields=id&hostname={hostname}{more}"));
            assert_eq!(host.json(200, &ask), ids, "{ask:?}");
        }
    }
}

#[test]
fn a_cell_sees_aliases_and_no_redirects() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("a", "eu"));
    let mut last = String::new();
    // All within one second.
    for (ask, status, seen) in [
        (add("a", "n.example", ALIAS), 201, &["n.example"][..]),
        (
            add("a", "b.example", ALIAS),
            201,
            &["b.example", "n.example"],
        ),
        (add("a", "n.example", REDIRECT), 200, &["b.example"]),
        (take("a", "b.example"), 204, &[]),
        (add("a", "n.example", ALIAS), 200, &["n.example"]),
        (patch("/tenants/a", r#"{"hostname":"n.example"}"#), 204, &[]),
    ] {
        host.expect(status, &ask);
        let page = host.json(200, &get(&format!("/cells/eu/tenants{last}")));
        let tenant = &page["tenants"][0];
        let mut all = vec![tenant["hostname"].as_str().unwrap()];
        all.extend(seen);
        assert_eq!(tenant["hostnames"], json!(all), "{ask:?}");
        last = format!("?after={}", page["cursor"].as_str().unwrap());
        let idle = host.json(200, &get(&format!("/cells/eu/tenants{last}")));
        assert_eq!(idle["tenants"], json!([]));
    }
    host.expect(201, &add("a", "b.example", ALIAS));
    host.expect(204, &delete("/tenants/a"));
    let page = host.json(200, &get(&format!("/cells/eu/tenants{last}")));
    assert_eq!(
        (&page["gone"], &page["tenants"]),
        (&json!(["a"]), &json!([]))
    );
}

fn poll(host: &mut Host, query: &str) -> Json {
    let poll = get(&format!("/config/traefik{query}"));
    let got = host.expect(200, &poll.no_key().no_signature().from("::1"));
    serde_json::from_str::<Json>(&got.body).unwrap()["http"].clone()
}

#[test]
fn traefik_routes_aliases_with_the_tenant_and_redirects_to_it() {
    let mut host = Host::with(&[("TENANTS_DEVELOPMENT", "true")]);
    let ask = |host: &mut Host, status, ask: Ask| {
        host.expect(status, &ask.from("::1"));
    };
    for id in ["A", "b"] {
        ask(&mut host, 201, new_tenant(id));
    }
    let plain = poll(&mut host, "");
    for (hostname, kind) in [
        ("z.example", ALIAS),
        ("y.example", REDIRECT),
        ("x.example", REDIRECT),
        ("w.example", ALIAS),
    ] {
        ask(&mut host, 201, add("a", hostname, kind));
    }
    let got = poll(&mut host, "");
    let router = |rule: &str, middlewares: Json| json!({"rule": rule, "service": "php", "entryPoints": ["websecure"], "middlewares": middlewares});
    let redirects = json!(["allow-range", "redirect:A"]);
    let mut expected = plain.clone();
    expected["routers"]["A"] = router(
        "Host(`a.example.com`) || Host(`w.example`) || Host(`z.example`)",
        json!(["allow-range"]),
    );
    expected["routers"]["A:x.example"] = router("Host(`x.example`)", redirects.clone());
    expected["routers"]["A:y.example"] = router("Host(`y.example`)", redirects);
    expected["middlewares"]["redirect:A"] = json!({"redirectRegex": {
        "regex": "^([a-z]+)://[^/:]+(:[0-9]+)?(/.*)?$", "replacement": "${1}://a.example.com${2}${3}", "permanent": true
    }});
    assert_eq!(got, expected);

    // A tenant that is not routed has none of it.
    ask(
        &mut host,
        204,
        patch("/tenants/a", r#"{"is_enabled":false}"#),
    );
    let mut without = plain.clone();
    without["routers"].as_object_mut().unwrap().remove("A");
    assert_eq!(poll(&mut host, ""), without);
    ask(
        &mut host,
        204,
        patch("/tenants/a", r#"{"is_enabled":true}"#),
    );
    assert_eq!(poll(&mut host, ""), expected);
    for hostname in ["z.example", "y.example", "x.example", "w.example"] {
        ask(&mut host, 204, take("a", hostname));
    }
    assert_eq!(poll(&mut host, ""), plain);
}

#[test]
fn the_part_of_a_cell_has_the_hostnames_of_its_tenants() {
    let mut host = Host::with(&[("TENANTS_DEVELOPMENT", "true")]);
    let asks = [
        put("/cells/eu", r#"{"service":{"name":"php-eu","port":9000}}"#),
        new_tenant_on("a", "eu"),
        new_tenant("b"),
        add("a", "x.example", ALIAS),
        add("a", "y.example", REDIRECT),
        add("b", "z.example", ALIAS),
    ];
    for ask in asks {
        host.expect(201, &ask.from("::1"));
    }
    for query in ["", "?cell=eu"] {
        let routers = &poll(&mut host, query)["routers"];
        assert_eq!(
            routers["a"]["rule"],
            "Host(`a.example.com`) || Host(`x.example`)"
        );
        assert_eq!(routers["a:y.example"]["service"], "php-eu");
        assert_eq!(routers["b"].is_null(), query == "?cell=eu");
    }
}

/// More rows than one text has, and hostnames that are the root's by now.
#[test]
fn ten_thousand_hostnames_are_routed() {
    let mut host = Host::with(&[("TENANTS_DEVELOPMENT", "true")]);
    host.expect(201, &new_tenant("t1").from("::1"));
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 6001) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 't' || n, 't' || n, 1, '', '' FROM c",
        &[],
    );
    host.sql(
        "INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at) \
         SELECT id, v.column1 || id || '.example', v.column2, '', '' FROM tenants, (VALUES ('b', 'alias'), ('a', 'redirect')) AS v",
        &[],
    );
    host.sql(
        "INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at) VALUES ('t1', 'localhost', 'alias', '', ''), ('t1', '-x', 'redirect', '', '')",
        &[],
    );
    let poll = get("/config/traefik").no_key().no_signature().from("::1");
    let got = host.expect(200, &poll);
    let body: Json = serde_json::from_str(&got.body).unwrap();
    let routers = body["http"]["routers"].as_object().unwrap();
    assert_eq!(routers.len(), 1 + 2 * 6001);
    for n in 1..=6001 {
        let rule = routers[&format!("t{n}")]["rule"].as_str().unwrap();
        assert!(
            rule.ends_with(&format!(" || Host(`bt{n}.example`)")),
            "{rule}"
        );
    }
    assert_eq!(
        got.cause(),
        "left out of the routing: tenants/t1/hostnames/-x: it is not valid, or the root's own; \
         tenants/t1/hostnames/localhost: it is not valid, or the root's own"
    );
}
