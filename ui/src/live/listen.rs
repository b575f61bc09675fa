//! Unix sockets, and the one through which captures in other processes report.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aggregator::feed::{Listener as _, MAX_LINE, Report};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::Hub;

/// Captures that may be connected.
const CONNECTIONS: usize = 64;
/// Bytes of a source's name.
const NAME: usize = 128;
/// Who may connect: the user and the group.
const MODE: u32 = 0o660;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something else is there.
    #[error("{0} is there and is no socket: choose another path")]
    NoSocket(PathBuf),
    /// Another process listens.
    #[error("another process listens at {0}: stop it, or choose another path")]
    InUse(PathBuf),
    /// The system refuses.
    #[error("cannot listen at {path}: {source}; its folder must exist and be writable")]
    Io {
        /// Where.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl UnixSocket {
    /// Listens at `path`, permissions 0660. A socket file that nobody listens at any more is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Io { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NoSocket(path.to_owned())),
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(ListenError::InUse(path.to_owned()));
            }
            _ => {}
        }
        // Under another name until its permissions are right.
        let mut made = path.as_os_str().to_owned();
        made.push(format!(".{}", std::process::id()));
        let made = PathBuf::from(made);
        drop(std::fs::remove_file(&made));
        let listener = UnixListener::bind(&made).map_err(failed)?;
        let moved = std::fs::set_permissions(&made, std::fs::Permissions::from_mode(MODE))
            .and_then(|()| std::fs::rename(&made, path));
        if let Err(source) = moved {
            drop(std::fs::remove_file(&made));
            return Err(failed(source));
        }
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Takes reports until it is dropped.
pub(crate) async fn listen(socket: UnixSocket, hub: Arc<Hub>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let hub = Arc::clone(&hub);
                tokio::spawn(async move {
                    let mut sources = BTreeSet::new();
                    if let Err(error) = read(stream, &hub, &mut sources).await {
                        tracing::warn!(%error, "a live feed is cut off");
                    }
                    sources.iter().for_each(|source| hub.ended(source));
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "live feed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn read(stream: UnixStream, hub: &Hub, sources: &mut BTreeSet<String>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        if (&mut reader).take(limit).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            let why = if line.len() > MAX_LINE { "a line is too long" } else { "the last line is cut" };
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let report: Report = serde_json::from_slice(&line)?;
        let name = &report.second.source;
        if name.is_empty() || name.len() > NAME {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a source without a fit name"));
        }
        if !sources.contains(name) {
            if sources.len() >= CONNECTIONS {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "too many sources through one connection"));
            }
            sources.insert(name.clone());
        }
        hub.report(report);
    }
}
