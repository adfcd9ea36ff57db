//! A tenant's own tables (contract §8): the statements that install, drop and change them. `site_schema.rs` has the tables.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Results, Sql, unexpected_result};
use crate::store::audit::{self, Action, Author, Entry};
use crate::store::deleted;
use crate::store::idempotency::{Idempotency, Past, Remembered};
use crate::store::registry;
use crate::store::site_databases::{self, Place, has_site, not_done};
use crate::store::site_schema::{self, TABLES};
use crate::store::standing::{self, Judged, standing};
use crate::store::write::Writer;
use crate::value::fault::ApiError;
use crate::value::id::TenantId;
use crate::value::random::Random;
use crate::value::table_name::{TableNames, TablePrefix};
use crate::value::user::{Email, Username};

/// One tenant's site, as a request of a caller sees it. It owns all it needs, so that a request may carry it from batch to batch.
#[derive(Debug)]
pub(crate) struct Site {
    caller: Caller,
    request_id: String,
    idempotency: Option<Idempotency>,
    id: TenantId,
    names: TableNames,
    /// The names that its tables have if they are in the registry, though new sites have a database each.
    in_registry: Option<TableNames>,
    /// The name by which the registry finds it.
    key: String,
    /// Whether its deletion wipes everything else of the tenant, too, which may be a deleted one.
    erases: bool,
}

/// The refusal of a write of a site that is being moved (contract §19).
pub(crate) fn is_moved() -> ApiError {
    ApiError::Unavailable("the site is being moved".into())
}

/// The refusal of work on a site that has a database of its own, if the isolation mode is `table`.
pub(crate) fn is_out_of_reach() -> ApiError {
    ApiError::Unavailable(
        "the site has a database of its own, which CHEVERETO_TENANTS_DB_ISOLATION_MODE does not reach".into(),
    )
}

/// The administrator of a new site. The password is hashed already.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    pub(crate) username: &'a Username,
    pub(crate) email: &'a Email,
    pub(crate) password_hash: String,
}

impl Site {
    pub(crate) fn of(
        caller: &Caller,
        request_id: &str,
        idempotency: Option<&Idempotency>,
        id: TenantId,
        prefix: &TablePrefix,
    ) -> Self {
        Self {
            caller: caller.clone(),
            request_id: request_id.into(),
            idempotency: idempotency.cloned(),
            names: TableNames::of(prefix, &id),
            in_registry: prefix
                .is_apart()
                .then(|| TableNames::in_registry(prefix, &id)),
            key: site_schema::key(prefix, &id),
            erases: false,
            id,
        }
    }

    /// The caller as the author of a write. A request that is refused in its first batch needs none.
    pub(crate) fn writer(&self, random: &mut dyn Random) -> Result<Writer, ApiError> {
        Writer::new(
            &self.caller,
            &self.request_id,
            self.idempotency.as_ref(),
            random,
        )
    }

    /// The tenant's id, as the request spells it.
    pub(crate) fn id(&self) -> &TenantId {
        &self.id
    }

    /// Creates the tables and the administrator; a trigger of the audit entry notes that there is a site to count. The result is an [`Installed`].
    pub(crate) fn install(&self, writer: &Writer, admin: Admin<'_>) -> Batch {
        let insert = self
            .insert(writer, admin, " VALUES (")
            .sql(") RETURNING username, email, (SELECT id FROM tenants WHERE id = ")
            .bind(self.id.as_str())
            .sql(") AS tenant_id");
        let remember = self.remember(writer, None, |sql| {
            sql.sql("json_array(id) FROM tenants WHERE id = ")
                .bind(self.id.as_str())
        });
        let mut all = Vec::from([site_databases::yield_to_tables(&self.id)]);
        all.extend(remember);
        all.extend(site_schema::create(&self.names));
        all.push(insert);
        self.entered(writer, Action::TenantInstall, None, all)
    }

