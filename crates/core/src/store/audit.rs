//! `audit_log`: who did what to which subject, when, in which request. It never holds a body.
//!
//! The triggers of `schema_writes.sql` write the entries of the writes that go through its views. All other entries are written here.

use alloc::format;
use alloc::vec::Vec;

use crate::sql::{Batch, Sql, Value};
use crate::store::registry;
use crate::store::standing;
use crate::store::write::Writer;
use crate::value::clock::Timestamp;
use crate::value::id::TenantId;
use crate::value::run::Run;

/// The actions that the log knows. Their names are stored, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// An operator took over a key of a Chevereto installation.
    ApiKeyImport,
    ApiKeyUpdate,
    ApiKeyRotate,
    ApiKeyDelete,
    /// Values were encrypted again under a new key. Nothing that can be read changes, so Traefik's revision skips these entries.
    EnvReseal,
    /// An operator dropped the tables that a deleted tenant had left.
    TablesDrop,
    /// A backup was restored.
    RegistryRestore,
    TenantMove,
    /// A deleted tenant was brought back.
    TenantRestore,
    /// An operator has a site moved into a database of its own, or back.
    TenantSiteMove,
    TenantHold,
    /// Somebody lifted a hold, or its time was over.
    TenantRelease,
    CellCreate,
    CellUpdate,
    CellDelete,
    JobCreate,
    JobFinish,
    JobCancel,
    /// Somebody signed in to the console.
    SessionCreate,
    SessionDelete,
    WebhookCreate,
    WebhookUpdate,
    WebhookDelete,
    WebhookRotate,
    /// Somebody asked to send an event again.
    WebhookRetry,
    /// Its receiver accepted nothing for three days.
    WebhookDisable,
}

impl Action {
    /// Every action.
    pub(crate) const ALL: [Self; 35] = [
        Self::TenantCreate,
        Self::TenantUpdate,
        Self::TenantDelete,
        Self::TenantInstall,
        Self::TenantUserPasswordReset,
        Self::PlanCreate,
        Self::PlanUpdate,
        Self::PlanDelete,
        Self::ApiKeyCreate,
        Self::ApiKeyImport,
        Self::ApiKeyUpdate,
        Self::ApiKeyRotate,
        Self::ApiKeyDelete,
        Self::EnvReseal,
        Self::TablesDrop,
        Self::RegistryRestore,
        Self::TenantMove,
        Self::TenantRestore,
        Self::TenantSiteMove,
        Self::TenantHold,
        Self::TenantRelease,
        Self::CellCreate,
        Self::CellUpdate,
        Self::CellDelete,
        Self::JobCreate,
        Self::JobFinish,
        Self::JobCancel,
        Self::SessionCreate,
        Self::SessionDelete,
        Self::WebhookCreate,
        Self::WebhookUpdate,
        Self::WebhookDelete,
        Self::WebhookRotate,
        Self::WebhookRetry,
        Self::WebhookDisable,
    ];

