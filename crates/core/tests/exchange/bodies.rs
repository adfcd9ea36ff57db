//! Bodies that are refused without the database (contract §2 step 5, §10).

use tenants_core::{Body, Headers, Request, Step};

use crate::ask::{Ask, delete, get, head, new_plan, new_tenant, patch, post, put};
use crate::host::{Host, problem, without_errors};

const GOOD: &str = r#"{"id":"a","hostname":"a.example.com","is_enabled":true}"#;

fn with_body() -> [Ask; 4] {
    [
        post("/tenants", ""),
        patch("/tenants/a", ""),
        post("/tenants-plans", ""),
        patch("/tenants-plans/a", ""),
    ]
}

#[test]
fn a_missing_body_is_a_400() {
    let mut host = Host::new();
    let expected = problem(
        400,
        "Bad Request",
        "expected a JSON object as the body; none came",
        "body_required",
        "",
    );
    for ask in with_body() {
        assert_eq!(host.refuse(400, &ask).body, expected);
        let said = ask.content_type("text/plain");
        assert_eq!(host.refuse(400, &said).body, expected);
    }
}

#[test]
fn a_body_that_breaks_off_is_a_400_of_a_caller_with_a_key() {
    let mut host = Host::new();
    let key = host.key.clone();
    for (api_key, status, code) in [
        (Some(key.as_str()), 400, "body_incomplete"),
        (None, 401, "unauthorized"),
    ] {
        let headers = Headers {
            api_key,
            request_id: Some("r-1"),
            ..Headers::default()
        };
        let request = Request {
            method: "POST",
            target: "/_/api/4/tenants",
            origin: None,
            client_address: None,
            headers,
            body: Body::Incomplete,
        };
        let step = host.api.begin(&request, host.now, host.random.as_mut());
        let Step::Done(answer) = step else {
            panic!("the request reached the database");
        };
        assert_eq!(answer.response.status, status);
        let code = format!(r#""code":"{code}""#);
        assert!(answer.response.body.contains(&code), "{answer:?}");
    }
}

#[test]
fn a_body_with_another_content_type_than_json_is_a_415() {
    let mut host = Host::new();
    for ask in with_body() {
        let ask = ask.body(GOOD);
        let got = host.refuse(415, &ask.clone().no_content_type());
        assert_eq!(
            got.body,
            problem(
                415,
                "Unsupported Media Type",
                "expected a Content-Type of application/json; none came",
                "unsupported_media_type",
                ""
            )
        );
        for bad in [
            "",
            "text/json",
            "application/jsonx",
            "application/+json",
            "json",
        ] {
            let got = host.refuse(415, &ask.clone().content_type(bad));
            let detail = format!("expected a Content-Type of application/json; got `{bad}`");
            assert_eq!(got.json()["detail"], *detail);
        }
    }
    let mut drop = delete("/tenants/a").body("{}");
    drop = drop.no_content_type();
    host.refuse(415, &drop);
    for (id, good) in [
        ("a", "application/json; charset=utf-8"),
        ("b", "APPLICATION/JSON"),
        ("c", "application/merge-patch+json"),
    ] {
        host.expect(201, &new_tenant(id).content_type(good));
    }
}

#[test]
fn an_encoded_body_is_a_415_that_names_the_coding() {
    let mut host = Host::new();
    let encoded = |ask: &Ask, coding: &str| {
        let mut ask = ask.clone();
        ask.content_encoding = Some(coding.into());
        ask
    };
    let drop = delete("/tenants/a").body("{}");
    for ask in with_body()
        .map(|ask| ask.body("\u{1f}\u{8b}"))
        .iter()
        .chain([&drop])
    {
        for coding in ["gzip", "GZIP", "deflate, br", "identity, gzip", ""] {
            let got = host.refuse(415, &encoded(ask, coding));
            let detail = format!("expected no Content-Encoding, or identity; got `{coding}`");
            let expected = problem(
                415,
                "Unsupported Media Type",
                &detail,
                "unsupported_media_type",
                "",
            );
            assert_eq!(got.body, expected);
            assert_eq!(got.header("accept-encoding"), Some("identity"));
        }
    }
    for (id, identity) in [("a", "identity"), ("b", " Identity ")] {
        host.expect(201, &encoded(&new_tenant(id), identity));
    }
    // Without a body there is nothing to decode.
    host.expect(200, &encoded(&get("/tenants"), "gzip"));
    host.expect(204, &encoded(&delete("/tenants/a"), "gzip"));
    // Another 415 names no coding.
    let got = host.refuse(415, &new_tenant("c").content_type("text/plain"));
    assert_eq!(got.header("accept-encoding"), None);
}

/// Otherwise any captured body, with its signature, would be good for these routes.
#[test]
fn a_body_where_none_is_expected_is_a_400() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    let expected = problem(
        400,
        "Bad Request",
        "expected no body: this route takes none",
        "body_unexpected",
        "",
    );
    for ask in [
        post("/auth/verify", ""),
        delete("/tenants-plans/p"),
        delete("/tenants-plans/_"),
        delete("/tenants-plans/p").legacy(),
        delete("/tenants/a").legacy(),
    ] {
        for body in ["{}", "not json", " ", r#"{"drop_tables":true}"#] {
            let ask = ask.clone().body(body);
            let expected = if ask.is_legacy() {
                without_errors(&expected)
            } else {
                expected.clone()
            };
            assert_eq!(host.refuse(400, &ask).body, expected, "{ask:?}");
            // The signature comes first.
            host.refuse(401, &ask.signature("x"));
        }
    }
    host.expect(200, &post("/auth/verify", ""));
    host.expect(204, &delete("/tenants/a").legacy());
    host.expect(204, &delete("/tenants-plans/p"));
}

