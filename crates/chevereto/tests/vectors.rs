//! `tests/vectors/chevereto.json`: what real PHP and real phpseclib make of a tenant, byte for byte.

#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tenants_chevereto::php::Value;
use tenants_chevereto::seal::EncryptionKey;
use tenants_chevereto::tenant::{Keys, Tenant, hostname_value};

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key_base64: String,
    nonce_hex: String,
    env: Value,
    plaintext_base64: Option<String>,
    stored: Option<String>,
    env_form: Option<String>,
    tenant: Option<Value>,
    redis_value_base64: Option<String>,
    redis_tenant_key: Option<String>,
    redis_hostname_key: Option<String>,
    redis_hostname_value_base64: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/chevereto.json"
    );
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(file.vectors.len() >= 25);
    file.vectors
}

fn bytes(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).unwrap()
}

impl Vector {
    fn key(&self) -> EncryptionKey {
        EncryptionKey::parse(&self.key_base64).unwrap()
    }

    fn nonce(&self) -> [u8; 12] {
        let digits = |i: usize| u8::from_str_radix(&self.nonce_hex[2 * i..2 * i + 2], 16).unwrap();
        std::array::from_fn(digits)
    }

    /// `env` as it stands in the Redis value.
    fn env_in_redis(&self) -> Option<Vec<u8>> {
        let stored = self.stored.as_deref()?;
        Some(match self.env_form.as_deref().unwrap() {
            "binary" => bytes(stored),
            "base64" => stored.into(),
            form => panic!("{form}"),
        })
    }

    fn tenant(&self) -> Option<Tenant> {
        let row = self.tenant.as_ref()?;
        let text = |name| {
            let bytes = row.get(name).unwrap().as_bytes()?;
            Some(String::from_utf8(bytes.to_vec()).unwrap())
        };
        Some(Tenant {
            id: text("id").unwrap(),
            hostname: text("hostname").unwrap(),
            limits: row.get("limits").unwrap().clone(),
            env: self.env_in_redis(),
            is_enabled: !row.get("is_enabled").unwrap().is_falsy(),
            plan_id: text("plan_id"),
            created_at: text("created_at"),
            updated_at: text("updated_at"),
            last_job_at: text("last_job_at"),
            stats: row.get("stats").unwrap().clone(),
        })
    }
}

#[test]
fn every_env_is_encrypted_as_phpseclib_does_it() {
    let mut seen = 0;
    for vector in vectors() {
        let name = &vector.name;
        let Some(plain) = vector.plaintext_base64.as_deref().map(bytes) else {
            assert_eq!(vector.stored, None, "{name}");
            continue;
        };
        seen += 1;
        let stored = vector.stored.as_deref().unwrap();
        let key = vector.key();
        assert_eq!(vector.env.serialize(), plain, "{name}");
        assert_eq!(key.encrypt(&vector.env, vector.nonce()), stored, "{name}");
        for form in [bytes(stored), stored.into()] {
            assert_eq!(*key.decrypt_bytes(&form).unwrap(), plain, "{name}");
            assert_eq!(key.decrypt(&form).unwrap(), vector.env, "{name}");
        }
    }
    assert!(seen >= 20);
}

#[test]
fn every_tenant_is_written_as_php_redis_does_it() {
    let mut seen = 0;
    for vector in vectors() {
        let name = vector.name.as_str();
        let Some(tenant) = vector.tenant() else {
            continue;
        };
        seen += 1;
        let expected = bytes(vector.redis_value_base64.as_deref().unwrap());
        let mut value = tenant.to_value();
        if name == "enabled-bool" {
            // Chevereto reads a boolean here, too. We write the integer.
            let Value::Array(entries) = &mut value else {
                panic!("{name}")
            };
            assert_eq!(entries[4].1, Value::Int(1));
            entries[4].1 = Value::Bool(true);
        }
        assert_eq!(value.serialize(), expected, "{name}");
        assert_eq!(Value::unserialize(&expected).unwrap(), value, "{name}");

        let keys = Keys::new("chv:");
        assert_eq!(Some(keys.tenant(&tenant.id)), vector.redis_tenant_key);
        assert_eq!(
            Some(keys.hostname(&tenant.hostname)),
            vector.redis_hostname_key
        );
        let hostname = vector.redis_hostname_value_base64.as_deref().map(bytes);
        assert_eq!(Some(hostname_value(&tenant.id)), hostname, "{name}");
    }
    assert!(seen >= 23);
}
