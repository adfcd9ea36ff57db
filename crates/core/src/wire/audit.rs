//! The query parameters of `GET /audit` (contract §13).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::text::{quote, whole};
use crate::wire::filter::{Reader, time};
use crate::wire::page::parameters;
use crate::wire::parameter::Parameter;

/// The entries of a page, unless the request says how many, and the most that it may ask for.
pub(crate) const DEFAULT_LIMIT: i64 = 100;
pub(crate) const MAX_LIMIT: i64 = 1000;

/// The greatest id of a row, which every client of JSON reads exactly.
pub(crate) const MAX_ID: i64 = (1 << 53) - 1;

/// The longest subject, in characters: more than any identifier has.
pub(crate) const MAX_SUBJECT: usize = 255;

/// The entries to list: those for which everything holds that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    /// A part of an action's name up to the full stop.
    pub(crate) subject_type: Option<&'static str>,
    /// In lower case, as the log has it.
    pub(crate) subject: Option<String>,
    pub(crate) action: Option<&'static str>,
    /// `Some(None)`: an operator at the command line.
    pub(crate) key_id: Option<Option<i64>>,
    pub(crate) since: Option<Timestamp>,
}

/// A page of the log to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditQuery {
    pub(crate) filter: AuditFilter,
    /// The entry before the first one.
    pub(crate) after: i64,
    pub(crate) limit: i64,
    /// The parameters that the page after this one repeats, each after `&`.
    pub(crate) kept: String,
}

impl AuditQuery {
    /// Reads the parameters. `actions` are the known ones, each with the type of its subject.
    ///
    /// # Errors
    /// 422 for a parameter that is unknown, not as expected, or there twice.
    pub(crate) fn read(
        query: &str,
        actions: &[(&'static str, &'static str)],
    ) -> Result<Self, ApiError> {
        let mut reader = Reader::default();
        let mut filter = AuditFilter::default();
        let (mut after, mut limit) = (None, None);
        for (parameter, name, raw) in parameters(query) {
            match parameter {
                Some(p @ Parameter::Limit) => {
                    reader.page(p, raw, &mut limit, |text| whole(text, 1, MAX_LIMIT))
                }
                Some(p @ Parameter::After) => {
                    reader.page(p, raw, &mut after, |text| whole(text, 0, MAX_ID));
                }
                Some(p @ Parameter::SubjectType) => {
                    reader.once(p, raw, &mut filter.subject_type, |text| {
                        let types = actions.iter().map(|(_, subject_type)| *subject_type);
                        one_of(text, types)
                    });
                }
                Some(p @ Parameter::Subject) => reader.once(p, raw, &mut filter.subject, subject),
                Some(p @ Parameter::Action) => {
                    reader.once(p, raw, &mut filter.action, |text| {
                        one_of(text, actions.iter().map(|(action, _)| *action))
                    });
                }
                Some(p @ Parameter::KeyId) => reader.once(p, raw, &mut filter.key_id, |text| {
                    if text.is_empty() {
                        return Ok(None);
                    }
                    whole(text, 1, MAX_ID).map(Some)
                }),
                Some(p @ Parameter::Since) => reader.once(p, raw, &mut filter.since, time),
                _ => reader.unknown(name),
            }
        }
        let kept = reader.finish()?;
        Ok(Self {
            filter,
            after: after.unwrap_or(0),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            kept,
        })
    }
}

/// Finds a text among the known ones, or says which they are.
pub(crate) fn one_of(
    text: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<&'static str, String> {
    known.clone().find(|name| *name == text).ok_or_else(|| {
        let mut names: Vec<&str> = known.collect();
        names.sort_unstable();
        names.dedup();
        format!("expected one of {}; got {}", names.join(", "), quote(text))
    })
}

fn subject(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=MAX_SUBJECT => Ok(text.to_ascii_lowercase()),
        length => Err(format!(
            "expected 1 to {MAX_SUBJECT} characters; got {length}"
        )),
    }
}
