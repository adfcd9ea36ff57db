//! Rows that the statement cannot return: the response is a 500 and never a success, and only the log has the cause.

use tenants_core::sql::json::{JSON_ROWS, rows_from_json};
use tenants_core::sql::{Rows, Value};

use crate::ask::{
    Ask, delete, delete_with_tables, get, head, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::{Got, Host, UNEXPECTED_ROWS, WaitsForBatch as _, unpack};

/// A host with the rows that this request may need.
fn filled(ask: &Ask) -> Host {
    let mut host = Host::new();
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_tenant("b"));
    // Only where needed: hashing a password is slow.
    if ask.target.contains("/b/") {
        host.expect(201, &install("b"));
    }
    host
}

/// Requests, each with the statement whose row the core reads and with the type of each column of that row: a text (`t`), a text or
/// NULL (`T`), an integer (`i`), an integer or NULL (`I`), 0 or 1 (`b`), a standing (`s`), or never read (`_`).
fn read_rows() -> Vec<(Ask, usize, &'static str)> {
    vec![
        (post("/auth/verify", ""), 0, "siTtbtT"),
        (get("/tenants"), 0, "sTtbttTTtTTTTTTTbTTTb"),
        (get("/tenants?limit=1"), 0, "sTtbttTTtTTTTTTTbTTTb"),
        (get("/tenants/a"), 0, "sTtbttTTtTTTTTTTbTTTbt"),
        (head("/tenants/a"), 0, "sTtbttTTtTTTTTTTbTTTbt"),
        (get("/tenants?q=a&count=true"), 0, "s"),
        (get("/tenants?q=a&count=true"), 1, "sTtbttTTtTTTTTTTbTTTb"),
        (get("/tenants?q=a&count=true"), 2, "i"),
        (get("/tenants/a/settings"), 0, "sTbTTTTT"),
        (get("/tenants/_"), 0, "s"),
        (get("/tenants-plans"), 0, "sTTtTTttTT"),
        (get("/tenants-plans/p"), 0, "sTTtTTttTTt"),
        (new_tenant("c"), 0, "sbTTTbbbbtTbTt"),
        (new_tenant("a"), 0, "sbTTTbb_______"),
        (
            patch("/tenants/a", r#"{"limits":null}"#),
            0,
            "sbbTTbbbbTTTt",
        ),
        (
            patch("/tenants/c", r#"{"limits":null}"#),
            0,
            "sbbTTbbbb____",
        ),
        (
            patch("/tenants/a", r#"{"plan_id":"q"}"#),
            0,
            "sbbTTbbbb____",
        ),
        (
            patch("/tenants/a", r#"{"hostname":"b.example.com"}"#),
            0,
            "sbbTTbbbb____",
        ),
        (delete("/tenants/a"), 0, "sbbb"),
        (delete("/tenants/c"), 0, "sbbb"),
        (install("a"), 18, "ttt"),
        (reset("b"), 0, "t"),
        (
            patch("/tenants/b/user-password-reset", r#"{"username":"nobody"}"#),
            2,
            "sbbbI",
        ),
        (new_plan("q"), 0, "sbTTtt"),
        (new_plan("p"), 0, "sbTT__"),
        (patch("/tenants-plans/p", r#"{"limits":null}"#), 0, "sbbTbt"),
        (patch("/tenants-plans/q", r#"{"limits":null}"#), 0, "sbbTb_"),
        (delete("/tenants-plans/p"), 0, "sbb"),
        (delete("/tenants-plans/q"), 0, "sbb"),
    ]
}

/// Runs a request and changes the rows before the core sees them.
fn tampered(ask: &Ask, tamper: impl FnOnce(&mut Vec<Rows>)) -> Got {
    let mut host = filled(ask);
    let exchange = host.exchange(ask);
    let mut rows = host.run(exchange.batch()).unwrap();
    unpack(exchange.batch(), &mut rows);
    tamper(&mut rows);
    host.finish(ask, exchange, Ok(rows))
}

/// The rows of the first of two batches are checked, too: one row of a standing and of three columns of 0 or 1.
#[test]
fn a_mistyped_column_of_the_first_batch_is_a_500() {
    for (ask, names) in [install("a"), reset("b")].into_iter().map(|ask| {
        (
            ask,
            ["standing", "tenant_is_there", "is_installed", "has_cell"],
        )
    }) {
        for (column, name) in names.into_iter().enumerate() {
            for wrong in [Value::Integer(7), "x".into()] {
                let mut host = filled(&ask);
                let exchange = host.first(&ask);
                let mut rows = host.run(exchange.batch()).unwrap();
                rows[0][0][column] = wrong;
                let got = host.finish(&ask, exchange, Ok(rows));
                assert_unexpected_rows(&got, name);
                let column = format!(" column {name}: expected ");
                assert!(got.cause().contains(&column), "{}", got.cause());
            }
        }
    }
}

/// So are those of the batch that looks after a failure.
#[test]
fn a_mistyped_column_of_the_look_after_a_failure_is_a_500() {
    for ask in [install("a"), reset("b"), delete_with_tables("a")] {
        for (column, name) in [
            "standing",
            "is_done",
            "tenant_id",
            "is_protected",
            "is_installed",
            "has_cell",
            "holds",
        ]
        .into_iter()
        .enumerate()
        {
            let mut host = filled(&ask);
            let exchange = host.exchange(&ask);
            let look = host.ask_why(&ask, exchange, "the network");
            let mut rows = host.run(look.batch()).unwrap();
            assert_eq!(rows[0][0].len(), 7);
            rows[0][0][column] = Value::Integer(7);
            let got = host.finish_why(&ask, look, Ok(rows));
            assert_unexpected_rows(&got, name);
            let column = format!(" column {name}: expected ");
            assert!(got.cause().contains(&column), "{}", got.cause());
        }
    }
}

fn assert_unexpected_rows(got: &Got, why: &str) {
    assert_eq!(got.status, 500, "{why}: {got:?}");
    assert!(
        got.cause().starts_with(UNEXPECTED_ROWS),
        "{why}: {}",
        got.cause()
    );
}

/// The names of a statement's columns, or of the columns in the array that each of its rows is.
fn column_names(host: &Host, text: &str) -> Vec<String> {
    if let Some(rest) = text.strip_prefix(JSON_ROWS) {
        let (columns, _) = rest.split_once(") AS row").unwrap();
        let name = |column: &str| column.rsplit('.').next().map(Into::into);
        return columns.split(", ").filter_map(name).collect();
    }
    let prepared = host.db.prepare(text).unwrap();
    prepared.column_names().map(Into::into).collect()
}

#[test]
fn a_missing_null_or_mistyped_column_is_a_500_and_the_log_names_it() {
    for (ask, statement, kinds) in read_rows() {
        let mut host = filled(&ask);
        let exchange = host.exchange(&ask);
        let statements = exchange.batch().statements();
        // The statement needs the tables that the statements before it create.
        for made in statements[..statement]
            .iter()
            .filter(|s| s.text().starts_with("CREATE "))
        {
            host.sql(made.text(), &[]);
        }
        let text = statements[statement].text();
        let names = column_names(&host, text);
        assert_eq!(names.len(), kinds.len(), "{text}");
        for (column, (name, kind)) in names.iter().zip(kinds.chars()).enumerate() {
            // The views call it `key_stands`.
            let name = if kind == 's' { "standing" } else { name };
            for wrong in [Value::Null, Value::Integer(7), "x".into()] {
                let fits = matches!(
                    (kind, &wrong),
                    ('_', _)
                        | ('t' | 'T', Value::Text(_))
                        | ('T' | 'I', Value::Null)
                        | ('i' | 'I', Value::Integer(_))
                );
                let why = format!("{name} of {ask:?} is {wrong:?}");
                let got = tampered(&ask, |rows| rows[statement][0][column] = wrong);
                if !fits {
                    assert_unexpected_rows(&got, &why);
                    assert!(got.cause().contains(&format!(" column {name}: expected ")));
                }
            }
            if kind != '_' {
                let got = tampered(&ask, |rows| rows[statement][0].truncate(column));
                assert_unexpected_rows(&got, name);
                assert!(got.cause().ends_with("got no column"), "{}", got.cause());
            }
        }
    }
}

#[test]
fn too_few_or_too_many_results_are_a_500() {
    for (ask, ..) in read_rows() {
        let why = format!("{ask:?}");
        assert_unexpected_rows(&tampered(&ask, Vec::clear), &why);
        assert_unexpected_rows(&tampered(&ask, |rows| drop(rows.pop())), &why);
        assert_unexpected_rows(&tampered(&ask, |rows| rows.push(Rows::new())), &why);
    }
}

/// Every write returns a row with its obstacles. If a host loses that row, the core must not guess a success, a 401 or a free name.
#[test]
fn a_write_that_returns_no_row_is_a_500() {
    for (ask, ..) in read_rows() {
        if matches!(ask.method.as_str(), "POST" | "PATCH" | "DELETE")
            && !ask.target.ends_with("verify")
        {
            let got = tampered(&ask, |rows| rows.iter_mut().for_each(Vec::clear));
            assert_unexpected_rows(&got, &format!("{ask:?}"));
        }
    }
}

#[test]
fn rows_that_are_no_json_are_a_500_that_shows_nothing_of_them() {
    for text in [
        "",
        "hidden",
        "null",
        "{}",
        r#""hidden""#,
        r#"["hidden"]"#,
        r#"[["hidden"]]"#,
        r#"[[{"hidden":"hidden"}]]"#,
        r#"[[["hidden"#,
        r#"[[["hidden"]]]]"#,
        "[[[1.5]]]",
        "[[[1e400]]]",
        "[[[9223372036854775808]]]",
        r#"[[[["hidden"]]]]"#,
        r#"[[["\ud800"]]]"#,
    ] {
        for ask in [get("/tenants/a"), new_tenant("c"), get("/tenants")] {
            let mut host = filled(&ask);
            let exchange = host.exchange(&ask);
            let rows = rows_from_json(text);
            assert!(rows.is_err(), "{text}");
            let (got, status) = if ask.method == "POST" {
                let again = host.ask_why(&ask, exchange, &rows.unwrap_err());
                (host.finish_why(&ask, again, rows_from_json(text)), 503)
            } else {
                (host.finish(&ask, exchange, rows), 500)
            };
            assert_eq!(got.status, status, "{text}");
            assert!(
                got.cause()
                    .starts_with("the database failed: rows in JSON: "),
                "{}",
                got.cause()
            );
        }
    }
}

/// Also compares the batch in JSON with the statements and values.
#[test]
fn rows_in_json_give_the_same_response() {
    for (ask, ..) in read_rows() {
        let mut host = filled(&ask);
        let exchange = host.exchange(&ask);
        let batch: serde_json::Value = serde_json::from_str(&exchange.batch().to_json()).unwrap();
        let sent: Vec<&str> = batch
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| pair[0].as_str().unwrap())
            .collect();
        let statements = exchange.batch().statements();
        assert!(
            sent.iter().eq(statements
                .iter()
                .map(|s| s.text())
                .collect::<Vec<_>>()
                .iter())
        );
        for (pair, statement) in batch.as_array().unwrap().iter().zip(statements) {
            let values = serde_json::to_value(statement.values()).unwrap();
            assert_eq!(pair[1], values);
        }
        let rows = host.run(exchange.batch()).unwrap();
        let text = serde_json::to_string(&rows).unwrap();
        let read = rows_from_json(&text).unwrap();
        assert_eq!(read, rows);
        let got = host.finish(&ask, exchange, Ok(read));
        assert!(got.status < 500, "{got:?}");
    }
}
