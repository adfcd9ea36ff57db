//! MySQL: the tables of a site. They are named exactly, never by a pattern: `chv_a_%` would take the tables of `a_b`, too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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
/// The server's errors that pass: too many connections, a shutdown, a lock that was waited for, a deadlock, a query that was cut off.
const PASSING: [u16; 6] = [1040, 1053, 1203, 1205, 1213, 1317];
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
            connection: Conn::new(options).map_err(failed)?,
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
            .map_err(failed)?;
        Ok(names.into_iter().collect())
    }

    /// Drops tables that [`doomed`] named. Calls `check` before each of them.
    ///
    /// # Errors
    /// Fails if one of them cannot be dropped, and with the check's error.
    pub(crate) fn drop<E: From<Error>>(
        &mut self,
        doomed: &[String],
        check: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        if doomed.is_empty() {
            return Ok(());
        }
        self.connection
            .query_drop("SET SESSION foreign_key_checks = 0")
            .map_err(failed)?;
        for table in doomed {
            check()?;
            // The name has letters, digits, `_` and `-` only.
            self.connection
                .query_drop(format!("DROP TABLE IF EXISTS `{table}`"))
                .map_err(failed)?;
        }
        let there = self.all()?;
        match doomed.iter().find(|table| there.contains(*table)) {
            None => Ok(()),
            Some(table) => Err(Error::Failed(format!("MySQL: {table} is still there")).into()),
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
            .map_err(failed)?;
        Ok(count.unwrap_or_default())
    }
}

