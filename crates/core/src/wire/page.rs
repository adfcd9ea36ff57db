//! Pages of a list: the query parameters `limit` and `after`. The contract has whole lists only; docs/COMPAT.md describes the pages.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Display;

use crate::value::fault::{ApiError, FieldError};
use crate::value::id::Id;
use crate::value::text::{quote, whole};
use crate::wire::http::Response;
use crate::wire::parameter::Parameter;

/// The detail of a parameter that comes a second time.
pub(crate) const TWICE: &str = "expected it once; it comes again";

/// The most rows that one page may have.
pub(crate) const MAX_LIMIT: i64 = 10_000;

/// The most rows of a slice: of a whole list's part, and of a page. 100,000 tenants take 40 slices. D1 allows 1,000
/// queries a request, and 50 on the free plan (<https://developers.cloudflare.com/d1/platform/limits/>).
const SLICE_ROWS: i64 = 2_500;

/// The most bytes of a slice's large columns, as stored. A host holds a slice several times over: as rows, decoded, and as JSON.
const SLICE_BYTES: i64 = 2 * 1024 * 1024;

/// The most rows of a page that is not cut by its bytes, since its sum would cost more than it saves. A row has 100,000 bytes at most.
const UNCUT_ROWS: i64 = 100;

/// The rows to read for a page or a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsToRead {
    /// As many as this. One more than the page has, to see whether others follow.
    Few(i64),
    /// At most `rows`, and as many as have at most `bytes` together, but at least one. And one more.
    Cut { rows: i64, bytes: i64 },
}

/// The place of a row in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The value that sorts the list, if it is not the identifier.
    pub(crate) value: Option<String>,
    pub(crate) id: String,
}

impl Cursor {
    /// The value of `after` for the page after this row.
    fn text(&self) -> String {
        match &self.value {
            Some(value) => encode(&[value, ",", &self.id].concat()),
            None => self.id.clone(),
        }
    }
}

/// The part of a list that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    limit: Option<i64>,
    after: Option<String>,
    /// In a sorted list, the value of the row before the first one.
    after_value: Option<String>,
    /// The other parameters, each after `&`.
    kept: String,
}

