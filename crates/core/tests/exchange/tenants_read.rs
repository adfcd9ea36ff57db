//! `GET /tenants` and `GET /tenants/{id}` (contract §4, §5), and the pages of both lists.

use serde_json::Value as Json;
use tenants_core::sql::Value;

use crate::ask::{get, head, new_plan, new_tenant, post};
use crate::host::{Host, internal_error, problem};

fn ids(list: &Json) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|t| t["id"].as_str().unwrap()).collect()
}

#[test]
fn an_unknown_tenant_is_a_404() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("abc"));
    let expected = problem(404, "Not Found", "there is no such tenant", "not_found", "");
    let too_long = "a".repeat(17);
    for id in [
        "nobody", "ab", "abcd", "a%62c", "%", "_", "a'b", "é", "*", &too_long,
    ] {
        let got = host.expect(404, &get(&format!("/tenants/{id}")));
        assert_eq!(got.body, expected);
        assert_eq!(got.log.route, Some("/tenants/{id}"));
    }
    assert_eq!(host.expect(404, &head("/tenants/nobody")).body, "");
}

#[test]
fn a_route_without_parameters_ignores_the_query() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("abc"));
    host.expect(200, &get("/tenants/abc?limit=0&x"));
    host.expect(404, &get("/tenants/abcd?/abc"));
}

#[test]
fn head_returns_the_headers_of_get_without_a_body() {
    let mut host = Host::new();
    for id in ["a", "b"] {
        host.expect(201, &new_tenant(id));
        host.expect(201, &new_plan(id));
    }
    for path in [
        "/tenants",
        "/tenants?limit=1",
        "/tenants/a",
        "/tenants/nobody",
        "/tenants-plans",
        "/tenants-plans?limit=1",
        "/tenants-plans/a",
        "/tenants-plans/nobody",
    ] {
        let whole = host.ask(&get(path));
        let got = host.ask(&head(path));
        assert_eq!(got.status, whole.status);
        assert_eq!(got.response.headers, whole.response.headers);
        assert!(!whole.body.is_empty());
    }
    assert_eq!(host.refuse(422, &head("/tenants?limit=0")).body, "");
}

#[test]
fn statistics_are_exact_beyond_2_to_the_53() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    let stats = r#"{"tags":1,"files":2,"pages":3,"users":4,"admins":5,"albums":6,"managers":7,"storages":8,"cron_time":9,"categories":10,"file_likes":11,"file_views":9007199254740993,"album_likes":12,"album_views":13,"storage_used":9223372036854775807,"login_providers":14}"#;
    host.sql(
        "UPDATE tenants SET stats = ?1, last_job_at = '2026-08-18 00:00:00'",
        &[stats.into()],
    );
    for path in ["/tenants/a", "/tenants"] {
        let got = host.expect(200, &get(path));
        let expected =
            format!(r#""stats":{stats},"last_job_at":"2026-08-18 00:00:00","cell_id":null,"#);
        assert!(got.body.contains(&expected), "{}", got.body);
    }
}

