//! `webhooks` and `webhook_secrets`: a row each (contract §17). `store/deliveries.rs` has what a run of the deliveries reads and writes.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::crypto::seal::Place;
use crate::sql::{Batch, Columns, Results, Sql};
use crate::store::event;
use crate::store::registry::epoch;
use crate::store::standing::{self, Judged, allowed_caller, caller};
use crate::store::write::{self, Writer, Written, write, write_into};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::value::patch::Edit;

/// The most webhooks. A run of the deliveries turns to one after the other.
pub(crate) const MAX_WEBHOOKS: i64 = 32;

/// The place of a secret.
pub(crate) fn secret_place(id: &str) -> Place<'_> {
    Place {
        table: "webhook_secrets",
        row: id,
        column: "secret",
    }
}

/// A webhook as a caller sees it.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    /// A list in JSON.
    pub(crate) types: String,
    pub(crate) description: Option<String>,
    pub(crate) is_enabled: bool,
    pub(crate) failing_since: Option<String>,
    /// The number of subjects with an event that was refused.
    pub(crate) behind: i64,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

fn select(caller: &Caller) -> Sql {
    standing::statement(
        caller,
        concat!(
            "SELECT k.standing, w.id, w.url, w.types, w.description, w.is_enabled, w.failing_since, \
             (SELECT count(*) FROM webhook_behind WHERE webhook_id = w.id) AS behind, w.created_at, w.updated_at FROM ",
            caller!(),
            " AS k LEFT JOIN webhooks AS w ON "
        ),
    )
}

/// Reads all webhooks.
pub(crate) fn list(caller: &Caller) -> Batch {
    Batch::one(select(caller).sql("w.id > ").bind("").sql(" ORDER BY w.id"))
}

/// Reads a webhook.
pub(crate) fn get(caller: &Caller, id: &str) -> Batch {
    Batch::one(select(caller).sql("w.id = ").bind(id))
}

/// Reads a webhook, and its secrets that are valid, if the caller may. [`decode_secrets`] reads the second result.
pub(crate) fn with_secrets(caller: &Caller, id: &str) -> Batch {
    let secrets = standing::statement(
        caller,
        concat!(
            "SELECT s.id, s.secret FROM ",
            allowed_caller!(),
            " AS k CROSS JOIN webhook_secrets AS s ON s.webhook_id = ?5 WHERE s.valid_until IS NULL OR s.valid_until > ",
            standing::key!(now),
            " ORDER BY s.valid_until"
        ),
    )
    .values([id.into()]);
    get(caller, id).and(secrets)
}

/// Reads the secrets of [`with_secrets`]: the id of each, and its encrypted text.
pub(crate) fn decode_secrets(results: &mut Results) -> Result<Vec<(String, String)>, ApiError> {
    results
        .rows()?
        .into_iter()
        .map(|row| {
            let mut row = Columns::new(row);
            Ok((row.text("id")?, row.text("secret")?))
        })
        .collect()
}

impl Webhook {
    /// Reads a row. `None` is the row of `NULL`s: the key is valid, and there is no webhook.
    pub(crate) fn decode(mut row: Judged) -> Result<Option<Self>, ApiError> {
        let Some(id) = row.optional_text("id")? else {
            return Ok(None);
        };
        let url = row.text("url")?;
        let types = row.text("types")?;
        let description = row.optional_text("description")?;
        let is_enabled = row.boolean("is_enabled")?;
        let failing_since = row.optional_text("failing_since")?;
        let behind = row.integer("behind")?;
        let created_at = row.text("created_at")?;
        Ok(Some(Self {
            id,
            url,
            types,
            description,
            is_enabled,
            failing_since,
            behind,
            created_at,
            updated_at: row.text("updated_at")?,
        }))
    }
}

/// A webhook that is about to be made.
#[derive(Debug)]
pub(crate) struct NewWebhook<'a> {
    pub(crate) id: &'a str,
    pub(crate) url: &'a str,
    pub(crate) types: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) secret_id: &'a str,
    /// Encrypted for [`secret_place`].
    pub(crate) sealed: String,
}

/// Makes a webhook. `secret` is the secret once more, encrypted, if the response is remembered: its id and its time.
pub(crate) fn create(writer: &Writer, new: NewWebhook<'_>, secret: Option<String>) -> Batch {
    let text = write_into!(
        "create_webhook",
        "has_room, id, url, types, description, secret_id, sealed",
        "(SELECT count(*) FROM webhooks) < ?12, ?6, ?7, ?8, ?9, ?10, ?11",
        "has_room",
        "json_array(?6, ?3)"
    );
    let values = [
        new.id.into(),
        new.url.into(),
        new.types.into(),
        new.description.into(),
        new.secret_id.into(),
        new.sealed.into(),
        MAX_WEBHOOKS.into(),
    ];
    Batch::one(write::statement(writer, text, values, secret))
}

