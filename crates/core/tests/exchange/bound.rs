//! Bound keys (contract §13): they sign each request as a whole, by RFC 9421, and take no other signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};
use tenants_core::crypto::message::{Base, SigningSecret};
use tenants_core::wire::signed::{self, Unsigned};

use crate::ask::{Ask, delete, get, head, new_tenant, patch, post};
use crate::auth::{every_route, filled};
use crate::host::{Host, NOW, SECRETS};

const ORIGIN: &str = "https://tenants.example.com";

/// A client with a bound key. What a test does not change is right.
struct Client {
    key: String,
    secret: SigningSecret,
    url: String,
    created: i64,
    /// Parameters after `created`.
    params: String,
    /// The components to cover in place of the right ones.
    components: Option<Vec<String>>,
}

impl Client {
    fn of(host: &mut Host) -> Self {
        let (key, secret) = host.issue_bound();
        Self {
            key,
            secret,
            url: ORIGIN.into(),
            created: host.now,
            params: String::new(),
            components: None,
        }
    }

    /// The components that a request must cover.
    fn right(ask: &Ask) -> Vec<String> {
        let optional = [
            ("content-digest", !ask.body.is_empty()),
            ("idempotency-key", ask.idempotency_key.is_some()),
            ("if-match", ask.if_match.is_some()),
            ("if-none-match", ask.if_none_match.is_some()),
            ("prefer", ask.prefer.is_some()),
        ];
        let sent = optional.into_iter().filter(|(_, is_sent)| *is_sent);
        ["@method", "@target-uri", "x-api-key"]
            .into_iter()
            .chain(sent.map(|(name, _)| name))
            .map(Into::into)
            .collect()
    }

    /// Signs a request, without the code that production signs with.
    fn sign(&self, ask: Ask) -> Ask {
        let mut ask = ask.key(self.key.as_str()).no_signature();
        if !ask.body.is_empty() && ask.content_digest.is_none() {
            let digest = STANDARD.encode(Sha256::digest(&ask.body));
            ask.content_digest = Some(format!("sha-256=:{digest}:"));
        }
        let names = self.components.clone().unwrap_or_else(|| Self::right(&ask));
        let value = |name: &String| -> String {
            let field = match name.as_str() {
                "@method" => return ask.method.clone(),
                "@target-uri" => return format!("{}{}", self.url, ask.target),
                "x-api-key" => return self.key.clone(),
                "content-type" => return "application/json".into(),
                "content-digest" => &ask.content_digest,
                "idempotency-key" => &ask.idempotency_key,
                "if-match" => &ask.if_match,
                "if-none-match" => &ask.if_none_match,
                "prefer" => &ask.prefer,
                "x-request-id" => &ask.request_id,
                _ => return "made up".into(),
            };
            field.clone().unwrap_or_default()
        };
        let values: Vec<String> = names.iter().map(value).collect();
        let list = names.iter().map(|name| format!("\"{name}\""));
        let list = list.collect::<Vec<_>>().join(" ");
        let params = format!("({list});created={}{}", self.created, self.params);
        let lines = names.iter().map(String::as_str);
        let base = Base::new(lines.zip(values.iter().map(String::as_str)), &params);
        let signature = STANDARD.encode(self.secret.sign(&base));
        ask.signature_input = Some(format!("sig1={params}"));
        ask.message_signature = Some(format!("sig1=:{signature}:"));
        ask
    }
}

#[test]
fn a_bound_key_signs_every_route_and_takes_no_other_signature() {
    for ask in every_route() {
        let mut host = filled();
        let client = Client::of(&mut host);
        let other = host.ask(&ask.clone().key(client.key.as_str()));
        assert_eq!(other.status, 401, "{ask:?}: an ordinary signature");
        assert!(other.cause().contains("must sign in the other way"));
        let got = host.ask(&client.sign(ask.clone()));
        assert!(matches!(got.status, 200..=299 | 404), "{ask:?}: {got:?}");
        assert_eq!(got.log.key_id, Some(2));
        // The ordinary key's response is the same.
        let mut twin = filled();
        let (id, _) = twin.issue("twin", None);
        assert_eq!(id, 2);
        let same = twin.ask(&ask);
        if !ask.target.ends_with("/verify") {
            assert_eq!((got.status, got.body), (same.status, same.body), "{ask:?}");
        }
    }
}

#[test]
fn a_key_that_is_not_bound_cannot_sign_so() {
    let mut host = filled();
    let client = Client::of(&mut host);
    let secrets = host.api.config().unwrap().key_secret().unwrap();
    // Whoever knows the request secret's other half, the key secret, can make its signing secret. The database refuses it all the same.
    let secret = secrets.signing_secret(&secrets.verify(&host.key).unwrap());
    let ordinary = Client {
        key: host.key.clone(),
        secret: SigningSecret::new(&secret),
        ..client
    };
    for ask in every_route() {
        let got = host.ask(&ordinary.sign(ask));
        assert_eq!(got.status, 401, "{got:?}");
    }
}

