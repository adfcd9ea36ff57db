//! `database:move` against a fake wrangler.
#![cfg(unix)]

mod common;

use common::Project;

/// The output of `wrangler d1 execute --json` for the three statements of a move.
fn place(is_there: u8, has_tables: u8, state: &str) -> String {
    let row = format!(
        r#"{{"is_there": {is_there}, "has_cell": 0, "has_tables": {has_tables}, "state": {state}}}"#
    );
    format!(r#"[{{"results": []}}, {{"results": []}}, {{"results": [{row}], "success": true}}]"#)
}

fn project(answer: &str) -> Project {
    let mut project = Project::new().with_wrangler(&[(0, answer), (0, answer)]);
    let mode = "CHEVERETO_TENANTS_DB_ISOLATION_MODE";
    project.variables.push((mode, "database".into()));
    project
}

#[test]
fn a_site_is_marked_to_be_moved_and_its_place_is_shown() {
    for (state, has_tables, place_name, said) in [
        (
            "4",
            1,
            "to_database",
            "the cron trigger moves the site of tenant `acme` into a database of its own\n",
        ),
        (
            "3",
            0,
            "database",
            "the site of tenant `acme` is in a database of its own\n",
        ),
        (
            "null",
            1,
            "tables",
            "the site of tenant `acme` is in tables of the registry\n",
        ),
        (
            "0",
            1,
            "tables",
            "the site of tenant `acme` is in tables of the registry\n",
        ),
    ] {
        let run = project(&place(1, has_tables, state)).run(&["database:move", "--id", "acme"]);
        assert_eq!((run.code, run.output.as_str()), (0, said), "{run:?}");
        let run = project(&place(1, has_tables, state)).run(&[
            "database:move",
            "--id",
            "acme",
            "--format",
            "json",
        ]);
        let json = format!("{{\"tenant\":\"acme\",\"place\":\"{place_name}\"}}\n");
        assert_eq!((run.code, run.output), (0, json));
    }
    let there = project(&place(1, 1, "4"));
    there.run(&["database:move", "--id", "Acme"]);
    let sql = &there.wrangler_call(1).unwrap()[6];
    assert!(
        sql.contains("'tenant.site_move'") && sql.contains("'chv_acme_users'"),
        "{sql}"
    );
    let back = project(&place(1, 0, "5"));
    back.run(&[
        "database:move",
        "--id",
        "acme",
        "--to",
        "tables",
        "--remote",
    ]);
    let call = back.wrangler_call(1).unwrap();
    assert!(
        call[6].contains("iif(state = 4, 1, 5)") && call.contains(&"--remote".to_owned()),
        "{call:?}"
    );
    let moves = "the cron trigger moves the site of tenant `acme` into tables of the registry\n";
    let run = back.run(&["database:move", "--id", "acme", "--to", "tables"]);
    assert_eq!((run.code, run.output.as_str()), (0, moves), "{run:?}");
}

#[test]
fn an_order_in_the_other_direction_says_that_it_has_given_the_move_up() {
    const NOTHING: &str = r#"{"results": []}"#;
    let to_tables = place(1, 1, "1").replacen(NOTHING, r#"{"results": [{"state": 1}]}"#, 1);
    // To give up a move into tables takes a second batch, of 16 statements, that drops them.
    let drops = format!("[{}", [NOTHING, ", "].concat().repeat(13));
    let to_database = place(1, 0, "3").replacen('[', &drops, 1);
    for (to, answers, stays) in [
        (
            "tables",
            [to_tables, String::new()],
            "tables of the registry",
        ),
        (
            "database",
            [place(1, 1, "5"), to_database],
            "a database of its own",
        ),
    ] {
        let said = format!("the move is given up: the site of tenant `acme` stays in {stays}\n");
        let json = format!("{{\"tenant\":\"acme\",\"place\":\"{to}\",\"given_up\":true}}\n");
        for (format, said) in [("table", said), ("json", json)] {
            let answers = [(0, answers[0].as_str()), (0, answers[1].as_str())];
            let run = project("").with_wrangler(&answers).run(&[
                "database:move",
                "--id",
                "acme",
                "--to",
                to,
                "--format",
                format,
            ]);
            assert_eq!(
                (run.code, run.output.as_str()),
                (0, said.as_str()),
                "{run:?}"
            );
        }
    }
}

#[test]
fn a_site_that_is_not_there_or_a_configuration_without_databases_is_an_error() {
    let run = project(&place(0, 0, "null")).run(&["database:move", "--id", "acme"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.errors.contains("there is no such tenant"), "{run:?}");
    let run = project(&place(1, 0, "null")).run(&["database:move", "--id", "acme"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.errors.contains("nothing is installed for this tenant"),
        "{run:?}"
    );
    let run = Project::new()
        .with_wrangler(&[])
        .run(&["database:move", "--id", "acme"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.errors.contains("expected `database`"), "{run:?}");
    for bad in [
        &["database:move"][..],
        &["database:move", "--id", "a b"],
        &["database:move", "--id", "a", "--to", "disk"],
    ] {
        assert_eq!(
            Project::new().with_wrangler(&[]).run(bad).code,
            2,
            "{bad:?}"
        );
    }
}
