//! The two dialects of the API (contract §1). They differ at the two ends of a request alone: which signature, and which
//! field names. Between them is one set of rules.
//!
//! At the one end a legacy body's fields are read under the current names ([`Call::fields`]); at the other an answer gets the
//! legacy names and headers ([`Legacy`]).

use alloc::format;
use alloc::string::String;

use crate::body::{Checked, Fields, Json};
use crate::exchange::Call;
use crate::http::Response;
use crate::id::PlanId;
use crate::problem::{ApiError, FieldError, Place};
use crate::route::Resource;

/// How a request is signed and how its fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/_/api/4`
    Current,
    /// `/api/4/_`
    Legacy,
}

impl Dialect {
    /// What its paths begin with.
    pub(crate) fn base_path(self) -> &'static str {
        match self {
            Self::Current => "/_/api/4",
            Self::Legacy => "/api/4/_",
        }
    }

    /// Reads a boolean as it has one.
    pub(crate) fn switch(self) -> fn(Json<'_>) -> Checked<bool> {
        match self {
            Self::Current => |value| value.boolean(),
            Self::Legacy => |value| value.legacy_boolean(),
        }
    }
}

/// What becomes of an answer on its way to a legacy caller.
#[derive(Debug)]
pub(crate) struct Legacy {
    id_field: &'static str,
    successor: String,
}

/// Since when the dialect is deprecated (RFC 9745): 2025-12-09 00:00:00 UTC, the day on which the current one shipped.
const DEPRECATION: &str = "@1765238400";

impl Legacy {
    /// Of a resource that the legacy dialect has.
    pub(crate) fn of(resource: Resource<'_>) -> Self {
        // An identifier that none can have is not repeated: it may hold anything.
        let id = |id| PlanId::parse(id).map_or_else(|_| String::new(), |id| format!("/{id}"));
        let below = match resource {
            Resource::Tenant(tenant) => format!("/tenants{}", id(tenant)),
            Resource::Plan(plan) => format!("/tenants-plans{}", id(plan)),
            other => other.template().into(),
        };
        Self {
            id_field: id_field(resource),
            successor: format!(
                "<{}{below}>; rel=\"successor-version\"",
                Dialect::Current.base_path()
            ),
        }
    }

    /// An error, with the names of fields that the caller knows.
    pub(crate) fn error(&self, mut error: ApiError) -> ApiError {
        if let ApiError::Invalid(errors) | ApiError::Conflict(errors) = &mut error {
            for FieldError { at, .. } in errors {
                if *at == Place::Pointer("/id".into()) {
                    *at = Place::Pointer(format!("/{}", self.id_field));
                }
            }
        }
        error
    }

    /// An answer, with the headers that each has.
    pub(crate) fn response(self, mut response: Response) -> Response {
        let link = match response
            .headers
            .iter()
            .position(|(name, _)| *name == "link")
        {
            // The list's own comes first: RFC 8288 §3 has them in one header.
            Some(at) => format!("{}, {}", response.headers.remove(at).1, self.successor),
            None => self.successor,
        };
        response.with("deprecation", DEPRECATION).with("link", link)
    }
}

/// What a resource's identifier is called in the legacy dialect.
pub(crate) fn id_field(resource: Resource<'_>) -> &'static str {
    match resource {
        Resource::Plans | Resource::Plan(_) => "plan_id",
        _ => "tenant_id",
    }
}

impl<'a> Call<'a> {
    /// The body's fields, by the current dialect's names.
    pub(crate) fn fields(&self) -> Result<Fields<'a>, ApiError> {
        let fields = Fields::of(self.body, self.content_type)?;
        Ok(match self.dialect {
            Dialect::Current => fields,
            Dialect::Legacy => fields.legacy(id_field(self.resource)),
        })
    }

    /// The same of a body that may be absent, as in the legacy dialect it always is: it has no field there.
    pub(crate) fn optional_fields(&self) -> Result<Option<Fields<'a>>, ApiError> {
        match self.dialect {
            Dialect::Current => Fields::optional(self.body, self.content_type),
            Dialect::Legacy => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Legacy;
    use crate::http::Response;
    use crate::route::Resource;

    #[test]
    fn every_answer_names_its_successor_and_no_name_that_is_none() {
        for (resource, path) in [
            (Resource::Tenants, "/tenants"),
            (Resource::Tenant("a_B-1"), "/tenants/a_B-1"),
            (Resource::Tenant("a>\r\nb"), "/tenants"),
            (Resource::Plans, "/tenants-plans"),
            (Resource::Plan("p"), "/tenants-plans/p"),
            (Resource::Plan("%70"), "/tenants-plans"),
        ] {
            let response = Legacy::of(resource).response(Response::empty(204));
            let link = alloc::format!("</_/api/4{path}>; rel=\"successor-version\"");
            assert_eq!(response.header("link"), Some(link.as_str()));
            assert_eq!(response.header("deprecation"), Some("@1765238400"));
        }
    }
}
