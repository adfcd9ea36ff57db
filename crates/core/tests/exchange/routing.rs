//! Paths, methods, and the order of the checks (contract §2, §4, §10). None of these requests reaches the database.

use crate::ask::{Ask, BASE, delete, delete_with_tables, get, head, patch, post};
use crate::host::{Exhausted, Host, SECRETS, internal_error, not_configured, problem};

#[test]
fn an_unknown_path_is_a_404_for_every_method_and_key() {
    let mut host = Host::new();
    let expected = problem(404, "Not Found", "no route has this path", "not_found", "");
    for path in [
        "",
        "/",
        "/nothing",
        "/Tenants",
        "/tenants/",
        "/tenants//",
        "/tenants/a/",
        "/tenants/a/x",
        "/tenants/a/install/x",
        "/tenants-plans/a/b",
        "/auth",
        "/auth/verify/",
        "/config",
        "/tenants%2Fa",
        "?/tenants",
        "#/tenants",
    ] {
        for method in ["GET", "POST", "PATCH", "DELETE", "PUT", "x"] {
            let ask = Ask::new(method, format!("{BASE}{path}"));
            let got = host.refuse(404, &ask);
            assert_eq!(got.body, expected);
            assert_eq!(got.log.route, None);
            host.refuse(404, &ask.no_key().no_signature());
        }
    }
    for target in ["", "/", "*", "/_/api/5/tenants", "/tenants", "tenants"] {
        assert_eq!(host.refuse(404, &Ask::new("GET", target)).body, expected);
    }
}

#[test]
fn another_method_is_a_405_that_lists_the_allowed_ones() {
    let mut host = Host::new();
    for (path, allow, template) in [
        ("/auth/verify", "POST", "/auth/verify"),
        ("/config/traefik", "GET, HEAD", "/config/traefik"),
        ("/tenants", "GET, HEAD, POST", "/tenants"),
        (
            "/tenants/a",
            "GET, HEAD, PUT, PATCH, DELETE",
            "/tenants/{id}",
        ),
        ("/tenants/a/install", "POST", "/tenants/{id}/install"),
        (
            "/tenants/a/user-password-reset",
            "PATCH",
            "/tenants/{id}/user-password-reset",
        ),
        ("/tenants-plans", "GET, HEAD, POST", "/tenants-plans"),
        (
            "/tenants-plans/a",
            "GET, HEAD, PUT, PATCH, DELETE",
            "/tenants-plans/{id}",
        ),
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "Post",
            "", "GET ",
        ] {
            if allow.split(", ").any(|m| m == method) {
                continue;
            }
            let got = host.refuse(405, &Ask::new(method, format!("{BASE}{path}")).no_key());
            assert_eq!(got.header("allow"), Some(allow), "{method} {path}");
            assert_eq!(got.log.route, Some(template));
            if method != "HEAD" {
                let detail = format!("this path answers {allow}");
                assert_eq!(
                    got.body,
                    problem(405, "Method Not Allowed", &detail, "method_not_allowed", "")
                );
            }
        }
    }
}

#[test]
fn an_address_outside_the_allow_list_is_a_403_before_any_other_check() {
    let mut host = Host::with(&[(
        "CHEVERETO_TENANTS_API_IP_ALLOW_LIST",
        "192.0.2.0/24, 2001:db8::1",
    )]);
    let expected = problem(
        403,
        "Forbidden",
        "this address may not call",
        "forbidden",
        "",
    );
    for ask in [
        get("/tenants"),
        get("/tenants").from("192.0.3.1"),
        get("/tenants").from(""),
        get("/tenants").from("unknown"),
        get("/nothing"),
        Ask::new("PUT", format!("{BASE}/tenants")),
        get("/tenants").no_key(),
        get("/tenants").too_large(),
    ] {
        let got = host.refuse(403, &ask);
        assert_eq!(got.body, expected, "{ask:?}");
        assert_eq!(got.log.client_address, ask.address);
    }
    let long = host.refuse(403, &get("/tenants").from(&"1".repeat(65)));
    assert_eq!(long.log.client_address, Some("1".repeat(64)));
    for address in ["192.0.2.255", "2001:db8:0::1", "::ffff:192.0.2.1"] {
        let got = host.expect(200, &get("/tenants").from(address));
        assert_eq!(got.log.client_address, None);
    }
}

/// The request starts with every fault there is and is corrected step by step. Each response names the first check that fails.
#[test]
fn the_checks_run_in_the_contracts_order() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "192.0.2.1")]);
    let key = host.key.clone();
    let ask = Ask::new("PUT", format!("{BASE}/nothing"))
        .key("x")
        .signature("x")
        .content_type("text/plain")
        .body("x")
        .too_large();
    host.refuse(403, &ask);
    let ask = ask.from("192.0.2.1");
    host.refuse(404, &ask);
    let mut ask = ask;
    ask.target = format!("{BASE}/tenants");
    host.refuse(405, &ask);
    ask.method = "POST".into();
    assert_eq!(host.refuse(401, &ask).cause(), "X-API-Key is malformed");
    let mut ask = ask.key(key);
    host.refuse(413, &ask);
    ask.too_large = false;
    assert_eq!(host.refuse(401, &ask).cause(), "X-Signature is malformed");
    let signed = |host: &Host, ask: &Ask| ask.clone().signature(host.sign(&ask.body));
    let unsigned = ask.clone();
    host.refuse(415, &signed(&host, &unsigned));
    let json = unsigned.content_type("application/json");
    host.refuse(400, &signed(&host, &json));
    let object = json.body("{}");
    host.refuse(422, &signed(&host, &object));
    let right = object.body(r#"{"id":"a","hostname":"a.example.com","is_enabled":true}"#);
    let dead = signed(&host, &right);
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &dead);
    host.sql("UPDATE api_keys SET deleted_at = NULL", &[]);
    host.expect(201, &dead);
    host.expect(409, &dead);
}

