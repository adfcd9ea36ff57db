//! The commands for keys and `init` against a fake wrangler: its arguments, and the output for each of its answers.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

mod common;

use common::{API_KEY, KEY_SECRET, NONE, Project, REQUEST_SECRET, Unread};
use tenants_core::crypto::api_key::{IssuedKey, KeySecret};
use tenants_core::crypto::secret::Secret;

/// The output of `wrangler d1 execute --json` for the rows of one statement.
fn rows(rows: &str) -> String {
    format!("[\n  {{\"results\": [{rows}], \"success\": true, \"meta\": {{\"duration\": 0}}}}\n]\n")
}

fn two(first: &str, second: &str) -> String {
    format!(
        "[\n  {{\"results\": [{first}], \"success\": true}},\n  {{\"results\": [{second}], \"success\": true}}\n]\n"
    )
}

fn key_secret() -> KeySecret {
    KeySecret::new(&Secret::new(KEY_SECRET.into()))
}

fn issue(id: u64) -> IssuedKey {
    key_secret()
        .issue(id, &mut tenants_cli::random::SystemRandom)
        .unwrap()
}

fn row(id: u64, expires_at: &str, deleted_at: &str) -> String {
    rows(&format!(
        r#"{{"id": {id}, "name": "ci", "scopes": "*", "is_bound": 0, "created_at": "2026-01-01 00:00:00", "expires_at": {expires_at}, "last_used_at": null, "deleted_at": {deleted_at}}}"#
    ))
}

