//! The URL that a signature of a whole request covers, in the form of RFC 9421 §2.2: scheme and host are in lower case, and a default port is
//! left out.

use alloc::string::String;

/// The URL of a request, as it is signed.
pub(crate) struct TargetUri<'a> {
    scheme: String,
    authority: String,
    prefix: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> TargetUri<'a> {
    /// Takes scheme and authority, with the path before the service's own if there is one, and the path and query of a request line.
    pub(crate) fn new(base: &'a str, target: &'a str) -> Self {
        let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let authority = match authority.strip_suffix(default_port) {
            Some(host) => host.into(),
            None => authority,
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Self {
            scheme,
            authority,
            prefix,
            path,
            query,
        }
    }

    /// The whole.
    pub(crate) fn whole(&self) -> String {
        self.part("target-uri").unwrap_or_default()
    }

    /// A derived component (RFC 9421 §2.2), by its name without the `@`.
    pub(crate) fn part(&self, name: &str) -> Option<String> {
        let path = [self.prefix, self.path].concat();
        let query = match self.query {
            Some(query) => ["?", query].concat(),
            None => String::new(),
        };
        Some(match name {
            "target-uri" => [&self.scheme, "://", &self.authority, &path, &query].concat(),
            "authority" => self.authority.clone(),
            "scheme" => self.scheme.clone(),
            "request-target" => path + &query,
            "path" => path,
            // Without a query it is a lone question mark.
            "query" if query.is_empty() => "?".into(),
            "query" => query,
            _ => return None,
        })
    }
}
