//! `tenants`: see `tenants --help`, and docs/CLI.md.

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tenants_cli::output::World;

fn main() -> ExitCode {
    let mut world = World {
        variable: &|name| env::var(name).ok(),
        // Where there is none, paths are taken as they are.
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

/// A clock before 1970 is no clock; what cannot be written as a time is refused later.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(i64::MIN, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
