//! Databases that are copied, since making them anew would take most of the tests' time.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rusqlite::limits::Limit::SQLITE_LIMIT_COMPOUND_SELECT;
use rusqlite::{Connection, MAIN_DB};

use crate::host::Host;

/// A new database with all tables: a copy of the first one, to which the migrations were applied.
pub(crate) fn new_database() -> Connection {
    static FIRST: OnceLock<Vec<u8>> = OnceLock::new();
    copy(FIRST.get_or_init(|| {
        let mut db = tenants_sqlite::open_in_memory().unwrap();
        // Two hosts must have equal databases, so remove the random epoch and the times of the migrations.
        db.execute_batch(
            "UPDATE registry SET epoch = 'fedcba9876543210'; UPDATE d1_migrations SET applied_at = '';",
        )
        .unwrap();
        bytes(&mut db)
    }))
}

/// A host to be copied. It has no site with a database of its own.
pub(crate) struct Saved {
    database: Vec<u8>,
    variables: BTreeMap<&'static str, String>,
    secrets: Vec<String>,
    key: String,
    key_id: i64,
}

impl Saved {
    pub(crate) fn new(mut host: Host) -> Self {
        assert!(host.sites.is_empty());
        Self {
            database: bytes(&mut host.db),
            variables: host.variables,
            secrets: host.secrets,
            key: host.key,
            key_id: host.key_id,
        }
    }

    /// A new host with all that the saved one had.
    pub(crate) fn host(&self) -> Host {
        // Other numbers than those that the rows are made of, which are unique.
        let mut host = Host::over(copy(&self.database), 0x9e37_79b9_7f4a_7c15);
        host.variables.clone_from(&self.variables);
        host.secrets.clone_from(&self.secrets);
        host.key.clone_from(&self.key);
        host.key_id = self.key_id;
        host.configure(&[]);
        host
    }
}

fn bytes(db: &mut Connection) -> Vec<u8> {
    db.serialize(MAIN_DB).unwrap().to_vec()
}

fn copy(bytes: &[u8]) -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    db.deserialize_read_exact(MAIN_DB, bytes, bytes.len(), false)
        .unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    db.set_limit(SQLITE_LIMIT_COMPOUND_SELECT, 5).unwrap();
    db.set_prepared_statement_cache_capacity(256);
    db
}