    /// The type of the subject: the name up to the full stop.
    pub(crate) fn subject_type(self) -> &'static str {
        subject_type(self.as_str())
    }

    /// The type of its event (contract §17), which is public, and never changes; `None` if it has none. Nothing that can be read changes by an
    /// encryption under a new key. A restore begins a new epoch, and every reader's cursor tells it so.
    pub(crate) fn event(self) -> Option<&'static str> {
        Some(match self {
            Self::TenantCreate => "tenant.created",
            Self::TenantUpdate => "tenant.updated",
            Self::TenantDelete => "tenant.deleted",
            Self::TenantInstall => "tenant.installed",
            Self::TenantUserPasswordReset => "tenant.user_password_reset",
            Self::PlanCreate => "plan.created",
            Self::PlanUpdate => "plan.updated",
            Self::PlanDelete => "plan.deleted",
            Self::ApiKeyCreate => "key.created",
            Self::ApiKeyImport => "key.imported",
            Self::ApiKeyUpdate => "key.updated",
            Self::ApiKeyRotate => "key.rotated",
            Self::ApiKeyDelete => "key.deleted",
            Self::TablesDrop => "tenant.tables_dropped",
            Self::TenantMove => "tenant.moved",
            Self::TenantRestore => "tenant.restored",
            Self::TenantSiteMove => "tenant.site_moved",
            Self::TenantHold => "tenant.held",
            Self::TenantRelease => "tenant.released",
            Self::CellCreate => "cell.created",
            Self::CellUpdate => "cell.updated",
            Self::CellDelete => "cell.deleted",
            Self::JobCreate => "job.created",
            Self::JobFinish => "job.finished",
            Self::JobCancel => "job.cancelled",
            Self::SessionCreate => "session.created",
            Self::SessionDelete => "session.deleted",
            Self::WebhookCreate => "webhook.created",
            Self::WebhookUpdate => "webhook.updated",
            Self::WebhookDelete => "webhook.deleted",
            Self::WebhookRotate => "webhook.rotated",
            Self::WebhookRetry => "webhook.retried",
            Self::WebhookDisable => "webhook.disabled",
            Self::EnvReseal | Self::RegistryRestore => return None,
        })
    }

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
            Self::ApiKeyImport => "api_key.import",
            Self::ApiKeyUpdate => "api_key.update",
            Self::ApiKeyRotate => "api_key.rotate",
            Self::ApiKeyDelete => "api_key.delete",
            Self::EnvReseal => "env.reseal",
            Self::TablesDrop => "tenant.drop_tables",
            Self::RegistryRestore => "registry.restore",
            Self::TenantMove => "tenant.move",
            Self::TenantRestore => "tenant.restore",
            Self::TenantSiteMove => "tenant.site_move",
            Self::TenantHold => "tenant.hold",
            Self::TenantRelease => "tenant.release",
            Self::CellCreate => "cell.create",
            Self::CellUpdate => "cell.update",
            Self::CellDelete => "cell.delete",
            Self::JobCreate => "job.create",
            Self::JobFinish => "job.finish",
            Self::JobCancel => "job.cancel",
            Self::SessionCreate => "session.create",
            Self::SessionDelete => "session.delete",
            Self::WebhookCreate => "webhook.create",
            Self::WebhookUpdate => "webhook.update",
            Self::WebhookDelete => "webhook.delete",
            Self::WebhookRotate => "webhook.rotate",
            Self::WebhookRetry => "webhook.retry",
            Self::WebhookDisable => "webhook.disable",
        }
    }
}

/// The type of an action's subject. The action may be one that this version does not know.
pub(crate) fn subject_type(action: &str) -> &str {
    action
        .split_once('.')
        .map_or(action, |(subject, _)| subject)
}

/// The fate of a deleted tenant's tables, if it had any. Entries of `tenant.delete` have it as their detail. The names are stored, and
/// never change. The trigger of `delete_tenant` writes the other one, `tables_kept`.
pub(crate) const TABLES_DROPPED: &str = "tables_dropped";

/// Who did it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Author<'a> {
    /// The caller of a request.
    Caller(&'a Writer),
    /// Whoever runs a task. The run's id takes the place of a request's.
    Run(&'a Run),
}

/// An entry of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) author: Author<'a>,
    pub(crate) action: Action,
    /// The identifier of the subject, whose type is the action up to the full stop. It is stored in lower case, since identifiers match in any case.
    pub(crate) subject: &'a str,
    pub(crate) now: &'a Timestamp,
}

macro_rules! insert {
    ($more:literal, $select:expr) => {
        concat!(
            "INSERT INTO audit_log (key_id, action, subject, request_id, created_at",
            $more,
            ") SELECT ",
            $select
        )
    };
}

/// Writes an entry if the statement before it changed a row. A caller's write has at most one entry, however often it is tried. An entry without
/// an operator needs no column for one, so a restored backup of an earlier schema can have it.
pub(crate) fn after_change(entry: Entry<'_>) -> Sql {
    let (text, key_id, request_id, last) = match entry.author {
        Author::Caller(writer) => (
            insert!(
                ", token",
                "?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0 AND NOT EXISTS (SELECT 1 FROM audit_log WHERE token = ?6)"
            ),
            Some(writer.key_id()),
            writer.request_id(),
            Some(writer.token()),
        ),
        Author::Run(run) => match run.operator() {
            None => (
                insert!("", "?1, ?2, ?3, ?4, ?5 WHERE changes() > 0"),
                None,
                run.id(),
                None,
            ),
            Some(operator) => (
                insert!(", operator", "?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0"),
                None,
                run.id(),
                Some(operator),
            ),
        },
    };
    let sql = Sql::new(text).values([
        key_id.into(),
        entry.action.as_str().into(),
        entry.subject.to_ascii_lowercase().into(),
        request_id.into(),
        entry.now.as_str().into(),
    ]);
    sql.values(last.map(Value::from))
}