    /// Adds the administrator, up to the end of its values. `values` comes before them.
    fn insert(&self, writer: &Writer, admin: Admin<'_>, values: &'static str) -> Sql {
        Sql::new("INSERT INTO ")
            .name(&self.names.name(site_schema::USERS))
            .sql(" (username, email, password_hash, is_admin, is_manager, created_at)")
            .sql(values)
            .bind(admin.username.as_str())
            .sql(", ")
            .bind(admin.email.as_str())
            .sql(", ")
            .bind(admin.password_hash)
            .sql(", 1, 0, ")
            .bind(writer.now().as_str())
    }

    /// Changes a user's password, which is `secret`, encrypted, if it was generated. The first statement returns the user's name; the last one
    /// returns [`Obstacles`]. If the log has the write's
    /// token, nothing changes, and the results are the same.
    pub(crate) fn reset_password(
        &self,
        writer: &Writer,
        username: &Username,
        password_hash: String,
        secret: Option<String>,
    ) -> Batch {
        let update = standing::statement(writer, "UPDATE ")
            .name(&self.names.name(site_schema::USERS))
            .sql(" SET password_hash = iif(EXISTS (SELECT 1 FROM audit_log WHERE token = ")
            .bind(writer.token())
            .sql("), password_hash, ")
            .bind(password_hash)
            .sql(concat!(
                ") WHERE ",
                standing!(),
                " AND EXISTS (SELECT 1 FROM tenants WHERE id = "
            ))
            .bind(self.id.as_str())
            .sql(") AND username = ")
            .bind(username.as_str())
            .sql(" AND ");
        let update = site_databases::if_tables_count(update, &self.id);
        let update = match &self.idempotency {
            None => update,
            Some(idempotency) => idempotency.known(update.sql(" AND NOT ")),
        };
        let update = update.sql(" RETURNING username");
        let remember = self.remember(writer, secret, |sql| {
            sql.sql("json_array(username) FROM ")
                .name(&self.names.name(site_schema::USERS))
                .sql(" WHERE username = ")
                .bind(username.as_str())
        });
        let entry = audit::after_change(Entry {
            author: Author::Caller(writer),
            action: Action::TenantUserPasswordReset,
            subject: self.id.as_str(),
            now: writer.now(),
        });
        let first = [update, entry].into_iter();
        Batch::of(first.chain(remember).chain([self.obstacles()]))
    }

    /// Reads whether there is a user with this name. The caller's key was judged before.
    pub(crate) fn user(&self, username: &Username) -> Batch {
        let read = Sql::new("SELECT 1 AS is_there FROM ")
            .name(&self.names.name(site_schema::USERS))
            .sql(" WHERE username = ")
            .bind(username.as_str());
        if self.is_apart() {
            site_databases::read(&self.id, read)
        } else {
            Batch::one(read)
        }
    }

    /// Whether the site has a database of its own. The functions whose names begin with `apart` are for such sites.
    pub(crate) fn is_apart(&self) -> bool {
        self.names.are_apart()
    }

    /// The site of an installed tenant, where its tables are.
    ///
    /// # Errors
    /// 503 while it is moved, or if the host does not reach its database.
    pub(crate) fn at(mut self, place: Place) -> Result<Self, ApiError> {
        match place {
            Place::Moving => return Err(is_moved()),
            Place::Database if !self.is_apart() => return Err(is_out_of_reach()),
            Place::Database => {}
            Place::Registry => self.names = self.in_registry.take().unwrap_or(self.names),
        }
        Ok(self)
    }

    /// Gives a write of the site its number. The first result is a [`Claim`](site_databases::Claim); the last one is [`Obstacles`].
    pub(crate) fn apart_claim(&self, writer: &Writer, state: i64, secret: Option<&str>) -> Batch {
        let claim = site_databases::claim(writer, &self.id, &self.key, state);
        let begin = (writer.idempotency().zip(secret))
            .map(|(idempotency, secret)| idempotency.begin(writer, &self.id, secret));
        let all = [claim].into_iter().chain(begin);
        Batch::of(all.chain([self.obstacles()]))
    }

