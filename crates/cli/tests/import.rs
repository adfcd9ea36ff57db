//! `import` and `export`, against a fake server.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{
    CREATED, INVALID, OK, Project, Server, UNPROCESSABLE, Unread, body, header, import, line,
};
use serde_json::{Value as Json, json};

const UNAVAILABLE: &str = "503 Service Unavailable\ncontent-type: application/problem+json";
const BUSY: &str = r#"{"title":"Service Unavailable","status":503,"detail":"busy","code":"unavailable","request_id":"r-1"}"#;

#[test]
fn plans_are_made_so_before_tenants_each_by_a_put_with_a_key_of_its_own() {
    let text = "{\"id\":\"a\",\"hostname\":\"a.example.com\",\"is_enabled\":true,\"plan_id\":\"p\"}\n\
                {\"type\":\"plan\",\"id\":\"p\",\"limits\":{\"A\":\"1\"}}\n\
                {\"id\":\"b\",\"hostname\":\"b.example.com\",\"is_enabled\":0}\n";
    let answers = [(CREATED, "{}"), (CREATED, "{}"), (OK, "{}")];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        run.output,
        "plans: 1 created, 0 were there and are as the file says, 0 refused\n\
         tenants: 1 created, 1 were there and are as the file says, 0 refused\n"
    );
    assert!(
        run.errors.contains("importing tenants: 2 of 2"),
        "{}",
        run.errors
    );
    let sent: Vec<(&str, &str)> = requests.iter().map(|r| (line(r), body(r))).collect();
    assert_eq!(
        sent,
        [
            (
                "PUT /_/api/4/tenants-plans/p HTTP/1.1",
                r#"{"limits":{"A":"1"}}"#
            ),
            (
                "PUT /_/api/4/tenants/a HTTP/1.1",
                r#"{"hostname":"a.example.com","is_enabled":true,"plan_id":"p"}"#
            ),
            (
                "PUT /_/api/4/tenants/b HTTP/1.1",
                r#"{"hostname":"b.example.com","is_enabled":false}"#
            ),
        ]
    );
    let keys: Vec<&str> = requests
        .iter()
        .map(|request| header(request, "idempotency-key").unwrap())
        .collect();
    assert!(keys[0].ends_with("-2") && keys[1].ends_with("-1") && keys[2].ends_with("-3"));
}

#[test]
fn a_refused_line_is_named_with_the_reason_and_the_others_are_imported() {
    let text = "{\"id\":\"a\",\"hostname\":\"a..b\",\"is_enabled\":true}\n\
                {\"id\":\"a/b\"}\nhunter2\n\
                {\"id\":\"A\",\"hostname\":\"c\",\"is_enabled\":true}\n\
                {\"id\":\"d\",\"hostname\":\"A..B\",\"is_enabled\":true}\n\
                {\"id\":\"e\",\"hostname\":\"e\",\"is_enabled\":true}\n";
    let answers = [(UNPROCESSABLE, INVALID), (CREATED, "{}")];
    let (run, _) = import(text, &[], &answers);
    assert_eq!(run.code, 1);
    assert_eq!(
        run.output,
        "tenants: 1 created, 0 were there and are as the file says, 5 refused\n"
    );
    for part in [
        "line 1, tenant `a`: error: Unprocessable Content: one field is not as expected\n  /hostname: expected a DNS name\n",
        "line 2, tenant `a/b`: error: id: expected",
        "line 3, tenant: error: expected one JSON object a line; found an error at column 1\n",
        "line 4, tenant `A`: error: id: line 1 has the same\n",
        "line 5, tenant `d`: error: hostname: line 1 has the same\n",
        "error: 5 of the file's lines were refused",
    ] {
        assert!(run.errors.contains(part), "{part}: {}", run.errors);
    }
    assert!(!run.errors.contains("hunter2"));

    let (run, _) = import(text, &["--format=json"], &answers);
    let report: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(
        report["tenants"],
        json!({"created": 1, "existing": 0, "valid": 0, "refused": 5})
    );
    let lines: Vec<&Json> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["line"])
        .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    let first = &report["refused"][0];
    assert_eq!(
        (&first["type"], &first["id"], &first["status"]),
        (&json!("tenant"), &json!("a"), &json!(422))
    );
    assert_eq!(first["errors"][0]["pointer"], "/hostname");
}

