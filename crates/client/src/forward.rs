//! Forwards `http` requests through a proxy: sends them to the proxy in absolute form (RFC 9112 §3.2.2), as curl does.
//!
//! The HTTP library only knows tunnels (`CONNECT`), which many proxies allow to port 443 alone. Its transport is replaceable, so this
//! module connects to the proxy instead of the API, and puts the API's origin before the path in the first line of the request.

use std::fmt;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use zeroize::Zeroizing;

/// Connects to a proxy, and forwards requests through it.
///
/// INVARIANT: each connection carries one request, so the agent must not keep connections.
pub struct Forward {
    /// The proxy's address.
    pub proxy: Uri,
    /// The API's scheme, host and port.
    pub origin: String,
    /// The settings of the connection to the proxy, which has no proxy itself.
    pub direct: Config,
    /// Opens the connection to the proxy.
    pub connector: DefaultConnector,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").finish_non_exhaustive()
    }
}

impl Connector for Forward {
    type Out = AbsoluteForm;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<AbsoluteForm>, ureq::Error> {
        let addrs = details
            .resolver
            .resolve(&self.proxy, &self.direct, details.timeout)?;
        let to_proxy = ConnectionDetails {
            uri: &self.proxy,
            addrs,
            config: &self.direct,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let inner = self.connector.connect(&to_proxy, chained)?;
        Ok(inner.map(|inner| AbsoluteForm {
            inner,
            origin: Some(self.origin.clone()),
        }))
    }
}

/// A connection to a proxy.
pub struct AbsoluteForm {
    inner: Box<dyn Transport>,
    /// The API's origin, until the request begins.
    origin: Option<String>,
}

impl fmt::Debug for AbsoluteForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbsoluteForm").finish_non_exhaustive()
    }
}

impl Transport for AbsoluteForm {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let Some(origin) = self.origin.take() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let written = Zeroizing::new(self.inner.buffers().output()[..amount].to_vec());
        let method = written.iter().take_while(|byte| **byte != b' ').count();
        let (method, rest) = written.split_at(method.saturating_add(1).min(amount));
        let absolute = Zeroizing::new([method, origin.as_bytes(), rest].concat());
        let capacity = self.inner.buffers().output().len();
        for part in absolute.chunks(capacity) {
            self.inner.buffers().output()[..part.len()].copy_from_slice(part);
            self.inner.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