/// Writes an entry for each row of `rows`, a table with its condition. `subject` is the expression of a row's subject. The statement
/// binds `values`, which begin with the time, to `?1` and on. As for [`after_change`], an entry without an operator needs no column for one.
pub(crate) fn for_each(
    action: Action,
    subject: &'static str,
    rows: &'static str,
    values: impl IntoIterator<Item = Value>,
    run: &Run,
) -> Sql {
    let values: Vec<Value> = values.into_iter().collect();
    let text = match run.operator() {
        None => insert!("", "NULL, "),
        Some(_) => insert!(", operator", "NULL, "),
    };
    let sql = Sql::new(text)
        .values(values)
        .bind(action.as_str())
        .sql(", ")
        .sql(subject)
        .sql(", ")
        .bind(run.id())
        .sql(", ?1");
    let sql = match run.operator() {
        None => sql,
        Some(operator) => sql.sql(", ").bind(operator),
    };
    sql.sql(" FROM ").sql(rows)
}

/// Starts a transaction that drops the tables of a tenant that is no longer there. If there is such a tenant, the entry's action is `NULL`,
/// which the table refuses, and with it the whole transaction.
pub(crate) fn tables_drop(tenant: &TenantId, run: &Run, now: &Timestamp) -> Sql {
    Sql::new(insert!(
        ", operator, detail",
        "NULL, CASE WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = ?1) THEN ?2 END, ?1, ?3, ?4, ?5, ?6"
    ))
    .values([
        tenant.folded().into(),
        Action::TablesDrop.as_str().into(),
        run.id().into(),
        now.as_str().into(),
        run.operator().into(),
        TABLES_DROPPED.into(),
    ])
}

/// Starts a transaction that gives up the move of a tenant's site into tables in the registry, and drops those. If there is no such move, the
/// entry's action is `NULL`, which the table refuses, and with it the whole transaction.
pub(crate) fn site_stays(tenant: &TenantId, run: &Run, now: &Timestamp) -> Sql {
    Sql::new(insert!(
        ", operator",
        "NULL, CASE WHEN EXISTS (SELECT 1 FROM tenants WHERE id = ?1) AND EXISTS (SELECT 1 FROM site_databases WHERE tenant_id = ?1 AND state = 5) \
         THEN ?2 END, ?1, ?3, ?4, ?5"
    ))
    .values([
        tenant.folded().into(),
        Action::TenantSiteMove.as_str().into(),
        run.id().into(),
        now.as_str().into(),
        run.operator().into(),
    ])
}

/// Starts a transaction whose writes cannot carry a condition themselves, such as `CREATE TABLE`. Its first statement is the audit
/// entry. If the caller's key is not valid, there is no such tenant in this database (it may be on a cell) or it has another revision than the request
/// wants, or the request was carried out before, the entry's action is `NULL`, which the table refuses, and with it the whole transaction.
pub(crate) fn entered(
    writer: &Writer,
    action: Action,
    tenant_id: &str,
    detail: Option<&str>,
    statements: impl IntoIterator<Item = Sql>,
) -> Batch {
    let entry = standing::statement(
        writer,
        insert!(
            ", detail, token",
            concat!(
                standing::key!(id),
                ", CASE WHEN ",
                standing::standing!(),
                " AND EXISTS (SELECT 1 FROM tenants WHERE id = ?7 AND cell_id IS NULL)"
            )
        ),
    )
    .values([
        action.as_str().into(),
        writer.request_id().into(),
        tenant_id.to_ascii_lowercase().into(),
        detail.into(),
        writer.token().into(),
    ]);
    let entry = match writer.idempotency() {
        None => entry,
        Some(idempotency) => idempotency.known(entry.sql(" AND NOT ")),
    };
    let entry = match writer.revisions() {
        None => entry,
        Some(revisions) => {
            let entry = entry.sql(" AND EXISTS (SELECT 1 FROM tenants WHERE id = ?7 AND ");
            registry::is_one_of(entry, revisions).sql(")")
        }
    };
    let entry = entry.sql(concat!(
        " THEN ?5 END, ?7, ?6, ",
        standing::key!(now),
        ", ?8, ?9"
    ));
    Batch::of(core::iter::once(entry).chain(statements))
}

/// The most entries that one run of the cron trigger looks at.
const SWEPT_ROWS: i64 = 2000;

/// For how many days an entry that is old enough to be deleted waits for webhooks.
const WAITED_DAYS: u64 = 30;

