//! `POST /tenants` (contract §4, §5).

use tenants_core::sql::Value;

use crate::ask::{get, new_plan, new_tenant, patch, post};
use crate::host::{Host, NOW_TEXT, problem};

const NO_STATS: &str = r#"{"tags":0,"files":0,"pages":0,"users":0,"admins":0,"albums":0,"managers":0,"storages":0,"cron_time":0,"categories":0,"file_likes":0,"file_views":0,"album_likes":0,"album_views":0,"storage_used":0,"login_providers":0}"#;

fn refused(host: &mut Host, body: &str) -> Vec<String> {
    host.refuse(422, &post("/tenants", body)).named()
}

#[test]
fn all_wrong_fields_are_reported_at_once() {
    let mut host = Host::new();
    let got = host.refuse(422, &post("/tenants", "{}"));
    assert_eq!(
        got.body,
        problem(
            422,
            "Unprocessable Content",
            "3 fields are not as expected",
            "invalid",
            r#"[{"pointer":"/id","detail":"required; it is missing"},{"pointer":"/hostname","detail":"required; it is missing"},{"pointer":"/is_enabled","detail":"required; it is missing"}]"#
        )
    );
    let got = host.refuse(
        422,
        &post(
            "/tenants",
            r#"{"id":1,"hostname":null,"is_enabled":"true","plan_id":[],"limits":"","env":["hidden"],"no/pe~":0}"#,
        ),
    );
    assert_eq!(
        got.body,
        problem(
            422,
            "Unprocessable Content",
            "7 fields are not as expected",
            "invalid",
            r#"[{"pointer":"/id","detail":"expected a string; got a number"},{"pointer":"/hostname","detail":"expected a string; got null"},{"pointer":"/is_enabled","detail":"expected true or false; got a string"},{"pointer":"/plan_id","detail":"expected a string; got an array"},{"pointer":"/limits","detail":"expected an object; got a string"},{"pointer":"/env","detail":"expected an object; got an array"},{"pointer":"/no~1pe~0","detail":"unknown field"}]"#
        )
    );
    assert_eq!(
        refused(
            &mut host,
            r#"{"id":"a","hostname":"a","is_enabled":1,"limits":{"a":"1","B":null,"C":"1"},"env":{"D":{"E":"hidden"},"F":"hidden\u0000","G":"hidden\ud800"}}"#
        ),
        [
            "/is_enabled",
            "/limits/a",
            "/limits/B",
            "/env/D",
            "/env/F",
            "/env/G"
        ]
    );
    let got = host.refuse(
        422,
        &post(
            "/tenants",
            r#"{"id":"_","hostname":"a_b","is_enabled":true,"plan_id":"a b"}"#,
        ),
    );
    assert_eq!(
        got.json()["errors"].to_string(),
        r#"[{"detail":"expected 1 to 16 of [A-Za-z0-9_-], starting with a letter or a digit; got `_`","pointer":"/id"},{"detail":"expected labels of 1 to 63 letters, digits and hyphens, no hyphen at either end, separated by dots; got `a_b`","pointer":"/hostname"},{"detail":"expected 1 to 64 of [A-Za-z0-9_-], starting with a letter or a digit; got `a b`","pointer":"/plan_id"}]"#
    );
}

