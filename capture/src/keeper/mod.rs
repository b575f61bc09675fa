//! Live capture in two processes: one that keeps interfaces and reads no packet, one that reads packets and has no rights.
//!
//! ```text
//!   keeper: rights, no packet                           reader: packets, no rights
//!   opens interfaces, loads the probe,  ◄── requests ──  receivers, shards, writer
//!   flips generations, watches links    ── answers ───►  (rings are mapped from the descriptors that come along)
//! ```
//!
//! The keeper is the process that was started. The reader is the same program begun again: it shares no memory with the keeper but
//! the kernel's rings. Between them is a pair of sockets. The reader asks and the keeper answers; what the keeper takes in is
//! [`message`], never a byte of a packet. So who takes the reader over can have interfaces opened, filtered and closed, and nothing else.
//!
//! Promises: signals that end or hang up the keeper are passed on, and the reader's exit status is the keeper's. Whichever of
//! both is killed, the other ends at once, and what the probe counted stays pinned for the next capture. Settings of
//! interfaces are put back when the reader says so, as at every orderly end.

mod line;
pub(crate) mod message;
mod remote;
mod serve;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::confine::{Keep, confine_thread, keep_interfaces};
use line::Line;
pub(crate) use message::{Given, Kept, Read};
pub(crate) use remote::Reading;

/// SIGINT or SIGTERM of the keeper, as the reader gets it: not the same signal, for who ends both sends both that one.
pub const PASSED_ON: i32 = SIGUSR1;

/// Set for the reader, whose standard input is the socket.
const READER: &str = "SPOTTER_READER";

/// Which of the two this process is.
#[derive(Debug)]
pub enum Parted {
    /// The keeper, whose reader has ended with this status: nothing is left to do.
    Keeper(u8),
    /// The reader: go on.
    Reader(Keeper),
}

/// The way to the keeper; see [`Keeper::open`].
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Mutex<Line>>);

/// Parts this process in two; to be called before it has threads. In the keeper it returns when the reader has ended. The reader
/// has no right left from here on, but those of its user on files (root: on all files).
///
/// # Errors
/// The reader cannot be started, or the socket between both is not there.
pub fn part() -> io::Result<Parted> {
    if std::env::var_os(READER).is_none() {
        return keep().map(Parted::Keeper);
    }
    // As the first: a keeper that is gone already is noticed by the first request.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if socket.peer_addr().is_err() {
        let why = format!("{READER} is set, but standard input is no keeper's socket: unset it");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    if let Err(error) = confine_thread(Keep::Files) {
        tracing::warn!(%error, "the reader keeps rights it does not need");
    }
    Ok(Parted::Reader(Keeper(Arc::new(Mutex::new(Line::new(socket))))))
}

/// The keeper's life.
fn keep() -> io::Result<u8> {
    let (ours, theirs) = UnixStream::pair()?;
    // Before there is a reader: none is missed.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut reader = Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(READER, "1")
        .stdin(OwnedFd::from(theirs))
        // The terminal's signals come to the keeper alone, and so once.
        .process_group(0)
        .spawn()?;
    if let Err(error) = keep_interfaces() {
        tracing::warn!(%error, "the keeper has rights it does not need");
    }
    pass_on(signals, &reader)?;
    let mut left = Vec::new();
    if let Err(error) = serve::serve(&mut Line::new(ours), &mut left) {
        tracing::error!(%error, "the reader is not understood and is ended");
        reader.kill()?;
    }
    let status = reader.wait()?;
    if left.iter().any(Option::is_some) {
        // It did not end by itself. What is pinned is for the next capture: nothing of it is taken off here.
        std::process::exit(i32::from(code(status)));
    }
    Ok(code(status))
}

fn code(status: ExitStatus) -> u8 {
    // It may not have been ready to hear what was passed on.
    let meant = |signal| if signal == PASSED_ON { SIGTERM } else { signal };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + meant(signal)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn pass_on(mut signals: Signals, reader: &Child) -> io::Result<()> {
    let reader = Pid::from_child(reader);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let signal = if signal == SIGHUP { Signal::HUP } else { Signal::USR1 };
            // An error means that it has ended; then so does this process.
            let _ = kill_process(reader, signal);
        }
    })?;
    Ok(())
}
