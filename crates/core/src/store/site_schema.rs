//! The schema of a tenant's own tables. A site keeps its users, albums and files in them, and its statistics are counted from them.
//!
//! The schema is this service's own, for SQLite. Times are UTC, `YYYY-MM-DD HH:MM:SS`. All tenants' tables may be in one database, and
//! SQLite keeps every definition in memory, so each tenant has few tables and few indexes. There are no foreign keys: each would need
//! another index on the child table, and tables would have to be dropped in the keys' order.
//!
//! INVARIANT: these texts have no line break, no quote and no literal, so quoted names are the only variable part of a statement's text.

use alloc::format;
use alloc::string::String;

use crate::sql::{Sql, Value};
use crate::value::id::TenantId;
use crate::value::table_name::{TableNames, TablePrefix};

/// A table that every installed tenant has.
#[derive(Debug)]
pub(crate) struct Table {
    /// The table's part of the name. `value/table_name.rs` has the rules for it.
    pub(crate) name: &'static str,
    /// The rest of `CREATE TABLE` after the name: columns, constraints and options.
    definition: &'static str,
    /// The columns, those of the primary key first.
    pub(crate) columns: &'static [&'static str],
    /// The number of columns of the primary key. In its order, a table has no two equal rows.
    pub(crate) keys: usize,
    indexes: &'static [Index],
}

#[derive(Debug)]
struct Index {
    /// The index's part of the name. Indexes and tables share one namespace.
    name: &'static str,
    columns: &'static str,
}

pub(crate) const ALBUMS: &str = "albums";
pub(crate) const CATEGORIES: &str = "categories";
pub(crate) const FILES: &str = "files";
pub(crate) const JOBS: &str = "jobs";
pub(crate) const LIKES: &str = "likes";
pub(crate) const LOGIN_PROVIDERS: &str = "login_providers";
pub(crate) const PAGES: &str = "pages";
pub(crate) const STORAGES: &str = "storages";
pub(crate) const TAGS: &str = "tags";
/// A tenant is installed if it has this table.
pub(crate) const USERS: &str = "users";

