//! `import` of what a tenant has besides its own fields: holds and their ends, and further hostnames. Against a fake server.

mod common;

use common::{CREATED, INVALID, OK, UNPROCESSABLE, body, header, import, line};
use serde_json::Value as Json;

#[test]
fn a_tenant_with_holds_is_never_served_on_its_way_in() {
    const DONE: &str = "204 No Content";
    const ABSENT: &str = "404 Not Found\ncontent-type: application/problem+json";
    let nobody = r#"{"title":"Not Found","status":404,"detail":"no such tenant","code":"not_found","request_id":"r-1"}"#;
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\"served\":false,\
                \"holds\":{\"abuse\":{\"reason\":\"spam\",\"message\":null,\"until\":null},\
                \"maintenance\":{\"reason\":\"x\",\"until\":\"2026-01-01 00:00:00\"}},\
                \"hostnames\":[{\"hostname\":\"www.a\",\"kind\":\"redirect\"}]}\n";
    let hold = (
        "PUT /_/api/4/tenants/a/holds/abuse HTTP/1.1",
        r#"{"reason":"spam","message":null,"until":null}"#,
    );
    let whole = (
        "PUT /_/api/4/tenants/a HTTP/1.1",
        r#"{"hostname":"a","is_enabled":true}"#,
    );
    let off = (whole.0, r#"{"hostname":"a","is_enabled":false}"#);
    let hostname = (
        "PUT /_/api/4/tenants/a/hostnames/www.a HTTP/1.1",
        r#"{"kind":"redirect"}"#,
    );
    let sent = |requests: &[String]| -> Vec<(String, String)> {
        let of = |request: &String| (line(request).to_owned(), body(request).to_owned());
        requests.iter().map(of).collect()
    };
    let expected = |some: &[(&str, &str)]| -> Vec<(String, String)> {
        let of = |(line, body): &(&str, &str)| ((*line).to_owned(), (*body).to_owned());
        some.iter().map(of).collect()
    };
    // A new tenant.
    let answers = [
        (ABSENT, nobody),
        (CREATED, "{}"),
        (DONE, ""),
        (OK, "{}"),
        (CREATED, "{}"),
    ];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(
        (run.code, run.output.as_str()),
        (
            0,
            "tenants: 1 created, 0 were there and are as the file says, 0 refused\n"
        )
    );
    assert_eq!(
        sent(&requests),
        expected(&[hold, off, hold, whole, hostname])
    );
    let keys: Vec<&str> = requests
        .iter()
        .map(|request| header(request, "idempotency-key").unwrap())
        .collect();
    for (key, end) in keys
        .iter()
        .zip(["1-holds-1", "1-off", "1-holds-1", "1", "1-hostnames-1"])
    {
        assert!(key.ends_with(&format!("-{end}")), "{key} {end}");
    }
    // One that is there.
    let answers = [(DONE, ""), (OK, "{}"), (OK, "{}")];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.output.contains("0 created, 1 were there"));
    assert_eq!(sent(&requests), expected(&[hold, whole, hostname]));
    // An API without holds makes a tenant that is off, and no more.
    let answers = [(ABSENT, nobody), (CREATED, "{}"), (ABSENT, nobody)];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.errors.contains("The import stopped"), "{}", run.errors);
    assert_eq!(sent(&requests), expected(&[hold, off, hold]));
    // A hold that is not valid.
    let (run, _) = import(text, &[], &[(UNPROCESSABLE, INVALID)]);
    let detail = "line 1, tenant `a`: error: Unprocessable Content: holds/abuse: one field";
    assert!(run.errors.contains(detail), "{}", run.errors);
    assert!(!run.errors.contains("is off"), "{}", run.errors);
    // One that is refused once the tenant was made.
    let answers = [(ABSENT, nobody), (CREATED, "{}"), (UNPROCESSABLE, INVALID)];
    let (run, _) = import(text, &[], &answers);
    let detail =
        "holds/abuse: one field is not as expected. The tenant was made already, and is off";
    assert!(run.errors.contains(detail), "{}", run.errors);
    // A trial asks about all of it.
    let valid = (OK, r#"{"valid":true}"#);
    let answers = [(ABSENT, nobody), valid, (ABSENT, nobody)];
    let (run, requests) = import(text, &["--dry-run"], &answers);
    assert_eq!(run.code, 0, "{run:?}");
    let paths: Vec<&str> = requests.iter().map(|request| line(request)).collect();
    assert_eq!(
        paths,
        ["/holds/abuse", "", "/hostnames/www.a"]
            .map(|path| format!("PUT /_/api/4/tenants/a{path}?validate_only=true HTTP/1.1"))
    );
}

