//! The client of the API: signs requests and reads responses.
//!
//! The signature of an ordinary key covers only the body (contract §1), and that of a bound key the whole request (§13). The client never follows
//! redirects, which would send the key elsewhere.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;
use tenants_core::crypto::secret::Secret;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithBody;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, RequestBuilder};
use zeroize::Zeroizing;

use crate::address::{Address, BASE_PATH};
use crate::error::Error;
use crate::forward::Forward;
use crate::problem::Problem;
use crate::proxy::Proxy;
use crate::signing::{Sent, Signer, Signing};
use crate::trust::Trust;

/// The timeout of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a whole exchange, up to the response's last byte.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit of a response: a thousand tenants, each with two maps of the 64 KiB that a request may have.
const ANSWER_LIMIT_BYTES: u64 = 1000 * 2 * 64 * 1024;
/// The number of times that a write is sent.
const MAX_TRIES: u32 = 3;
/// The pause before a write whose answer was lost is sent again.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, whatever a response asks for.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The number of rows of a page of a list.
const PAGE_ROWS: u32 = 1000;

/// A secret and its source.
#[derive(Debug)]
pub struct Found {
    /// The secret.
    pub secret: Secret,
    /// The name of its source, for people.
    pub from: String,
}

/// The program that calls.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its short name, with which the ids of its requests begin.
    pub name: &'static str,
    /// The value of `User-Agent`.
    pub user_agent: &'static str,
}

/// The settings of a client.
pub struct Setup<'a> {
    /// The API's address.
    pub address: Address,
    /// The API key.
    pub key: Found,
    /// What requests are signed with.
    pub signing: Signing,
    /// The program that calls.
    pub program: Program,
    /// A file of certificates to trust in place of the system's.
    pub cacert: Option<&'a Path>,
    /// Returns an environment variable's value, if it is set and not empty.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder to which relative paths belong.
    pub folder: &'a Path,
}

/// A client with an API key and a secret.
pub struct Client {
    agent: Agent,
    address: Address,
    key: Secret,
    signer: Signer,
    used: String,
    program: &'static str,
    /// The proxy, for errors. Empty without one.
    through: String,
    /// The header that a forwarding proxy wants. A tunnelling one gets it from the HTTP library.
    proxy_authorization: Option<Zeroizing<String>>,
    /// The limit of a call with all its tries, if it has one.
    limit: Option<Duration>,
}

/// A request's method and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `GET`.
    Get,
    /// `POST` with a body, or without one if it is empty.
    Post(&'a [u8]),
    /// `PUT` with a body, and with an `Idempotency-Key` of the caller's own or, as other writes, one that is made for the request.
    Put(&'a [u8], Option<&'a str>),
    /// `PATCH` with a body.
    Patch(&'a [u8]),
    /// `DELETE` with a body, or without one if it is empty.
    Delete(&'a [u8]),
}

/// The part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The maximum number of rows.
    pub limit: Option<u32>,
    /// The identifier after which the part begins. It need not exist.
    pub after: Option<&'a str>,
}

impl Part<'_> {
    /// The whole list.
    pub const ALL: Self = Self {
        limit: None,
        after: None,
    };
}