/// All tables of a tenant.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: USERS,
        definition: "(id INTEGER PRIMARY KEY, \
             username TEXT NOT NULL UNIQUE COLLATE NOCASE, \
             email TEXT NOT NULL UNIQUE COLLATE NOCASE, \
             password_hash TEXT NOT NULL, \
             is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)), \
             is_manager INTEGER NOT NULL CHECK (is_manager IN (0, 1)), \
             created_at TEXT NOT NULL) STRICT",
        columns: &[
            "id",
            "username",
            "email",
            "password_hash",
            "is_admin",
            "is_manager",
            "created_at",
        ],
        keys: 1,
        indexes: &[],
    },
    Table {
        name: "settings",
        definition: "(name TEXT NOT NULL PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID",
        columns: &["name", "value"],
        keys: 1,
        indexes: &[],
    },
    // The site's own periodic jobs, one row a kind: the time of the last run, and its duration in seconds.
    Table {
        name: JOBS,
        definition: "(name TEXT NOT NULL PRIMARY KEY, \
             last_ran_at TEXT NOT NULL, \
             duration_s INTEGER NOT NULL CHECK (duration_s >= 0)) STRICT, WITHOUT ROWID",
        columns: &["name", "last_ran_at", "duration_s"],
        keys: 1,
        indexes: &[],
    },
    // Storage for files besides the site's own disk.
    Table {
        name: STORAGES,
        definition: "(id INTEGER PRIMARY KEY, \
             name TEXT NOT NULL, \
             url TEXT NOT NULL, \
             is_active INTEGER NOT NULL CHECK (is_active IN (0, 1))) STRICT",
        columns: &["id", "name", "url", "is_active"],
        keys: 1,
        indexes: &[],
    },
    Table {
        name: CATEGORIES,
        definition: "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, url_key TEXT NOT NULL UNIQUE) STRICT",
        columns: &["id", "name", "url_key"],
        keys: 1,
        indexes: &[],
    },
    // If `user_id` is NULL, the album is a guest's.
    Table {
        name: ALBUMS,
        definition: "(id INTEGER PRIMARY KEY, \
             user_id INTEGER, \
             title TEXT NOT NULL, \
             description TEXT, \
             is_private INTEGER NOT NULL CHECK (is_private IN (0, 1)), \
             views INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0), \
             created_at TEXT NOT NULL) STRICT",
        columns: &[
            "id",
            "user_id",
            "title",
            "description",
            "is_private",
            "views",
            "created_at",
        ],
        keys: 1,
        indexes: &[Index {
            name: "albums_by_user",
            columns: "(user_id)",
        }],
    },
    // If `user_id` is NULL, the file is a guest's. If `storage_id` is NULL, it is on the site's own disk.
    Table {
        name: FILES,
        definition: "(id INTEGER PRIMARY KEY, \
             user_id INTEGER, \
             album_id INTEGER, \
             category_id INTEGER, \
             storage_id INTEGER, \
             name TEXT NOT NULL, \
             media_type TEXT NOT NULL, \
             size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0), \
             width_px INTEGER, \
             height_px INTEGER, \
             title TEXT, \
             description TEXT, \
             views INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0), \
             created_at TEXT NOT NULL) STRICT",
        columns: &[
            "id",
            "user_id",
            "album_id",
            "category_id",
            "storage_id",
            "name",
            "media_type",
            "size_bytes",
            "width_px",
            "height_px",
            "title",
            "description",
            "views",
            "created_at",
        ],
        keys: 1,
        indexes: &[
            Index {
                name: "files_by_album",
                columns: "(album_id)",
            },
            Index {
                name: "files_by_user",
                columns: "(user_id)",
            },
        ],
    },
    Table {
        name: TAGS,
        definition: "(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE) STRICT",
        columns: &["id", "name"],
        keys: 1,
        indexes: &[],
    },
    // The tags of files. It is not called `files_tags`: the `files_tags` of a tenant `a` would have the same name as the `tags` of a tenant
    // `a_files`.
    Table {
        name: "tagged",
        definition: "(tag_id INTEGER NOT NULL, file_id INTEGER NOT NULL, PRIMARY KEY (tag_id, file_id)) STRICT, WITHOUT ROWID",
        columns: &["tag_id", "file_id"],
        keys: 2,
        indexes: &[],
    },
    // A user can like a file or an album once.
    Table {
        name: LIKES,
        definition: "(id INTEGER PRIMARY KEY, \
             user_id INTEGER NOT NULL, \
             file_id INTEGER, \
             album_id INTEGER, \
             created_at TEXT NOT NULL, \
             UNIQUE (file_id, user_id), \
             UNIQUE (album_id, user_id), \
             CHECK ((file_id IS NULL) <> (album_id IS NULL))) STRICT",
        columns: &["id", "user_id", "file_id", "album_id", "created_at"],
        keys: 1,
        indexes: &[],
    },
    Table {
        name: PAGES,
        definition: "(id INTEGER PRIMARY KEY, \
             url_key TEXT NOT NULL UNIQUE, \
             title TEXT NOT NULL, \
             body TEXT NOT NULL, \
             is_active INTEGER NOT NULL CHECK (is_active IN (0, 1))) STRICT",
        columns: &["id", "url_key", "title", "body", "is_active"],
        keys: 1,
        indexes: &[],
    },
    // Other services that users may sign in with.
    Table {
        name: LOGIN_PROVIDERS,
        definition: "(id INTEGER PRIMARY KEY, \
             name TEXT NOT NULL UNIQUE, \
             is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1))) STRICT",
        columns: &["id", "name", "is_enabled"],
        keys: 1,
        indexes: &[],
    },
    // The accounts of users at those services.
    Table {
        name: "connections",
        definition: "(provider_id INTEGER NOT NULL, \
             subject TEXT NOT NULL, \
             user_id INTEGER NOT NULL, \
             PRIMARY KEY (provider_id, subject)) STRICT, WITHOUT ROWID",
        columns: &["provider_id", "subject", "user_id"],
        keys: 2,
        indexes: &[],
    },
];

/// The name by which the registry finds a tenant's site: that of the users' table in the registry.
pub(crate) fn key(prefix: &TablePrefix, tenant: &TenantId) -> String {
    let names = TableNames::in_registry(prefix, tenant);
    names.name(USERS).as_str().into()
}

/// What comes before a tenant's id in lower case in the name of [`key`], and what comes after it.
pub(crate) fn around_key(prefix: &TablePrefix) -> [Value; 2] {
    [prefix.as_str().into(), format!("_{USERS}").into()]
}

/// The statements that create all of a tenant's tables. If a table exists already, its statement fails, or does nothing in a database of the
/// tenant's own (`store/site_databases.rs`).
pub(crate) fn create(names: &TableNames) -> impl Iterator<Item = Sql> {
    create_all(names, names.are_apart())
}

