//! While a generation is read: frames are taken out of the socket in time, and kept until their turn comes.
//!
//! A sweep of a quarter of a million slots takes tens of milliseconds, more where its thread shares a CPU, and a socket
//! has room for a few thousand frames. They came after the generation was closed, so they are handed over after its
//! slots: a new connection of the same addresses and ports must not be taken for the old one.

use crate::Nanos;
use crate::live::Microflow;
use crate::live::source::{Handler, LiveFrame};
use crate::xsk::{Received, Socket};

/// Bytes kept at most; what is more stays in the socket, which counts what it loses.
const MOST: usize = 32 << 20;

/// Frames out of the socket, in their order.
#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// Stamp and length of each.
    frames: Vec<(u64, u32)>,
}

impl Kept {
    /// Hands them over, and keeps none.
    pub(super) fn hand_over(&mut self, mut to: impl FnMut(&Received<'_>)) {
        let mut rest = self.bytes.as_slice();
        for (stamp, len) in self.frames.drain(..) {
            let (data, after) = rest.split_at_checked(len as usize).unwrap_or_default();
            rest = after;
            to(&Received { stamp, data });
        }
        self.bytes.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn take(&mut self, socket: &mut Socket) {
        let Self { bytes, frames } = self;
        if bytes.len() < MOST {
            socket.receive(socket.waiting(), |batch| {
                for frame in batch {
                    bytes.extend_from_slice(frame.data);
                    frames.push((frame.stamp, frame.data.len() as u32));
                }
            });
        }
    }
}

/// Where a sweep puts its slots; see the [module](self).
pub(super) struct Sweeping<'a> {
    pub(super) to: &'a mut dyn Handler,
    pub(super) socket: &'a mut Socket,
    pub(super) kept: &'a mut Kept,
}

impl Handler for Sweeping<'_> {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        self.to.frames(frames);
    }

    fn microflows(&mut self, microflows: &[Microflow]) {
        self.to.microflows(microflows);
    }

    /// Asked before each batch of slots, and again and again where there is none.
    fn room(&mut self) -> usize {
        if self.socket.waiting() > self.socket.chunks() / 8 {
            self.kept.take(self.socket);
        }
        self.to.room()
    }

    fn complete_to(&mut self, ts: Nanos) {
        self.to.complete_to(ts);
    }
}
