//! Deleted tenants (contract §16): `GET /tenants?deleted=true` and `POST /tenants/{id}/restore`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::auth::Caller;
use crate::crypto::seal::Sealer;
use crate::operation::call::{Call, Pending, absent, valid, written};
use crate::operation::list::{self, Asked, List};
use crate::operation::tenant_json::{to_json, write_all};
use crate::operation::tenants::{site_exists, taken};
use crate::sql::Batch;
use crate::store::deleted::{self, Taken};
use crate::store::standing::{self, Judged};
use crate::store::tenants::{self, Tenant};
use crate::store::write::Written;
use crate::value::fault::{ApiError, FieldError};
use crate::value::id::TenantId;
use crate::wire::dialect::Dialect;
use crate::wire::json::Object;
use crate::wire::page::{Cursor, Page};

const WHAT: &str = "deleted tenant that can be brought back";

/// `GET /tenants?deleted=true`
pub(crate) fn list(call: &Call<'_>, page: Page) -> Pending {
    let asked = Asked {
        page,
        path: call.path("/tenants"),
        counts: false,
        is_head: call.is_head,
    };
    let list = DeletedList {
        caller: call.caller.clone(),
        days: call.site.restore_days,
        sealer: call.env.sealer.cloned(),
    };
    list::respond(list, asked)
}

/// A list of deleted tenants.
struct DeletedList {
    caller: Caller,
    days: u32,
    sealer: Option<Arc<Sealer>>,
}

impl List for DeletedList {
    /// A tenant and the time of its deletion.
    type Item = (Tenant, String);

    // About as much as a tenant with a handful of variables takes.
    const JSON_BYTES: usize = 512;

    // `labels`, `limits` and `env`.
    const LARGE: Range<usize> = 8..11;

    fn is_plain(&self) -> bool {
        false
    }

    fn rows(&self, page: &Page) -> Batch {
        deleted::list(&self.caller, page, self.days)
    }

    // Nobody can ask for a count.
    fn counted_rows(&self, page: &Page) -> Batch {
        self.rows(page)
    }

    fn no_rows(&self, _: bool) -> Batch {
        Batch::one(standing::alone(&self.caller))
    }

    fn decode(&self, mut row: Judged) -> Result<Option<Self::Item>, ApiError> {
        let Some(tenant) = Tenant::decode_next(&mut row, self.sealer.as_deref())? else {
            return Ok(None);
        };
        Ok(Some((tenant, row.text("deleted_at")?)))
    }

    fn write(&self, (tenant, deleted_at): &Self::Item, out: Object<'_>) {
        write_all(tenant, Dialect::Current, out)
            .text("deleted_at", deleted_at)
            .end();
    }

    fn cursor(&self, (tenant, _): &Self::Item) -> Cursor {
        Cursor {
            value: None,
            id: tenant.id.clone(),
        }
    }
}

/// `POST /tenants/{id}/restore`
pub(crate) fn restore(call: &mut Call<'_>) -> Result<Pending, ApiError> {
    let Ok(id) = TenantId::parse(call.id) else {
        return Ok(absent(call, WHAT));
    };
    let batch = deleted::restore(&call.writer()?, &id, call.site.restore_days);
    let sealer = call.env.sealer.cloned();
    Ok(Pending::write_with_note(batch, move |results| {
        let mut row = Written::read(results)?;
        let found = Taken::decode(&mut row)?;
        row.needs(found.id_is_there, ApiError::NotFound { what: WHAT })?;
        let external_id = found.external_id.unwrap_or_default();
        let id_taken = found.id_holder.map(|holder| ("/id", id.as_str(), holder));
        let hostnames = found.hostname_holders.iter();
        let hostnames_taken =
            hostnames.map(|(name, holder)| ("/hostname", name.as_str(), holder.clone()));
        let external_id_taken = found
            .external_id_holder
            .map(|holder| ("/external_id", external_id.as_str(), holder));
        let all: Vec<FieldError> = (id_taken.into_iter())
            .chain(hostnames_taken)
            .chain(external_id_taken)
            .map(|(pointer, value, holder)| taken(pointer, value, holder))
            .collect();
        if !all.is_empty() {
            return Err(ApiError::Conflict(all));
        }
        if found.site_is_elsewhere {
            return Err(site_exists(&id));
        }
        if row.is_trial() {
            return Ok((valid(), None));
        }
        let version = tenants::version(&mut row)?;
        let shown = row.shown(results, true).and_then(|shown| {
            let tenant = shown.map(|shown| Tenant::decode_shown(shown, sealer.as_deref()));
            Ok(tenant.transpose()?.map(|t| to_json(&t, Dialect::Current)))
        });
        Ok(written(version.as_ref(), shown))
    }))
}