/// The statements that create those of a tenant's tables that are missing.
pub(crate) fn complete(names: &TableNames) -> impl Iterator<Item = Sql> {
    create_all(names, true)
}

fn create_all(names: &TableNames, may_exist: bool) -> impl Iterator<Item = Sql> {
    TABLES.iter().flat_map(move |table| {
        let name = names.name(table.name);
        let (create_table, create_index) = if may_exist {
            ("CREATE TABLE IF NOT EXISTS ", "CREATE INDEX IF NOT EXISTS ")
        } else {
            ("CREATE TABLE ", "CREATE INDEX ")
        };
        let make = Sql::new(create_table)
            .name(&name)
            .sql(" ")
            .sql(table.definition);
        let indexes = table.indexes.iter().map(move |index| {
            Sql::new(create_index)
                .name(&names.name(index.name))
                .sql(" ON ")
                .name(&name)
                .sql(" ")
                .sql(index.columns)
        });
        core::iter::once(make).chain(indexes)
    })
}

/// The statements that drop all of a tenant's tables and their indexes. Missing tables are ignored.
pub(crate) fn drop(names: &TableNames) -> impl Iterator<Item = Sql> {
    TABLES
        .iter()
        .map(|table| Sql::new("DROP TABLE IF EXISTS ").name(&names.name(table.name)))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::TABLES;

    /// The part of every name after the tenant and `_`.
    fn parts() -> Vec<&'static str> {
        TABLES
            .iter()
            .flat_map(|t| core::iter::once(t.name).chain(t.indexes.iter().map(|i| i.name)))
            .collect()
    }

    fn ends_in(name: &str, part: &str) -> bool {
        name.strip_suffix(part)
            .is_some_and(|rest| rest.ends_with('_'))
    }

    #[test]
    fn the_columns_of_a_table_are_those_of_its_definition() {
        for table in TABLES {
            assert!(table.columns.len() <= 14, "store/moves.rs has as many");
            for column in table.columns {
                let text = alloc::format!("{column} ");
                assert!(table.definition.contains(&text), "{}: {column}", table.name);
            }
            let types = [" INTEGER", " TEXT"];
            let typed: usize = types
                .iter()
                .map(|t| table.definition.matches(t).count())
                .sum();
            assert_eq!(table.columns.len(), typed, "{}", table.name);
        }
    }

    #[test]
    fn no_part_of_a_name_ends_in_another() {
        let parts = parts();
        assert!(parts.len() > TABLES.len());
        for (i, one) in parts.iter().enumerate() {
            assert!(
                one.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{one}"
            );
            for (j, other) in parts.iter().enumerate() {
                assert!(
                    i == j || (one != other && !ends_in(one, other)),
                    "{one}, {other}"
                );
            }
        }
        assert!(ends_in("files_tags", "tags"), "it would be seen");
    }

    /// Covers every name of the schema, and the names that SQLite and D1 create for themselves.
    #[test]
    fn no_name_of_the_registry_ends_in_a_part() {
        let schema = concat!(
            include_str!("../../../../schema.sql"),
            include_str!("../../../../schema_writes.sql")
        );
        let made = schema.lines().filter_map(|line| {
            let mut words = line.strip_prefix("CREATE ")?.split_whitespace();
            words.find(|w| matches!(*w, "TABLE" | "INDEX" | "VIEW" | "TRIGGER"))?;
            words.next()
        });
        let made: Vec<&str> = made.collect();
        for known in ["api_keys", "tenants", "tenants_plans", "audit_log"] {
            assert!(made.contains(&known), "{made:?}");
        }
        for name in made.into_iter().chain([
            "d1_migrations",
            "sqlite_sequence",
            "sqlite_master",
            "sqlite_schema",
            "sqlite_stat1",
            "sqlite_stat4",
            "_cf_KV",
            "_cf_METADATA",
        ]) {
            for part in parts() {
                assert!(!ends_in(&name.to_ascii_lowercase(), part), "{name}, {part}");
            }
        }
    }

    #[test]
    fn no_text_has_a_literal_or_a_line_break() {
        for table in TABLES {
            for text in table
                .indexes
                .iter()
                .map(|i| i.columns)
                .chain([table.definition])
            {
                assert!(!text.contains(['\n', '\'', '"', ';', '?']), "{text}");
            }
        }
    }
}