    /// Creates the tables and the administrator. The database may have tables already: an installation that was cut off made them, whose users
    /// nobody knows, or it had a site that the registry knows no more, since it was restored. None of their rows stays.
    pub(crate) fn apart_install(&self, writer: &Writer, number: i64, admin: Admin<'_>) -> Batch {
        let insert = self.insert(writer, admin, " SELECT ").sql(" WHERE ");
        let mut statements: Vec<Sql> = site_schema::create(&self.names).collect();
        statements.extend(TABLES.iter().map(|table| {
            let delete = Sql::new("DELETE FROM ").name(&self.names.name(table.name));
            not_done(delete.sql(" WHERE "), number)
        }));
        statements.push(not_done(insert, number));
        site_databases::work(&self.id, number, statements)
    }

    /// Changes a user's password. The third result is the user's name.
    pub(crate) fn apart_reset(&self, number: i64, username: &Username, hash: &str) -> Batch {
        let update = Sql::new("UPDATE ")
            .name(&self.names.name(site_schema::USERS))
            .sql(" SET password_hash = iif(");
        let update = not_done(update, number)
            .sql(", ")
            .bind(hash)
            .sql(", password_hash) WHERE username = ")
            .bind(username.as_str())
            .sql(" RETURNING username");
        site_databases::work(&self.id, number, [update].into())
    }

    /// Notes that the work under a number is done, with its audit entry and the response to remember: `answer`, and `secret`, encrypted. The
    /// first result has a row if so; the last one is an [`Aftermath`].
    pub(crate) fn apart_finish(
        &self,
        writer: &Writer,
        number: i64,
        action: Action,
        answer: &str,
        secret: Option<String>,
    ) -> Batch {
        let finish = site_databases::finish(&self.id, number);
        let entry = audit::after_change(Entry {
            author: Author::Caller(writer),
            action,
            subject: self.id.as_str(),
            now: writer.now(),
        });
        let remember = self.remember(writer, secret, |sql| {
            sql.sql("json_array(").bind(answer).sql(") WHERE 1")
        });
        let mut all = Vec::from([finish, entry]);
        all.extend(remember);
        all.push(self.aftermath(writer));
        Batch::of(all)
    }

    /// Drops the tables under a number.
    pub(crate) fn apart_drop(&self, number: i64) -> Batch {
        let drops = site_schema::drop(&self.names).collect();
        site_databases::work(&self.id, number, drops)
    }

    /// Deletes the tenant and drops all of its tables, also those in the registry of a site that was installed before there were databases.
    /// Those in a database of their own are only marked: the last result is the number of that work, if there is any.
    pub(crate) fn delete(&self, writer: &Writer) -> Batch {
        let delete = Sql::new("DELETE FROM tenants WHERE id = ").bind(self.id.as_str());
        let remember = self.remember(writer, None, |sql| sql.sql("json_array() WHERE 1"));
        let mut all: Vec<Sql> = remember.into_iter().chain([delete]).collect();
        let names = self.in_registry.as_ref().unwrap_or(&self.names);
        all.extend(site_schema::drop(names));
        all.push(site_databases::condemn(&self.id, writer.now()));
        let dropped = Some(audit::TABLES_DROPPED);
        let batch = self.entered(writer, Action::TenantDelete, dropped, all);
        if self.erases {
            batch.after(deleted::erase(writer, &self.id))
        } else {
            batch
        }
    }

    /// The same site, whose deletion wipes everything else of the tenant, too.
    pub(crate) fn erasing(self) -> Self {
        Self {
            erases: true,
            ..self
        }
    }

