//! TLS: a certificate of one's own, or one that is made here; read again at SIGHUP.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use chrono::{Datelike as _, Utc};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use super::Transport;

/// Days a made certificate is good: browsers take no more than 398.
const DAYS: i64 = 397;
/// Age at which it is made anew.
const RENEW: Duration = Duration::from_secs(330 * 24 * 3600);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no {what} in PEM that can be used: {reason}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// What came instead.
        reason: String,
    },
    /// Certificate and key do not go together, or are not good enough.
    #[error("{} and its key cannot be used: {reason}", chain.display())]
    Pair {
        /// The certificate.
        chain: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No certificate could be made.
    #[error("a certificate could not be made: {0}")]
    Make(String),
}

/// Where certificate and key are.
#[derive(Clone, Debug)]
enum Files {
    Generated { folder: PathBuf, names: Vec<String> },
    Own { chain: PathBuf, key: PathBuf },
}

struct Current {
    acceptor: TlsAcceptor,
    fingerprint: String,
}

/// The present configuration. Clones share it.
#[derive(Clone)]
pub(super) struct Tls {
    files: Files,
    current: Arc<RwLock<Current>>,
}

impl Tls {
    /// The TLS of a transport; `None` for plain ones.
    pub(super) fn of(transport: &Transport, names: &[String], address: IpAddr) -> Result<Option<Self>, TlsError> {
        let files = match transport {
            Transport::Plain | Transport::BehindProxy(_) => return Ok(None),
            Transport::Generated(folder) => {
                Files::Generated { folder: folder.clone(), names: certificate_names(names, address) }
            }
            Transport::Certificate { chain, key } => Files::Own { chain: chain.clone(), key: key.clone() },
        };
        let current = load(&files)?;
        Ok(Some(Self { files, current: Arc::new(RwLock::new(current)) }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).acceptor.clone()
    }

    pub(super) fn fingerprint(&self) -> Option<String> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone())
    }

    fn reload(&self) -> Result<(), TlsError> {
        let fresh = load(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

/// Reads certificate and key again at each SIGHUP. What cannot be used changes nothing.
pub(super) async fn reload_at_hangup(tls: Tls) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::warn!(%error, "SIGHUP will not read the certificate again");
            return;
        }
    };
    while hangups.recv().await.is_some() {
        let again = tls.clone();
        match tokio::task::spawn_blocking(move || again.reload()).await {
            Ok(Ok(())) => tracing::info!("certificate read again; SHA-256 {}", tls.fingerprint().unwrap_or_default()),
            Ok(Err(error)) => tracing::error!("the certificate stays as it is: {error}"),
            Err(error) => tracing::error!("the certificate stays as it is: {error}"),
        }
    }
}

fn load(files: &Files) -> Result<Current, TlsError> {
    let (chain, key) = match files {
        Files::Own { chain, key } => (chain.clone(), key.clone()),
        Files::Generated { folder, names } => made(folder, names)?,
    };
    let pem = |path: &Path, what| {
        let path = path.to_owned();
        move |error: rustls_pki_types::pem::Error| TlsError::Pem { path, what, reason: error.to_string() }
    };
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(&chain).and_then(Iterator::collect);
    let certificates = certificates.map_err(pem(&chain, "certificate"))?;
    let Some(first) = certificates.first() else {
        return Err(TlsError::Pem { path: chain, what: "certificate", reason: "there is none in it".to_owned() });
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, first);
    let fingerprint: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let key = PrivateKeyDer::from_pem_file(&key).map_err(pem(&key, "private key"))?;
    let wrong = |error: tokio_rustls::rustls::Error| TlsError::Pair { chain: chain.clone(), reason: error.to_string() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(&wrong)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(&wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Current { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint: fingerprint.join(":") })
}

/// Names and addresses that a made certificate is for.
fn certificate_names(names: &[String], address: IpAddr) -> Vec<String> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !address.is_unspecified() {
        all.push(address.to_string());
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    all.push(host.trim().to_ascii_lowercase());
    all.extend(names.iter().cloned());
    all.retain(|name| !name.is_empty());
    all.sort();
    all.dedup();
    all
}

/// The made certificate and its key: those of the last time, where they are for these names and not too old.
fn made(folder: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let [chain, key, list] = ["certificate.pem", "key.pem", "names"].map(|name| folder.join(name));
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { doing, path, source }
    };
    let text = names.join("\n");
    let age = fs::metadata(&chain).and_then(|meta| meta.modified()).ok();
    let age = age.and_then(|made| SystemTime::now().duration_since(made).ok());
    let is_same = fs::read_to_string(&list).is_ok_and(|kept| kept == text);
    if is_same && key.exists() && age.is_some_and(|age| age < RENEW) {
        return Ok((chain, key));
    }
    let made = |error: rcgen::Error| TlsError::Make(error.to_string());
    let mut params = CertificateParams::new(names.to_vec()).map_err(made)?;
    params.distinguished_name.push(DnType::CommonName, "Spotter");
    let (today, last) = (Utc::now().date_naive(), Utc::now().date_naive() + chrono::Days::new(DAYS.unsigned_abs()));
    let date = |day: chrono::NaiveDate| {
        date_time_ymd(day.year(), u8::try_from(day.month()).unwrap_or(1), u8::try_from(day.day()).unwrap_or(1))
    };
    (params.not_before, params.not_after) = (date(today), date(last));
    let pair = KeyPair::generate().map_err(made)?;
    let certificate = params.self_signed(&pair).map_err(made)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("creating", folder))?;
    write(&key, &pair.serialize_pem()).map_err(io("writing", &key))?;
    write(&chain, &certificate.pem()).map_err(io("writing", &chain))?;
    write(&list, &text).map_err(io("writing", &list))?;
    Ok((chain, key))
}

/// Writes a file that only its owner reads, whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_anew_for_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tls");
        let make = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Tls::of(&Transport::Generated(folder.clone()), &names, "127.0.0.1".parse().unwrap()).unwrap().unwrap()
        };
        let first = make(&["a.example"]).fingerprint();
        assert_eq!(first.as_ref().unwrap().len(), 95);
        assert_eq!(make(&["a.example"]).fingerprint(), first);
        let second = make(&["b.example"]);
        assert_ne!(second.fingerprint(), first);
        for file in ["certificate.pem", "key.pem", "names"] {
            assert_eq!(fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        // What cannot be used changes nothing.
        fs::write(folder.join("key.pem"), "no key").unwrap();
        assert!(matches!(second.reload(), Err(TlsError::Pem { what: "private key", .. })));
        let _ = second.acceptor();
    }

    #[test]
    fn files_that_are_no_certificates_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let of =
            || Tls::of(&Transport::Certificate { chain: chain.clone(), key: key.clone() }, &[], "::1".parse().unwrap());
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(text) = text {
                fs::write(&chain, text).unwrap();
            }
            let error = of().err().unwrap().to_string();
            assert!(error.contains("c.pem") || error.contains("k.pem"), "{error}");
        }
    }
}