#[test]
fn the_body_is_checked_before_the_tenant_is_looked_up() {
    let mut host = Host::new();
    for path in ["/tenants/nobody", "/tenants-plans/nobody", "/tenants/a%20b"] {
        host.refuse(400, &patch(path, ""));
        host.refuse(422, &patch(path, "{}"));
        host.refuse(415, &patch(path, "{}").content_type("text/plain"));
    }
    for path in ["/tenants/nobody", "/tenants/a%20b"] {
        let mut ask = patch(path, r#"{"drop_tables":1}"#);
        ask.method = "DELETE".into();
        host.refuse(422, &ask);
    }
}

#[test]
fn a_request_id_is_the_one_that_the_caller_sent_or_a_new_one() {
    let mut host = Host::new();
    let longest = "x".repeat(64);
    for id in ["a", "A.b_c-1", "-", "..", &longest] {
        let got = host.refuse(404, &get("/nothing").request_id(id));
        assert_eq!(got.log.request_id, id);
    }
    let too_long = "x".repeat(65);
    let mut seen = std::collections::BTreeSet::new();
    for id in ["", "a b", "a/b", "é", "a\r\nSet-Cookie: x", &too_long] {
        let got = host.refuse(404, &get("/nothing").request_id(id));
        assert!(seen.insert(got.log.request_id.clone()), "{got:?}");
        assert_eq!(got.log.request_id.len(), 32);
    }
    let got = host.expect(200, &get("/tenants").no_request_id());
    assert!(seen.insert(got.log.request_id));
}

#[test]
fn a_request_that_needs_randomness_is_a_500_without_it() {
    let mut host = Host::new();
    host.random = Box::new(Exhausted);
    let got = host.refuse(500, &get("/tenants").no_request_id());
    assert_eq!(got.cause(), "the host has no randomness");
    assert_eq!(got.log.request_id, "unavailable");
    host.expect(200, &get("/tenants"));
    let sealed = r#"{"id":"a","hostname":"a.example.com","is_enabled":true,"env":{"A":"hidden"}}"#;
    assert_eq!(
        host.refuse(500, &post("/tenants", sealed)).body,
        internal_error()
    );
    // The token of a write is random, too.
    host.refuse(500, &crate::ask::new_tenant("a"));
    host.refuse(500, &delete("/tenants/a"));
    host.refuse(500, &delete_with_tables("a"));
    host.refuse(500, &patch("/tenants/a", r#"{"env":{"A":"hidden"}}"#));
    host.refuse(500, &post("/tenants-plans", r#"{"id":"a","env":{}}"#));
}

#[test]
fn a_clock_outside_the_supported_years_is_a_500() {
    let mut host = Host::new();
    for now in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
        host.now = now;
        let got = host.refuse(500, &get("/tenants"));
        assert_eq!(
            got.cause(),
            "the host's clock is outside the years 0000 to 9999"
        );
    }
    host.now = 253_402_300_799;
    host.expect(200, &get("/tenants"));
}

#[test]
fn every_request_is_a_503_if_the_configuration_does_not_parse() {
    let mut host = Host::new();
    host.configure(&[
        ("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "nonsense"),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "a-broken-secret"),
    ]);
    let expected = not_configured();
    for ask in [get("/tenants"), get("/nothing"), get("/tenants").no_key()] {
        let got = host.refuse(503, &ask);
        assert_eq!(got.body, expected);
        for name in [
            "CHEVERETO_TENANTS_API_IP_ALLOW_LIST",
            "CHEVERETO_ENCRYPTION_KEY_PREVIOUS",
        ] {
            assert!(got.cause().contains(name), "{}", got.cause());
        }
    }
}

#[test]
fn a_missing_secret_is_a_503_and_only_the_log_names_it() {
    for (name, _) in &SECRETS[..2] {
        let mut host = Host::with(&[(name, "")]);
        for ask in [
            get("/tenants"),
            post("/auth/verify", ""),
            crate::ask::new_tenant("a"),
            head("/tenants-plans/a"),
        ] {
            let got = host.refuse(503, &ask);
            assert_eq!(got.cause(), format!("{name} is not configured"));
            assert!(!got.body.contains("CHEVERETO"), "{}", got.body);
        }
        host.refuse(404, &get("/nothing"));
        host.refuse(405, &Ask::new("PUT", format!("{BASE}/tenants")));
    }
}