    /// Reads the obstacles that each of these can meet. The table is looked up by its name, since `sqlite_master` has no index and
    /// a dozen rows a tenant.
    pub(crate) fn obstacles(&self) -> Sql {
        let sql = standing::statement(
            &self.caller,
            concat!(
                "SELECT ",
                standing!(),
                " AS standing, EXISTS (SELECT 1 FROM tenants WHERE id = ?5) AS tenant_is_there, ",
                has_site!("?6", "?5"),
                " AS is_installed, EXISTS (SELECT 1 FROM tenants WHERE id = ?5 AND cell_id IS NOT NULL) AS has_cell, \
                 (SELECT state FROM site_databases WHERE tenant_id = ?5) AS place"
            ),
        )
        .values([self.id.as_str().into(), self.key.as_str().into()]);
        self.recalled(sql, None)
    }

    /// Reads, after a batch that failed, whether it was committed all the same, and the obstacles. The result is an [`Aftermath`].
    pub(crate) fn aftermath(&self, writer: &Writer) -> Sql {
        macro_rules! found {
            ($or_deleted:literal, $or_its_cell:literal) => {
                concat!(
                    "SELECT ",
                    standing!(),
                    " AS standing, EXISTS (SELECT 1 FROM audit_log WHERE token = ?7) AS is_done, (SELECT id FROM tenants WHERE id = ?5",
                    $or_deleted,
                    ") AS tenant_id, EXISTS (SELECT 1 FROM tenants WHERE id = ?5 AND deletion_protection = 1) AS is_protected, ",
                    has_site!("?6", "?5"),
                    " AS is_installed, EXISTS (SELECT 1 FROM tenants WHERE id = ?5 AND cell_id IS NOT NULL",
                    $or_its_cell,
                    ") AS has_cell, "
                )
            };
        }
        let text = if self.erases {
            found!(
                " UNION ALL SELECT id FROM deleted_tenants WHERE id = ?5 UNION ALL SELECT k.tenant_id FROM kept_sites AS k, cells AS c \
                 WHERE k.tenant_id = ?5 AND k.job_id IS NULL AND c.id = k.cell_id LIMIT 1",
                " UNION ALL SELECT 1 FROM deleted_tenants AS d, cells AS c WHERE d.id = ?5 AND c.id = d.cell_id \
                 AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = ?5) \
                 UNION ALL SELECT 1 FROM kept_sites AS k, cells AS c WHERE k.tenant_id = ?5 AND k.job_id IS NULL AND c.id = k.cell_id \
                 AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = ?5)"
            )
        } else {
            found!("", "")
        };
        let sql = standing::statement(writer, text).values([
            self.id.as_str().into(),
            self.key.as_str().into(),
            writer.token().into(),
        ]);
        let token = sql.bound();
        let sql = match writer.revisions() {
            None => sql.sql("1 AS holds"),
            Some(revisions) => {
                let sql = sql.sql("EXISTS (SELECT 1 FROM tenants WHERE id = ?5 AND ");
                registry::is_one_of(sql, revisions).sql(") AS holds")
            }
        };
        self.recalled(sql, Some(token))
    }

    /// Adds the column of what is remembered, if the request has an `Idempotency-Key`. [`past`] reads it.
    fn recalled(&self, sql: Sql, token: Option<usize>) -> Sql {
        let Some(idempotency) = &self.idempotency else {
            return sql;
        };
        let sql = sql.values([idempotency.key()]);
        let key = sql.bound();
        idempotency
            .recall(sql.sql(", "), key, token)
            .sql(" AS remembered")
    }

    /// The statement that remembers a response, if the request has an `Idempotency-Key`.
    fn remember(
        &self,
        writer: &Writer,
        secret: Option<String>,
        answer: impl FnOnce(Sql) -> Sql,
    ) -> Option<Sql> {
        let idempotency = writer.idempotency()?;
        let secret = Remembered::OfSite {
            tenant: &self.id,
            secret,
        };
        Some(idempotency.remember(writer, writer.token(), secret, answer))
    }

