//! A webhook's message (contract §17): the request that the host sends, as Standard Webhooks has it, and what came of it.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::crypto::webhook::sign;
use crate::machine::{FetchFailure, FetchRequest, FetchedAnswer};
use crate::value::outbound::OutboundUrl;
use crate::value::version::VERSION;

/// How much of an answer is kept, in bytes.
const ANSWER_BYTES: u32 = 1024;

/// How long a receiver may take, in milliseconds.
pub(crate) const TIMEOUT_MS: u32 = 10_000;

/// A message to send.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) url: &'a OutboundUrl,
    pub(crate) secrets: &'a [Zeroizing<String>],
    /// The same in every attempt.
    pub(crate) id: &'a str,
    pub(crate) body: String,
    pub(crate) unix_seconds: i64,
}

impl Message<'_> {
    /// The request, with a signature of each secret.
    pub(crate) fn request(self) -> FetchRequest {
        let (id, time) = (self.id, self.unix_seconds);
        let secrets = self.secrets.iter();
        let signatures: Vec<String> = secrets
            .filter_map(|secret| sign(secret, id, time, &self.body))
            .collect();
        FetchRequest {
            method: "POST",
            url: self.url.clone(),
            headers: [
                ("content-type", String::from("application/json")),
                ("user-agent", format!("tenants/{VERSION}")),
                ("webhook-id", id.into()),
                ("webhook-timestamp", time.to_string()),
                ("webhook-signature", signatures.join(" ")),
            ]
            .into(),
            body: self.body,
            limit_bytes: ANSWER_BYTES,
            timeout_ms: TIMEOUT_MS,
        }
    }
}

/// What came of a message.
#[derive(Debug)]
pub(crate) struct Result {
    /// Whether the status is one of 200 to 299.
    pub(crate) accepted: bool,
    pub(crate) status: Option<u16>,
    pub(crate) milliseconds: u32,
    /// The beginning of the answer, or why there was none.
    pub(crate) answer: String,
}

impl Result {
    /// Reads the host's outcome. `None`: it has no network.
    pub(crate) fn of(answer: Option<&core::result::Result<FetchedAnswer, FetchFailure>>) -> Self {
        match answer {
            Some(Ok(answer)) => Self {
                accepted: (200..300).contains(&answer.status),
                status: Some(answer.status),
                milliseconds: answer.milliseconds,
                answer: shown(&String::from_utf8_lossy(&answer.body)),
            },
            Some(Err(failure)) => Self {
                accepted: false,
                status: None,
                milliseconds: failure.milliseconds,
                answer: shown(&failure.reason),
            },
            None => Self {
                accepted: false,
                status: None,
                milliseconds: 0,
                answer: "the service runs where it has no network".into(),
            },
        }
    }
}

/// A text as it is kept: SQLite cannot keep U+0000, and a text may be longer in UTF-8 than it came.
fn shown(text: &str) -> String {
    let limit = usize::try_from(ANSWER_BYTES).unwrap_or(usize::MAX);
    let end = text.floor_char_boundary(limit);
    text[..end].replace('\0', "\u{fffd}")
}
