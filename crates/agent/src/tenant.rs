//! A tenant on its way from the registry's answer to the values of Redis.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tenants_chevereto::php::Value;
use tenants_chevereto::seal::{EncryptionKey, NONCE_BYTES};
use tenants_chevereto::tenant::Tenant;

use crate::error::Error;
use crate::settings::DEFAULT_CRON_SECONDS;
use crate::state::Row;
use crate::wire::FeedTenant;

/// The shortest pause between two runs of `cron` that a site's own setting can ask for.
const MIN_CRON_SECONDS: u32 = 5;

/// Makes the row of a tenant. An `env` that has not changed keeps its encrypted form, and with it its nonce.
///
/// # Errors
/// Fails if an id or a hostname is none, or if the operating system supplies no random bytes.
pub(crate) fn row(
    tenant: FeedTenant,
    existing: Option<&Row>,
    key: &EncryptionKey,
) -> Result<Row, Error> {
    if !is_id(&tenant.id) {
        return Err(Error::Failed("the registry sent an id that is none".into()));
    }
    let mut hostnames = tenant.hostnames;
    hostnames.sort();
    hostnames.dedup();
    if let Some(bad) = hostnames.iter().find(|h| !is_hostname(h)) {
        return Err(Error::Failed(format!(
            "the registry sent {bad:?} as a hostname of {}",
            tenant.id
        )));
    }
    let cron_seconds = cron_seconds(&tenant.env);
    let env = match empty_is_null(tenant.env) {
        Value::Null => None,
        env => Some(match existing.and_then(|row| row.env.as_deref()) {
            Some(sealed) if key.decrypt(sealed.as_bytes()).as_ref() == Ok(&env) => sealed.into(),
            _ => key.encrypt(&env, nonce()?),
        }),
    };
    let cached = Tenant {
        id: tenant.id,
        hostname: tenant.hostname,
        limits: empty_is_null(tenant.limits),
        env: env.clone().map(String::into_bytes),
        is_enabled: tenant.is_enabled,
        plan_id: tenant.plan_id,
        created_at: tenant.created_at,
        updated_at: tenant.updated_at,
        last_job_at: tenant.last_job_at,
        // The installation does not read them from here, and they change without a new revision.
        stats: Value::Null,
    };
    Ok(Row {
        value: cached.to_value().serialize(),
        id: cached.id,
        is_enabled: cached.is_enabled,
        cron_seconds,
        env,
        hostnames,
    })
}

/// An installation stores `NULL` where there is nothing.
pub(crate) fn empty_is_null(value: Value) -> Value {
    match value {
        Value::Array(entries) if entries.is_empty() => Value::Null,
        value => value,
    }
}

/// A site's own `CHEVERETO_SCHEDULER_INTERVAL`, or Chevereto's default.
fn cron_seconds(env: &Value) -> u32 {
    env.get("CHEVERETO_SCHEDULER_INTERVAL")
        .and_then(Value::as_bytes)
        .and_then(|bytes| std::str::from_utf8(bytes).ok()?.trim().parse().ok())
        .map_or(DEFAULT_CRON_SECONDS, |seconds: u32| {
            seconds.max(MIN_CRON_SECONDS)
        })
}

fn nonce() -> Result<[u8; NONCE_BYTES], Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|_| Error::Failed("this machine cannot supply random bytes".into()))?;
    Ok(nonce)
}

/// Whether a text is a tenant's id. It becomes a part of Redis keys, table names and file names.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Whether a text can be a hostname. The registry has judged it already.
fn is_hostname(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
        })
}

/// A text that tells two encryption keys apart, and does not reveal them.
pub(crate) fn fingerprint(key: &EncryptionKey) -> String {
    // A key of any length is good for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) else {
        return String::new();
    };
    mac.update(b"tenants-agent fingerprint of an encryption key");
    hex::encode(&mac.finalize().into_bytes()[..8])
}

#[cfg(test)]
mod tests {
    use tenants_chevereto::seal::EncryptionKey;

    use super::{fingerprint, is_id, row};
    use crate::wire::FeedTenant;

    fn key(last: u8) -> EncryptionKey {
        let mut text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
        text.replace_range(0..1, std::str::from_utf8(&[last]).unwrap());
        EncryptionKey::parse(&text).unwrap()
    }

    fn tenant(env: &str) -> FeedTenant {
        serde_json::from_str(&format!(
            r#"{{"id": "a", "hostname": "a.example", "hostnames": ["b.example", "a.example"], "is_enabled": true, "plan_id": null,
                "limits": {{}}, "env": {env}, "created_at": null, "updated_at": null}}"#
        ))
        .unwrap()
    }

    #[test]
    fn an_env_that_has_not_changed_keeps_its_encrypted_form() {
        let key = key(b'A');
        let first = row(tenant(r#"{"A": "b"}"#), None, &key).unwrap();
        let same = row(tenant(r#"{"A": "b"}"#), Some(&first), &key).unwrap();
        assert_eq!(first, same);
        let changed = row(tenant(r#"{"A": "c"}"#), Some(&first), &key).unwrap();
        assert_ne!(changed.env, first.env);
        let again = row(tenant(r#"{"A": "b"}"#), None, &key).unwrap();
        assert_ne!(again.env, first.env);
        assert_eq!(row(tenant("{}"), Some(&first), &key).unwrap().env, None);
        assert_eq!(first.hostnames, ["a.example", "b.example"]);
    }

    #[test]
    fn a_sites_own_interval_counts() {
        for (env, seconds) in [
            ("null", 300),
            (r#"{"CHEVERETO_SCHEDULER_INTERVAL": "60"}"#, 60),
            (r#"{"CHEVERETO_SCHEDULER_INTERVAL": "0"}"#, 5),
            (r#"{"CHEVERETO_SCHEDULER_INTERVAL": "often"}"#, 300),
        ] {
            let row = row(tenant(env), None, &key(b'A')).unwrap();
            assert_eq!(row.cron_seconds, seconds, "{env}");
        }
    }

    #[test]
    fn an_id_is_no_path_and_no_pattern() {
        for good in ["a", "A1_b-c", "abcdefghijklmnop"] {
            assert!(is_id(good), "{good}");
        }
        for bad in [
            "",
            "_a",
            "-a",
            "a/b",
            "..",
            "a b",
            "a`",
            "a%",
            "é",
            "abcdefghijklmnopq",
        ] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn fingerprints_tell_keys_apart() {
        assert_eq!(fingerprint(&key(b'A')), fingerprint(&key(b'A')));
        assert_ne!(fingerprint(&key(b'A')), fingerprint(&key(b'B')));
    }
}
