//! External ids and labels, the filters of both lists, and the settings of a tenant.

use serde_json::{Value as Json, json};

use crate::ask::{delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post};
use crate::host::Host;

fn ids(list: &Json) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|t| t["id"].as_str().unwrap()).collect()
}

/// The rows of the labels' tables must be those of the columns.
fn assert_labels_are_indexed(host: &Host) {
    for (table, one) in [("tenants", "tenant"), ("tenants_plans", "plan")] {
        let of_columns = host.sql(
            &format!(
                "SELECT r.id, e.key, e.value FROM {table} AS r, json_each(r.labels) AS e ORDER BY 1, 2"
            ),
            &[],
        );
        let rows = host.sql(
            &format!("SELECT {one}_id, name, value FROM {one}_labels ORDER BY 1, 2"),
            &[],
        );
        assert_eq!(rows, of_columns);
    }
}

#[test]
fn external_id_and_labels_are_created_merged_and_removed() {
    let mut host = Host::new();
    for (list, new) in [
        (
            "/tenants",
            r#"{"id":"a","hostname":"a","is_enabled":true,"external_id":"C-7 é","labels":{"tier":"gold","a.b_c-d":""}}"#,
        ),
        (
            "/tenants-plans",
            r#"{"id":"a","external_id":"C-7 é","labels":{"tier":"gold","a.b_c-d":""}}"#,
        ),
    ] {
        let path = format!("{list}/a");
        let got = host.expect(201, &post(list, new));
        let members = r#","external_id":"C-7 é","labels":{"a.b_c-d":"","tier":"gold"},"#;
        assert!(got.body.contains(members), "{}", got.body);
        assert_eq!(host.expect(200, &get(&path)).body, got.body);
        assert_labels_are_indexed(&host);
        for (body, external_id, labels) in [
            (
                r#"{"labels":{"tier":"silver","new":"1"}}"#,
                json!("C-7 é"),
                json!({"a.b_c-d": "", "new": "1", "tier": "silver"}),
            ),
            (
                r#"{"labels":{"tier":null,"unknown":null}}"#,
                json!("C-7 é"),
                json!({"a.b_c-d": "", "new": "1"}),
            ),
            (
                r#"{"labels":{},"external_id":"c-7"}"#,
                json!("c-7"),
                json!({"a.b_c-d": "", "new": "1"}),
            ),
            (
                r#"{"external_id":"c-7"}"#,
                json!("c-7"),
                json!({"a.b_c-d": "", "new": "1"}),
            ),
            (r#"{"labels":null}"#, json!("c-7"), json!({})),
            (r#"{"external_id":null}"#, json!(null), json!({})),
        ] {
            host.expect(204, &patch(&path, body));
            let got = host.json(200, &get(&path));
            assert_eq!(got["external_id"], external_id, "{body}");
            assert_eq!(got["labels"], labels, "{body}");
            assert_labels_are_indexed(&host);
        }
        host.expect(204, &patch(&path, r#"{"labels":{"left":"1"}}"#));
        host.expect(204, &delete(&path));
        assert_labels_are_indexed(&host);
    }
    assert_eq!(
        host.one("SELECT count(*) FROM tenant_labels"),
        0.into(),
        "no label outlives its tenant"
    );
    let body = r#"{"id":"a","hostname":"a","is_enabled":true,"labels":{"tier":"gold"}}"#;
    host.expect(201, &post("/tenants", body));
    host.expect(201, &install("a"));
    host.expect(204, &delete_with_tables("a"));
    assert_labels_are_indexed(&host);
}

#[test]
fn malformed_external_ids_and_labels_are_named() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_plan("a"));
    let long = "x".repeat(256);
    for path in ["/tenants/a", "/tenants-plans/a"] {
        for (body, named) in [
            (r#"{"external_id":""}"#.into(), &["/external_id"][..]),
            (format!(r#"{{"external_id":"{long}"}}"#), &["/external_id"]),
            (r#"{"external_id":7}"#.into(), &["/external_id"]),
            (r#"{"labels":[1]}"#.into(), &["/labels"]),
            (
                r#"{"labels":{"A":"1","b":1,"c/d":null,"e":"1"}}"#.into(),
                &["/labels/A", "/labels/b", "/labels/c~1d"],
            ),
        ] {
            assert_eq!(host.refuse(422, &patch(path, body)).named(), named);
        }
    }
    let got = host.refuse(
        422,
        &post(
            "/tenants",
            r#"{"id":"b","hostname":"b","is_enabled":true,"labels":{"a":null}}"#,
        ),
    );
    assert_eq!(got.named(), ["/labels/a"]);
}

#[test]
fn more_than_32_labels_after_a_patch_are_a_422() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_plan("a"));
    let labels = |from: usize, to: usize, value: &str| {
        let all: Vec<String> = (from..to).map(|i| format!(r#""l{i}":{value}"#)).collect();
        format!(r#"{{"labels":{{{}}}}}"#, all.join(","))
    };
    for path in ["/tenants/a", "/tenants-plans/a"] {
        host.expect(204, &patch(path, labels(0, 32, "\"\"")));
        let before = host.json(200, &get(path));
        let got = host.expect(422, &patch(path, labels(31, 33, "\"\"")));
        assert_eq!(got.named(), ["/labels"]);
        assert_eq!(host.json(200, &get(path)), before);
        host.expect(204, &patch(path, labels(0, 32, "null")));
        host.expect(204, &patch(path, labels(31, 33, "\"\"")));
    }
}

/// D1 refuses a statement of more than 100,000 bytes, and its export writes a row as one statement.
#[test]
fn labels_of_more_bytes_than_a_row_may_have_are_a_422() {
    let mut host = Host::new();
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_plan("a"));
    // More than 1,020 bytes each: 255 characters of four bytes.
    let all: Vec<String> = (0..12)
        .map(|i| format!(r#""{i}":"{}""#, "\u{1d11e}".repeat(255)))
        .collect();
    let labels =
        |from: usize, to: usize| format!(r#"{{"labels":{{{}}}}}"#, all[from..to].join(","));
    for path in ["/tenants/a", "/tenants-plans/a"] {
        host.expect(204, &patch(path, labels(0, 11)));
        let before = host.json(200, &get(path));
        let got = host.expect(422, &patch(path, labels(11, 12)));
        assert_eq!(got.named(), ["/labels"]);
        assert!(got.body.contains("12000 bytes"), "{}", got.body);
        assert_eq!(host.json(200, &get(path)), before);
        // Room for 500 bytes remains; an apostrophe takes two.
        let with = |character: &str| format!(r#"{{"labels":{{"x":"{}"}}}}"#, character.repeat(255));
        host.expect(422, &patch(path, with("'''")));
        host.expect(204, &patch(path, with("'")));
        host.expect(422, &patch(path, with("'").replace('x', "y")));
    }
    let tenant = r#"{"id":"b","hostname":"b","is_enabled":true,"#;
    let body = |count: usize| format!("{tenant}{}", &labels(0, count)[1..]);
    let got = host.expect(422, &post("/tenants", body(12)));
    assert_eq!(got.named(), ["/labels"]);
    host.expect(201, &post("/tenants", body(11)));
}

#[test]
fn a_taken_external_id_is_a_409_and_nothing_is_written() {
    let mut host = Host::new();
    let new = |id: &str, external: &str| {
        let tenant = format!(
            r#"{{"id":"{id}","hostname":"{id}","is_enabled":true,"external_id":"{external}"}}"#
        );
        let plan = format!(r#"{{"id":"{id}","external_id":"{external}"}}"#);
        [post("/tenants", tenant), post("/tenants-plans", plan)]
    };
    for ask in new("a", "e-1").iter().chain(&new("b", "E-1")) {
        host.expect(201, ask);
    }
    for ask in new("c", "e-1") {
        let got = host.expect(409, &ask);
        assert_eq!(got.named(), ["/external_id"]);
        assert_eq!(got.json()["errors"][0]["holder"], "a");
    }
    let [tenant, plan] = new("A", "E-1");
    let named = host.expect(409, &tenant).named();
    assert_eq!(named, ["/id", "/hostname", "/external_id"]);
    assert_eq!(host.expect(409, &plan).named(), ["/id", "/external_id"]);
    for path in ["/tenants/b", "/tenants-plans/b"] {
        let got = host.expect(409, &patch(path, r#"{"external_id":"e-1"}"#));
        assert_eq!(got.named(), ["/external_id"]);
        assert_eq!(got.json()["errors"][0]["holder"], "a");
        host.expect(204, &patch(path, r#"{"external_id":"E-1"}"#));
    }
    // A deleted tenant's external id is free again.
    host.expect(204, &delete("/tenants/a"));
    host.expect(204, &patch("/tenants/b", r#"{"external_id":"e-1"}"#));
}

#[test]
fn the_legacy_dialect_neither_shows_nor_takes_them_and_keeps_them() {
    let mut host = Host::legacy(&[]);
    let body = r#"{"id":"a","hostname":"a","is_enabled":true,"external_id":"e-1","labels":{"tier":"gold"}}"#;
    host.expect(201, &post("/tenants", body));
    host.expect(
        201,
        &post(
            "/tenants-plans",
            r#"{"id":"a","external_id":"e-1","labels":{"tier":"gold"}}"#,
        ),
    );
    for path in ["/tenants/a", "/tenants-plans/a"] {
        let old = host.json(200, &get(path).legacy());
        assert_eq!(old.get("external_id"), None);
        assert_eq!(old.get("labels"), None);
        let body = r#"{"limits":{"A":"1"},"external_id":7,"labels":null}"#;
        host.expect(204, &patch(path, body).legacy());
        let body = r#"{"external_id":"e-2","labels":null}"#;
        host.refuse(422, &patch(path, body).legacy());
        let new = host.json(200, &get(path));
        assert_eq!(new["limits"], json!({"A": "1"}));
        assert_eq!(new["external_id"], "e-1");
        assert_eq!(new["labels"], json!({"tier": "gold"}));
    }
    let list = host.json(200, &get("/tenants-plans?external_id=other").legacy());
    assert_eq!(list.as_array().unwrap().len(), 1, "the filter is not read");
}

/// Five tenants that differ in everything.
fn host_with_five() -> Host {
    let mut host = Host::new();
    host.expect(201, &post("/tenants-plans", r#"{"id":"Gold"}"#));
    for (id, rest) in [
        ("a", r#""hostname":"z.example.com","is_enabled":true"#),
        (
            "B",
            r#""hostname":"y.example.com","is_enabled":false,"plan_id":"gold","external_id":"e+1 %:""#,
        ),
        (
            "c",
            r#""hostname":"x.example.com","is_enabled":true,"labels":{"tier":"gold","at":"a:b"}"#,
        ),
        (
            "D",
            r#""hostname":"beta.example.com","is_enabled":true,"labels":{"tier":"silver"},"env":{"A":"hidden"}"#,
        ),
        (
            "e",
            r#""hostname":"w.example.com","is_enabled":false,"plan_id":"Gold","labels":{"tier":"gold"}"#,
        ),
    ] {
        host.now += 1;
        host.expect(201, &post("/tenants", format!(r#"{{"id":"{id}",{rest}}}"#)));
    }
    host.now += 1;
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":true}"#));
    host
}

#[test]
fn every_filter_must_hold() {
    let mut host = host_with_five();
    let times: Vec<String> = ["a", "c"]
        .map(|id| {
            let tenant = host.json(200, &get(&format!("/tenants/{id}")));
            tenant[if id == "a" {
                "updated_at"
            } else {
                "created_at"
            }]
            .as_str()
            .unwrap()
            .replace(' ', "%20")
        })
        .into();
    let (updated, created) = (&times[0], &times[1]);
    for (query, shown) in [
        ("id=A&id=e&id=none", &["a", "e"][..]),
        ("plan_id=GOLD", &["B", "e"]),
        ("plan_id=", &["a", "c", "D"]),
        ("is_enabled=false", &["B", "e"]),
        ("is_enabled=true", &["a", "c", "D"]),
        ("hostname=BETA.example.com", &["D"]),
        ("external_id=e+1%20%25:", &["B"]),
        ("external_id=E+1%20%25:", &[]),
        ("label=tier:gold", &["c", "e"]),
        ("label=tier", &["c", "D", "e"]),
        ("label=at:a:b", &["c"]),
        ("label=tier&label=at", &["c"]),
        ("label=tier:gold&is_enabled=false", &["e"]),
        ("q=b", &["B", "D"]),
        ("q=BETA", &["D"]),
        ("q=%25", &[]),
        ("q=é", &[]),
        ("plan_id=gold&q=e", &["e"]),
        ("plan_id=gold&external_id=e%2B1%20%25%3A&q=y", &["B"]),
        ("id=a&hostname=y.example.com", &[]),
        (&format!("created_since={created}"), &["c", "D", "e"]),
        (&format!("updated_since={updated}"), &["a"]),
        (
            &format!("updated_since={updated}&created_since={created}"),
            &[],
        ),
        ("sort=hostname", &["D", "e", "c", "B", "a"]),
        ("sort=-hostname", &["a", "B", "c", "e", "D"]),
        ("sort=created_at", &["a", "B", "c", "D", "e"]),
        ("sort=-created_at&is_enabled=true", &["D", "c", "a"]),
        ("sort=updated_at", &["B", "c", "D", "e", "a"]),
        ("sort=-updated_at&label=tier", &["e", "D", "c"]),
        ("&", &["a", "B", "c", "D", "e"]),
    ] {
        let got = host.expect(200, &get(&format!("/tenants?{query}")));
        assert_eq!(ids(&got.json()), shown, "{query}");
        // The same by pages of one, each from the link of the one before.
        let joint = if query == "&" { "" } else { query };
        let mut next = Some(format!("/tenants?{joint}&limit=1&count=true"));
        let mut paged = Vec::new();
        while let Some(path) = next {
            let got = host.expect(200, &get(&path));
            assert_eq!(
                got.header("x-total-count"),
                Some(shown.len().to_string().as_str())
            );
            paged.extend(ids(&got.json()).into_iter().map(String::from));
            next = got.header("link").map(|link| {
                let link = link.strip_prefix("</_/api/4").unwrap();
                link.strip_suffix(">; rel=\"next\"").unwrap().into()
            });
        }
        assert_eq!(paged, shown, "{query}");
    }
}

#[test]
fn a_link_keeps_every_parameter() {
    let mut host = host_with_five();
    let query =
        "label=tier&limit=1&sort=-updated_at&q=%63&fields=id,env&is_enabled=true&count=true";
    host.expect(204, &patch("/tenants/D", r#"{"hostname":"c.example.com"}"#));
    let got = host.expect(200, &get(&format!("/tenants?{query}")));
    assert_eq!(got.body, r#"[{"id":"D","env":{"A":"hidden"}}]"#);
    let time = host.json(200, &get("/tenants/D"))["updated_at"]
        .as_str()
        .unwrap()
        .replace(' ', "%20");
    assert_eq!(
        got.header("link").unwrap(),
        format!(
            r#"</_/api/4/tenants?limit=1&after={time},D&label=tier&sort=-updated_at&q=c&fields=id,env&is_enabled=true&count=true>; rel="next""#
        )
    );
}

#[test]
fn fields_shorten_the_answer_and_without_env_none_is_decrypted() {
    let mut host = host_with_five();
    let whole = host.expect(200, &get("/tenants")).body;
    let all = "id,hostname,is_enabled,created_at,updated_at,plan_id,external_id,labels,limits,env,stats,last_job_at,cell_id,site,served,holds,suspend_at,delete_at,deletion_protection";
    let got = host.expect(200, &get(&format!("/tenants?fields={all}")));
    assert_eq!(got.body, whole, "all members are the whole answer");
    let got = host.expect(200, &get("/tenants?fields=hostname,id&id=a"));
    assert_eq!(got.body, r#"[{"id":"a","hostname":"z.example.com"}]"#);
    host.sql("UPDATE tenants SET env = 'not sealed'", &[]);
    host.expect(500, &get("/tenants?fields=env"));
    host.expect(200, &get("/tenants?fields=id,limits,stats"));
}

#[test]
fn an_unknown_or_malformed_parameter_is_a_422_without_the_database() {
    let mut host = host_with_five();
    let ids: String = (0..101).map(|i| format!("&id=t{i}")).collect();
    for (query, named) in [
        ("ids=a", &["ids"][..]),
        ("x&limit=0&is_enabled=1", &["x", "limit", "is_enabled"]),
        ("id=_", &["id"]),
        (&ids, &["id"]),
        ("plan_id=a%20b", &["plan_id"]),
        ("plan_id=a&plan_id=b", &["plan_id"]),
        ("hostname=a_b", &["hostname"]),
        ("external_id=", &["external_id"]),
        ("external_id=%zz", &["external_id"]),
        ("external_id=%00", &["external_id"]),
        ("label=", &["label"]),
        ("label=A:1", &["label"]),
        ("created_since=2026-01-01", &["created_since"]),
        ("updated_since=2026-13-01%2000:00:00", &["updated_since"]),
        ("q=", &["q"]),
        ("fields=", &["fields"]),
        ("fields=id,sites", &["fields"]),
        ("count=1", &["count"]),
        ("sort=id", &["sort"]),
        ("sort=hostname&after=a", &["after"]),
        ("sort=hostname&after=a,_", &["after"]),
        ("after=a,b", &["after"]),
    ] {
        let got = host.refuse(422, &get(&format!("/tenants?{query}")));
        assert_eq!(got.named(), named, "{query}");
    }
    host.expect(
        200,
        &get(&format!("/tenants?{}", ids.replace("&id=t100", ""))),
    );
}

#[test]
fn plans_are_found_by_external_id_and_labels() {
    let mut host = Host::new();
    for (id, rest) in [
        ("a", r#","external_id":"e-1""#),
        ("B", r#","labels":{"tier":"gold","sold":""}"#),
        ("c", r#","labels":{"tier":"gold"},"external_id":"e-2""#),
    ] {
        host.expect(
            201,
            &post("/tenants-plans", format!(r#"{{"id":"{id}"{rest}}}"#)),
        );
    }
    for (query, shown) in [
        ("external_id=e-1&unknown=%", &["a"][..]),
        ("external_id=e-3", &[]),
        ("label=tier:gold", &["B", "c"]),
        ("label=tier:gold&label=sold", &["B"]),
        ("label=tier&after=b", &["c"]),
        ("external_id=e-2&label=tier:gold", &["c"]),
    ] {
        let got = host.expect(200, &get(&format!("/tenants-plans?{query}")));
        assert_eq!(ids(&got.json()), shown, "{query}");
    }
    let got = host.expect(200, &get("/tenants-plans?label=tier:gold&limit=1&x=1"));
    assert_eq!(
        got.header("link"),
        Some(r#"</_/api/4/tenants-plans?limit=1&after=B&label=tier:gold>; rel="next""#)
    );
    let got = host.refuse(422, &get("/tenants-plans?label=T&external_id="));
    assert_eq!(got.named(), ["label", "external_id"]);
}

#[test]
fn settings_are_those_that_the_site_runs_with() {
    let mut host = Host::with(&[("CHEVERETO_TENANT_ENFORCED", r#"{"A":"enforced"}"#)]);
    let plan = r#"{"id":"p","limits":{"A":"1","B":"1","C":"1","D":"1","E":"1"},"env":{"C":"hidden-plan","B":"hidden-plan"}}"#;
    host.expect(201, &post("/tenants-plans", plan));
    let tenant = r#"{"id":"a","hostname":"a","is_enabled":true,"plan_id":"p","limits":{"C":"2","D":"2"},"env":{"B":"hidden"}}"#;
    host.expect(201, &post("/tenants", tenant));
    let got = host.expect(200, &get("/tenants/A/settings"));
    assert_eq!(
        got.body,
        r#"{"A":{"value":"enforced","source":"enforced"},"B":{"value":"hidden","source":"tenant_env"},"C":{"value":"hidden-plan","source":"plan_env"},"D":{"value":"2","source":"tenant_limits"},"E":{"value":"1","source":"plan_limits"}}"#
    );
    host.expect(201, &new_tenant("b"));
    let got = host.expect(200, &get("/tenants/b/settings"));
    assert_eq!(
        got.body,
        r#"{"A":{"value":"enforced","source":"enforced"}}"#
    );
    for id in ["none", "_"] {
        host.expect(404, &get(&format!("/tenants/{id}/settings")));
    }
    for (place, column) in [("tenants_plans", "env"), ("tenants", "limits")] {
        host.sql(&format!("UPDATE {place} SET {column} = 'x'"), &[]);
        let got = host.expect(500, &get("/tenants/a/settings"));
        assert!(got.cause().contains(column), "{}", got.cause());
    }
}
