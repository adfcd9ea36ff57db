//! Requests in the short form that tests write.

/// A request. Everything that a test does not set is valid.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: String,
    /// Path and query, with the base path.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) too_large: bool,
    pub(crate) address: Option<String>,
    pub(crate) key: Header,
    pub(crate) signature: Header,
    pub(crate) content_type: Header,
    pub(crate) content_encoding: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) prefer: Option<String>,
    pub(crate) if_match: Option<String>,
    /// Scheme and authority of the URL.
    pub(crate) origin: Option<String>,
    pub(crate) signature_input: Option<String>,
    pub(crate) message_signature: Option<String>,
    pub(crate) content_digest: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) sec_fetch_site: Option<String>,
    pub(crate) csrf_token: Option<String>,
}

/// A header. The host sets the right value unless a test says otherwise.
#[derive(Debug, Clone)]
pub(crate) enum Header {
    Right,
    Absent,
    Is(String),
}

pub(crate) const BASE: &str = "/_/api/4";
pub(crate) const LEGACY_BASE: &str = "/api/4/_";

impl Ask {
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            body: Vec::new(),
            too_large: false,
            address: None,
            key: Header::Right,
            signature: Header::Right,
            content_type: Header::Right,
            content_encoding: None,
            request_id: Some("r-1".into()),
            if_none_match: None,
            idempotency_key: None,
            prefer: None,
            if_match: None,
            origin: Some("https://tenants.example.com".into()),
            signature_input: None,
            message_signature: None,
            content_digest: None,
            cookie: None,
            sec_fetch_site: None,
            csrf_token: None,
        }
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().into();
        self
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Header::Is(key.into());
        self
    }

    pub(crate) fn no_key(mut self) -> Self {
        self.key = Header::Absent;
        self
    }

    pub(crate) fn signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Header::Is(signature.into());
        self
    }

    pub(crate) fn no_signature(mut self) -> Self {
        self.signature = Header::Absent;
        self
    }

    pub(crate) fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Header::Is(content_type.into());
        self
    }

    pub(crate) fn no_content_type(mut self) -> Self {
        self.content_type = Header::Absent;
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.address = Some(address.into());
        self
    }

    pub(crate) fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    pub(crate) fn no_request_id(mut self) -> Self {
        self.request_id = None;
        self
    }

    pub(crate) fn if_none_match(mut self, tag: impl Into<String>) -> Self {
        self.if_none_match = Some(tag.into());
        self
    }

    pub(crate) fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    pub(crate) fn prefer(mut self, preferences: impl Into<String>) -> Self {
        self.prefer = Some(preferences.into());
        self
    }

    pub(crate) fn if_match(mut self, tag: impl Into<String>) -> Self {
        self.if_match = Some(tag.into());
        self
    }

    /// The same request as a trial.
    pub(crate) fn tried(mut self) -> Self {
        self.target += "?validate_only=true";
        self
    }

    /// The same request below the legacy base path, with a legacy signature.
    pub(crate) fn legacy(mut self) -> Self {
        self.target = self.target.replacen(BASE, LEGACY_BASE, 1);
        self
    }

    /// Whether the request reads from the database before its write: the routes that hash a password, the writes of keys, and a PUT of a tenant or a plan.
    pub(crate) fn has_two_batches(&self) -> bool {
        let writes = !matches!(self.method.as_str(), "GET" | "HEAD");
        self.target.starts_with("/_/api/4/keys") && writes
            || self.method == "PUT"
                && self.target.starts_with("/_/api/4/tenants")
                && !self.target.contains("/holds/")
                && !self.target.contains("/hostnames/")
            || self.method == "POST" && self.target.starts_with("/_/console/session")
            || self.target.ends_with("/install")
            || self.target.ends_with("/user-password-reset")
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.target.starts_with(LEGACY_BASE)
    }

    pub(crate) fn too_large(mut self) -> Self {
        self.too_large = true;
        self
    }
}

/// A GET of a path below the base path. The functions for other methods take a path in the same way.
pub(crate) fn get(path: &str) -> Ask {
    Ask::new("GET", format!("{BASE}{path}"))
}

pub(crate) fn head(path: &str) -> Ask {
    Ask::new("HEAD", format!("{BASE}{path}"))
}

pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Ask {
    Ask::new("POST", format!("{BASE}{path}")).body(body)
}

pub(crate) fn patch(path: &str, body: impl AsRef<[u8]>) -> Ask {
    Ask::new("PATCH", format!("{BASE}{path}")).body(body)
}

pub(crate) fn put(path: &str, body: impl AsRef<[u8]>) -> Ask {
    Ask::new("PUT", format!("{BASE}{path}")).body(body)
}

pub(crate) fn delete(path: &str) -> Ask {
    Ask::new("DELETE", format!("{BASE}{path}"))
}

/// Creates a tenant `id` at `<id>.example.com`.
pub(crate) fn new_tenant(id: &str) -> Ask {
    post(
        "/tenants",
        format!(
            r#"{{"id":"{id}","hostname":"{}.example.com","is_enabled":true}}"#,
            id.replace('_', "--")
        ),
    )
}

/// Creates a plan `id` with limits and an env.
pub(crate) fn new_plan(id: &str) -> Ask {
    post(
        "/tenants-plans",
        format!(r#"{{"id":"{id}","limits":{{"L":"1"}},"env":{{"E":"hidden-plan"}}}}"#),
    )
}

/// Creates a tenant `id` on a cell.
pub(crate) fn new_tenant_on(id: &str, cell: &str) -> Ask {
    post(
        "/tenants",
        format!(
            r#"{{"id":"{id}","hostname":"{id}.example.com","is_enabled":true,"cell_id":"{cell}"}}"#
        ),
    )
}

/// Installs the tenant `id`, with the administrator `admin`.
pub(crate) fn install(id: &str) -> Ask {
    post(
        &format!("/tenants/{id}/install"),
        r#"{"username":"admin","email":"admin@example.com","password":"hidden password"}"#,
    )
}

/// Resets the password of the user `admin` of the tenant `id`.
pub(crate) fn reset(id: &str) -> Ask {
    patch(
        &format!("/tenants/{id}/user-password-reset"),
        r#"{"username":"admin","password":"another hidden one"}"#,
    )
}

/// Deletes the tenant `id` with its tables.
pub(crate) fn delete_with_tables(id: &str) -> Ask {
    delete(&format!("/tenants/{id}")).body(r#"{"drop_tables":true}"#)
}
