//! `--validate-only`, `--if-match` and `--etag`: the requests that they make, and what is shown.

mod common;

use common::{OK, Project, Server, Unread, exchange, header};

const NO_CONTENT: &str = "204 No Content";
const VALID: &str = r#"{"valid":true}"#;

/// Every command that writes through the API, and its request.
const WRITES: &[(&[&str], &str)] = &[
    (
        &[
            "create",
            "--id=a",
            "--hostname=a.example.com",
            "--is_enabled=1",
        ],
        "POST /_/api/4/tenants",
    ),
    (
        &["edit", "--id=a", "--is_enabled=0"],
        "PATCH /_/api/4/tenants/a",
    ),
    (&["delete", "--id=a"], "DELETE /_/api/4/tenants/a"),
    (
        &["delete", "--id=a", "--drop-tables"],
        "DELETE /_/api/4/tenants/a",
    ),
    (
        &["hold", "--id=a", "--kind=abuse", "--reason=phishing"],
        "PUT /_/api/4/tenants/a/holds/abuse",
    ),
    (
        &["release", "--id=a", "--kind=abuse"],
        "DELETE /_/api/4/tenants/a/holds/abuse",
    ),
    (
        &["hostname:add", "--id=a", "--hostname=B.example"],
        "PUT /_/api/4/tenants/a/hostnames/b.example",
    ),
    (
        &["hostname:verify", "--id=a", "--hostname=b.example"],
        "POST /_/api/4/tenants/a/hostnames/b.example/verify",
    ),
    (
        &["hostname:delete", "--id=a", "--hostname=b.example"],
        "DELETE /_/api/4/tenants/a/hostnames/b.example",
    ),
    (
        &[
            "install",
            "--id=a",
            "-u=admin",
            "-e=a@b.example",
            "-x=secret",
        ],
        "POST /_/api/4/tenants/a/install",
    ),
    (
        &["user:password-reset", "--id=a", "-u=admin"],
        "PATCH /_/api/4/tenants/a/user-password-reset",
    ),
    (
        &["user:password-reset", "--id=a", "-u=admin", "-x=secret"],
        "PATCH /_/api/4/tenants/a/user-password-reset",
    ),
    (&["plan:create", "--id=p"], "POST /_/api/4/tenants-plans"),
    (
        &["plan:edit", "--id=p", "--limits=null"],
        "PATCH /_/api/4/tenants-plans/p",
    ),
    (
        &["plan:delete", "--id=p"],
        "DELETE /_/api/4/tenants-plans/p",
    ),
    (
        &["api:key:edit", "--id=7", "--name=ci"],
        "PATCH /_/api/4/keys/7",
    ),
    (&["cell:create", "--id=eu"], "PUT /_/api/4/cells/eu"),
    (&["cell:delete", "--id=eu"], "DELETE /_/api/4/cells/eu"),
    (&["job:cancel", "--id=7"], "POST /_/api/4/jobs/7/cancel"),
    (
        &["webhook:create", "--receiver=https://a.example"],
        "POST /_/api/4/webhooks",
    ),
    (
        &["webhook:edit", "--id=7", "--is_enabled=0"],
        "PATCH /_/api/4/webhooks/7",
    ),
    (&["webhook:delete", "--id=7"], "DELETE /_/api/4/webhooks/7"),
    (
        &["webhook:rotate", "--id=7"],
        "POST /_/api/4/webhooks/7/rotate",
    ),
    (
        &["webhook:retry", "--id=7", "--event=e.1"],
        "POST /_/api/4/webhooks/7/deliveries/e.1/retry",
    ),
];

