//! The header `Content-Digest` (RFC 9530): digests of the body.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use crate::value::fault::SignatureFault;
use crate::wire::structured::{Malformed, bytes_by_name};

/// Checks the digests of a body. Each of SHA-256 and SHA-512 that is there must match, and one must be there. Others do not count.
///
/// # Errors
/// If the header has another form, neither digest, or a wrong one.
pub(crate) fn check(field: &str, body: &[u8]) -> Result<(), SignatureFault> {
    let digests = bytes_by_name(field).map_err(|Malformed| SignatureFault::DigestMalformed)?;
    let mut is_checked = false;
    for (algorithm, digest) in digests {
        let is_right = match algorithm {
            "sha-256" => Sha256::digest(body).as_slice() == digest,
            "sha-512" => Sha512::digest(body).as_slice() == digest,
            _ => continue,
        };
        if !is_right {
            return Err(SignatureFault::DigestWrong);
        }
        is_checked = true;
    }
    if is_checked {
        Ok(())
    } else {
        Err(SignatureFault::DigestMissing)
    }
}

/// The header's value for a body.
pub(crate) fn of(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::{check, of};
    use crate::value::fault::SignatureFault;

    /// RFC 9530 §B.1: the body, its line end included, and its digests (Appendix D has the SHA-512).
    const BODY: &[u8] = b"{\"hello\": \"world\"}";
    const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    const SHA_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    #[test]
    fn the_rfcs_digests_match_and_each_that_is_there_must() {
        assert_eq!(of(BODY), SHA_256);
        let both = alloc::format!("{SHA_512}, md5=:AAAA:, {SHA_256}");
        for right in [SHA_256, SHA_512, &both] {
            assert_eq!(check(right, BODY), Ok(()), "{right}");
            assert_eq!(
                check(right, b"{}"),
                Err(SignatureFault::DigestWrong),
                "{right}"
            );
        }
        let wrong_one = alloc::format!("{SHA_256}, sha-512=:AAAA:");
        for (bad, fault) in [
            (wrong_one.as_str(), SignatureFault::DigestWrong),
            ("sha-256=::", SignatureFault::DigestWrong),
            ("", SignatureFault::DigestMissing),
            ("md5=:AAAA:", SignatureFault::DigestMissing),
            ("sha-256=AAAA", SignatureFault::DigestMalformed),
            ("SHA-256=:AAAA:", SignatureFault::DigestMalformed),
        ] {
            assert_eq!(check(bad, BODY), Err(fault), "{bad}");
        }
    }
}