/// A successful response.
#[derive(Debug)]
pub struct Answer {
    /// The status, from 200 to 299.
    pub status: u16,
    /// The body: JSON, or empty.
    pub body: String,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The path of the list's next page, if there is one.
    next: Option<String>,
}

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    /// Fails if the key does not fit in a header, if a proxy's variable is not valid, or if named certificates cannot be read.
    pub fn new(setup: Setup<'_>) -> Result<Self, Error> {
        let proxy = Proxy::find(&setup.address, setup.variable).map_err(Error::Configuration)?;
        let is_https = |url: &str| url.starts_with("https://");
        let roots = if setup.address.is_encrypted() || proxy.iter().any(|p| is_https(&p.origin)) {
            let trust = Trust {
                cacert: setup.cacert,
                variable: setup.variable,
                folder: setup.folder,
            };
            trust.roots()?
        } else {
            RootCerts::WebPki
        };
        Self::with(setup, proxy, roots)
    }

    fn with(setup: Setup<'_>, proxy: Option<Proxy>, roots: RootCerts) -> Result<Self, Error> {
        let Setup {
            address,
            key,
            signing,
            program,
            ..
        } = setup;
        if HeaderValue::from_str(key.secret.text()).is_err() {
            return Err(Error::Configuration(format!(
                "the API key from {} has characters that no API key has",
                key.from
            )));
        }
        let through = proxy
            .as_ref()
            .map(|proxy| format!(" through the proxy {} ({})", proxy.origin, proxy.from));
        let forwarding = proxy.as_ref().filter(|proxy| proxy.forwards(&address));
        Ok(Self {
            proxy_authorization: forwarding.and_then(|proxy| basic(&proxy.connection)),
            agent: agent(&address, proxy.as_ref(), roots, &program)?,
            address,
            program: program.name,
            through: through.unwrap_or_default(),
            used: format!("  the key came from {}, {}", key.from, signing.source()),
            key: key.secret,
            signer: Signer::new(&signing),
            limit: None,
        })
    }

    /// Limits each call to this time, with all its tries. Without a limit, a try may take 30 seconds, and a write is tried three times.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sends a request to a route.
    ///
    /// # Errors
    /// Fails if the API cannot be reached, or if the response is not a success.
    pub fn call(&self, request: Request<'_>, path: &str) -> Result<Answer, Error> {
        self.call_if(None, request, path)
    }

    /// Sends a request to a route, with the value of `If-Match` if there is one: the API carries it out only if the resource has one of these
    /// versions.
    ///
    /// # Errors
    /// Fails if the API cannot be reached, or if the response is not a success.
    pub fn call_if(
        &self,
        if_match: Option<&str>,
        request: Request<'_>,
        path: &str,
    ) -> Result<Answer, Error> {
        self.call_at(request, if_match, &format!("{BASE_PATH}{path}"))
    }

    /// Reads a route unless its content still has this `ETag`: then returns `None`.
    ///
    /// # Errors
    /// Fails if the API cannot be reached, or if the response is neither a success nor a 304.
    pub fn read_if_changed(&self, path: &str, etag: Option<&str>) -> Result<Option<Answer>, Error> {
        let id = self.request_id()?;
        let target = format!("{BASE_PATH}{path}");
        let sent = Sent {
            method: "GET",
            target: &target,
            body: b"",
            id: &id,
            covered: etag
                .map(|etag| ("if-none-match", etag.into()))
                .into_iter()
                .collect(),
        };
        let left = self.limit.unwrap_or(WHOLE_TIMEOUT);
        let request = self.with_headers(self.agent.get(self.address.at(&target)), &sent, left)?;
        let (response, body) = self.received(request.call(), &id)?;
        if etag.is_some() && response.status().as_u16() == 304 {
            return Ok(None);
        }
        self.judge(&response, body, id).map(Some)
    }

    /// Reads the page that an answer names as the next one; `None` if it names none.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn following(&self, answer: &Answer) -> Result<Option<Answer>, Error> {
        let next = answer.next.as_deref();
        next.map(|target| self.call_at(Request::Get, None, target))
            .transpose()
    }

    /// Reads a list, or a part of it, page by page. The path may have parameters. Returns its rows, and whether more rows follow.
    ///
    /// # Errors
    /// Fails if one of the pages cannot be read.
    pub fn list(&self, path: &str, part: Part<'_>) -> Result<(Vec<Box<RawValue>>, bool), Error> {
        let mut rows = Vec::new();
        let mut left = part.limit;
        let limit = left.map_or(PAGE_ROWS, |left| left.min(PAGE_ROWS));
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut target = format!("{BASE_PATH}{path}{separator}limit={limit}");
        if let Some(after) = part.after {
            target += &format!("&after={}", query_value(after));
        }
        loop {
            let answer = self.call_at(Request::Get, None, &target)?;
            let mut page: Vec<Box<RawValue>> = serde_json::from_str(&answer.body)
                .map_err(|_| strange("the list is not a JSON array"))?;
            if let Some(left) = &mut left {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
                let is_cut = page.len() > wanted;
                page.truncate(wanted);
                *left -= u32::try_from(page.len()).unwrap_or(*left);
                rows.extend(page);
                if *left == 0 {
                    return Ok((rows, is_cut || answer.next.is_some()));
                }
            } else {
                rows.extend(page);
            }
            match answer.next {
                None => return Ok((rows, false)),
                Some(next) if next == target => {
                    return Err(strange("the list's next page is the same page"));
                }
                Some(next) => target = next,
            }
        }
    }

    /// Returns a new request id. Its prefix shows which program sent the request.
    fn request_id(&self) -> Result<String, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|_| Error::Machine("this machine cannot supply random bytes".into()))?;
        Ok(format!("{}-{}", self.program, hex::encode(bytes)))
    }

    /// Sends a request. A write whose answer is lost, or that the service could not carry out for the moment, is sent again: it has an
    /// `Idempotency-Key`, so the API carries it out once.
    fn call_at(
        &self,
        request: Request<'_>,
        if_match: Option<&str>,
        target: &str,
    ) -> Result<Answer, Error> {
        let id = self.request_id()?;
        let end = self.limit.map(|limit| Instant::now() + limit);
        let left = || {
            end.map_or(WHOLE_TIMEOUT, |end| {
                end.saturating_duration_since(Instant::now())
            })
        };
        if request == Request::Get {
            return self
                .try_at(request, if_match, target, &id, left())
                .map_err(|tried| tried.error);
        }
        let mut tries = 1;
        // Whether the API may have carried out one of the tries.
        let mut may_be_done = false;
        loop {
            let tried = match self.try_at(request, if_match, target, &id, left()) {
                Ok(answer) => return Ok(answer),
                Err(tried) => tried,
            };
            may_be_done |= tried.is_lost;
            // If the answer of an earlier try was lost, only another one says what became of it, so try again although there is no connection now.
            let is_unknown = may_be_done && matches!(tried.error, Error::Unreachable { .. });
            match tried.again_after.or(is_unknown.then_some(PAUSE)) {
                Some(pause) if tries < MAX_TRIES && pause < left() => thread::sleep(pause),
                _ if may_be_done => return Err(in_doubt(tried.error)),
                _ => return Err(tried.error),
            }
            tries += 1;
        }
    }

    /// Sends a request once, in the time that is left. A write's id is its `Idempotency-Key`, too.
    fn try_at(
        &self,
        request: Request<'_>,
        if_match: Option<&str>,
        target: &str,
        id: &str,
        left: Duration,
    ) -> Result<Answer, Tried> {
        let url = self.address.at(target);
        let own_key = || Some(format!("\"{id}\""));
        let (method, body, idempotency_key) = match request {
            Request::Get => ("GET", &b""[..], None),
            Request::Delete(body) => ("DELETE", body, own_key()),
            Request::Post(body) => ("POST", body, own_key()),
            Request::Put(body, Some(key)) => ("PUT", body, Some(key.into())),
            Request::Put(body, None) => ("PUT", body, own_key()),
            Request::Patch(body) => ("PATCH", body, own_key()),
        };
        let sent = Sent {
            method,
            target,
            body,
            id,
            covered: [
                ("idempotency-key", idempotency_key),
                ("if-match", if_match.map(Into::into)),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        };
        let response = match request {
            Request::Get => self.with_headers(self.agent.get(&url), &sent, left)?.call(),
            Request::Delete(b"") => self
                .with_headers(self.agent.delete(&url), &sent, left)?
                .call(),
            Request::Delete(body) => {
                let delete = with_json(self.agent.delete(&url).force_send_body());
                self.with_headers(delete, &sent, left)?.send(body)
            }
            Request::Post(b"") => self
                .with_headers(self.agent.post(&url), &sent, left)?
                .send_empty(),
            Request::Post(body) => {
                let post = with_json(self.agent.post(&url));
                self.with_headers(post, &sent, left)?.send(body)
            }
            Request::Put(body, _) => {
                let put = with_json(self.agent.put(&url));
                self.with_headers(put, &sent, left)?.send(body)
            }
            Request::Patch(body) => {
                let patch = with_json(self.agent.patch(&url));
                self.with_headers(patch, &sent, left)?.send(body)
            }
        };
        let is_lost = !response.as_ref().is_err_and(is_before_sending);
        let (response, body) = match self.received(response, id) {
            Ok(received) => received,
            Err(error) => {
                return Err(Tried {
                    error,
                    again_after: is_lost.then_some(PAUSE),
                    is_lost,
                });
            }
        };
        let again_after = retry_after(&response);
        self.judge(&response, body, id.into())
            .map_err(|error| Tried {
                error,
                again_after,
                is_lost: false,
            })
    }

    /// Reads the response's body.
    fn received(
        &self,
        response: Result<Response<Body>, ureq::Error>,
        id: &str,
    ) -> Result<(Response<Body>, Vec<u8>), Error> {
        let mut response = response.map_err(|e| self.unreachable(&e, id))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT_BYTES)
            .read_to_vec()
            .map_err(|e| self.unreachable(&e, id))?;
        Ok((response, body))
    }

    /// Adds the headers and the time limit of a request, and signs it.
    fn with_headers<B>(
        &self,
        request: RequestBuilder<B>,
        sent: &Sent<'_>,
        left: Duration,
    ) -> Result<RequestBuilder<B>, Error> {
        let request = request.config().timeout_global(Some(left)).build();
        let request = match &self.proxy_authorization {
            Some(value) => request.header("proxy-authorization", value.as_str()),
            None => request,
        };
        let mut request = request
            .header("accept", "application/json")
            .header("x-api-key", self.key.text())
            .header("x-request-id", sent.id);
        for (name, value) in &sent.covered {
            request = request.header(*name, value);
        }
        let signed = self.signer.sign(sent, &self.key, self.address.origin())?;
        Ok(signed.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        }))
    }

    fn judge(
        &self,
        response: &Response<Body>,
        body: Vec<u8>,
        request_id: String,
    ) -> Result<Answer, Error> {
        let status = response.status();
        if status.is_redirection() {
            return Err(Error::Strange {
                detail: format!(
                    "{} responded with a redirect (status {}), which this program does not follow; is the address right?",
                    self.address.origin(),
                    status.as_u16()
                ),
                request_id,
            });
        }
        if !status.is_success() {
            let problem = Problem {
                retry_after_seconds: retry_after_seconds(response),
                ..Problem::of_answer(status.as_u16(), &body, &request_id)
            };
            return Err(Error::Answer {
                problem: Box::new(problem),
                used: (status == 401).then(|| self.used.clone()),
            });
        }
        let is_json =
            |text: &String| text.is_empty() || serde_json::from_str::<&RawValue>(text).is_ok();
        match String::from_utf8(body).ok().filter(is_json) {
            Some(body) => Ok(Answer {
                status: status.as_u16(),
                body,
                etag: response
                    .headers()
                    .get("etag")
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
                next: next_page(response)?,
            }),
            None => Err(Error::Strange {
                detail: format!(
                    "{} responded, but not with JSON; is the address right?",
                    self.address.origin()
                ),
                request_id,
            }),
        }
    }

    fn unreachable(&self, error: &ureq::Error, request_id: &str) -> Error {
        let origin = format!("{}{}", self.address.origin(), self.through);
        let mut detail = match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => format!(
                "{origin} cannot be reached: no connection within {} s",
                CONNECT_TIMEOUT.as_secs()
            ),
            ureq::Error::Timeout(_) => {
                let limit = self.limit.unwrap_or(WHOLE_TIMEOUT);
                format!("{origin} did not respond within {} s", limit.as_secs())
            }
            ureq::Error::Io(error) => format!("{origin} cannot be reached: {error}"),
            error => format!("{origin} cannot be reached: {error}"),
        };
        // This only adds a hint for people.
        if detail.contains("UnknownIssuer") {
            detail += ". --cacert names the certificate of a private CA";
        } else if detail.contains("CaUsedAsEndEntity") {
            detail +=
                ". The server shows a CA's own certificate; it needs one that the CA gave to it";
        }
        if self.address.is_loopback()
            && matches!(error, ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused)
        {
            detail += ". `npm start` serves the API on this machine";
        }
        Error::Unreachable {
            detail,
            request_id: request_id.into(),
        }
    }
}