#[test]
fn the_body_of_a_get_is_verified_and_otherwise_ignored() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    for ask in [
        get("/tenants"),
        head("/tenants"),
        get("/tenants/a"),
        head("/tenants/a"),
        get("/tenants-plans"),
        get("/tenants-plans/p"),
        get("/tenants/a").legacy(),
        get("/tenants-plans").legacy(),
        get("/tenants-plans/p").legacy(),
    ] {
        let without = host.expect(200, &ask).body;
        let ask = ask.body("not json").content_type("text/plain");
        assert_eq!(host.expect(200, &ask).body, without, "{ask:?}");
        host.refuse(401, &ask.clone().no_signature());
        let empty = host.sign(b"");
        host.refuse(401, &ask.clone().signature(empty));
        host.refuse(413, &ask.too_large());
    }
}

#[test]
fn a_body_that_is_no_json_object_is_a_400_that_says_where() {
    let mut host = Host::new();
    for (body, detail) in [
        (
            &b"x"[..],
            "expected JSON: expected value at line 1 column 1",
        ),
        (
            b"{\"id\":\"a\"",
            "expected JSON: EOF while parsing an object at line 1 column 9",
        ),
        (b"\xff", "expected UTF-8; byte 0 is not"),
        (
            b"\xef\xbb\xbf{}",
            "expected JSON without a byte order mark; the body begins with one",
        ),
        (b"{\"id\":\"\xc3\x28\"}", "expected UTF-8; byte 7 is not"),
        (b"[]", "expected a JSON object; got another kind of JSON"),
        (b"null", "expected a JSON object; got another kind of JSON"),
        (
            b"\"{}\"",
            "expected a JSON object; got another kind of JSON",
        ),
        (
            b"{} {}",
            "expected JSON: trailing characters at line 1 column 4",
        ),
        (
            br#"{"id":"a","id":"b"}"#,
            "expected each name once; `id` comes twice",
        ),
        (
            br#"{"id":"a","\u0069d":"b"}"#,
            "expected each name once; `id` comes twice",
        ),
    ] {
        for ask in with_body() {
            let got = host.refuse(400, &ask.body(body));
            assert_eq!(
                got.body,
                problem(400, "Bad Request", detail, "malformed_json", "")
            );
        }
    }
    // JSON's own whitespace may surround the object, and no other.
    host.expect(201, &post("/tenants", format!(" \t\r\n{GOOD}\n")));
    for blank in ["\u{b}", "\u{c}", "\u{feff}", "\u{a0}"] {
        host.refuse(400, &post("/tenants", format!("{blank}{GOOD}")));
    }
}

#[test]
fn a_body_that_is_too_large_is_a_413_before_the_signature_check() {
    let mut host = Host::new();
    for ask in with_body() {
        let got = host.refuse(413, &ask.signature("x").too_large());
        assert_eq!(
            got.body,
            problem(
                413,
                "Content Too Large",
                "expected a body of at most 65536 bytes",
                "payload_too_large",
                ""
            )
        );
    }
}

