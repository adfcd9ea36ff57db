//! `check`: compares all keys of Redis with the registry, and says what differs. It changes nothing, and does not need the agent's state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tenants_chevereto::php::Value;
use tenants_chevereto::seal::EncryptionKey;
use tenants_chevereto::tenant::hostname_value;

use crate::cache::{Cache, Found};
use crate::error::Error;
use crate::log;
use crate::shared::Shared;
use crate::state::State;
use crate::sync::Engine;
use crate::tables::Tables;
use crate::tenant::empty_is_null;

/// The entries of a tenant that the comparison looks at. Times and counters differ without a consequence.
const ENTRIES: &[&str] = &["id", "hostname", "limits", "env", "is_enabled", "plan_id"];

/// Compares, and prints each difference on a line.
///
/// # Errors
/// [`Error::Attention`] if anything differs.
pub(crate) fn run(shared: &Arc<Shared>) -> Result<(), Error> {
    let settings = &shared.settings;
    let number = getrandom::u64().map_err(|e| Error::failed("random bytes", e))?;
    let folder = std::env::temp_dir().join(format!("tenants-agent-check-{number:016x}"));
    let outcome = State::open(&folder.join("state.db")).and_then(|state| {
        let mut engine = Engine::new(Arc::clone(shared), state);
        engine.take_over()?;
        let found = Cache::connect(&settings.redis, &settings.keys)?
            .all()
            .map_err(|e| Error::failed("Redis", e))?;
        differences(engine.state(), found, &settings.encryption_key)
    });
    // It holds encrypted values only.
    let _ = std::fs::remove_dir_all(&folder);
    let mut lines = outcome?;
    if settings.database.is_none() {
        log::warn(
            "database_unknown",
            json!({"detail": "CHEVERETO_DB_* is not set: whether the installation's own registry, chv__tenants, has rows was not looked at"}),
        );
    }
    if let Some(database) = &settings.database {
        let rows = Tables::connect(database)?.own_registry()?;
        if rows > 0 {
            lines.push(format!(
                "MySQL: the installation's own registry, chv__tenants, has {rows} rows; `tenants -C cache` would write them to Redis. Rename the table"
            ));
        }
    }
    for line in &lines {
        println!("{line}");
    }
    match lines.len() {
        0 => {
            println!("Redis has what the registry has");
            Ok(())
        }
        count => Err(Error::Attention(format!("differences: {count}"))),
    }
}

/// Returns a line for each difference.
fn differences(
    state: &State,
    found: Vec<Found>,
    key: &EncryptionKey,
) -> Result<Vec<String>, Error> {
    let mut tenants = BTreeMap::new();
    let mut hostnames = BTreeMap::new();
    for found in found {
        match found {
            Found::Tenant(id, value) => tenants.insert(id, value),
            Found::Hostname(hostname, value) => hostnames.insert(hostname, value),
        };
    }
    let mut lines = Vec::new();
    for row in state.tenants()? {
        match tenants.remove(&row.id) {
            None => lines.push(format!("tenant:{}: missing", row.id)),
            Some(value) => {
                let different = compare(&row.value, &value, key);
                if !different.is_empty() {
                    lines.push(format!(
                        "tenant:{}: different: {}",
                        row.id,
                        different.join(", ")
                    ));
                }
            }
        }
        for hostname in &row.hostnames {
            match hostnames.remove(hostname) {
                None => lines.push(format!("hostname:{hostname}: missing")),
                Some(value) if value != hostname_value(&row.id) => {
                    lines.push(format!("hostname:{hostname}: not of {}", row.id));
                }
                Some(_) => {}
            }
        }
    }
    for id in state.broken()? {
        lines.push(format!(
            "tenant:{id}: the registry cannot read it; its keys stay as they are"
        ));
        tenants.remove(&id);
        let value = hostname_value(&id);
        hostnames.retain(|_, found| *found != value);
    }
    lines.extend(
        tenants
            .keys()
            .map(|id| format!("tenant:{id}: not in the registry")),
    );
    lines.extend(
        hostnames
            .keys()
            .map(|h| format!("hostname:{h}: not in the registry")),
    );
    Ok(lines)
}

/// Returns the names of the entries that differ. Two encrypted values are the same if they decrypt to the same.
fn compare(expected: &[u8], found: &[u8], key: &EncryptionKey) -> Vec<&'static str> {
    let (Ok(expected), Ok(found)) = (Value::unserialize(expected), Value::unserialize(found))
    else {
        return vec!["not a value of PHP"];
    };
    let entry = |value: &Value, name: &str| -> Option<Value> {
        let entry = value.get(name).cloned().unwrap_or(Value::Null);
        Some(match name {
            "env" => match entry.as_bytes() {
                Some(sealed) => empty_is_null(key.decrypt(sealed).ok()?),
                None => entry,
            },
            "is_enabled" => Value::Bool(!entry.is_falsy()),
            _ => empty_is_null(entry),
        })
    };
    let differs = |name: &&&str| {
        let (a, b) = (entry(&expected, name), entry(&found, name));
        // One that cannot be decrypted is equal to nothing.
        a.is_none() || a.map(sorted) != b.map(sorted)
    };
    ENTRIES
        .iter()
        .filter(|name| differs(name))
        .copied()
        .collect()
}

/// The order of variables has no meaning.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut entries) => {
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
            Value::Array(entries)
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use tenants_chevereto::seal::EncryptionKey;
    use tenants_chevereto::tenant::Tenant;

    use super::compare;

    #[test]
    fn a_value_that_means_the_same_is_the_same() {
        let key = EncryptionKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let value = |json: &str| serde_json::from_str(json).unwrap();
        let tenant = |limits: &str, env: &str, nonce: u8, is_enabled| {
            let tenant = Tenant {
                id: "a".into(),
                hostname: "a.example".into(),
                limits: value(limits),
                env: Some(key.encrypt(&value(env), [nonce; 12]).into_bytes()),
                is_enabled,
                plan_id: None,
                created_at: None,
                updated_at: None,
                last_job_at: None,
                stats: value("null"),
            };
            tenant.to_value().serialize()
        };
        let one = tenant("{}", r#"{"A": "1", "B": "2"}"#, 1, true);
        let none: Vec<&str> = Vec::new();
        assert_eq!(
            compare(
                &one,
                &tenant("null", r#"{"B": "2", "A": "1"}"#, 2, true),
                &key
            ),
            none
        );
        assert_eq!(
            compare(&one, &tenant("null", r#"{"A": "1"}"#, 1, true), &key),
            ["env"]
        );
        assert_eq!(
            compare(
                &one,
                &tenant(r#"{"L": "1"}"#, r#"{"A": "1", "B": "2"}"#, 1, false),
                &key
            ),
            ["limits", "is_enabled"]
        );
        let other = EncryptionKey::parse("8OHSw7SlloeGaVpLPC0eDwARIjNEVWZ3iJmqu8zd7v8=").unwrap();
        assert_eq!(compare(&one, &one, &other), ["env"]);
        assert_eq!(compare(&one, b"x", &key), ["not a value of PHP"]);
    }
}
