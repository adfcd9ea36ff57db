//! `POST /auth/verify` (contract §4).

use alloc::string::String;

use serde::Serialize;

use crate::exchange::{Call, Pending, key_dead, to_json};
use crate::http::Response;
use crate::sql::{Batch, Sql, key_stands};

#[derive(Serialize)]
struct Verified {
    valid: bool,
    key: Key,
}

#[derive(Serialize)]
struct Key {
    id: i64,
    name: Option<String>,
    created_at: String,
    expires_at: Option<String>,
}

/// Tells a caller whose key and signature are in order what its key is.
pub(crate) fn verify(call: &Call<'_>) -> Pending {
    let read = Sql::of(
        &call.caller,
        concat!(
            "SELECT id, name, created_at, expires_at FROM api_keys WHERE ",
            key_stands!()
        ),
    );
    Pending::new(Batch::read(read), |_, answers| {
        let mut row = answers.row()?.ok_or_else(key_dead)?;
        let verified = Verified {
            valid: true,
            key: Key {
                id: row.integer("id")?,
                name: row.optional_text("name")?,
                created_at: row.text("created_at")?,
                expires_at: row.optional_text("expires_at")?,
            },
        };
        Ok(Response::json(200, to_json(&verified)?))
    })
}