#[test]
fn fields_that_the_service_sets_are_refused() {
    let mut host = Host::new();
    for field in [
        "created_at",
        "updated_at",
        "last_job_at",
        "stats",
        "name",
        "Id",
    ] {
        let body = format!(r#"{{"id":"a","hostname":"a","is_enabled":true,"{field}":null}}"#);
        assert_eq!(refused(&mut host, &body), [format!("/{field}")]);
    }
}

#[test]
fn a_map_has_at_most_256_entries() {
    let mut host = Host::new();
    for field in ["limits", "env"] {
        let body = |n: usize, id: &str| {
            let map: Vec<String> = (0..n).map(|i| format!(r#""V{i}":"hidden""#)).collect();
            let map = map
                .join(",")
                .replace("hidden", if field == "env" { "hidden" } else { "" });
            format!(r#"{{"id":"{id}","hostname":"{id}","is_enabled":true,"{field}":{{{map}}}}}"#)
        };
        assert_eq!(refused(&mut host, &body(257, "a")), [format!("/{field}")]);
        let made = host.json(201, &post("/tenants", body(256, field)));
        assert_eq!(made[field].as_object().unwrap().len(), 256);
    }
}

#[test]
fn a_duplicate_name_in_a_map_is_refused() {
    let mut host = Host::new();
    let body = r#"{"id":"a","hostname":"a","is_enabled":true,"env":{"A":"hidden","A":"hidden"}}"#;
    assert_eq!(refused(&mut host, body), ["/env"]);
}

#[test]
fn the_hostname_of_the_root_is_refused() {
    let body = |hostname: &str| {
        post(
            "/tenants",
            format!(r#"{{"id":"a","hostname":"{hostname}","is_enabled":true}}"#),
        )
    };
    let mut host = Host::new();
    let got = host.refuse(422, &body("LocalHost"));
    assert_eq!(
        got.json()["errors"][0]["detail"],
        "`localhost` is the root's own name; expected another"
    );
    let mut host = Host::with(&[("CHEVERETO_INTERNAL_HOSTNAME", "Root.Example.com")]);
    assert_eq!(
        host.refuse(422, &body("rOOT.example.com")).named(),
        ["/hostname"]
    );
    host.expect(201, &body("localhost"));
}

#[test]
fn a_reserved_hostname_is_a_422_when_a_tenant_is_created_or_edited() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.configure(&[(
        "TENANTS_RESERVED_HOSTNAMES",
        "www.example.com, *.internal.example.com, a.example.com",
    )]);
    for name in [
        "WWW.example.com",
        "a.b.internal.example.com",
        "a.example.com",
    ] {
        let create = format!(r#"{{"id":"b","hostname":"{name}","is_enabled":true}}"#);
        let edit = format!(r#"{{"hostname":"{name}"}}"#);
        for ask in [post("/tenants", create), patch("/tenants/a", edit)] {
            let got = host.refuse(422, &ask);
            assert_eq!(got.named(), ["/hostname"]);
            assert_eq!(
                got.json()["errors"][0]["detail"],
                format!(
                    "`{}` is reserved; expected another",
                    name.to_ascii_lowercase()
                )
            );
        }
    }
    // A tenant that has the name already keeps it.
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    assert_eq!(
        host.json(200, &get("/tenants/a"))["hostname"],
        "a.example.com"
    );
    host.expect(201, &new_tenant("internal"));
    host.expect(201, &new_tenant("www2"));
}

#[test]
fn a_taken_id_and_a_taken_hostname_are_both_reported_in_one_409() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("Taken"));
    host.expect(201, &new_tenant("other"));
    for (id, hostname, detail, errors) in [
        (
            "tAKEN",
            "free.example.com",
            "already taken: id",
            r#"[{"pointer":"/id","detail":"`tAKEN` is taken","holder":"Taken"}]"#,
        ),
        (
            "free",
            "TAKEN.example.com",
            "already taken: hostname",
            r#"[{"pointer":"/hostname","detail":"`taken.example.com` is taken","holder":"Taken"}]"#,
        ),
        (
            "taken",
            "taken.example.com",
            "already taken: id, hostname",
            r#"[{"pointer":"/id","detail":"`taken` is taken","holder":"Taken"},{"pointer":"/hostname","detail":"`taken.example.com` is taken","holder":"Taken"}]"#,
        ),
        (
            "taken",
            "other.example.com",
            "already taken: id, hostname",
            r#"[{"pointer":"/id","detail":"`taken` is taken","holder":"Taken"},{"pointer":"/hostname","detail":"`other.example.com` is taken","holder":"other"}]"#,
        ),
    ] {
        let body = format!(r#"{{"id":"{id}","hostname":"{hostname}","is_enabled":true}}"#);
        let got = host.expect(409, &post("/tenants", body));
        assert_eq!(
            got.body,
            problem(409, "Conflict", detail, "conflict", errors)
        );
    }
}

#[test]
fn an_unknown_plan_is_a_422_even_if_the_id_is_taken() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("taken"));
    for id in ["free", "taken"] {
        let body = format!(
            r#"{{"id":"{id}","hostname":"{id}.example.com","is_enabled":true,"plan_id":"nobody"}}"#
        );
        let got = host.expect(422, &post("/tenants", body));
        assert_eq!(
            got.body,
            problem(
                422,
                "Unprocessable Content",
                "one field is not as expected",
                "invalid",
                r#"[{"pointer":"/plan_id","detail":"expected a plan that exists; got `nobody`"}]"#
            )
        );
    }
}

#[test]
fn a_plan_that_is_deleted_during_the_request_is_a_422() {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    let body = r#"{"id":"a","hostname":"a","is_enabled":true,"plan_id":"p"}"#;
    let got = host.expect_after(422, &post("/tenants", body), |host| {
        host.sql("DELETE FROM tenants_plans", &[]);
    });
    assert_eq!(got.named(), ["/plan_id"]);
}

#[test]
fn a_tenant_with_only_the_required_fields_is_created() {
    let mut host = Host::new();
    let body = r#"{"id":"Abc","hostname":"A.Example.COM","is_enabled":true}"#;
    let got = host.expect(201, &post("/tenants", body));
    let expected = format!(
        r#"{{"id":"Abc","hostname":"a.example.com","is_enabled":true,"created_at":"{NOW_TEXT}","updated_at":"{NOW_TEXT}","plan_id":null,"external_id":null,"labels":{{}},"limits":{{}},"env":{{}},"stats":{NO_STATS},"last_job_at":null,"cell_id":null,"site":{{"state":"none","job_id":null}},"served":true,"holds":{{}},"suspend_at":null,"delete_at":null,"deletion_protection":false}}"#
    );
    assert_eq!(got.body, expected);
    assert_eq!(got.header("location"), Some("/_/api/4/tenants/Abc"));
    assert_eq!(host.expect(200, &get("/tenants/aBC")).body, expected);
    assert_eq!(
        host.sql("SELECT action, subject FROM audit_log", &[]),
        [["tenant.create".into(), "abc".into()]]
    );
}

#[test]
fn a_tenant_with_all_fields_is_created() {
    let mut host = Host::new();
    host.expect(201, &new_plan("Basic"));
    let body = r#"{"env":{"B":"hidden é\n🐘","A":-0.50},"limits":{"Y":true,"X":1e3,"W":""},"plan_id":"bASIC","is_enabled":false,"hostname":"a.example.com","id":"a"}"#;
    let got = host.expect(201, &post("/tenants", body));
    let expected = format!(
        r#"{{"id":"a","hostname":"a.example.com","is_enabled":false,"created_at":"{NOW_TEXT}","updated_at":"{NOW_TEXT}","plan_id":"Basic","external_id":null,"labels":{{}},"limits":{{"W":"","X":"1e3","Y":"true"}},"env":{{"A":"-0.50","B":"hidden é\n🐘"}},"stats":{NO_STATS},"last_job_at":null,"cell_id":null,"site":{{"state":"none","job_id":null}},"served":false,"holds":{{}},"suspend_at":null,"delete_at":null,"deletion_protection":false}}"#
    );
    assert_eq!(got.body, expected);
    assert_eq!(host.expect(200, &get("/tenants/a")).body, expected);
    assert_eq!(host.one("SELECT plan_id FROM tenants"), "Basic".into());
}

#[test]
fn a_null_field_counts_as_absent() {
    let mut host = Host::new();
    for (id, plan_id) in [("a", "null"), ("b", r#""""#)] {
        let body = format!(
            r#"{{"id":"{id}","hostname":"{id}","is_enabled":true,"plan_id":{plan_id},"limits":null,"env":null}}"#
        );
        let made = host.json(201, &post("/tenants", body));
        assert!(made["plan_id"].is_null());
        assert_eq!(made["limits"].to_string(), "{}");
        assert_eq!(made["env"].to_string(), "{}");
    }
    assert_eq!(
        host.one(
            "SELECT count(*) FROM tenants WHERE limits IS NULL AND env IS NULL AND plan_id IS NULL"
        ),
        Value::Integer(2)
    );
}
