//! The errors of the client.

use crate::problem::Problem;

/// The reason why a call failed. No error contains API keys or secrets.
#[derive(Debug)]
pub enum Error {
    /// The API's response has an error status.
    Answer {
        /// The response's problem document.
        problem: Box<Problem>,
        /// For a 401: the sources of the API key and the request secret.
        used: Option<String>,
    },
    /// The API could not be reached, or did not respond in time.
    Unreachable {
        /// A sentence for people.
        detail: String,
        /// The id sent with the request. If the API received the request, its log has this id.
        request_id: String,
    },
    /// The response is not one that the API would send.
    Strange {
        /// A sentence for people.
        detail: String,
        /// The id sent with the request.
        request_id: String,
    },
    /// A setting is not valid.
    Configuration(String),
    /// This machine failed.
    Machine(String),
}
