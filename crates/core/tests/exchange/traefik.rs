//! `GET /config/traefik` (contract §2, §7): its readers, its body, and that one malformed row does not affect the others.

use crate::ask::{Ask, get, head, new_tenant, patch, post};
use crate::host::Host;

const PATH: &str = "/config/traefik";
const SETTINGS: &str =
    r#""service":"php","entryPoints":["websecure"],"middlewares":["allow-range"]"#;

fn local() -> Host {
    Host::with(&[
        ("TENANTS_DEVELOPMENT", "true"),
        ("CHEVERETO_PROXY_IP_ALLOW_LIST", "192.0.2.0/24"),
    ])
}

/// The poll of a Traefik on the developer's own machine: no signature and no key.
fn poll() -> Ask {
    get(PATH).no_key().no_signature().from("127.0.0.1")
}

fn body(routers: &str) -> String {
    format!(
        r#"{{"http":{{"routers":{{"*":{{"rule":"Host(`localhost`)",{SETTINGS}}}{routers}}},"services":{{"php":{{"loadBalancer":{{"servers":[{{"url":"http://php:8080"}}],"passHostHeader":true}}}}}},"middlewares":{{"allow-range":{{"ipAllowList":{{"sourceRange":["192.0.2.0/24"]}}}}}}}}}}"#
    )
}

fn router(id: &str, hostname: &str) -> String {
    format!(r#","{id}":{{"rule":"Host(`{hostname}`)",{SETTINGS}}}"#)
}

#[test]
fn other_addresses_get_a_404() {
    let listed = (
        "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
        "198.51.100.7,2001:db8::/32",
    );
    for (variables, address) in [
        (vec![], Some("127.0.0.1")),
        (vec![], None),
        (vec![("TENANTS_DEVELOPMENT", "false")], Some("::1")),
        (vec![("TENANTS_DEVELOPMENT", "true")], Some("192.0.2.1")),
        (vec![("TENANTS_DEVELOPMENT", "true")], Some("localhost")),
        (vec![("TENANTS_DEVELOPMENT", "true")], None),
        (vec![listed], Some("127.0.0.1")),
        (vec![listed], Some("198.51.100.8")),
    ] {
        let mut host = Host::with(&variables);
        // From elsewhere, the response with a key is the same as without.
        for ask in [get(PATH), get(PATH).no_key()] {
            let mut ask = ask;
            ask.address = address.map(Into::into);
            let got = host.refuse(404, &ask);
            assert_eq!(got.log.client_address, ask.address);
        }
    }
}

#[test]
fn an_address_on_the_allow_list_needs_a_key_and_no_signature() {
    let mut host = Host::with(&[(
        "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
        "198.51.100.7,2001:db8::/32",
    )]);
    for address in ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1"] {
        let ask = get(PATH).no_signature().from(address);
        let got = host.expect(200, &ask);
        assert_eq!(got.log.key_id, Some(host.key_id));
        host.refuse(401, &ask.clone().no_key());
        host.refuse(401, &ask.clone().key("chv_1_x"));
    }
    let (id, key) = host.issue("expired", Some("2026-01-01 00:00:00"));
    let ask = get(PATH).no_signature().from("198.51.100.7").key(key);
    let got = host.expect(401, &ask);
    assert_eq!(got.log.key_id, Some(id));
    host.refuse(401, &ask.if_none_match("*").no_key());
}

