//! `GET /_/held/{id}` (contract §16): the page that visitors of a held tenant see in place of its site.
//!
//! Traefik sends them here with whatever method they used, and nobody needs a key. The page has no script and nothing of the request, and it
//! says nothing of a tenant that is not held.

use alloc::format;
use alloc::string::{String, ToString as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::operation::call::{Next, Pending};
use crate::sql::{Columns, Results, unexpected_result};
use crate::store::holds;
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::hold::HoldKind;
use crate::value::id::TenantId;
use crate::wire::http::Response;

const STYLE: &str = ":root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.1rem/1.5 system-ui,sans-serif}\
                     main{max-width:34rem;padding:2rem}p{white-space:pre-line;overflow-wrap:anywhere}";

/// What visitors see.
struct Page<'a> {
    status: u16,
    title: &'static str,
    text: &'a str,
    /// When the site is expected back.
    until: Option<Timestamp>,
}

const NOT_HELD: Page<'_> = Page {
    status: 404,
    title: "There is no such page",
    text: "If you expected a site here, please try again in a minute.",
    until: None,
};

const UNKNOWN: Page<'_> = Page {
    status: 503,
    title: "This site is not available",
    text: "Please try again in a minute.",
    until: None,
};

/// Plans the response for the tenant with this id, which came with the request. `unix_seconds` is the host's clock.
pub(crate) fn page(id: &str, unix_seconds: i64) -> Next {
    let Ok(id) = TenantId::parse(id) else {
        return Next::Send(NOT_HELD.response(), None);
    };
    let pending = Pending::either_way(holds::of(&id), move |results| {
        let response = results
            .map_err(ApiError::from)
            .and_then(|results| of_holds(results, unix_seconds));
        Ok(match response {
            Ok(response) => Next::Send(response, None),
            // Visitors get a page, and the log the cause.
            Err(error) => Next::Send(UNKNOWN.response(), error.cause()),
        })
    });
    Next::Run(pending, None)
}

/// The page of a tenant with these holds. The first kind counts, but the site is back only when the last hold ends.
fn of_holds(results: &mut Results, unix_seconds: i64) -> Result<Response, ApiError> {
    let mut first: Option<(usize, Option<String>)> = None;
    let mut last = Some(String::new());
    for row in results.rows()? {
        let mut row = Columns::new(row);
        let kind = row.text("kind")?;
        let message = row.optional_text("message")?;
        let until = row.optional_text("until")?;
        last = last.zip(until).map(|(one, other)| one.max(other));
        let rank = HoldKind::ALL.iter().position(|one| one.as_str() == kind);
        let rank = rank.ok_or_else(|| unexpected_result("column kind: expected a kind".into()))?;
        if first.as_ref().is_none_or(|(before, _)| rank < *before) {
            first = Some((rank, message));
        }
    }
    let Some((rank, message)) = first else {
        return Ok(NOT_HELD.response());
    };
    let until = last.and_then(|last| Timestamp::parse(&last).ok());
    let (status, title, text) = match HoldKind::ALL[rank] {
        HoldKind::Maintenance => (
            503,
            "Down for maintenance",
            "This site is being worked on, and will be back.",
        ),
        HoldKind::NonPayment => (402, "This site is paused", OF_OWNERS),
        HoldKind::Abuse | HoldKind::Admin => (403, "This site is not available", OF_OWNERS),
    };
    let text = message.as_deref().unwrap_or(text);
    let seconds = until.as_ref().map(|until| until.to_unix() - unix_seconds);
    let page = Page {
        status,
        title,
        text,
        until,
    };
    let response = page.response();
    Ok(match seconds {
        // The cron trigger lifts the hold within a minute.
        Some(seconds) => response.with("retry-after", seconds.max(1).to_string()),
        None => response,
    })
}

const OF_OWNERS: &str = "If it is yours, please ask your provider.";

impl Page<'_> {
    fn response(&self) -> Response {
        let Self {
            status,
            title,
            text,
            ..
        } = self;
        let text = escaped(text);
        let until = self.until.as_ref().map_or(String::new(), |until| {
            format!(
                "<p>It is expected back at <time datetime=\"{0}Z\">{0}</time> UTC.</p>",
                until.as_str()
            )
        });
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p>{until}</main></body></html>"
        );
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Response::html(*status, html).with("content-security-policy", policy)
    }
}

/// Writes a text so that it is nothing but text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}
