//! MySQL: the tables of a site. They are named exactly, never by a pattern: `chv_a_%` would take the tables of `a_b`, too.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder};

use crate::error::Error;
use crate::settings::DatabaseSettings;
use crate::tenant::is_id;

/// The prefix of all tables of an installation's tenants.
const PREFIX: &str = "chv_";
/// The table of the installation's own registry.
const OWN_REGISTRY: &str = "chv__tenants";
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the installation's database.
pub(crate) struct Tables {
    connection: Conn,
    database: String,
}

impl Tables {
    /// Connects.
    ///
    /// # Errors
    /// Fails if the database cannot be reached, or refuses the user.
    pub(crate) fn connect(settings: &DatabaseSettings) -> Result<Self, Error> {
        let options = OptsBuilder::new()
            .user(Some(&settings.user))
            .pass(Some(settings.password.as_str()))
            .db_name(Some(&settings.name))
            .tcp_connect_timeout(Some(TIMEOUT))
            .read_timeout(Some(Duration::from_secs(60)))
            .write_timeout(Some(TIMEOUT));
        let options = if settings.host.starts_with('/') {
            options.socket(Some(&settings.host)).prefer_socket(true)
        } else {
            options
                .ip_or_hostname(Some(&settings.host))
                .tcp_port(settings.port)
                .prefer_socket(false)
        };
        Ok(Self {
            connection: Conn::new(options).map_err(|e| Error::failed("MySQL", e))?,
            database: settings.name.clone(),
        })
    }

    /// Returns the names of all tables of the database.
    pub(crate) fn all(&mut self) -> Result<BTreeSet<String>, Error> {
        let names: Vec<String> = self
            .connection
            .exec(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE'",
                (&self.database,),
            )
            .map_err(|e| Error::failed("MySQL", e))?;
        Ok(names.into_iter().collect())
    }

    /// Drops the tables of one tenant. Returns how many there were.
    ///
    /// # Errors
    /// Fails if one of them cannot be dropped.
    pub(crate) fn drop(&mut self, id: &str, names: &BTreeSet<String>) -> Result<usize, Error> {
        let failed = |e| Error::failed("MySQL", e);
        let there = self.all()?;
        let doomed: Vec<String> = of_site(id, names)?
            .into_iter()
            .filter(|table| there.contains(table))
            .collect();
        if doomed.is_empty() {
            return Ok(0);
        }
        self.connection
            .query_drop("SET SESSION foreign_key_checks = 0")
            .map_err(failed)?;
        for table in &doomed {
            // The name has letters, digits, `_` and `-` only.
            self.connection
                .query_drop(format!("DROP TABLE IF EXISTS `{table}`"))
                .map_err(failed)?;
        }
        let there = self.all()?;
        match doomed.iter().find(|table| there.contains(*table)) {
            None => Ok(doomed.len()),
            Some(table) => Err(Error::Failed(format!("MySQL: {table} is still there"))),
        }
    }

    /// Returns how many rows the installation's own registry has.
    pub(crate) fn own_registry(&mut self) -> Result<u64, Error> {
        if !self.all()?.contains(OWN_REGISTRY) {
            return Ok(0);
        }
        let count: Option<u64> = self
            .connection
            .query_first(format!("SELECT COUNT(*) FROM `{OWN_REGISTRY}`"))
            .map_err(|e| Error::failed("MySQL", e))?;
        Ok(count.unwrap_or_default())
    }
}

/// Returns whether any table of a tenant is among these.
pub(crate) fn is_installed(
    id: &str,
    names: &BTreeSet<String>,
    there: &BTreeSet<String>,
) -> Result<bool, Error> {
    Ok(of_site(id, names)?
        .iter()
        .any(|table| there.contains(table)))
}

/// Returns the tables of a tenant.
fn of_site(id: &str, names: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    if !is_id(id) {
        return Err(Error::Failed("the id is none".into()));
    }
    Ok(names.iter().map(|n| format!("{PREFIX}{id}_{n}")).collect())
}

/// Reads the names of a site's tables from the installation's schema folder: each file there creates one, and is called after it.
///
/// # Errors
/// Fails if the folder cannot be read, or names no table.
pub(crate) fn names(schema: Option<&Path>) -> Result<BTreeSet<String>, Error> {
    let schema = schema.ok_or_else(|| {
        Error::Configuration(
            "the installation's tables are not known: set TENANTS_AGENT_INSTALLATION or TENANTS_AGENT_SCHEMA".into(),
        )
    })?;
    let failed = |e| Error::failed(&schema.display().to_string(), e);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(schema).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|e| e != "sql") {
            continue;
        }
        let stem = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if stem.is_empty() || !stem.bytes().all(is_name) {
            return Err(Error::Configuration(format!(
                "{}: the file's name is no table's",
                path.display()
            )));
        }
        names.insert(stem.to_owned());
    }
    if names.is_empty() {
        return Err(Error::Configuration(format!(
            "{}: no .sql file names a table",
            schema.display()
        )));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{is_installed, names, of_site};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn the_tables_of_one_tenant_are_not_anothers() {
        let names = set(&["albums", "users"]);
        assert_eq!(
            of_site("a", &names).unwrap(),
            ["chv_a_albums", "chv_a_users"]
        );
        assert!(of_site("a`; DROP", &names).is_err());
        let there = set(&["chv_a_b_users", "chv__tenants"]);
        assert!(is_installed("a_b", &names, &there).unwrap());
        assert!(!is_installed("a", &names, &there).unwrap());
    }

    #[test]
    fn the_schema_folder_names_the_tables() {
        let folder = std::env::temp_dir().join(format!(
            "tenants-agent-schema-{:016x}",
            getrandom::u64().unwrap()
        ));
        std::fs::create_dir(&folder).unwrap();
        assert!(names(Some(&folder)).is_err());
        for file in ["albums.sql", "user_exports.sql", "README.md"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        assert_eq!(
            names(Some(&folder)).unwrap(),
            set(&["albums", "user_exports"])
        );
        std::fs::write(folder.join("a`b.sql"), "").unwrap();
        assert!(names(Some(&folder)).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(names(Some(&folder)).is_err());
        assert!(names(None).is_err());
    }
}