impl Page {
    /// Reads `limit` (1 to [`MAX_LIMIT`], absent for all) and `after` (an identifier, which need not exist). Ignores other parameters.
    pub(crate) fn read<const MAX: usize>(query: &str) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let mut page = Self::all();
        for (parameter, _, raw) in parameters(query) {
            match parameter {
                Some(Parameter::Limit) => errors.extend(page.read_limit(raw).err()),
                Some(Parameter::After) => errors.extend(page.read_after::<MAX>(raw).err()),
                _ => {}
            }
        }
        if errors.is_empty() {
            Ok(page)
        } else {
            Err(ApiError::Invalid(errors))
        }
    }

    /// The whole list.
    pub(crate) fn all() -> Self {
        Self {
            limit: None,
            after: None,
            after_value: None,
            kept: String::new(),
        }
    }

    /// Reads `limit`.
    pub(crate) fn read_limit(&mut self, raw: &str) -> Result<(), FieldError> {
        if self.limit.is_some() {
            return Err(FieldError::parameter("limit", TWICE));
        }
        let limit = decode(raw).and_then(|text| whole(&text, 1, MAX_LIMIT));
        self.limit = Some(limit.map_err(|detail| FieldError::parameter("limit", detail))?);
        Ok(())
    }

    /// Reads `after` of a list in the order of ids.
    pub(crate) fn read_after<const MAX: usize>(&mut self, raw: &str) -> Result<(), FieldError> {
        if self.after.is_some() {
            return Err(FieldError::parameter("after", TWICE));
        }
        let id = decode(raw)
            .and_then(|text| Id::<MAX>::parse(&text))
            .map_err(|detail| FieldError::parameter("after", detail))?;
        self.after = Some(id.to_string());
        Ok(())
    }

    /// Reads `after` of a list in another order: a value, a comma and an identifier.
    pub(crate) fn read_after_sorted<const MAX: usize>(
        &mut self,
        raw: &str,
    ) -> Result<(), FieldError> {
        let (value, id) = decode(raw)
            .and_then(|text| {
                let (value, id) = text.rsplit_once(',').ok_or_else(|| {
                    format!(
                        "expected the value and the id of a row, with a comma between; got {}",
                        quote(&text)
                    )
                })?;
                Ok((value.to_string(), Id::<MAX>::parse(id)?))
            })
            .map_err(|detail| FieldError::parameter("after", detail))?;
        self.after_value = Some(value);
        self.after = Some(id.to_string());
        Ok(())
    }

    /// Takes the other parameters, each after `&`, for the `Link`.
    pub(crate) fn keep(&mut self, parameters: String) {
        self.kept = parameters;
    }

    /// The identifier before the first row. The empty text comes before all others.
    pub(crate) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or("")
    }

    /// The identifier before the first row, if the page is not the first one.
    pub(crate) fn after_id(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// In a sorted list, the value and the identifier of the row before the first one.
    pub(crate) fn after_row(&self) -> Option<(&str, &str)> {
        Some((self.after_value.as_deref()?, self.after.as_deref()?))
    }

    /// Whether the request asks for all rows after the first one of the page.
    pub(crate) fn is_whole(&self) -> bool {
        self.limit.is_none()
    }

    /// The part of the list after a row.
    pub(crate) fn following(mut self, row: Cursor) -> Self {
        self.after_value = row.value;
        self.after = Some(row.id);
        self
    }

    /// The rows to read.
    pub(crate) fn rows_to_read(&self) -> RowsToRead {
        match self.limit {
            Some(limit) if limit <= UNCUT_ROWS => RowsToRead::Few(limit + 1),
            limit => RowsToRead::Cut {
                rows: limit.unwrap_or(SLICE_ROWS).min(SLICE_ROWS),
                bytes: SLICE_BYTES,
            },
        }
    }

    /// The response: the list's body, and a `Link` to the next page if there is one.
    pub(crate) fn respond(&self, body: String, path: &str, last: Option<&Cursor>) -> Response {
        let response = Response::json(200, body);
        match last {
            Some(last) => response.with("link", self.next(path, &last.text())),
            None => response,
        }
    }

    /// Takes the row away that shows whether others follow, and returns whether there was one. `bytes` is the size of a row's large columns.
    ///
    /// INVARIANT: no row counts for less here than in SQL. (Bytes that are no UTF-8 may have become longer on the way.) If one counts for more,
    /// this may take a row for the next page that would have fitted, but never the last of the list.
    pub(crate) fn cut<T>(&self, rows: &mut Vec<T>, bytes: impl Fn(&T) -> usize) -> bool {
        let (is_beyond, is_long) = match self.rows_to_read() {
            RowsToRead::Few(most) => (i64::try_from(rows.len()).is_ok_and(|n| n >= most), false),
            RowsToRead::Cut {
                rows: most,
                bytes: limit,
            } => {
                let total: usize = rows.iter().map(bytes).sum();
                (
                    i64::try_from(rows.len()).is_ok_and(|n| n > most),
                    i64::try_from(total).is_ok_and(|total| total > limit),
                )
            }
        };
        let more = is_beyond || (is_long && rows.len() > 1);
        if more {
            rows.pop();
        }
        more
    }

    fn next(&self, list: &str, last: &str) -> String {
        next_page(list, self.limit.unwrap_or(MAX_LIMIT), last, &self.kept)
    }
}

/// The `Link` to the page after `last` (RFC 8288). `kept` has the parameters that it repeats, each after `&`.
pub(crate) fn next_page(list: &str, limit: i64, last: impl Display, kept: &str) -> String {
    format!("<{list}?limit={limit}&after={last}{kept}>; rel=\"next\"")
}