#[test]
fn malformed_stored_data_is_a_500_and_the_log_names_its_place() {
    for (column, texts) in [
        ("limits", ["x", "[]", r#"{"a":"1"}"#, r#"{"A":1}"#]),
        ("stats", ["x", "{}", r#"{"tags":-1}"#, "[]"]),
        ("env", ["x", "{}", "1.00000000.AAAA", ""]),
    ] {
        for text in texts {
            let mut host = Host::new();
            host.expect(201, &new_tenant("Abc"));
            host.sql(&format!("UPDATE tenants SET {column} = ?1"), &[text.into()]);
            for path in ["/tenants/abc", "/tenants"] {
                let got = host.expect(500, &get(path));
                let place = format!("tenants/abc/{column}: ");
                let cause = got.cause().to_ascii_lowercase();
                assert!(cause.starts_with(&place), "{cause}");
                assert_eq!(got.body, internal_error());
            }
        }
    }
}

#[test]
fn an_empty_list_is_an_empty_array() {
    let mut host = Host::new();
    for path in ["/tenants", "/tenants-plans", "/tenants?limit=5&after=zz"] {
        let got = host.expect(200, &get(path));
        assert_eq!(got.body, "[]");
        assert_eq!(got.header("link"), None);
    }
}

#[test]
fn a_list_shows_each_tenant_as_a_single_get_does() {
    let mut host = Host::new();
    let body = r#"{"id":"b","hostname":"b","is_enabled":false,"limits":{"L":"\"\\\u001f"},"env":{"E":"hidden"}}"#;
    let b = host.expect(201, &post("/tenants", body)).body;
    let a = host.expect(201, &new_tenant("a")).body;
    assert_eq!(
        host.expect(200, &get("/tenants")).body,
        format!("[{a},{b}]")
    );
}

#[test]
fn lists_are_sorted_by_id_without_regard_to_case() {
    let mut host = Host::new();
    for id in ["b", "C", "a", "B1", "a-1", "A_1", "10", "aa", "9", "a0"] {
        host.expect(201, &new_tenant(id));
        host.expect(201, &new_plan(id));
    }
    for path in ["/tenants", "/tenants-plans"] {
        let list = host.json(200, &get(path));
        assert_eq!(
            ids(&list),
            ["10", "9", "a", "a-1", "a0", "A_1", "aa", "b", "B1", "C"]
        );
    }
}

#[test]
fn a_page_follows_limit_and_after_and_links_to_the_next() {
    let mut host = Host::new();
    for id in ["a", "B", "c", "D", "e"] {
        host.expect(201, &new_tenant(id));
        host.expect(201, &new_plan(id));
    }
    // Both lists have the same pages. Only the plans' one ignores what it does not know.
    host.expect(422, &get("/tenants?other=1&limit=1"));
    for (list, other) in [
        ("/tenants", "limit=1"),
        ("/tenants-plans", "other=1&limit=1"),
    ] {
        for (query, shown, next) in [
            ("limit=2", &["a", "B"][..], Some("B")),
            ("limit=2&after=b", &["c", "D"], Some("D")),
            ("limit=2&after=D", &["e"], None),
            ("limit=2&after=C", &["D", "e"], None),
            ("limit=5", &["a", "B", "c", "D", "e"], None),
            ("limit=4", &["a", "B", "c", "D"], Some("D")),
            ("limit=10000", &["a", "B", "c", "D", "e"], None),
            ("after=c", &["D", "e"], None),
            ("after=bb&limit=1", &["c"], Some("c")),
            ("after=e", &[], None),
            ("after=zzz&limit=1", &[], None),
            (other, &["a"], Some("a")),
            ("", &["a", "B", "c", "D", "e"], None),
        ] {
            let got = host.expect(200, &get(&format!("{list}?{query}")));
            assert_eq!(ids(&got.json()), shown, "{query}");
            let limit = query
                .split('&')
                .find_map(|p| p.strip_prefix("limit="))
                .unwrap_or_default();
            let link =
                next.map(|id| format!(r#"</_/api/4{list}?limit={limit}&after={id}>; rel="next""#));
            assert_eq!(got.header("link"), link.as_deref(), "{query}");
        }
    }
}

#[test]
fn a_wrong_limit_or_after_is_a_422_without_the_database() {
    let mut host = Host::new();
    for (list, longest) in [("/tenants", 16), ("/tenants-plans", 64)] {
        for limit in [
            "",
            "0",
            "-1",
            "10001",
            "99999999999999999999",
            "1.5",
            "+1",
            "1%20",
            "x",
        ] {
            let got = host.refuse(422, &get(&format!("{list}?limit={limit}")));
            let text = limit.replace("%20", " ");
            let detail = format!("expected a whole number from 1 to 10000; got `{text}`");
            assert_eq!(
                got.body,
                problem(
                    422,
                    "Unprocessable Content",
                    "one field is not as expected",
                    "invalid",
                    &format!(r#"[{{"parameter":"limit","detail":"{detail}"}}]"#)
                )
            );
        }
        let too_long = "a".repeat(longest + 1);
        for after in ["", "_a", "a.b", "%00", "é", &too_long] {
            let got = host.refuse(422, &get(&format!("{list}?after={after}")));
            assert_eq!(got.named(), ["after"]);
        }
        let got = host.refuse(422, &get(&format!("{list}?limit=x&after=.")));
        assert_eq!(got.named(), ["limit", "after"]);
        host.expect(200, &get(&format!("{list}?after={}", "a".repeat(longest))));
    }
}

#[test]
fn without_a_limit_a_list_is_complete() {
    let mut host = Host::new();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10100) \
         INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) \
         SELECT 't' || n, 't' || n, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM c",
        &[],
    );
    let got = host.expect(200, &get("/tenants"));
    assert_eq!(ids(&got.json()).len(), 10_100);
    assert_eq!(got.header("link"), None);
    let got = host.expect(200, &get("/tenants?limit=10000"));
    // A page has as many rows as a slice, at the most.
    assert_eq!(ids(&got.json()).len(), 2_500);
    assert!(got.header("link").is_some());
    assert_eq!(
        host.one("SELECT count(*) FROM tenants"),
        Value::Integer(10_100)
    );
}
