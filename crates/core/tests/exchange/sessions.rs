//! Sessions of the console (contract §20): who may begin one, what its cookie stands for, and when it is over.

use serde_json::{Value as Json, json};
use tenants_core::crypto::message::SigningSecret;
use tenants_core::sql::Value;
use tenants_core::task::Run;
use tenants_core::task::restored::Restored;
use tenants_core::value::clock::Timestamp;
use tenants_core::wire::signed::{self, Unsigned};
use tenants_core::{Answer, Step, served};

use crate::ask::{Ask, Header, get, head, new_tenant, post};
use crate::filled::host_with_tables;
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::scopes::example;
use crate::session_statements::SESSION_ID;

const PATH: &str = "/_/console/session";
const SECONDS: i64 = 8 * 60 * 60;
const IDLE_SECONDS: i64 = 30 * 60;

/// A browser at the console, signed in or about to.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    pub(crate) key: String,
    pub(crate) key_id: i64,
    cookie: String,
    csrf_token: String,
    pub(crate) id: String,
}

/// A request that begins a session, with a nonce.
fn signed(host: &Host, key: &str, secret: &SigningSecret, body: &str, nonce: Option<&str>) -> Ask {
    let mut ask = Ask::new("POST", PATH).body(body).key(key).no_signature();
    ask.sec_fetch_site = Some("same-origin".into());
    let headers = signed::sign(
        secret,
        &Unsigned {
            method: &ask.method,
            origin: ask.origin.as_deref().unwrap(),
            target: &ask.target,
            key,
            headers: &[],
            body: &ask.body,
            nonce,
        },
        host.now,
    );
    ask.signature_input = Some(headers.signature_input);
    ask.message_signature = Some(headers.signature);
    ask.content_digest = headers.content_digest;
    ask
}

impl Console {
    /// The request that begins a session of a new bound key.
    pub(crate) fn asking(host: &mut Host, body: &str) -> (Ask, Self) {
        let (key, secret) = host.issue_bound();
        let key_id = host.db.last_insert_rowid();
        let ask = signed(host, &key, &secret, body, Some("n-1"));
        let console = Self {
            key,
            key_id,
            cookie: String::new(),
            csrf_token: String::new(),
            id: String::new(),
        };
        (ask, console)
    }

    /// The same, after the response to the request.
    pub(crate) fn signed_in(self, got: &Got) -> Self {
        assert_eq!(got.status, 201, "{got:?}");
        let set = got.header("set-cookie").unwrap();
        let (cookie, attributes) = set.split_once("; ").unwrap();
        assert_eq!(
            attributes,
            "Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Strict"
        );
        let json = got.json();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self {
            cookie: cookie.into(),
            csrf_token: text("csrf_token"),
            id: text("id"),
            ..self
        }
    }

    /// Signs in with a new bound key.
    pub(crate) fn new(host: &mut Host) -> Self {
        Self::with(host, "")
    }

    pub(crate) fn with(host: &mut Host, body: &str) -> Self {
        let (ask, console) = Self::asking(host, body);
        let got = host.expect(201, &ask);
        console.signed_in(&got)
    }

    /// The same request by a page of the console.
    pub(crate) fn ask(&self, ask: Ask) -> Ask {
        let writes = !matches!(ask.method.as_str(), "GET" | "HEAD");
        Ask {
            cookie: Some(format!("theme=dark; {}", self.cookie)),
            sec_fetch_site: Some("same-origin".into()),
            csrf_token: writes.then(|| self.csrf_token.clone()),
            ..ask.no_key().no_signature()
        }
    }

    pub(crate) fn own(method: &str) -> Ask {
        Ask::new(method, PATH)
    }

    pub(crate) fn all() -> Ask {
        Ask::new("GET", "/_/console/sessions")
    }

    pub(crate) fn one(method: &str, id: &str) -> Ask {
        Ask::new(method, format!("/_/console/sessions/{id}"))
    }
}

