//! `export`: all plans and tenants as JSON lines, which `import` reads.
//!
//! The hostnames of a tenant besides its own are a list by itself, so each tenant costs a request more. They are read several at a time.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tenants_client::{Client, Part, Request, query_value};

use crate::error::Error;
use crate::output::{Format, World};
use crate::patience::{self, Patience};
use crate::session::Session;
use crate::unfinished::Unfinished;

/// The options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file to write, for nobody else to read: the env of tenants and plans is in it in clear [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Leave out the hostnames that tenants have besides their own, which cost a request for each tenant
    #[arg(long)]
    pub without_hostnames: bool,

    /// Send this many requests at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub jobs: u8,
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
    let export = Export {
        client: session.client(world)?,
        patience: Patience::default(),
        jobs: args.jobs,
        with_hostnames: !args.without_hostnames,
    };
    let Some(file) = &args.output else {
        export.write_all(None, world)?;
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
        .open(part.path())
        .map_err(Error::Output)?;
    let mut out = BufWriter::new(out);
    let written = export.write_all(Some(&mut out), world)?;
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

/// An export under way.
struct Export {
    client: Client,
    patience: Patience,
    jobs: u8,
    with_hostnames: bool,
}

impl Export {
    /// Writes everything to a file, or to standard output.
    fn write_all(
        &self,
        mut file: Option<&mut dyn Write>,
        world: &mut World<'_>,
    ) -> Result<Written, Error> {
        Ok(Written {
            plans: self.write_list("/tenants-plans", "plan", &mut file, world)?,
            tenants: self.write_list("/tenants", "tenant", &mut file, world)?,
        })
    }

    /// Writes a list, a page at a time. Returns the number of its rows.
    fn write_list(
        &self,
        path: &str,
        kind: &str,
        file: &mut Option<&mut dyn Write>,
        world: &mut World<'_>,
    ) -> Result<u64, Error> {
        let mut after: Option<String> = None;
        let mut count = 0;
        loop {
            let part = Part {
                limit: Some(PAGE_ROWS),
                after: after.as_deref(),
            };
            let (rows, more) = self.patience.ask(
                || self.client.list(path, part),
                |pause| world.note(&patience::note(pause)),
            )?;
            let hostnames = if kind == "tenant" && self.with_hostnames {
                self.hostnames(&rows, world)?
            } else {
                vec![None; rows.len()]
            };
            let out: &mut dyn Write = match file {
                Some(file) => file,
                None => &mut *world.output,
            };
            for (row, hostnames) in rows.iter().zip(hostnames) {
                let rest = row.get().strip_prefix('{').ok_or_else(strange)?;
                let line = match hostnames {
                    None => writeln!(out, "{{\"type\":\"{kind}\",{rest}"),
                    Some(hostnames) => {
                        let rest = rest.strip_suffix('}').ok_or_else(strange)?;
                        writeln!(
                            out,
                            "{{\"type\":\"{kind}\",{rest},\"hostnames\":{hostnames}}}"
                        )
                    }
                };
                line.map_err(Error::Output)?;
                count += 1;
            }
            out.flush().map_err(Error::Output)?;
            match rows.last() {
                Some(last) if more => after = Some(id(last)?),
                _ => return Ok(count),
            }
        }
    }

    /// Reads the further hostnames of tenants: for each an array, if it has any.
    fn hostnames(
        &self,
        rows: &[Box<RawValue>],
        world: &mut World<'_>,
    ) -> Result<Vec<Option<String>>, Error> {
        enum Heard {
            Pause(Duration),
            Read(usize, Result<Option<String>, Error>),
        }

        let (next, patience) = (AtomicUsize::new(0), &self.patience);
        let (sender, heard) = channel();
        let mut all = vec![None; rows.len()];
        let mut failed = None;
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while !patience.is_over() {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(row) = rows.get(at) else { break };
                        // The receiver lives until this scope ends.
                        let tell = |pause| drop(sender.send(Heard::Pause(pause)));
                        let read = self.hostnames_of(row, tell);
                        drop(sender.send(Heard::Read(at, read)));
                    }
                });
            }
            drop(sender);
            for heard in heard {
                match heard {
                    Heard::Pause(pause) => world.note(&patience::note(pause)),
                    Heard::Read(at, Ok(hostnames)) => {
                        if let Some(place) = all.get_mut(at) {
                            *place = hostnames;
                        }
                    }
                    Heard::Read(_, Err(error)) => {
                        patience.end();
                        failed.get_or_insert(error);
                    }
                }
            }
        });
        failed.map_or(Ok(all), Err)
    }

    fn hostnames_of(
        &self,
        tenant: &RawValue,
        tell: impl FnMut(Duration),
    ) -> Result<Option<String>, Error> {
        let path = format!("/tenants/{}/hostnames", query_value(&id(tenant)?));
        let read = || self.client.call(Request::Get, &path);
        match self.patience.ask(read, tell).map_err(Error::from) {
            Ok(answer) => {
                let list = answer.body.trim();
                let some: Vec<&RawValue> = serde_json::from_str(list).map_err(|_| strange())?;
                Ok((!some.is_empty()).then(|| list.to_owned()))
            }
            // The tenant was deleted meanwhile, or the API is older than further hostnames.
            Err(Error::Answer { problem, .. }) if problem.status == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
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
