use std::net::TcpListener;
use std::time::{Duration, Instant};

use tenants_core::crypto::secret::Secret;
use ureq::tls::RootCerts;

use super::{Client, Found, Program, Request, Setup, Signing, next_in};
use crate::address::Address;
use crate::error::Error;

fn found(text: &str) -> Found {
    Found {
        secret: Secret::new(text.into()),
        from: "a test".into(),
    }
}

fn client(key: &str) -> Result<Client, Error> {
    client_of("https://tenants.example", key)
}

fn client_of(address: &str, key: &str) -> Result<Client, Error> {
    let setup = Setup {
        address: Address::parse(address).unwrap(),
        key: found(key),
        signing: Signing::Body(found("secret")),
        program: Program {
            name: "test",
            user_agent: "test/1",
        },
        cacert: None,
        variable: &|_| None,
        folder: "/".as_ref(),
    };
    Client::with(setup, None, RootCerts::WebPki)
}

#[test]
fn a_key_that_does_not_fit_in_a_header_is_refused_and_not_shown() {
    let error = client("chv_1_x\ninjected: 1").err().unwrap();
    assert!(matches!(&error, Error::Configuration(text) if !text.contains("injected")));
}

#[test]
fn a_limit_covers_all_tries_of_a_call_to_an_api_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = client_of(&address, "chv_1_x").unwrap();
    let client = client.within(Duration::from_secs(1));
    for request in [Request::Get, Request::Post(b"{}")] {
        let started = Instant::now();
        let error = client.call(request, "/x").unwrap_err();
        let Error::Unreachable { detail, .. } = error else {
            panic!("{error:?}")
        };
        assert!(detail.contains("did not respond within 1 s"), "{detail}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn the_next_page_is_found_among_other_links() {
    for (header, next) in [
        (
            r#"</_/api/4/tenants?limit=2&after=b>; rel="next""#,
            Some("/_/api/4/tenants?limit=2&after=b"),
        ),
        (
            r#"</x>; rel="successor-version", </y>; title="a"; rel=next"#,
            Some("/y"),
        ),
        (r#"</x>; rel="prev""#, None),
        ("", None),
        ("<", None),
    ] {
        assert_eq!(next_in(header), next, "{header}");
    }
}