/// Tells an outage, which may pass, from an answer of the server that stays the same: a refused user, for example.
fn failed(error: mysql::Error) -> Error {
    match &error {
        mysql::Error::MySqlError(answer) if !PASSING.contains(&answer.code) => {
            Error::Attention(format!("MySQL: {error}"))
        }
        _ => Error::failed("MySQL", error),
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

/// Whether any table could be a tenant's: one with the prefix that is neither the root site's nor the installation's own registry's.
pub(crate) fn is_any_installed(names: &BTreeSet<String>, there: &BTreeSet<String>) -> bool {
    there.iter().any(|table| {
        table.strip_prefix(PREFIX).is_some_and(|rest| {
            !rest.starts_with('_')
                && !names.contains(rest)
                && names.iter().any(|name| {
                    rest.strip_suffix(name.as_str())
                        .is_some_and(|id| id.ends_with('_'))
                })
        })
    })
}

/// Returns the tables of a tenant that are there, if all of them are certainly its own.
///
/// # Errors
/// Fails if one could be another site's.
pub(crate) fn doomed(
    id: &str,
    names: &BTreeSet<String>,
    there: &BTreeSet<String>,
    others: &[String],
) -> Result<Vec<String>, Error> {
    refuse_shared(id, names, there, others)?;
    let mut tables = of_site(id, names)?;
    tables.retain(|table| there.contains(table));
    Ok(tables)
}

/// Refuses a tenant one of whose tables has the name of another site's, since `a` with a table `tags_users` and `a_tags` with `users` are the same.
/// The other one may be the root site, one of the tenants `others`, or one that only its tables in `there` still tell of.
///
/// # Errors
/// Names the table and the other site.
pub(crate) fn refuse_shared(
    id: &str,
    names: &BTreeSet<String>,
    there: &BTreeSet<String>,
    others: &[String],
) -> Result<(), Error> {
    let own: BTreeSet<String> = of_site(id, names)?.into_iter().collect();
    let root: BTreeSet<String> = names.iter().map(|n| format!("{PREFIX}{n}")).collect();
    if let Some(table) = own.intersection(&root).next() {
        return Err(Error::Attention(format!(
            "the table {table} of {id} has the same name as one of the root site; nothing was done"
        )));
    }
    for other in rivals(id, names) {
        let theirs: BTreeSet<String> = of_site(&other, names)?.into_iter().collect();
        let Some(shared) = own.intersection(&theirs).next() else {
            continue;
        };
        let is_there = theirs.iter().find(|table| {
            there.contains(*table) && !own.contains(*table) && !root.contains(*table)
        });
        let proof = match is_there {
            Some(table) => format!("the table {table} is there"),
            None if others.contains(&other) => "it is a tenant of this cell".into(),
            None => continue,
        };
        return Err(Error::Attention(format!(
            "the table {shared} of {id} has the same name as one of {other} ({proof}); nothing was done"
        )));
    }
    Ok(())
}

/// Returns the ids whose tables can have the same name as one of this id: `a_tags` for `a`, and `a` for `a_tags`.
fn rivals(id: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let splits = |text: &str| -> Vec<(String, String)> {
        text.match_indices('_')
            .map(|(at, _)| (text[..at].to_owned(), text[at + 1..].to_owned()))
            .collect()
    };
    let longer = names
        .iter()
        .flat_map(|name| splits(name))
        .map(|(first, _)| format!("{id}_{first}"));
    let shorter = splits(id).into_iter().map(|(first, _)| first);
    longer.chain(shorter).filter(|id| is_id(id)).collect()
}

/// Returns the tables of a tenant.
fn of_site(id: &str, names: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    if !is_id(id) {
        return Err(Error::Failed("the id is none".into()));
    }
    Ok(names.iter().map(|n| format!("{PREFIX}{id}_{n}")).collect())
}

/// Returns the folder of an installation's schema: that of the newest MySQL that it has. Both name the same tables.
pub(crate) fn schema_of(installation: &Path) -> PathBuf {
    let schemas = installation.join("app/schemas");
    let found = ["mysql-8", "mysql-5", "mysql"].map(|name| schemas.join(name));
    let there = found.iter().find(|folder| folder.is_dir());
    there.unwrap_or(&found[0]).clone()
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

    use super::{doomed, is_any_installed, is_installed, names, of_site, refuse_shared};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    /// Names of the real schema.
    const REAL: [&str; 6] = [
        "albums",
        "images",
        "tags",
        "tags_albums",
        "tags_users",
        "users",
    ];

    #[test]
    fn a_table_that_could_be_another_sites_is_refused() {
        let real = set(&REAL);
        let site = |id: &str| of_site(id, &real).unwrap();
        let refused = |id: &str, there: &[String], others: &[&str]| {
            let others: Vec<String> = others.iter().map(|o| (*o).to_owned()).collect();
            refuse_shared(id, &real, &there.iter().cloned().collect(), &others)
                .err()
                .map(|e| e.to_string())
        };
        // The root site's.
        let text = refused("tags", &[], &[]).unwrap();
        assert!(
            text.contains("chv_tags_albums") && text.contains("root site"),
            "{text}"
        );
        // Another tenant's, which lives, or whose tables were kept. Both ways.
        assert_eq!(refused("a", &site("a"), &["b", "ab"]), None);
        for (id, other) in [("a", "a_tags"), ("a_tags", "a")] {
            let both = [site(id), site(other)].concat();
            let text = refused(id, &both, &[]).unwrap();
            assert!(
                text.contains(&format!("one of {other} (the table chv_")),
                "{text}"
            );
            assert!(refused(id, &site(id), &[other]).is_some());
            assert_eq!(refused(id, &site(id), &[]), None);
            assert_eq!(
                doomed(id, &real, &site(id).into_iter().collect(), &[]).unwrap(),
                site(id)
            );
        }
        // With names that cannot meet.
        let few = set(&["albums", "users"]);
        assert!(refuse_shared("a", &few, &set(&["chv_a_b_users"]), &["a_b".into()]).is_ok());
    }

    #[test]
    fn a_database_tells_whether_it_has_any_tenants_tables() {
        let real = set(&REAL);
        for (there, is_any) in [
            (vec![], false),
            (
                vec!["chv_users", "chv_tags_users", "chv__tenants", "other"],
                false,
            ),
            (vec!["chv_users", "chv_a_users"], true),
        ] {
            assert_eq!(is_any_installed(&real, &set(&there)), is_any, "{there:?}");
        }
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