pub(crate) fn host() -> Host {
    Host::with(&[("TENANTS_CONSOLE", "true")])
}

pub(crate) fn code(got: &Got) -> Json {
    got.json()["code"].clone()
}

pub(crate) fn assert_over(got: &Got) {
    assert_eq!(
        (got.status, code(got)),
        (401, json!("unauthorized")),
        "{got:?}"
    );
    assert_eq!(
        got.json()["detail"],
        "a living session is required: sign in"
    );
}

#[test]
fn a_bound_key_signs_in_and_the_cookie_stands_for_it() {
    let mut host = host();
    let (ask, console) = Console::asking(&mut host, "");
    let got = host.expect(201, &ask);
    assert_eq!(got.header("location"), Some(PATH));
    let console = console.signed_in(&got);
    let json = got.json();
    let expected = json!({
        "csrf_token": console.csrf_token, "id": console.id, "key": {"id": console.key_id, "name": "bound"}, "scopes": ["*"],
        "created_at": "2026-08-18 23:16:57", "expires_at": "2026-08-19 07:16:57", "idle_until": "2026-08-18 23:46:57"
    });
    assert_eq!(json, expected);
    host.expect(201, &console.ask(new_tenant("a")));
    host.expect(200, &console.ask(get("/tenants/a")));
    host.expect(200, &console.ask(head("/tenants")));
    let verified = host.json(200, &console.ask(post("/auth/verify", "")));
    assert_eq!(verified["key"]["id"], console.key_id);
    assert_eq!(host.json(200, &console.ask(Console::own("GET"))), expected);
    // The database has the digest of the token alone, and no response but the first has the token.
    let token = console.cookie.split_once('=').unwrap().1;
    assert!(!host.dump().contains(token));
    let got = host.expect(204, &console.ask(Console::own("DELETE")));
    assert_eq!(
        got.header("set-cookie"),
        Some("__Host-tenants_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
    );
    for ask in [get("/tenants"), Console::own("GET"), Console::own("DELETE")] {
        assert_over(&host.ask(&console.ask(ask)));
    }
}

#[test]
fn without_the_switch_there_are_no_such_routes_and_a_cookie_is_ignored() {
    let mut host = host();
    let console = Console::new(&mut host);
    for value in ["", "false"] {
        host.configure(&[("TENANTS_CONSOLE", value)]);
        for ask in [
            Console::own("GET"),
            Console::own("POST"),
            Console::own("DELETE"),
            Console::own("PUT"),
            Console::all(),
            Console::one("DELETE", &console.id),
        ] {
            host.refuse(404, &ask);
            host.refuse(404, &console.ask(ask));
        }
        host.refuse(401, &console.ask(get("/tenants")));
        // What a browser sends to a service without a console is nobody's business.
        let mut ask = get("/tenants");
        ask.cookie = Some(console.cookie.clone());
        host.expect(200, &ask);
    }
}

#[test]
fn only_a_bound_key_that_signs_this_request_with_a_new_nonce_signs_in() {
    let mut host = host();
    let (key, secret) = host.issue_bound();
    let sign = |host: &Host, nonce: Option<&str>| signed(host, &key, &secret, "", nonce);
    // An ordinary key, and a bound one that signs in the other way.
    let ordinary = Ask::new("POST", PATH);
    for ask in [ordinary.clone(), ordinary.clone().key(key.as_str())] {
        let got = host.refuse(403, &ask);
        assert_eq!(code(&got), "bound_key_required");
    }
    // Nobody without a genuine key learns even that.
    let forged = ordinary.key(key.replace("chv_2", "chv_1"));
    let without_signature = Ask::new("POST", PATH).no_key().no_signature();
    let long = "n".repeat(129);
    let mut other_body = sign(&host, Some("n"));
    other_body.body = br#"{"scopes":["*"]}"#.into();
    for (ask, cause) in [
        (forged, "forged"),
        (without_signature, "X-API-Key is missing"),
        (sign(&host, None), "nonce"),
        (sign(&host, Some("")), "nonce"),
        (sign(&host, Some(&long)), "nonce"),
        (other_body, "content-digest"),
    ] {
        let got = host.refuse(401, &ask);
        assert!(got.cause().contains(cause), "{got:?}");
        assert!(
            got.json()["detail"]
                .as_str()
                .unwrap()
                .contains("a nonce that was not used before")
        );
    }
    let first = sign(&host, Some("n"));
    host.expect(201, &first);
    let got = host.ask(&first);
    assert_eq!((got.status, code(&got)), (401, json!("unauthorized")));
    assert!(got.cause().contains("nonce"), "{got:?}");
    assert_eq!(got.header("set-cookie"), None);
    host.expect(201, &sign(&host, Some("n2")));
    // The nonce is the key's own, and stays used after the session has ended.
    let (other, its_secret) = host.issue_bound();
    let got = host.expect(201, &signed(&host, &other, &its_secret, "", Some("n")));
    let console = Console {
        key: other.clone(),
        key_id: 3,
        cookie: String::new(),
        csrf_token: String::new(),
        id: String::new(),
    };
    let console = console.signed_in(&got);
    host.expect(204, &console.ask(Console::own("DELETE")));
    let again = host.ask(&signed(&host, &other, &its_secret, "", Some("n")));
    assert_eq!(again.status, 401);
    // A trial begins nothing, and uses no nonce.
    let mut trial = Ask::new("POST", format!("{PATH}?validate_only=true"));
    trial.sec_fetch_site = Some("same-origin".into());
    let headers = signed::sign(
        &secret,
        &Unsigned {
            method: "POST",
            origin: trial.origin.as_deref().unwrap(),
            target: &trial.target,
            key: &key,
            headers: &[],
            body: b"",
            nonce: Some("n3"),
        },
        host.now,
    );
    trial = trial.key(key.as_str()).no_signature();
    trial.signature_input = Some(headers.signature_input);
    trial.message_signature = Some(headers.signature);
    let got = host.expect(200, &trial);
    assert_eq!(
        (got.body.as_str(), got.header("set-cookie")),
        (r#"{"valid":true}"#, None)
    );
    host.expect(201, &sign(&host, Some("n3")));
}

#[test]
fn a_key_that_is_not_valid_or_has_a_newer_secret_signs_in_no_more() {
    for change in [
        "deleted_at = '2026'",
        "expires_at = '2026'",
        "digest = 'bound:new', previous_digest = NULL",
        // The secret before a rotation signs requests for a while, but begins no session, which would outlive it.
        "previous_digest = digest, previous_until = '2027', digest = 'bound:new'",
    ] {
        let mut host = host();
        let (ask, console) = Console::asking(&mut host, "");
        host.sql(
            &format!("UPDATE api_keys SET {change} WHERE id = ?1"),
            &[console.key_id.into()],
        );
        let got = host.ask(&ask);
        assert_eq!(got.status, 401, "{change}: {got:?}");
        assert_eq!(host.one("SELECT count(*) FROM console_sessions"), 0.into());
    }
}

/// A host on which each route's example succeeds in a session, whose key is bound: it changes bound keys only.
fn host_of_examples() -> Host {
    let host = host_with_tables();
    host.sql("UPDATE api_keys SET is_bound = 1 WHERE id = 2", &[]);
    host
}

/// Each route of the table that needs a proof, with the cookie of a session.
#[test]
fn the_cookie_opens_each_route_of_people_and_only_to_the_consoles_own_pages() {
    let (mut taken, mut ignored) = (0, 0);
    for route in served() {
        if route.scopes.is_none() || route.path == PATH && route.method == "POST" {
            continue;
        }
        let ask = if route.path == PATH {
            Console::own(route.method)
        } else {
            example(&route)
        };
        let mut host = host_of_examples();
        let console = Console::new(&mut host);
        let machines = [
            "/config/traefik",
            "/cells/{id}/tenants",
            "/cells/{id}/stats",
            "/cells/{id}/jobs/lease",
            "/jobs/{id}/renew",
            "/jobs/{id}/finish",
        ];
        let before = host.dump();
        if machines.iter().any(|end| route.path.ends_with(end))
            || route.path.starts_with("/api/4/_")
        {
            let got = host.refuse(401, &console.ask(ask));
            assert!(got.cause().contains("X-API-Key is missing"), "{got:?}");
            assert_eq!(host.dump(), before);
            ignored += 1;
            continue;
        }
        // A key that the body makes is bound, since its maker is.
        let ask = match route.path.ends_with("/keys") && route.method == "POST" {
            true => post("/keys", r#"{"scopes":["keys"],"bound":true}"#),
            false => ask,
        };
        let right = console.ask(ask);
        for site in [
            None,
            Some("same-site"),
            Some("cross-site"),
            Some("none"),
            Some("Same-Origin"),
            Some(""),
        ] {
            let wrong = Ask {
                sec_fetch_site: site.map(Into::into),
                ..right.clone()
            };
            assert_eq!(
                code(&host.refuse(403, &wrong)),
                "not_same_origin",
                "{wrong:?}"
            );
        }
        if route.method != "GET" {
            let other: String = console.csrf_token.chars().rev().collect();
            let short = &console.csrf_token[1..];
            for token in [
                None,
                Some(""),
                Some("x"),
                Some(short),
                Some(&other),
                Some(&console.id),
            ] {
                let wrong = Ask {
                    csrf_token: token.map(Into::into),
                    ..right.clone()
                };
                assert_eq!(
                    code(&host.refuse(403, &wrong)),
                    "csrf_token_mismatch",
                    "{wrong:?}"
                );
            }
        }
        // Beside any other proof.
        let key = Header::Is(console.key.clone());
        let both: [Ask; 4] = [
            Ask {
                key,
                ..right.clone()
            },
            Ask {
                signature: Header::Right,
                ..right.clone()
            },
            Ask {
                signature_input: Some("s=()".into()),
                ..right.clone()
            },
            Ask {
                message_signature: Some("s=::".into()),
                ..right.clone()
            },
        ];
        for both in both {
            assert_over(&host.refuse(401, &both));
        }
        for cookie in [
            None,
            Some("tenants_session=x".to_owned()),
            Some("__Host-tenants_session=".to_owned()),
            Some("__Host-tenants_session=cs_1_x".to_owned()),
            Some(console.cookie.replace("cs_", "cs_1")),
            Some(format!("{}; {}", console.cookie, console.cookie)),
        ] {
            let wrong = Ask {
                cookie,
                ..right.clone()
            };
            let got = host.refuse(401, &wrong);
            assert_eq!(code(&got), "unauthorized");
        }
        assert_eq!(host.dump(), before, "{right:?}");
        let got = host.ask(&right);
        assert!(got.status < 300, "{right:?}: {got:?}");
        assert_eq!(got.log.key_id, Some(console.key_id));
        // It is over at once when its row is.
        let mut host = host_of_examples();
        let console = Console::new(&mut host);
        let right = Ask {
            cookie: Some(console.cookie.clone()),
            csrf_token: Some(console.csrf_token.clone()),
            ..right
        };
        host.sql(
            "UPDATE console_sessions SET ended_at = '2026' WHERE id = ?1",
            &[console.id.into()],
        );
        let before = host.dump();
        let got = host.ask(&right);
        if route.method == "HEAD" {
            assert_eq!(got.status, 401);
        } else {
            assert_over(&got);
        }
        assert_eq!(host.dump(), before, "{right:?}");
        taken += 1;
    }
    assert!(ignored >= 6, "{ignored}");
    assert!(taken >= 35, "{taken}");
}

/// The backup has those that somebody has ended since.
#[test]
fn a_restore_ends_all_sessions() {
    let mut host = host();
    let console = Console::new(&mut host);
    host.expect(200, &console.ask(get("/tenants")));
    let now = Timestamp::from_unix(host.now).unwrap();
    host.complete(Restored::begin(&Run::new("cli-1"), &now));
    host.expect(401, &console.ask(get("/tenants")));
    // Its nonce stays, as long as a signature with it would be good.
    assert_eq!(host.one("SELECT count(*) FROM console_sessions"), 1.into());
}

#[test]
fn a_session_ends_with_its_key() {
    for (change, status) in [
        ("deleted_at = '2026'", 401),
        ("expires_at = '2026-08-18 23:16:57'", 401),
        ("expires_at = '2026-08-18 23:16:58'", 200),
        ("digest = 'bound:other'", 401),
        // Although the old secret stays valid for a while.
        (
            "previous_digest = digest, previous_until = '2027', digest = 'bound:other'",
            401,
        ),
        ("name = 'another'", 200),
    ] {
        let mut host = host();
        let console = Console::new(&mut host);
        host.sql(
            &format!("UPDATE api_keys SET {change} WHERE id = ?1"),
            &[console.key_id.into()],
        );
        let got = host.ask(&console.ask(get("/tenants")));
        assert_eq!(got.status, status, "{change}");
        let listed = host.json(200, &Console::all());
        assert_eq!(
            listed.as_array().unwrap().len(),
            usize::from(status == 200),
            "{change}"
        );
    }
    // Its token is under the secret of keys, which may rotate.
    let mut host = host();
    let console = Console::new(&mut host);
    host.configure(&[
        ("CHEVERETO_TENANTS_API_KEY_SECRET", "another secret of keys"),
        (
            "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS",
            "the-secret-of-keys",
        ),
    ]);
    host.expect(200, &console.ask(get("/tenants")));
    host.configure(&[("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", "")]);
    assert_over(&host.refuse(401, &console.ask(get("/tenants"))));
}

/// Sends a request and runs what is to be written afterwards.
fn used(host: &mut Host, ask: &Ask) -> (u16, bool) {
    let mut step = host.begin(ask);
    loop {
        match step {
            Step::Done(Answer {
                response,
                afterwards,
                ..
            }) => {
                let is_noted = afterwards.is_some();
                if let Some(batch) = afterwards {
                    host.run(&batch).unwrap();
                }
                return (response.status, is_noted);
            }
            Step::Run(exchange) => {
                let rows = host.run(exchange.batch());
                step = host.resumed(exchange, rows);
            }
        }
    }
}

#[test]
fn a_session_is_over_after_30_idle_minutes_and_after_8_hours() {
    let mut host = host();
    let console = Console::new(&mut host);
    let ask = console.ask(get("/tenants"));
    let began = host.now;
    host.now = began + IDLE_SECONDS - 1;
    assert_eq!(used(&mut host, &ask), (200, true));
    // A use gives it 30 minutes more, and is written once a minute.
    assert_eq!(used(&mut host, &ask), (200, false));
    host.now += IDLE_SECONDS - 1;
    assert_eq!(used(&mut host, &ask), (200, true));
    host.now += IDLE_SECONDS;
    assert_eq!(used(&mut host, &ask).0, 401);
    host.now -= 1;
    assert_eq!(used(&mut host, &ask).0, 200);

    let console = Console::new(&mut host);
    let ask = console.ask(get("/tenants"));
    let own = console.ask(Console::own("GET"));
    let began = host.now;
    while host.now < began + SECONDS - 20 * 60 {
        host.now += 20 * 60;
        assert_eq!(used(&mut host, &ask), (200, true));
    }
    host.now = began + SECONDS - 1;
    let shown = host.json(200, &own);
    assert_eq!(shown["idle_until"], shown["expires_at"]);
    assert_eq!(used(&mut host, &ask).0, 200);
    host.now += 1;
    assert_eq!(used(&mut host, &ask).0, 401);
    // A refusal is no use.
    let noted = host.one("SELECT max(last_used_at) FROM console_sessions");
    assert_ne!(noted, Value::Null);
    host.now -= 61;
    let ask = Ask {
        sec_fetch_site: None,
        ..ask
    };
    assert!(!used(&mut host, &ask).1);
}

#[test]
fn the_first_use_in_a_minute_is_written_with_that_of_the_key_and_no_other() {
    let mut host = host();
    let console = Console::new(&mut host);
    let times = |host: &Host| {
        host.sql(
            "SELECT s.last_used_at, s.idle_until, k.last_used_at FROM console_sessions AS s JOIN api_keys AS k ON k.id = s.key_id WHERE s.id = ?1",
            &[console.id.as_str().into()],
        )
    };
    let row = |texts: [Value; 3]| vec![texts.to_vec()];
    assert_eq!(
        times(&host),
        row([
            "2026-08-18 23:16:57".into(),
            "2026-08-18 23:46:57".into(),
            Value::Null
        ])
    );
    let ask = console.ask(get("/tenants"));
    // The session began in this minute.
    assert_eq!(used(&mut host, &ask), (200, true));
    assert_eq!(
        times(&host),
        row([
            "2026-08-18 23:16:57".into(),
            "2026-08-18 23:46:57".into(),
            "2026-08-18 23:00:00".into()
        ])
    );
    assert_eq!(used(&mut host, &ask), (200, false));
    host.now += 3;
    assert_eq!(used(&mut host, &ask), (200, true));
    assert_eq!(
        times(&host),
        row([
            "2026-08-18 23:17:00".into(),
            "2026-08-18 23:47:00".into(),
            "2026-08-18 23:00:00".into()
        ])
    );
    // What another instance wrote already is not written again, and a session that has ended is not used.
    let mut other = Host::with(&[("TENANTS_CONSOLE", "true")]);
    std::mem::swap(&mut host.api, &mut other.api);
    host.now += 1;
    assert_eq!(used(&mut host, &ask), (200, true));
    assert_eq!(times(&host)[0][0], "2026-08-18 23:17:00".into());
    let shown = host.json(200, &console.ask(Console::own("GET")));
    assert_eq!(shown["idle_until"], "2026-08-18 23:47:00");
    host.now += 60;
    let shown = host.json(200, &console.ask(Console::own("GET")));
    assert_eq!(shown["idle_until"], "2026-08-18 23:48:01");
}

#[test]
fn a_page_of_another_origin_signs_nobody_in() {
    let mut host = host();
    for site in ["cross-site", "same-site", "none", ""] {
        let (mut ask, _) = Console::asking(&mut host, "");
        ask.sec_fetch_site = Some(site.into());
        assert_eq!(code(&host.refuse(403, &ask)), "not_same_origin");
    }
    // A program that is no browser does not say where it is. A cookie of an earlier session is no matter.
    let console = Console::new(&mut host);
    let (mut ask, _) = Console::asking(&mut host, "");
    ask.sec_fetch_site = None;
    ask.cookie = Some(console.cookie.clone());
    host.expect(201, &ask);
}

#[test]
fn on_loopback_under_development_the_cookie_needs_no_tls() {
    let mut host = Host::with(&[("TENANTS_CONSOLE", "true"), ("TENANTS_DEVELOPMENT", "true")]);
    let (key, secret) = host.issue_bound();
    let local = |host: &Host, nonce: &str| {
        let origin = "http://127.0.0.1:8787";
        let mut ask = Ask::new("POST", PATH).key(key.as_str()).no_signature();
        ask.origin = Some(origin.into());
        let unsigned = Unsigned {
            method: "POST",
            origin,
            target: PATH,
            key: &key,
            headers: &[],
            body: b"",
            nonce: Some(nonce),
        };
        let headers = signed::sign(&secret, &unsigned, host.now);
        ask.signature_input = Some(headers.signature_input);
        ask.message_signature = Some(headers.signature);
        ask
    };
    let got = host.expect(201, &local(&host, "n"));
    let set = got.header("set-cookie").unwrap().to_owned();
    let (cookie, attributes) = set.split_once("; ").unwrap();
    assert!(cookie.starts_with("tenants_session=cs_2_"), "{set}");
    assert_eq!(
        attributes,
        "Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"
    );
    let mut ask = get("/tenants").no_key().no_signature();
    ask.cookie = Some(cookie.into());
    ask.sec_fetch_site = Some("same-origin".into());
    // Over TLS it is no session's.
    assert_eq!(host.refuse(401, &ask).status, 401);
    ask.origin = Some("http://127.0.0.1:8787".into());
    host.expect(200, &ask);
    host.configure(&[("TENANTS_DEVELOPMENT", "false")]);
    host.refuse(401, &ask);
    let got = host.expect(201, &local(&host, "n2"));
    assert!(got.header("set-cookie").unwrap().contains("; Secure; "));
}

#[test]
fn ended_sessions_are_swept_with_their_nonces_once_no_signature_is_good() {
    let mut host = host_with_tables();
    let console = Console::new(&mut host);
    host.expect(204, &console.ask(Console::own("DELETE")));
    let left = |host: &Host| host.one("SELECT count(*) FROM console_sessions");
    let sweep = |host: &mut Host| {
        let task = host.api.begin_stats(host.now).unwrap();
        host.complete(task);
    };
    host.now += SECONDS - 1;
    sweep(&mut host);
    assert_eq!(left(&host), 2.into());
    // The next run that sweeps.
    host.now += 10 * 60;
    sweep(&mut host);
    assert_eq!(left(&host), 1.into());
    let kept = host.one("SELECT id FROM console_sessions");
    assert_eq!(kept, SESSION_ID.into());
}

/// Otherwise a copy of the sign-in would begin another session, if the key's end were put off meanwhile.
#[test]
fn a_session_that_ends_early_with_its_key_leaves_its_nonce_until_no_signature_is_good() {
    let mut host = host_with_tables();
    Console::new(&mut host);
    host.sql(
        "UPDATE console_sessions SET expires_at = '2026-08-18 23:17:58' WHERE id <> ?1",
        &[SESSION_ID.into()],
    );
    let began = host.now;
    let left_after = |host: &mut Host, seconds: i64| {
        host.now = began + seconds;
        let task = host.api.begin_stats(host.now).unwrap();
        host.complete(task);
        host.one("SELECT count(*) FROM console_sessions")
    };
    assert_eq!(left_after(&mut host, 3600), 2.into());
    assert_eq!(left_after(&mut host, 2 * 3600 - 1), 2.into());
    assert_eq!(left_after(&mut host, 2 * 3600 + 600), 1.into());
}

/// A database that breaks off after its commit does not sign anybody in twice, nor forget that it did.
#[test]
fn a_sign_in_that_breaks_off_is_made_once() {
    for is_committed in [false, true] {
        let mut host = host();
        let (ask, console) = Console::asking(&mut host, "");
        let exchange = host.exchange(&ask);
        if is_committed {
            host.run(exchange.batch()).unwrap();
        }
        let again = host.ask_why(&ask, exchange, "broke off");
        let rows = host.run(again.batch());
        let got = host.finish_why(&ask, again, rows);
        let console = console.signed_in(&got);
        host.expect(200, &console.ask(get("/tenants")));
        assert_eq!(host.one("SELECT count(*) FROM console_sessions"), 1.into());
        assert_eq!(host.one("SELECT count(*) FROM audit_log"), 1.into());
    }
}
