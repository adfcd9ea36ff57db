//! The report of an import: what became of its lines.

use serde::Serialize;
use tenants_client::problem::Problem;
use tenants_client::terminal::printable;

use super::row::{Kind, Row, Unusable};
use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

/// A line that was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) line: u64,
    #[serde(rename = "type")]
    kind: Kind,
    id: Option<String>,
    #[serde(flatten)]
    problem: Problem,
}

/// The problem of a line that cannot be sent.
pub(super) fn unusable(detail: String) -> Problem {
    Problem::own("Unusable line", "unusable_line", detail)
}

impl Refusal {
    pub(super) fn of(line: u64, found: Unusable) -> Self {
        let Unusable { kind, id, detail } = found;
        Self {
            line,
            kind,
            id,
            problem: unusable(detail),
        }
    }

    pub(super) fn of_row(row: &Row, detail: String) -> Self {
        Self::of(
            row.line,
            Unusable {
                kind: row.kind,
                id: Some(row.id.clone()),
                detail,
            },
        )
    }
}

/// The outcomes of the lines of one kind.
#[derive(Debug, Default, Serialize)]
struct Count {
    /// They were not there.
    created: u64,
    /// They were there, and are now as their lines say.
    existing: u64,
    /// Of a trial: they would be accepted.
    valid: u64,
    refused: u64,
}

/// The outcome of the lines.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    dry_run: bool,
    /// Whether the import ended before every line had its turn.
    stopped: bool,
    plans: Count,
    tenants: Count,
    pub(super) refused: Vec<Refusal>,
}

/// The outcome of a line that the API answered.
pub(super) enum Outcome {
    Created,
    Existing,
    Valid,
    /// For these reasons. A trial finds all of them, and a request that writes is not sent after the first.
    Refused(Vec<Problem>),
}

impl Report {
    /// Begins, with the lines that cannot be sent.
    pub(super) fn new(dry_run: bool, refused: Vec<Refusal>) -> Self {
        Self {
            dry_run,
            stopped: false,
            plans: Count::default(),
            tenants: Count::default(),
            refused,
        }
    }

    /// Adds the outcome of a line.
    pub(super) fn count(&mut self, row: &Row, outcome: Outcome) {
        let count = match row.kind {
            Kind::Plan => &mut self.plans,
            Kind::Tenant => &mut self.tenants,
        };
        match outcome {
            Outcome::Created => count.created += 1,
            Outcome::Existing => count.existing += 1,
            Outcome::Valid => count.valid += 1,
            Outcome::Refused(problems) => {
                self.refused
                    .extend(problems.into_iter().map(|problem| Refusal {
                        line: row.line,
                        kind: row.kind,
                        id: Some(row.id.clone()),
                        problem,
                    }));
            }
        }
    }

    /// Ends: sorts and counts the lines that were refused.
    pub(super) fn finish(mut self, stopped: bool) -> Self {
        self.stopped = stopped;
        self.refused.sort_by_key(|one| one.line);
        let kinds: Vec<Kind> = self.refused_lines().map(|one| one.kind).collect();
        for kind in kinds {
            match kind {
                Kind::Plan => self.plans.refused += 1,
                Kind::Tenant => self.tenants.refused += 1,
            }
        }
        self
    }

    /// The first refusal of each line that was refused, once they are sorted.
    fn refused_lines(&self) -> impl Iterator<Item = &Refusal> {
        self.refused
            .chunk_by(|one, next| one.line == next.line)
            .filter_map(<[Refusal]>::first)
    }

    /// Shows the report: as JSON to programs, otherwise each refusal on standard error, and the counts. Without standard output, programs get the
    /// refusals on standard error, too.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(super) fn show(&self, session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
        match session.format {
            Format::Json => {
                let shown = session.show_own(self, world);
                if shown.is_err() {
                    self.name_refusals(world);
                }
                shown
            }
            Format::Table => {
                self.name_refusals(world);
                for (what, count) in [("plans", &self.plans), ("tenants", &self.tenants)] {
                    let Count {
                        created,
                        existing,
                        valid,
                        refused,
                    } = count;
                    let sentence = match (self.dry_run, created + existing + valid + refused) {
                        (_, 0) => continue,
                        (true, _) => format!(
                            "{what}: {valid} would be accepted, {refused} refused; nothing was written"
                        ),
                        (false, _) => format!(
                            "{what}: {created} created, {existing} were there and are as the file says, {refused} refused"
                        ),
                    };
                    session.say(&sentence, world)?;
                }
                Ok(())
            }
        }
    }

    fn name_refusals(&self, world: &mut World<'_>) {
        for Refusal {
            line,
            kind,
            id,
            problem,
        } in &self.refused
        {
            let id = id.as_deref().map(printable);
            let id = id.map_or_else(String::new, |id| format!(" `{id}`"));
            world.complain(&format!(
                "line {line}, {}{id}: {}",
                kind.name(),
                problem.to_text()
            ));
        }
    }

    /// Whether every line was accepted.
    ///
    /// # Errors
    /// [`Error::Refused`] with the number of those that were not.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        match self.refused_lines().count() {
            0 => Ok(()),
            n => Err(Error::Refused {
                code: "lines_refused",
                detail: format!("{n} of the file's lines were refused"),
            }),
        }
    }
}
