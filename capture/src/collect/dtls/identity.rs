//! What a collector shows to exporters, and whom it believes.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::crypto::{CryptoProvider, HmacProvider, rust_crypto};
use dimpl::{Config, CryptoError, Dtls, DtlsCertificate, HashAlgorithm};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::hello::Cookie;
use crate::Nanos;
use crate::collect::stream_socket::{StreamTlsError, certificates, client_verifier, private_key};

/// Datagrams of one handshake that may wait for one that is missing.
const WAITING: usize = 16;

thread_local! {
    /// The cookie of the ClientHello that is being handed over.
    static COOKIE: Cell<Option<Cookie>> = const { Cell::new(None) };
}

/// While `handed_over` runs, the library takes this for the right cookie. By itself it makes cookies out of a secret of each session,
/// and so would have to keep a session for every ClientHello that comes.
pub(super) fn with_cookie<T>(cookie: Option<Cookie>, handed_over: impl FnOnce() -> T) -> T {
    COOKIE.set(cookie);
    let done = handed_over();
    COOKIE.set(None);
    done
}

/// RustCrypto's, but for cookies: the only thing that the library asks `hmac_sha256` for.
#[derive(Debug)]
struct CookieHmac;

impl HmacProvider for CookieHmac {
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
        if let Some(cookie) = COOKIE.get() {
            return Ok(cookie);
        }
        let mut out = [0; 32];
        self.hmac(HashAlgorithm::SHA256, key, data, &mut out)?;
        Ok(out)
    }

    fn hmac(&self, hash: HashAlgorithm, key: &[u8], data: &[u8], out: &mut [u8]) -> Result<usize, CryptoError> {
        rust_crypto::default_provider().hmac_provider.hmac(hash, key, data, out)
    }
}

/// How the collector shows who it is by DTLS, and whom it believes.
#[derive(Clone)]
pub struct DtlsTls {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
}

impl fmt::Debug for DtlsTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DtlsTls")
    }
}

impl DtlsTls {
    /// From a certificate and its key (PEM): ECDSA by P-256 or P-384. Of a chain only the first certificate is shown, so exporters have to
    /// know who signed it. With `client_ca`, exporters must show a certificate that one of these authorities signed itself, as RFC 7011,
    /// 11.3 asks: intermediates that they send along are not seen.
    ///
    /// # Errors
    /// A file that cannot be used, with its name; an RSA key.
    pub fn load(chain: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, StreamTlsError> {
        let unusable = |path: &Path, reason: String| StreamTlsError::Unusable { path: path.to_owned(), reason };
        let own = certificates(chain)?;
        let Some(leaf) = own.first().map(|leaf| leaf.to_vec()) else {
            return Err(unusable(chain, "there is no certificate in it".to_owned()));
        };
        let private = private_key(key)?;
        let crypto = CryptoProvider { hmac_provider: &CookieHmac, ..rust_crypto::default_provider() };
        if crypto.key_provider.load_private_key(private.secret_der()).is_err() {
            return Err(unusable(key, "DTLS needs an ECDSA key, P-256 or P-384".to_owned()));
        }
        let certificate = DtlsCertificate { certificate: leaf, private_key: private.secret_der().to_vec() };
        // Whether they belong together is checked as for TLS.
        let provider = Arc::new(default_provider());
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(own, private))
            .map_err(|e| unusable(chain, e.to_string()))?;
        let authorities = client_ca.map(|path| client_verifier(path, &provider)).transpose()?;
        let config = Config::builder()
            .with_crypto_provider(crypto)
            .require_client_certificate(authorities.is_some())
            .max_queue_rx(WAITING)
            .build()
            .map_err(|e| unusable(chain, e.to_string()))?;
        Ok(Self { config: Arc::new(config), certificate, authorities })
    }

    /// Whether exporters have to show a certificate.
    pub(super) fn asks(&self) -> bool {
        self.authorities.is_some()
    }

    /// Verifies an exporter's certificate (DER) at a time since the epoch.
    pub(super) fn verify(&self, certificate: &[u8], at: Nanos) -> Result<(), rustls::Error> {
        let Some(authorities) = &self.authorities else { return Ok(()) };
        let at = UnixTime::since_unix_epoch(Duration::from_nanos(u64::try_from(at.0).unwrap_or(0)));
        authorities.verify_client_cert(&CertificateDer::from(certificate), &[], at).map(drop)
    }

    /// A session of the library that waits for a ClientHello.
    pub(super) fn begin(&self, is_13: bool, now: Instant) -> Dtls {
        let (config, certificate) = (Arc::clone(&self.config), self.certificate.clone());
        if is_13 { Dtls::new_13(config, certificate, now) } else { Dtls::new_12(config, certificate, now) }
    }
}
