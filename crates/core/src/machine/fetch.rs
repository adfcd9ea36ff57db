//! HTTP requests of the service itself, such as those of webhooks.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::value::outbound::OutboundUrl;

/// An HTTP request that the host sends. It never follows a redirect: the answer is then the redirect.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The method.
    pub method: &'static str,
    /// The address. A host that resolves names itself connects to an address for which [`OutboundUrl::may_connect_to`] holds, and to none else.
    pub url: OutboundUrl,
    /// The headers, whose names are in lower case. The host adds those of its connection.
    pub headers: Vec<(&'static str, String)>,
    /// The body. Empty: the request has none.
    pub body: String,
    /// The most bytes of the answer's body to read. The host then ends the connection.
    pub limit_bytes: u32,
    /// The time from the request's beginning to the end of the answer's body, in milliseconds.
    pub timeout_ms: u32,
}

/// The answer to a [`FetchRequest`], whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedAnswer {
    /// The status.
    pub status: u16,
    /// The body's first [`FetchRequest::limit_bytes`] bytes.
    pub body: Vec<u8>,
    /// The time that it took, in milliseconds.
    pub milliseconds: u32,
}

/// The reason why a [`FetchRequest`] has no whole answer. The receiver may have got the request all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFailure {
    /// The host's message. It is shown and decides nothing.
    pub reason: String,
    /// The time that it took, in milliseconds.
    pub milliseconds: u32,
}

impl FetchFailure {
    /// A failure with the host's message.
    pub fn new(reason: impl Into<String>, milliseconds: u32) -> Self {
        Self {
            reason: reason.into(),
            milliseconds,
        }
    }
}

/// Headers and body may hold secrets, so only the method and the URL are shown.
impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
