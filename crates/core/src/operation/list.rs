//! Lists. A page is one batch. A whole list (without `limit`) is read in slices, each a batch of its own, and goes out as it is read: its
//! memory is that of one slice at any number of rows. A list that fits one slice is one batch.
//!
//! Each slice judges the caller's key. A slice that fails is the end of the response but not of its JSON, so nobody takes it for a whole list.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::ops::Range;

use crate::operation::call::{Next, Pending, Tail};
use crate::sql::{Batch, Columns, Results, Row, Value};
use crate::store::slice;
use crate::store::standing::{self, Judged};
use crate::value::fault::ApiError;
use crate::wire::http::Response;
use crate::wire::json::Object;
use crate::wire::page::{Cursor, Page};

/// One kind of list, and what a request asked of it.
pub(crate) trait List: Send + Sized + 'static {
    /// A row, decoded.
    type Item;

    /// The room to reserve for an item's JSON, in bytes.
    const JSON_BYTES: usize;

    /// The columns whose sizes [`crate::store::slice`] sums up.
    const LARGE: Range<usize>;

    /// Whether the rows come in one statement with the caller's standing. If not, the standing is a statement before theirs.
    fn is_plain(&self) -> bool;

    /// Reads the rows of a page.
    fn rows(&self, page: &Page) -> Batch;

    /// Reads the rows of a page, and then counts those of all pages.
    fn counted_rows(&self, page: &Page) -> Batch;

    /// Reads the caller's standing, and then counts the rows of all pages if `counts`.
    fn no_rows(&self, counts: bool) -> Batch;

    /// Decodes a row. `None` is the row of `NULL`s, which a valid key gets if nothing was found.
    fn decode(&self, row: Judged) -> Result<Option<Self::Item>, ApiError>;

    /// Writes an item.
    fn write(&self, item: &Self::Item, out: Object<'_>);

    /// The place of an item, for the page after it.
    fn cursor(&self, item: &Self::Item) -> Cursor;
}

/// How a list was asked for.
pub(crate) struct Asked {
    pub(crate) page: Page,
    /// The list's own path, for the `Link`.
    pub(crate) path: String,
    /// Whether to count the rows of all pages.
    pub(crate) counts: bool,
    pub(crate) is_head: bool,
}

/// Plans the response.
pub(crate) fn respond<L: List>(list: L, asked: Asked) -> Pending {
    let Asked {
        page,
        path,
        counts,
        is_head,
    } = asked;
    if is_head && page.is_whole() {
        // Nothing in the head of a whole list depends on its rows.
        return Pending::new(list.no_rows(counts), move |results| {
            standing::judged(results)?;
            with_total(Response::json(200, String::new()), counts, results)
        });
    }
    let batch = if counts {
        list.counted_rows(&page)
    } else {
        list.rows(&page)
    };
    Pending::then(batch, move |results, _| {
        let (items, next) = read(&list, &page, results)?;
        let mut body = String::with_capacity(2 + items.len() * L::JSON_BYTES);
        body.push('[');
        write(&list, &items, &mut body);
        match next {
            Some(next) if page.is_whole() => {
                let response = with_total(Response::json(200, body), counts, results)?;
                Ok(Next::Open(response, tail(list, page.following(next))))
            }
            next => {
                body.push(']');
                let response = page.respond(body, &path, next.as_ref());
                Ok(Next::Send(with_total(response, counts, results)?, None))
            }
        }
    })
}

fn with_total(
    response: Response,
    counts: bool,
    results: &mut Results,
) -> Result<Response, ApiError> {
    if !counts {
        return Ok(response);
    }
    let total = results.outcome()?.integer("total")?;
    Ok(response.with("x-total-count", total.to_string()))
}

/// The rest of a list.
fn tail<L: List>(list: L, page: Page) -> Tail {
    Tail {
        batch: list.rows(&page),
        go_on: Box::new(move |results| {
            let (items, next) = read(&list, &page, results)?;
            let mut text = String::with_capacity(2 + items.len() * L::JSON_BYTES);
            if !items.is_empty() {
                text.push(',');
            }
            write(&list, &items, &mut text);
            if next.is_none() {
                text.push(']');
            }
            Ok((text, next.map(|next| tail(list, page.following(next)))))
        }),
    }
}

fn bytes(columns: &[Value]) -> usize {
    let length = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Integer(_) | Value::Null => 0,
    };
    columns.iter().map(length).sum()
}

fn write<L: List>(list: &L, items: &[L::Item], out: &mut String) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        list.write(item, Object::begin(out));
    }
}

/// Reads a page's rows, and the cursor of the last one if others follow.
fn read<L: List>(
    list: &L,
    page: &Page,
    results: &mut Results,
) -> Result<(Vec<L::Item>, Option<Cursor>), ApiError> {
    if !list.is_plain() {
        standing::judged_read(results)?;
    }
    let rows = results.rows()?;
    if list.is_plain() && rows.is_empty() {
        return Err(standing::invalid_key());
    }
    let mut rows = rows
        .into_iter()
        .map(slice::columns)
        .collect::<Result<Vec<Row>, _>>()?;
    let more = page.cut(&mut rows, |row| {
        bytes(row.get(L::LARGE).unwrap_or_default())
    });
    let items: Vec<L::Item> = rows
        .into_iter()
        .filter_map(|row| {
            standing::judge(Columns::new(row))
                .and_then(|row| list.decode(row))
                .transpose()
        })
        .collect::<Result<_, _>>()?;
    let next = items.last().filter(|_| more).map(|item| list.cursor(item));
    Ok((items, next))
}
