//! The commands for tenants and plans against a fake server: the bytes that they send, and the output for each response.

mod common;

use std::net::TcpListener;

use tenants_core::crypto::message::SigningSecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::wire::signed::{self, Unsigned};

use common::{API_KEY, CREATED, OK, Project, REQUEST_SECRET, Server, exchange};

const NO_CONTENT: &str = "204 No Content";
const TENANT: &str = r#"{"id":"a","hostname":"a.example.com","is_enabled":true,"created_at":"2026-08-17 23:15:57","updated_at":"2026-08-17 23:15:57","plan_id":null,"limits":{"Z":"1","A":"2"},"env":{},"stats":{"users":3,"files":9007199254740993,"storage_used":4},"last_job_at":null}"#;

/// Arguments, the response, and the expected request line and body.
type Case<'a> = (&'a [&'a str], (&'a str, &'a str), &'a str, &'a str);

#[test]
fn each_command_sends_its_request_and_shows_the_response() {
    let create = [
        "create",
        "--id",
        "a",
        "--hostname",
        "a.example.com",
        "--is_enabled",
        "1",
    ];
    let full = [
        "-C",
        "create",
        "--id=a",
        "--hostname=a.example.com",
        "--is_enabled=0",
        "--plan_id=p",
        r#"--limits={"A" : "1"}"#,
        "--env",
        r#"{"B":"\u00e9é"}"#,
        "--external-id=C-7",
        r#"--labels={"tier" : "gold"}"#,
        "--format=json",
    ];
    let plan = r#"{"id":"p","limits":null,"env":null,"created_at":"x","updated_at":"x"}"#;
    let cases: &[Case<'_>] = &[
        (
            &create,
            (CREATED, TENANT),
            "POST /_/api/4/tenants",
            r#"{"id":"a","hostname":"a.example.com","is_enabled":true}"#,
        ),
        (
            &full,
            (CREATED, TENANT),
            "POST /_/api/4/tenants",
            r#"{"id":"a","hostname":"a.example.com","is_enabled":false,"plan_id":"p","external_id":"C-7","labels":{"tier" : "gold"},"limits":{"A" : "1"},"env":{"B":"\u00e9é"}}"#,
        ),
        (
            &["get", "--id", "a"],
            (OK, TENANT),
            "GET /_/api/4/tenants/a",
            "",
        ),
        (
            &["get", "--external-id", "C 7", "--format=json"],
            (OK, "[{}]"),
            "GET /_/api/4/tenants?external_id=C%207&limit=1000",
            "",
        ),
        (
            &["settings", "--id", "a"],
            (OK, "{}"),
            "GET /_/api/4/tenants/a/settings",
            "",
        ),
        (
            &[
                "list",
                "--is_enabled=1",
                "--plan_id=",
                "--label=tier:gold",
                "--label=b",
                "--query=ac",
                "--limit=1",
            ],
            (OK, "[]"),
            "GET /_/api/4/tenants?plan_id=&is_enabled=true&q=ac&label=tier%3Agold&label=b&limit=1",
            "",
        ),
        (
            &[
                "list",
                "--id=a",
                "--sort",
                "-updated_at",
                "--id=B",
                "--after=2026-01-01 00:00:00,a",
            ],
            (OK, "[]"),
            "GET /_/api/4/tenants?sort=-updated_at&id=a&id=B&limit=1000&after=2026-01-01%2000%3A00%3A00%2Ca",
            "",
        ),
        (
            &["edit", "--id", "a", "--is-enabled", "false"],
            (NO_CONTENT, ""),
            "PATCH /_/api/4/tenants/a",
            r#"{"is_enabled":false}"#,
        ),
        (
            &["edit", "--id", "a", "--plan_id", "", "--limits", "null"],
            (NO_CONTENT, ""),
            "PATCH /_/api/4/tenants/a",
            r#"{"plan_id":"","limits":null}"#,
        ),
        (
            &[
                "edit",
                "--id=a",
                "--external_id=",
                "--labels",
                r#"{"a":null}"#,
            ],
            (NO_CONTENT, ""),
            "PATCH /_/api/4/tenants/a",
            r#"{"external_id":null,"labels":{"a":null}}"#,
        ),
        (
            &["plan:edit", "--id=p", "--external-id=P-1", "--labels=null"],
            (NO_CONTENT, ""),
            "PATCH /_/api/4/tenants-plans/p",
            r#"{"external_id":"P-1","labels":null}"#,
        ),
        (
            &["delete", "--id", "a"],
            (NO_CONTENT, ""),
            "DELETE /_/api/4/tenants/a",
            "",
        ),
        (
            &["delete", "--id", "a", "--drop-tables"],
            (NO_CONTENT, ""),
            "DELETE /_/api/4/tenants/a",
            r#"{"drop_tables":true}"#,
        ),
        (
            &["plan:create", "--id", "p", "--name", "P", "--limits", "{}"],
            (CREATED, plan),
            "POST /_/api/4/tenants-plans",
            r#"{"id":"p","limits":{}}"#,
        ),
        (
            &["plan:get", "--id", "p"],
            (OK, plan),
            "GET /_/api/4/tenants-plans/p",
            "",
        ),
        (
            &["plan:edit", "--id", "p", "--env", "null"],
            (NO_CONTENT, ""),
            "PATCH /_/api/4/tenants-plans/p",
            r#"{"env":null}"#,
        ),
        (
            &["plan:delete", "--id", "p"],
            (NO_CONTENT, ""),
            "DELETE /_/api/4/tenants-plans/p",
            "",
        ),
        (
            &["auth:verify"],
            (OK, r#"{"valid":true,"key":{"id":1}}"#),
            "POST /_/api/4/auth/verify",
            "",
        ),
        (
            &["config:traefik"],
            (OK, r#"{"http":{}}"#),
            "GET /_/api/4/config/traefik",
            "",
        ),
        (
            &[
                "install",
                "--id",
                "a",
                "-u",
                "admin",
                "-e",
                "a@b.example",
                "-x",
                "-secret",
            ],
            (
                CREATED,
                r#"{"id":"a","username":"admin","email":"a@b.example"}"#,
            ),
            "POST /_/api/4/tenants/a/install",
            r#"{"username":"admin","email":"a@b.example","password":"-secret"}"#,
        ),
        (
            &["user:password-reset", "--id", "a", "--username", "admin"],
            (OK, r#"{"username":"admin","password":"generated"}"#),
            "PATCH /_/api/4/tenants/a/user-password-reset",
            r#"{"username":"admin"}"#,
        ),
        (
            &[
                "-C",
                "password-reset",
                "--id",
                "a",
                "-u",
                "admin",
                "-x",
                "gr\u{fc}\u{df}e",
            ],
            (
                OK,
                "{\"username\":\"admin\",\"password\":\"gr\u{fc}\u{df}e\"}",
            ),
            "PATCH /_/api/4/tenants/a/user-password-reset",
            "{\"username\":\"admin\",\"password\":\"gr\u{fc}\u{df}e\"}",
        ),
        (&["list"], (OK, "[]"), "GET /_/api/4/tenants?limit=1000", ""),
        (
            &["list", "--limit", "7", "--after", "a/b&c"],
            (OK, "[]"),
            "GET /_/api/4/tenants?limit=7&after=a%2Fb%26c",
            "",
        ),
        (
            &["plan:list", "--limit", "20000"],
            (OK, "[]"),
            "GET /_/api/4/tenants-plans?limit=1000",
            "",
        ),
        (
            &["plan:list"],
            (OK, "[]"),
            "GET /_/api/4/tenants-plans?limit=1000",
            "",
        ),
    ];
    for (args, answer, line, body) in cases {
        let (sent_line, sent_body, run) = exchange(args, *answer);
        assert_eq!(sent_line, format!("{line} HTTP/1.1"), "{args:?}");
        assert_eq!(sent_body, *body, "{args:?}");
        assert_eq!(run.code, 0, "{args:?}: {run:?}");
    }
}

#[test]
fn the_default_format_shows_fields_and_json_the_bytes_of_the_api() {
    let (_, _, run) = exchange(&["get", "--id", "a"], (OK, TENANT));
    assert!(
        run.output
            .starts_with(" id            a\n hostname      a.example.com\n is_enabled    yes\n"),
        "{}",
        run.output
    );
    assert!(
        run.output
            .contains(" limits        Z=1\n               A=2\n env           –\n"),
        "{}",
        run.output
    );
    assert!(
        run.output.contains("files=9007199254740993\n"),
        "{}",
        run.output
    );
    let (_, _, run) = exchange(&["get", "--id", "a", "--format", "json"], (OK, TENANT));
    assert_eq!(run.output, format!("{TENANT}\n"));
    let (_, _, run) = exchange(
        &["edit", "--id", "a", "--is_enabled", "1"],
        (NO_CONTENT, ""),
    );
    assert_eq!(
        (run.output.as_str(), run.errors.as_str()),
        ("edited tenant `a`\n", "")
    );
    let (_, _, run) = exchange(
        &["--format", "json", "edit", "--id", "a", "--is_enabled", "1"],
        (NO_CONTENT, ""),
    );
    assert_eq!((run.output.as_str(), run.errors.as_str()), ("", ""));
}

#[test]
fn the_name_of_a_plan_is_accepted_with_a_warning() {
    let (_, _, run) = exchange(
        &["plan:edit", "--id", "p", "--name", "P", "--limits", "{}"],
        (NO_CONTENT, ""),
    );
    assert_eq!(run.code, 0);
    assert!(
        run.errors.starts_with("warning: --name is not sent"),
        "{}",
        run.errors
    );
}

#[test]
fn maps_are_read_from_a_file_or_standard_input_and_sent_byte_for_byte() {
    const ENV: &str = r#"{"PASSWORD" : "\u00e9é"}"#;
    let plan = (CREATED, r#"{"id":"p"}"#);
    let send = |args: &[&str], input: &str, answer: (&str, &str)| {
        let server = Server::new(&[answer]);
        let mut project = Project::calling(&server);
        std::fs::write(project.path().join("env.local"), format!("{ENV}\r\n")).unwrap();
        project.input = input.as_bytes().to_vec();
        let run = project.run(args);
        assert_eq!(run.code, 0, "{args:?}: {run:?}");
        let request = server.request();
        request.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let absolute = Project::new();
    let file = absolute.path().join("env.json");
    std::fs::write(&file, ENV).unwrap();
    let absolute = format!("@{}", file.display());
    for (args, input, body) in [
        (
            &["edit", "--id", "a", "--env", "@env.local"][..],
            "",
            format!(r#"{{"env":{ENV}}}"#),
        ),
        (
            &["edit", "--id", "a", "--env", &absolute],
            "",
            format!(r#"{{"env":{ENV}}}"#),
        ),
        (
            &["edit", "--id", "a", "--env", "-", "--limits", "{}"],
            &format!("\n{ENV}\n"),
            format!(r#"{{"limits":{{}},"env":{ENV}}}"#),
        ),
        (
            &["plan:edit", "--id", "p", "--limits=-", "--env=@env.local"],
            "null",
            format!(r#"{{"limits":null,"env":{ENV}}}"#),
        ),
    ] {
        assert_eq!(send(args, input, (NO_CONTENT, "")), body, "{args:?}");
    }
    let create = ["plan:create", "--id", "p", "--env", "-"];
    assert_eq!(
        send(&create, ENV, plan),
        format!(r#"{{"id":"p","env":{ENV}}}"#)
    );
    let create = [
        "create",
        "--id",
        "a",
        "--hostname",
        "a.example.com",
        "--is_enabled=1",
        "--env",
        "@env.local",
    ];
    assert_eq!(
        send(&create, ENV, (CREATED, TENANT)),
        format!(r#"{{"id":"a","hostname":"a.example.com","is_enabled":true,"env":{ENV}}}"#)
    );
}

#[test]
fn maps_that_cannot_be_read_are_a_usage_error_that_never_shows_them() {
    let mut project = Project::new();
    std::fs::write(project.path().join("bad.local"), "{\"A\": hunter2").unwrap();
    std::fs::write(project.path().join("latin1.local"), b"{\"A\": \"\xe9\"}").unwrap();
    std::fs::write(project.path().join("bom.local"), "\u{feff}{}").unwrap();
    std::fs::write(
        project.path().join("large.local"),
        " ".repeat(1024 * 1024 + 1),
    )
    .unwrap();
    project.input = b"hunter2".to_vec();
    for (args, reason) in [
        (&["--env", "@none.local"][..], "--env: "),
        (&["--env", "@"], "--env: "),
        (&["--env", "@."], "--env: "),
        (&["--env", "@bad.local"], "--env: expected JSON"),
        (&["--env", "@latin1.local"], "--env: "),
        (&["--env", "@bom.local"], "byte order mark"),
        (&["--limits", "@large.local"], "has more than 1048576 bytes"),
        (&["--limits", "-"], "--limits: expected JSON"),
        (
            &["--limits", "-", "--env", "-"],
            "cannot both be read from standard input",
        ),
    ] {
        let run = project.run(&[&["edit", "--id", "a"][..], args].concat());
        assert_eq!(
            (run.code, run.output.as_str()),
            (2, ""),
            "{args:?}: {run:?}"
        );
        assert!(
            run.errors.contains(reason) && !run.errors.contains("hunter2"),
            "{run:?}"
        );
    }
}

#[test]
fn a_list_is_read_page_by_page() {
    let next = "200 OK\ncontent-type: application/json\nlink: </_/api/4/tenants?limit=1000&after=b>; rel=\"next\"";
    let pages = [
        (next, r#"[{"id":"a"},{"id":"b"}]"#),
        (OK, r#"[{"id":"c","plan_id":"p"}]"#),
    ];
    let server = Server::new(&pages);
    let run = Project::calling(&server).run(&["list", "--format", "json"]);
    assert_eq!(
        run.output,
        "[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\",\"plan_id\":\"p\"}]\n"
    );
    assert!(
        server
            .request()
            .starts_with("GET /_/api/4/tenants?limit=1000 HTTP/1.1\r\n")
    );
    assert!(
        server
            .request()
            .starts_with("GET /_/api/4/tenants?limit=1000&after=b HTTP/1.1\r\n")
    );

    let server = Server::new(&pages);
    let run = Project::calling(&server).run(&["list"]);
    let lines: Vec<&str> = run.output.lines().collect();
    assert!(
        lines[0].starts_with(" ID   HOSTNAME   ENABLED   PLAN"),
        "{}",
        run.output
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_link_to_another_host_or_to_the_same_page_is_not_followed() {
    for link in [
        "https://evil.example/",
        "//evil.example/",
        "/_/api/4/tenants?limit=1000",
    ] {
        let head = format!("{OK}\nlink: <{link}>; rel=\"next\"");
        let server = Server::new(&[(&head, "[]")]);
        let run = Project::calling(&server).run(&["list"]);
        assert_eq!((run.code, run.output.as_str()), (3, ""), "{link}");
    }
}

#[test]
fn a_refusal_is_shown_with_all_its_details() {
    let problem = r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"2 fields are not as expected","code":"invalid","request_id":"r-1","errors":[{"pointer":"/id","detail":"expected 1 to 16"},{"pointer":"/hostname","detail":"expected a name"}]}"#;
    let head = "422 Unprocessable Content\ncontent-type: application/problem+json";
    let args = [
        "create",
        "--id",
        "_",
        "--hostname",
        "_",
        "--is_enabled",
        "1",
    ];
    let (_, _, run) = exchange(&args, (head, problem));
    assert_eq!((run.code, run.output.as_str()), (1, ""));
    assert_eq!(
        run.errors,
        "error: Unprocessable Content: 2 fields are not as expected\n  /id: expected 1 to 16\n  /hostname: expected a name\n  \
         (status 422, code invalid, request id r-1)\n"
    );
    let (_, _, run) = exchange(
        &[&args[..], &["--format", "json"]].concat(),
        (head, problem),
    );
    assert_eq!((run.code, run.output.as_str()), (1, ""));
    assert_eq!(run.errors, format!("{problem}\n"));
}

#[test]
fn a_401_names_the_sources_of_key_and_secret_and_not_their_values() {
    let problem = r#"{"title":"Unauthorized","status":401,"detail":"no","code":"unauthorized","request_id":"r-1"}"#;
    let (_, _, run) = exchange(&["auth:verify"], ("401 Unauthorized", problem));
    assert_eq!(run.code, 1);
    assert!(run.errors.ends_with("the key came from TENANTS_API_KEY, the request secret from CHEVERETO_TENANTS_API_REQUEST_SECRET\n"), "{}", run.errors);
    assert!(!run.errors.contains(API_KEY) && !run.errors.contains(REQUEST_SECRET));
}

#[test]
fn a_bound_key_signs_whole_requests_and_needs_no_request_secret() {
    let server = Server::new(&[(OK, "{}")]);
    let mut project = Project::calling(&server).without("CHEVERETO_TENANTS_API_REQUEST_SECRET");
    let secret = ("TENANTS_SIGNING_SECRET", "a signing secret".into());
    project.variables.push(secret);
    let run = project.run(&[
        "create",
        "--id",
        "a",
        "--hostname",
        "a.example.com",
        "--is_enabled",
        "1",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let request = server.request();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let get = |name| common::header(head, name);
    assert_eq!(get("x-signature"), None, "{head}");
    let input = get("signature-input")
        .unwrap()
        .strip_prefix("sig=")
        .unwrap();
    let (cover, rest) = input.split_once(";created=").unwrap();
    assert_eq!(
        cover,
        r#"("@method" "@target-uri" "x-api-key" "content-digest" "idempotency-key")"#
    );
    // The signature, made anew from what arrived.
    let secret = SigningSecret::new(&Secret::new("a signing secret".into()));
    let url = format!("http://{}/_/api/4/tenants", get("host").unwrap());
    let signed = signed::sign(
        &secret,
        &Unsigned {
            method: "POST",
            origin: url.strip_suffix("/_/api/4/tenants").unwrap(),
            target: "/_/api/4/tenants",
            key: API_KEY,
            headers: &[("idempotency-key", get("idempotency-key").unwrap())],
            body: body.as_bytes(),
            nonce: None,
        },
        rest.split(';').next().unwrap().parse().unwrap(),
    );
    assert_eq!(get("signature"), Some(signed.signature.as_str()));
    assert_eq!(get("content-digest"), signed.content_digest.as_deref());
    assert!(!run.errors.contains("a signing secret"));
}

#[test]
fn a_failure_of_the_service_exits_with_3() {
    let problem = r#"{"title":"Internal Server Error","status":500,"detail":"it failed","code":"internal","request_id":"r-1"}"#;
    for (head, body) in [
        ("500 Internal Server Error", problem),
        ("502 Bad Gateway", "<html>"),
        (
            "301 Moved Permanently\nlocation: https://evil.example/",
            "moved",
        ),
        (OK, "<html>not the API</html>"),
    ] {
        let (_, _, run) = exchange(&["get", "--id", "a"], (head, body));
        assert_eq!((run.code, run.output.as_str()), (3, ""), "{head}");
        assert!(
            run.errors.contains("request id ") && !run.errors.contains("<html>"),
            "{}",
            run.errors
        );
    }
}

#[test]
fn an_unreachable_api_exits_with_3_and_suggests_a_next_step() {
    // Nothing listens on this port: it was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let run = Project::new().run(&["list", "--url", &url]);
    assert_eq!((run.code, run.output.as_str()), (3, ""));
    assert!(run.errors.contains("npm start"), "{}", run.errors);
    let run = Project::new().run(&["list", "--url", &url, "--format", "json"]);
    assert!(
        run.errors.contains(r#""code":"unreachable""#),
        "{}",
        run.errors
    );
    assert_eq!(run.errors.lines().count(), 1);
}

#[test]
fn a_missing_setting_exits_with_4_and_is_named() {
    let run = Project::new().without("TENANTS_API_KEY").run(&["list"]);
    assert_eq!(run.code, 4);
    assert!(run.errors.contains("TENANTS_API_KEY"), "{}", run.errors);
    let run = Project::new()
        .without("CHEVERETO_TENANTS_API_REQUEST_SECRET")
        .run(&["list"]);
    assert_eq!(run.code, 4);
    assert!(
        run.errors.contains("CHEVERETO_TENANTS_API_REQUEST_SECRET"),
        "{}",
        run.errors
    );
}

#[test]
fn a_wrong_command_line_exits_with_2_before_anything_is_sent() {
    let project = Project::new();
    for args in [
        &["nonsense"][..],
        &["get"],
        &["get", "--id", "../plans"],
        &["get", "--id", ""],
        &[
            "create",
            "--id",
            "a",
            "--hostname",
            "a",
            "--is_enabled",
            "2",
        ],
        &["create", "--id", "a", "--hostname", "a"],
        &["edit", "--id", "a", "--env", "{hunter2"],
        &["list", "--url", "ftp://a"],
        &["list", "--format", "xml"],
        &["api:key:delete"],
        &["api:key:delete", "--id", "0"],
        &["api:key:create", "--expires", "tomorrow"],
        &["api:key:create", "--expires", "2026-08-18 23:16:57"],
        &["api:key:create", "--name", ""],
        &["api:key:list", "--local", "--remote"],
    ] {
        let run = project.run(args);
        assert_eq!(
            (run.code, run.output.as_str()),
            (2, ""),
            "{args:?}: {run:?}"
        );
        assert!(
            !run.errors.is_empty() && !run.errors.contains("hunter2"),
            "{args:?}: {run:?}"
        );
    }
    let run = project.run(&["get", "--format", "json"]);
    assert!(
        run.errors.starts_with(r#"{"title":"Usage","#),
        "{}",
        run.errors
    );
}

/// The HTTP library would connect to port 80 of the first two.
#[test]
fn an_address_that_is_not_exact_is_never_called() {
    for url in [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:88x",
        "http://127.0.0.1:",
        "http://127.0.0.1:0",
        "http://127.0.0.1:+80",
        "http://user@127.0.0.1",
        "http://127.0.0.1#fragment",
        "http://127.0.0.1?query",
        "http://:80",
        "http://127.1",
        "http://[::1",
        "http://local host",
    ] {
        let run = Project::new().run(&["list", "--url", url]);
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{url}: {run:?}");
        assert!(
            run.errors
                .starts_with("error: --url: expected the API's address"),
            "{run:?}"
        );
        let mut project = Project::new();
        project.variables.push(("TENANTS_URL", url.into()));
        let run = project.run(&["list"]);
        assert_eq!((run.code, run.output.as_str()), (4, ""), "{url}: {run:?}");
    }
    let run = Project::new().run(&["list", "--url", "http://127.0.0.1:99999"]);
    assert!(
        run.errors.contains("with a port from 1 to 65535"),
        "{run:?}"
    );
}

#[test]
fn a_body_is_signed_byte_for_byte() {
    #[derive(serde::Deserialize)]
    struct Vector {
        secret: String,
        body: String,
        signature: String,
    }
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tests/vectors/signatures.json")).unwrap();
    for vector in vectors {
        let mut project = Project::new();
        project.input = vector.body.into_bytes();
        let run = project.run(&["sign", "--request-secret", &vector.secret]);
        assert_eq!(run.output, format!("{}\n", vector.signature));
        let run = project.run(&[
            "sign",
            "--request-secret",
            &vector.secret,
            "--format",
            "json",
        ]);
        assert_eq!(
            run.output,
            format!("{{\"signature\":\"{}\"}}\n", vector.signature)
        );
    }
}

/// The API refuses a short secret, but another API may have one.
#[test]
fn a_body_is_signed_with_a_secret_of_any_length() {
    let run = Project::new().run(&["sign", "--request-secret", "secret"]);
    assert_eq!(
        run.output,
        "f9e66e179b6747ae54108f82f8ade8b3c25d76fd30afde6c395822c530196169\n"
    );
}

/// A job of the cell `eu` in this state.
fn job(state: &str, error: &str, result: &str) -> String {
    format!(
        r#"{{"id":"j1","tenant_id":"a","cell_id":"eu","kind":"install","state":"{state}","error":{error},"result":{result}}}"#
    )
}

#[test]
fn the_commands_that_a_cell_carries_out_wait_for_its_job_and_say_how_it_goes() {
    let install: &[&str] = &[
        "install",
        "--id",
        "a",
        "-u",
        "admin",
        "-e",
        "a@b.example",
        "-x",
        "secret",
    ];
    let delete: &[&str] = &["delete", "--id", "a", "--drop-tables"];
    for (args, said) in [
        (install, "installed the site of the tenant `a`"),
        (delete, "deleted tenant `a`"),
    ] {
        let (waiting, running, done) = (
            job("waiting", "null", "null"),
            job("running", "null", "null"),
            job("done", "null", "null"),
        );
        let server = Server::new(&[("202 Accepted", &waiting), (OK, &running), (OK, &done)]);
        let run = Project::calling(&server).run(args);
        assert_eq!(run.code, 0, "{}", run.errors);
        let states = ["waiting", "running", "done"];
        let lines = states.map(|state| format!("job j1 on cell `eu`: {state}\n"));
        assert!(run.errors.ends_with(&lines.concat()), "{}", run.errors);
        assert!(run.output.contains(said), "{}", run.output);
        server.request();
        for _ in 0..2 {
            let text = server.request();
            assert!(text.starts_with("GET /_/api/4/jobs/j1 HTTP/1.1"), "{text}");
        }
    }
    let failed = job("failed", r#""no room""#, "null");
    let server = Server::new(&[("202 Accepted", &failed)]);
    let run = Project::calling(&server).run(install);
    assert_ne!(run.code, 0);
    assert!(
        run.errors.contains("the job j1 failed: no room"),
        "{}",
        run.errors
    );
}
