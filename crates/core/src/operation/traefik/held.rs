//! The routers of held tenants, which lead to a page (contract §16).

use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use crate::config::HeldPages;
use crate::value::text::hex_text;

/// Where the routers of held tenants lead.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    /// The service, after a comma. No other service has this name: what is after a colon there is a port.
    service: String,
    entry_point: String,
    /// The path of the pages, up to the tenant's id.
    path: String,
}

impl Pages {
    pub(super) fn new(pages: &HeldPages, entry_point: &str) -> Self {
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

    /// A digest of these and of what has this tag.
    pub(super) fn tag(&self, tag: &str) -> String {
        let digest = Sha256::new().chain_update(tag).chain_update(&self.service);
        hex_text(&digest.chain_update(&self.path).finalize()[..8])
    }
}
