//! `audit_log`: who did what to which subject, when, in which request. It never holds a body.
//!
//! The triggers of `schema.sql` write the entries of tenants' and plans' writes. All other entries are written here.

use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Sql, Value};
use crate::store::standing;
use crate::value::clock::Timestamp;

/// The actions that the log knows. Their names are stored, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the schema's triggers write some of them")
)]
pub(crate) enum Action {
    TenantCreate,
    TenantUpdate,
    TenantDelete,
    TenantInstall,
    TenantUserPasswordReset,
    PlanCreate,
    PlanUpdate,
    PlanDelete,
    ApiKeyCreate,
    ApiKeyDelete,
    /// Values were encrypted again under a new key. Nothing that can be read changes, so Traefik's revision skips these entries.
    EnvReseal,
    /// A backup was restored.
    RegistryRestore,
}

impl Action {
    /// Every action.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::TenantCreate,
        Self::TenantUpdate,
        Self::TenantDelete,
        Self::TenantInstall,
        Self::TenantUserPasswordReset,
        Self::PlanCreate,
        Self::PlanUpdate,
        Self::PlanDelete,
        Self::ApiKeyCreate,
        Self::ApiKeyDelete,
        Self::EnvReseal,
        Self::RegistryRestore,
    ];

    /// The stored name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TenantCreate => "tenant.create",
            Self::TenantUpdate => "tenant.update",
            Self::TenantDelete => "tenant.delete",
            Self::TenantInstall => "tenant.install",
            Self::TenantUserPasswordReset => "tenant.user_password_reset",
            Self::PlanCreate => "plan.create",
            Self::PlanUpdate => "plan.update",
            Self::PlanDelete => "plan.delete",
            Self::ApiKeyCreate => "api_key.create",
            Self::ApiKeyDelete => "api_key.delete",
            Self::EnvReseal => "env.reseal",
            Self::RegistryRestore => "registry.restore",
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The caller's key, or `None` for an operator at the command line.
    pub(crate) key_id: Option<i64>,
    pub(crate) action: Action,
    /// The identifier of the subject. It is stored in lower case, since identifiers match in any case.
    pub(crate) subject: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) now: &'a Timestamp,
}

macro_rules! insert {
    ($select:expr) => {
        concat!(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ",
            $select
        )
    };
}

/// Writes an entry if the statement before it changed a row.
pub(crate) fn after_change(entry: Entry<'_>) -> Sql {
    Sql::new(insert!("?1, ?2, ?3, ?4, ?5 WHERE changes() > 0")).values([
        entry.key_id.into(),
        entry.action.as_str().into(),
        entry.subject.to_ascii_lowercase().into(),
        entry.request_id.into(),
        entry.now.as_str().into(),
    ])
}

/// Writes an entry for each row of `rows`, a table with its condition. `subject` is the expression of a row's subject. The statement
/// binds `values`, which begin with the time, to `?1` and on.
pub(crate) fn for_each(
    action: Action,
    subject: &'static str,
    rows: &'static str,
    values: impl IntoIterator<Item = Value>,
    request_id: &str,
) -> Sql {
    let values: Vec<Value> = values.into_iter().collect();
    let sql = Sql::new(insert!("NULL, ")).values(values);
    sql.bind(action.as_str())
        .sql(", ")
        .sql(subject)
        .sql(", ")
        .bind(request_id)
        .sql(", ?1 FROM ")
        .sql(rows)
}

/// Starts a transaction whose writes cannot carry a condition themselves, such as `CREATE TABLE`. Its first statement is the audit
/// entry. If the caller's key is not valid or there is no such tenant, the entry's action is `NULL`, which the table refuses, and
/// with it the whole transaction.
pub(crate) fn entered(
    caller: &Caller,
    action: Action,
    tenant_id: &str,
    request_id: &str,
    statements: impl IntoIterator<Item = Sql>,
) -> Batch {
    let entry = standing::statement(
        caller,
        insert!(concat!(
            standing::key!(id),
            ", CASE WHEN ",
            standing::standing!(),
            " AND EXISTS (SELECT 1 FROM tenants WHERE id = ?6) THEN ?4 END, ?6, ?5, ",
            standing::key!(now)
        )),
    )
    .values([
        action.as_str().into(),
        request_id.into(),
        tenant_id.to_ascii_lowercase().into(),
    ]);
    Batch::of(core::iter::once(entry).chain(statements))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::Action;

    /// The triggers have actions as literals, so a misspelt one would otherwise go unseen.
    #[test]
    fn the_triggers_name_known_actions_only() {
        let schema = include_str!("../../../../schema.sql");
        let written: Vec<&str> = schema
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(|line| line.split('\'').skip(1).step_by(2))
            .filter(|literal| literal.contains('.'))
            .collect();
        for action in &written {
            let known = Action::ALL.iter().any(|known| known.as_str() == *action);
            assert!(known, "{action}");
        }
        let mut by_trigger: Vec<String> = written.iter().map(|&action| action.into()).collect();
        by_trigger.sort_unstable();
        assert_eq!(
            by_trigger,
            [
                "plan.create",
                "plan.delete",
                "plan.update",
                "tenant.create",
                "tenant.delete",
                "tenant.install",
                "tenant.update"
            ]
        );
    }

    #[test]
    fn no_two_actions_share_a_name() {
        let mut names = Action::ALL.map(Action::as_str);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