#[test]
fn a_deeply_nested_body_does_not_overflow_the_stack() {
    let mut host = Host::new();
    for (open, close) in [("[", "]"), (r#"{"A":"#, "}")] {
        let deep = open.repeat(9_000) + "1" + &close.repeat(9_000);
        let body = format!(r#"{{"id":"a","hostname":"a","is_enabled":true,"limits":{deep}}}"#);
        assert!(body.len() < 64 * 1024);
        let got = host.ask(&post("/tenants", body));
        assert!(matches!(got.status, 400 | 422), "{got:?}");
    }
}

#[test]
fn a_lone_surrogate_is_a_422_at_its_field() {
    let mut host = Host::new();
    for lone in [r"\ud800", r"\udc00", r"\ud800\u0041"] {
        let body = format!(r#"{{"id":"{lone}","hostname":"a","is_enabled":true}}"#);
        let got = host.refuse(422, &post("/tenants", body));
        assert_eq!(got.named(), ["/id"]);
        // A pointer cannot name a member whose name is not valid Unicode.
        let body = format!(r#"{{"{lone}":1}}"#);
        host.refuse(400, &post("/tenants", body));
    }
}

#[test]
fn what_is_wrong_in_the_path_hides_nothing_that_is_wrong_in_the_body_or_the_query() {
    let mut host = Host::new();
    for (ask, named) in [
        (
            put("/tenants/a/holds/zzz", r#"{"reason":1}"#),
            &["/kind", "/reason"][..],
        ),
        (
            put("/tenants/a/hostnames/1.2.3.4", r#"{"kind":"x"}"#),
            &["/kind", "/hostname"],
        ),
        (
            put("/cells/-x", r#"{"accepting":1}"#),
            &["/id", "/accepting"],
        ),
        (
            patch(
                "/webhooks/0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                r#"{"url":"x","is_enabled":true}"#,
            ),
            &["/url", "/from"],
        ),
        (
            get("/tenants-plans?limit=0&external_id=&label="),
            &["limit", "external_id", "label"],
        ),
    ] {
        assert_eq!(host.refuse(422, &ask).named(), named, "{ask:?}");
    }
}

/// Within arrays and objects, too.
#[test]
fn every_wrong_item_and_member_is_named() {
    let mut host = Host::new();
    for (ask, named) in [
        (
            post("/keys", r#"{"scopes":["x",3,"audit","\ud800","y"]}"#),
            vec!["/scopes/0", "/scopes/1", "/scopes/3", "/scopes/4"],
        ),
        (
            post(
                "/webhooks",
                r#"{"url":"https://hooks.example.com/","types":["x","tenant.*",null]}"#,
            ),
            vec!["/types/0", "/types/2"],
        ),
        (
            put("/cells/eu", r#"{"service":{"name":"a b"},"accepting":1}"#),
            vec!["/accepting", "/service/name", "/service/port"],
        ),
        (
            put(
                "/cells/eu",
                r#"{"service":{"name":"a","port":65536,"x":1}}"#,
            ),
            vec!["/service/port", "/service/x"],
        ),
        (
            post(
                "/cells/eu/stats",
                r#"{"tenants":[{"id":"_","stats":{},"counted_at":"x"},{"id":"a","y":1},7]}"#,
            ),
            vec![
                "/tenants/0/id",
                "/tenants/0/stats",
                "/tenants/0/counted_at",
                "/tenants/1/y",
                "/tenants/1/stats",
                "/tenants/1/counted_at",
                "/tenants/2",
            ],
        ),
    ] {
        let mut got = host.refuse(422, &ask).named();
        got.sort();
        let mut named = named;
        named.sort_unstable();
        assert_eq!(got, named, "{ask:?}");
    }
    let got = host.refuse(422, &get("/tenants?fields=id,x,y"));
    assert!(got.body.contains("got `x`, `y`"), "{got:?}");
}

#[test]
fn a_parameter_that_may_come_once_is_refused_if_it_comes_twice() {
    let mut host = Host::new();
    for (target, named) in [
        ("/tenants?limit=1&limit=2", "limit"),
        ("/tenants?after=a&after=b", "after"),
        ("/tenants?sort=hostname&after=a,a&after=b,b", "after"),
        ("/tenants-plans?limit=1&limit=2", "limit"),
        ("/tenants-plans?after=a&after=b", "after"),
        ("/jobs?limit=1&limit=2", "limit"),
        ("/jobs?after=a&after=b", "after"),
        ("/jobs?state=waiting&state=failed", "state"),
        ("/jobs?tenant=a&tenant=b", "tenant"),
        ("/audit?limit=1&limit=2", "limit"),
        ("/events?limit=1&limit=2", "limit"),
        ("/cells/eu/tenants?limit=1&limit=2", "limit"),
    ] {
        assert_eq!(host.refuse(422, &get(target)).named(), [named], "{target}");
    }
    assert_eq!(
        host.refuse(422, &get("/tenants?limit=x&limit=1")).named(),
        ["limit"]
    );
}
