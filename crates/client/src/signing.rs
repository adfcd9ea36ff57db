//! How requests are signed: their bodies with the secret that all callers share, or the whole requests with a bound key's own.

use std::time::{SystemTime, UNIX_EPOCH};

use tenants_core::crypto::message::SigningSecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;
use tenants_core::wire::signed::{self, Unsigned};

use crate::client::Found;
use crate::error::Error;

/// What requests are signed with.
#[derive(Debug)]
pub enum Signing {
    /// The secret that all callers share, which signs bodies.
    Body(Found),
    /// The signing secret of a bound key, which signs whole requests.
    Request(Found),
}

impl Signing {
    /// The environment variable of the signing secret of a bound key.
    pub const VARIABLE: &str = "TENANTS_SIGNING_SECRET";

    /// Where the secret came from, for people whose request was refused.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::Body(found) => format!("the request secret from {}", found.from),
            Self::Request(found) => format!(
                "its signing secret from {}. Such a signature holds for some minutes: is this machine's clock right?",
                found.from
            ),
        }
    }
}

/// A request, as it is signed.
pub(crate) struct Sent<'a> {
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) body: &'a [u8],
    /// The request's id.
    pub(crate) id: &'a str,
    /// The headers that decide what the request does.
    pub(crate) covered: Vec<(&'static str, String)>,
}

/// Signs requests.
pub(crate) enum Signer {
    Body(RequestSecret),
    Request(SigningSecret),
}

impl Signer {
    pub(crate) fn new(signing: &Signing) -> Self {
        match signing {
            Signing::Body(found) => Self::Body(RequestSecret::new(&found.secret)),
            Signing::Request(found) => Self::Request(SigningSecret::new(&found.secret)),
        }
    }

    /// The headers that sign a request with a key at an address.
    pub(crate) fn sign(
        &self,
        sent: &Sent<'_>,
        key: &Secret,
        origin: &str,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        let secret = match self {
            Self::Body(secret) => return Ok(vec![("x-signature", secret.sign(sent.body))]),
            Self::Request(secret) => secret,
        };
        let covered = sent.covered.iter();
        let covered: Vec<_> = covered
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let unsigned = Unsigned {
            method: sent.method,
            origin,
            target: sent.target,
            key: key.text(),
            headers: &covered,
            body: sent.body,
            nonce: None,
        };
        let signed = signed::sign(secret, &unsigned, unix_seconds()?);
        let mut headers = vec![
            ("signature-input", signed.signature_input),
            ("signature", signed.signature),
        ];
        headers.extend(
            signed
                .content_digest
                .map(|digest| ("content-digest", digest)),
        );
        Ok(headers)
    }
}

fn unix_seconds() -> Result<i64, Error> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .ok_or_else(|| Error::Machine("this machine's clock is before 1970".into()))
}

#[cfg(test)]
mod tests {
    use tenants_core::crypto::secret::Secret;

    use super::{Sent, Signer, Signing};
    use crate::client::Found;

    fn found() -> Found {
        Found {
            secret: Secret::new("secret".into()),
            from: "a test".into(),
        }
    }

    fn signed(signing: &Signing, body: &str) -> Vec<(&'static str, String)> {
        let sent = Sent {
            method: "PUT",
            target: "/b?c=d",
            body: body.as_bytes(),
            id: "id",
            covered: vec![("idempotency-key", "k".into())],
        };
        let key = Secret::new("chv_1_x".into());
        Signer::new(signing)
            .sign(&sent, &key, "https://tenants.example")
            .unwrap()
    }

    #[test]
    fn the_request_secret_signs_only_the_body() {
        // From `openssl dgst -sha256 -hmac secret`, with nothing and with {} as its input.
        for (body, signature) in [
            (
                "",
                "f9e66e179b6747ae54108f82f8ade8b3c25d76fd30afde6c395822c530196169",
            ),
            (
                "{}",
                "77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13",
            ),
        ] {
            let headers = signed(&Signing::Body(found()), body);
            assert_eq!(headers, [("x-signature", signature.into())]);
        }
    }

    #[test]
    fn a_bound_key_signs_the_whole_request_and_no_body_alone() {
        let headers = signed(&Signing::Request(found()), "{}");
        let [(input_name, input), (signature, _), digest] = headers.as_slice() else {
            panic!("{headers:?}")
        };
        assert_eq!((*input_name, *signature), ("signature-input", "signature"));
        let cover = r#"sig=("@method" "@target-uri" "x-api-key" "content-digest" "idempotency-key");created="#;
        assert!(input.starts_with(cover), "{input}");
        // From `printf '{}' | openssl dgst -sha256 -binary | base64`.
        let value = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
        assert_eq!(*digest, ("content-digest", value.into()));
        assert_eq!(signed(&Signing::Request(found()), "").len(), 2);
    }
}
