//! Whose certificates are trusted: the system's authorities', or Mozilla's list
//! of them where the system has none, and the operator's own.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Certificates of authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those of a PEM file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let found = Self::parsed(pem)?;
        for certificate in &found {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| format!("a certificate in it cannot be used: {error}"))?;
        }
        Ok(Self(found))
    }

    fn parsed(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("that is no PEM file of certificates: {error}"))?;
        if found.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        Ok(found)
    }

    /// As DER, one by one.
    pub(crate) fn der(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().map(|certificate| certificate.to_vec())
    }
}

/// How one connection is to be secured, where it is not as all others are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether any certificate will do.
    pub unverified: bool,
    /// The authorities that are trusted in place of all others.
    pub roots: Option<Roots>,
    /// How this side proves who it is.
    pub identity: Option<Identity>,
    /// What may be spoken, the best first, such as `h2`.
    pub alpn: Vec<Vec<u8>>,
}

/// A certificate with its key.
#[derive(PartialEq, Eq)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// That of a PEM text with certificates, its own first, and another with the
    /// key, which is not encrypted.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| format!("that is no PEM text with a private key: {error}"))?;
        let chain = Roots::parsed(chain)?;
        Ok(Self { chain, key })
    }
}

impl std::fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// How connections are secured.
pub(crate) struct Usual {
    pub(crate) config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// How connections are secured. Reads the system's certificates.
pub(crate) fn usual(roots: &Roots) -> Result<Usual, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let own = || roots.0.iter().cloned();
    let verifier: Arc<dyn ServerCertVerifier> = if system_has_roots() {
        Arc::new(Verifier::new_with_extra_roots(own(), provider.clone())?)
    } else {
        let mozilla = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        webpki(mozilla, own(), &provider)?
    };
    let config = verified(provider, verifier.clone())?.with_no_client_auth();
    Ok(Usual {
        config: Arc::new(config),
        verifier,
    })
}

/// How one connection is secured: as `usual`, but for what `tls` says.
pub(crate) fn special(usual: &Usual, tls: &Tls) -> Result<ClientConfig, rustls::Error> {
    let mut config = if tls.unverified || tls.roots.is_some() || tls.identity.is_some() {
        let provider = usual.config.crypto_provider().clone();
        let verifier: Arc<dyn ServerCertVerifier> = match &tls.roots {
            _ if tls.unverified => Arc::new(Unverified(provider.signature_verification_algorithms)),
            Some(roots) => webpki(Vec::new(), roots.0.iter().cloned(), &provider)?,
            None => usual.verifier.clone(),
        };
        let builder = verified(provider, verifier)?;
        match &tls.identity {
            Some(identity) => {
                builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
            }
            None => builder.with_no_client_auth(),
        }
    } else {
        ClientConfig::clone(&usual.config)
    };
    config.alpn_protocols.clone_from(&tls.alpn);
    Ok(config)
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn verified(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Builder, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn webpki(
    roots: Vec<rustls::pki_types::TrustAnchor<'static>>,
    own: impl Iterator<Item = CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let mut store = RootCertStore { roots };
    store.add_parsable_certificates(own);
    let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(verifier)
}

/// Takes any certificate, of whose key the other side has to have a part.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Whether the system has authorities of its own: images of containers often
/// have none.
pub(crate) fn system_has_roots() -> bool {
    Verifier::new(Arc::new(ring::default_provider())).is_ok()
}