#[test]
fn the_allow_list_of_the_api_is_checked_first() {
    let mut host = Host::with(&[
        ("TENANTS_DEVELOPMENT", "true"),
        ("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "192.0.2.1"),
    ]);
    host.refuse(403, &poll());
}

#[test]
fn the_configuration_has_the_root_and_every_enabled_tenant_sorted_by_id() {
    let mut host = local();
    assert_eq!(host.expect(200, &poll()).body, body(""));
    for (id, enabled) in [("b", true), ("C", true), ("a", true), ("off", false)] {
        let fields = format!(r#"{{"id":"{id}","hostname":"{id}.example","is_enabled":{enabled}}}"#);
        host.expect(201, &post("/tenants", fields).from("127.0.0.1"));
    }
    let all = [("a", "a.example"), ("b", "b.example"), ("C", "c.example")]
        .map(|(i, h)| router(i, h))
        .concat();
    let got = host.expect(200, &poll().from("::1"));
    assert_eq!(got.body, body(&all));
    assert_eq!(got.log.route, Some("/config/traefik"));
    let etag = got.header("etag").unwrap().to_owned();
    let got = host.expect(200, &head(PATH).no_key().no_signature().from("::1"));
    assert_eq!(got.header("etag"), Some(etag.as_str()));
}

#[test]
fn a_known_etag_is_a_304_until_the_next_write() {
    let mut host = local();
    host.expect(201, &new_tenant("a"));
    let etag = host.expect(200, &poll()).header("etag").unwrap().to_owned();
    for known in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".into(),
    ] {
        let got = host.expect(304, &poll().if_none_match(known));
        assert_eq!(got.header("etag"), Some(etag.as_str()));
        assert_eq!(got.body, "");
    }
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    let got = host.expect(200, &poll().if_none_match(etag.clone()));
    assert_eq!(got.body, body(""));
    assert_ne!(got.header("etag"), Some(etag.as_str()));
    // Other settings give another body for the same rows, and so another ETag.
    let etag = got.header("etag").unwrap().to_owned();
    host.configure(&[("CHEVERETO_SERVICE_PORT", "81")]);
    host.expect(200, &poll().if_none_match(etag));
}

/// After a restore the ids of the audit log start again from an older one, so the same revision comes twice.
#[test]
fn the_etag_of_another_epoch_is_not_known() {
    let mut host = local();
    host.expect(201, &new_tenant("a"));
    let etag = host.expect(200, &poll()).header("etag").unwrap().to_owned();
    host.sql("UPDATE registry SET epoch = '0123456789abcdef'", &[]);
    let got = host.expect(200, &poll().if_none_match(etag.clone()));
    assert_eq!(got.body, body(&router("a", "a.example.com")));
    let later = got.header("etag").unwrap().to_owned();
    assert!(later.ends_with("-0123456789abcdef-1\""), "{later}");
    assert_ne!(later, etag);
    let both = format!("{etag}, {later}");
    let got = host.expect(304, &poll().if_none_match(both));
    assert_eq!(got.header("etag"), Some(later.as_str()));
}

#[test]
fn a_malformed_row_is_left_out_and_the_log_names_it() {
    let mut host = local();
    for id in ["a", "b", "c", "d", "e", "f"] {
        host.expect(201, &new_tenant(id));
    }
    let b = host.one("SELECT hostname FROM tenants WHERE id = 'b'");
    let b = format!("{b:?}");
    let hostname = b.trim_start_matches("Text(\"").trim_end_matches("\")");
    host.sql(
        "UPDATE tenants SET hostname = 'x`) || Host(`y' WHERE id = 'a'",
        &[],
    );
    host.sql(
        "UPDATE tenants SET hostname = 'localhost' WHERE id = 'c'",
        &[],
    );
    host.sql("UPDATE tenants SET id = 'd@file' WHERE id = 'd'", &[]);
    // An earlier version took these names, which browsers take for IP addresses.
    host.sql("UPDATE tenants SET hostname = '127.1' WHERE id = 'e'", &[]);
    host.sql("UPDATE tenants SET hostname = 'a.0x7f' WHERE id = 'f'", &[]);
    let got = host.expect(200, &poll());
    assert_eq!(got.body, body(&router("b", hostname)));
    for named in [
        "tenants/a/hostname",
        "tenants/c/hostname",
        "tenants/`d@file`",
        "tenants/e/hostname",
        "tenants/f/hostname",
    ] {
        assert!(got.cause().contains(named), "{}", got.cause());
    }
}

#[test]
fn a_hostname_that_differs_only_in_case_gives_no_second_router() {
    let mut host = local();
    host.expect(201, &new_tenant("a"));
    let twice = "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) \
                 SELECT 'z' || id, upper(hostname), 1, created_at, updated_at FROM tenants";
    host.sql(twice, &[]);
    let got = host.expect(200, &poll());
    assert_eq!(
        got.body.matches("Host(").count(),
        2,
        "the root and `a`: {}",
        got.body
    );
    assert!(
        got.cause().contains("tenants/za/hostname"),
        "{}",
        got.cause()
    );
}

#[test]
fn the_log_names_the_first_20_rows_that_were_left_out() {
    let mut host = local();
    let many = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) \
                INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) \
                SELECT 't' || i, 'bad_' || i, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM c";
    host.sql(many, &[]);
    let got = host.expect(200, &poll());
    assert_eq!(got.body, body(""));
    assert!(got.cause().ends_with("; and 980 more"), "{}", got.cause());
    assert!(got.cause().len() < 4096);
}

#[test]
fn a_database_that_fails_is_never_a_200() {
    let mut host = local();
    for known in [None, Some("*")] {
        let mut ask = poll();
        ask.if_none_match = known.map(Into::into);
        for result in [
            Err("gone".to_owned()),
            Ok(vec![vec![]]),
            Ok(vec![]),
            Ok(vec![vec![vec![]]]),
        ] {
            let exchange = host.exchange(&ask);
            let got = host.finish(&ask, exchange, result);
            assert!(got.status >= 401, "{got:?}");
        }
    }
}
