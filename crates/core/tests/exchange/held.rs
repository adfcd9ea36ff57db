//! The page of a held tenant, and its routers in Traefik's configuration (contract §16).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tenants_core::log::Level;
use tenants_core::sql::Value;

use crate::ask::{Ask, delete, get, new_tenant, new_tenant_on, patch, post, put};
use crate::cells::host_with_cells;
use crate::host::{Got, Host, WaitsForBatch as _};

const PAGES: &str = "https://registry.example.com/_/held";

/// A request of a visitor.
fn visit(id: &str) -> Ask {
    visit_by("GET", id)
}

fn visit_by(method: &str, id: &str) -> Ask {
    Ask::new(method, format!("/_/held/{id}"))
        .no_key()
        .no_signature()
}

fn hold(id: &str, kind: &str, rest: &str) -> Ask {
    put(
        &format!("/tenants/{id}/holds/{kind}"),
        format!(r#"{{"reason":"private"{rest}}}"#),
    )
}

fn host() -> Host {
    let mut host = Host::new();
    host.expect(201, &new_tenant("A"));
    host.expect(201, &new_tenant("b"));
    host
}

/// A page as a browser may show it.
fn assert_page(got: &Got) {
    assert_eq!(got.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(got.header("cache-control"), Some("no-store"));
    let (_, style) = got.body.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let digest = STANDARD.encode(Sha256::digest(style));
    let policy = got.header("content-security-policy").unwrap();
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    );
    assert!(
        !got.body.contains("<script") && !got.body.contains("private"),
        "{}",
        got.body
    );
    assert!(got.body.starts_with("<!doctype html><html lang=\"en\">"));
}

#[test]
fn the_first_kind_of_hold_decides_what_visitors_see() {
    let mut host = host();
    for (kind, status) in [
        ("maintenance", 503),
        ("non_payment", 402),
        ("admin", 403),
        ("abuse", 403),
    ] {
        let message = format!(r#","message":"because of {kind}""#);
        host.expect(204, &hold("a", kind, &message));
        let got = host.ask(&visit("a"));
        assert_eq!(got.status, status, "{got:?}");
        assert_page(&got);
        assert!(got.body.contains(&format!("<p>because of {kind}</p>")));
        assert_eq!(got.header("retry-after"), None);
        assert_eq!(got.log.route, Some("/_/held/{id}"));
        // Visitors of a held tenant are no fault of the service, and no refused caller.
        assert_eq!(got.log.level(), Level::Info, "{kind}");
    }
    // Lifting one of two keeps it held.
    for (kind, status) in [("abuse", 403), ("admin", 402), ("non_payment", 503)] {
        host.expect(204, &delete(&format!("/tenants/a/holds/{kind}")));
        assert_eq!(host.ask(&visit("A")).status, status);
    }
    host.expect(204, &delete("/tenants/a/holds/maintenance"));
    assert_eq!(host.ask(&visit("a")).status, 404);
}

#[test]
fn a_page_has_nothing_of_the_request_and_a_message_is_only_a_text() {
    let mut host = host();
    let message = r#","message":"<script>alert(1)</script> & \"<b>\"""#;
    host.expect(204, &hold("a", "maintenance", message));
    let got = host.ask(&visit("a?<script>=<script>"));
    assert_page(&got);
    let shown = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \"&lt;b&gt;\"";
    assert!(got.body.contains(shown), "{}", got.body);
    // Without a message there are words all the same, and none of another tenant.
    host.expect(204, &hold("b", "maintenance", ""));
    let got = host.ask(&visit("b"));
    assert_page(&got);
    assert!(got.body.contains("will be back") && !got.body.contains("alert"));

    // Nothing tells an unknown tenant from one that is not held, or an id that no tenant can have.
    host.expect(201, &new_tenant("c"));
    let unheld = host.ask(&visit("c"));
    assert_eq!(unheld.status, 404);
    assert_page(&unheld);
    // Nor one that is disabled, which is off for another reason.
    host.expect(204, &patch("/tenants/b", r#"{"is_enabled":false}"#));
    assert_eq!(
        host.json(200, &get("/tenants/b"))["holds"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
    for id in ["b", "nobody", "%3Cscript%3E", "<script>", &"x".repeat(3000)] {
        let got = host.ask(&visit(id));
        assert_eq!((got.status, &got.body), (404, &unheld.body), "{id}");
    }
    for path in ["", "a/b"] {
        assert_eq!(host.ask(&visit(path)).json()["code"], "not_found", "{path}");
    }
}

#[test]
fn visitors_may_use_any_method_and_come_from_anywhere() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "192.0.2.0/24")]);
    let own = |ask: Ask| ask.from("192.0.2.1");
    host.expect(201, &own(new_tenant("a")));
    host.expect(204, &own(hold("a", "non_payment", "")));
    let page = host.ask(&visit("a").from("198.51.100.1"));
    assert_eq!(page.status, 402);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let got = host.ask(&visit_by(method, "a").from("198.51.100.1"));
        assert_eq!((got.status, &got.body), (402, &page.body), "{method}");
    }
    let head = host.ask(&visit_by("HEAD", "a"));
    assert_eq!((head.status, head.body.as_str()), (402, ""));
    assert_eq!(
        head.header("content-security-policy"),
        page.header("content-security-policy")
    );
    // What a browser sends beside it changes nothing.
    let got = host.ask(&visit("a").if_match("\"x\""));
    assert_eq!((got.status, got.body), (402, page.body));
}

#[test]
fn a_page_says_when_the_site_is_back_if_every_hold_ends() {
    let mut host = host();
    host.expect(
        204,
        &hold("a", "maintenance", r#","until":"2026-08-19 00:00:00""#),
    );
    let got = host.ask(&visit("a"));
    // From 23:16:57.
    assert_eq!(got.header("retry-after"), Some("2583"));
    assert!(
        got.body
            .contains("<time datetime=\"2026-08-19 00:00:00Z\">"),
        "{}",
        got.body
    );
    host.expect(
        204,
        &hold("a", "non_payment", r#","until":"2026-08-19 00:00:01""#),
    );
    assert_eq!(host.ask(&visit("a")).header("retry-after"), Some("2584"));
    host.now += 10_000;
    assert_eq!(host.ask(&visit("a")).header("retry-after"), Some("1"));
    host.expect(204, &hold("a", "abuse", ""));
    let got = host.ask(&visit("a"));
    assert_eq!(got.header("retry-after"), None);
    assert!(!got.body.contains("<time"));
}

#[test]
fn visitors_get_a_page_even_if_the_holds_cannot_be_read() {
    let mut host = host();
    host.expect(204, &hold("a", "abuse", ""));
    host.sql(
        "UPDATE tenants SET holds = '{\"unknown\":{}}' WHERE id = 'a'",
        &[],
    );
    let got = host.ask(&visit("a"));
    assert_eq!(got.status, 503);
    assert_page(&got);
    assert!(got.cause().contains("column kind"));
    assert_eq!(got.log.level(), Level::Error);
    let exchange = host.first(&visit("a"));
    let got = host.finish_with(&visit("a"), exchange, |_, _| Err("disk I/O error".into()));
    assert_eq!(got.status, 503);
    assert_page(&got);
    assert!(!got.body.contains("disk") && got.cause().contains("disk I/O error"));
}

fn poll(query: &str) -> Ask {
    get(&format!("/config/traefik{query}"))
        .no_key()
        .no_signature()
        .from("::1")
}

fn with_pages(mut host: Host, url: &str) -> Host {
    host.configure(&[("TENANTS_DEVELOPMENT", "true"), ("TENANTS_HELD_URL", url)]);
    host
}

#[test]
fn a_held_tenant_has_a_router_that_leads_to_its_page() {
    let mut host = with_pages(host(), PAGES);
    let local = |ask: Ask| ask.from("::1");
    for (name, kind) in [
        ("www.example.com", "alias"),
        ("old.example.com", "redirect"),
    ] {
        let body = format!(r#"{{"kind":"{kind}"}}"#);
        host.answered(
            201,
            &local(put(&format!("/tenants/a/hostnames/{name}"), body)),
        );
    }
    let served = host.expect(200, &poll(""));
    assert!(!served.body.contains("held:"));
    host.expect(204, &local(hold("a", "abuse", "")));
    let held = host.expect(200, &poll(""));
    assert_ne!(served.header("etag"), held.header("etag"));
    let http = &held.json()["http"];
    assert_eq!(
        http["routers"]["A"],
        json!({
            "rule": "Host(`a.example.com`) || Host(`www.example.com`)", "service": "held:pages", "entryPoints": ["websecure"],
            "middlewares": ["allow-range", "held:A"]
        })
    );
    assert_eq!(
        http["services"]["held:pages"],
        json!({"loadBalancer": {"servers": [{"url": "https://registry.example.com"}], "passHostHeader": false}})
    );
    assert_eq!(
        http["middlewares"]["held:A"],
        json!({"replacePath": {"path": "/_/held/A"}})
    );
    // Its redirects lead to its hostname as before, and the others to their sites.
    let was = served.json();
    for router in ["A:old.example.com", "b", "*"] {
        assert_eq!(
            http["routers"][router], was["http"]["routers"][router],
            "{router}"
        );
    }
    // The memory and `If-None-Match` follow.
    assert_eq!(host.expect(200, &poll("")).body, held.body);
    host.expect(204, &local(delete("/tenants/a/holds/abuse")));
    assert_eq!(host.expect(200, &poll("")).body, served.body);
    // A disabled tenant without a cell is left out, held or not.
    host.expect(204, &local(hold("a", "abuse", "")));
    host.expect(204, &local(patch("/tenants/a", r#"{"is_enabled":false}"#)));
    assert_eq!(
        host.expect(200, &poll("")).json()["http"]["routers"]["A"],
        Json::Null
    );
}

/// A poll by a reader that calls the service by this address.
fn poll_at(origin: Option<&str>) -> Ask {
    let mut ask = poll("");
    ask.origin = origin.map(String::from);
    ask
}

#[test]
fn the_pages_are_where_the_settings_say_or_where_the_reader_asks() {
    let mut host = with_pages(host(), "");
    host.expect(204, &hold("a", "abuse", "").from("::1"));
    let mut tags = BTreeSet::new();
    let mut at = |host: &mut Host, origin, server: &str, path: &str| {
        let got = host.expect(200, &poll_at(origin));
        assert!(tags.insert(got.header("etag").unwrap().to_owned()));
        let http = &got.json()["http"];
        let service = &http["services"]["held:pages"]["loadBalancer"];
        assert_eq!(service["servers"][0]["url"], server);
        assert_eq!(http["middlewares"]["held:A"]["replacePath"]["path"], path);
        // The memory has the same, and a reader that has it already gets a 304.
        assert_eq!(host.expect(200, &poll_at(origin)).body, got.body);
        host.expect(
            304,
            &poll_at(origin).if_none_match(got.header("etag").unwrap()),
        );
    };
    let (one, other) = (
        Some("https://one.example.com"),
        Some("http://10.0.0.1:8787"),
    );
    at(&mut host, one, "https://one.example.com", "/_/held/A");
    at(&mut host, other, "http://10.0.0.1:8787", "/_/held/A");
    host.configure(&[(
        "TENANTS_PUBLIC_URL",
        "https://registry.example.com/tenants/",
    )]);
    at(
        &mut host,
        one,
        "https://registry.example.com",
        "/tenants/_/held/A",
    );
    host.configure(&[("TENANTS_HELD_URL", "http://pages.internal:8080")]);
    at(&mut host, one, "http://pages.internal:8080", "/A");

    // Readers without an address of the pages get no router, and neither they nor the others get what is the others'.
    host.configure(&[("TENANTS_PUBLIC_URL", ""), ("TENANTS_HELD_URL", "")]);
    let without = host.expect(200, &poll_at(None));
    let with = host.expect(200, &poll_at(one));
    assert_ne!(without.header("etag"), with.header("etag"));
    for (origin, own, foreign) in [(None, &without, &with), (one, &with, &without)] {
        let known = |got: &Got| poll_at(origin).if_none_match(got.header("etag").unwrap());
        assert_eq!(host.expect(200, &known(foreign)).body, own.body);
        host.expect(304, &known(own));
    }

    // A host that does not know its own address, or one that no router can have.
    host.configure(&[("TENANTS_PUBLIC_URL", ""), ("TENANTS_HELD_URL", "")]);
    for origin in [None, Some("https://a\"b"), Some("ftp://a"), Some("")] {
        let got = host.expect(200, &poll_at(origin));
        assert!(!got.body.contains("a.example.com"), "{origin:?}");
    }
    host.configure(&[("TENANTS_HELD_URL", "pages.internal")]);
    let got = host.ask(&poll(""));
    assert_eq!(got.status, 503);
    assert!(
        got.cause().contains("TENANTS_HELD_URL: expected a URL"),
        "{got:?}"
    );
}

/// Two Traefiks may call the service by two addresses.
#[test]
fn readers_at_all_addresses_share_a_body_while_nobody_is_held() {
    let mut host = with_pages(host(), "");
    let (one, other) = (Some("https://one.example.com"), Some("http://10.0.0.1"));
    let got = host.expect(200, &poll_at(one));
    let etag = got.header("etag").unwrap();
    // Who reads the tenants anew sees this.
    host.sql(
        "UPDATE tenants SET hostname = 'by-hand.example' WHERE id = 'b'",
        &[],
    );
    for origin in [one, other, None] {
        let shared = host.expect(200, &poll_at(origin));
        assert_eq!(shared.body, got.body);
        assert_eq!(shared.header("etag"), Some(etag));
        let known = host.expect(304, &poll_at(origin).if_none_match(etag));
        assert_eq!(known.header("etag"), Some(etag));
        let any = host.expect(304, &poll_at(origin).if_none_match("*"));
        assert_eq!(any.header("etag"), Some(etag));
    }
}

#[test]
fn a_held_tenant_of_a_cell_has_a_page_too_and_a_disabled_one_its_site() {
    let mut host = with_pages(host_with_cells(), PAGES);
    let local = |ask: Ask| ask.from("::1");
    host.expect(201, &local(new_tenant_on("a", "eu")));
    host.expect(201, &local(new_tenant_on("b", "eu")));
    host.expect(204, &local(patch("/tenants/b", r#"{"is_enabled":false}"#)));
    for query in ["", "?cell=eu"] {
        let served = host.expect(200, &poll(query)).json();
        host.expect(204, &local(hold("a", "non_payment", "")));
        // Chevereto answers for a disabled tenant, held or not.
        host.expect(204, &local(hold("b", "non_payment", "")));
        let held = host.expect(200, &poll(query)).json();
        assert_eq!(
            held["http"]["routers"]["a"]["service"], "held:pages",
            "{query}"
        );
        assert_eq!(held["http"]["routers"]["b"], served["http"]["routers"]["b"]);
        for id in ["a", "b"] {
            let path = format!("/tenants/{id}/holds/non_payment");
            host.expect(204, &local(delete(&path)));
        }
        assert_eq!(host.expect(200, &poll(query)).json(), served);
    }
    // Without an address of the pages Chevereto itself answers.
    host.configure(&[("TENANTS_HELD_URL", "")]);
    let served = host.expect(200, &poll_at(None)).json();
    host.expect(204, &local(hold("a", "non_payment", "")));
    assert_eq!(host.expect(200, &poll_at(None)).json(), served);
    // A deleted tenant has no page.
    host.expect(204, &local(delete("/tenants/a")));
    assert_eq!(host.ask(&visit("a")).status, 404);
    host.expect(200, &local(post("/tenants/a/restore", "")));
    assert_eq!(host.ask(&visit("a")).status, 402);
}

/// A value of D1 has 2,000,000 bytes at the most. 10,000 ids of a registry are as long as they can be.
#[test]
fn ten_thousand_held_tenants_fit_the_limits_of_d1() {
    const COUNT: usize = 10_000;
    let mut host = with_pages(Host::new(), PAGES);
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, holds) \
         SELECT printf('Tenant_%09d', n), 'h' || n || '.example.com', 1, '', '', '{\"admin\":{\"reason\":\"r\"}}' FROM c",
        &[10_000.into()],
    );
    // A row that no write of the API makes takes no other with it.
    host.sql(
        "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, holds) \
         VALUES (?1, 'long.example.com', 1, '', '', '{\"admin\":{}}')",
        &["i".repeat(1_999_000).into()],
    );
    let exchange = host.exchange(&poll(""));
    let rows = host.run(exchange.batch()).unwrap();
    let texts = rows.iter().flatten().flatten().map(|value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    });
    let longest = texts.max().unwrap();
    assert!(longest < 500_000, "{longest} bytes");
    let got = host.finish(&poll(""), exchange, Ok(rows));
    assert!(got.cause().contains("tenants/") && got.cause().contains("is too long"));
    let http = &got.json()["http"];
    assert_eq!(http["routers"].as_object().unwrap().len(), 1 + COUNT);
    assert_eq!(http["middlewares"].as_object().unwrap().len(), 1 + COUNT);
    assert_eq!(
        http["routers"]["Tenant_000010000"]["middlewares"],
        json!(["allow-range", "held:Tenant_000010000"])
    );
    let visited = host.ask(&visit("tenant_000010000"));
    assert_eq!(visited.status, 403);
}
