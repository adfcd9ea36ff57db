//! Requests and answers as plain data.
//!
//! Owns nothing of HTTP's transport: a host takes these from, and turns them into, whatever its platform has. Of the
//! headers a request carries only those that the contract reads, each taken by the host once.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// How much of a body is read, in bytes (contract §2, step 5). A longer one is never buffered: the host says
/// [`Body::TooLarge`].
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// A request, borrowed from the host.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method as it came; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// Path and query as on the request line: neither decoded nor normalised.
    pub target: &'a str,
    /// The client's address as the host knows it (on Cloudflare `CF-Connecting-IP`, never `X-Forwarded-For`).
    pub client_address: Option<&'a str>,
    /// The headers that the contract reads.
    pub headers: Headers<'a>,
    /// The body, whole.
    pub body: Body<'a>,
}

/// The request headers that the contract reads; `None` where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `X-API-Key`
    pub api_key: Option<&'a str>,
    /// `X-Signature`
    pub signature: Option<&'a str>,
    /// `Content-Type`
    pub content_type: Option<&'a str>,
    /// `X-Request-Id`
    pub request_id: Option<&'a str>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
}

/// A request's body: absent is empty (contract §1).
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// All of it, at most [`BODY_LIMIT_BYTES`].
    Bytes(&'a [u8]),
    /// It is, or says that it is, longer than [`BODY_LIMIT_BYTES`]; the host has not kept it.
    TooLarge,
}

/// A request's method, as far as routing tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: answered as `GET`, without the body
    Head,
    /// `POST`
    Post,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// Any other, known to HTTP or not: 405, never taken for a `GET`
    Other,
}

impl Method {
    /// Reads a method's name; every name is one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// An answer, for the host to send as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 200 to 503.
    pub status: u16,
    /// Names in lower case, each once.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Empty where the status or the method has none.
    pub body: String,
}

impl Response {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// An answer with a body in JSON.
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self {
            status,
            headers: [("content-type", Cow::Borrowed("application/json"))].into(),
            body,
        }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.as_ref())
    }
}

/// A source of bytes that nobody can foresee; the host's.
pub trait Random {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// Where the host has none to give; the request is then answered 500.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The host has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomUnavailable;

/// The request's id: the caller's, when it is 1 to 64 of `[A-Za-z0-9._-]`, else 32 new hexadecimal digits (contract §3).
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

/// Bytes as lower-case hexadecimal digits: at once, where `hex::encode` goes digit by digit.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    let mut digits = alloc::vec![0; 2 * bytes.len()];
    // The room is exactly what it takes, and digits are ASCII.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}
