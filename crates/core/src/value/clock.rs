//! Points in time, from the host's clock to the contract's format.
//!
//! The core never asks for the time: a host passes it in with each request.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use serde::Serialize;
use time::{Date, OffsetDateTime, Time};

use crate::value::fault::{ApiError, Internal};

/// The length of `YYYY-MM-DD HH:MM:SS`.
const TEXT_LENGTH: usize = 19;

/// A point in time, to the second, in the contract's format: `YYYY-MM-DD HH:MM:SS` in UTC, years 0000 to 9999. These texts sort in the
/// order of time, in SQL too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Timestamp(String);

/// The text is not a [`Timestamp`], or the clock is outside the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl Timestamp {
    /// Converts a clock reading: seconds since 1970-01-01 00:00:00 UTC.
    ///
    /// # Errors
    /// If the time is outside the years 0000 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, NotATime> {
        let at = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| NotATime)?;
        if !(0..=9999).contains(&at.year()) {
            return Err(NotATime);
        }
        // Formatting by `time` needs `std`, and `format!` takes longer than checking a signature.
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

    /// Converts a reading of the host's clock.
    ///
    /// # Errors
    /// 500 if the time is outside the years 0000 to 9999.
    pub(crate) fn of_clock(seconds: i64) -> Result<Self, ApiError> {
        Self::from_unix(seconds).map_err(|_| ApiError::Internal(Internal::Clock))
    }

    /// Parses `YYYY-MM-DD HH:MM:SS`. The date and the time must exist.
    ///
    /// # Errors
    /// If the text has another form, or no such date or time exists.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        read(text).map(|_| Self(text.into())).ok_or(NotATime)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The seconds since 1970.
    pub(crate) fn to_unix(&self) -> i64 {
        const FIRST_DAY: i32 = 2_440_588;
        // A timestamp's text can be read.
        let Some(date) = read(&self.0) else {
            return 0;
        };
        let part = |at: usize| self.0[at..at + 2].parse().unwrap_or(0);
        let hours = i64::from(date.to_julian_day() - FIRST_DAY) * 24 + part(11);
        (hours * 60 + part(14)) * 60 + part(17)
    }

    /// The time as HTTP writes it (RFC 9110 §5.6.7): `Tue, 18 Aug 2026 23:16:57 GMT`.
    pub(crate) fn to_http_date(&self) -> String {
        // A timestamp's text can be read.
        let Some(date) = read(&self.0) else {
            return String::new();
        };
        // The English names begin with the three letters that HTTP wants.
        let name = |full: String| full.chars().take(3).collect::<String>();
        format!(
            "{}, {} {} {} {} GMT",
            name(date.weekday().to_string()),
            &self.0[8..10],
            name(date.month().to_string()),
            &self.0[..4],
            &self.0[11..]
        )
    }
}

/// Reads `YYYY-MM-DD HH:MM:SS` (contract §3): its date, if the date and the time exist. The parser of `time` would add 7 kB of gzipped wasm.
fn read(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if bytes.len() != TEXT_LENGTH || separators.iter().any(|&(at, byte)| bytes[at] != byte) {
        return None;
    }
    let two = |at: usize| match bytes[at..at + 2] {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    let year = i32::from(two(0)?) * 100 + i32::from(two(2)?);
    let date = Date::from_calendar_date(year, two(5)?.try_into().ok()?, two(8)?).ok()?;
    Time::from_hms(two(11)?, two(14)?, two(17)?).ok()?;
    Some(date)
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
    fn a_time_is_counted_in_seconds() {
        for seconds in [0, 86_399, 951_782_400, 1_787_095_017, 253_402_300_799, -1] {
            assert_eq!(Timestamp::from_unix(seconds).unwrap().to_unix(), seconds);
        }
    }

    #[test]
    fn a_clock_reading_is_written_in_the_contracts_format() {
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
    fn only_times_that_exist_are_parsed() {
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
