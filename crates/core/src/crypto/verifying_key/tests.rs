use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::{MAX_KEYS, OPENSSH, SPKI, VerifyingKeys};
use crate::crypto::signature::SignatureError;

/// The public key of RFC 8032 §7.1, test 1, whose message is empty.
const HEX: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
/// The public key of RFC 8032 §7.1, test 2.
const OTHER: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn with(prefix: &[u8], hex: &str) -> String {
    base64(&[prefix, &bytes(hex)].concat())
}

fn verify(keys: &str, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    VerifyingKeys::parse(keys)
        .unwrap()
        .verify(&base64(signature), message)
}

/// A key in every form that [`VerifyingKeys::parse`] takes.
fn forms(hex: &str) -> [String; 7] {
    let openssh = with(OPENSSH, hex);
    let spki = with(SPKI, hex);
    [
        hex.into(),
        hex.to_uppercase(),
        base64(&bytes(hex)),
        format!("ssh-ed25519 {openssh}"),
        format!("  ssh-ed25519\t{openssh} a comment of several words\n"),
        format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n"),
        format!(
            "-----BEGIN PUBLIC KEY-----\r\n{}\r\n {}\r\n-----END PUBLIC KEY-----\r\n",
            &spki[..40],
            &spki[40..]
        ),
    ]
}

#[test]
fn every_form_of_a_key_verifies_the_rfcs_signature() {
    for form in forms(HEX) {
        assert_eq!(verify(&form, b"", &bytes(SIGNATURE)), Ok(()), "{form}");
        assert_eq!(
            verify(&form, b"x", &bytes(SIGNATURE)),
            Err(SignatureError::Wrong)
        );
    }
}

#[test]
fn several_keys_of_any_form_are_parsed() {
    for one in forms(OTHER) {
        for other in forms(HEX) {
            for keys in [
                format!("{one}\n{other}"),
                format!("\n{other}\r\n \n{one}\n\n"),
            ] {
                assert_eq!(verify(&keys, b"", &bytes(SIGNATURE)), Ok(()), "{keys}");
            }
        }
        assert_eq!(
            verify(&one, b"", &bytes(SIGNATURE)),
            Err(SignatureError::Wrong)
        );
    }
    assert!(VerifyingKeys::parse(&format!("{HEX}\n").repeat(MAX_KEYS)).is_ok());
    assert_eq!(
        VerifyingKeys::parse(&format!("{HEX}\n").repeat(MAX_KEYS + 1)).unwrap_err(),
        "expected at most 8 keys; got 9"
    );
}

#[test]
fn the_error_of_an_invalid_key_names_its_line_and_does_not_quote_it() {
    let rsa = with(b"\0\0\0\x07ssh-rsa\0\0\0\x20", HEX);
    let x25519 = with(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00", HEX);
    let spki = with(SPKI, HEX);
    let openssh = with(OPENSSH, HEX);
    for (text, told) in [
        ("", "expected at least one Ed25519 public key"),
        (" \r\n\n", "expected at least one Ed25519 public key"),
        (
            &HEX[2..],
            "line 1: expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex; got 31 bytes",
        ),
        (
            &format!("\n{HEX}00"),
            "line 2: expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex; got 33 bytes",
        ),
        (
            "hunter2!",
            "line 1: expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex",
        ),
        (
            "hunter2 hunter2",
            "line 1: expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex",
        ),
        (
            &format!("{HEX}\nssh-rsa {rsa}"),
            "line 2: expected an `ssh-ed25519` key; got one of `ssh-rsa`",
        ),
        (
            &format!("ssh-ed25519 {rsa}"),
            "line 1: expected an Ed25519 key; got another kind",
        ),
        ("ssh-ed25519 !", "line 1: expected base64; it is not"),
        (
            &format!("ssh-ed25519 {}", &openssh[..64]),
            "line 1: expected an Ed25519 key; got another kind",
        ),
        (
            "ssh-ed25519",
            "line 1: expected an `ssh-ed25519` line, a PEM block, or 32 bytes in base64 or hex",
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
            "line 1: expected `-----BEGIN PUBLIC KEY-----`; got another kind of PEM",
        ),
        (
            &format!(r"-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----"),
            "line 1: expected a line end after `-----BEGIN PUBLIC KEY-----`",
        ),
        (
            &format!("-----BEGIN PUBLIC KEY-----\n{spki}"),
            "line 1: expected a line `-----END PUBLIC KEY-----` after it",
        ),
        (
            &format!("-----BEGIN PUBLIC KEY-----\n{x25519}\n-----END PUBLIC KEY-----"),
            "line 1: expected an Ed25519 key; got another kind",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
            "line 1: expected an Ed25519 key; got another kind",
        ),
        (
            &format!("{HEX}\n-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"),
            "line 2: expected base64; it is not",
        ),
    ] {
        assert_eq!(VerifyingKeys::parse(text).unwrap_err(), told, "{text}");
    }
}

#[test]
fn an_unsound_key_is_refused() {
    for (hex, told) in [
        // No point has y = 2.
        (
            "0200000000000000000000000000000000000000000000000000000000000000",
            "its bytes are no point of the curve",
        ),
        // The identity, of order 1; y = -1, of order 2; y = 0, of order 4; and one of order 8.
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "it is of small order, and anybody can sign for it",
        ),
        (
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "it is of small order, and anybody can sign for it",
        ),
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            "it is of small order, and anybody can sign for it",
        ),
        (
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "it is of small order, and anybody can sign for it",
        ),
        // y = p + 3: another encoding of the point with y = 3.
        (
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "its bytes are not how its point is written",
        ),
        // The key of speccheck's vectors 3 to 5.
        (
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "it is not of the group of prime order",
        ),
    ] {
        for form in forms(hex) {
            let error = VerifyingKeys::parse(&form).unwrap_err();
            assert!(error.ends_with(told), "{hex}: {error}");
        }
    }
}

