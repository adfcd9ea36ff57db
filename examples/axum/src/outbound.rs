//! Sends the requests of the service itself: events to webhooks, and questions about the records of hostnames.
//!
//! A name may resolve to a private address. So each address that it resolves to is judged by the core, the connection goes to one of those very
//! addresses, and nothing resolves the name a second time.

use std::error::Error;
use std::io::Read as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tenants_core::{FetchFailure, FetchRequest, FetchedAnswer};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Sends a request and reads the first bytes of its answer. It follows no redirect, and uses no proxy, since a proxy would resolve the name itself.
///
/// # Errors
/// The reason why there is no whole answer.
pub(crate) fn send(request: &FetchRequest) -> Result<FetchedAnswer, FetchFailure> {
    send_by(request, DefaultResolver::default())
}

fn send_by(request: &FetchRequest, names: impl Resolver) -> Result<FetchedAnswer, FetchFailure> {
    let began = Instant::now();
    let milliseconds = || u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    match answer_of(request, names) {
        Ok((status, body)) => Ok(FetchedAnswer {
            status,
            body,
            milliseconds: milliseconds(),
        }),
        Err(error) => Err(FetchFailure::new(error.to_string(), milliseconds())),
    }
}

fn answer_of(
    request: &FetchRequest,
    names: impl Resolver,
) -> Result<(u16, Vec<u8>), Box<dyn Error + Send + Sync>> {
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_millis(request.timeout_ms.into())))
        .build();
    let url = request.url.clone();
    let checked = Checked {
        names,
        may_connect_to: move |address| url.may_connect_to(address),
    };
    let agent = Agent::with_parts(config, DefaultConnector::default(), checked);
    let mut message = Request::builder()
        .method(request.method)
        .uri(request.url.as_str());
    for (name, value) in &request.headers {
        message = message.header(*name, value.as_str());
    }
    let answer = if request.body.is_empty() {
        agent.run(message.body(())?)
    } else {
        agent.run(message.body(request.body.as_str())?)
    };
    let answer = answer.map_err(|error| match error {
        ureq::Error::Other(refusal) => refusal,
        other => other.into(),
    })?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let limit = request.limit_bytes.into();
    let reader = answer.into_body().into_reader();
    reader.take(limit).read_to_end(&mut body)?;
    Ok((status, body))
}

/// Resolves names, and refuses one if any of its addresses may not be called.
struct Checked<R, F> {
    names: R,
    may_connect_to: F,
}

impl<R, F> std::fmt::Debug for Checked<R, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").finish_non_exhaustive()
    }
}

impl<R: Resolver, F: Fn(IpAddr) -> bool + Send + Sync + 'static> Resolver for Checked<R, F> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let refused = |address: &&std::net::SocketAddr| !(self.may_connect_to)(address.ip());
        match found.iter().find(refused) {
            None => Ok(found),
            Some(address) => Err(ureq::Error::Other(
                format!(
                    "{} resolves to {}, which may not be called",
                    uri.host().unwrap_or_default(),
                    address.ip()
                )
                .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ureq::Timeout;
    use ureq::config::Config;
    use ureq::http::Uri;
    use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
    use ureq::unversioned::transport::NextTimeout;
    use ureq::unversioned::transport::time::Duration;

    use super::Checked;

    /// Any name has these addresses.
    #[derive(Debug)]
    struct Fixed(Vec<&'static str>);

    impl Resolver for Fixed {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut all = self.empty();
            for address in &self.0 {
                all.push(address.parse::<SocketAddr>().unwrap());
            }
            Ok(all)
        }
    }

    #[test]
    fn one_address_that_may_not_be_called_is_enough_to_refuse_the_name() {
        let (public, private) = ("192.0.2.7:443", "10.0.0.1:443");
        for (addresses, is_allowed) in [
            (vec![public], true),
            (vec![private], false),
            (vec![public, private], false),
        ] {
            let checked = Checked {
                names: Fixed(addresses.clone()),
                may_connect_to: |address: std::net::IpAddr| address.to_string() != "10.0.0.1",
            };
            let uri = Uri::from_static("https://hooks.example.com/");
            let never = NextTimeout {
                after: Duration::NotHappening,
                reason: Timeout::Global,
                ..NextTimeout::default()
            };
            match checked.resolve(&uri, &Config::default(), never) {
                Ok(found) => assert!(is_allowed && found.len() == addresses.len()),
                Err(error) => {
                    assert!(!is_allowed);
                    let text = "hooks.example.com resolves to 10.0.0.1, which may not be called";
                    assert_eq!(error.to_string(), format!("other: {text}"));
                }
            }
        }
    }
}
