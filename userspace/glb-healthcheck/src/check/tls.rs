// SPDX-License-Identifier: GPL-2.0

//! TLS to backends.
//!
//! A check asks whether the service answers, so by default any certificate is accepted: a checker that took all
//! proxies out of service when a certificate expires would do more harm than the certificate. `https_verify`
//! checks the certificate.

use super::{with_causes, Failure};
use glb_config::tables::HttpsCheck;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{ring, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

/// How connections are secured.
pub(crate) struct Tls {
    any: TlsConnector,
    /// Nothing where no check asks for it, so that no file of authorities is needed then.
    verifying: Option<TlsConnector>,
}

impl Tls {
    /// `ca_file` has the authorities, if any check verifies.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let any = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone())))
            .with_no_client_auth();
        let verifying = match ca_file {
            Some(file) => {
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(|error| error.to_string())?
                    .with_root_certificates(roots(file)?)
                    .with_no_client_auth();
                Some(connector(config))
            }
            None => None,
        };
        Ok(Self {
            any: connector(any),
            verifying,
        })
    }

    /// Makes the connection one to a server of this name; with `verify`, to that server alone.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        name: ServerName<'static>,
        verify: bool,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let connector = if verify {
            let missing = || Failure::Unable("no authorities were loaded".into());
            self.verifying.as_ref().ok_or_else(missing)?
        } else {
            &self.any
        };
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| match Failure::from(copy(&error)) {
            Failure::Unable(reason) => Failure::Unable(reason),
            Failure::Bad(_) => Failure::Bad(format!("TLS: {}", with_causes(&error))),
        })
    }
}

/// The error by its number, which is what tells whose fault it is.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::from(error.kind()),
    }
}

/// The name that is asked for and that a certificate must be for.
pub(crate) fn server_name(addr: IpAddr, check: &HttpsCheck) -> Result<ServerName<'static>, String> {
    match &check.http.host {
        Some(host) => ServerName::try_from(host.clone())
            .map_err(|_| format!("{host:?} can not be the name of a TLS server")),
        None => Ok(ServerName::from(addr)),
    }
}

/// Whole handshakes only: a resumed session would not show a certificate that has expired since.
fn connector(mut config: ClientConfig) -> TlsConnector {
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    // A bundle may hold what this library does not understand; the others count.
    let (good, _) = roots.add_parsable_certificates(certificates.map_err(|e| e.to_string())?);
    if good == 0 {
        return Err("holds no certificate of an authority".into());
    }
    Ok(roots)
}

/// Takes every certificate, whatever it says and whoever signed it; even one of a form that could not be
/// verified, as very old ones are.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
