//! `tenants`: see `tenants --help`, and docs/CLI.md.

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tenants_cli::output::World;

fn main() -> ExitCode {
    let mut world = World {
        variable: &|name| env::var(name).ok(),
        // Without a current folder, paths are used as they are given.
        folder: env::current_dir().unwrap_or_default(),
        now: &now,
        width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0),
        input: &mut io::stdin(),
        output: &mut io::stdout(),
        errors: &mut io::stderr(),
        is_watched: io::stderr().is_terminal(),
        is_quiet: false,
    };
    let exit = tenants_cli::run(env::args_os(), &mut world);
    ExitCode::from(exit.code())
}

/// Returns `i64::MIN` for a clock before 1970. `session::now` refuses it, like any other time out of range.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(i64::MIN, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
