//! `export`: all plans and tenants as JSON lines, which `import` reads.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_client::{Client, Part};

use crate::command::backup::Unfinished;
use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

/// The options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file to write, for nobody else to read: the env of tenants and plans is in it in clear [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The number of rows to read at a time.
const PAGE_ROWS: u32 = 1_000;

#[derive(Debug, Default, Serialize)]
struct Written {
    plans: u64,
    tenants: u64,
}

/// Exports the plans, and then the tenants.
///
/// # Errors
/// Fails if the API cannot be reached or refuses, or if the file exists already or cannot be written.
pub fn run(args: &ExportArgs, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let Some(file) = &args.output else {
        write_all(&client, &mut *world.output)?;
        return Ok(());
    };
    let file = session.settings.path(file);
    if file.exists() {
        return Err(Error::Usage(format!("{} exists already", file.display())));
    }
    // The final name appears only once the file is whole.
    let part = Unfinished::new(&file, "part")?;
    let out: File = OpenOptions::new()
        .write(true)
        .open(&part.path)
        .map_err(Error::Output)?;
    let mut out = BufWriter::new(out);
    let written = write_all(&client, &mut out)?;
    let out = out
        .into_inner()
        .map_err(|e| Error::Output(e.into_error()))?;
    out.sync_all().map_err(Error::Output)?;
    part.finish(&file)?;
    match session.format {
        Format::Json => session.show_own(&written, world),
        Format::Table => {
            let Written { plans, tenants } = written;
            let file = file.display();
            session.say(
                &format!("wrote {file}: {plans} plans and {tenants} tenants"),
                world,
            )
        }
    }
}

fn write_all(client: &Client, out: &mut dyn Write) -> Result<Written, Error> {
    Ok(Written {
        plans: write_list(client, "/tenants-plans", "plan", out)?,
        tenants: write_list(client, "/tenants", "tenant", out)?,
    })
}

/// Writes a list, a page at a time. Returns the number of its rows.
fn write_list(client: &Client, path: &str, kind: &str, out: &mut dyn Write) -> Result<u64, Error> {
    let mut after: Option<String> = None;
    let mut count = 0;
    loop {
        let part = Part {
            limit: Some(PAGE_ROWS),
            after: after.as_deref(),
        };
        let (rows, more) = client.list(path, part)?;
        for row in &rows {
            let rest = row.get().strip_prefix('{').ok_or_else(strange)?;
            writeln!(out, "{{\"type\":\"{kind}\",{rest}").map_err(Error::Output)?;
            count += 1;
        }
        match rows.last() {
            Some(last) if more => after = Some(id(last)?),
            _ => break,
        }
    }
    out.flush().map_err(Error::Output)?;
    Ok(count)
}

fn id(row: &RawValue) -> Result<String, Error> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
    }
    let row: Row = serde_json::from_str(row.get()).map_err(|_| strange())?;
    Ok(row.id)
}

fn strange() -> Error {
    Error::Strange {
        detail: "the list has a row that is no object with an id; is the address right?".into(),
        request_id: String::new(),
    }
}
