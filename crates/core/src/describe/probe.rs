//! Sends a request to each route, and notes the fields and the parameters that its operation reads.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::api::Api;
use crate::crypto::api_key::KeySecret;
use crate::crypto::message::SigningSecret;
use crate::crypto::secret::Secret;
use crate::crypto::session::SessionToken;
use crate::machine::Step;
use crate::testing::Counter;
use crate::wire::body::probe::{self, Seen};
use crate::wire::cookie::Cookie;
use crate::wire::dialect::Dialect;
use crate::wire::http::{Body, Headers, Request};
use crate::wire::parameter::Parameter;
use crate::wire::route::{BodyRule, Route, Scheme};
use crate::wire::signed::{self, Unsigned};

const ORIGIN: &str = "https://tenants.example.com";
const NOW: i64 = 1_790_000_000;
const KEY_SECRET: &str = "the secret of the probe's keys";

/// The bodies and queries of one route and dialect.
pub(super) struct Probed {
    pub(super) body: Seen,
    pub(super) parameters: Vec<Parameter>,
}

/// Probes a route.
pub(super) fn route(route: &Route, dialect: Dialect) -> Probed {
    let body: &[u8] = match route.body {
        BodyRule::Required => b"{}",
        BodyRule::Optional if dialect == Dialect::Current => b"{}",
        BodyRule::Optional | BodyRule::Refused | BodyRule::Ignored => b"",
    };
    drop(probe::take());
    drop(send(route, dialect, "", body));
    let body = probe::take();
    // Every reader refuses a `%` without digits.
    let query: Vec<String> = Parameter::ALL
        .iter()
        .map(|p| format!("{}=%", p.name()))
        .collect();
    let refused = send(route, dialect, &query.join("&"), b"");
    let refused: Vec<(&str, &str)> = refused
        .get("errors")
        .and_then(|errors| errors.as_array())
        .into_iter()
        .flatten()
        .filter_map(|e| Some((e["parameter"].as_str()?, e["detail"].as_str()?)))
        .collect();
    let read = |p: &&Parameter| {
        let is_read =
            |(name, detail): &(&str, &str)| *name == p.name() && *detail != "unknown parameter";
        refused.iter().any(is_read)
    };
    Probed {
        body,
        parameters: Parameter::ALL.iter().filter(read).copied().collect(),
    }
}

/// Sends a request, and returns the body of its response if the core answers without a database, otherwise `null`.
fn send(route: &Route, dialect: Dialect, query: &str, body: &[u8]) -> serde_json::Value {
    use ed25519_dalek::Signer as _;

    let signing = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let secret = "the secret of the probe's requests";
    let api = Api::new(|name| match name {
        "CHEVERETO_TENANTS_API_KEY_SECRET" => Some(KEY_SECRET.into()),
        "CHEVERETO_TENANTS_API_REQUEST_SECRET" => Some(secret.into()),
        "CHEVERETO_TENANTS_PUBLIC_KEY" => Some(hex::encode(signing.verifying_key().as_bytes())),
        "TENANTS_CONSOLE" => Some("true".into()),
        "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST" => Some("192.0.2.1".into()),
        _ => None,
    });
    let key_secret = KeySecret::new(&Secret::new(KEY_SECRET.into()));
    let key = key_secret.issue(1, &mut Counter::default()).unwrap();
    let signature = match dialect {
        Dialect::Current => {
            crate::crypto::signature::RequestSecret::new(&Secret::new(secret.into())).sign(body)
        }
        Dialect::Legacy => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(signing.sign(body).to_bytes())
        }
    };
    let token = SessionToken::issue(&key_secret, 1, &mut Counter::default()).unwrap();
    let cookie = Cookie::Host.set(token.text());
    let csrf_token = token.csrf_token();
    let target = format!(
        "{}?{query}",
        route
            .full_template(dialect)
            .replace("{id}", "a")
            .replace("{kind}", "abuse")
            .replace("{hostname}", "a.example")
            .replace("{event}", "a")
    );
    let message = signed::sign(
        &SigningSecret::new(&key_secret.signing_secret_of_issued(&key)),
        &Unsigned {
            method: route.method.name(),
            origin: ORIGIN,
            target: &target,
            key: key.text(),
            headers: &[],
            body,
            nonce: Some("n"),
        },
        NOW,
    );
    let by_key = Headers {
        api_key: Some(key.text()),
        content_type: Some("application/json"),
        ..Headers::default()
    };
    let request = Request {
        method: route.method.name(),
        target: &target,
        origin: Some(ORIGIN),
        client_address: Some("192.0.2.1"),
        headers: match route.scheme(dialect) {
            Some(Scheme::Request) => Headers {
                signature_input: Some(&message.signature_input),
                message_signature: Some(&message.signature),
                content_digest: message.content_digest.as_deref(),
                ..by_key
            },
            Some(Scheme::Session) => Headers {
                cookie: Some(&cookie),
                sec_fetch_site: Some("same-origin"),
                csrf_token: Some(&csrf_token),
                ..Headers::default()
            },
            _ => Headers {
                signature: Some(&signature),
                ..by_key
            },
        },
        body: Body::Bytes(body),
    };
    match api.begin(&request, NOW, &mut Counter::default()) {
        Step::Done(answer) => {
            let status = answer.response.status;
            assert!(
                matches!(status, 200 | 400 | 422),
                "the probe of {target}: {status} {}",
                answer.response.body
            );
            serde_json::from_str(&answer.response.body).unwrap()
        }
        Step::Run(_) => serde_json::Value::Null,
    }
}