#[test]
fn in_the_legacy_dialect_a_bound_key_signs_in_the_same_way() {
    let mut host = Host::legacy(&[]);
    host.expect(201, &new_tenant("a"));
    let client = Client::of(&mut host);
    let ask = get("/tenants/a").legacy();
    host.expect(200, &ask);
    host.expect(401, &ask.clone().key(client.key.as_str()));
    host.expect(200, &client.sign(ask.clone()));
    let ordinary = host.key.clone();
    host.refuse(401, &client.sign(ask).key(ordinary));
}

#[test]
fn the_cores_own_client_signs_so() {
    let mut host = filled();
    let client = Client::of(&mut host);
    let mut edit = patch(
        "/tenants/a?validate_only=%66alse",
        r#"{"is_enabled":false}"#,
    )
    .idempotency_key("k");
    let headers = signed::sign(
        &client.secret,
        &Unsigned {
            method: "PATCH",
            origin: "HTTPS://Tenants.Example.com:443",
            target: &edit.target,
            key: &client.key,
            headers: &[("idempotency-key", "k")],
            body: &edit.body,
            nonce: None,
        },
        NOW,
    );
    edit.signature_input = Some(headers.signature_input);
    edit.message_signature = Some(headers.signature);
    edit.content_digest = headers.content_digest;
    host.expect(204, &edit.key(client.key.as_str()).no_signature());
}

#[test]
fn a_captured_request_opens_nothing_else() {
    let mut host = filled();
    let client = Client::of(&mut host);
    let captured = client.sign(patch(
        "/tenants/a?validate_only=false",
        r#"{"is_enabled":false}"#,
    ));
    let with = |change: fn(&mut Ask)| {
        let mut ask = captured.clone();
        change(&mut ask);
        ask
    };
    let digest = |body: &[u8]| {
        Some(format!(
            "sha-256=:{}:",
            STANDARD.encode(Sha256::digest(body))
        ))
    };
    let mut other_body = with(|ask| ask.body = b"{\"is_enabled\":true}".into());
    host.refuse(401, &other_body);
    other_body.content_digest = digest(b"{\"is_enabled\":true}");
    for changed in [
        other_body,
        with(|ask| ask.method = "DELETE".into()),
        with(|ask| ask.target = "/_/api/4/tenants/b?validate_only=false".into()),
        with(|ask| ask.target = "/_/api/4/tenants/A?validate_only=false".into()),
        with(|ask| ask.target = "/_/api/4/tenants/a".into()),
        with(|ask| ask.target = "/_/api/4/tenants/a?validate_only=true".into()),
        with(|ask| ask.target = "/_/api/4/tenants-plans/P?validate_only=false".into()),
        with(|ask| ask.origin = Some("https://other.example.com".into())),
        with(|ask| ask.origin = Some("http://tenants.example.com".into())),
        with(|ask| ask.origin = Some("https://tenants.example.com:8443".into())),
        with(|ask| ask.body = Vec::new()),
        with(|ask| ask.content_digest = None),
        with(|ask| ask.idempotency_key = Some("k".into())),
        with(|ask| ask.if_match = Some("*".into())),
        with(|ask| ask.if_none_match = Some("*".into())),
        with(|ask| ask.prefer = Some("return=minimal".into())),
        with(|ask| ask.message_signature = None),
        with(|ask| ask.signature_input = None),
        with(|ask| {
            ask.message_signature = ask
                .message_signature
                .take()
                .map(|s| s.replace("sig1", "sig2"))
        }),
        with(|ask| {
            ask.signature_input = ask
                .signature_input
                .take()
                .map(|s| s.replace("created=1", "created=2"))
        }),
        with(|ask| ask.signature_input = ask.signature_input.take().map(|s| s + ";nonce=\"n\"")),
    ] {
        let got = host.refuse(401, &changed);
        assert!(
            got.cause().contains("ignature") || got.cause().contains("Content-Digest"),
            "{changed:?}: {}",
            got.cause()
        );
    }
    // Another key's request is another request.
    let other = Client::of(&mut host);
    host.refuse(401, &captured.clone().key(other.key.as_str()));
    // Within its time, the copy of a request is good. After it, nothing is.
    host.expect(204, &captured);
    host.now += 300;
    host.expect(204, &captured);
    host.now += 1;
    let got = host.refuse(401, &captured);
    assert!(got.cause().contains("compare the clocks"), "{got:?}");
}

