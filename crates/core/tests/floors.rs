//! The core's modules are floors: each file imports only from floors below its own, or from files of its own room that do not import it
//! back.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms of each floor, the lowest first. A room is a file or a folder of `src`.
const FLOORS: &[&[&str]] = &[
    &["value"],
    &["sql", "crypto"],
    &["wire"],
    &["machine"],
    &["auth", "config", "settings"],
    &["store"],
    &["operation", "task"],
    &["log"],
    &["api"],
    &["describe"],
    &["lib"],
];

/// Rooms with helpers for tests, which any test may use.
const TEST_ROOMS: &[&str] = &["properties", "testing"];

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn imports_point_down() {
    let imports = imports(&source_files());
    assert!(imports.len() > 40, "{} files", imports.len());
    assert_eq!(upward(&imports), Vec::<String>::new());
}

#[test]
fn files_of_one_room_do_not_import_each_other_in_a_circle() {
    assert_eq!(circle(&imports(&source_files())), None);
}

#[test]
fn an_upward_import_and_a_circle_are_found() {
    let files = |files: &[(&str, &str)]| {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        imports(&files.collect())
    };
    let up = files(&[
        ("value/id", "use crate::sql::Value;"),
        ("sql", "mod statement;"),
        ("auth", "use crate::{config::Config, value::id::Id};"),
        ("config", "fn f() { crate::value::id::f() }"),
    ]);
    assert_eq!(upward(&up), ["auth -> config", "value/id -> sql"]);
    let round = files(&[
        ("wire/a", "use crate::wire::b::B;"),
        ("wire/b", "use super::c::C;"),
        ("wire/c", "use crate::wire::a::{self, A};"),
        ("wire/d", "use crate::wire::a::A;"),
    ]);
    assert_eq!(
        circle(&round).map(|mut c| {
            c.sort();
            c
        }),
        Some(vec!["wire/a".into(), "wire/b".into(), "wire/c".into()])
    );
}

/// Every source file's module path and its text without comments and without its tests.
fn source_files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let name = format!("{prefix}{name}");
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
    files.retain(|name, _| !name.ends_with("/tests") && !TEST_ROOMS.contains(&room(name)));
    files
}

/// The modules that each file names in its code, as the longest path that is a file.
fn imports(files: &BTreeMap<String, String>) -> Imports {
    let known: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    files
        .iter()
        .map(|(name, text)| {
            let code: Vec<&str> = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap()
                .lines()
                .map(|line| line.split("//").next().unwrap())
                .collect();
            let code = code.join("\n");
            let here = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let from_root = code
                .split("crate::")
                .skip(1)
                .flat_map(|rest| paths(rest, ""));
            let beside = code
                .split("super::")
                .skip(1)
                .flat_map(|rest| paths(rest, here));
            let named = from_root
                .chain(beside)
                .filter_map(|path| longest_file(&path, &known))
                .filter(|path| path != name)
                .collect();
            (name.clone(), named)
        })
        .collect()
}

/// The module paths at the start of `rest`, which follows `crate::` or `super::`. `{a::b, c}` names two.
fn paths(rest: &str, folder: &str) -> Vec<String> {
    let joined = |path: &str| {
        let path = path.trim().replace("::", "/");
        if folder.is_empty() {
            path
        } else {
            format!("{folder}/{path}")
        }
    };
    if let Some(list) = rest.strip_prefix('{') {
        let list = list.split('}').next().unwrap();
        return list.split(',').map(joined).collect();
    }
    let end = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(rest.len());
    vec![joined(&rest[..end])]
}

fn longest_file(path: &str, known: &BTreeSet<&str>) -> Option<String> {
    let mut path = path.trim_end_matches('/');
    loop {
        if known.contains(path) {
            return Some(path.into());
        }
        path = path.rsplit_once('/')?.0;
    }
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap()
}

fn floor(file: &str) -> usize {
    let room = room(file);
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` stands on no floor: add it to FLOORS"))
}

/// Imports that do not point to a lower floor, or to another file of the same room.
fn upward(imports: &Imports) -> Vec<String> {
    imports
        .iter()
        .flat_map(|(file, named)| named.iter().map(move |other| (file, other)))
        .filter(|(file, other)| room(file) != room(other) && floor(other) >= floor(file))
        .map(|(file, other)| format!("{file} -> {other}"))
        .collect()
}

/// Some files that import each other in a circle. A room's own file, which only declares the others, is not part of one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut left: Imports = imports
        .iter()
        .filter(|(file, _)| file.contains('/'))
        .map(|(file, named)| (file.clone(), named.clone()))
        .collect();
    loop {
        let (leaves, rest): (Imports, Imports) = left
            .clone()
            .into_iter()
            .partition(|(_, named)| !named.iter().any(|other| left.contains_key(other)));
        if leaves.is_empty() {
            // Every file that is left imports another one that is left; files that nobody left imports are not on the circle.
            let mut circle = rest;
            loop {
                let imported: BTreeSet<String> = circle.values().flatten().cloned().collect();
                let before = circle.len();
                circle.retain(|file, _| imported.contains(file));
                if circle.len() == before {
                    break;
                }
            }
            return (!circle.is_empty()).then(|| circle.into_keys().collect());
        }
        left = rest;
    }
}