#[test]
fn a_further_hostname_that_an_earlier_line_has_is_refused() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\"hostnames\":[{\"hostname\":\"B\",\"kind\":\"alias\"}]}\n\
                {\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true}\n";
    let (run, _) = import(text, &[], &[(CREATED, "{}"), (CREATED, "{}")]);
    assert_eq!(run.code, 1);
    let refused = "line 2, tenant `b`: error: hostname: line 1 has the same";
    assert!(run.errors.contains(refused), "{}", run.errors);
}

#[test]
fn a_dry_run_names_all_that_is_wrong_with_a_tenant_that_is_not_there_yet() {
    const ABSENT: &str = "404 Not Found\ncontent-type: application/problem+json";
    let nobody = r#"{"title":"Not Found","status":404,"detail":"no such tenant","code":"not_found","request_id":"r-1"}"#;
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\
                \"holds\":{\"abuse\":{\"reason\":\"spam\"},\"admin\":{\"reason\":\"\"}},\
                \"hostnames\":[{\"hostname\":\"www.a\",\"kind\":\"alias\"},{\"hostname\":\"b.a\",\"kind\":\"x\"}]}\n";
    let (absent, refused) = ((ABSENT, nobody), (UNPROCESSABLE, INVALID));
    let answers = [absent, refused, refused, absent, refused];
    let (run, requests) = import(text, &["--dry-run"], &answers);
    assert_eq!(
        (run.code, run.output.as_str()),
        (
            1,
            "tenants: 0 would be accepted, 1 refused; nothing was written\n"
        ),
        "{run:?}"
    );
    let paths: Vec<&str> = requests.iter().map(|request| line(request)).collect();
    let expected = [
        "/holds/abuse",
        "/holds/admin",
        "",
        "/hostnames/www.a",
        "/hostnames/b.a",
    ];
    assert_eq!(
        paths,
        expected.map(|path| format!("PUT /_/api/4/tenants/a{path}?validate_only=true HTTP/1.1"))
    );
    for part in [
        ": holds/admin: one field",
        ": one field",
        ": hostnames/b.a: one field",
        "error: 1 of the file's lines were refused",
    ] {
        assert!(run.errors.contains(part), "{part}: {}", run.errors);
    }
    let (run, _) = import(text, &["--dry-run", "--format=json"], &answers);
    let report: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(report["tenants"]["refused"], 1);
    assert_eq!(report["refused"].as_array().unwrap().len(), 3);
}

/// The tests' clock is at 2026-08-18 23:16:57.
#[test]
fn a_time_that_is_past_becomes_what_the_cron_trigger_would_have_made_of_it() {
    const DONE: &str = "204 No Content";
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\"suspend_at\":\"2026-08-18 23:16:57\"}\n\
                {\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true,\"delete_at\":\"2026-08-18 23:16:57\"}\n";
    let (run, requests) = import(text, &[], &[(DONE, ""), (OK, "{}")]);
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(
        (line(&requests[0]), body(&requests[0])),
        (
            "PUT /_/api/4/tenants/a/holds/non_payment HTTP/1.1",
            r#"{"reason":"suspend_at 2026-08-18 23:16:57"}"#
        )
    );
    assert_eq!(
        body(&requests[1]),
        r#"{"hostname":"a","is_enabled":true,"suspend_at":null}"#
    );
    let detail = "line 2, tenant `b`: error: delete_at: 2026-08-18 23:16:57 is past, so the tenant would be deleted at once. Leave the line out, or give it a later delete_at, or null\n";
    assert!(run.errors.contains(detail), "{}", run.errors);
}

#[test]
fn a_hold_that_ends_while_the_import_waits_is_left_out() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\"suspend_at\":\"2026-08-18 23:16:58\",\
                \"holds\":{\"admin\":{\"reason\":\"x\",\"until\":\"2026-08-18 23:16:58\"}}}\n";
    let wait = "429 Too Many Requests\nretry-after: 2\ncontent-type: application/problem+json";
    let problem = r#"{"title":"Too Many Requests","status":429,"detail":"too many","code":"too_many_requests","request_id":"r-1"}"#;
    let answers = [
        (wait, problem),
        (UNPROCESSABLE, INVALID),
        ("204 No Content", ""),
        (OK, "{}"),
    ];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(line(&requests[1]).ends_with("/holds/admin HTTP/1.1"));
    assert!(line(&requests[2]).ends_with("/holds/non_payment HTTP/1.1"));
    assert!(body(&requests[3]).ends_with(r#""suspend_at":null}"#));
}
