//! How the caller of a request proves itself.

use crate::value::fault::{ApiError, Unauthorized};

/// How the caller proves itself, as far as the response and the statements depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// By a key.
    Key,
    /// By a key, to begin a session.
    SignIn,
    /// By the cookie of a session, which stands for its key.
    Session,
}

impl Proof {
    /// The same error, as a caller who proves itself so gets it.
    pub(super) fn error(self, error: ApiError) -> ApiError {
        match (self, error) {
            (Self::Key, error) => error,
            (Self::SignIn, ApiError::Unauthorized(why)) => ApiError::NotSignedIn {
                why,
                is_sign_in: true,
            },
            (Self::Session, ApiError::Unauthorized(why)) => ApiError::NotSignedIn {
                why: match why {
                    Unauthorized::KeyDead => Unauthorized::SessionOver,
                    why => why,
                },
                is_sign_in: false,
            },
            (_, error) => error,
        }
    }
}
