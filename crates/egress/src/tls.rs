//! Whose certificates are trusted: the system's authorities', or Mozilla's list
//! of them where the system has none, and the operator's own.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Certificates of authorities.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those of a PEM file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("that is no PEM file of certificates: {error}"))?;
        if found.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        for certificate in &found {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| format!("a certificate in it cannot be used: {error}"))?;
        }
        Ok(Self(found))
    }

    /// As DER, one by one.
    pub(crate) fn der(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().map(|certificate| certificate.to_vec())
    }
}

/// How connections are secured. Reads the system's certificates.
pub(crate) fn config(roots: &Roots) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let own = || roots.0.iter().cloned();
    let verifier: Arc<dyn ServerCertVerifier> = if system_has_roots() {
        Arc::new(Verifier::new_with_extra_roots(own(), provider.clone())?)
    } else {
        let mut store = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        store.add_parsable_certificates(own());
        WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Whether the system has authorities of its own: images of containers often
/// have none.
pub(crate) fn system_has_roots() -> bool {
    Verifier::new(Arc::new(ring::default_provider())).is_ok()
}
