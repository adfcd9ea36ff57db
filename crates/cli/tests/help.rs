//! Every command of Chevereto's own program exists here with its options, every command has an example, and the program accepts every
//! example of `--help`, of docs/CLI.md and of docs/CLI_DATABASE.md.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

mod common;

use std::collections::BTreeSet;

use common::Project;
use tenants_cli::cli::command;

/// The commands and options of Chevereto's own programs.
const CHEVERETO: &[(&str, &[&str])] = &[
    ("init", &[]),
    ("api:key:create", &["--name", "--expires"]),
    ("api:key:verify", &["--key"]),
    ("api:key:delete", &["--id", "--name"]),
    (
        "create",
        &[
            "--id",
            "--hostname",
            "--is_enabled",
            "--plan_id",
            "--limits",
            "--env",
        ],
    ),
    ("get", &["--id"]),
    ("list", &[]),
    (
        "edit",
        &[
            "--id",
            "--hostname",
            "--is_enabled",
            "--plan_id",
            "--limits",
            "--env",
        ],
    ),
    ("delete", &["--id", "--drop-tables"]),
    ("cache", &[]),
    ("plan:create", &["--id", "--name", "--limits", "--env"]),
    ("plan:edit", &["--id", "--name", "--limits", "--env"]),
    ("plan:list", &[]),
    ("plan:delete", &["--id"]),
    ("stats:refresh", &["--id"]),
    ("jobs:worker", &["--id", "--verbose"]),
    ("database:migrate", &["--id", "--verbose"]),
    ("install", &["-u", "-e", "-x", "--id"]),
    ("password-reset", &["-u", "-x", "--id"]),
];

fn names() -> Vec<String> {
    let all = command();
    let commands = all.get_subcommands();
    commands
        .map(|command| command.get_name().to_owned())
        .collect()
}

fn help(args: &[&str]) -> String {
    let run = Project::new().run(&[args, &["--help"]].concat());
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{args:?}");
    run.output
}

#[test]
fn every_command_and_option_of_chevereto_exists() {
    for (name, options) in CHEVERETO {
        let text = help(&[name]);
        for option in *options {
            let is_there = text
                .lines()
                .map(|line| line.trim_start().split([' ', ',']).collect::<Vec<_>>())
                .any(|words| {
                    words.first().is_some_and(|w| w.starts_with('-')) && words.contains(option)
                });
            assert!(is_there, "{name} {option}\n{text}");
        }
    }
}

#[test]
fn the_overview_lists_every_command_once_and_fits_a_terminal() {
    let text = help(&[]);
    assert!(
        text.contains("\nExit codes:\n") && text.contains("\nExamples:\n"),
        "{text}"
    );
    let commands = text.split("\nOptions:\n").next().unwrap();
    for name in names() {
        let lines: Vec<&str> = commands
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(&name))
            .collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        assert!(lines[0].chars().count() > 25, "{name} says what it does");
        assert!(lines[0].chars().count() <= 85, "{}", lines[0]);
    }
}

#[test]
fn a_call_without_a_command_shows_the_overview() {
    let run = Project::new().run(&[]);
    assert_eq!((run.code, run.output.as_str()), (2, ""));
    assert_eq!(run.errors, Project::new().run(&["-h"]).output);
    let run = Project::new().run(&["creat"]);
    assert_eq!(run.code, 2);
    assert!(run.errors.contains("'create'"), "{}", run.errors);
}

#[test]
fn every_command_has_an_example_and_every_example_parses() {
    let mut seen = 0;
    for name in names() {
        let text = help(&[&name]);
        let (_, examples) = text
            .split_once("\nExample")
            .unwrap_or_else(|| panic!("{name}\n{text}"));
        let lines = command_lines(examples);
        assert!(
            lines.iter().any(|line| line.contains(&name)),
            "{name} is in none of its examples\n{examples}"
        );
        assert!(
            examples.lines().all(|line| line.chars().count() <= 80),
            "{examples}"
        );
        seen += lines.iter().map(|line| is_taken(line)).count();
    }
    let whole = help(&[]);
    let examples = whole.split_once("\nExamples:").unwrap().1;
    seen += command_lines(examples)
        .iter()
        .map(|line| is_taken(line))
        .count();
    assert!(seen > 40, "{seen}");
}

#[test]
fn the_page_has_every_command_and_its_examples_parse() {
    let page = concat!(
        include_str!("../../../docs/CLI.md"),
        include_str!("../../../docs/CLI_DATABASE.md")
    );
    let headings: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let names = names();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(headings, names);
    let mut seen = 0;
    for block in page.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        seen += command_lines(block)
            .iter()
            .map(|line| is_taken(line))
            .count();
    }
    assert!(seen > 40, "{seen}");
}

/// The `tenants …` command lines of a text. Joins continued lines.
fn command_lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut lines = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("tenants ") {
            // Skips paths, and words that only contain the name.
            if line[..at]
                .chars()
                .next_back()
                .is_none_or(|c| " ($".contains(c))
                && !line[..at].contains("npm run")
            {
                lines.push(line[at..].to_owned());
            }
        }
    }
    lines
}

/// Whether the program accepts a command line. Leaves out redirections and pipes.
fn is_taken(line: &str) {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            (None, '|' | '<' | '>' | ')' | ';' | '#') => break,
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(quote, None, "{line}");
    let is_empty_value = |n: usize| n > 0 && words[n - 1].starts_with("--");
    let args: Vec<&String> = (0..words.len())
        .filter(|n| !words[*n].is_empty() || (is_empty_value(*n) && line.contains("\"\"")))
        .map(|n| &words[n])
        .collect();
    let result = command().try_get_matches_from(args);
    let is_help = |error: &clap::Error| !error.use_stderr();
    assert!(
        result.as_ref().err().is_none_or(is_help),
        "{line}\n{result:?}"
    );
}
