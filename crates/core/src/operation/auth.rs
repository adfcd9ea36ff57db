//! `POST /auth/verify` (contract §4).

use alloc::string::ToString as _;

use crate::operation::call::{Call, Pending};
use crate::operation::keys::write_scopes;
use crate::store::keys::{self, OwnKey};
use crate::store::standing;
use crate::wire::http::Response;
use crate::wire::json::{Object, object};

/// Tells a caller which key it has.
pub(crate) fn verify(call: &Call<'_>) -> Pending {
    Pending::new(keys::own(&call.caller), |results| {
        let key = OwnKey::decode(standing::judged_read(results)?)?;
        let body = object(|o| {
            o.raw("valid", "true").nested("key", |out| {
                Object::begin(out)
                    .raw("id", &key.id.to_string())
                    .optional_text("name", key.name.as_deref())
                    .text("created_at", &key.created_at)
                    .optional_text("expires_at", key.expires_at.as_deref())
                    .nested("scopes", |out| write_scopes(&key.scopes, out))
                    .raw("bound", if key.is_bound { "true" } else { "false" })
                    .end();
            })
        });
        Ok(Response::json(200, body))
    })
}