#[test]
fn every_write_can_be_tried_and_says_so() {
    for (args, line) in WRITES {
        let trial = [args, &["--validate-only"][..]].concat();
        let (sent, _, run) = exchange(&trial, (OK, VALID));
        assert_eq!(sent, format!("{line}?validate_only=true HTTP/1.1"));
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{args:?}");
        assert_eq!(run.output.trim(), "valid   yes", "{args:?}");
        let trial = [args, &["--validate_only", "--format=json"][..]].concat();
        let (_, _, run) = exchange(&trial, (OK, VALID));
        assert_eq!(run.output, format!("{VALID}\n"), "{args:?}");
        let problem = r#"{"title":"Conflict","status":409,"detail":"taken","code":"conflict","request_id":"r-1"}"#;
        let (_, _, run) = exchange(&trial, ("409 Conflict", problem));
        assert_eq!((run.code, run.output.as_str()), (1, ""), "{args:?}");
    }
    for command in ["get", "list", "plan:get", "cell:get", "job:get", "import"] {
        let run = Project::new().run(&[command, "--id=a", "--validate-only"]);
        assert_eq!(run.code, 2, "{command} writes nothing");
    }
}

#[test]
fn what_has_versions_can_be_changed_and_deleted_under_a_condition() {
    let has_versions = |line: &str| {
        ["/tenants/a", "-plans/p", "/holds/abuse", "/b.example"]
            .iter()
            .any(|end| line.ends_with(end))
    };
    let mut conditional = 0;
    for (args, line) in WRITES {
        for value in ["\"b2c1.7-1\"", "*", "\"a-1\", \"b-2\""] {
            let args = [args, &["--if-match", value][..]].concat();
            if !has_versions(line) {
                assert_eq!(Project::new().run(&args).code, 2, "{args:?}");
                continue;
            }
            conditional += 1;
            let shown = line.starts_with("PUT") && line.contains("/hostnames/");
            let answer = if shown { (OK, "{}") } else { (NO_CONTENT, "") };
            let server = Server::new(&[answer]);
            let run = Project::calling(&server).run(&args);
            assert_eq!(run.code, 0, "{args:?}: {run:?}");
            let request = server.request();
            assert!(request.starts_with(line), "{request}");
            assert_eq!(header(&request, "if-match"), Some(value));
        }
    }
    assert_eq!(conditional, 9 * 3);
    for value in ["", "\"a\"\r\nx: y", "\"é\""] {
        let run = Project::new().run(&["delete", "--id=a", "--if-match", value]);
        assert_eq!(run.code, 2, "{value:?}");
        assert!(run.errors.contains("--if-match"), "{run:?}");
    }
}

#[test]
fn a_bound_key_signs_the_condition() {
    let server = Server::new(&[(NO_CONTENT, "")]);
    let mut project = Project::calling(&server).without("CHEVERETO_TENANTS_API_REQUEST_SECRET");
    let secret = ("TENANTS_SIGNING_SECRET", "a signing secret".into());
    project.variables.push(secret);
    let run = project.run(&["delete", "--id=a", "--if-match=*"]);
    assert_eq!(run.code, 0, "{run:?}");
    let request = server.request();
    let input = header(&request, "signature-input").unwrap_or_default();
    let covered = r#"sig=("@method" "@target-uri" "x-api-key" "idempotency-key" "if-match");"#;
    assert!(input.starts_with(covered), "{input}");
}

#[test]
fn the_version_alone_is_shown_for_the_next_write() {
    let with_etag = "200 OK\ncontent-type: application/json\netag: \"b2c1.7-1\"";
    for command in ["get", "plan:get"] {
        let args = [command, "--id=a", "--etag"];
        let (_, _, run) = exchange(&args, (with_etag, "{}"));
        assert_eq!((run.code, run.output.as_str()), (0, "\"b2c1.7-1\"\n"));
        let (_, _, run) = exchange(&args, (OK, "{}"));
        assert_eq!((run.code, run.output.as_str()), (3, ""));
    }
    let run = Project::new().run(&["get", "--external-id=e", "--etag"]);
    assert_eq!(run.code, 2, "a list has no version");
}

#[test]
fn times_and_protection_are_sent_as_the_options_say() {
    let given = [
        "edit",
        "--id=a",
        "--suspend-at=2027-01-31 04:00:00",
        "--delete-at=",
        "--deletion-protection=1",
    ];
    let (sent, body, run) = exchange(&given, (NO_CONTENT, ""));
    assert_eq!(sent, "PATCH /_/api/4/tenants/a HTTP/1.1");
    let expected =
        r#"{"suspend_at":"2027-01-31 04:00:00","delete_at":null,"deletion_protection":true}"#;
    assert_eq!((body.as_str(), run.code), (expected, 0), "{run:?}");
}

