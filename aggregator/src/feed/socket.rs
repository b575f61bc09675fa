//! Reports to another process: a JSON line each, through a unix stream socket that the other end listens on.
//!
//! Nobody need listen: connections are tried again, and meanwhile the oldest reports give way to new ones. They are counted,
//! and the count goes with the next report that arrives.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::{Listener, Report};

/// Bytes of a line, at most: a report of a thousand queues is smaller.
pub const MAX_LINE: usize = 8 << 20;

/// Reports that may wait.
const WAITING: usize = 8;

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(500);

/// How long the other end may take to read on.
const PATIENCE: Duration = Duration::from_secs(2);

struct Shared {
    waiting: ArrayQueue<Report>,
    lost: AtomicU64,
    stop: AtomicBool,
    /// Something changed.
    bell: (Mutex<()>, Condvar),
}

/// See the [module](self). Dropped: sends what waits, for a moment, and ends.
pub struct SocketFeed {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SocketFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketFeed").finish_non_exhaustive()
    }
}

impl SocketFeed {
    /// Feeds whoever listens at `path`, from a thread of its own on which `on_start` is called first.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(path: &Path, on_start: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: ArrayQueue::new(WAITING),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            bell: Default::default(),
        });
        let (path, theirs) = (path.to_owned(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("feed-socket".to_owned()).spawn(move || {
            on_start();
            send_all(&path, &theirs);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Listener for SocketFeed {
    fn report(&self, mut report: Report) {
        let Shared { waiting, lost, bell, .. } = &*self.shared;
        report.second.reports_lost += lost.load(Ordering::Relaxed);
        if waiting.force_push(report).is_some() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        bell.1.notify_one();
    }
}

impl Drop for SocketFeed {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.1.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send_all(path: &Path, shared: &Shared) {
    let Shared { waiting, lost, stop, bell } = shared;
    let mut stream: Option<UnixStream> = None;
    let mut told = false;
    let wait = |time: Duration| {
        let guard = bell.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(bell.1.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner));
    };
    loop {
        let ending = stop.load(Ordering::Acquire);
        if stream.is_none() {
            match connect(path) {
                Ok(connected) => {
                    tracing::debug!(path = %path.display(), "the live feed is connected");
                    (stream, told) = (Some(connected), false);
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!("nobody listens to the live feed at {} ({error}); trying on", path.display());
                    }
                    if ending {
                        return;
                    }
                    std::thread::sleep(RETRY);
                    continue;
                }
            }
        }
        let Some(report) = waiting.pop() else {
            if ending {
                return;
            }
            wait(RETRY);
            continue;
        };
        let sent = serde_json::to_vec(&report).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            stream.as_mut().map_or(Ok(()), |stream| stream.write_all(&line))
        });
        if let Err(error) = sent {
            // A line that was sent in part: the other end sees it cut, and the connection with it.
            tracing::debug!(%error, "the live feed is cut off");
            lost.fetch_add(1, Ordering::Relaxed);
            stream = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    use super::super::tests::report;
    use super::*;

    #[test]
    fn reports_arrive_and_those_nobody_took_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed.sock");
        let feed = SocketFeed::new(&path, || ()).unwrap();
        // Nobody listens: eight may wait, the four oldest are lost.
        for n in 0..12 {
            feed.report(report(&format!("s{n}")));
        }
        let listener = UnixListener::bind(&path).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut next = || serde_json::from_str::<Report>(&lines.next().unwrap().unwrap()).unwrap().second;
        for n in 4..12 {
            assert_eq!(next().source, format!("s{n}"));
        }
        feed.report(report("after"));
        let after = next();
        assert_eq!((after.source.as_str(), after.reports_lost), ("after", 4));
        drop(feed);
        assert!(lines.next().is_none(), "closed");
    }
}