/// A request without a success.
struct Tried {
    error: Error,
    /// The pause before the same request may have one. `None` if it will not.
    again_after: Option<Duration>,
    /// Whether it was sent, and has no response.
    is_lost: bool,
}

impl From<Error> for Tried {
    fn from(error: Error) -> Self {
        Self {
            error,
            again_after: None,
            is_lost: false,
        }
    }
}

/// Says of a write whose answer was lost that it may have been carried out. A problem of the API itself is an answer.
fn in_doubt(mut error: Error) -> Error {
    if let Error::Unreachable { detail, .. } | Error::Strange { detail, .. } = &mut error {
        detail.push_str(". The API may have carried out the request");
    }
    error
}

/// Returns the pause that a 503 asks for.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    if response.status().as_u16() != 503 {
        return None;
    }
    let seconds = retry_after_seconds(response)?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

/// Returns the seconds of `Retry-After`. The API never writes a date there.
fn retry_after_seconds(response: &Response<Body>) -> Option<u64> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?;
    seconds.parse().ok()
}

/// Creates the HTTP library's agent. The environment has no influence on it.
fn agent(
    address: &Address,
    proxy: Option<&Proxy>,
    roots: RootCerts,
    program: &Program,
) -> Result<Agent, Error> {
    let tls = TlsConfig::builder().root_certs(roots).build();
    let config = |proxy: Option<ureq::Proxy>| {
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(WHOLE_TIMEOUT))
            .user_agent(program.user_agent)
            .tls_config(tls.clone())
            .proxy(proxy)
    };
    let connection = proxy.map(|proxy| proxy.connection.clone());
    let Some(forwarding) = proxy.filter(|proxy| proxy.forwards(address)) else {
        return Ok(config(connection).build().into());
    };
    let forward = Forward {
        proxy: forwarding.origin.parse().map_err(|_| {
            Error::Configuration(format!("{}: the proxy is not usable", forwarding.from))
        })?,
        origin: address.origin().to_owned(),
        direct: config(None).build(),
        connector: DefaultConnector::default(),
    };
    // With the proxy in its settings, the library leaves the API's name for the proxy to resolve.
    let config = config(connection).max_idle_connections(0).build();
    Ok(Agent::with_parts(
        config,
        forward,
        DefaultResolver::default(),
    ))
}

