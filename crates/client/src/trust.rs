//! The certificates that the program trusts for `https`.
//!
//! The program takes the first of: the file of `--cacert`; the file of `SSL_CERT_FILE` and the folders of `SSL_CERT_DIR`; the system's
//! store. A small container may have no store at all: then Mozilla's certificates, which are built in, take its place.

use std::path::Path;

use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::tls::{Certificate, RootCerts};

use crate::error::Error;

/// The variable of a file of certificates, as for OpenSSL and curl.
const FILE: &str = "SSL_CERT_FILE";
/// The variable of folders of certificates, as for OpenSSL and curl.
const FOLDERS: &str = "SSL_CERT_DIR";

/// The settings that name certificates.
pub struct Trust<'a> {
    /// The file of `--cacert`.
    pub cacert: Option<&'a Path>,
    /// Returns an environment variable's value, if it is set and not empty.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder to which relative paths belong.
    pub folder: &'a Path,
}

impl Trust<'_> {
    /// Returns the certificates to trust.
    ///
    /// # Errors
    /// Fails if a named file cannot be read, or has no certificate.
    pub fn roots(&self) -> Result<RootCerts, Error> {
        if let Some(file) = self.cacert {
            return self.of_file("--cacert", file);
        }
        if let Some(file) = (self.variable)(FILE) {
            return self.of_file(FILE, Path::new(&file));
        }
        if let Some(folders) = (self.variable)(FOLDERS) {
            let mut found = CertificateResult::default();
            // Like OpenSSL, the program skips folders that do not exist and files that have no certificate.
            for folder in std::env::split_paths(&folders).filter(|f| !f.as_os_str().is_empty()) {
                let more = load_certs_from_paths(None, Some(&self.folder.join(&folder)));
                found.certs.extend(more.certs);
            }
            return of_result(found).ok_or_else(|| {
                Error::Configuration(format!("{FOLDERS}: no file in {folders} has a certificate"))
            });
        }
        Ok(of_result(load_native_certs()).unwrap_or(RootCerts::WebPki))
    }

    fn of_file(&self, from: &str, file: &Path) -> Result<RootCerts, Error> {
        let file = self.folder.join(file);
        let found = load_certs_from_paths(Some(&file), None);
        if let Some(error) = found.errors.first() {
            return Err(Error::Configuration(format!("{from}: {error}")));
        }
        of_result(found).ok_or_else(|| {
            Error::Configuration(format!(
                "{from}: {} has no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----",
                file.display()
            ))
        })
    }
}

fn of_result(found: CertificateResult) -> Option<RootCerts> {
    let certs = found.certs.iter();
    let certs: Vec<_> = certs
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    (!certs.is_empty()).then(|| RootCerts::from(certs))
}

#[cfg(test)]
mod tests {
    use rustls_native_certs::load_native_certs;
    use ureq::tls::RootCerts;

    use super::Trust;

    /// The built-in certificates take the place of a store only where there is none.
    #[test]
    fn the_systems_store_is_trusted() {
        let trust = Trust {
            cacert: None,
            variable: &|_| None,
            folder: "/".as_ref(),
        };
        let native = load_native_certs().certs.len();
        match trust.roots().unwrap() {
            RootCerts::Specific(certs) => assert!(native > 0 && certs.len() == native),
            RootCerts::WebPki => assert_eq!(native, 0),
            other => panic!("{other:?}"),
        }
    }
}
