//! A tenant's own site (contract §8): install, password reset, and the drop of its tables.

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use rusqlite::Connection;
use tenants_core::log::Level;
use tenants_core::sql::{Rows, Value};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::{Exhausted, Host, NOW_TEXT, WaitsForBatch as _, problem};
use crate::invariants::ADOPTED;

/// A host with these tenants, all installed.
fn installed(ids: &[&str]) -> Host {
    let mut host = Host::new();
    for id in ids {
        host.expect(201, &new_tenant(id));
        host.expect(201, &install(id));
    }
    host
}

/// A hash takes 45 ms or more of processor time, so only a request that can succeed may take it. A host without randomness cannot hash:
/// there, a request that gets as far as its hash is a 500.
#[test]
fn no_password_is_hashed_before_the_database_has_judged() {
    let mut host = installed(&["a"]);
    host.expect(201, &new_tenant("b"));
    let (_, dead) = host.issue("dead", Some("2026-01-01 00:00:00"));
    host.random = Box::new(Exhausted);
    for (status, ask) in [
        (401, install("b").key(dead.as_str())),
        (401, reset("a").key(dead)),
        (404, install("nobody")),
        (404, reset("nobody")),
        (409, install("a")),
        (404, reset("b")),
        (500, install("b")),
        (500, reset("a")),
    ] {
        let got = host.expect_first(status, &ask);
        let cause = match status {
            401 => "X-API-Key is unknown, deleted or expired, or must sign in the other way",
            500 => "the host has no randomness",
            _ => "",
        };
        assert_eq!(got.cause(), cause, "{ask:?}");
    }
}

/// Whether a user has this password.
fn has_password(host: &Host, users: &str, username: &str, password: &str) -> bool {
    let rows = host.sql(
        &format!("SELECT password_hash FROM \"{users}\" WHERE username = ?1"),
        &[username.into()],
    );
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let Value::Text(hash) = &row[0] else {
        panic!("{row:?}")
    };
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    let hash = PasswordHash::new(hash).unwrap();
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

fn reset_to(id: &str, username: &str, password: &str) -> Ask {
    patch(
        &format!("/tenants/{id}/user-password-reset"),
        format!(r#"{{"username":"{username}","password":"{password}"}}"#),
    )
}

fn not_found(what: &str) -> String {
    problem(
        404,
        "Not Found",
        &format!("there is no such {what}"),
        "not_found",
        "",
    )
}

#[test]
fn install_creates_the_tables_and_the_administrator() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("Abc-1"));
    let body = r#"{"username":"Admin_1","email":"A.d+min@Example.com","password":"hidden é 🐘"}"#;
    let got = host.expect(201, &post("/tenants/aBC-1/install", body));
    assert_eq!(
        got.body,
        r#"{"id":"Abc-1","username":"Admin_1","email":"A.d+min@Example.com"}"#
    );
    assert_eq!(got.header("location"), Some("/_/api/4/tenants/Abc-1"));
    let tables: Vec<Value> = host
        .sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'chv%' ORDER BY name", &[])
        .concat();
    let expected = [
        "albums",
        "categories",
        "connections",
        "files",
        "jobs",
        "likes",
        "login_providers",
        "pages",
        "settings",
        "storages",
        "tagged",
        "tags",
        "users",
    ];
    assert_eq!(
        tables,
        expected.map(|t| Value::from(format!("chv_abc-1_{t}")))
    );
    assert_eq!(
        host.sql(
            "SELECT id, username, email, is_admin, is_manager, created_at FROM \"chv_abc-1_users\"",
            &[]
        ),
        [[
            1.into(),
            "Admin_1".into(),
            "A.d+min@Example.com".into(),
            true.into(),
            false.into(),
            NOW_TEXT.into()
        ]]
    );
    assert!(has_password(
        &host,
        "chv_abc-1_users",
        "admin_1",
        "hidden é 🐘"
    ));
    assert!(!has_password(
        &host,
        "chv_abc-1_users",
        "admin_1",
        "hidden é"
    ));
    assert_eq!(
        host.sql(
            "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1",
            &[]
        ),
        [["tenant.install".into(), "abc-1".into()]]
    );
}

