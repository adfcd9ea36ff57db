//! The routing of the hostnames that tenants have besides their own (contract §18).
//!
//! An alias is one more `Host()` in the tenant's own rule. A redirect is a router of its own. Its middleware keeps the scheme, the port, the path
//! and the query. Traefik answers a permanent redirection with 301 to a GET and with 308 to other methods.

use alloc::string::String;
use alloc::vec::Vec;

use crate::store::routing::further::Further;
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;

/// A request's URL, as Traefik's `redirectRegex` sees it. A `Host` whose port is no number does not match, so nobody can smuggle a name in.
const REGEX: &str = "^([a-z]+)://[^/:]+(:[0-9]+)?(/.*)?$";

/// The end of a rule.
pub(super) const AFTER_HOSTNAME: &str = "`)\"";

/// What the routers of one body have beside the tenants' own hostnames.
pub(super) struct Written<'a> {
    further: &'a Further,
    root: &'a Hostname,
    /// The middlewares of redirects and of held tenants, each after a comma.
    middlewares: String,
}

impl<'a> Written<'a> {
    pub(super) fn new(further: &'a Further, root: &'a Hostname) -> Self {
        Self {
            further,
            root,
            middlewares: String::new(),
        }
    }

    /// Adds a middleware, which comes after a comma.
    pub(super) fn middleware(&mut self, text: &str) {
        self.middlewares.push_str(text);
    }

    /// Adds the rest of a tenant's rule after its own hostname, the rest of its own `router`, and the routers of its redirects, which begin as `other` does.
    /// A hostname that is the root's by now is left out, and named.
    pub(super) fn router(
        &mut self,
        (id, hostname): (&str, &str),
        (router, other): (&str, &str),
        body: &mut String,
        left_out: &mut Vec<String>,
    ) {
        let all = self.further.of(id);
        let mut push = |texts: &[&str]| texts.iter().for_each(|text| body.push_str(text));
        if all.is_empty() {
            return push(&[AFTER_HOSTNAME, router]);
        }
        push(&["`)"]);
        let mut redirects = false;
        for (name, kind) in all {
            if !Hostname::is_canonical(name) || name == self.root.as_str() {
                left_out.push(alloc::format!(
                    "tenants/{id}/hostnames/{name}: it is not valid, or the root's own"
                ));
            } else if *kind == HostnameKind::Alias {
                push(&[" || Host(`", name, "`)"]);
            } else {
                redirects = true;
            }
        }
        push(&["\"", router]);
        if !redirects {
            return;
        }
        // INVARIANT: a router ends with its list of middlewares. No id has a colon, so no name meets another one.
        let start = other.strip_suffix("]}").unwrap_or(other);
        for (name, kind) in all {
            if *kind == HostnameKind::Redirect
                && Hostname::is_canonical(name)
                && name != self.root.as_str()
            {
                push(&[
                    ",\"",
                    id,
                    ":",
                    name,
                    "\":{\"rule\":\"Host(`",
                    name,
                    "`)\"",
                    start,
                ]);
                push(&[",\"redirect:", id, "\"]}"]);
            }
        }
        for text in [
            ",\"redirect:",
            id,
            "\":{\"redirectRegex\":{\"regex\":\"",
            REGEX,
            "\",\"replacement\":\"${1}://",
            hostname,
            "${2}${3}\",\"permanent\":true}}",
        ] {
            self.middlewares.push_str(text);
        }
    }

    /// Adds the middlewares. `middlewares` ends with the end of the map of middlewares, and of the two maps around it.
    pub(super) fn middlewares(&self, middlewares: &str, body: &mut String) {
        match middlewares.strip_suffix("}}}") {
            Some(start) if !self.middlewares.is_empty() => {
                for text in [start, &self.middlewares, "}}}"] {
                    body.push_str(text);
                }
            }
            _ => body.push_str(middlewares),
        }
    }
}