/// Returns the value of `Proxy-Authorization`, if the proxy has a user (RFC 7617).
fn basic(proxy: &ureq::Proxy) -> Option<Zeroizing<String>> {
    let user = proxy.username()?;
    let password = proxy.password().unwrap_or_default();
    let credentials = Zeroizing::new(format!("{user}:{password}"));
    Some(Zeroizing::new(format!(
        "Basic {}",
        BASE64_STANDARD.encode(credentials.as_bytes())
    )))
}

/// Returns whether an error happened before the request was sent, so that the API cannot have carried it out.
fn is_before_sending(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(reason) => {
            matches!(reason, ureq::Timeout::Connect | ureq::Timeout::Resolve)
        }
        // The library completes the handshake of TLS while it connects, and a failed one is an error of kind `InvalidData`.
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
                | ErrorKind::InvalidData
        ),
        ureq::Error::HostNotFound
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::TlsRequired
        | ureq::Error::BadUri(_) => true,
        _ => false,
    }
}

fn with_json(request: RequestBuilder<WithBody>) -> RequestBuilder<WithBody> {
    request.header("content-type", "application/json")
}

/// Returns the target of `Link: <…>; rel="next"` (RFC 8288), which must be a path of the same origin.
fn next_page(response: &Response<Body>) -> Result<Option<String>, Error> {
    let links = response.headers().get_all("link");
    let next = links
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(next_in);
    match next {
        // A target that begins with `//` names another host.
        Some(path) if !path.starts_with('/') || path.starts_with("//") => {
            Err(strange("the list's next page is not a path of the API"))
        }
        next => Ok(next.map(str::to_owned)),
    }
}

/// Percent-encodes a query parameter's value (RFC 3986 §2.1).
pub fn query_value(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(b.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Returns the first target with `rel="next"` in a `Link` header.
fn next_in(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, r)| r.split_once('>')) {
        let (parameters, following) = after.split_at(after.find('<').unwrap_or(after.len()));
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split(' ')
                        .any(|rel| rel == "next")
            })
        });
        if is_next {
            return Some(target);
        }
        rest = following;
    }
    None
}

fn strange(detail: &str) -> Error {
    Error::Strange {
        detail: detail.into(),
        request_id: String::new(),
    }
}

#[cfg(test)]
mod tests;