#[test]
fn a_deleted_tenant_is_brought_back() {
    let (sent, body, run) = exchange(&["undelete", "--id=a"], ("200 OK", "{}"));
    assert_eq!(sent, "POST /_/api/4/tenants/a/restore HTTP/1.1");
    assert_eq!((body.as_str(), run.code), ("", 0), "{run:?}");
    let (sent, _, run) = exchange(&["list", "--deleted", "--limit=5"], ("200 OK", "[]"));
    assert!(
        sent.starts_with("GET /_/api/4/tenants?deleted=true&limit="),
        "{sent}"
    );
    assert_eq!(run.code, 0, "{run:?}");
    let (sent, _, run) = exchange(&["erase", "--id=a"], ("200 OK", r#"{"erased":true}"#));
    assert_eq!(sent, "POST /_/api/4/tenants/a/erase HTTP/1.1");
    assert_eq!(run.code, 0, "{run:?}");
    let run = Project::new().run(&["list", "--deleted", "--query=a"]);
    assert_eq!(run.code, 2);
}

#[test]
fn a_key_gets_another_name_or_another_end() {
    for (given, expected) in [
        (&["--name=ci"][..], r#"{"name":"ci"}"#),
        (&["--name="], r#"{"name":null}"#),
        (
            &["--expires=2027-01-31 00:00:00"],
            r#"{"expires_at":"2027-01-31 00:00:00"}"#,
        ),
        (
            &["--name", "a b", "--expires", ""],
            r#"{"name":"a b","expires_at":null}"#,
        ),
    ] {
        let edit = [&["api:key:edit", "--id=7"][..], given].concat();
        let (sent, body, run) = exchange(&edit, (NO_CONTENT, ""));
        assert_eq!(sent, "PATCH /_/api/4/keys/7 HTTP/1.1");
        assert_eq!((body.as_str(), run.code), (expected, 0), "{run:?}");
        assert_eq!(run.output, "edited key 7\n");
    }
    for bad in [
        &["api:key:edit", "--id=7"][..],
        &["api:key:edit", "--name=ci"],
        &["api:key:edit", "--id=0", "--name=ci"],
        &["api:key:edit", "--id=7", "--expires=soon"],
        &["api:key:edit", "--id=7", "--name=a", "--remote"],
    ] {
        assert_eq!(Project::new().run(bad).code, 2, "{bad:?}");
    }
}

/// So a lost answer can be asked for again, and nothing is done twice.
#[test]
fn each_write_has_a_key_of_its_own() {
    for args in [
        &["hold", "--id=a", "--kind=abuse", "--reason=r"][..],
        &["hostname:add", "--id=a", "--hostname=b.example"],
        &["cell:create", "--id=eu"],
        &["delete", "--id=a"],
    ] {
        let server = Server::new(&[(OK, "{}")]);
        Project::calling(&server).run(args);
        let request = server.request();
        let (head, _) = request.split_once("\r\n\r\n").unwrap();
        let id = header(head, "x-request-id").unwrap();
        let key = header(head, "idempotency-key");
        assert_eq!(key, Some(format!("\"{id}\"")).as_deref(), "{head}");
    }
}

#[test]
fn a_hold_has_what_the_options_say() {
    let given = [
        "hold",
        "--id=a",
        "--kind=non_payment",
        "--reason=invoice 7",
        "--message=Paused.",
        "--until=2027-01-31 04:00:00",
    ];
    let (sent, body, run) = exchange(&given, (NO_CONTENT, ""));
    assert_eq!(sent, "PUT /_/api/4/tenants/a/holds/non_payment HTTP/1.1");
    let expected = r#"{"reason":"invoice 7","message":"Paused.","until":"2027-01-31 04:00:00"}"#;
    assert_eq!((body.as_str(), run.code), (expected, 0), "{run:?}");
    let (_, body, _) = exchange(&given[..4], (NO_CONTENT, ""));
    assert_eq!(body, r#"{"reason":"invoice 7"}"#);
    let run = Project::new().run(&["release", "--id=a", "--kind=debt"]);
    assert_eq!(run.code, 2);
    assert!(run.errors.contains("non_payment"), "{run:?}");
}

#[test]
fn webhooks_are_made_changed_listed_and_tried() {
    let one = r#"{"id":"0f1e","url":"https://a.example/hooks","types":["tenant.*"],"description":null,"is_enabled":true,"failing_since":null,"behind":2,"created_at":"2026-08-18 23:16:57","updated_at":"2026-08-18 23:16:57","secret":"whsec_abc"}"#;
    let create = [
        "webhook:create",
        "--receiver=https://a.example/hooks",
        "--type=tenant.*",
        "--type=plan.deleted",
    ];
    let (sent, body, run) = exchange(&create, ("201 Created", one));
    assert_eq!(sent, "POST /_/api/4/webhooks HTTP/1.1");
    let expected = r#"{"url":"https://a.example/hooks","types":["tenant.*","plan.deleted"]}"#;
    assert_eq!((body.as_str(), run.code), (expected, 0), "{run:?}");
    assert!(run.output.contains("whsec_abc"), "{run:?}");
    assert!(run.errors.contains("not shown again"), "{run:?}");

    for (given, expected) in [
        (&["--type="][..], r#"{"types":[]}"#),
        (&["--description="], r#"{"description":null}"#),
        (
            &["--is_enabled=1", "--from=backlog"],
            r#"{"is_enabled":true,"from":"backlog"}"#,
        ),
    ] {
        let edit = [&["webhook:edit", "--id=0f1e"][..], given].concat();
        let (sent, body, run) = exchange(&edit, (NO_CONTENT, ""));
        assert_eq!(sent, "PATCH /_/api/4/webhooks/0f1e HTTP/1.1");
        assert_eq!((body.as_str(), run.code), (expected, 0), "{run:?}");
        assert_eq!(run.output, "edited webhook `0f1e`\n");
    }
    for bad in [
        &["webhook:edit", "--id=7"][..],
        &["webhook:edit", "--id=7", "--from=now"],
        &["webhook:edit", "--id=7", "--is_enabled=1", "--from=start"],
        &["webhook:rotate", "--id=7", "--overlap=604801"],
        &["webhook:create"],
    ] {
        assert_eq!(Project::new().run(bad).code, 2, "{bad:?}");
    }
    let (_, body, _) = exchange(&["webhook:rotate", "--id=7", "--overlap=60"], (OK, "{}"));
    assert_eq!(body, r#"{"overlap_seconds":60}"#);

    let (sent, _, run) = exchange(&["webhook:list"], (OK, &format!("[{one}]")));
    assert_eq!(sent, "GET /_/api/4/webhooks HTTP/1.1");
    assert!(
        run.output.contains("https://a.example/hooks") && !run.output.contains("whsec"),
        "{run:?}"
    );
    let (sent, _, _) = exchange(&["webhook:get", "--id=a/b?c"], (OK, one));
    assert_eq!(sent, "GET /_/api/4/webhooks/a%2Fb%3Fc HTTP/1.1");

    let delivery = r#"[{"id":41,"event":"e.1","type":"tenant.created","subject":"a","at":"2026-08-18 23:16:57","outcome":"refused","status":500,"milliseconds":7,"answer":"no"}]"#;
    let next = "200 OK\ncontent-type: application/json\nlink: </_/api/4/webhooks/7/deliveries?after=41&limit=1>; rel=\"next\"";
    let deliveries = ["webhook:deliveries", "--id=7", "--limit=1"];
    let (sent, _, run) = exchange(&deliveries, (next, delivery));
    assert_eq!(sent, "GET /_/api/4/webhooks/7/deliveries?limit=1 HTTP/1.1");
    assert!(run.output.contains("refused"), "{run:?}");
    assert!(run.errors.contains("continue with --after 41"), "{run:?}");

    for (outcome, code) in [("accepted", 0), ("refused", 1)] {
        let answer =
            format!(r#"{{"outcome":"{outcome}","status":200,"milliseconds":3,"answer":""}}"#);
        let (sent, _, run) = exchange(&["webhook:test", "--id=7"], (OK, &answer));
        assert_eq!(sent, "POST /_/api/4/webhooks/7/test HTTP/1.1");
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.output.contains(outcome), "{run:?}");
    }
}

#[test]
fn hostnames_are_added_shown_and_listed() {
    let one = r#"{"hostname":"b.example","kind":"redirect","created_at":"2026-08-18 23:16:57","updated_at":"2026-08-18 23:16:57"}"#;
    let given = [
        "hostname:add",
        "--id=a",
        "--hostname=b.example",
        "--kind=redirect",
    ];
    let (sent, body, run) = exchange(&given, ("201 Created", one));
    assert_eq!(sent, "PUT /_/api/4/tenants/a/hostnames/b.example HTTP/1.1");
    assert_eq!((body.as_str(), run.code), (r#"{"kind":"redirect"}"#, 0));
    assert!(run.output.contains("redirect"), "{run:?}");
    let (_, body, _) = exchange(&given[..3], (OK, one));
    assert_eq!(body, r#"{"kind":"alias"}"#);

    let list = ["hostnames", "--id=a"];
    let (sent, _, run) = exchange(&list, (OK, &format!("[{one}]")));
    assert_eq!(sent, "GET /_/api/4/tenants/a/hostnames HTTP/1.1");
    assert!(run.output.contains(" HOSTNAME "), "{run:?}");
    assert!(run.output.contains("b.example"), "{run:?}");
    let (_, _, run) = exchange(&list, (OK, "[]"));
    assert_eq!(run.output, "no further hostnames\n");
    for bad in [
        &["hostname:add", "--id=a", "--hostname=b..example"][..],
        &[
            "hostname:add",
            "--id=a",
            "--hostname=b.example",
            "--kind=copy",
        ],
    ] {
        assert_eq!(Project::new().run(bad).code, 2, "{bad:?}");
    }
}

/// Otherwise a secret that is shown once could be lost, and what failed could look as if it was done.
#[test]
fn output_that_nobody_reads_is_a_success_of_a_command_that_only_reads() {
    for (args, answer, advice) in [
        (&["get", "--id=a"][..], (OK, "{}"), None),
        (&["list"], (OK, "[]"), None),
        (&["delete", "--id=a"], (NO_CONTENT, ""), Some("")),
        (
            &["webhook:create", "--receiver=https://hooks.example.com/"],
            (OK, r#"{"id":"1","secret":"whsec_x"}"#),
            Some("`tenants webhook:rotate --id 1` gives it another one"),
        ),
        (
            &["webhook:rotate", "--id=0123456789abcdef", "--quiet"],
            (OK, r#"{"secret":"whsec_x"}"#),
            Some("`tenants webhook:rotate --id 0123456789abcdef` gives"),
        ),
        (
            &["webhook:rotate", "--id=7", "--format=json"],
            (OK, r#"{"id":"7","secret":"whsec_x"}"#),
            Some("`tenants webhook:rotate --id 7` gives"),
        ),
        (
            &["password-reset", "--id=a", "-u=admin"],
            (OK, r#"{"username":"admin","password":"generated"}"#),
            Some("Reset it again"),
        ),
        (
            &["password-reset", "--id=a", "-u=admin", "--format=json"],
            (OK, r#"{"username":"admin","password":"generated"}"#),
            Some("Reset it again"),
        ),
    ] {
        let server = Server::new(&[answer]);
        let run = Project::calling(&server).run_into(&mut Unread, args);
        let code = if advice.is_some() { 3 } else { 0 };
        assert_eq!(run.code, code, "{args:?}: {}", run.errors);
        assert_eq!(
            run.errors.contains("could not be written"),
            code != 0,
            "{}",
            run.errors
        );
        let advice = advice.unwrap_or_default();
        assert!(run.errors.contains(advice), "{args:?}: {}", run.errors);
        for secret in ["whsec_x", "generated"] {
            assert!(!run.errors.contains(secret), "{args:?}: {}", run.errors);
        }
    }
}
