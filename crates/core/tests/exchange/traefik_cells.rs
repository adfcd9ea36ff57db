//! `GET /config/traefik` with cells (contract §15, §16): the service of a cell in the whole configuration, and `?cell=`, the part of one cell.

use serde_json::{Value as Json, json};

use crate::ask::{Ask, delete, get, new_tenant, new_tenant_on, patch, put};
use crate::host::{Got, Host, WaitsForBatch as _};

const ADDRESS: &str = "198.51.100.7";

/// A host with the cell `eu`, which has a service of its own, and the cell `us`, which has none.
fn host() -> Host {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", ADDRESS)]);
    let eu = r#"{"service":{"name":"php-eu","port":9000}}"#;
    host.expect(201, &put("/cells/Eu", eu));
    host.expect(201, &put("/cells/us", "{}"));
    host
}

/// A host whose cells have two tenants each, one of them disabled, and with a tenant without a cell.
fn host_with_tenants() -> Host {
    let mut host = host();
    for (id, cell) in [("b", "eu"), ("c", "us"), ("d", "eu"), ("e", "us")] {
        host.expect(201, &new_tenant_on(id, cell));
    }
    for id in ["a", "f"] {
        host.expect(201, &new_tenant(id));
    }
    for id in ["d", "e", "f"] {
        let off = patch(&format!("/tenants/{id}"), r#"{"is_enabled":false}"#);
        host.expect(204, &off);
    }
    host
}

fn poll(query: &str) -> Ask {
    get(&format!("/config/traefik{query}"))
        .no_signature()
        .from(ADDRESS)
}

/// Keys and what each has, in the order of the body.
type Pairs = Vec<(String, String)>;

/// The service of each router, and the URL of each service.
fn shown(got: &Got) -> (Pairs, Pairs) {
    let body: Json = serde_json::from_str(&got.body).unwrap();
    let pairs = |map: &Json, pointer: &str| {
        let mut all: Vec<(usize, String, String)> = map
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| {
                let at = got.body.find(&format!("\"{key}\":{{\"")).unwrap();
                let text = value.pointer(pointer).unwrap().as_str().unwrap();
                (at, key.clone(), text.to_owned())
            })
            .collect();
        all.sort();
        all.into_iter().map(|(_, key, text)| (key, text)).collect()
    };
    let http = &body["http"];
    (
        pairs(&http["routers"], "/service"),
        pairs(&http["services"], "/loadBalancer/servers/0/url"),
    )
}

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

#[test]
fn the_tenants_of_a_cell_have_its_service_and_are_routed_while_they_are_disabled() {
    let mut host = host_with_tenants();
    let (routers, services) = shown(&host.expect(200, &poll("")));
    assert_eq!(
        routers,
        owned(&[
            ("*", "php"),
            ("a", "php"),
            ("b", "php-eu"),
            ("c", "php"),
            ("d", "php-eu"),
            ("e", "php")
        ])
    );
    assert_eq!(
        services,
        owned(&[("php", "http://php:8080"), ("php-eu", "http://php-eu:9000")])
    );
}

