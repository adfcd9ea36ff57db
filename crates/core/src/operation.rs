//! Operations: the work of each route, from a verified caller to a response. SQL is in `store/`.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod cells;
pub(crate) mod deleted;
pub(crate) mod events;
pub(crate) mod feed;
pub(crate) mod health;
pub(crate) mod held;
pub(crate) mod holds;
pub(crate) mod hostnames;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod plans;
pub(crate) mod put;
pub(crate) mod sessions;
pub(crate) mod site;
pub(crate) mod tenant_json;
pub(crate) mod tenants;
pub(crate) mod traefik;
pub(crate) mod wait;
pub(crate) mod webhooks;
