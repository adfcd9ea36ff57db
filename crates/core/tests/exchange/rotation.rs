//! The rotation of secrets without a gap: the `…_PREVIOUS` secret is accepted as long as it is set (contract §5, §9).

use tenants_core::crypto::api_key::KeySecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;

use crate::ask::{get, new_tenant};
use crate::host::{Host, SECRETS};

const KEY: &str = "CHEVERETO_TENANTS_API_KEY_SECRET";
const KEY_PREVIOUS: &str = "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS";
const REQUEST: &str = "CHEVERETO_TENANTS_API_REQUEST_SECRET";
const REQUEST_PREVIOUS: &str = "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS";

fn old(name: &str) -> &'static str {
    SECRETS.iter().find(|(n, _)| *n == name).unwrap().1
}

#[test]
fn a_request_secret_rotates_without_a_gap() {
    let mut host = Host::new();
    let sign = |secret: &str| RequestSecret::new(&Secret::new(secret.into())).sign(b"");
    let status =
        |host: &mut Host, secret: &str| host.ask(&get("/tenants").signature(sign(secret))).status;
    let before = old(REQUEST);
    assert_eq!(
        (
            status(&mut host, before),
            status(&mut host, "the-new-secret-of-requests")
        ),
        (200, 401)
    );
    host.configure(&[
        (REQUEST, "the-new-secret-of-requests"),
        (REQUEST_PREVIOUS, before),
    ]);
    assert_eq!(
        (
            status(&mut host, before),
            status(&mut host, "the-new-secret-of-requests")
        ),
        (200, 200)
    );
    assert_eq!(status(&mut host, "neither"), 401);
    host.configure(&[(REQUEST_PREVIOUS, "")]);
    assert_eq!(
        (
            status(&mut host, before),
            status(&mut host, "the-new-secret-of-requests")
        ),
        (401, 200)
    );
}

#[test]
fn a_key_secret_rotates_without_a_gap() {
    let mut host = Host::new();
    let first = host.key.clone();
    let before = old(KEY);
    let status = |host: &mut Host, key: &str| host.ask(&get("/tenants").key(key)).status;
    host.configure(&[(KEY, "the-new-secret-of-keys"), (KEY_PREVIOUS, before)]);
    let (_, second) = host.issue("second", None);
    assert_eq!(
        (status(&mut host, &first), status(&mut host, &second)),
        (200, 200)
    );
    let foreign = KeySecret::new(&Secret::new("neither".into()));
    let forged = foreign.issue(1, host.random.as_mut()).unwrap();
    let got = host.refuse(401, &get("/tenants").key(forged.text()));
    assert_eq!(got.cause(), "X-API-Key is forged");
    // New keys are issued under the new secret.
    let only = |secret: &str| KeySecret::new(&Secret::new(secret.into()));
    assert!(only("the-new-secret-of-keys").verify(&second).is_ok());
    assert!(only(before).verify(&second).is_err());
    host.configure(&[(KEY_PREVIOUS, "")]);
    assert_eq!(
        (status(&mut host, &first), status(&mut host, &second)),
        (401, 200)
    );
}

#[test]
fn a_deleted_key_of_the_previous_secret_is_refused() {
    let mut host = Host::new();
    host.configure(&[(KEY, "the-new-secret-of-keys"), (KEY_PREVIOUS, old(KEY))]);
    host.expect(201, &new_tenant("a"));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    host.expect(401, &new_tenant("b"));
}

/// The previous secret only verifies; nothing could issue keys or sign.
#[test]
fn a_previous_secret_without_a_current_one_is_a_503() {
    for (name, previous) in [(KEY, KEY_PREVIOUS), (REQUEST, REQUEST_PREVIOUS)] {
        let mut host = Host::new();
        host.configure(&[(name, ""), (previous, old(name))]);
        let got = host.refuse(503, &get("/tenants"));
        assert_eq!(got.cause(), format!("{name} is not configured"));
    }
}
