//! The program's modules are floors: each module imports only from floors below its own, so nothing goes back up to the commands or to
//! the command line.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The modules of each floor, the lowest first. A module is a file or a folder of `src`.
const FLOORS: &[&[&str]] = &[
    &["names", "patience", "sql"],
    &["error"],
    &["output", "random", "unfinished"],
    &["progress", "records", "settings"],
    &["database", "session"],
    &["backup", "task"],
    &["command"],
    &["cli"],
    &["lib"],
    &["main"],
];

/// Modules with helpers for tests, which any test may use.
const TEST_MODULES: &[&str] = &["testing"];

#[test]
fn imports_point_down() {
    let files = source_files();
    assert!(files.len() > 30, "{} files", files.len());
    let imports: usize = files.values().map(|text| imported(text).len()).sum();
    assert!(imports > 80, "{imports} imports");
    assert_eq!(upward(&files), Vec::<String>::new());
}

#[test]
fn every_module_stands_on_one_floor() {
    let mut modules: Vec<String> = source_files().into_keys().map(|f| module(&f)).collect();
    modules.dedup();
    let mut placed: Vec<&str> = FLOORS.concat();
    placed.sort_unstable();
    assert_eq!(modules, placed);
}

#[test]
fn an_upward_import_is_found() {
    let files = [
        ("error", "use crate::cli::Cli;"),
        ("backup", "use crate::{error::Error, command::key};"),
        ("settings", "fn f() { crate::session::now() }"),
        (
            "task",
            "use crate::database; // crate::cli\n/// See [`crate::cli`].\nuse crate::backup::Tally;",
        ),
        ("command/key", "use super::body;\nuse crate::command::env;"),
        ("lib", "use crate::cli;"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(
        upward(&files.into()),
        [
            "backup -> command",
            "error -> cli",
            "settings -> session",
            "task -> backup"
        ]
    );
}

/// Every source file's path and its text without its tests.
fn source_files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_stem().unwrap().to_str().unwrap());
            if path.is_dir() {
                walk(&path, &format!("{name}/"), files);
            } else {
                files.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&src, "", &mut files);
    files.retain(|name, _| {
        !name.ends_with("/tests") && !TEST_MODULES.contains(&module(name).as_str())
    });
    files
}

/// The modules that a file names after `crate::` in its code. `crate::{a::b, c}` names two.
fn imported(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect();
    let first_word = |path: &str| {
        let word = path.trim_start().chars();
        word.take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let code = code.join("\n");
    let paths = code.split("crate::").skip(1);
    paths
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list
                .split('}')
                .next()
                .unwrap()
                .split(',')
                .map(first_word)
                .collect(),
            None => vec![first_word(rest)],
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn module(file: &str) -> String {
    file.split('/').next().unwrap().to_owned()
}

fn floor(module: &str) -> usize {
    FLOORS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("`{module}` stands on no floor: add it to FLOORS"))
}

/// Imports that do not point to a lower floor or to the same module.
fn upward(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in files {
        for other in imported(text) {
            let here = module(file);
            if here != other && floor(&other) >= floor(&here) {
                found.push(format!("{file} -> {other}"));
            }
        }
    }
    found
}
