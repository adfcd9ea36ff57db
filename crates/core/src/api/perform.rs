//! The operation of each route whose caller was verified.

use crate::operation::call::{Call, Pending};
use crate::operation::{
    self, audit, cells, deleted, events, feed, holds, hostnames, jobs, keys, plans, put, sessions,
    site, tenants, webhooks,
};
use crate::value::fault::ApiError;
use crate::wire::filter::TenantQuery;
use crate::wire::route::Operation;

/// Carries out an operation, up to its first batch.
pub(super) fn perform(operation: Operation, call: &mut Call<'_>) -> Result<Pending, ApiError> {
    match operation {
        Operation::VerifyKey => Ok(operation::auth::verify(call)),
        Operation::ListTenants => match TenantQuery::read(call.query)? {
            query if query.is_of_deleted => Ok(deleted::list(call, query.page)),
            query => Ok(tenants::list(call, query)),
        },
        Operation::EraseTenant => site::erase(call),
        Operation::RestoreTenant => deleted::restore(call),
        Operation::CreateTenant => tenants::create(call),
        Operation::GetTenant => Ok(tenants::get(call)),
        Operation::GetSettings => Ok(tenants::settings(call)),
        Operation::PutTenant => put::tenant::put(call),
        Operation::EditTenant => tenants::edit(call),
        Operation::DeleteTenant => tenants::delete(call),
        Operation::InstallTenant => site::install(call),
        Operation::ResetUserPassword => site::reset_password(call),
        Operation::ListPlans => plans::list(call),
        Operation::CreatePlan => plans::create(call),
        Operation::GetPlan => Ok(plans::get(call)),
        Operation::PutPlan => put::plan::put(call),
        Operation::EditPlan => plans::edit(call),
        Operation::DeletePlan => plans::delete(call),
        Operation::ListKeys => Ok(keys::list(call)),
        Operation::CreateKey => keys::create(call),
        Operation::GetKey => Ok(keys::get(call)),
        Operation::EditKey => keys::edit(call),
        Operation::DeleteKey => keys::delete(call),
        Operation::RotateKey => keys::rotate(call),
        Operation::PutHold => holds::put(call),
        Operation::ReleaseHold => holds::release(call),
        Operation::ListHostnames => Ok(hostnames::list(call)),
        Operation::PutHostname => hostnames::put(call),
        Operation::DeleteHostname => hostnames::delete(call),
        Operation::VerifyHostname => hostnames::verify(call),
        Operation::MoveTenant => cells::move_tenant(call),
        Operation::ListCells => Ok(cells::list(call)),
        Operation::GetCell => Ok(cells::get(call)),
        Operation::PutCell => cells::put(call),
        Operation::DeleteCell => cells::delete(call),
        Operation::ReadFeed => feed::read(call),
        Operation::StoreStats => feed::store_stats(call),
        Operation::LeaseJobs => jobs::lease(call),
        Operation::ListJobs => jobs::list(call),
        Operation::GetJob => Ok(jobs::get(call)),
        Operation::CancelJob => jobs::cancel(call),
        Operation::RenewJob => jobs::renew(call),
        Operation::FinishJob => jobs::finish(call),
        Operation::ListAudit => audit::list(call),
        Operation::ListEvents => events::list(call),
        Operation::SignIn => sessions::begin(call),
        Operation::ShowSession => sessions::show(call),
        Operation::SignOut => sessions::sign_out(call),
        Operation::ListSessions => Ok(sessions::list(call)),
        Operation::EndSession => sessions::end(call),
        Operation::ListWebhooks => Ok(webhooks::list(call)),
        Operation::CreateWebhook => webhooks::create(call),
        Operation::GetWebhook => Ok(webhooks::get(call)),
        Operation::EditWebhook => webhooks::edit(call),
        Operation::DeleteWebhook => webhooks::delete(call),
        Operation::RotateWebhook => webhooks::rotate(call),
        Operation::TestWebhook => webhooks::test(call),
        Operation::ListDeliveries => webhooks::deliveries(call),
        Operation::RetryDelivery => webhooks::retry(call),
        // Their schemes have no caller, so `dispatch` answers them before.
        Operation::Health
        | Operation::Describe
        | Operation::HeldPage
        | Operation::TraefikConfig => Err(ApiError::NoRoute),
    }
}
