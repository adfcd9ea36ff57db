//! Pages of a list: the query parameters `limit` and `after`. The contract has whole lists only; docs/COMPAT.md describes the pages.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::value::fault::{ApiError, FieldError};
use crate::value::id::Id;
use crate::value::text::quote;
use crate::wire::http::Response;

/// The most rows that one page may have.
pub(crate) const MAX_LIMIT: i64 = 10_000;

/// The part of a list that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    limit: Option<i64>,
    after: Option<String>,
}

impl Page {
    /// Reads `limit` (1 to [`MAX_LIMIT`], absent for all) and `after` (an identifier, which need not exist). Ignores other parameters.
    pub(crate) fn read<const MAX: usize>(query: &str) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let mut page = Self {
            limit: None,
            after: None,
        };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "limit" => match value.parse() {
                    Ok(n)
                        if value.bytes().all(|b| b.is_ascii_digit())
                            && (1..=MAX_LIMIT).contains(&n) =>
                    {
                        page.limit = Some(n)
                    }
                    _ => errors.push(FieldError::parameter(
                        "limit",
                        format!(
                            "expected a whole number from 1 to {MAX_LIMIT}; got {}",
                            quote(value)
                        ),
                    )),
                },
                "after" => match Id::<MAX>::parse(value) {
                    Ok(id) => page.after = Some(id.to_string()),
                    Err(detail) => errors.push(FieldError::parameter("after", detail)),
                },
                _ => {}
            }
        }
        if errors.is_empty() {
            Ok(page)
        } else {
            Err(ApiError::Invalid(errors))
        }
    }

    /// The identifier before the first row. The empty text comes before all others.
    pub(crate) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or("")
    }

    /// The number of rows to read: one more than the page has, to see whether others follow; -1 for all.
    pub(crate) fn rows_to_read(&self) -> i64 {
        self.limit.map_or(-1, |n| n + 1)
    }

    /// The response: the list's body, and a `Link` to the next page if there is one.
    pub(crate) fn respond(&self, body: String, path: &str, next_after: Option<&str>) -> Response {
        let response = Response::json(200, body);
        match next_after {
            Some(last) => response.with("link", self.next(path, last)),
            None => response,
        }
    }

    /// Cuts the rows that were read down to the page, and returns whether others follow.
    pub(crate) fn cut<T>(&self, rows: &mut Vec<T>) -> bool {
        let Some(limit) = self.limit.and_then(|n| usize::try_from(n).ok()) else {
            return false;
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        more
    }

    /// The `Link` to the page after `last` (RFC 8288).
    fn next(&self, list: &str, last: &str) -> String {
        format!(
            "<{list}?limit={}&after={last}>; rel=\"next\"",
            self.limit.unwrap_or(MAX_LIMIT)
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::Page;
    use crate::value::fault::ApiError;

    #[test]
    fn a_page_is_read_from_the_query() {
        let page = Page::read::<16>("limit=2&after=a&x=y").unwrap();
        assert_eq!((page.after(), page.rows_to_read()), ("a", 3));
        let mut rows = vec![1, 2, 3];
        assert!(page.cut(&mut rows));
        assert_eq!(rows, [1, 2]);
        assert_eq!(page.next("/t", "b"), "</t?limit=2&after=b>; rel=\"next\"");
        let all = Page::read::<16>("").unwrap();
        assert_eq!((all.after(), all.rows_to_read()), ("", -1));
        assert!(!all.cut(&mut vec![1, 2, 3]));
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
            ("limit=%31", 1),
        ] {
            let Err(ApiError::Invalid(errors)) = Page::read::<16>(bad) else {
                panic!("{bad} was taken")
            };
            assert_eq!(errors.len(), count, "{bad}");
        }
    }
}
