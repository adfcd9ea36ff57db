//! A part of a list: the query parameters `limit` and `after` (docs/COMPAT.md; the contract's lists are whole).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::exchange::{Call, key_dead};
use crate::http::Response;
use crate::id::Id;
use crate::problem::{ApiError, FieldError, quote};
use crate::sql::{Answers, Columns};

/// How many rows one page may have.
pub(crate) const MAX_LIMIT: i64 = 10_000;

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    limit: Option<i64>,
    after: Option<String>,
}

impl Page {
    /// Reads `limit` (1 to [`MAX_LIMIT`]; absent means all) and `after` (an identifier, which need not exist). Other parameters are passed over.
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

    /// The identifier before the first row: the empty text is before all of them.
    pub(crate) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or("")
    }

    /// How many rows to read: one more than are answered, to see whether others follow; -1 for all.
    pub(crate) fn rows_to_read(&self) -> i64 {
        self.limit.map_or(-1, |n| n + 1)
    }

    /// Decodes the rows of the page, and whether others follow. `decode` answers `None` for the row of `NULL`s that stands where the
    /// caller's key does and nothing was found; not one row means that the key does not stand.
    pub(crate) fn decode<T>(
        &self,
        answers: &mut Answers,
        decode: impl Fn(Columns) -> Result<Option<T>, ApiError>,
    ) -> Result<(Vec<T>, bool), ApiError> {
        let rows = answers.rows()?;
        if rows.is_empty() {
            return Err(key_dead());
        }
        let mut list: Vec<T> = rows
            .into_iter()
            .filter_map(|row| decode(Columns::new(row)).transpose())
            .collect::<Result<_, _>>()?;
        let more = self.cut(&mut list);
        Ok((list, more))
    }

    /// The answer: a list's body, and where others follow the `Link` to them.
    pub(crate) fn respond(&self, body: String, path: &str, next_after: Option<&str>) -> Response {
        let response = Response::json(200, body);
        match next_after {
            Some(last) => response.with("link", self.next(path, last)),
            None => response,
        }
    }

    /// Cuts what was read down to the page. Answers whether others follow.
    fn cut<T>(&self, rows: &mut Vec<T>) -> bool {
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

impl Call<'_> {
    /// The path of a list of this dialect.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("{}{below}", self.dialect.base_path())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::Page;
    use crate::problem::ApiError;

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
    fn what_is_no_page_is_refused_whole() {
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