/// Deletes entries that are older than so many days, the oldest first, up to the first one that is not: an entry whose clock was ahead keeps those
/// after it, so that the numbers of the entries have no gap, and a cursor of `GET /events` can tell whether it missed one. The newest entry stays,
/// since its id is the revision of the registry; a re-encryption leaves that revision, so the newest one that is none stays, too. An entry waits for
/// the enabled webhooks whose receivers have not accepted it, for [`WAITED_DAYS`] at the most. That end leaves no gap either.
pub(crate) fn sweep(now: &Timestamp, days: u32) -> Sql {
    /// The first of the oldest entries that is not older than `$age`.
    macro_rules! first_younger {
        ($age:literal) => {
            concat!(
                "(SELECT min(iif(created_at < datetime(?2, ",
                $age,
                "), 9e18, id)) FROM (SELECT id, created_at FROM audit_log ORDER BY id LIMIT ?1))"
            )
        };
    }
    Sql::new(concat!(
        "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log ORDER BY id LIMIT ?1) AND id < ",
        first_younger!("?3"),
        " AND id < (SELECT max(id) FROM audit_log WHERE action <> ?4) \
         AND (id <= (SELECT coalesce(min(min(w.cursor, coalesce((SELECT min(b.entry_id) - 1 FROM webhook_behind AS b WHERE b.webhook_id = w.id), w.cursor))), 9e18) \
         FROM webhooks AS w WHERE w.is_enabled) OR id < ",
        first_younger!("?5"),
        ")"
    ))
    .values([
        SWEPT_ROWS.into(),
        now.as_str().into(),
        format!("-{days} days").into(),
        Action::EnvReseal.as_str().into(),
        format!("-{} days", u64::from(days) + WAITED_DAYS).into(),
    ])
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::Action;

    /// The triggers have actions as literals, so a misspelt one would otherwise go unseen.
    #[test]
    fn the_triggers_name_known_actions_only() {
        let schema = concat!(
            include_str!("../../../../schema.sql"),
            include_str!("../../../../schema_writes.sql")
        );
        let written: Vec<&str> = schema
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(|line| line.split('\'').skip(1).step_by(2))
            // A path of JSON begins with a dollar, and a pattern with a star.
            .filter(|literal| {
                literal.len() > 1 && literal.contains('.') && !literal.starts_with(['$', '*'])
            })
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
                "api_key.create",
                "api_key.delete",
                "api_key.rotate",
                "api_key.update",
                "cell.create",
                "cell.delete",
                "cell.update",
                "job.cancel",
                "job.cancel",
                "job.create",
                "job.finish",
                "job.finish",
                "plan.create",
                "plan.delete",
                "plan.update",
                "session.create",
                "session.delete",
                "tenant.create",
                "tenant.delete",
                "tenant.delete",
                "tenant.delete",
                "tenant.drop_tables",
                "tenant.drop_tables",
                "tenant.hold",
                "tenant.hold",
                "tenant.install",
                "tenant.install",
                "tenant.move",
                "tenant.release",
                "tenant.restore",
                "tenant.update",
                "tenant.update",
                "tenant.update",
                "tenant.update",
                "tenant.user_password_reset",
                "webhook.create",
                "webhook.delete",
                "webhook.retry",
                "webhook.rotate",
                "webhook.update"
            ]
        );
    }

    /// Each action is an event's type, which no other action has, or is one of the two that have none.
    #[test]
    fn each_action_is_an_event_of_its_own_or_named_as_none() {
        let (events, silent): (Vec<Action>, Vec<Action>) =
            Action::ALL.into_iter().partition(|a| a.event().is_some());
        assert_eq!(silent, [Action::EnvReseal, Action::RegistryRestore]);
        let mut types: Vec<&str> = events.iter().filter_map(|a| a.event()).collect();
        types.sort_unstable();
        assert_eq!(
            types.join(" "),
            "cell.created cell.deleted cell.updated job.cancelled job.created job.finished key.created key.deleted key.imported key.rotated \
             key.updated plan.created plan.deleted plan.updated session.created session.deleted tenant.created tenant.deleted tenant.held tenant.installed tenant.moved \
             tenant.released tenant.restored tenant.site_moved tenant.tables_dropped tenant.updated tenant.user_password_reset webhook.created \
             webhook.deleted webhook.disabled webhook.retried webhook.rotated webhook.updated"
        );
        types.dedup();
        assert_eq!(types.len(), events.len());
        for action in events {
            let subject = action.subject_type().trim_start_matches("api_");
            let event = action.event().unwrap();
            assert!(event.starts_with(&[subject, "."].concat()), "{event}");
        }
    }

    #[test]
    fn no_two_actions_share_a_name() {
        let mut names = Action::ALL.map(Action::as_str);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