#[test]
fn a_signature_is_base64_of_64_bytes() {
    let keys = VerifyingKeys::parse(HEX).unwrap();
    let good = base64(&bytes(SIGNATURE));
    assert_eq!(keys.verify(&good, b""), Ok(()));
    for bad in [
        "",
        "!",
        SIGNATURE,
        good.trim_end_matches('='),
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{good}\n"),
        &base64(&bytes(SIGNATURE)[..63]),
        &base64(&[bytes(SIGNATURE), Vec::from([0])].concat()),
        &base64(&[0; 66]),
        &base64(&[0; 1000]),
        // The same bytes, with an unused bit of the last character set.
        &good.replace("Cw==", "Cx=="),
    ] {
        assert_eq!(
            keys.verify(bad, b""),
            Err(SignatureError::Malformed),
            "{bad}"
        );
    }
}

#[test]
fn debug_output_shows_only_the_number_of_keys() {
    let keys = VerifyingKeys::parse(&format!("{HEX}\n{OTHER}")).unwrap();
    assert_eq!(format!("{keys:?}"), "VerifyingKeys(2)");
}

#[derive(serde::Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    vectors: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Vector<'a> {
    name: String,
    key: &'a str,
    message: &'a str,
    signature: &'a str,
    /// The part that is refused, `key` or `signature`. `None` if the signature is valid.
    refuse: Option<&'a str>,
}

/// Runs a file of vectors. Returns how many were accepted, refused for their key, and refused for their signature.
fn run(text: &str) -> (usize, usize, usize) {
    let File { vectors } = serde_json::from_str(text).unwrap();
    let mut counts = (0, 0, 0);
    for raw in vectors {
        let vector: Vector<'_> = serde_json::from_str(raw.get()).unwrap();
        let got = match VerifyingKeys::parse(vector.key) {
            Err(_) => Some("key"),
            Ok(keys) => {
                let signature = base64(&bytes(vector.signature));
                let verified = keys.verify(&signature, &bytes(vector.message));
                verified.err().map(|_| "signature")
            }
        };
        assert_eq!(got, vector.refuse, "{}", vector.name);
        match got {
            None => counts.0 += 1,
            Some("key") => counts.1 += 1,
            Some(_) => counts.2 += 1,
        }
    }
    counts
}

#[test]
fn all_twelve_vectors_of_taming_the_many_eddsas_are_refused() {
    let text = include_str!("../../../../../tests/vectors/ed25519_speccheck.json");
    assert_eq!(run(text), (0, 10, 2));
}

#[test]
fn wycheproofs_vectors_have_the_results_that_it_expects() {
    let text = include_str!("../../../../../tests/vectors/ed25519_wycheproof.json");
    assert_eq!(run(text), (88, 0, 63));
}
