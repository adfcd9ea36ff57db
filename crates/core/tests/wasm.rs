//! The core as WebAssembly, in Node and in a browser. Cryptography, encodings and integers depend on the machine, and must give the
//! same results as natively. These tests configure no runner, so that one build runs in both.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tenants_core::crypto::api_key::{KeyError, KeySecret};
use tenants_core::crypto::seal::{OpenError, Place, Sealer, SealingKey};
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::{RequestSecret, SignatureError};
use tenants_core::crypto::verifying_key::VerifyingKeys;
use tenants_core::sql::json::rows_from_json;
use tenants_core::sql::{Batch, Rows};
use tenants_core::value::clock::Timestamp;
use tenants_core::{
    Answer, Api, Body, Context, Effect, Exchange, Failure, Headers, Machine as _, Outcome, Random,
    RandomUnavailable, Request, Step,
};
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: i64 = 1_787_095_017;

/// Fills with bytes that count up.
struct Counter(u8);

impl Random for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn api() -> Api {
    Api::new(|name| {
        let value = match name {
            "CHEVERETO_TENANTS_API_KEY_SECRET" => "the secret of keys",
            "CHEVERETO_TENANTS_API_REQUEST_SECRET" => "the secret of requests",
            "CHEVERETO_ENCRYPTION_KEY" => "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            _ => return None,
        };
        Some(value.into())
    })
}

fn begin(api: &Api, method: &str, path: &str, body: &str) -> Step<Exchange> {
    let issued = KeySecret::new(&secret("the secret of keys"))
        .issue(1, &mut Counter(0))
        .unwrap();
    let signature = RequestSecret::new(&secret("the secret of requests")).sign(body.as_bytes());
    let request = Request {
        method,
        target: path,
        origin: None,
        client_address: None,
        headers: Headers {
            api_key: Some(issued.text()),
            signature: Some(&signature),
            content_type: Some("application/json"),
            request_id: Some("r-1"),
            ..Headers::default()
        },
        body: Body::Bytes(body.as_bytes()),
    };
    api.begin(&request, NOW, &mut Counter(100))
}

fn exchange(api: &Api, method: &str, path: &str, body: &str) -> Exchange {
    match begin(api, method, path, body) {
        Step::Run(exchange) => exchange,
        Step::Done(answer) => panic!("{answer:?}"),
    }
}

fn batch(exchange: &Exchange) -> &Batch {
    match exchange.effect() {
        Effect::Batch(batch) => batch,
        Effect::Wait(_) | Effect::Fetch(_) => panic!("the request waits"),
    }
}

fn resume(exchange: Exchange, rows: Result<Vec<Rows>, String>) -> Step<Exchange> {
    let mut context = Context {
        unix_seconds: NOW,
        random: &mut Counter(100),
    };
    exchange.resume(Outcome::Batch(rows.map_err(Failure::new)), &mut context)
}

/// The rows of the first batch of a request, which a test of the native core has written with SQLite.
fn rows(request: &str) -> Result<Vec<Rows>, String> {
    let made: serde_json::Value = serde_json::from_str(include_str!("wasm_rows.json")).unwrap();
    rows_from_json(&made[request].to_string())
}

fn answer(step: Step<Exchange>) -> Answer {
    match step {
        Step::Done(answer) => answer,
        Step::Run(exchange) => panic!("{exchange:?}"),
    }
}

/// RFC 4231 §4.3, test case 2.
#[wasm_bindgen_test]
fn the_signature_of_the_rfc_is_made_and_verified() {
    const RFC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";
    let secret = RequestSecret::new(&secret("Jefe"));
    assert_eq!(secret.sign(BODY), RFC);
    assert_eq!(secret.verify(RFC, BODY), Ok(()));
    assert_eq!(secret.verify(RFC, b""), Err(SignatureError::Wrong));
}

/// The counts are those of the native tests: verification is as strict here.
#[wasm_bindgen_test]
fn ed25519_vectors_have_the_same_results_as_natively() {
    let mut counts = [0; 3];
    for text in [
        include_str!("../../../tests/vectors/ed25519_speccheck.json"),
        include_str!("../../../tests/vectors/ed25519_wycheproof.json"),
    ] {
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
            let got = match VerifyingKeys::parse(vector["key"].as_str().unwrap()) {
                Err(_) => Some("key"),
                Ok(keys) => keys
                    .verify(&STANDARD.encode(bytes("signature")), &bytes("message"))
                    .err()
                    .map(|_| "signature"),
            };
            assert_eq!(got, vector["refuse"].as_str(), "{vector}");
            counts[got.map_or(0, |what| if what == "key" { 1 } else { 2 })] += 1;
        }
    }
    assert_eq!(counts, [88, 10, 65]);
}

#[wasm_bindgen_test]
fn a_key_is_issued_and_verified_beyond_32_bits() {
    let keys = KeySecret::new(&secret("the secret of keys"));
    let id = 999_999_999_999_999;
    let issued = keys.issue(id, &mut Counter(0)).unwrap();
    let claimed = keys.verify(issued.text()).unwrap();
    assert_eq!(claimed.id(), id.cast_signed());
    assert_eq!(claimed.digest(), issued.digest());
    let forged = issued.text().replacen("chv_9", "chv_8", 1);
    assert_eq!(keys.verify(&forged), Err(KeyError::Forged));
}

