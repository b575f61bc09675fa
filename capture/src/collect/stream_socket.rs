//! IPFIX over TCP and TLS (RFC 7011, 10.4 and 11): a listener, and its connections cut into messages.
//!
//! Templates, and the numbering, belong to a connection: give each a [`Collector`](super::Collector) of its own. Over TCP nothing is lost on the
//! way, and an exporter that is faster than the collector is made to wait.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::stream::{MessageError, MessageSplitter};

/// Bytes read at once.
const READ: usize = 64 << 10;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum StreamTlsError {
    /// A file is missing or not what it should be.
    #[error("{} holds no {what} in PEM that can be used: {reason}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// What came instead.
        reason: String,
    },
    /// Certificate, key and authorities do not go together.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// How the collector shows who it is, and whom it believes.
#[derive(Clone)]
pub struct StreamTls(Arc<ServerConfig>);

impl fmt::Debug for StreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamTls")
    }
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StreamTlsError> {
    let wrong = |reason: String| StreamTlsError::Pem { path: path.to_owned(), what: "certificate", reason };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all = all.map_err(|e| wrong(e.to_string()))?;
    if all.is_empty() { Err(wrong("there is none in it".to_owned())) } else { Ok(all) }
}

/// Verifies certificates of exporters against a PEM file of authorities.
pub(super) fn client_verifier(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, StreamTlsError> {
    let unusable = |reason: String| StreamTlsError::Unusable { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|e| unusable(e.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map_err(|e| unusable(e.to_string()))
}

/// A private key of a PEM file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, StreamTlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| StreamTlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        reason: e.to_string(),
    })
}

impl StreamTls {
    /// From a certificate chain and its key (PEM). With `client_ca`, exporters must show a certificate of these authorities, as
    /// RFC 7011, 11.3 asks.
    ///
    /// # Errors
    /// A file that cannot be used, with its name.
    pub fn load(chain: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, StreamTlsError> {
        let own = certificates(chain)?;
        let private = private_key(key)?;
        let unusable = |reason: String| StreamTlsError::Unusable { path: chain.to_owned(), reason };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(e.to_string()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(client_verifier(path, &provider)?),
        };
        let config = builder.with_single_cert(own, private).map_err(|e| unusable(e.to_string()))?;
        Ok(Self(Arc::new(config)))
    }
}

/// Takes connections.
#[derive(Debug)]
pub struct StreamListener {
    listener: TcpListener,
    tls: Option<StreamTls>,
}

impl StreamListener {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(address: SocketAddr, tls: Option<StreamTls>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, tls })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether connections are by TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The next connection that waits, if there is one. Does not block.
    ///
    /// # Errors
    /// The system's.
    pub fn accept(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self.listener.accept() {
            Ok((stream, from)) => Ok(Some((stream, SocketAddr::new(from.ip().to_canonical(), from.port())))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to read a connection. Its reads wait up to `wait`.
    ///
    /// # Errors
    /// The system's, or TLS's.
    pub fn open(&self, stream: TcpStream, wait: Duration) -> io::Result<StreamConnection> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        let tls = self.tls.as_ref().map(|tls| ServerConnection::new(Arc::clone(&tls.0))).transpose();
        let tls = tls.map_err(io::Error::other)?;
        Ok(StreamConnection { stream, tls, splitter: MessageSplitter::default(), buffer: vec![0; READ] })
    }
}

/// What a read brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamRead {
    /// Messages, or parts of them.
    Some,
    /// Nothing within the wait.
    Nothing,
    /// The exporter has closed; so many bytes of a message are missing their end.
    Closed {
        /// Bytes of a message that is not whole.
        left: usize,
    },
}

/// Why a connection cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The network's, or TLS's.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not IPFIX.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// One exporter's connection. Holds a message and what came with it: at most 128 KiB, and TLS's own buffers.
pub struct StreamConnection {
    stream: TcpStream,
    tls: Option<ServerConnection>,
    splitter: MessageSplitter,
    buffer: Vec<u8>,
}

impl StreamConnection {
    /// Reads once and gives each message that is whole.
    ///
    /// # Errors
    /// The connection cannot be read on: what was whole before was given.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8])) -> Result<StreamRead, StreamError> {
        let Self { stream, tls, splitter, buffer } = self;
        let read = match tls {
            None => quiet(stream.read(buffer))?,
            Some(tls) => tls_read(tls, stream, buffer)?,
        };
        match read {
            None => return Ok(StreamRead::Nothing),
            Some(0) => return Ok(StreamRead::Closed { left: splitter.left() }),
            Some(count) => splitter.handle_bytes(buffer.get(..count).unwrap_or_default()),
        }
        while let Some(message) = splitter.next_message()? {
            each(message);
        }
        Ok(StreamRead::Some)
    }
}

/// A timeout is no error.
fn quiet(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

/// Plain bytes of a TLS connection: those it has, else those of one read.
fn tls_read(tls: &mut ServerConnection, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let had = quiet(tls.reader().read(buffer))?;
    if had.is_some() {
        return Ok(had);
    }
    let Some(count) = quiet(tls.read_tls(stream))? else { return Ok(None) };
    let processed = tls.process_new_packets();
    // Also the alert that says what was wrong.
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    stream.flush()?;
    processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    match quiet(tls.reader().read(buffer)) {
        // Closed without the close of TLS: whether something is missing, the splitter knows.
        Ok(None) if count == 0 => Ok(Some(0)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(0)),
        read => read,
    }
}