#[test]
fn a_key_is_issued_for_the_next_id_and_shown_once() {
    let project =
        Project::new().with_wrangler(&[(0, &rows(r#"{"id": 7}"#)), (0, &two(r#"{"id": 7}"#, ""))]);
    let run = project.run(&[
        "-C",
        "api:key:create",
        "--name",
        "it's",
        "--expires",
        "2027-01-31 00:00:00",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let key = run.output.trim_end();
    let claimed = key_secret().verify(key).unwrap();
    assert_eq!(claimed.id(), 7);
    assert!(!run.errors.contains(key));

    let call = project.wrangler_call(2).unwrap();
    assert_eq!(
        call[0],
        project.path().canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(call[1..6], ["d1", "execute", "DB", "--json", "--command"]);
    assert_eq!(call[7..], ["--local"]);
    let sql = &call[6];
    assert!(sql.contains(&format!("'{}'", claimed.digest())), "{sql}");
    assert!(
        sql.contains("'2027-01-31 00:00:00'") && sql.contains("'2026-08-18 23:16:57'"),
        "{sql}"
    );
    assert!(sql.contains("'api_key.create', '7', 'cli-"), "{sql}");
    assert!(sql.contains("'me@here'"), "{sql}");
    assert!(!sql.contains(key) && !sql.contains("it's"), "{sql}");

    let environment = project.wrangler_environment(2);
    for setting in ["CI=true\n", "WRANGLER_SEND_METRICS=false\n"] {
        assert!(environment.contains(setting), "{environment}");
    }
}

#[test]
fn a_bound_key_comes_with_its_signing_secret_as_two_variables() {
    let project =
        Project::new().with_wrangler(&[(0, &rows(r#"{"id": 7}"#)), (0, &two(r#"{"id": 7}"#, ""))]);
    let run = project.run(&["api:key:create", "--bound", "--scopes", "tenants:read"]);
    assert_eq!(run.code, 0, "{run:?}");
    let (key, secret) = bound_key(&run.output);
    let claimed = key_secret().verify(&key).unwrap();
    assert_eq!(key_secret().signing_secret(&claimed).text(), secret);
    let sql = &project.wrangler_call(2).unwrap()[6];
    assert!(sql.contains(&bound_digest(claimed.digest())), "{sql}");
    assert!(!sql.contains(&secret), "{sql}");
}

/// A bound key's digest, as a script has it.
fn bound_digest(digest: String) -> String {
    hex::encode(format!("bound:{digest}"))
}

/// The key and the signing secret that a command printed.
fn bound_key(output: &str) -> (String, String) {
    let (key, secret) = output.trim_end().split_once('\n').unwrap();
    let value = |line: &str, name: &str| line.strip_prefix(name).unwrap().to_owned();
    (
        value(key, "TENANTS_API_KEY="),
        value(secret, "TENANTS_SIGNING_SECRET="),
    )
}

#[test]
fn a_key_gets_another_secret_under_the_same_id() {
    let bound = row(7, "null", "null").replace("\"is_bound\": 0", "\"is_bound\": 1");
    let project = Project::new().with_wrangler(&[(0, &bound), (0, &two(r#"{"id": 7}"#, ""))]);
    let run = project.run(&["api:key:rotate", "--id", "7", "--overlap", "3600"]);
    assert_eq!(run.code, 0, "{run:?}");
    let (key, secret) = bound_key(&run.output);
    let claimed = key_secret().verify(&key).unwrap();
    assert_eq!(claimed.id(), 7);
    assert_eq!(key_secret().signing_secret(&claimed).text(), secret);
    let sql = &project.wrangler_call(2).unwrap()[6];
    for part in [
        &*bound_digest(claimed.digest()),
        "previous_until = '2026-08-19 00:16:57'",
        "'api_key.rotate', '7', 'cli-",
    ] {
        assert!(sql.contains(part), "{part}: {sql}");
    }
    let ordinary = Project::new()
        .with_wrangler(&[(0, &row(7, "null", "null")), (0, &two(r#"{"id": 7}"#, ""))]);
    let run = ordinary.run(&["api:key:rotate", "--id", "7", "--format", "json"]);
    assert!(
        run.output.starts_with(r#"{"id":7,"key":"chv_7_"#) && !run.output.contains("signing"),
        "{run:?}"
    );
    for gone in [NONE.to_owned(), row(7, "null", "\"2026-02-02 00:00:00\"")] {
        let project = Project::new().with_wrangler(&[(0, &gone)]);
        let run = project.run(&["api:key:rotate", "--id", "7"]);
        assert_eq!((run.code, run.output.as_str()), (1, ""));
    }
}

#[test]
fn a_rotation_that_failed_may_have_happened_only_if_it_was_sent() {
    let found = row(7, "null", "null");
    for (answers, may_be) in [
        (&[(1, "")][..], false),
        (&[(0, found.as_str()), (1, "")], true),
    ] {
        let project = Project::new().with_wrangler(answers);
        let run = project.run(&["api:key:rotate", "--id", "7", "--remote"]);
        assert_eq!(run.code, 3, "{run:?}");
        let says = run.errors.contains("may have a new secret");
        assert_eq!(says, may_be, "{run:?}");
    }
}

#[test]
fn a_key_that_could_not_be_shown_is_named_with_what_to_do() {
    for format in ["table", "json"] {
        let created = Project::new()
            .with_wrangler(&[(0, &rows(r#"{"id": 7}"#)), (0, &two(r#"{"id": 7}"#, ""))]);
        let create = ["api:key:create", "--remote", "--quiet", "--format", format];
        let rotated = Project::new()
            .with_wrangler(&[(0, &row(7, "null", "null")), (0, &two(r#"{"id": 7}"#, ""))]);
        let rotate = ["api:key:rotate", "--id=7", "--quiet", "--format", format];
        for (project, args, advice) in [
            (created, create, "`tenants api:key:delete --id 7 --remote`"),
            (rotated, rotate, "`tenants api:key:rotate --id 7`"),
        ] {
            let run = project.run_into(&mut Unread, &args);
            assert_eq!(run.code, 3, "{run:?}");
            assert!(run.errors.contains(advice), "{run:?}");
            assert!(!run.errors.contains("chv_7_"), "{run:?}");
        }
    }
}

#[test]
fn a_key_in_json_comes_with_its_id_name_and_times() {
    let project =
        Project::new().with_wrangler(&[(0, &rows(r#"{"id": 7}"#)), (0, &two(r#"{"id": 7}"#, ""))]);
    let run = project.run(&["api:key:create", "--format", "json"]);
    assert!(
        run.output.starts_with(r#"{"id":7,"name":null,"created_at":"2026-08-18 23:16:57","expires_at":null,"key":"chv_7_"#),
        "{}",
        run.output
    );
    assert_eq!(run.errors, "");
}

#[test]
fn an_id_that_another_key_took_is_replaced_by_the_next() {
    let (seven, eight) = (rows(r#"{"id": 7}"#), rows(r#"{"id": 8}"#));
    let inserted = two(r#"{"id": 8}"#, "");
    let project = Project::new().with_wrangler(&[
        (0, &seven),
        (0, &two("", "")),
        (0, &eight),
        (0, &inserted),
    ]);
    let run = project.run(&["api:key:create"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(key_secret().verify(run.output.trim_end()).unwrap().id(), 8);

    let taken = two("", "");
    let always: Vec<(u8, &str)> = (0..5)
        .flat_map(|_| [(0, seven.as_str()), (0, taken.as_str())])
        .collect();
    let run = Project::new()
        .with_wrangler(&always)
        .run(&["api:key:create"]);
    assert_eq!((run.code, run.output.as_str()), (3, ""));
    assert!(
        run.errors.contains("somebody else got every id") && !run.errors.contains("may exist"),
        "{}",
        run.errors
    );
}

/// The database may have committed the key before wrangler failed. Nobody has the key then, but it is valid.
#[test]
fn a_key_whose_creation_may_have_succeeded_is_named_with_the_way_to_delete_it() {
    let seven = rows(r#"{"id": 7}"#);
    let failed = "\n{\n  \"error\": {\n    \"text\": \"fetch failed\"\n  }\n}\n";
    for answer in [(1, failed), (0, "nonsense"), (0, "[\n]")] {
        let run = Project::new().with_wrangler(&[(0, &seven), answer]).run(&[
            "api:key:create",
            "--remote",
            "--config",
            "other.toml",
        ]);
        assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
        for part in [
            "Key 7 may exist all the same",
            "`tenants api:key:list --remote --config 'other.toml'` shows whether there is a key 7, created about 2026-08-18 23:16:57 UTC",
            "`tenants api:key:delete --id 7 --remote --config 'other.toml'` deletes it",
        ] {
            assert!(run.errors.contains(part), "{}", run.errors);
        }
    }
    let run = Project::new()
        .with_wrangler(&[(0, &seven), (1, failed)])
        .run(&["api:key:create", "--format", "json"]);
    assert!(
        run.errors.contains("`tenants api:key:delete --id 7`"),
        "{}",
        run.errors
    );
    // Nothing was inserted, or somebody else has the id.
    let taken = two("", "");
    for answers in [
        &[(1, failed)][..],
        &[(0, &seven), (0, taken.as_str()), (1, failed)],
    ] {
        let run = Project::new()
            .with_wrangler(answers)
            .run(&["api:key:create"]);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(
            run.errors.contains("fetch failed") && !run.errors.contains("may exist"),
            "{}",
            run.errors
        );
    }
}

#[test]
fn a_failure_of_wrangler_exits_with_3_and_shows_its_message() {
    let json =
        "\n{\n  \"error\": {\n    \"text\": \"no such table: api_keys: SQLITE_ERROR\"\n  }\n}\n";
    let run = Project::new()
        .with_wrangler(&[(1, json)])
        .run(&["api:key:list"]);
    assert_eq!((run.code, run.output.as_str()), (3, ""));
    assert!(
        run.errors.contains("no such table: api_keys") && run.errors.contains("tenants init"),
        "{}",
        run.errors
    );
    let run = Project::new()
        .with_wrangler(&[(0, "nonsense")])
        .run(&["api:key:list"]);
    assert_eq!(run.code, 3);
    let run = Project::new()
        .with_wrangler(&[(1, "one\ntwo\u{1b}[2J\n")])
        .run(&["init"]);
    assert_eq!(run.code, 3);
    assert!(run.errors.contains("two\\u{1b}[2J"), "{}", run.errors);
}

#[test]
fn a_key_is_checked_by_form_mac_and_row_and_the_reason_is_shown() {
    let key = issue(7);
    let verify = |project: &Project, key: &str| project.run(&["api:key:verify", "--key", key]);
    let fresh = Project::new;
    // These two need no query.
    for (bad, why) in [
        ("nonsense", "form"),
        (&*issue(7).text().replace("chv_7_", "chv_8_"), "issued"),
    ] {
        let run = verify(&fresh(), bad);
        assert_eq!(run.code, 1);
        assert!(
            run.errors.contains(why) && !run.errors.contains(bad),
            "{}",
            run.errors
        );
    }
    for (answer, code, why) in [
        (NONE.to_owned(), 1, "does not have it"),
        (
            row(7, "null", "\"2026-02-02 00:00:00\""),
            1,
            "it was deleted, 2026-02-02 00:00:00 UTC",
        ),
        (
            row(7, "\"2026-08-18 23:16:57\"", "null"),
            1,
            "it has expired, 2026-08-18 23:16:57 UTC",
        ),
        (row(7, "\"2026-08-18 23:16:58\"", "null"), 0, ""),
        (row(7, "null", "null"), 0, ""),
    ] {
        let project = fresh().with_wrangler(&[(0, &answer)]);
        let run = verify(&project, key.text());
        assert_eq!(run.code, code, "{run:?}");
        assert!(
            run.errors.contains(why) && !run.errors.contains(key.text()),
            "{}",
            run.errors
        );
        assert!(project.wrangler_call(1).unwrap()[6].contains(key.digest()));
    }
    let mut project = fresh().with_wrangler(&[(0, &row(7, "null", "null"))]);
    project.input = format!("{}\n", key.text()).into_bytes();
    let run = project.run(&["api:key:verify", "--key", "-", "--format", "json"]);
    assert!(
        run.output
            .starts_with(r#"{"valid":true,"key":{"id":7,"name":"ci","state":"active","#),
        "{run:?}"
    );
}

#[test]
fn keys_are_deleted_by_id_and_name_and_no_match_is_an_error() {
    let project = Project::new().with_wrangler(&[(0, &two("", r#"{"id": 3}, {"id": 5}"#))]);
    let run = project.run(&["api:key:delete", "--name", "ci"]);
    assert_eq!((run.code, run.output.as_str()), (0, "deleted key 3, 5\n"));
    let project = Project::new().with_wrangler(&[(0, &two("", r#"{"id": 3}"#))]);
    let run = project.run(&[
        "api:key:delete",
        "--name",
        "ci",
        "--id",
        "3",
        "--format",
        "json",
    ]);
    assert_eq!((run.code, run.output.as_str()), (0, "{\"deleted\":[3]}\n"));
    let sql = &project.wrangler_call(1).unwrap()[6];
    assert!(
        sql.contains("(3 IS NULL OR id = 3) AND ('ci' IS NULL OR name = 'ci')"),
        "{sql}"
    );
    let run =
        Project::new()
            .with_wrangler(&[(0, &two("", ""))])
            .run(&["api:key:delete", "--id", "3"]);
    assert_eq!((run.code, run.output.as_str()), (1, ""));
}

#[test]
fn keys_are_listed_with_their_state() {
    let answer = row(7, "\"2026-01-02 00:00:00\"", "null");
    let run = Project::new()
        .with_wrangler(&[(0, &answer)])
        .run(&["api:key:list"]);
    assert_eq!(
        run.output
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>(),
        [
            "ID", "NAME", "STATE", "SCOPES", "BOUND", "CREATED", "EXPIRES", "LAST", "USED",
            "DELETED"
        ]
    );
    assert!(run.output.contains("expired"), "{}", run.output);
    let run =
        Project::new()
            .with_wrangler(&[(0, &answer)])
            .run(&["api:key:list", "--format", "json"]);
    assert_eq!(
        run.output,
        "[{\"id\":7,\"name\":\"ci\",\"state\":\"expired\",\"scopes\":[\"*\"],\"bound\":false,\"created_at\":\"2026-01-01 00:00:00\",\"expires_at\":\"2026-01-02 00:00:00\",\"last_used_at\":null,\"deleted_at\":null}]\n"
    );
}

#[test]
fn init_applies_the_migrations_to_the_chosen_database() {
    let project = Project::new().with_wrangler(&[
        (0, ""),
        (0, ""),
        (0, "{\n  \"bookmark\": \"0000-1\"\n}\n"),
        (0, ""),
    ]);
    assert_eq!(
        project.run(&["init"]).output,
        "the local database is ready\n"
    );
    project.run(&["init", "--persist-to", "state", "--config", "other.toml"]);
    let run = project.run(&["init", "--remote"]);
    assert!(
        run.errors.contains("the database's bookmark is 0000-1\n"),
        "{}",
        run.errors
    );
    let arguments = |number| project.wrangler_call(number).unwrap()[1..].join(" ");
    let folder = project.path().to_str().unwrap();
    assert_eq!(arguments(1), "d1 migrations apply DB --local");
    assert_eq!(
        arguments(2),
        format!(
            "d1 migrations apply DB --local --persist-to {folder}/state --config {folder}/other.toml"
        )
    );
    assert_eq!(arguments(3), "d1 time-travel info DB --json");
    assert_eq!(arguments(4), "d1 migrations apply DB --remote");
}

#[test]
fn a_bookmark_that_cannot_be_read_is_a_warning_and_no_reason_to_stop() {
    let project = Project::new().with_wrangler(&[(1, "no network\n"), (0, "")]);
    let run = project.run(&["init", "--remote"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.errors
            .contains("warning: the database's bookmark could not be read: wrangler failed"),
        "{}",
        run.errors
    );
}

/// The previous secret comes from a file, the environment or, for a local database, `.dev.vars`.
#[test]
fn a_key_of_the_previous_secret_is_valid_and_new_keys_use_the_current_one() {
    let previous = "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS";
    let old = KeySecret::new(&Secret::new("the secret before".into()));
    let key = old
        .issue(7, &mut tenants_cli::random::SystemRandom)
        .unwrap();
    let found = row(7, "null", "null");
    let verify = |project: Project, more: &[&str]| {
        let project = project.with_wrangler(&[(0, &found)]);
        let run = project.run(&[&["api:key:verify", "--key", key.text()], more].concat());
        (run.code, run.errors)
    };
    let (code, errors) = verify(Project::new(), &[]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("it was not issued under this secret"),
        "{errors}"
    );

    let mut project = Project::new();
    project
        .variables
        .push((previous, "the secret before".into()));
    assert_eq!(verify(project, &[]), (0, String::new()));

    let written = || {
        let project = Project::new();
        let text = format!("{previous}='the secret before'\n");
        std::fs::write(project.path().join(".dev.vars"), text).unwrap();
        project
    };
    assert_eq!(verify(written(), &[]), (0, String::new()));
    // A deployed Worker has other secrets than a local one.
    assert_eq!(verify(written(), &["--remote"]).0, 1);
    let named = ["--remote", "--vars-file", ".dev.vars"];
    assert_eq!(verify(written(), &named), (0, String::new()));

    let mut project =
        Project::new().with_wrangler(&[(0, &rows(r#"{"id": 8}"#)), (0, &two(r#"{"id": 8}"#, ""))]);
    project
        .variables
        .push((previous, "the secret before".into()));
    let run = project.run(&["api:key:create"]);
    assert!(
        key_secret().verify(run.output.trim_end()).is_ok(),
        "{run:?}"
    );
}

/// The API would refuse every request under such a secret, so a key of it would be worth nothing.
#[test]
fn no_key_is_issued_under_a_short_secret() {
    let mut project = Project::new()
        .with_wrangler(&[])
        .without("CHEVERETO_TENANTS_API_KEY_SECRET");
    let short = ("CHEVERETO_TENANTS_API_KEY_SECRET", "fifteen-bytes-x".into());
    project.variables.push(short);
    let run = project.run(&["api:key:create"]);
    assert_eq!((run.code, run.output.as_str()), (4, ""));
    assert!(
        run.errors.contains(
            "CHEVERETO_TENANTS_API_KEY_SECRET: expected a secret of at least 16 bytes; got 15"
        ),
        "{}",
        run.errors
    );
    assert!(project.wrangler_call(1).is_none());
}

#[test]
fn a_remote_database_never_uses_the_local_secret() {
    let answers = [(0, rows(r#"{"id": 1}"#)), (0, two(r#"{"id": 1}"#, ""))];
    let answers: Vec<(u8, &str)> = answers
        .iter()
        .map(|(code, text)| (*code, text.as_str()))
        .collect();
    let project = Project::new()
        .with_wrangler(&answers)
        .without("CHEVERETO_TENANTS_API_KEY_SECRET");
    let secret = format!("CHEVERETO_TENANTS_API_KEY_SECRET={KEY_SECRET}\n");
    std::fs::write(project.path().join(".dev.vars"), secret).unwrap();
    let run = project.run(&["api:key:create", "--remote"]);
    assert_eq!((run.code, run.output.as_str()), (4, ""));
    assert!(
        run.errors
            .contains(".dev.vars has the local Worker's secrets"),
        "{}",
        run.errors
    );
    assert!(project.wrangler_call(1).is_none());
    let run = project.run(&["api:key:create", "--remote", "--vars-file", ".dev.vars"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(project.wrangler_call(1).unwrap()[7..], ["--remote"]);
}

#[test]
fn a_missing_project_or_wrangler_exits_with_4() {
    let project = Project::new();
    let run = project.run(&["init"]);
    assert_eq!(run.code, 4);
    assert!(
        run.errors.contains("wrangler is not installed"),
        "{}",
        run.errors
    );
    std::fs::remove_file(project.path().join("wrangler.toml")).unwrap();
    let run = project.run(&["init"]);
    assert_eq!(run.code, 4);
    assert!(run.errors.contains("--project"), "{}", run.errors);
}

#[test]
fn wrangler_receives_no_secret() {
    // Runs the program as a process whose environment has the secrets.
    let project = Project::new().with_wrangler(&[(0, "")]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tenants"))
        .args(["init", "--format", "json"])
        .current_dir(project.path())
        .env("WRANGLER_BIN", common::WRANGLER)
        .env("TENANTS_API_KEY", API_KEY)
        .env("CHEVERETO_TENANTS_API_KEY_SECRET", KEY_SECRET)
        .env("CHEVERETO_TENANTS_API_REQUEST_SECRET", REQUEST_SECRET)
        .env("TENANTS_SIGNING_SECRET", REQUEST_SECRET)
        .env("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", KEY_SECRET)
        .env(
            "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS",
            REQUEST_SECRET,
        )
        .output()
        .unwrap();
    assert!(output.status.success());
    let environment = project.wrangler_environment(1);
    for secret in [API_KEY, KEY_SECRET, REQUEST_SECRET] {
        assert!(!environment.contains(secret), "{environment}");
    }
}

#[test]
fn the_audit_log_names_the_operator_of_the_variable() {
    let mut project = Project::new().with_wrangler(&[(0, &two("", r#"{"id": 7}"#))]);
    project
        .variables
        .push(("TENANTS_OPERATOR", "the-night-shift".into()));
    let run = project.run(&["api:key:delete", "--id", "7"]);
    assert_eq!(run.code, 0, "{run:?}");
    let sql = &project.wrangler_call(1).unwrap()[6];
    assert!(sql.contains("'the-night-shift'"), "{sql}");

    let mut project = Project::new().with_wrangler(&[]);
    project
        .variables
        .push(("TENANTS_OPERATOR", "a\u{7}".into()));
    let run = project.run(&["api:key:delete", "--id", "7"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.errors.contains("operator's name"), "{}", run.errors);
    assert_eq!(project.wrangler_call(1), None);
}

#[test]
fn a_task_that_goes_on_after_failures_ends_if_the_database_does_not_answer_at_all() {
    let row = |id| format!(r#"{{"id": "{id}", "has_site": 1, "is_small": 0, "place": null}}"#);
    let four = rows(&["a", "b", "c", "d"].map(row).join(", "));
    let there = |id| format!(r#"{{"id": "{id}", "has_site": 1}}"#);
    let there = rows(&["a", "b", "c", "d"].map(there).join(", "));
    let one = rows(r#"{"1": 1}"#);
    for (probe, expected) in [
        // Three tenants fail, and so does the question after them.
        (&[(1, "")][..], "it does not answer any more"),
        // It answers, so the fourth tenant is tried, and all are looked up.
        (
            &[(0, one.as_str()), (1, ""), (0, there.as_str())],
            "4 tenants",
        ),
    ] {
        let answers = [&[(0, four.as_str()), (1, ""), (1, ""), (1, "")], probe].concat();
        let project = Project::new().with_wrangler(&answers);
        let run = project.run(&["stats:refresh", "--remote"]);
        assert!(run.errors.contains(expected), "{run:?}");
        assert_eq!(run.code, 3, "{run:?}");
        assert!(project.wrangler_call(5).unwrap()[6].ends_with("SELECT 1"));
        assert_eq!(project.wrangler_call(answers.len() + 1), None, "{run:?}");
    }
}

#[test]
fn orphans_are_listed_and_dropped_only_by_id_or_all_at_once() {
    let found = rows(
        r#"{"name": "chv_a_files", "id": "a"}, {"name": "chv_a_users", "id": "a"}, {"name": "chv_b_users", "id": "b"}"#,
    );
    let list = Project::new()
        .with_wrangler(&[(0, &found)])
        .run(&["orphans", "--format", "json"]);
    assert_eq!(
        (list.code, list.output.as_str()),
        (
            0,
            "[{\"tenant\":\"a\",\"tables\":2,\"own_database\":false},{\"tenant\":\"b\",\"tables\":1,\"own_database\":false}]\n"
        )
    );
    for bad in [
        &["orphans", "--drop"][..],
        &["orphans", "--all"],
        &["orphans", "--id", "a"],
        &["orphans", "--drop", "--all", "--id", "a"],
        &["orphans", "--drop", "--id", "a b"],
    ] {
        let run = Project::new().with_wrangler(&[]).run(bad);
        assert_eq!(run.code, 2, "{bad:?}: {run:?}");
    }
    let fifteen = format!("[\n{}\n]", [r#"{"results": []}"#; 15].join(","));
    let project = Project::new().with_wrangler(&[(0, &found), (0, &fifteen)]);
    let run = project.run(&["orphans", "--drop", "--id", "B"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, "dropped the tables of b\n")
    );
    let sql = &project.wrangler_call(2).unwrap()[6];
    assert_eq!(
        sql.matches("DROP TABLE IF EXISTS \"chv_b_").count(),
        13,
        "{sql}"
    );
    assert_eq!(sql.matches("DROP TABLE").count(), 13, "{sql}");
    assert!(sql.contains("'tenant.drop_tables'"), "{sql}");

    // Both in one call. It fails, so each gets a call of its own, and the one that fails again is named.
    let calls = [(0, &*found), (1, "{}"), (1, "{}"), (0, &*fifteen)];
    let project = Project::new().with_wrangler(&calls);
    let run = project.run(&["orphans", "--drop", "--all", "--format", "json"]);
    let sql = &project.wrangler_call(2).unwrap()[6];
    assert_eq!(sql.matches("DROP TABLE").count(), 26, "{sql}");
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.output.starts_with(
            r#"{"dropped":[{"tenant":"b","tables":1,"own_database":false}],"failed":[{"tenant":"a","reason":"#
        ),
        "{}",
        run.output
    );
    // Each by the place of its tables, whatever the isolation mode is now.
    let mixed = rows(r#"{"name": "a", "id": "a"}, {"name": "chv_b_users", "id": "b"}"#);
    let thirty = format!("[\n{}\n]", [r#"{"results": []}"#; 30].join(","));
    let project = Project::new().with_wrangler(&[(0, &mixed), (0, &thirty)]);
    let run = project.run(&["orphans", "--drop", "--all"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (
            0,
            "dropped the tables of b\nthe cron trigger will drop the sites of a\n"
        )
    );
    let project = Project::new().with_wrangler(&[(0, &found)]);
    let run = project.run(&["orphans", "--drop", "--id", "nobody"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(project.wrangler_call(2), None);
}