#[test]
fn a_body_cannot_be_added_to_a_request_that_was_signed_without_one() {
    let mut host = filled();
    let client = Client::of(&mut host);
    let mut captured = client.sign(delete("/tenants/a"));
    captured.body = br#"{"drop_tables":true}"#.into();
    let got = host.refuse(401, &captured);
    assert_eq!(got.cause(), "the signature does not cover content-digest");
    captured.content_digest = Some(format!(
        "sha-256=:{}:",
        STANDARD.encode(Sha256::digest(&captured.body))
    ));
    host.refuse(401, &captured);
}

#[test]
fn everything_that_decides_a_request_must_be_covered() {
    let mut host = filled();
    let mut client = Client::of(&mut host);
    let mut ask = patch("/tenants/a", r#"{"is_enabled":false}"#)
        .idempotency_key("k")
        .prefer("return=minimal")
        .if_none_match("\"x\"");
    ask.if_match = Some("*".into());
    ask.content_digest = Some(format!(
        "sha-256=:{}:",
        STANDARD.encode(Sha256::digest(&ask.body))
    ));
    let right = Client::right(&ask);
    assert_eq!(right.len(), 8);
    for left_out in &right {
        let fewer: Vec<String> = right
            .iter()
            .filter(|name| *name != left_out)
            .cloned()
            .collect();
        client.components = Some(fewer);
        let got = host.refuse(401, &client.sign(ask.clone()));
        let cause = format!("the signature does not cover {left_out}");
        assert_eq!(got.cause(), cause);
    }
    // Neither their order nor further components matter.
    let mut more: Vec<String> = right.into_iter().rev().collect();
    more.extend(["content-type", "x-request-id"].map(Into::into));
    client.components = Some(more.clone());
    let got = host.ask(&client.sign(ask.clone()));
    assert_ne!(got.status, 401, "{got:?}");
    // The service does not know the value of these, or there is none.
    for unknown in [
        "date",
        "@status",
        "@query-param",
        "x-signature",
        "signature",
        "content-encoding",
        "",
    ] {
        let mut names = more.clone();
        names.push(unknown.into());
        client.components = Some(names);
        let got = host.refuse(401, &client.sign(ask.clone()));
        assert!(got.cause().contains("a component"), "{unknown}: {got:?}");
    }
}

#[test]
fn every_part_of_the_url_may_be_covered() {
    let mut host = Host::with(&[("TENANTS_PUBLIC_URL", "HTTPS://Example.COM:443/registry/")]);
    let (key, secret) = host.issue_bound();
    let target = "/_/api/4/tenants?limit=1&q=%41";
    for (target, parts) in [
        (
            "/_/api/4/tenants?limit=1&q=%41",
            [
                (
                    "@target-uri",
                    "https://example.com/registry/_/api/4/tenants?limit=1&q=%41",
                ),
                ("@authority", "example.com"),
                ("@scheme", "https"),
                ("@path", "/registry/_/api/4/tenants"),
                ("@query", "?limit=1&q=%41"),
                ("@request-target", "/registry/_/api/4/tenants?limit=1&q=%41"),
            ],
        ),
        (
            "/_/api/4/tenants",
            [
                (
                    "@target-uri",
                    "https://example.com/registry/_/api/4/tenants",
                ),
                ("@authority", "example.com"),
                ("@scheme", "https"),
                ("@path", "/registry/_/api/4/tenants"),
                ("@query", "?"),
                ("@request-target", "/registry/_/api/4/tenants"),
            ],
        ),
    ] {
        let components = [("@method", "GET"), ("x-api-key", key.as_str())];
        let all: Vec<_> = components.into_iter().chain(parts).collect();
        let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let params = format!("({});created={NOW}", names.join(" "));
        let signature = secret.sign(&Base::new(all, &params));
        let mut ask = Ask::new("GET", target).key(key.as_str()).no_signature();
        ask.origin = Some("http://10.0.0.1".into());
        ask.signature_input = Some(format!("a={params}"));
        ask.message_signature = Some(format!("a=:{}:", STANDARD.encode(signature)));
        host.expect(200, &ask);
    }
    // A host that knows no address needs the variable.
    host.configure(&[("TENANTS_PUBLIC_URL", "")]);
    let mut client = Client::of(&mut host);
    client.url = "http://10.0.0.1".into();
    let mut ask = Ask::new("GET", target);
    ask.origin = Some("http://10.0.0.1:80".into());
    host.expect(200, &client.sign(ask.clone()));
    ask.origin = None;
    let got = host.refuse(503, &client.sign(ask));
    assert_eq!(got.cause(), "TENANTS_PUBLIC_URL is not configured");
}

#[test]
fn a_signature_has_its_time() {
    let mut host = filled();
    let mut client = Client::of(&mut host);
    let ask = get("/tenants/a");
    for (off, status) in [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)] {
        client.created = NOW + off;
        let got = host.ask(&client.sign(ask.clone()));
        assert_eq!(got.status, status, "{off}: {got:?}");
    }
    host.configure(&[("TENANTS_SIGNATURE_AGE_SECONDS", "10")]);
    for (off, status) in [(-11, 401), (-10, 200), (10, 200), (11, 401)] {
        client.created = NOW + off;
        let got = host.ask(&client.sign(ask.clone()));
        assert_eq!(got.status, status, "{off}: {got:?}");
    }
    client.created = NOW;
    for (params, status) in [
        (format!(";expires={}", NOW + 1), 200),
        (format!(";expires={NOW}"), 401),
        (format!(";expires={}", NOW - 1), 401),
        (
            r#";alg="hmac-sha256";keyid="anything";nonce="n";tag="t""#.into(),
            200,
        ),
        (r#";alg="hmac-sha512""#.into(), 401),
        (r#";alg="ed25519""#.into(), 401),
        (";created=1".into(), 401),
    ] {
        client.params = params;
        let got = host.ask(&client.sign(ask.clone()));
        assert_eq!(got.status, status, "{}: {got:?}", client.params);
    }
}

#[test]
fn each_digest_that_is_there_must_match() {
    let mut host = filled();
    let client = Client::of(&mut host);
    let ask = patch("/tenants/a", r#"{"is_enabled":false}"#);
    let right = [
        format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&ask.body))),
        format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(&ask.body))),
    ];
    let with = |digest: String| {
        let mut ask = ask.clone();
        ask.content_digest = Some(digest);
        client.sign(ask)
    };
    for digest in [right[0].clone(), right[1].clone(), right.join(", ")] {
        host.expect(204, &with(digest));
    }
    for digest in [
        format!("{}, sha-512=:AAAA:", right[0]),
        "md5=:AAAA:".into(),
        "nothing".into(),
        String::new(),
    ] {
        let got = host.refuse(401, &with(digest));
        assert!(got.cause().starts_with("Content-Digest"), "{got:?}");
    }
}

