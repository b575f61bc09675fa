//! One session of the library, from its ClientHello on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use dimpl::{Dtls, Output};

use super::hello::{Cookie, Hello};
use super::identity::{DtlsTls, with_cookie};
use crate::Nanos;

/// Bytes of the largest plaintext of a record (RFC 5246, 6.2.1), and of whatever the library sends.
const PLAINTEXT: usize = 1 << 14;
/// The record number of our own alerts, which nothing follows.
const LAST: u8 = 0xff;

/// Why a session cannot go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DtlsError {
    /// Of the protocol: what the peer sent does not fit, or it sent an alert.
    #[error("{0}")]
    Protocol(String),
    /// The exporter's certificate is of none of the authorities, or not valid now.
    #[error("the exporter's certificate is not accepted: {0}")]
    Certificate(String),
    /// It was not done in time.
    #[error("the handshake took too long")]
    Slow,
    /// The library failed.
    #[error("the DTLS library panicked")]
    Library,
}

/// What a look at a session brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Nothing more until a datagram comes, or it is due.
    Waits,
    /// The handshake is done and the exporter is who it should be. There may be more to be had.
    Connected,
    /// The exporter has closed.
    Closed,
}

/// Where a session's datagrams and messages go.
pub(super) trait Out {
    /// To the exporter.
    fn datagram(&mut self, datagram: &[u8]);
    /// From the exporter: the plaintext of a record.
    fn message(&mut self, message: &[u8]);
}

/// A session. Of messages nothing waits in it; of a handshake, as many datagrams as the configuration of [`DtlsTls`] says.
pub(super) struct Session {
    dtls: Dtls,
    is_13: bool,
    /// The certificate is verified, or none is asked for.
    is_believed: bool,
    is_connected: bool,
    /// When it wants to be looked at again.
    pub(super) due: Instant,
}

/// A panic of the library ends a session, not the collector.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, DtlsError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| DtlsError::Library)
}

fn protocol(error: &dimpl::Error) -> DtlsError {
    DtlsError::Protocol(error.to_string())
}

impl Session {
    pub(super) fn new(tls: &DtlsTls, is_13: bool, now: Instant) -> Result<Self, DtlsError> {
        let dtls = guarded(|| tls.begin(is_13, now))?;
        Ok(Self { dtls, is_13, is_believed: !tls.asks(), is_connected: false, due: now })
    }

    /// Takes up the handshake at a ClientHello that brought our own cookie. The library gets the one before it, too, so that both
    /// sides number their messages alike; its answer to that was sent before, by us.
    pub(super) fn take_up(
        &mut self,
        hello: &Hello<'_>,
        cookie: Cookie,
        datagram: &[u8],
        now: Instant,
    ) -> Result<(), DtlsError> {
        with_cookie(Some(cookie), || {
            self.handle(&hello.first(), now)?;
            let mut buffer = vec![0; PLAINTEXT];
            while let Output::Packet(_) = guarded(|| self.dtls.poll_output(&mut buffer))? {}
            self.handle(datagram, now)
        })
    }

    /// Hands over a datagram.
    pub(super) fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError> {
        self.advance(now)?;
        guarded(|| self.dtls.handle_packet(datagram))?.map_err(|e| protocol(&e))
    }

    /// Whether a datagram that does not look encrypted may be of this session, whose handshake is done: only in DTLS 1.2, where an exporter
    /// that missed our last flight repeats its own.
    pub(super) fn takes_plaintext(&self) -> bool {
        !self.is_13
    }

    /// Time has passed.
    pub(super) fn advance(&mut self, now: Instant) -> Result<(), DtlsError> {
        guarded(|| self.dtls.handle_timeout(now))?.map_err(|e| protocol(&e))
    }

    /// Takes out what there is: up to [`Progress::Connected`], and at the next call what follows it.
    pub(super) fn drive(
        &mut self,
        tls: &DtlsTls,
        at: Nanos,
        buffer: &mut Vec<u8>,
        out: &mut impl Out,
    ) -> Result<Progress, DtlsError> {
        buffer.resize(PLAINTEXT.max(buffer.len()), 0);
        let mut is_closed = false;
        loop {
            let needed = match guarded(|| self.dtls.poll_output(buffer))? {
                Output::Packet(datagram) => {
                    out.datagram(datagram);
                    continue;
                }
                Output::PeerCert(certificate) => {
                    tls.verify(certificate, at).map_err(|e| DtlsError::Certificate(e.to_string()))?;
                    self.is_believed = true;
                    continue;
                }
                Output::Connected if self.is_believed => {
                    self.is_connected = true;
                    return Ok(Progress::Connected);
                }
                Output::Connected => return Err(DtlsError::Certificate("it showed none".to_owned())),
                Output::ApplicationData(message) => {
                    // The library gives none before: no data of anyone who is not verified.
                    if self.is_connected {
                        out.message(message);
                    }
                    continue;
                }
                Output::CloseNotify => {
                    is_closed = true;
                    continue;
                }
                Output::Timeout(due) => {
                    self.due = due;
                    return Ok(if is_closed { Progress::Closed } else { Progress::Waits });
                }
                Output::BufferTooSmall { needed } => needed,
                _ => continue,
            };
            // Not beyond what a datagram holds.
            if needed <= buffer.len() || needed > usize::from(u16::MAX) {
                return Err(DtlsError::Protocol(format!("a record of {needed} bytes")));
            }
            buffer.resize(needed, 0);
        }
    }

    /// Says goodbye, or, where the handshake has failed, that it has.
    pub(super) fn end(&mut self, buffer: &mut Vec<u8>, why: Option<&DtlsError>, out: &mut impl Out) {
        buffer.resize(PLAINTEXT.max(buffer.len()), 0);
        if self.is_connected {
            drop(guarded(|| self.dtls.close()));
        } else if matches!(why, Some(DtlsError::Certificate(_) | DtlsError::Library)) {
            // What waits in it is the end of a handshake that is not to end so.
            self.alert(why, out);
            return;
        }
        let mut sent = 0;
        while let Ok(output) = guarded(|| self.dtls.poll_output(buffer)) {
            match output {
                Output::Packet(datagram) => {
                    out.datagram(datagram);
                    sent += 1;
                }
                Output::Timeout(_) | Output::BufferTooSmall { .. } => break,
                _ => {}
            }
        }
        if !self.is_connected && sent == 0 {
            self.alert(why, out);
        }
    }

    /// A fatal alert in the clear, as long as there are no keys. In DTLS 1.3 nobody would read it.
    fn alert(&self, why: Option<&DtlsError>, out: &mut impl Out) {
        let description = match why {
            Some(DtlsError::Certificate(_)) => 42,
            Some(DtlsError::Library) => 80,
            Some(DtlsError::Protocol(_)) => 40,
            Some(DtlsError::Slow) | None => return,
        };
        if !self.is_13 {
            out.datagram(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, LAST, 0, 2, 2, description]);
        }
    }
}