    fn entered(
        &self,
        writer: &Writer,
        action: Action,
        detail: Option<&str>,
        statements: Vec<Sql>,
    ) -> Batch {
        audit::entered(writer, action, self.id.as_str(), detail, statements)
    }
}

/// Reads the column of what is remembered, which the row has if the request has an `Idempotency-Key`. It may be begun only.
fn past(row: &mut Judged) -> Result<Option<Past>, ApiError> {
    if row.is_empty() {
        return Ok(None);
    }
    Past::remembered(row)
}

/// The state of a site whose tenant exists, or the same request, carried out before.
#[derive(Debug)]
pub(crate) struct Obstacles {
    pub(crate) is_installed: bool,
    /// The site is on a cell, and not in this database.
    pub(crate) has_cell: bool,
    /// The place of an installed site.
    pub(crate) place: Place,
    pub(crate) past: Option<Past>,
    /// The same request, begun before: the fingerprint and the secret, encrypted for its place.
    pub(crate) begun: Option<(String, String)>,
}

impl Obstacles {
    /// Reads the row of [`Site::obstacles`], the last result.
    ///
    /// # Errors
    /// 401 or 403 by the key's standing, 422 if the `Idempotency-Key` belongs to another request, 404 if there is no such tenant.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = last(results)?;
        let tenant_is_there = row.boolean("tenant_is_there")?;
        let is_installed = row.boolean("is_installed")?;
        let has_cell = row.boolean("has_cell")?;
        let place = Place::of(row.optional_integer("place")?);
        let (past, begun) = match past(&mut row)? {
            Some(past) if past.is_begun => (None, past.secret),
            past => (past, None),
        };
        if !tenant_is_there && past.is_none() {
            return Err(ApiError::NotFound { what: "tenant" });
        }
        Ok(Self {
            is_installed,
            has_cell,
            place,
            past,
            begun,
        })
    }
}

/// The state of a site after a batch that failed.
#[derive(Debug)]
pub(crate) struct Aftermath {
    /// Whether the batch was committed all the same.
    pub(crate) is_done: bool,
    /// The tenant's id as it was created. `None` if there is no such tenant.
    pub(crate) tenant_id: Option<String>,
    /// Nothing deletes the tenant.
    pub(crate) is_protected: bool,
    pub(crate) is_installed: bool,
    /// The site is on a cell, and not in this database.
    pub(crate) has_cell: bool,
    /// The tenant has one of the revisions that the request wants.
    pub(crate) holds: bool,
    /// The same request, carried out before: by an earlier try, or by another request with the same `Idempotency-Key`.
    pub(crate) past: Option<Past>,
}

impl Aftermath {
    /// Reads the row of [`Site::aftermath`], the last result.
    ///
    /// # Errors
    /// 401 or 403 by the key's standing, 422 if the `Idempotency-Key` belongs to another request.
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = last(results)?;
        Ok(Self {
            is_done: row.boolean("is_done")?,
            tenant_id: row.optional_text("tenant_id")?,
            is_protected: row.boolean("is_protected")?,
            is_installed: row.boolean("is_installed")?,
            has_cell: row.boolean("has_cell")?,
            holds: row.boolean("holds")?,
            past: past(&mut row)?.filter(|past| !past.is_begun),
        })
    }
}

/// Judges the row of the last result.
fn last(results: &mut Results) -> Result<Judged, ApiError> {
    let row = results
        .last()?
        .ok_or_else(|| unexpected_result("no row of obstacles".into()))?;
    standing::judge(row)
}

/// The result of an installation.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) tenant_id: String,
    pub(crate) username: String,
    pub(crate) email: String,
}

impl Installed {
    /// Reads the results of [`Site::install`].
    pub(crate) fn decode(results: &mut Results) -> Result<Self, ApiError> {
        let mut row = results
            .last()?
            .ok_or_else(|| unexpected_result("no administrator".into()))?;
        Ok(Self {
            username: row.text("username")?,
            email: row.text("email")?,
            tenant_id: row.text("tenant_id")?,
        })
    }
}
