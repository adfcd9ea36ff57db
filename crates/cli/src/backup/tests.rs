use super::{Dump, Row, Seal, Tallies, Value, differences, insert, insert_whole, of_dump, shown};

/// The end of every export.
const VIEWS: &str = "CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant BEGIN INSERT INTO tenants VALUES (1); SELECT 2; END;\n\
CREATE VIEW create_tenant (a) AS SELECT 1;\nCREATE VIEW edit_tenant (a) AS SELECT 1;\nCREATE VIEW delete_tenant (a) AS SELECT 1;\n\
CREATE VIEW create_plan (a) AS SELECT 1;\nCREATE VIEW edit_plan (a) AS SELECT 1;\nCREATE VIEW delete_plan (a) AS SELECT 1;";

fn export(rows: &str) -> String {
    format!(
        "PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE IF NOT EXISTS \"d1_migrations\"(id INTEGER);\nCREATE TABLE api_keys (\n  id INTEGER, -- it's; a comment\n  name TEXT\n) STRICT;\n\
         CREATE TABLE tenants_plans (id TEXT);\nCREATE TABLE tenants (id TEXT, limits TEXT);\nCREATE TABLE audit_log (id INTEGER);\n\
         CREATE TABLE IF NOT EXISTS \"chv_a_tagged\" (a INTEGER, PRIMARY KEY (a)) STRICT, WITHOUT ROWID;\n{rows}\n\
         DELETE FROM sqlite_sequence;\nINSERT INTO \"sqlite_sequence\" (\"name\",\"seq\") VALUES('api_keys',9);\n\
         CREATE INDEX i ON tenants (id);\n{VIEWS}"
    )
}