/// The parameters of a query: each one, if it is known; its name as it is; and its value, which [`decode`] reads.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (Option<Parameter>, &str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, raw)| (Parameter::named(name), name, raw))
}

/// Decodes a value (RFC 3986 §2.1). A `+` is a plus.
pub(crate) fn decode(raw: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(format!(
                "expected two hexadecimal digits after each `%`; got {}",
                quote(raw)
            ));
        };
        bytes.extend(u8::try_from(16 * high + low));
        rest = &rest[2..];
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err("expected text without U+0000".into()),
        Err(_) => Err(format!("expected UTF-8; got {}", quote(raw))),
    }
}

/// Encodes a value for a URL.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b',') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{Cursor, Page, RowsToRead, decode, encode};
    use crate::value::fault::ApiError;

    #[test]
    fn a_page_is_read_from_the_query() {
        let page = Page::read::<16>("limit=2&after=a&x=y").unwrap();
        assert_eq!(
            (page.after(), page.rows_to_read()),
            ("a", RowsToRead::Few(3))
        );
        let mut rows = vec![1, 2, 3];
        assert!(page.cut(&mut rows, |_| usize::MAX / 8));
        assert_eq!(rows, [1, 2]);
        assert!(!page.cut(&mut rows, |_| 0));
        assert_eq!(page.next("/t", "b"), "</t?limit=2&after=b>; rel=\"next\"");
        let all = Page::read::<16>("").unwrap();
        assert!(all.is_whole() && !page.is_whole());
        let next = all.following(Cursor {
            value: Some("v v".into()),
            id: "z".into(),
        });
        assert_eq!(next.after_row(), Some(("v v", "z")));
    }

    #[test]
    fn a_slice_is_cut_by_its_rows_and_by_its_bytes() {
        let cut = |query: &str, lengths: &[usize]| {
            let mut rows = lengths.to_vec();
            let more = Page::read::<16>(query).unwrap().cut(&mut rows, |n| *n);
            (more, rows.len())
        };
        const MIB: usize = 1024 * 1024;
        assert_eq!(cut("", &[0; 2_500]), (false, 2_500));
        assert_eq!(cut("", &[0; 2_501]), (true, 2_500));
        assert_eq!(cut("limit=101", &[0; 101]), (false, 101));
        assert_eq!(cut("limit=101", &[0; 102]), (true, 101));
        assert_eq!(cut("limit=10000", &[0; 2_501]), (true, 2_500));
        assert_eq!(cut("", &[MIB, MIB]), (false, 2));
        assert_eq!(cut("", &[MIB, MIB, 1]), (true, 2));
        // SQLite reads one row more, whatever its length.
        assert_eq!(cut("", &[3 * MIB, 1]), (true, 1));
        assert_eq!(cut("", &[3 * MIB]), (false, 1));
        assert_eq!(cut("limit=100", &[MIB; 100]), (false, 100));
    }

    #[test]
    fn values_are_percent_decoded_and_a_plus_is_a_plus() {
        assert_eq!(decode("a+b%20%C3%a9%2B").unwrap(), "a+b é+");
        for bad in ["%", "%1", "%g0", "%+1", "%FF", "%00", "%é"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
        assert_eq!(encode("a b,c:é&>"), "a%20b,c:%C3%A9%26%3E");
        assert_eq!(decode(&encode("a b,c:é&>%")).unwrap(), "a b,c:é&>%");
    }

    #[test]
    fn every_invalid_parameter_is_named() {
        for (bad, count) in [
            ("limit=0", 1),
            ("limit=10001", 1),
            ("limit=x&after=_", 2),
            ("limit", 1),
            ("limit=+1", 1),
            ("after=", 1),
            ("limit=%3", 1),
            ("limit=%31%30001", 1),
            ("after=%FF", 1),
        ] {
            let Err(ApiError::Invalid(errors)) = Page::read::<16>(bad) else {
                panic!("{bad} was taken")
            };
            assert_eq!(errors.len(), count, "{bad}");
        }
    }
}