#[test]
fn a_dry_run_only_asks_and_knows_the_plans_of_the_file() {
    let text = "{\"type\":\"plan\",\"id\":\"P\"}\n{\"type\":\"plan\",\"id\":\"bad\"}\n\
                {\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true,\"plan_id\":\"p\"}\n\
                {\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true,\"plan_id\":\"other\"}\n\
                {\"id\":\"c\",\"hostname\":\"c\",\"is_enabled\":true,\"plan_id\":\"bad\"}\n";
    let valid = (OK, r#"{"valid":true}"#);
    let refused = (UNPROCESSABLE, INVALID);
    // Tenant c has a plan whose line is refused. Whether the plan is there already, the API knows.
    let answers = [valid, refused, valid, valid, refused];
    let (run, requests) = import(text, &["--dry-run"], &answers);
    assert_eq!(run.code, 1);
    assert_eq!(
        run.output,
        "plans: 1 would be accepted, 1 refused; nothing was written\n\
         tenants: 2 would be accepted, 1 refused; nothing was written\n"
    );
    assert!(run.errors.contains("line 5, tenant `c`"), "{}", run.errors);
    assert!(
        requests
            .iter()
            .all(|request| line(request).ends_with("?validate_only=true HTTP/1.1"))
    );
    assert_eq!(body(&requests[2]), r#"{"hostname":"a","is_enabled":true}"#);
    assert!(body(&requests[3]).contains(r#""plan_id":"other""#));
    assert!(body(&requests[4]).contains(r#""plan_id":"bad""#));

    let (run, _) = import(text, &["--dry-run"], &[valid, refused, valid, valid, valid]);
    assert_eq!(
        run.output,
        "plans: 1 would be accepted, 1 refused; nothing was written\n\
         tenants: 3 would be accepted, 0 refused; nothing was written\n"
    );
}

#[test]
fn a_failure_that_passes_is_tried_again_under_the_same_key() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true}\n";
    let answers = [(UNAVAILABLE, BUSY), (CREATED, "{}")];
    let (run, requests) = import(text, &[], &answers);
    assert_eq!(run.code, 0, "{run:?}");
    let key = |at: usize| header(&requests[at], "idempotency-key").unwrap();
    assert_eq!(key(0), key(1));
    assert_eq!(body(&requests[0]), body(&requests[1]));
}

#[test]
fn an_import_waits_as_long_as_a_limit_of_requests_asks() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true}\n{\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true}\n";
    let head = |seconds: u8| {
        format!(
            "429 Too Many Requests\nretry-after: {seconds}\ncontent-type: application/problem+json"
        )
    };
    let problem = r#"{"title":"Too Many Requests","status":429,"detail":"too many","code":"too_many_requests","request_id":"r-1"}"#;
    let (wait, at_once) = (head(1), head(0));
    for (options, done) in [
        (&[][..], (CREATED, "{}")),
        (&["--dry-run"], (OK, r#"{"valid":true}"#)),
    ] {
        let begun = Instant::now();
        let answers = [
            (wait.as_str(), problem),
            done,
            (at_once.as_str(), problem),
            done,
        ];
        let (run, requests) = import(text, options, &answers);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        let note = "The API takes no more requests of this key for now. Going on in 1 s";
        assert!(run.errors.contains(note), "{}", run.errors);
        let key = |at: usize| header(&requests[at], "idempotency-key");
        assert_eq!((key(0), key(2)), (key(1), key(3)));
    }
    // Nobody gets through: the import stops at last.
    let (run, _) = import(text, &[], &[(at_once.as_str(), problem); 6]);
    assert_eq!(run.code, 3);
    assert!(run.errors.contains("status 429"), "{}", run.errors);
}

#[test]
fn a_caller_that_may_not_write_stops_the_import() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true}\n{\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true}\n";
    for status in [401, 403, 404, 405] {
        let head = format!("{status} Refused\ncontent-type: application/problem+json");
        let problem = format!(
            r#"{{"title":"Refused","status":{status},"detail":"no","code":"no","request_id":"r-1"}}"#
        );
        let (run, _) = import(text, &[], &[(&head, &problem)]);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.errors.contains("Run it again"), "{}", run.errors);
        assert_eq!(run.output, "");
    }
    let mut project = Project::new();
    for (text, options) in [
        ("", &[][..]),
        ("id,id\n", &[]),
        ("{}", &["--chevereto-key=hunter2"]),
    ] {
        project.input = text.into();
        let run = project.run(&[&["import", "-"], options].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(!run.errors.contains("hunter2"), "{}", run.errors);
    }
}

#[test]
fn an_import_that_stops_reports_what_it_did() {
    let text = "{\"id\":\"a/b\"}\n{\"id\":\"b\",\"hostname\":\"b..b\",\"is_enabled\":true}\n\
                {\"id\":\"c\",\"hostname\":\"c\",\"is_enabled\":true}\n{\"id\":\"d\",\"hostname\":\"d\",\"is_enabled\":true}\n";
    let revoked = "401 Unauthorized\ncontent-type: application/problem+json";
    let problem = r#"{"title":"Unauthorized","status":401,"detail":"no","code":"unauthorized","request_id":"r-1"}"#;
    let answers = [
        (UNPROCESSABLE, INVALID),
        (CREATED, "{}"),
        (revoked, problem),
    ];
    let (run, _) = import(text, &["--format=json"], &answers);
    assert_eq!(run.code, 3, "more than the refused lines is not done");
    let report: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(report["stopped"], true);
    assert_eq!(
        report["tenants"],
        json!({"created": 1, "existing": 0, "valid": 0, "refused": 2})
    );
    let refused = report["refused"].as_array().unwrap();
    let lines: Vec<&Json> = refused.iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [1, 2]);
    assert!(run.errors.contains(problem), "{}", run.errors);

    let (run, _) = import(text, &[], &answers);
    assert_eq!(run.code, 3);
    assert_eq!(
        run.output,
        "tenants: 1 created, 0 were there and are as the file says, 2 refused\n"
    );
    for part in [
        "line 1, tenant `a/b`: ",
        "line 2, tenant `b`: ",
        "The import stopped",
        "status 401",
    ] {
        assert!(run.errors.contains(part), "{part}: {}", run.errors);
    }
}

#[test]
fn what_was_refused_is_said_even_if_nobody_reads_the_report() {
    let text = "{\"id\":\"a\",\"hostname\":\"b..b\",\"is_enabled\":true}\n";
    for (format, answer, code) in [
        ("table", (UNPROCESSABLE, INVALID), 1),
        ("json", (UNPROCESSABLE, INVALID), 1),
        ("json", (CREATED, "{}"), 3),
    ] {
        let server = Server::new(&[answer]);
        let mut project = Project::calling(&server);
        project.input = text.into();
        let run = project.run_into(&mut Unread, &["import", "-", "--format", format]);
        assert_eq!(run.code, code, "{format}: {run:?}");
        let is_refused = code == 1;
        for part in ["line 1, tenant `a`: ", "1 of the file's lines"] {
            assert_eq!(run.errors.contains(part), is_refused, "{}", run.errors);
        }
    }
}

#[test]
fn a_line_that_is_too_large_for_a_request_is_refused_by_its_number() {
    let text = "{\"id\":\"a\",\"hostname\":\"a\",\"is_enabled\":true}\n{\"id\":\"b\",\"hostname\":\"b\",\"is_enabled\":true}\n";
    let large = "413 Content Too Large\ncontent-type: application/problem+json";
    let problem = r#"{"title":"Content Too Large","status":413,"detail":"too large","code":"payload_too_large","request_id":"r-1"}"#;
    let (run, _) = import(text, &[], &[(large, problem), (CREATED, "{}")]);
    assert_eq!(run.code, 1);
    assert!(
        run.errors
            .contains("line 1, tenant `a`: error: Content Too Large: too large"),
        "{}",
        run.errors
    );
}

#[test]
fn an_export_is_read_page_by_page_and_is_an_import() {
    let page = |rows: &str, next: &str| match next {
        "" => (OK.to_owned(), rows.to_owned()),
        next => (
            format!("{OK}\nlink: <{next}>; rel=\"next\""),
            rows.to_owned(),
        ),
    };
    let pages = [
        page(r#"[{"id":"p","limits":null}]"#, ""),
        page(
            r#"[{"id":"a","hostname":"a","env":{"A":"\u00e9"}}]"#,
            "/_/api/4/tenants?limit=1000&after=a",
        ),
        page(r#"[{"id":"b","hostname":"b"}]"#, ""),
        // The further hostnames of a and b. A failure that passes is tried again.
        (UNAVAILABLE.to_owned(), BUSY.to_owned()),
        page("[]", ""),
        page(
            r#"[{"hostname":"c","kind":"alias","claimed_until":null}]"#,
            "",
        ),
    ];
    let pages: Vec<(&str, &str)> = pages
        .iter()
        .map(|(h, b)| (h.as_str(), b.as_str()))
        .collect();
    let server = Server::new(&pages);
    let project = Project::calling(&server);
    let run = project.run(&["export", "--output=out.jsonl", "--jobs=1"]);
    assert_eq!(
        (
            run.code,
            run.output.ends_with("out.jsonl: 1 plans and 2 tenants\n")
        ),
        (0, true),
        "{run:?}"
    );
    let file = project.path().join("out.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        "{\"type\":\"plan\",\"id\":\"p\",\"limits\":null}\n\
         {\"type\":\"tenant\",\"id\":\"a\",\"hostname\":\"a\",\"env\":{\"A\":\"\\u00e9\"}}\n\
         {\"type\":\"tenant\",\"id\":\"b\",\"hostname\":\"b\",\"hostnames\":[{\"hostname\":\"c\",\"kind\":\"alias\",\"claimed_until\":null}]}\n"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let (run, requests) = import(&text, &[], &[(CREATED, "{}"); 4]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        line(&requests[3]),
        "PUT /_/api/4/tenants/b/hostnames/c HTTP/1.1"
    );
    let run = project.run(&["export", "--output=out.jsonl"]);
    assert_eq!(run.code, 2, "the file is there");
}
