//! The receiver of an area: hands over frames and microflows, and reads the generations that were closed.

use std::time::Duration;

use super::area::Area;
use crate::live::source::{Handler, LiveFrame, QueueBooks, QueueName, Received, Receiver, SourceError};
use crate::xsk::{BATCH, Socket};

/// Records and frames of one call; what is more comes with the next.
const MOST: usize = 4_096;

/// The rings of the probe do not wake anybody: they are looked at this often.
const LOOK: Duration = Duration::from_millis(5);

/// See the [module](self).
pub(super) struct AreaReceiver {
    name: QueueName,
    area: Area,
    socket: Option<Socket>,
    ended: bool,
}

impl AreaReceiver {
    pub(super) fn new(name: QueueName, area: Area, socket: Option<Socket>) -> Self {
        Self { name, area, socket, ended: false }
    }

    /// Hands over up to `most` of what is there. Whether there was anything.
    ///
    /// First it is seen how many frames wait, then the ring is emptied: so slots that left the cache before a frame came
    /// are handed over before that frame.
    fn drain(&mut self, most: usize, to: &mut dyn Handler) -> bool {
        let Self { area, socket, .. } = self;
        let waiting = socket.as_ref().map_or(0, Socket::waiting);
        let microflows = area.drain_evicted(to, most);
        let copies = area.drain_copies(to, most);
        let received = match socket {
            Some(socket) => socket.receive(waiting.min(most as u32), |frames| {
                let mut out = [LiveFrame { ts: crate::Nanos(0), data: &[], wire_len: 0, vlan: None }; BATCH];
                let mut filled = 0;
                for (frame, out) in frames.iter().zip(&mut out) {
                    let wire_len = frame.data.len() as u32;
                    *out =
                        LiveFrame { ts: area.stamped(frame.stamp, wire_len), data: frame.data, wire_len, vlan: None };
                    filled += 1;
                }
                to.frames(out.get(..filled).unwrap_or_default());
            }),
            None => 0,
        };
        microflows > 0 || copies > 0 || received > 0
    }
}

impl Receiver for AreaReceiver {
    fn name(&self) -> &QueueName {
        &self.name
    }

    fn receive(&mut self, wait: Duration, to: &mut dyn Handler) -> Result<Received, SourceError> {
        if self.ended {
            return Ok(Received::Ended);
        }
        // Looked at first: what then stands in rings and socket is all there is of a generation that was closed.
        let (is_due, has_ended) = (self.area.is_due(), self.area.has_ended());
        if is_due || has_ended {
            // Bounded by what the rings can hold; new records are few beside that.
            self.drain(usize::MAX >> 32, to);
            if is_due {
                let now = self.area.sweep(to);
                to.complete_to(now);
            }
            if has_ended && !self.area.is_due() {
                self.area.sweep_rest(to);
                to.complete_to(crate::Nanos(i64::MAX));
                self.ended = true;
                return Ok(Received::Ended);
            }
            return Ok(Received::Some);
        }
        if self.drain(MOST, to) {
            return Ok(Received::Some);
        }
        let kernel = |error| SourceError::kernel("waiting for packets", &self.name.interface, error);
        match &self.socket {
            Some(socket) => socket.wait(wait.min(LOOK)).map_err(kernel)?,
            None => std::thread::sleep(wait.min(LOOK)),
        }
        Ok(Received::Idle)
    }

    fn books(&mut self) -> QueueBooks {
        let mut books = self.area.books();
        if let Some(Ok(statistics)) = self.socket.as_ref().map(Socket::statistics) {
            books.explained.extend([
                ("xsk_dropped", statistics.dropped),
                ("xsk_ring_full", statistics.ring_full),
                ("xsk_free_ring_empty", statistics.free_ring_empty),
                ("xsk_strange", statistics.strange),
            ]);
        }
        books
    }
}
