//! Reads a request's head: everything that the core needs except the body.

use tenants_core::config::Config;
use tenants_core::{Api, Body, Headers, Request};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::web_sys;

// One call reads the whole head, since each call from wasm to JavaScript costs about as much as reading a header. No method, URL or header
// value has a line break. Headers that the route does not read are left out.
#[wasm_bindgen(inline_js = "
export function head(request, readsAddress, hasConsole) {
  const { method, url, headers } = request
  const get = (name) => headers.get(name) ?? ''
  // An empty one is malformed, not absent.
  const some = (name) => { const value = headers.get(name); return value === '' ? ' ' : value ?? '' }
  const isTraefik = url.includes('/config/traefik')
  // A GET rarely has a body, so check `body` first.
  let length = method === 'GET' && request.body === null ? '0' : get('content-length')
  if (length === '' && request.body === null) length = '0'
  const signature = some('x-signature')
  // A bound key signs in another way, and its signature may cover any header.
  const input = signature === '' ? get('signature-input') : ''
  const message = signature === '' ? get('signature') : ''
  const isSigned = input !== '' || message !== ''
  // Only the cookie of a session of the console counts, and with it two headers more.
  const cookies = hasConsole ? get('cookie') : ''
  const cookie = cookies.includes('tenants_session=') ? cookies : ''
  const reads = isSigned || method !== 'GET'
  return `${method}\\n${url}\\n${length}\\n${readsAddress || isTraefik ? get('cf-connecting-ip') : ''}\\n${get('x-api-key')}\\n${
    signature}\\n${length === '0' && !isSigned ? '\\n' : get('content-type') + '\\n' + get('content-encoding')}\\n${get('x-request-id')}\\n${get('if-none-match')}\\n${
    reads ? some('idempotency-key') + '\\n' + get('prefer') : '\\n'}\\n${some('if-match')}\\n${
    isSigned ? `${input}\\n${message}\\n${get('content-digest')}` : '\\n\\n'}\\n${
    hasConsole ? `${cookie}\\n${get('sec-fetch-site')}\\n${cookie === '' ? '' : get('x-csrf-token')}` : '\\n\\n'}`
}
")]
extern "C" {
    fn head(request: &web_sys::Request, reads_address: bool, has_console: bool) -> String;
}

/// A request's head, one value a line. A line is empty if the request lacks the value.
pub(crate) struct Head(String);

impl Head {
    const LINES: usize = 4 + Headers::COUNT;

    /// Reads a request's head. `api` says whether it needs the client's address.
    pub(crate) fn read(request: &web_sys::Request, api: &Api) -> Self {
        Self(head(
            request,
            api.config().is_ok_and(Config::needs_client_address),
            api.config().is_ok_and(Config::has_console),
        ))
    }

    /// The declared length of the body, if there is one. It is 0 if the request has no body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        let [_, _, length, ..] = self.lines();
        length
            .filter(|l| l.bytes().all(|b| b.is_ascii_digit()))?
            .parse()
            .ok()
    }

    /// The request, with its body.
    pub(crate) fn request<'a>(&'a self, body: Body<'a>) -> Request<'a> {
        let [method, url, _, client_address, headers @ ..] = self.lines();
        let (origin, target) = parts(url.unwrap_or_default());
        Request {
            method: method.unwrap_or_default(),
            target,
            origin: Some(origin),
            client_address,
            headers: Headers::from_values(headers),
            body,
        }
    }

    /// Method, path and query, and the client's address as far as the core needs it.
    pub(crate) fn asked(&self) -> (&str, &str, Option<&str>) {
        let [method, url, _, client_address, ..] = self.lines();
        let (_, target) = parts(url.unwrap_or_default());
        (method.unwrap_or_default(), target, client_address)
    }

    fn lines(&self) -> [Option<&str>; Self::LINES] {
        let mut lines = self.0.split('\n');
        let all = [(); Self::LINES].map(|()| lines.next().filter(|line| !line.is_empty()));
        assert!(
            lines.next().is_none(),
            "a request's head has too many lines"
        );
        all
    }
}

/// The two parts of an absolute URL: scheme and authority, and path and query.
fn parts(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + "://".len());
    match url[after_scheme..].find('/') {
        Some(at) => url.split_at(after_scheme + at),
        None => (url, "/"),
    }
}
