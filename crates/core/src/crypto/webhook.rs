//! Signatures of webhooks, as the Standard Webhooks specification has them (<https://www.standardwebhooks.com>): HMAC-SHA256 over the id, the time and the
//! body.

use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use zeroize::Zeroizing;

use super::api_key::keyed;
use crate::value::random::{Random, RandomUnavailable};

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// The length of a secret, in bytes. The specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// Makes a secret: `whsec_` and the base64 of random bytes.
pub(crate) fn new_secret(random: &mut dyn Random) -> Result<Zeroizing<String>, RandomUnavailable> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    random.fill(bytes.as_mut())?;
    let mut text = Zeroizing::new(String::from(PREFIX));
    STANDARD.encode_string(bytes.as_ref(), &mut text);
    Ok(text)
}

/// Signs a message under a secret: a part of the header `webhook-signature`. `None` if the secret does not have the form.
pub(crate) fn sign(secret: &str, id: &str, unix_seconds: i64, body: &str) -> Option<String> {
    let bytes = Zeroizing::new(STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?);
    let mut mac = keyed(&bytes);
    let time = alloc::format!("{unix_seconds}");
    for part in [id, ".", &time, ".", body] {
        mac.update(part.as_bytes());
    }
    let mut text = String::from("v1,");
    STANDARD.encode_string(mac.finalize().into_bytes(), &mut text);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{new_secret, sign};
    use crate::testing::Counter;

    /// The example of the specification's own libraries.
    #[test]
    fn the_known_answer_of_the_specification() {
        assert_eq!(
            sign(
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#
            )
            .as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a", 0, ""), None);
        assert_eq!(sign("whsec_%", "a", 0, ""), None);
    }

    #[test]
    fn a_secret_is_random_bytes_in_base64() {
        let secret = new_secret(&mut Counter::default()).unwrap();
        assert_eq!(
            secret.as_str(),
            "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
        );
    }
}
