//! The completion scripts, run in the shells themselves. Command names contain colons, at which shells split words.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

mod common;

use std::env;
use std::process::{Command, Stdio};

use common::Project;

/// Writes a shell's completion script to a new folder, under the name that the shell looks for.
fn script(shell: &str) -> Project {
    let project = Project::new();
    let run = project.run(&["completions", shell]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{shell}");
    std::fs::write(project.path().join("_tenants"), run.output).unwrap();
    project
}

/// Runs a program in a shell in that folder and returns its output. `None` if there is no such shell: the test is then skipped, unless
/// CI demands it.
fn shell(project: &Project, argv: &[&str], program: &str) -> Option<String> {
    let installed = Command::new(argv[0])
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if installed.is_err() {
        let ci = env::var("CI").unwrap_or_default();
        assert!(
            ["", "0", "false"].contains(&ci.as_str()),
            "{} is missing",
            argv[0]
        );
        eprintln!("skipped: {} is not installed", argv[0]);
        return None;
    }
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .arg(program)
        .current_dir(project.path())
        .env("HOME", project.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(errors, "", "{program}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// How bash splits a line into words, and its completions for the last one.
const BASH_LINES: &[(&str, &[&str])] = &[
    ("tenants edi", &["edit"]),
    ("tenants api : key : cr", &["create"]),
    (
        "tenants api : key :",
        &[
            "create", "delete", "edit", "import", "list", "rotate", "verify",
        ],
    ),
    (
        "tenants api :",
        &[
            "key:create",
            "key:delete",
            "key:edit",
            "key:import",
            "key:list",
            "key:rotate",
            "key:verify",
        ],
    ),
    ("tenants user : pass", &["password-reset"]),
    ("tenants api : key : delete --na", &["--name"]),
    ("tenants -C plan : ed", &["edit"]),
    (
        "tenants --url http : //127.0.0.1 : 8787 config : tr",
        &["traefik"],
    ),
    ("tenants --format js", &["json"]),
    ("tenants completions zs", &["zsh"]),
    ("tenants env : reseal --dry", &["--dry-run"]),
];

#[test]
fn bash_completes_names_with_colons_in_them() {
    let project = script("bash");
    let mut program = String::from("source ./_tenants\n");
    for (words, _) in BASH_LINES {
        let count = words.split(' ').count();
        // After a colon, bash completes an empty word.
        let current = words.rsplit(' ').next().unwrap().trim_start_matches(':');
        program += &format!(
            "COMP_WORDS=({words}); COMP_CWORD={}; COMPREPLY=()\n_tenants_with_colons tenants '{current}' x\n\
             printf '%s\\n' \"${{COMPREPLY[*]}}\"\n",
            count - 1
        );
    }
    // Bash calls our function.
    program += "complete -p tenants\n";
    let output = shell(&project, &["bash", "--norc", "-c"], &program).unwrap();
    let mut lines = output.lines();
    for (words, expected) in BASH_LINES {
        let mut got: Vec<&str> = lines.next().unwrap().split(' ').collect();
        got.sort_unstable();
        assert_eq!(got, *expected, "{words}");
    }
    assert!(lines.next().unwrap().contains("-F _tenants_with_colons"));
    assert_eq!(lines.next(), None);
}

#[test]
fn zsh_completes_names_with_colons_in_them() {
    let project = script("zsh");
    // A shell in a pseudo-terminal, in which the script presses Tab and waits for the expected output.
    let mut program = String::from(
        "(sleep 60; kill $$) > /dev/null 2>&1 &\n\
         zmodload zsh/zpty; zpty shell 'TERM=dumb zsh -f -i'\n\
         say() { zpty -w -n shell \"$1\"; zpty -r -m shell got \"*$2*\" || exit 1; print -r -- \"found $2\" }\n\
         say $'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; PS1=; print is-\"\"ready\\n' is-ready\n",
    );
    let cases = [
        ("tenants api:key:cr", "tenants api:key:create"),
        ("tenants api:key:delete --na", "--name"),
        ("tenants user:pas", "user:password-reset"),
        ("tenants completions fi", "completions fish"),
        ("tenants api:key:", "Say whether an API key is valid"),
    ];
    for (typed, completed) in cases {
        // Ctrl-U deletes the line.
        program += &format!("say $'\\x15{typed}\\t' '{completed}'\n");
    }
    program += "kill $!\n";
    if let Some(output) = shell(&project, &["zsh", "-f", "-c"], &program) {
        assert_eq!(output.lines().count(), 1 + cases.len(), "{output}");
    }
}

#[test]
fn fish_completes_names_with_colons_in_them() {
    let project = script("fish");
    let program = "source ./_tenants; complete -C 'tenants api:key:cr'; complete -C 'tenants api:key:delete --na'; \
                   complete -C 'tenants user:p'";
    if let Some(output) = shell(&project, &["fish", "--no-config", "-c"], program) {
        let names: Vec<&str> = output
            .lines()
            .map(|l| l.split('\t').next().unwrap())
            .collect();
        assert_eq!(names, ["api:key:create", "--name", "user:password-reset"]);
    }
}

#[test]
fn every_command_is_in_every_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Project::new().run(&["completions", shell]).output;
        for command in tenants_cli::cli::command().get_subcommands() {
            let name = command.get_name();
            let escaped = name.replace(':', "\\:");
            assert!(
                output.contains(name) || output.contains(&escaped),
                "{shell}: {name}"
            );
        }
    }
}
