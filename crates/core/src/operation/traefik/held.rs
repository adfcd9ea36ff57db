//! The routers of held tenants, which lead to a page (contract §16).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::HeldPages;
use crate::value::text::hex_text;

/// Where the pages of held tenants are for one reader.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) settings: Arc<Settings>,
    /// The address at which the reader asks.
    pub(super) origin: Option<String>,
}

/// The pages by the configuration.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) pages: Option<HeldPages>,
    pub(super) entry_point: String,
}

impl Place {
    /// The pages, where the configuration says, or where the reader has found this service.
    pub(super) fn pages(&self) -> Option<Pages> {
        let Settings { pages, entry_point } = &*self.settings;
        let own = || HeldPages::own(self.origin.as_ref()?);
        let pages = pages.clone().or_else(own)?;
        Some(Pages::new(&pages, entry_point))
    }

    /// A digest of `plain`, the tag of a body without held tenants, and of the pages.
    pub(super) fn tag(&self, plain: &str) -> String {
        let mut digest = Sha256::new_with_prefix("held");
        digest.update(plain);
        if let Some(Pages { service, path, .. }) = self.pages() {
            digest.update(service);
            digest.update(path);
        }
        hex_text(&digest.finalize()[..8])
    }
}

/// Where the routers of held tenants lead.
#[derive(Debug)]
pub(super) struct Pages {
    /// The service, after a comma. No other service has this name: what is after a colon there is a port.
    service: String,
    entry_point: String,
    /// The path of the pages, up to the tenant's id.
    path: String,
}

impl Pages {
    fn new(pages: &HeldPages, entry_point: &str) -> Self {
        // The pages' server goes by its own name.
        let service = format!(
            r#","held:pages":{{"loadBalancer":{{"servers":[{{"url":"{}"}}],"passHostHeader":false}}}}"#,
            pages.server
        );
        Self {
            service,
            entry_point: entry_point.into(),
            path: pages.path.clone(),
        }
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    /// The router of a tenant after its rule.
    pub(super) fn router(&self, id: &str) -> String {
        let entry_point = &self.entry_point;
        format!(
            r#","service":"held:pages","entryPoints":["{entry_point}"],"middlewares":["allow-range","held:{id}"]}}"#
        )
    }

    /// The middleware of that router, after a comma.
    pub(super) fn middleware(&self, id: &str) -> String {
        let path = &self.path;
        format!(r#","held:{id}":{{"replacePath":{{"path":"{path}/{id}"}}}}"#)
    }
}
