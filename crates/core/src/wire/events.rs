//! The query parameters of `GET /events`, and its cursor (contract §17).

use alloc::format;
use alloc::string::String;

use crate::value::fault::ApiError;
use crate::value::text::{is_epoch, quote, whole};
use crate::wire::audit::{AuditFilter, DEFAULT_LIMIT, MAX_ID, MAX_LIMIT, one_of};
use crate::wire::filter::Reader;
use crate::wire::page::parameters;
use crate::wire::parameter::Parameter;

/// The `after` of a reader that wants only what comes from now on.
pub(crate) const NOW: &str = "now";

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// With the oldest event that is kept.
    Nothing,
    /// After the newest event.
    Now,
    /// After an event of this epoch of the database, by its number.
    Event(String, i64),
}

impl After {
    fn parse(text: &str) -> Result<Self, String> {
        if text == NOW {
            return Ok(Self::Now);
        }
        let cursor = text.split_once('.').and_then(|(epoch, number)| {
            let number = whole(number, 0, MAX_ID).ok()?;
            is_epoch(epoch).then(|| Self::Event(epoch.into(), number))
        });
        cursor.ok_or_else(|| format!("expected the id of an event, or {NOW}; got {}", quote(text)))
    }

    /// The number of the event before the page.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Now => MAX_ID,
            Self::Event(_, number) => *number,
        }
    }
}

/// A page of events to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventQuery {
    /// The action of the chosen type.
    pub(crate) filter: AuditFilter,
    pub(crate) after: After,
    pub(crate) limit: i64,
    /// The parameters that the page after this one repeats, each after `&`.
    pub(crate) kept: String,
}

impl EventQuery {
    /// Reads the parameters. `types` are the known ones, each with its action.
    ///
    /// # Errors
    /// 422 for a parameter that is unknown, not as expected, or there twice.
    pub(crate) fn read(
        query: &str,
        types: &[(&'static str, &'static str)],
    ) -> Result<Self, ApiError> {
        let mut reader = Reader::default();
        let (mut action, mut after, mut limit) = (None, None, None);
        for (parameter, name, raw) in parameters(query) {
            match parameter {
                Some(p @ Parameter::Limit) => {
                    reader.page(p, raw, &mut limit, |text| whole(text, 1, MAX_LIMIT))
                }
                Some(p @ Parameter::After) => reader.page(p, raw, &mut after, After::parse),
                Some(p @ Parameter::Type) => reader.once(p, raw, &mut action, |text| {
                    let known = one_of(text, types.iter().map(|(name, _)| *name))?;
                    let found = types.iter().find(|(name, _)| *name == known);
                    Ok(found.map(|(_, action)| *action))
                }),
                _ => reader.unknown(name),
            }
        }
        let kept = reader.finish()?;
        Ok(Self {
            filter: AuditFilter {
                action: action.flatten(),
                ..AuditFilter::default()
            },
            after: after.unwrap_or(After::Nothing),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::After;

    #[test]
    fn a_cursor_is_an_epoch_and_a_number() {
        let cursor = After::Event("0123456789abcdef".into(), 42);
        assert_eq!(After::parse("0123456789abcdef.42"), Ok(cursor));
        assert_eq!(After::parse("now"), Ok(After::Now));
        for bad in [
            "",
            "42",
            "Now",
            "0123456789abcdef",
            "0123456789abcdef.",
            "0123456789abcdef.-1",
            "0123456789abcdef.9007199254740992",
            "0123456789abcdeg.1",
            "0123456789abcde.1",
            "0123456789abcdef.1.",
        ] {
            assert!(After::parse(bad).is_err(), "{bad}");
        }
    }
}