#[test]
fn wrong_fields_are_reported_and_no_response_repeats_a_password() {
    let mut host = Host::new();
    let url = "/tenants/nobody/install";
    let got = host.refuse(
        422,
        &post(
            url,
            r#"{"username":"a-b","email":"hidden","password":"hid","x":1}"#,
        )
        .body(r#"{"username":"a-b","email":"a@b c","password":"xyzzy","x":1}"#),
    );
    assert_eq!(got.named(), ["/username", "/email", "/password", "/x"]);
    assert!(!got.body.contains("xyzzy"), "{}", got.body);
    assert!(
        got.body.contains("expected 6 to 128 characters; got 5"),
        "{}",
        got.body
    );
    assert_eq!(
        host.refuse(422, &post(url, "{}")).named(),
        ["/username", "/email", "/password"]
    );
    for (password, ok) in [
        (r#""12345""#, false),
        (r#""123456""#, true),
        (r#""🐘🐘🐘🐘🐘""#, false),
        (r#""🐘🐘🐘🐘🐘🐘""#, true),
        (&*format!("{:?}", "é".repeat(128)), true),
        (&*format!("{:?}", "é".repeat(129)), false),
        (r#""12345\u0000""#, false),
        ("123456", false),
        ("null", false),
        (r#"["123456"]"#, false),
        (r#""\ud800123456""#, false),
    ] {
        let body = format!(r#"{{"username":"abc","email":"a@b","password":{password}}}"#);
        if ok {
            host.expect_first(404, &post(url, body));
        } else {
            assert_eq!(
                host.refuse(422, &post(url, body)).named(),
                ["/password"],
                "{password}"
            );
        }
    }
    host.refuse(400, &post(url, ""));
    host.refuse(415, &post(url, "{}").no_content_type());
    host.refuse(400, &patch("/tenants/a/user-password-reset", ""));
    let reset = |body: &str| patch("/tenants/nobody/user-password-reset", body);
    assert_eq!(host.refuse(422, &reset("{}")).named(), ["/username"]);
    let got = host.refuse(
        422,
        &reset(r#"{"username":"ab","password":"","email":"a@b"}"#),
    );
    assert_eq!(got.named(), ["/username", "/password", "/email"]);
}

#[test]
fn one_of_several_concurrent_installs_succeeds_and_creates_one_administrator() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    let asks: Vec<Ask> = (0..3)
        .map(|n| {
            let id = if n % 2 == 0 { "a" } else { "A" };
            let body =
                format!(r#"{{"username":"admin{n}","email":"a{n}@b","password":"hidden {n}"}}"#);
            post(&format!("/tenants/{id}/install"), body)
        })
        .collect();
    // All exchanges run their first batches before the first one installs.
    let begun: Vec<_> = asks.iter().map(|ask| host.exchange(ask)).collect();
    let expected = problem(
        409,
        "Conflict",
        "the tenant is installed already",
        "conflict",
        "",
    );
    let mut statuses = Vec::new();
    for (ask, exchange) in asks.iter().zip(begun) {
        let got = match host.run(exchange.batch()) {
            Ok(rows) => host.finish(ask, exchange, Ok(rows)),
            Err(reason) => {
                let why = host.ask_why(ask, exchange, &reason);
                let rows = host.run(why.batch());
                let got = host.finish_why(ask, why, rows);
                assert_eq!(got.body, expected);
                assert!(got.cause().contains("already exists"), "{}", got.cause());
                assert!(
                    got.log.line(0).starts_with(r#"{"level":"warn""#),
                    "{}",
                    got.log.line(0)
                );
                got
            }
        };
        statuses.push(got.status);
    }
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(
        host.sql("SELECT username FROM chv_a_users", &[]),
        [["admin0".into()]]
    );
    assert_eq!(host.expect_first(409, &install("A")).body, expected);
}

#[test]
fn without_a_tenant_or_a_valid_key_nothing_changes() {
    let mut host = installed(&["a"]);
    for id in ["nobody", "a_", "b"] {
        for ask in [install(id), reset(id)] {
            assert_eq!(host.expect_first(404, &ask).body, not_found("tenant"));
        }
        let got = host.expect_failing(404, &delete_with_tables(id));
        assert_eq!(got.body, not_found("tenant"));
    }
    // No tenant can have these ids.
    for id in ["_", "a%20b", "aaaaaaaaaaaaaaaaa"] {
        for ask in [install(id), reset(id), delete_with_tables(id)] {
            assert_eq!(host.expect(404, &ask).body, not_found("tenant"));
        }
    }
    host.expect(201, &new_tenant("b"));
    let kill = |host: &Host| {
        drop(host.sql(
            "UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00'",
            &[],
        ))
    };
    let revive = |host: &Host| drop(host.sql("UPDATE api_keys SET deleted_at = NULL", &[]));
    for ask in [
        install("a"),
        install("b"),
        install("nobody"),
        reset("a"),
        reset("b"),
        reset("nobody"),
    ] {
        kill(&host);
        host.expect_first(401, &ask);
        revive(&host);
    }
    // The key is deleted before the last batch.
    for ask in [
        install("b"),
        delete_with_tables("a"),
        delete_with_tables("b"),
    ] {
        host.expect_failing_after(401, &ask, kill);
        revive(&host);
    }
    host.expect_after(401, &reset("a"), kill);
    assert!(has_password(
        &host,
        "chv_a_users",
        "admin",
        "hidden password"
    ));
}

#[test]
fn a_tenant_that_is_deleted_during_the_request_is_a_404() {
    let gone = |host: &Host| drop(host.sql("DELETE FROM tenants", &[]));
    for ask in [install("a"), delete_with_tables("a")] {
        let mut host = Host::new();
        host.expect(201, &new_tenant("a"));
        assert_eq!(
            host.expect_failing_after(404, &ask, gone).body,
            not_found("tenant")
        );
        assert_eq!(host.own_tables(), [""; 0]);
    }
    // The tables stay, and no password in them changes.
    let mut host = installed(&["a"]);
    assert_eq!(
        host.expect_after(404, &reset("a"), gone).body,
        not_found("tenant")
    );
    assert!(has_password(
        &host,
        "chv_a_users",
        "admin",
        "hidden password"
    ));
}

#[test]
fn a_password_reset_sets_the_password_that_was_sent() {
    let mut host = installed(&["a"]);
    host.sql("INSERT INTO chv_a_users (username, email, password_hash, is_admin, is_manager, created_at) VALUES ('Rodolfo', 'r@b', 'x', 0, 0, '')", &[]);
    let got = host.expect(200, &reset_to("A", "rODOLFO", "a hidden \\\" 🐘"));
    assert_eq!(
        got.body,
        r#"{"username":"Rodolfo","password":"a hidden \" 🐘"}"#
    );
    assert!(has_password(
        &host,
        "chv_a_users",
        "Rodolfo",
        "a hidden \" 🐘"
    ));
    assert!(
        has_password(&host, "chv_a_users", "admin", "hidden password"),
        "another user's stays"
    );
    assert_eq!(
        host.sql(
            "SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 1",
            &[]
        ),
        [["tenant.user_password_reset".into(), "a".into()]]
    );
    assert_eq!(
        host.expect(404, &reset_to("a", "nobody", "hidden hidden"))
            .body,
        not_found("user")
    );
    host.expect(201, &new_tenant("b"));
    let nothing = not_found("user: nothing is installed for this tenant");
    assert_eq!(host.expect_first(404, &reset("b")).body, nothing);
    // The site goes away before the last batch.
    let got = host.expect_failing_after(404, &reset("a"), |host| {
        host.sql("DROP TABLE chv_a_users", &[]);
    });
    assert_eq!(got.body, nothing);
    assert!(got.log.line(0).starts_with(r#"{"level":"warn""#));
}

#[test]
fn a_password_reset_without_a_password_generates_one() {
    let mut host = installed(&["a"]);
    let mut seen = std::collections::BTreeSet::new();
    for body in [
        r#"{"username":"admin"}"#,
        r#"{"username":"admin","password":null}"#,
    ] {
        let made = host.json(200, &patch("/tenants/a/user-password-reset", body));
        let password = made["password"].as_str().unwrap();
        assert_eq!(password.len(), 20);
        assert!(
            password
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert!(has_password(&host, "chv_a_users", "admin", password));
        assert!(seen.insert(password.to_owned()));
    }
    host.random = Box::new(Exhausted);
    host.refuse(
        500,
        &patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#),
    );
}

#[test]
fn drop_tables_drops_the_tables_of_the_tenant_and_no_others() {
    let others = [
        "a_b",
        "a-b",
        "a__b",
        "ab",
        "b_a",
        "aa",
        "a_users",
        "users",
        "tenants",
        "api",
        "audit",
        "tenants_plans",
    ];
    let mut ids = vec!["A"];
    ids.extend(others);
    let mut host = installed(&ids);
    host.expect(201, &new_plan("p"));
    // Every table gets a row, as on a real site.
    host.sql("INSERT INTO chv_a_files (name, media_type, size_bytes, created_at) VALUES ('f', 'image/png', 1, '')", &[]);
    let of_a = |name: &String| {
        !others
            .iter()
            .any(|other| name.starts_with(&format!("chv_{}_", other)))
    };
    let all = host.own_tables();
    let left: Vec<String> = all.iter().filter(|name| !of_a(name)).cloned().collect();
    assert_eq!(
        all.len() - left.len(),
        all.len() / ids.len(),
        "each has as many"
    );
    let rows = |host: &Host| -> Vec<Rows> {
        left.iter()
            .map(|name| host.sql(&format!("SELECT * FROM pragma_table_info('{name}')"), &[]))
            .collect()
    };
    let before = rows(&host);
    host.expect(204, &delete_with_tables("a"));
    assert_eq!(host.own_tables(), left);
    assert_eq!(rows(&host), before);
    for other in others {
        host.expect(200, &reset(other));
    }
    host.expect(404, &get("/tenants/a"));
    host.expect_failing(404, &delete_with_tables("a"));
    // The tenant can be created and installed again.
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    assert_eq!(host.own_tables(), all);
    assert_eq!(
        host.one("SELECT count(*) FROM chv_a_files"),
        Value::Integer(0)
    );
}

#[test]
fn drop_tables_succeeds_if_some_or_all_tables_are_missing() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(204, &delete_with_tables("a"));
    let mut host = installed(&["a"]);
    host.sql("DROP TABLE chv_a_users", &[]);
    host.sql("DROP TABLE chv_a_files", &[]);
    host.expect(204, &delete_with_tables("A"));
    assert_eq!(host.own_tables(), [""; 0]);
}

#[test]
fn the_audit_entry_of_a_deletion_says_what_became_of_the_tables() {
    let last = |host: &Host| {
        host.one(
            "SELECT detail FROM audit_log WHERE action = 'tenant.delete' ORDER BY id DESC LIMIT 1",
        )
    };
    let mut host = installed(&["A", "b"]);
    host.expect(204, &delete("/tenants/a"));
    assert_eq!(last(&host), "tables_kept".into());
    host.expect(204, &delete_with_tables("b"));
    assert_eq!(last(&host), "tables_dropped".into());
    host.expect(201, &new_tenant("c"));
    host.expect(204, &delete("/tenants/c"));
    assert_eq!(last(&host), Value::Null);
    // A Worker that is older than the column.
    host.expect(201, &new_tenant("A"));
    host.sql(
        "INSERT INTO delete_tenant (key_id, request_id, now, key_stands, id_is_there, id) VALUES (1, '', '', 1, 1, 'a')",
        &[],
    );
    assert_eq!(last(&host), Value::Null);
    host.expect(404, &get("/tenants/a"));
}

#[test]
fn without_drop_tables_the_tables_stay_for_a_new_tenant_of_the_same_id() {
    let mut host = installed(&["A-b"]);
    let all = host.own_tables();
    for ask in [
        delete("/tenants/a-b"),
        delete("/tenants/a-b").body("{}"),
        delete("/tenants/a-b").body(r#"{"drop_tables":false}"#),
    ] {
        host.expect(204, &ask);
        assert_eq!(host.own_tables(), all);
        host.expect_first(404, &install("a-b"));
        host.expect_first(404, &reset("a-b"));
        host.expect(201, &new_tenant("a-B"));
        host.expect_first(409, &install("A-B"));
    }
    assert!(has_password(
        &host,
        "chv_a-b_users",
        "admin",
        "hidden password"
    ));
    host.expect(200, &reset("a-b"));
}

#[test]
fn a_new_tenant_that_takes_over_tables_is_told_so_and_the_log_has_a_warning() {
    let mut host = Host::legacy(&[]);
    let fresh = host.expect(201, &new_tenant("Old-1"));
    assert_eq!(fresh.json()["site"]["state"], "none");
    assert_eq!(fresh.log.cause, None);
    host.expect(201, &install("old-1"));
    host.expect(204, &delete("/tenants/old-1"));
    let again = host.expect(201, &new_tenant("OLD-1"));
    assert!(
        again
            .body
            .ends_with(r#","last_job_at":null,"cell_id":null,"site":{"state":"installed","job_id":null,"adopted":true},"served":true,"holds":{},"suspend_at":null,"delete_at":null,"deletion_protection":false}"#),
        "{}",
        again.body
    );
    assert_eq!(again.log.cause.as_deref(), Some(ADOPTED));
    assert_eq!(again.log.level(), Level::Warn);
    // The warning belongs to the creation only.
    let read = host.expect(200, &get("/tenants/old-1"));
    assert_eq!(read.json()["site"]["adopted"], serde_json::Value::Null);
    // The legacy response stays as it was, but the log has the warning.
    host.expect(204, &delete("/tenants/old-1"));
    let body = r#"{"tenant_id":"old-1","hostname":"o.example.com","is_enabled":1}"#;
    let legacy = host.expect(201, &post("/tenants", body).legacy());
    assert!(legacy.body.ends_with(r#","last_job_at":null}"#));
    assert_eq!(legacy.log.cause.as_deref(), Some(ADOPTED));
    // A refusal says nothing of the tables.
    let taken = host.expect(409, &new_tenant("old-1"));
    assert_eq!(taken.json()["code"], "conflict");
}

#[test]
fn a_new_tenant_is_refused_if_it_would_take_over_tables_and_must_not() {
    let mut host = Host::legacy(&[("TENANTS_REUSED_ID", "refuse")]);
    host.expect(201, &new_tenant("Old-1"));
    host.expect(201, &install("old-1"));
    host.expect(204, &delete("/tenants/old-1"));
    let got = host.expect(409, &new_tenant("old-1"));
    assert_eq!(
        got.body,
        problem(
            409,
            "Conflict",
            "a deleted tenant with this id has left its tables",
            "site_exists",
            r#"[{"pointer":"/id","detail":"`old-1` still has the tables of a deleted tenant"}]"#
        )
    );
    let body = r#"{"tenant_id":"Old-1","hostname":"o.example.com","is_enabled":1}"#;
    let legacy = host.expect(409, &post("/tenants", body).legacy());
    assert_eq!(legacy.json()["code"], "site_exists");
    assert_eq!(legacy.named(), ["/tenant_id"]);
    // An invalid key learns nothing, and other obstacles come first.
    let key = host.issue("dead", Some("2026-01-01 00:00:00")).1;
    host.expect(401, &new_tenant("old-1").key(key));
    host.expect(201, &new_tenant("other"));
    let body = r#"{"id":"old-1","hostname":"other.example.com","is_enabled":true}"#;
    assert_eq!(
        host.expect(409, &post("/tenants", body)).named(),
        ["/hostname"]
    );
    // Once the tables are gone, the id is free.
    for table in host.own_tables() {
        host.sql(&format!("DROP TABLE IF EXISTS \"{table}\""), &[]);
    }
    host.expect(201, &new_tenant("old-1"));
    host.expect(201, &install("old-1"));
}

/// The column that the statistics choose their tenants by.
#[test]
fn a_tenant_has_a_site_once_its_tables_exist() {
    let mut host = Host::new();
    let has_site = |host: &Host| host.one("SELECT has_site FROM tenants");
    host.expect(201, &new_tenant("a"));
    assert_eq!(has_site(&host), Value::Integer(0));
    host.expect(201, &install("a"));
    assert_eq!(has_site(&host), Value::Integer(1));
    host.expect(204, &delete("/tenants/a"));
    host.expect(201, &new_tenant("a"));
    assert_eq!(has_site(&host), Value::Integer(1));
    host.expect(204, &delete_with_tables("a"));
    host.expect(201, &new_tenant("a"));
    assert_eq!(has_site(&host), Value::Integer(0));
}

/// During a deployment, the Worker before this one still runs on the new schema.
#[test]
fn a_statement_without_the_new_columns_still_creates_a_tenant() {
    let host = Host::new();
    host.sql(
        "INSERT INTO create_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled) \
         VALUES (1, 'r', '', 1, 0, 0, 1, 'a', 'a', 1)",
        &[],
    );
    assert_eq!(host.one("SELECT has_site FROM tenants"), Value::Integer(1));
}

/// Only an operator or a fault of ours can have created such a table. The transaction is rolled back.
#[test]
fn a_table_in_the_way_of_install_is_a_503_and_the_log_names_it() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.sql("CREATE TABLE chv_a_pages (id INTEGER, x TEXT)", &[]);
    let got = host.expect_failing(503, &install("a"));
    assert!(got.cause().contains("chv_a_pages"), "{}", got.cause());
    assert_eq!(host.own_tables(), ["chv_a_pages"]);
}

#[test]
fn another_prefix_gives_other_tables() {
    let mut host = installed(&["a"]);
    host.configure(&[("CHEVERETO_DB_TABLE_PREFIX", "chv_other_")]);
    host.expect_first(404, &reset("a"));
    host.expect(201, &install("a"));
    assert!(host.own_tables().contains(&"chv_other_a_users".to_owned()));
}

/// SQLite keeps tables and indexes in one namespace. Compares every pair of ids that could lead to the same name.
#[test]
fn the_tables_and_indexes_of_two_tenants_never_share_a_name() {
    let mut host = installed(&["a"]);
    let parts: Vec<String> = host
        .own_tables()
        .iter()
        .map(|n| n.replacen("chv_a_", "", 1))
        .collect();
    let ids: Vec<String> = parts
        .iter()
        .flat_map(|part| {
            part.split('_').scan(String::from("a"), |id, word| {
                id.push('_');
                id.push_str(word);
                Some(id.clone())
            })
        })
        .filter(|id| id.len() <= 16)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert!(ids.len() > 12, "{ids:?}");
    for id in &ids {
        host.expect(201, &new_tenant(id));
        host.expect(201, &install(id));
    }
    assert_eq!(host.own_tables().len(), parts.len() * (ids.len() + 1));
}

/// One database holds the definitions of all tenants, and SQLite keeps them in memory.
#[test]
fn a_tenants_definitions_are_small() {
    let pages = |db: &Connection| -> i64 {
        db.query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap()
    };
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    let before = pages(&host.db);
    host.expect(201, &install("a"));
    // 13 tables and their indexes take a page of 4 KiB each.
    assert!(
        pages(&host.db) - before < 32,
        "{}",
        pages(&host.db) - before
    );
}
