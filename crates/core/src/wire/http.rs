//! Requests and responses as plain data.
//!
//! The transport is the host's: it converts these from and to the types of its platform. A request carries only the headers that
//! the contract reads.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::value::random::{Random, RandomUnavailable};
use crate::value::text::hex_text;

/// The longest body, in bytes (contract §2, step 5). A host never buffers a longer one; it passes [`Body::TooLarge`].
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// A request, borrowed from the host.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method as it came. Methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// Path and query as on the request line, neither decoded nor normalised.
    pub target: &'a str,
    /// Scheme and authority of the URL that the client called, as far as the host knows them: `https://tenants.example.com`. They are part of
    /// what a bound key signs (contract §13), unless `TENANTS_PUBLIC_URL` replaces them.
    pub origin: Option<&'a str>,
    /// The client's address, if the host knows it (on Cloudflare `CF-Connecting-IP`, never `X-Forwarded-For`).
    pub client_address: Option<&'a str>,
    /// The headers that the contract reads.
    pub headers: Headers<'a>,
    /// The whole body.
    pub body: Body<'a>,
}

/// The request headers that the contract reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `X-API-Key`
    pub api_key: Option<&'a str>,
    /// `X-Signature`
    pub signature: Option<&'a str>,
    /// `Content-Type`
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`
    pub content_encoding: Option<&'a str>,
    /// `X-Request-Id`
    pub request_id: Option<&'a str>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<&'a str>,
    /// `Prefer`
    pub prefer: Option<&'a str>,
    /// `If-Match`
    pub if_match: Option<&'a str>,
    /// `Signature-Input`
    pub signature_input: Option<&'a str>,
    /// `Signature`, which is not `X-Signature`
    pub message_signature: Option<&'a str>,
    /// `Content-Digest`
    pub content_digest: Option<&'a str>,
    /// `Cookie`. Only a console reads it (`TENANTS_CONSOLE`), as the two after it.
    pub cookie: Option<&'a str>,
    /// `Sec-Fetch-Site`
    pub sec_fetch_site: Option<&'a str>,
    /// `X-CSRF-Token`
    pub csrf_token: Option<&'a str>,
}

impl Headers<'_> {
    /// The number of the headers.
    pub const COUNT: usize = 15;
}

impl<'a> Headers<'a> {
    /// The names of the headers in lower case, in the order of [`Headers::from_values`]. A host takes each from its request once. A header
    /// that comes several times has its values joined by `, ` (RFC 9110 §5.3), and `cookie` by `; ` (RFC 9113 §8.2.3), as [`Headers::joined`] does.
    pub const NAMES: [&'static str; Headers::COUNT] = [
        "x-api-key",
        "x-signature",
        "content-type",
        "content-encoding",
        "x-request-id",
        "if-none-match",
        "idempotency-key",
        "prefer",
        "if-match",
        "signature-input",
        "signature",
        "content-digest",
        "cookie",
        "sec-fetch-site",
        "x-csrf-token",
    ];

    /// The value of a header whose lines are `lines`: joined, if there are several. Bytes that are no UTF-8 stay as U+FFFD, so that such a header
    /// is malformed and not absent: without its `If-Match` a write would do what it must not. `None` without a line.
    pub fn joined<'l>(
        name: &str,
        lines: impl IntoIterator<Item = &'l [u8]>,
    ) -> Option<Cow<'l, str>> {
        let separator = if name == "cookie" { "; " } else { ", " };
        let lines = lines.into_iter().map(String::from_utf8_lossy);
        lines.reduce(|all, next| Cow::Owned([&all, separator, &next].concat()))
    }

    /// Takes the values of [`Headers::NAMES`].
    #[must_use]
    pub fn from_values(values: [Option<&'a str>; Headers::COUNT]) -> Self {
        let [
            api_key,
            signature,
            content_type,
            content_encoding,
            request_id,
            if_none_match,
            idempotency_key,
            prefer,
            if_match,
            signature_input,
            message_signature,
            content_digest,
            cookie,
            sec_fetch_site,
            csrf_token,
        ] = values;
        Self {
            api_key,
            signature,
            content_type,
            content_encoding,
            request_id,
            if_none_match,
            idempotency_key,
            prefer,
            if_match,
            signature_input,
            message_signature,
            content_digest,
            cookie,
            sec_fetch_site,
            csrf_token,
        }
    }

    /// Whether the request is signed as a whole, by a bound key (RFC 9421). Beside an `X-Signature`, such headers are somebody else's, such as
    /// those of a gateway.
    #[must_use]
    pub fn sign_the_request(&self) -> bool {
        self.signature.is_none()
            && (self.signature_input.is_some() || self.message_signature.is_some())
    }

    /// Whether the request has a key, or a signature of any kind.
    pub(crate) fn name_a_key(&self) -> bool {
        [
            self.api_key,
            self.signature,
            self.signature_input,
            self.message_signature,
        ]
        .iter()
        .any(Option::is_some)
    }

    /// The value of a header that a signature of the whole request may cover.
    pub(crate) fn covered(&self, name: &str) -> Option<&'a str> {
        match name {
            "x-api-key" => self.api_key,
            "content-type" => self.content_type,
            "content-encoding" => self.content_encoding,
            "x-request-id" => self.request_id,
            "if-none-match" => self.if_none_match,
            "idempotency-key" => self.idempotency_key,
            "if-match" => self.if_match,
            "prefer" => self.prefer,
            "content-digest" => self.content_digest,
            _ => None,
        }
    }

    /// Takes each header from `value`, which returns the value of a lower-case name.
    pub fn from_fn(value: impl FnMut(&'static str) -> Option<&'a str>) -> Self {
        Self::from_values(Self::NAMES.map(value))
    }
}

/// A request's body. An absent body is an empty one (contract §1).
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// The whole body, at most [`BODY_LIMIT_BYTES`].
    Bytes(&'a [u8]),
    /// The body, or its `Content-Length`, exceeds [`BODY_LIMIT_BYTES`]. The host has not kept it.
    TooLarge,
    /// The body broke off before its end: the client went away, or its connection failed.
    Incomplete,
}

/// The methods that routing tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: served as `GET`, without the body
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// Any other method, known to HTTP or not: refused with 405, never treated as `GET`
    Other,
}

impl Method {
    /// Reads a method's name. Any name is valid.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// The method's name. No route has [`Method::Other`].
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "",
        }
    }
}

/// A response. The host sends it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers. Names are in lower case, and each comes once.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body. It is empty if the status or the method allows none.
    pub body: ResponseBody,
}

/// A response's body.
#[derive(Debug, Clone)]
pub enum ResponseBody {
    /// Made for this response.
    Own(String),
    /// Sent in response after response. A host may keep its own copy of such a text, such as bytes in JavaScript's memory, and send that
    /// again as long as [`Arc::ptr_eq`] finds the same one.
    Kept(Arc<String>),
}

impl ResponseBody {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self
    }

    /// Takes the text. A kept one is copied.
    #[must_use]
    pub fn into_string(self) -> String {
        match self {
            Self::Own(text) => text,
            Self::Kept(text) => Arc::unwrap_or_clone(text),
        }
    }
}

impl Deref for ResponseBody {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Kept(text) => text,
        }
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Self::Own(text)
    }
}

impl fmt::Display for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq for ResponseBody {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ResponseBody {}

impl Response {
    /// A response without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new().into(),
        }
    }

    /// A response with a page for people.
    pub(crate) fn html(status: u16, body: impl Into<ResponseBody>) -> Self {
        Self {
            status,
            headers: [("content-type", Cow::Borrowed("text/html; charset=utf-8"))].into(),
            body: body.into(),
        }
    }

    /// A response with a JSON body.
    pub(crate) fn json(status: u16, body: impl Into<ResponseBody>) -> Self {
        Self {
            status,
            headers: [("content-type", Cow::Borrowed("application/json"))].into(),
            body: body.into(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.as_ref())
    }
}

/// The request's id: the caller's if it is 1 to 64 of `[A-Za-z0-9._-]`, otherwise 32 new hexadecimal digits (contract §3).
pub(crate) fn request_id(
    asked: Option<&str>,
    random: &mut dyn Random,
) -> Result<String, RandomUnavailable> {
    if let Some(id) = asked
        && (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        return Ok(id.into());
    }
    let mut bytes = [0; 16];
    random.fill(&mut bytes)?;
    Ok(hex_text(&bytes))
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn the_lines_of_a_header_are_joined_and_none_is_lost() {
        for (name, lines, joined) in [
            ("if-match", &[][..], None),
            ("if-match", &[&b"\"a\""[..]], Some("\"a\"")),
            ("if-match", &[b"\"a\"", b"\"b\""], Some("\"a\", \"b\"")),
            ("cookie", &[b"a=1", b"b=2", b"c=3"], Some("a=1; b=2; c=3")),
            ("if-match", &[b""], Some("")),
            ("if-match", &[b"\"\xe9\""], Some("\"\u{fffd}\"")),
        ] {
            let got = Headers::joined(name, lines.iter().copied());
            assert_eq!(got.as_deref(), joined, "{lines:?}");
        }
    }
}
