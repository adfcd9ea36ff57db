//! Every statement that requests and the counting of statistics can ask for: its text pinned in `statements.sql`, and its way through the indexes.
//!
//! After a change that is meant, `UPDATE=1 cargo test -p tenants-core --test exchange statements` writes the file anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use rusqlite::{StatementStatus, params_from_iter};
use tenants_core::clock::Timestamp;
use tenants_core::id::TenantId;
use tenants_core::job::{Job as _, JobStep};
use tenants_core::site::stats::{Refresh, Which};
use tenants_core::sql::{Statement, Value};

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::Host;

const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/statements.sql");

/// Every kind of request that reaches the database, by a name.
fn requests() -> Vec<(&'static str, Ask)> {
    vec![
        ("POST /auth/verify", post("/auth/verify", "")),
        ("GET /tenants", get("/tenants")),
        ("GET /tenants/{id}", get("/tenants/a")),
        ("POST /tenants", new_tenant("a")),
        (
            "PATCH /tenants/{id}, everything set",
            patch(
                "/tenants/a",
                r#"{"hostname":"a","is_enabled":true,"plan_id":"p","limits":{"A":1},"env":{"A":"hidden"}}"#,
            ),
        ),
        (
            "PATCH /tenants/{id}, everything cleared",
            patch("/tenants/a", r#"{"plan_id":null,"limits":null,"env":null}"#),
        ),
        ("DELETE /tenants/{id}", delete("/tenants/a")),
        ("DELETE /tenants/{id}, drop_tables", delete_with_tables("a")),
        ("POST /tenants/{id}/install", install("not-yet")),
        ("PATCH /tenants/{id}/user-password-reset", reset("a")),
        ("GET /tenants-plans", get("/tenants-plans")),
        ("GET /tenants-plans/{id}", get("/tenants-plans/p")),
        ("POST /tenants-plans", new_plan("p")),
        (
            "PATCH /tenants-plans/{id}, everything set",
            patch(
                "/tenants-plans/p",
                r#"{"limits":{"A":1},"env":{"A":"hidden"}}"#,
            ),
        ),
        (
            "PATCH /tenants-plans/{id}, everything cleared",
            patch("/tenants-plans/p", r#"{"limits":null,"env":null}"#),
        ),
        (
            "PATCH /tenants-plans/{id} in the legacy dialect, everything set",
            patch(
                "/tenants-plans/p",
                r#"{"name":"P","description":"D","limits":{"A":1},"env":{"A":"hidden"}}"#,
            )
            .legacy(),
        ),
        (
            "PATCH /tenants-plans/{id} in the legacy dialect, the description cleared",
            patch("/tenants-plans/p", r#"{"description":null}"#).legacy(),
        ),
        ("DELETE /tenants-plans/{id}", delete("/tenants-plans/p")),
        (
            "any, of an identifier that none can have",
            get("/tenants/_"),
        ),
    ]
}

/// Every PATCH there is, as far as its statements can tell.
fn patches() -> Vec<Ask> {
    let or_none = |all: &[&'static str]| {
        let mut choices = vec![""];
        choices.extend(all);
        choices
    };
    let maps = |name: &str| -> Vec<String> {
        ["null", "{}", r#"{"A":"hidden"}"#]
            .map(|value| format!(r#""{name}":{value},"#))
            .into()
    };
    let (limits, envs) = (maps("limits"), maps("env"));
    let limits = or_none(
        &limits
            .iter()
            .map(|s| s.clone().leak() as &str)
            .collect::<Vec<_>>(),
    );
    let envs = or_none(
        &envs
            .iter()
            .map(|s| s.clone().leak() as &str)
            .collect::<Vec<_>>(),
    );
    let mut all = Vec::new();
    for env in &envs {
        for limits in &limits {
            let maps = format!("{limits}{env}")
                .replace(r#""limits":{"A":"hidden"}"#, r#""limits":{"A":"x"}"#);
            for hostname in or_none(&[r#""hostname":"a","#]) {
                for is_enabled in or_none(&[r#""is_enabled":false,"#]) {
                    for plan in or_none(&[r#""plan_id":null,"#, r#""plan_id":"p","#]) {
                        let fields = format!("{hostname}{is_enabled}{plan}{maps}");
                        all.push(("/tenants/a", fields));
                    }
                }
            }
            for name in or_none(&[r#""name":"P","#]) {
                for description in or_none(&[r#""description":null,"#, r#""description":"D","#]) {
                    all.push(("/tenants-plans/p", format!("{name}{description}{maps}")));
                }
            }
        }
    }
    all.into_iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(path, fields)| {
            let ask = patch(path, format!("{{{}}}", fields.trim_end_matches(',')));
            let named = fields.contains("name\":\"P") || fields.contains("description");
            if named { ask.legacy() } else { ask }
        })
        .collect()
}

fn statements_of(host: &mut Host, ask: &Ask) -> Vec<Statement> {
    host.exchange(ask).batch().statements().to_vec()
}

#[test]
fn the_text_of_every_statement_is_the_one_that_was_read() {
    let mut host = Host::legacy(&[]);
    let mut text = String::from(
        "-- Every statement of every kind of request, as the core writes it. A test holds this file equal; UPDATE=1 writes it.\n",
    );
    for (name, ask) in requests() {
        write!(text, "\n-- {name}\n").unwrap();
        for statement in statements_of(&mut host, &ask) {
            writeln!(text, "{};", statement.text()).unwrap();
        }
    }
    writeln!(
        text,
        "\n-- any of what makes or drops tables or writes to them, where its batch failed"
    )
    .unwrap();
    let exchange = host.exchange(&install("a"));
    let why = host.ask_why(&install("a"), exchange, "failed");
    for statement in why.batch().statements() {
        writeln!(text, "{};", statement.text()).unwrap();
    }
    for (name, which) in [
        ("the counting of statistics", Which::Oldest(24)),
        (
            "the counting of one tenant's",
            Which::One(TenantId::parse("a").unwrap()),
        ),
    ] {
        writeln!(text, "\n-- {name}").unwrap();
        let now = Timestamp::from_unix(host.now).unwrap();
        let mut step = JobStep::Run(Refresh::begin(host.api.config().unwrap(), &now, which, 1));
        while let JobStep::Run(job) = step {
            for statement in job.batch().statements() {
                writeln!(text, "{};", statement.text()).unwrap();
            }
            // What is chosen is this one; what is counted answers its id too.
            let rows = vec![vec![vec!["a".into()]]; job.batch().statements().len()];
            step = job.resume(Ok(rows), host.random.as_mut()).unwrap();
        }
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(PINNED, &text).unwrap();
    }
    let pinned = fs::read_to_string(PINNED).unwrap();
    assert_eq!(
        text, pinned,
        "meant? then UPDATE=1, and read the difference"
    );
}

/// No text grows with what a caller sends: another identifier, other values and other maps give the same statements.
#[test]
fn a_statements_text_does_not_depend_on_values() {
    let mut host = Host::legacy(&[]);
    let texts = |host: &mut Host, ask: &Ask| -> Vec<String> {
        let all = statements_of(host, ask);
        all.iter().map(|s| s.text().to_owned()).collect()
    };
    for (one, other) in [
        (new_tenant("a"), new_tenant("Other-1")),
        (get("/tenants?limit=1"), get("/tenants")),
        (get("/tenants/a"), get("/tenants/b")),
        (
            reset("a"),
            patch(
                "/tenants/A/user-password-reset",
                r#"{"username":"Another"}"#,
            ),
        ),
        (
            install("a"),
            post(
                "/tenants/A/install",
                r#"{"username":"Another","email":"o'neil@b","password":"hidden ');--"}"#,
            ),
        ),
        (
            new_tenant("a"),
            post(
                "/tenants",
                r#"{"id":"b","hostname":"b","is_enabled":false,"plan_id":"p","limits":{"A":"');--"},"env":{"B":"hidden"}}"#,
            ),
        ),
        (
            patch("/tenants/a", r#"{"limits":{"A":"');--"}}"#),
            patch("/tenants/b", r#"{"limits":{"A":"","B":""}}"#),
        ),
    ] {
        assert_eq!(texts(&mut host, &one), texts(&mut host, &other));
    }
}

/// [`crate::invariants::of_statement`] looks at each statement as it is run.
#[test]
fn every_patch_there_is_is_a_statement_that_sqlite_runs() {
    let mut distinct = BTreeSet::new();
    for ask in patches() {
        let mut host = Host::legacy(&[]);
        host.expect(201, &new_plan("p"));
        host.expect(201, &new_tenant("a"));
        let statements = statements_of(&mut host, &ask);
        distinct.insert(statements[0].text().to_owned());
        host.expect(204, &ask);
    }
    // One for a tenant and one for a plan, whatever is set: nothing is put together as it goes.
    assert_eq!(distinct.len(), 2);
}

/// A host with the tenants `a`, which is installed, and `not-yet`.
fn host_with_tables() -> Host {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    host.expect(201, &new_tenant("not-yet"));
    host
}

/// SQLite has no index of its own table of tables; whatever makes or drops one walks through that.
fn makes_or_drops(text: &str) -> bool {
    text.starts_with("CREATE ") || text.starts_with("DROP ")
}

#[test]
fn every_lookup_goes_through_an_index_and_lists_need_no_sorting() {
    let mut host = host_with_tables();
    let mut asks: Vec<Ask> = requests().into_iter().map(|(_, ask)| ask).collect();
    asks.extend(patches());
    asks.push(get("/tenants?limit=10&after=a"));
    let mut seen = BTreeSet::new();
    for ask in asks {
        for statement in statements_of(&mut host, &ask) {
            let is_new = seen.insert(statement.text().to_owned());
            if makes_or_drops(statement.text()) {
                // What comes after it may read what it makes.
                if is_new
                    && statement.text().starts_with("CREATE ")
                    && ask.target.contains("not-yet")
                {
                    host.sql(statement.text(), &[]);
                }
                continue;
            }
            if !is_new {
                continue;
            }
            let plan = host.sql(
                &format!("EXPLAIN QUERY PLAN {}", statement.text()),
                statement.values(),
            );
            let steps: Vec<&str> = plan
                .iter()
                .map(|row| match row.last() {
                    Some(Value::Text(step)) => step.as_str(),
                    other => panic!("{other:?}"),
                })
                .collect();
            for step in &steps {
                let whole = format!("{}\n{}", statement.text(), steps.join("\n"));
                assert!(!step.contains("TEMP B-TREE"), "{whole}");
                assert!(!step.contains("AUTOMATIC"), "{whole}");
                // A constant row, with nothing behind it, is called a scan as well, and so are the columns of a table that is
                // looked up by its name.
                let no_scan = *step == "SCAN CONSTANT ROW"
                    || step.starts_with("SCAN pragma_table_info VIRTUAL TABLE");
                assert!(!step.starts_with("SCAN ") || no_scan, "{whole}");
            }
        }
    }
    assert!(seen.len() > 10, "{}", seen.len());
}

/// What [`every_lookup_goes_through_an_index_and_lists_need_no_sorting`] looks for is what SQLite says of a plan that is bad.
#[test]
fn a_bad_plan_is_recognised() {
    let host = Host::new();
    let steps = |text: &str| format!("{:?}", host.sql(&format!("EXPLAIN QUERY PLAN {text}"), &[]));
    assert!(steps("SELECT * FROM tenants WHERE last_job_at = 'x'").contains("SCAN tenants"));
    assert!(
        steps("SELECT id FROM tenants WHERE id > '' ORDER BY id COLLATE BINARY")
            .contains("TEMP B-TREE")
    );
}

/// As it is counted while they run, the foreign key's own look for a plan's tenants included.
#[test]
fn nothing_walks_through_a_whole_table() {
    let host = host_with_tables();
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200) \
         INSERT INTO tenants_plans (id, created_at, updated_at) SELECT 'p' || n, '', '' FROM c",
        &[],
    );
    host.sql(
        "INSERT INTO tenants (id, hostname, is_enabled, plan_id, created_at, updated_at) \
         SELECT id, id, 1, id, '', '' FROM tenants_plans",
        &[],
    );
    host.sql(
        "INSERT INTO api_keys (digest, created_at) SELECT id, '' FROM tenants_plans",
        &[],
    );
    let steps = |text: &str, values: &[Value]| {
        let mut prepared = host.db.prepare(text).unwrap();
        let values = values.iter().map(|value| match value {
            Value::Null => None,
            Value::Integer(n) => Some(n.to_string()),
            Value::Text(text) => Some(text.clone()),
        });
        let mut rows = prepared.query(params_from_iter(values)).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        prepared.get_status(StatementStatus::FullscanStep)
    };
    assert!(
        steps("SELECT * FROM tenants WHERE last_job_at = 'x'", &[]) > 100,
        "it counts"
    );
    let mut begun = Host::legacy(&[]);
    for (name, ask) in requests() {
        host.sql("SAVEPOINT here", &[]);
        for statement in statements_of(&mut begun, &ask) {
            let text = statement.text();
            let steps = steps(text, statement.values());
            assert!(steps == 0 || makes_or_drops(text), "{name}: {text}");
        }
        host.sql("ROLLBACK TO here", &[]);
        host.sql("RELEASE here", &[]);
    }
    assert_eq!(
        steps("DELETE FROM tenants_plans WHERE id = 'p7'", &[]),
        0,
        "the foreign key"
    );
}