fn row<'a>(table: &'a str, values: &[Value]) -> Row<'a> {
    Row {
        table: table.into(),
        columns: (0..values.len()).map(|n| format!("c{n}").into()).collect(),
        values: values.to_vec(),
        is_escaped: false,
        sql: "",
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn an_export_is_read_whole() {
    let export = export(
        "INSERT INTO \"tenants\" (\"id\",\"limits\") VALUES('it''s; --',replace(replace('a\\r\\nb','\\r',char(13)),'\\n',char(10)));\n\
         INSERT INTO \"api_keys\" (\"id\",\"na\"\"me\") VALUES(-1.5e+3,NULL);\nINSERT INTO \"chv_a_tagged\" (\"a\") VALUES(X'00ff');",
    );
    let dump = Dump::read(&export).unwrap();
    let names: Vec<&str> = dump.tables.iter().map(|table| &*table.name).collect();
    assert_eq!(
        names,
        [
            "d1_migrations",
            "api_keys",
            "tenants_plans",
            "tenants",
            "audit_log",
            "chv_a_tagged"
        ]
    );
    assert!(dump.tables[5].is_without_rowid && !dump.tables[1].is_without_rowid);
    let values: Vec<&[Value]> = dump.rows.iter().map(|row| row.values.as_slice()).collect();
    assert_eq!(
        values,
        [
            &[text("it's; --"), text("a\r\nb")][..],
            &[Value::Number("-1.5e+3".into()), Value::Null],
            &[Value::Blob("00FF".into())],
        ]
    );
    assert!(dump.rows[0].is_escaped && !dump.rows[1].is_escaped);
    assert_eq!(dump.rows[1].columns, ["id", "na\"me"]);
    assert_eq!(
        (
            dump.sequences.len(),
            dump.indexes.len(),
            dump.views.len(),
            dump.triggers.len()
        ),
        (1, 1, 6, 1)
    );
    assert!(dump.triggers[0].ends_with("SELECT 2; END"));
    let mut script = Vec::new();
    dump.write_script(&mut script).unwrap();
    let script = String::from_utf8(script).unwrap();
    let at = |text: &str| {
        script
            .find(text)
            .unwrap_or_else(|| panic!("{text}\n{script}"))
    };
    assert!(at("CREATE VIEW delete_plan") < at("CREATE TRIGGER"));
    assert!(
        at("CAST(X'") < at("DELETE FROM sqlite_sequence") && at("api_keys',9") < at("CREATE INDEX")
    );
}

#[test]
fn a_file_that_is_cut_or_has_another_statement_is_refused() {
    let whole = export("");
    for end in ["CREATE VIEW delete_plan", "CREATE INDEX", "AS SELECT 1;"] {
        let cut = &whole[..whole.rfind(end).unwrap()];
        assert!(Dump::read(cut).is_err(), "{end}");
    }
    for odd in [
        "DROP TABLE tenants;",
        "UPDATE tenants SET id = 1;",
        "INSERT INTO tenants VALUES('a');",
        "INSERT INTO tenants (id) VALUES(ERROR);",
        "INSERT INTO tenants (id) VALUES('a','b');",
        "INSERT INTO tenants (id) VALUES(random());",
        "INSERT INTO tenants (id) SELECT 'a';",
        "SELECT 'a",
    ] {
        let error = Dump::read(&export(odd)).unwrap_err();
        assert_eq!(error.problem().code, "not_a_backup", "{odd}");
    }
}

#[test]
fn a_row_that_exceeds_a_statement_is_written_in_parts() {
    let long = "é\u{2028}\n'".repeat(20_000);
    let values = [text("id"), text(&long), text(&"x".repeat(90_000))];
    let statements = insert(&row("t", &values), false).unwrap();
    assert!(statements.len() > 3);
    for statement in &statements {
        assert!(statement.len() < 100_000, "{}", statement.len());
    }
    assert!(insert(&row("t", &values), true).is_err());

    // SQLite puts the parts together.
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE t (c0 TEXT, c1 TEXT, c2 TEXT)")
        .unwrap();
    db.execute_batch(&statements.join(";")).unwrap();
    let read = |column| db.query_row("SELECT * FROM t", [], |row| row.get::<_, String>(column));
    assert_eq!(read(1).unwrap(), long);
    assert_eq!(read(2).unwrap().len(), 90_000);
}

#[test]
fn no_text_that_wrangler_would_edit_is_written_as_it_is() {
    for odd in [
        "a;",
        "Begin transaction",
        "the end",
        "--",
        "/*",
        "\r",
        "\n",
        "\0",
    ] {
        let [statement] = insert(&row("t", &[text(odd)]), false)
            .unwrap()
            .try_into()
            .unwrap();
        assert!(statement.contains("VALUES(CAST(X'"), "{statement}");
    }
    let [statement] = insert(&row("t", &[text("it's 🐘 {\"A\":\"1\"}")]), false)
        .unwrap()
        .try_into()
        .unwrap();
    assert!(
        statement.ends_with("VALUES('it''s 🐘 {\"A\":\"1\"}')"),
        "{statement}"
    );
}

#[test]
fn tallies_differ_by_any_value_and_not_by_order() {
    let tally = |rows: &[&[Value]]| {
        let mut tally = super::Tally::default();
        rows.iter().for_each(|row| tally.add(*row));
        Tallies::from([("t".into(), tally)])
    };
    let (a, b): (&[Value], &[Value]) = (&[text("1"), Value::Null], &[text(""), text("1n")]);
    assert_eq!(tally(&[a, b]), tally(&[b, a]));
    assert_ne!(tally(&[a]), tally(&[b]));
    let number = |digits: &str| Value::Number(digits.into());
    assert_eq!(tally(&[&[number("2")]]), tally(&[&[number("2.0")]]));
    assert_ne!(tally(&[&[number("2")]]), tally(&[&[text("2")]]));
    assert_ne!(
        tally(&[&[number("0.1")]]),
        tally(&[&[number("0.10000000000000002")]])
    );
    assert_eq!(
        differences(&tally(&[a]), &tally(&[b])),
        ["t: a row of the file differs from the database's"]
    );
    assert_eq!(
        differences(&tally(&[a, b]), &Tallies::new()),
        ["t: the file has 2 rows, the database 0"]
    );
    assert!(differences(&tally(&[a]), &tally(&[a])).is_empty());
}

#[test]
fn the_last_line_of_a_file_has_its_tallies() {
    let export = export("INSERT INTO \"tenants\" (\"id\") VALUES('a');");
    let tables = of_dump(&Dump::read(&export).unwrap());
    let sealed = format!(
        "{export}\n{}\n",
        Seal {
            tables: tables.clone()
        }
        .line()
        .unwrap()
    );
    assert_eq!(Seal::of(&sealed).unwrap().tables, tables);
    assert_eq!(of_dump(&Dump::read(&sealed).unwrap()), tables);
    assert!(Seal::of(&export).is_none());
}

#[test]
fn a_row_that_is_written_exactly_is_read_exactly() {
    let odd = text("a\\n\n'; --\u{2028}🐘\0");
    let exact = row("tenants", &[text("a"), odd.clone(), Value::Null]);
    let export = export(&format!("{};", insert_whole(&exact)));
    let dump = Dump::read(&export).unwrap();
    assert_eq!(dump.rows[0].values, [text("a"), odd, Value::Null]);
}

#[test]
fn an_export_shows_a_line_end_and_its_escape_alike() {
    assert_eq!(shown(&[text("a\nb\\n")]), shown(&[text("a\\nb\n")]));
    assert_ne!(shown(&[text("a")]), shown(&[Value::Blob("a".into())]));
}