#[test]
fn a_bound_key_signs_on_traefiks_route_too() {
    let mut host = Host::with(&[("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "192.0.2.7")]);
    let client = Client::of(&mut host);
    let ask = get("/config/traefik").from("192.0.2.7").no_signature();
    host.expect(200, &ask);
    host.expect(401, &ask.clone().key(client.key.as_str()));
    host.expect(200, &client.sign(ask.clone()));
    let mut other = client.sign(ask.clone());
    other.target.push_str("?cell=a");
    host.refuse(401, &other);
    // The signature of an ordinary key does not stand there for one.
    let ordinary = host.key.clone();
    host.refuse(401, &client.sign(ask.clone()).key(ordinary));
    host.refuse(404, &client.sign(ask.from("192.0.2.8")));
}

#[test]
fn a_401_shows_the_services_clock() {
    let mut host = Host::legacy(&[]);
    let client = Client::of(&mut host);
    let mut late = client.sign(get("/tenants"));
    host.now += 301;
    late.signature_input = late.signature_input.map(|input| input + ";keyid=\"k\"");
    for ask in [
        late,
        get("/tenants").no_key(),
        get("/tenants").key(client.key.as_str()),
        get("/tenants/a").legacy().no_signature(),
        head("/tenants").no_signature(),
    ] {
        let got = host.ask(&ask);
        assert_eq!(got.status, 401);
        assert_eq!(got.header("date"), Some("Tue, 18 Aug 2026 23:21:58 GMT"));
    }
    assert_eq!(host.expect(200, &get("/tenants")).header("date"), None);
}

#[test]
fn beside_an_ordinary_signature_others_do_not_count() {
    let mut host = filled();
    let mut ask = get("/tenants/a");
    ask.signature_input = Some("somebody=(else)".into());
    ask.message_signature = Some("somebody=:AAAA:".into());
    ask.content_digest = Some("nothing".into());
    host.expect(200, &ask);
}

#[test]
fn a_bound_key_needs_no_request_secret_and_outlives_a_rotation_of_the_key_secret() {
    let mut host = filled();
    let client = Client::of(&mut host);
    host.configure(&[
        ("CHEVERETO_TENANTS_API_REQUEST_SECRET", ""),
        (
            "CHEVERETO_TENANTS_API_KEY_SECRET",
            "the next secret of keys",
        ),
        ("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", SECRETS[0].1),
    ]);
    host.expect(200, &client.sign(get("/tenants/a")));
    host.refuse(503, &get("/tenants/a"));
    host.configure(&[("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", "")]);
    host.refuse(401, &client.sign(get("/tenants/a")));
}

#[test]
fn a_long_body_is_refused_before_its_signature() {
    let mut host = filled();
    let client = Client::of(&mut host);
    host.refuse(413, &client.sign(post("/tenants", "{}")).too_large());
}
