//! Routing: which operation a method and a path are (contract §1 and §4).
//!
//! Path segments are not percent-decoded, and no route has a trailing slash (contract §10).

use crate::dialect::Dialect;
use crate::http::Method;

/// What a path names, with its identifier as it stands there, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    AuthVerify,
    ConfigTraefik,
    Tenants,
    Tenant(&'a str),
    TenantInstall(&'a str),
    TenantUserPasswordReset(&'a str),
    Plans,
    Plan(&'a str),
}

impl<'a> Resource<'a> {
    /// Finds what a path names, and in which dialect.
    pub(crate) fn find(path: &'a str) -> Option<(Dialect, Self)> {
        let (dialect, rest) = [Dialect::Current, Dialect::Legacy]
            .into_iter()
            .find_map(|dialect| Some((dialect, path.strip_prefix(dialect.base_path())?)))?;
        let mut segments = rest.strip_prefix('/')?.split('/');
        let named = (
            segments.next()?,
            segments.next(),
            segments.next(),
            segments.next(),
        );
        let resource = match named {
            ("auth", Some("verify"), None, None) => Self::AuthVerify,
            ("config", Some("traefik"), None, None) => Self::ConfigTraefik,
            ("tenants", None, None, None) => Self::Tenants,
            ("tenants", Some(id), None, None) if !id.is_empty() => Self::Tenant(id),
            ("tenants", Some(id), Some("install"), None) if !id.is_empty() => {
                Self::TenantInstall(id)
            }
            ("tenants", Some(id), Some("user-password-reset"), None) if !id.is_empty() => {
                Self::TenantUserPasswordReset(id)
            }
            ("tenants-plans", None, None, None) => Self::Plans,
            ("tenants-plans", Some(id), None, None) if !id.is_empty() => Self::Plan(id),
            _ => return None,
        };
        (dialect == Dialect::Current || resource.is_legacy()).then_some((dialect, resource))
    }

    /// Whether the legacy dialect has it at all.
    fn is_legacy(&self) -> bool {
        matches!(
            self,
            Self::Tenants | Self::Tenant(_) | Self::Plans | Self::Plan(_)
        )
    }

    /// The path's template below the base path: for the log, which must not hold what a caller sent.
    pub(crate) fn template(&self) -> &'static str {
        match self {
            Self::AuthVerify => "/auth/verify",
            Self::ConfigTraefik => "/config/traefik",
            Self::Tenants => "/tenants",
            Self::Tenant(_) => "/tenants/{id}",
            Self::TenantInstall(_) => "/tenants/{id}/install",
            Self::TenantUserPasswordReset(_) => "/tenants/{id}/user-password-reset",
            Self::Plans => "/tenants-plans",
            Self::Plan(_) => "/tenants-plans/{id}",
        }
    }

    /// The methods it has, as `Allow` lists them.
    pub(crate) fn allow(&self, dialect: Dialect) -> &'static str {
        match self {
            Self::AuthVerify | Self::TenantInstall(_) => "POST",
            Self::ConfigTraefik => "GET, HEAD",
            Self::Tenants if dialect == Dialect::Legacy => "POST",
            Self::Tenants | Self::Plans => "GET, HEAD, POST",
            Self::Tenant(_) | Self::Plan(_) => "GET, HEAD, PATCH, DELETE",
            Self::TenantUserPasswordReset(_) => "PATCH",
        }
    }

    /// The operation of a method on it.
    pub(crate) fn operation(self, dialect: Dialect, method: Method) -> Option<Operation<'a>> {
        let read = matches!(method, Method::Get | Method::Head);
        Some(match (self, method) {
            (Self::AuthVerify, Method::Post) => Operation::VerifyKey,
            (Self::ConfigTraefik, _) if read => Operation::TraefikConfig,
            (Self::Tenants, _) if read && dialect == Dialect::Current => Operation::ListTenants,
            (Self::Tenants, Method::Post) => Operation::CreateTenant,
            (Self::Tenant(id), _) if read => Operation::GetTenant(id),
            (Self::Tenant(id), Method::Patch) => Operation::EditTenant(id),
            (Self::Tenant(id), Method::Delete) => Operation::DeleteTenant(id),
            (Self::TenantInstall(id), Method::Post) => Operation::InstallTenant(id),
            (Self::TenantUserPasswordReset(id), Method::Patch) => Operation::ResetUserPassword(id),
            (Self::Plans, _) if read => Operation::ListPlans,
            (Self::Plans, Method::Post) => Operation::CreatePlan,
            (Self::Plan(id), _) if read => Operation::GetPlan(id),
            (Self::Plan(id), Method::Patch) => Operation::EditPlan(id),
            (Self::Plan(id), Method::Delete) => Operation::DeletePlan(id),
            _ => return None,
        })
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    VerifyKey,
    TraefikConfig,
    ListTenants,
    CreateTenant,
    GetTenant(&'a str),
    EditTenant(&'a str),
    DeleteTenant(&'a str),
    InstallTenant(&'a str),
    ResetUserPassword(&'a str),
    ListPlans,
    CreatePlan,
    GetPlan(&'a str),
    EditPlan(&'a str),
    DeletePlan(&'a str),
}

#[cfg(test)]
mod tests {
    use super::{Operation, Resource};
    use crate::dialect::Dialect;
    use crate::http::Method;

    #[test]
    fn every_path_of_the_contract_is_found() {
        for (path, resource) in [
            ("/auth/verify", Resource::AuthVerify),
            ("/config/traefik", Resource::ConfigTraefik),
            ("/tenants", Resource::Tenants),
            ("/tenants/a", Resource::Tenant("a")),
            ("/tenants/a%20b", Resource::Tenant("a%20b")),
            ("/tenants/a/install", Resource::TenantInstall("a")),
            (
                "/tenants/a/user-password-reset",
                Resource::TenantUserPasswordReset("a"),
            ),
            ("/tenants-plans", Resource::Plans),
            ("/tenants-plans/p", Resource::Plan("p")),
        ] {
            assert_eq!(
                Resource::find(&alloc::format!("/_/api/4{path}")),
                Some((Dialect::Current, resource))
            );
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "",
            "/",
            "/_/api/4",
            "/_/api/4/",
            "/_/api/4/tenants/",
            "/_/api/4//tenants",
            "/_/api/4/tenants/a/",
            "/_/api/4/tenants/a/install/",
            "/_/api/4/tenants//install",
            "/_/api/4/tenants/a/b",
            "/_/api/4tenants",
            "/_/api/5/tenants",
            "/_/API/4/tenants",
            "/_/api/4/Tenants",
            "/api/4/tenants",
            "/_/api/4/auth",
            "/api/4/_/auth/verify",
            "/api/4/_/config/traefik",
            "/api/4/_/tenants/a/install",
        ] {
            assert_eq!(Resource::find(path), None, "{path}");
        }
    }

    #[test]
    fn allow_lists_what_the_methods_are() {
        let names = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "PROPFIND"];
        for dialect in [Dialect::Current, Dialect::Legacy] {
            for resource in [
                Resource::AuthVerify,
                Resource::ConfigTraefik,
                Resource::Tenants,
                Resource::Tenant("a"),
                Resource::TenantInstall("a"),
                Resource::TenantUserPasswordReset("a"),
                Resource::Plans,
                Resource::Plan("a"),
            ] {
                for name in names {
                    let listed = resource.allow(dialect).split(", ").any(|m| m == name);
                    let served = resource.operation(dialect, Method::new(name)).is_some();
                    assert_eq!(listed, served, "{dialect:?} {resource:?} {name}");
                }
            }
        }
    }

    #[test]
    fn methods_are_told_apart_by_case() {
        assert_eq!(
            Resource::Tenants.operation(Dialect::Current, Method::new("get")),
            None
        );
        assert_eq!(
            Resource::Tenants.operation(Dialect::Current, Method::new("HEAD")),
            Some(Operation::ListTenants)
        );
    }
}
