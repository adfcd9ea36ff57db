//! Responses of the legacy dialect (contract §1): its names and headers.

use alloc::format;
use alloc::string::String;

use crate::value::fault::{ApiError, FieldError, Place};
use crate::value::id::PlanId;
use crate::wire::dialect::Dialect;
use crate::wire::http::Response;
use crate::wire::route::Path;

/// Turns a response into a legacy one.
#[derive(Debug, Clone)]
pub(crate) struct Legacy {
    id_field: &'static str,
    successor: String,
}

/// The date of the deprecation (RFC 9745): 2025-12-09 00:00:00 UTC, the day on which the current dialect shipped.
const DEPRECATION: &str = "@1765238400";

impl Legacy {
    /// For a path of the legacy dialect.
    pub(crate) fn of(path: Path<'_>) -> Self {
        let collection = path.template.strip_suffix("/{id}").unwrap_or(path.template);
        // An invalid identifier is not repeated, since it may hold any text.
        let id = PlanId::parse(path.id).map_or_else(|_| String::new(), |id| format!("/{id}"));
        Self {
            id_field: id_field(path.template),
            successor: format!(
                "<{}{collection}{id}>; rel=\"successor-version\"",
                Dialect::Current.base_path()
            ),
        }
    }

    /// Renames the fields of an error to those that the caller knows, and leaves out who holds a taken value.
    pub(crate) fn error(&self, mut error: ApiError) -> ApiError {
        if let ApiError::Invalid(errors)
        | ApiError::Conflict(errors)
        | ApiError::SiteExists(errors) = &mut error
        {
            for FieldError { at, holder, .. } in errors {
                *holder = None;
                if *at == Place::Pointer("/id".into()) {
                    *at = Place::Pointer(format!("/{}", self.id_field));
                }
            }
        }
        error
    }

    /// Adds the headers that every legacy response has.
    pub(crate) fn response(self, mut response: Response) -> Response {
        let link = match response
            .headers
            .iter()
            .position(|(name, _)| *name == "link")
        {
            // RFC 8288 §3 allows several links in one header. The list's own link comes first.
            Some(at) => format!("{}, {}", response.headers.remove(at).1, self.successor),
            None => self.successor,
        };
        response.with("deprecation", DEPRECATION).with("link", link)
    }
}

/// The legacy name of a resource's identifier.
pub(crate) fn id_field(template: &str) -> &'static str {
    if template.starts_with("/tenants-plans") {
        "plan_id"
    } else {
        "tenant_id"
    }
}

#[cfg(test)]
mod tests {
    use super::Legacy;
    use crate::wire::http::Response;
    use crate::wire::route::Path;

    #[test]
    fn every_response_names_its_successor_and_repeats_no_invalid_id() {
        for (path, successor) in [
            ("/tenants", "/tenants"),
            ("/tenants/a_B-1", "/tenants/a_B-1"),
            ("/tenants/a>\r\nb", "/tenants"),
            ("/tenants-plans", "/tenants-plans"),
            ("/tenants-plans/p", "/tenants-plans/p"),
            ("/tenants-plans/%70", "/tenants-plans"),
        ] {
            let path = alloc::format!("/api/4/_{path}");
            let legacy = Legacy::of(Path::find(&path).unwrap());
            let response = legacy.response(Response::empty(204));
            let link = alloc::format!("</_/api/4{successor}>; rel=\"successor-version\"");
            assert_eq!(response.header("link"), Some(link.as_str()));
            assert_eq!(response.header("deprecation"), Some("@1765238400"));
        }
    }
}
