//! `env` at rest (contract §5): encrypted for its table, row and column. An `env` that cannot be decrypted is a 500, never empty.

use serde_json::Value as Json;
use tenants_core::sql::Value;

use crate::ask::{delete, get, new_plan, new_tenant, patch, post};
use crate::host::{Host, SECRETS, internal_error, not_configured};

const NEWER: &str = "//////////////////////////////////////////8=";

fn sealed_tenant(host: &mut Host, id: &str) -> Json {
    let body = format!(
        r#"{{"id":"{id}","hostname":"{id}.example.com","is_enabled":true,"env":{{"A":"hidden-{id}"}}}}"#
    );
    host.json(201, &post("/tenants", body))
}

fn stored(host: &Host, table: &str, id: &str) -> Value {
    host.one(&format!("SELECT env FROM {table} WHERE id = '{id}'"))
}

fn store(host: &Host, table: &str, id: &str, env: Value) {
    host.sql(
        &format!("UPDATE {table} SET env = ?1 WHERE id = ?2"),
        &[env, id.into()],
    );
}

fn unreadable() -> String {
    internal_error()
}

#[test]
fn without_an_encryption_key_only_requests_with_an_env_are_a_503() {
    let mut host = Host::new();
    sealed_tenant(&mut host, "Sealed");
    host.expect(201, &new_tenant("plain"));
    host.expect(201, &new_plan("Sealed"));
    host.expect(
        201,
        &post("/tenants-plans", r#"{"id":"plain","limits":{}}"#),
    );
    let (tenant, plan) = (
        stored(&host, "tenants", "Sealed"),
        stored(&host, "tenants_plans", "Sealed"),
    );
    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", "")]);

    let expected = not_configured();
    let sealing = r#"{"env":{"A":"hidden"}}"#;
    let refused = [
        post(
            "/tenants",
            r#"{"id":"a","hostname":"a","is_enabled":true,"env":{"A":"hidden"}}"#,
        ),
        patch("/tenants/plain", sealing),
        post("/tenants-plans", r#"{"id":"a","env":{"A":"hidden"}}"#),
        post("/tenants-plans", r#"{"id":"a","env":{}}"#),
        patch("/tenants-plans/plain", sealing),
        patch("/tenants-plans/plain", r#"{"env":{}}"#),
    ];
    let unopened = [
        get("/tenants/sealed"),
        get("/tenants"),
        get("/tenants-plans/sealed"),
        get("/tenants-plans"),
    ];
    for ask in &refused {
        let got = host.refuse(503, ask);
        assert_eq!(got.body, expected);
        assert_eq!(got.cause(), "CHEVERETO_ENCRYPTION_KEY is not configured");
    }
    for ask in &unopened {
        let got = host.expect(503, ask);
        assert_eq!(got.body, expected);
        assert_eq!(got.cause(), "CHEVERETO_ENCRYPTION_KEY is not configured");
    }

    host.expect(200, &get("/tenants/plain"));
    host.expect(200, &get("/tenants-plans/plain"));
    host.expect(200, &get("/tenants?limit=1&after=sealed"));
    host.expect(200, &post("/auth/verify", ""));
    host.expect(
        201,
        &post(
            "/tenants",
            r#"{"id":"b","hostname":"b","is_enabled":true,"env":{}}"#,
        ),
    );
    host.expect(
        204,
        &patch(
            "/tenants/sealed",
            r#"{"is_enabled":false,"limits":{"A":1}}"#,
        ),
    );
    host.expect(204, &patch("/tenants-plans/sealed", r#"{"limits":null}"#));
    assert_eq!(stored(&host, "tenants", "Sealed"), tenant);
    assert_eq!(stored(&host, "tenants_plans", "Sealed"), plan);
    host.expect(204, &patch("/tenants/sealed", r#"{"env":null}"#));
    host.expect(204, &patch("/tenants-plans/sealed", r#"{"env":null}"#));
    host.expect(200, &get("/tenants"));
    host.expect(200, &get("/tenants-plans"));
}

#[test]
fn an_env_that_was_moved_to_another_row_is_a_500_and_stays_unchanged() {
    let mut host = Host::new();
    for id in ["Abc", "other"] {
        sealed_tenant(&mut host, id);
        host.expect(201, &new_plan(id));
    }
    let own = stored(&host, "tenants", "Abc");
    let own_plan = stored(&host, "tenants_plans", "Abc");
    for moved in [stored(&host, "tenants", "other"), own_plan.clone()] {
        store(&host, "tenants", "Abc", moved.clone());
        for path in ["/tenants/aBC", "/tenants"] {
            let got = host.expect(500, &get(path));
            assert_eq!(got.body, unreadable());
            assert_eq!(
                got.cause(),
                "tenants/abc/env: does not open: it was changed, or moved here from another place"
            );
        }
        host.expect(
            204,
            &patch("/tenants/Abc", r#"{"is_enabled":false,"limits":{"A":1}}"#),
        );
        assert_eq!(stored(&host, "tenants", "Abc"), moved);
    }
    for moved in [stored(&host, "tenants_plans", "other"), own.clone()] {
        store(&host, "tenants_plans", "Abc", moved.clone());
        for path in ["/tenants-plans/aBC", "/tenants-plans"] {
            let got = host.expect(500, &get(path));
            assert_eq!(got.body, unreadable());
            assert!(got.cause().starts_with("tenants_plans/abc/env: "));
        }
        host.expect(204, &patch("/tenants-plans/Abc", r#"{"limits":null}"#));
        assert_eq!(stored(&host, "tenants_plans", "Abc"), moved);
    }
    store(&host, "tenants", "Abc", own);
    assert_eq!(
        host.json(200, &get("/tenants/Abc"))["env"]["A"],
        "hidden-Abc"
    );

    store(&host, "tenants_plans", "Abc", own_plan);
    // An env that cannot be decrypted can be replaced, and its tenant can be deleted.
    store(&host, "tenants", "Abc", "x".into());
    host.expect(204, &patch("/tenants/Abc", r#"{"env":{"A":"hidden-new"}}"#));
    assert_eq!(
        host.json(200, &get("/tenants/Abc"))["env"]["A"],
        "hidden-new"
    );
    store(&host, "tenants", "Abc", "x".into());
    host.expect(204, &delete("/tenants/Abc"));
    host.expect(200, &get("/tenants"));
}

/// The id is deleted and created again in another case, which is the same identifier.
#[test]
fn an_env_is_bound_to_the_id_in_lower_case() {
    let mut host = Host::new();
    sealed_tenant(&mut host, "abc");
    let sealed = stored(&host, "tenants", "abc");
    host.expect(204, &delete("/tenants/abc"));
    sealed_tenant(&mut host, "ABC");
    store(&host, "tenants", "abc", sealed);
    assert_eq!(
        host.json(200, &get("/tenants/abc"))["env"]["A"],
        "hidden-abc"
    );
    host.expect(204, &patch("/tenants/aBc", r#"{"env":{"B":"hidden"}}"#));
    assert_eq!(host.json(200, &get("/tenants/abc"))["env"]["B"], "hidden");
}

#[test]
fn during_a_rotation_the_previous_key_decrypts_and_never_encrypts() {
    let older = SECRETS[2].1;
    let mut host = Host::new();
    for id in ["stays", "moves"] {
        sealed_tenant(&mut host, id);
        host.expect(201, &new_plan(id));
    }
    host.configure(&[
        ("CHEVERETO_ENCRYPTION_KEY", NEWER),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", older),
    ]);
    let before = stored(&host, "tenants", "stays");
    assert_eq!(
        host.json(200, &get("/tenants/stays"))["env"]["A"],
        "hidden-stays"
    );
    host.expect(204, &patch("/tenants/stays", r#"{"is_enabled":false}"#));
    assert_eq!(stored(&host, "tenants", "stays"), before);
    for path in ["/tenants/moves", "/tenants-plans/moves"] {
        host.expect(204, &patch(path, r#"{"env":{"A":"hidden-moved"}}"#));
        assert_eq!(host.json(200, &get(path))["env"]["A"], "hidden-moved");
    }
    assert_eq!(
        host.json(200, &get("/tenants")).as_array().unwrap().len(),
        2
    );

    host.configure(&[("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "")]);
    for list in ["tenants", "tenants-plans"] {
        let moved = host.json(200, &get(&format!("/{list}/moves")));
        assert_eq!(moved["env"]["A"], "hidden-moved");
        let got = host.expect(500, &get(&format!("/{list}/stays")));
        assert_eq!(
            got.cause(),
            format!(
                "{}/stays/env: was sealed under a key that is not configured",
                list.replace('-', "_")
            )
        );
    }

    host.configure(&[("CHEVERETO_ENCRYPTION_KEY", older)]);
    host.expect(500, &get("/tenants/moves"));
    host.expect(200, &get("/tenants/stays"));
}

#[test]
fn the_same_env_is_encrypted_differently_every_time() {
    let mut host = Host::new();
    sealed_tenant(&mut host, "a");
    let mut seen = vec![stored(&host, "tenants", "a")];
    for _ in 0..3 {
        host.expect(204, &patch("/tenants/a", r#"{"env":{"A":"hidden-a"}}"#));
        let now = stored(&host, "tenants", "a");
        assert!(!seen.contains(&now));
        seen.push(now);
    }
}
