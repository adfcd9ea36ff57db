//! `api:key:import`, against a fake wrangler.
#![cfg(unix)]

mod common;

use common::{Project, Unread};
use serde_json::{Value as Json, json};

#[test]
fn keys_are_imported_by_their_ids_and_times() {
    let answer = r#"[
        {"results": [{"id": 3}], "success": true}, {"results": [], "success": true}, {"results": [{"deleted_at": null}], "success": true},
        {"results": [], "success": true}, {"results": [], "success": true}, {"results": [{"deleted_at": null}], "success": true},
        {"results": [], "success": true}, {"results": [], "success": true}, {"results": [], "success": true}]"#;
    let mut project = Project::new().with_wrangler(&[(0, answer)]);
    project.input = "id,name,hash,created_at,expires_at\n\
                     3,billing,$2y$10$x,2024-01-02 03:04:05,2027-01-01 00:00:00\n4,,$2y,2024-01-02 03:04:05,NULL\n5,,,,\n"
        .into();
    let run = project.run(&["api:key:import", "-"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(run.output, "imported: key 3\nimported before: key 4\n");
    assert!(
        run.errors.contains("another key has the id: 5"),
        "{}",
        run.errors
    );
    let sql = project.wrangler_call(1).unwrap()[6].clone();
    for part in [
        "X'63686576657265746f3a33'",
        "'2027-01-01 00:00:00'",
        "'2024-01-02 03:04:05'",
        "'api_key.import'",
    ] {
        assert!(sql.contains(part), "{part}: {sql}");
    }
    assert!(!sql.contains("$2y"), "{sql}");

    for (text, detail) in [
        ("id\n0\n", "line 2: id: expected a whole number"),
        ("id\n3\n3\n", "line 3: id: another line has the same"),
        ("id,expires_at\n3,soon\n", "line 2: expires_at: expected"),
        ("id,key\n3,x\n", "line 2: key: unknown"),
    ] {
        project.input = text.into();
        let run = project.run(&["api:key:import", "-"]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.errors.contains(detail), "{}", run.errors);
    }
    for args in [
        &["api:key:import"][..],
        &["api:key:import", "-", "--id=3"],
        &["api:key:import", "--name=x"],
    ] {
        assert_eq!(project.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn keys_that_were_imported_before_the_database_failed_are_named() {
    // 30 keys go into one transaction. The second one fails.
    let new = r#"{"results": [{"id": 1}], "success": true}, {"results": [], "success": true}, {"results": [{"deleted_at": null}], "success": true}"#;
    let taken = r#"{"results": [], "success": true}, {"results": [], "success": true}, {"results": [], "success": true}"#;
    let first = format!("[\n{}, {taken}]", [new; 29].join(", "));
    let ids: Vec<String> = (1..=31).map(|id| id.to_string()).collect();
    let input = format!("id\n{}\n", ids.join("\n"));
    let answers = [(0, first.as_str()), (1, "no database")];
    let mut project = Project::new().with_wrangler(&answers);
    project.input = input.clone().into();
    let run = project.run(&["api:key:import", "-"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(
        run.output,
        format!("imported: key {}\n", ids[..29].join(", "))
    );
    for part in [
        "The import stopped. Run it again: keys that are imported already stay as they are (30 of 31 keys done)",
        "another key has the id: 30. ",
        "wrangler failed",
    ] {
        assert!(run.errors.contains(part), "{part}: {}", run.errors);
    }

    let mut project = Project::new().with_wrangler(&answers);
    project.input = input.into();
    let run = project.run(&["api:key:import", "-", "--format=json"]);
    let report: Json = serde_json::from_str(&run.output).unwrap();
    assert_eq!(
        (run.code, &report["stopped"], &report["taken"]),
        (3, &json!(true), &json!([30]))
    );

    // Nobody reads what was imported. The taken id is named all the same.
    let one = format!("[\n{taken}]");
    let project = Project::new().with_wrangler(&[(0, one.as_str())]);
    let run = project.run_into(&mut Unread, &["api:key:import", "--id=30", "--format=json"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.errors.contains("key_id_taken"), "{}", run.errors);
}
