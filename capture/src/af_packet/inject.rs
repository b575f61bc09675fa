//! Sending frames: what tests and benches put on the wire.

use std::io;
use std::time::Duration;

use super::sys::{Control, Socket};
use crate::live::source::SourceError;

/// Frames handed to the kernel at once.
const BATCH: usize = 64;

/// Sends frames as they are through an interface. Takes CAP_NET_RAW.
#[derive(Debug)]
pub struct Injector {
    interface: String,
    socket: Socket,
}

impl Injector {
    /// Opens the interface for sending.
    pub fn open(interface: &str) -> Result<Self, SourceError> {
        let kernel = |error| SourceError::kernel("opening for sending", interface, error);
        let index = Control::new().and_then(|control| control.index(interface)).map_err(kernel)?;
        let index = index.ok_or_else(|| SourceError::NoInterface(interface.to_owned()))?;
        let socket = Socket::new().map_err(kernel)?;
        socket.bind_to_send(index).map_err(kernel)?;
        socket.bypass_queueing().map_err(kernel)?;
        Ok(Self { interface: interface.to_owned(), socket })
    }

    /// Sends all frames, waiting where the kernel has no room. What a driver drops behind it is not seen here.
    ///
    /// # Errors
    /// The kernel refuses a frame (longer than the MTU), or the interface is down.
    pub fn send(&self, frames: &[&[u8]]) -> Result<(), SourceError> {
        for batch in frames.chunks(BATCH) {
            let mut left = batch;
            while !left.is_empty() {
                match self.socket.send(left) {
                    Ok(sent) => left = left.get(sent..).unwrap_or_default(),
                    Err(error) if is_full(&error) => {
                        self.socket.wait_to_send(Duration::from_millis(1)).map_err(|e| self.failed(e))?;
                    }
                    Err(error) => return Err(self.failed(error)),
                }
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> SourceError {
        SourceError::kernel("sending", &self.interface, error)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}