/// A change of a webhook.
#[derive(Debug)]
pub(crate) struct WebhookPatch {
    pub(crate) url: Option<String>,
    pub(crate) types: Option<String>,
    pub(crate) description: Edit<String>,
    pub(crate) is_enabled: Option<bool>,
    /// Whether a webhook that is enabled again begins with what comes from now on.
    pub(crate) from_now: bool,
}

macro_rules! id_is_there {
    () => {
        "EXISTS (SELECT 1 FROM webhooks WHERE id = ?6)"
    };
}

/// Changes a webhook. The result is a [`Written`].
pub(crate) fn edit(writer: &Writer, id: &str, patch: &WebhookPatch) -> Batch {
    let text = write_into!(
        "edit_webhook",
        "id_is_there, id, url, types, sets_description, description, is_enabled, from_now",
        concat!(id_is_there!(), ", ?6, ?7, ?8, ?9, ?10, ?11, ?12"),
        "id_is_there"
    );
    let (sets_description, description) = match &patch.description {
        Edit::Keep => (false, None),
        Edit::Clear => (true, None),
        Edit::Set(text) => (true, Some(text.as_str())),
    };
    let values = [
        id.into(),
        patch.url.as_deref().into(),
        patch.types.as_deref().into(),
        sets_description.into(),
        description.into(),
        patch.is_enabled.into(),
        patch.from_now.into(),
    ];
    write(writer, text, values)
}

/// Deletes a webhook. The result is a [`Written`].
pub(crate) fn delete(writer: &Writer, id: &str) -> Batch {
    let text = write_into!(
        "delete_webhook",
        "id_is_there, id",
        concat!(id_is_there!(), ", ?6"),
        "id_is_there"
    );
    write(writer, text, [id.into()])
}

/// Gives a webhook another secret. The one before signs as well until `previous_until`. The result is a [`Written`].
pub(crate) fn rotate(
    writer: &Writer,
    id: &str,
    secret_id: &str,
    sealed: String,
    previous_until: Option<&Timestamp>,
    secret: Option<String>,
) -> Batch {
    let text = write_into!(
        "rotate_webhook",
        "id_is_there, id, secret_id, sealed, previous_until",
        concat!(id_is_there!(), ", ?6, ?7, ?8, ?9"),
        "id_is_there",
        "json_array(?9)"
    );
    let values = [
        id.into(),
        secret_id.into(),
        sealed.into(),
        previous_until.map(Timestamp::as_str).into(),
    ];
    Batch::one(write::statement(writer, text, values, secret))
}

/// Sends an event again. It has this epoch and this number, and the webhook wants its type. The result is a [`Written`].
pub(crate) fn retry(writer: &Writer, id: &str, epoch: &str, entry: i64) -> Batch {
    let text = write_into!(
        "retry_webhook",
        "id_is_there, event_is_there, id, entry_id",
        concat!(
            id_is_there!(),
            // As `Wanted` has it. An action that this version does not know is an event of those that want all.
            ", EXISTS (SELECT 1 FROM audit_log AS a JOIN webhooks AS w ON w.id = ?6 LEFT JOIN json_each(?9) AS e ON e.key = a.action \
             WHERE a.id = ?7 AND ?8 = ",
            epoch!(),
            " AND e.type IS NOT ?10 AND (json_array_length(w.types) = 0 OR EXISTS (SELECT 1 FROM json_each(w.types) AS t \
             WHERE t.value = e.value OR t.value = substr(e.value, 1, length(t.value) - 1) || ?11))), ?6, ?7"
        ),
        "id_is_there, event_is_there"
    );
    let values = [
        id.into(),
        entry.into(),
        epoch.into(),
        event::types_of_actions().into(),
        // The type of a member, in the words of SQLite.
        "null".into(),
        event::FAMILY.into(),
    ];
    write(writer, text, values)
}

/// Reads the row of [`retry`].
pub(crate) fn was_retried(results: &mut Results) -> Result<(), ApiError> {
    let mut row = Written::read(results)?;
    let id_is_there = row.obstacle("id_is_there", true)?;
    let event_is_there = row.obstacle("event_is_there", true)?;
    row.needs(id_is_there, ApiError::NotFound { what: "webhook" })?;
    if event_is_there {
        Ok(())
    } else {
        Err(ApiError::NotFound { what: "event" })
    }
}
