//! `restore`, against a fake wrangler: what an operator is told if it ends early. The whole command runs in tests/e2e/cli_backup.test.mjs.
#![cfg(unix)]

mod common;

use common::{NONE, Project};

/// An export that has no rows, made of the least that a registry needs.
const EXPORT: &str = "CREATE TABLE d1_migrations (id);\nCREATE TABLE api_keys (id);\nCREATE TABLE tenants_plans (id);\nCREATE TABLE tenants (id);\nCREATE TABLE audit_log (id);\n\
                      CREATE VIEW create_tenant AS SELECT 1;\nCREATE VIEW edit_tenant AS SELECT 1;\nCREATE VIEW delete_tenant AS SELECT 1;\n\
                      CREATE VIEW create_plan AS SELECT 1;\nCREATE VIEW edit_plan AS SELECT 1;\nCREATE VIEW delete_plan AS SELECT 1;\n";
const BOOKMARK: &str = r#"{"bookmark": "00000001-00000002"}"#;

#[test]
fn a_restore_that_ends_after_its_import_says_that_the_backup_is_in_and_what_is_left_to_do() {
    const IN: &str = "The backup is in the database, in place of what it had. Its bookmark before was 00000001-00000002.";
    const UNSURE: &str =
        "`tenants status --remote` shows what it has. Its bookmark before was 00000001-00000002";
    const MIGRATE: &str = "`tenants database:migrate --remote`";
    const KEYS: &str = "`tenants api:key:list --remote` shows the keys that are valid now";
    // The exit codes of the import, of the check of the rows and of the migrations.
    for (ends, parts, absent) in [
        ([1, 0, 0], &[UNSURE][..], IN),
        ([0, 1, 0], &[IN, KEYS], MIGRATE),
        (
            [0, 1, 1],
            &[IN, "Its migrations failed as well: ", MIGRATE, KEYS],
            "restored",
        ),
    ] {
        let [import, check, migrations] = ends;
        let project = Project::new().with_wrangler(&[
            (0, NONE),
            (0, BOOKMARK),
            (import, ""),
            (check, ""),
            (migrations, ""),
        ]);
        std::fs::write(project.path().join("export.sql"), EXPORT).unwrap();
        let run = project.run(&["restore", "--from", "export.sql", "--remote", "--quiet"]);
        assert_eq!(run.code, 3, "{run:?}");
        for part in parts {
            assert!(run.errors.contains(part), "{part}: {run:?}");
        }
        assert!(!run.errors.contains(absent), "{absent}: {run:?}");
        assert_eq!(run.output, "", "{run:?}");
    }
}

/// Each call takes seconds, in which the keys would still be valid.
#[test]
fn a_finished_restore_begins_the_epoch_and_deletes_the_keys_in_one_call() {
    let key = |id: u8| {
        format!(
            r#"{{"id": {id}, "name": null, "scopes": "*", "is_bound": 0, "created_at": "", "expires_at": null, "last_used_at": null, "deleted_at": null}}"#
        )
    };
    let keys = format!(
        "[\n  {{\"results\": [{}, {}, {}], \"success\": true}}\n]",
        key(3),
        key(5),
        key(7)
    );
    let results = [r#"{"results": []}"#; 8].join(", ");
    let done = format!("[\n  {results}\n]");
    let project = Project::new().with_wrangler(&[(0, &keys), (0, &done)]);
    let run = project.run(&["restore", "--finish", "--delete-keys", "3,7"]);
    assert_eq!(run.code, 0, "{run:?}");
    let sql = &project.wrangler_call(2).unwrap()[6];
    for part in ["INTO registry (id, epoch)", "id = 3", "id = 7"] {
        assert!(sql.contains(part), "{part}: {sql}");
    }
    assert!(!sql.contains("id = 5"), "{sql}");
    assert_eq!(project.wrangler_call(3), None);
}