#[test]
fn a_change_of_a_cells_service_is_seen_at_once() {
    let mut host = host_with_tenants();
    for query in ["", "?cell=eu"] {
        let before = host.expect(200, &poll(query));
        let etag = before.header("etag").unwrap().to_owned();
        host.expect(304, &poll(query).if_none_match(&etag));
        host.expect(
            200,
            &put("/cells/eu", r#"{"service":{"name":"php-eu","port":9001}}"#),
        );
        let after = host.expect(200, &poll(query).if_none_match(&etag));
        assert!(after.body.contains("http://php-eu:9001"), "{}", after.body);
        host.expect(200, &put("/cells/eu", r#"{"service":null}"#));
        let none = host.expect(200, &poll(query));
        assert!(!none.body.contains("php-eu"), "{}", none.body);
        host.expect(
            200,
            &put("/cells/eu", r#"{"service":{"name":"php-eu","port":9000}}"#),
        );
        assert_eq!(host.expect(200, &poll(query)).body, before.body);
    }
}

#[test]
fn two_services_of_one_name_have_two_keys() {
    let mut host = host_with_tenants();
    host.expect(
        200,
        &put("/cells/eu", r#"{"service":{"name":"php","port":9000}}"#),
    );
    host.expect(
        200,
        &put("/cells/us", r#"{"service":{"name":"php","port":8080}}"#),
    );
    let (routers, services) = shown(&host.expect(200, &poll("")));
    assert_eq!(routers[2], ("b".into(), "php:9000".into()));
    assert_eq!(routers[3], ("c".into(), "php".into()));
    assert_eq!(
        services,
        owned(&[("php", "http://php:8080"), ("php:9000", "http://php:9000")])
    );
}

#[test]
fn a_cells_part_has_its_tenants_its_service_and_the_root() {
    let mut host = host_with_tenants();
    let (routers, services) = shown(&host.expect(200, &poll("?cell=EU")));
    assert_eq!(
        routers,
        owned(&[("*", "php-eu"), ("b", "php-eu"), ("d", "php-eu")])
    );
    assert_eq!(services, owned(&[("php-eu", "http://php-eu:9000")]));
    let got = host.expect(200, &poll("?cell=us"));
    let (routers, services) = shown(&got);
    assert_eq!(routers, owned(&[("*", "php"), ("c", "php"), ("e", "php")]));
    assert_eq!(services, owned(&[("php", "http://php:8080")]));
    // Around its routers it is the whole configuration of a registry that has these tenants alone.
    let mut other = Host::with(&[("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", ADDRESS)]);
    for id in ["c", "e"] {
        other.expect(201, &new_tenant(id));
    }
    assert_eq!(other.expect(200, &poll("")).body, got.body);
    // A cell without tenants has a configuration that Traefik takes: no empty map.
    host.expect(201, &put("/cells/asia", "{}"));
    let (routers, _) = shown(&host.expect(200, &poll("?cell=asia")));
    assert_eq!(routers, owned(&[("*", "php")]));
}

#[test]
fn a_known_part_of_a_cell_is_a_304_and_the_whole_is_another_one() {
    let mut host = host_with_tenants();
    let etag = |host: &mut Host, query: &str| {
        let got = host.expect(200, &poll(query));
        got.header("etag").unwrap().to_owned()
    };
    let (whole, eu, us) = (
        etag(&mut host, ""),
        etag(&mut host, "?cell=eu"),
        etag(&mut host, "?cell=us"),
    );
    for (query, known, status) in [
        ("?cell=eu", &eu, 304),
        ("?cell=us", &us, 304),
        ("?cell=eu", &us, 200),
        ("?cell=us", &eu, 200),
        ("?cell=us", &whole, 200),
        ("", &eu, 200),
        ("", &us, 200),
        ("", &whole, 304),
    ] {
        let got = host.expect(status, &poll(query).if_none_match(known));
        assert_eq!(got.body.is_empty(), status == 304, "{query} {known}");
    }
    // A 304 reads no tenant.
    let ask = poll("?cell=eu").if_none_match(&eu);
    let exchange = host.exchange(&ask);
    assert_eq!(exchange.batch().statements().len(), 1);
    host.expect(204, &delete("/tenants/b"));
    let got = host.expect(200, &ask);
    assert_eq!(shown(&got).0, owned(&[("*", "php-eu"), ("d", "php-eu")]));
}

#[test]
fn a_part_needs_the_scope_of_its_cell_of_all_cells_or_of_traefik() {
    let mut host = host_with_tenants();
    for (scope, whole, eu, us) in [
        ("traefik", 200, 200, 200),
        ("cells", 403, 200, 200),
        ("cell:eU", 403, 200, 403),
        ("sites", 403, 403, 403),
    ] {
        let key = host.issue_scoped(&[scope]);
        for (query, status) in [("", whole), ("?cell=eu", eu), ("?cell=us", us)] {
            let ask = poll(query).key(&key);
            let got = host.expect(status, &ask);
            if status == 403 {
                assert_eq!(
                    (&got.json()["code"], &got.json()["scope"]),
                    (&json!("insufficient_scope"), &json!(["traefik"])),
                    "{scope} {query}"
                );
            }
            host.expect(
                if status == 403 { 403 } else { 304 },
                &ask.if_none_match("*"),
            );
        }
    }
    let mut unknown = poll("?cell=asia");
    host.expect(404, &unknown);
    host.expect(404, &unknown.clone().if_none_match("*"));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &unknown);
    host.expect(401, &poll("?cell=eu").if_none_match("*"));
    unknown.address = Some("192.0.2.1".into());
    host.refuse(404, &unknown);
}

#[test]
fn other_parameters_are_refused() {
    let mut host = host();
    for (query, named) in [
        ("?cel=eu", "cel"),
        ("?cell=eu&limit=1", "limit"),
        ("?cell=eu&cell=us", "cell"),
        ("?cell=", "cell"),
        ("?cell=-", "cell"),
        ("?cell=%", "cell"),
    ] {
        let got = host.refuse(422, &poll(query));
        assert_eq!(got.named(), [named], "{query}: {}", got.body);
    }
    host.expect(200, &poll("?cell=%65u"));
    host.expect(200, &poll("?"));
    // The address is judged first.
    let mut stranger = poll("?x=1");
    stranger.address = Some("192.0.2.1".into());
    host.refuse(404, &stranger);
}

#[test]
fn a_service_that_somebody_broke_by_hand_takes_only_its_own_tenants_with_it() {
    let mut host = host_with_tenants();
    for (column, value) in [
        ("service_name", "a\"b"),
        ("service_name", "a@file"),
        ("service_name", ""),
        ("service_port", "0"),
        ("service_port", "70000"),
        ("service_port", ""),
    ] {
        host.sql(
            "UPDATE cells SET service_name = 'php-eu', service_port = 9000 WHERE id = 'eu'",
            &[],
        );
        let port = value.parse::<i64>().ok();
        let value = if column == "service_port" {
            port.into()
        } else {
            value.into()
        };
        host.sql(
            &format!("UPDATE cells SET {column} = ?1 WHERE id = 'eu'"),
            &[value],
        );
        // No audit entry tells of it.
        host.now += 60;
        let got = host.expect(200, &poll(""));
        let (routers, services) = shown(&got);
        let ids: Vec<&str> = routers.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["*", "a", "c", "e"], "{column}");
        assert_eq!(services, owned(&[("php", "http://php:8080")]));
        for id in ["tenants/b", "tenants/d"] {
            assert!(got.cause().contains(id), "{}", got.cause());
        }
        assert_eq!(host.expect(200, &poll("?cell=us")).log.cause, None);
        let exchange = host.exchange(&poll("?cell=eu"));
        let rows = host.run(exchange.batch());
        let got = host.finish(&poll("?cell=eu"), exchange, rows);
        assert_eq!(got.status, 500);
    }
}

/// Rows that no write of the API makes must not be taken for the number of a service.
#[test]
fn a_row_with_a_break_or_without_an_id_is_left_out() {
    let mut host = host_with_tenants();
    for (id, hostname) in [("", "1"), ("x\n1", "y"), ("z", "\n1\nz\nz.example.com")] {
        host.sql(
            "INSERT INTO tenants (id, hostname, is_enabled, cell_id, created_at, updated_at) VALUES (?1, ?2, 1, 'eu', '', '')",
            &[id.into(), hostname.into()],
        );
    }
    for (query, ids) in [
        ("", &["*", "a", "b", "c", "d", "e"][..]),
        ("?cell=eu", &["*", "b", "d"]),
    ] {
        let got = host.expect(200, &poll(query));
        let (routers, _) = shown(&got);
        let shown: Vec<&str> = routers.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(shown, ids, "{query}");
        assert_eq!(
            got.cause().matches("tenants/").count(),
            3,
            "{}",
            got.cause()
        );
    }
}

#[test]
fn a_part_of_many_tenants_has_each_once_and_in_order() {
    let mut host = host();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10002) \
         INSERT INTO tenants (id, hostname, is_enabled, cell_id, created_at, updated_at) \
         SELECT printf('t%05d', n), printf('h%d.example.com', n), n % 3 <> 0, iif(n % 2 = 0, 'Eu', 'us'), '', '' FROM c",
        &[],
    );
    for (query, expected) in [("", 10_002), ("?cell=eu", 5_001)] {
        let exchange = host.exchange(&poll(query));
        let rows = host.run(exchange.batch());
        let got = host.finish(&poll(query), exchange, rows);
        let body: Json = serde_json::from_str(&got.body).unwrap();
        assert_eq!(
            body["http"]["routers"].as_object().unwrap().len(),
            expected + 1
        );
        let mut at = 0;
        for n in (1..=10_002).filter(|n| query.is_empty() || n % 2 == 0) {
            let service = if n % 2 == 0 { "php-eu" } else { "php" };
            let router =
                format!(r#""t{n:05}":{{"rule":"Host(`h{n}.example.com`)","service":"{service}""#);
            at += got.body[at..].find(&router).unwrap();
        }
    }
    // Whoever may not read it costs nothing.
    let key = host.issue_scoped(&["cell:us"]);
    let ask = poll("?cell=eu").key(key);
    let exchange = host.exchange(&ask);
    let rows = host.run(exchange.batch()).unwrap();
    assert!(rows[1].is_empty());
    assert_eq!(host.finish(&ask, exchange, Ok(rows)).status, 403);
}
