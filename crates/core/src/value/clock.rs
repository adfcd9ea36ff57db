//! Points in time: what the host's clock says, and how the contract writes it.
//!
//! The core never asks for the time; a host hands it in with each request.

use alloc::string::String;
use core::fmt;

use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// `YYYY-MM-DD HH:MM:SS`, UTC (contract §3).
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// `YYYY-MM-DD HH:MM:SS` is as long as that.
const TEXT_LENGTH: usize = 19;

/// A point in time with a resolution of a second, written as the contract does: `YYYY-MM-DD HH:MM:SS` in UTC, years 0000
/// to 9999. Texts compare as the times do, in SQL too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Timestamp(String);

/// A text that is no [`Timestamp`], or a clock that is outside of the years it can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl Timestamp {
    /// From a clock's seconds since 1970-01-01 00:00:00 UTC.
    ///
    /// # Errors
    /// Outside of the years 0000 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, NotATime> {
        let at = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| NotATime)?;
        if !(0..=9999).contains(&at.year()) {
            return Err(NotATime);
        }
        // Not `time`'s own formatting, which needs `std`; nor `format!`, which takes longer than a signature.
        let mut text = String::with_capacity(TEXT_LENGTH);
        let year = at.year();
        for (before, number) in [
            ("", year / 100),
            ("", year % 100),
            ("-", u8::from(at.month()).into()),
            ("-", at.day().into()),
            (" ", at.hour().into()),
            (":", at.minute().into()),
            (":", at.second().into()),
        ] {
            text.push_str(before);
            text.extend([number / 10, number % 10].map(digit));
        }
        Ok(Self(text))
    }

    /// Reads `YYYY-MM-DD HH:MM:SS`, a date and time that exist.
    ///
    /// # Errors
    /// On anything else.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        PrimitiveDateTime::parse(text, FORMAT).map_err(|_| NotATime)?;
        // The parser takes a sign before the year; the contract does not.
        if text.len() != TEXT_LENGTH {
            return Err(NotATime);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn digit(number: i32) -> char {
    char::from_digit(number.unsigned_abs(), 10).unwrap_or('0')
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_clock_reading_is_written_as_the_contract_does() {
        assert_eq!(
            Timestamp::from_unix(1_787_095_017).unwrap().as_str(),
            "2026-08-18 23:16:57"
        );
        assert_eq!(
            Timestamp::from_unix(0).unwrap().as_str(),
            "1970-01-01 00:00:00"
        );
        assert!(Timestamp::from_unix(i64::MAX).is_err());
        assert!(
            Timestamp::from_unix(253_402_300_800).is_err(),
            "the year 10000"
        );
    }

    #[test]
    fn only_times_that_exist_are_read() {
        assert!(Timestamp::parse("2028-02-29 23:59:59").is_ok());
        for bad in [
            "",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-01-01T00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01",
            "+2026-01-01 00:00:00",
            " 2026-01-01 00:00:00",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
