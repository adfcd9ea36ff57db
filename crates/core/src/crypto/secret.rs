//! Secrets in memory. They do not print, and are zeroed when dropped. Only `hmac` compares values that depend on them, in constant time.

use alloc::string::String;
use core::fmt;

use zeroize::Zeroizing;

/// A secret text, such as a variable's value. It prints as `Secret(…)`, and is zeroed when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret's bytes: its text in UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_shows_no_secret() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(alloc::format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.text(), "hunter2");
    }
}
