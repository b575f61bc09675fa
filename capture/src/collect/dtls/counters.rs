//! What a DTLS socket met; the ledger's names.

/// Counters of a [`DtlsServer`](super::DtlsServer), since its start.
///
/// | counter | meaning |
/// |---|---|
/// | `dtls.datagrams` | datagrams handed over |
/// | `dtls.datagrams.of_handshakes`, `.of_sessions`, `.stray` | each of them: of a handshake; of a session; of neither, or no DTLS |
/// | `dtls.datagrams.silent` | those of sessions that brought no message: repeated, forged, closing |
/// | `dtls.messages` | plaintexts handed over |
/// | `dtls.cookies_sent` | ClientHellos answered by a cookie, and forgotten |
/// | `dtls.not_sent` | answers that the system did not take; counted by who sends them |
/// | `dtls.handshakes.begun` | handshakes that something is remembered of |
/// | `dtls.handshakes.done`, `.failed`, `.evicted`, `.waiting` | each of them: became a session, or would have if there were not too many; ended by an error, a certificate, or the time; made room for another; goes on |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the table has them")]
pub struct DtlsCounters {
    pub datagrams: u64,
    pub of_handshakes: u64,
    pub of_sessions: u64,
    pub stray: u64,
    pub silent: u64,
    pub messages: u64,
    pub cookies_sent: u64,
    pub not_sent: u64,
    pub begun: u64,
    pub done: u64,
    pub failed: u64,
    pub evicted: u64,
    pub waiting: u64,
}

impl DtlsCounters {
    /// Ledger name and value of each.
    pub const fn list(&self) -> [(&'static str, u64); 13] {
        [
            ("dtls.datagrams", self.datagrams),
            ("dtls.datagrams.of_handshakes", self.of_handshakes),
            ("dtls.datagrams.of_sessions", self.of_sessions),
            ("dtls.datagrams.stray", self.stray),
            ("dtls.datagrams.silent", self.silent),
            ("dtls.messages", self.messages),
            ("dtls.cookies_sent", self.cookies_sent),
            ("dtls.not_sent", self.not_sent),
            ("dtls.handshakes.begun", self.begun),
            ("dtls.handshakes.done", self.done),
            ("dtls.handshakes.failed", self.failed),
            ("dtls.handshakes.evicted", self.evicted),
            ("dtls.handshakes.waiting", self.waiting),
        ]
    }

    /// Whether each datagram and each handshake has its one fate.
    pub const fn closes(&self) -> bool {
        self.datagrams == self.of_handshakes + self.of_sessions + self.stray
            && self.silent <= self.of_sessions
            && self.begun == self.done + self.failed + self.evicted + self.waiting
    }
}
