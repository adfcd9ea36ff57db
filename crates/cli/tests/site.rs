//! The commands for a tenant's site, parts of lists, and `cache`, against a fake server.

mod common;

use common::{CREATED, OK, Project, Server, exchange};

#[test]
fn a_list_can_be_read_in_parts() {
    let next = "200 OK\ncontent-type: application/json\nlink: </_/api/4/tenants?limit=2&after=b>; rel=\"next\"";
    let server = Server::new(&[(next, r#"[{"id":"a"},{"id":"b"}]"#)]);
    let run = Project::calling(&server).run(&["list", "--limit", "2", "--format", "json"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, "[{\"id\":\"a\"},{\"id\":\"b\"}]\n")
    );
    assert_eq!(
        run.errors,
        "There are more tenants: continue with --after b\n"
    );

    // A sorted list goes on after a value and an id.
    let next = "200 OK\ncontent-type: application/json\nlink: </_/api/4/tenants?limit=1&after=x>; rel=\"next\"";
    let row = r#"[{"id":"a","updated_at":"2026-01-01 00:00:00"}]"#;
    let server = Server::new(&[(next, row)]);
    let sorted = ["list", "--limit=1", "--sort=-updated_at", "--format=json"];
    let run = Project::calling(&server).run(&sorted);
    assert_eq!(
        run.errors,
        "There are more tenants: continue with --after '2026-01-01 00:00:00,a'\n"
    );
    let run = Project::new().run(&["list", "--sort", "id"]);
    assert_eq!(run.code, 2);

    // One page and a part of the next.
    let pages = [
        (next, r#"[{"id":"a"},{"id":"b"}]"#),
        (OK, r#"[{"id":"c"},{"id":"d"}]"#),
    ];
    let server = Server::new(&pages);
    let run = Project::calling(&server).run(&["list", "--limit", "3", "--format=json", "-q"]);
    assert_eq!(
        run.output,
        "[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]\n"
    );
    assert_eq!(run.errors, "", "quiet");
    let run = Project::new().run(&["list", "--limit", "0"]);
    assert_eq!(run.code, 2);
}

#[test]
fn standard_output_has_the_new_password_and_nothing_else() {
    let answer = (
        OK,
        r#"{"username":"admin","password":"p\u00e4ss \"word\""}"#,
    );
    let reset = ["user:password-reset", "--id", "a", "-u", "admin"];
    let (_, _, run) = exchange(&reset, answer);
    assert_eq!(run.output, "p\u{e4}ss \"word\"\n");
    assert!(
        run.errors
            .starts_with("This is the new password of user `admin` of tenant `a`."),
        "{}",
        run.errors
    );
    let (_, _, run) = exchange(&[&reset[..], &["--quiet"]].concat(), answer);
    assert_eq!(
        (run.output.as_str(), run.errors.as_str()),
        ("p\u{e4}ss \"word\"\n", "")
    );
    let (_, _, run) = exchange(&[&reset[..], &["--format", "json"]].concat(), answer);
    assert_eq!(run.output, format!("{}\n", answer.1));
    // The caller knows a password that they gave, so it is not shown.
    let given = (OK, r#"{"username":"admin","password":"given-one"}"#);
    let (_, _, run) = exchange(&[&reset[..], &["-x", "given-one"]].concat(), given);
    assert_eq!(
        run.output,
        "set the password of user `admin` of tenant `a`\n"
    );
    assert_eq!(run.errors, "");
    let (_, _, run) = exchange(&reset, (OK, r#"{"username":"admin"}"#));
    assert_eq!((run.code, run.output.as_str()), (3, ""));
}

#[test]
fn a_password_is_read_from_standard_input_without_its_line_end() {
    for (input, password) in [
        ("secret word", "secret word"),
        ("secret word\n", "secret word"),
        ("secret word\r\n", "secret word"),
        (" secret\n\n", " secret\\n"),
    ] {
        let server = Server::new(&[(CREATED, r#"{"id":"a"}"#)]);
        let mut project = Project::calling(&server);
        project.input = input.into();
        project.variables.push(("CHEVERETO_TENANT", "a".into()));
        let run = project.run(&["install", "-u", "admin", "-e", "a@b.example", "-x", "-"]);
        assert_eq!(run.code, 0, "{run:?}");
        let request = server.request();
        assert!(
            request.starts_with("POST /_/api/4/tenants/a/install "),
            "{request}"
        );
        let body =
            format!(r#"{{"username":"admin","email":"a@b.example","password":"{password}"}}"#);
        assert!(request.ends_with(&body), "{request}");
    }
    // Standard input is empty, or not UTF-8.
    for (input, code) in [(&b"\n"[..], 2), (&b""[..], 2), (&b"\xff\n"[..], 3)] {
        let mut project = Project::new();
        project.input = input.into();
        let run = project.run(&["password-reset", "--id", "a", "-u", "admin", "-x", "-"]);
        assert_eq!((run.code, run.output.as_str()), (code, ""), "{run:?}");
    }
}

#[test]
fn the_tenant_comes_from_the_option_or_the_variable() {
    let args = ["password-reset", "-u", "admin"];
    let run = Project::new().run(&args);
    assert_eq!(run.code, 2);
    assert!(
        run.errors.contains("--id") && run.errors.contains("CHEVERETO_TENANT"),
        "{}",
        run.errors
    );
    let mut project = Project::new();
    project.variables.push(("CHEVERETO_TENANT", "../a".into()));
    let run = project.run(&args);
    assert_eq!(run.code, 4);
    assert!(run.errors.contains("CHEVERETO_TENANT: "), "{}", run.errors);

    let server = Server::new(&[(OK, r#"{"username":"admin","password":"x"}"#)]);
    let mut project = Project::calling(&server);
    project.variables.push(("CHEVERETO_TENANT", "other".into()));
    project.run(&[&args[..], &["--id", "mine"]].concat());
    assert!(server.request().starts_with("PATCH /_/api/4/tenants/mine/"));
}

#[test]
fn cache_says_that_there_is_no_cache_and_reads_everything() {
    let pages = [(OK, r#"[{"id":"a"},{"id":"b"}]"#), (OK, r#"[{"id":"p"}]"#)];
    let server = Server::new(&pages);
    let run = Project::calling(&server).run(&["cache"]);
    assert_eq!(run.code, 0);
    assert!(
        run.output.starts_with("nothing to regenerate")
            && run.output.ends_with("(tenants: 2, plans: 1)\n"),
        "{}",
        run.output
    );
    let server = Server::new(&pages);
    let run = Project::calling(&server).run(&["cache", "--format", "json"]);
    assert_eq!(run.output, "{\"cached\":0,\"tenants\":2,\"plans\":1}\n");
    let problem = r#"{"title":"Internal Server Error","status":500,"detail":"it failed","code":"internal","request_id":"r-1"}"#;
    let (_, _, run) = exchange(&["cache"], ("500 Internal Server Error", problem));
    assert_eq!((run.code, run.output.as_str()), (3, ""));
}