#[wasm_bindgen_test]
fn an_encrypted_text_is_decrypted_only_at_its_place() {
    let sealer = Sealer::new(SealingKey::new(&[1; 32]), None);
    let place = |row| Place {
        table: "tenants",
        row,
        column: "env",
    };
    let plain = "grüße 🐘".repeat(100);
    let sealed = sealer.seal(place("a"), &plain, &mut Counter(0)).unwrap();
    assert_eq!(sealer.open(place("a"), &sealed).unwrap().as_str(), plain);
    assert_eq!(sealer.open(place("b"), &sealed), Err(OpenError::Forged));
}

/// Fills a nonce with given bytes.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

/// The vectors are those of the native tests, since one database can serve hosts of every kind.
#[wasm_bindgen_test]
fn a_text_is_encrypted_to_the_same_bytes_as_natively() {
    let vectors = include_str!("../../../tests/vectors/sealed.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let key = STANDARD.decode(text("key")).unwrap();
        let sealer = Sealer::new(SealingKey::new(&key.try_into().unwrap()), None);
        let place = Place {
            table: if text("table") == "tenants" {
                "tenants"
            } else {
                "tenants_plans"
            },
            row: text("row"),
            column: "env",
        };
        let nonce = &mut Fixed(hex::decode(text("nonce")).unwrap());
        let sealed = sealer.seal(place, text("plain"), nonce).unwrap();
        assert_eq!(sealed, text("sealed"));
        assert_eq!(*sealer.open(place, &sealed).unwrap(), text("plain"));
    }
}

#[wasm_bindgen_test]
fn a_time_is_written_in_the_form_of_the_contract() {
    let text = |seconds| Timestamp::from_unix(seconds).map(|t| t.as_str().to_owned());
    assert_eq!(text(NOW).unwrap(), "2026-08-18 23:16:57");
    assert_eq!(text(253_402_300_799).unwrap(), "9999-12-31 23:59:59");
    assert!(text(253_402_300_800).is_err());
    assert!(text(i64::MIN).is_err());
}

#[wasm_bindgen_test]
fn a_tenant_is_created_with_one_batch() {
    let api = api();
    let body = r#"{"id":"Abc","hostname":"A.example.com","is_enabled":true,"env":{"A":"é"}}"#;
    let exchange = exchange(&api, "POST", "/_/api/4/tenants", body);
    let batch: serde_json::Value = serde_json::from_str(&batch(&exchange).to_json()).unwrap();
    assert_eq!(batch.as_array().unwrap().len(), 1);
    assert_eq!(batch[0][1][5], "Abc");
    assert_eq!(batch[0][1][6], "a.example.com");
    assert!(!batch.to_string().contains('é'), "the env is encrypted");
    let answer = answer(resume(exchange, rows("create")));
    assert_eq!(answer.response.status, 201);
    assert_eq!(
        answer.response.header("location"),
        Some("/_/api/4/tenants/Abc")
    );
    let made: serde_json::Value = serde_json::from_str(&answer.response.body).unwrap();
    assert_eq!(made["env"]["A"], "é");
    assert_eq!(answer.log.key_id, Some(1));
}

/// Argon2 has other code for each architecture. The hash is the one of the native tests, which PHP verifies.
#[wasm_bindgen_test]
fn a_password_is_hashed_to_the_same_text_as_natively() {
    let vectors = include_str!("../../../tests/vectors/passwords.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let api = Api::new(|name| {
            let value = match name {
                "CHEVERETO_TENANTS_API_KEY_SECRET" => "the secret of keys",
                "CHEVERETO_TENANTS_API_REQUEST_SECRET" => "the secret of requests",
                "TENANTS_PASSWORD_MEMORY_KIB" => text("memory_kib"),
                "TENANTS_PASSWORD_PASSES" => text("passes"),
                _ => return None,
            };
            Some(value.into())
        });
        let body = serde_json::json!({"username": "admin", "password": text("password")});
        let path = "/_/api/4/tenants/a/user-password-reset";
        let exchange = exchange(&api, "PATCH", path, &body.to_string());
        // The first batch says that the key is valid, that there is such a tenant, and that it is installed.
        let Step::Run(exchange) = resume(exchange, rows("reset")) else {
            panic!("there is no second batch")
        };
        let batch = batch(&exchange).to_json();
        assert!(batch.contains(text("hash")), "{batch}");
    }
}

#[wasm_bindgen_test]
fn a_tenant_is_read_with_integers_beyond_2_to_the_53() {
    let api = api();
    let exchange = exchange(&api, "GET", "/_/api/4/tenants/a", "");
    let answer = answer(resume(exchange, rows("read")));
    assert_eq!(answer.response.status, 200, "{answer:?}");
    assert!(answer.response.body.contains("9007199254740993"));
}

#[wasm_bindgen_test]
fn only_the_log_has_the_reason_of_a_failure() {
    let api = api();
    let failed = exchange(&api, "GET", "/_/api/4/tenants", "");
    let failed = answer(resume(failed, Err("disk I/O error".into())));
    assert_eq!(failed.response.status, 500);
    assert!(!failed.response.body.contains("disk"));
    assert!(failed.log.line(1).contains("disk I/O error"));
    let refused = answer(begin(&api, "POST", "/_/api/4/tenants", "{}"));
    assert_eq!(refused.response.status, 422);
    let missing = answer(begin(&api, "GET", "/_/api/4/nothing", ""));
    assert_eq!(missing.response.status, 404);
}
