//! IPFIX files (RFC 5655): messages one behind the other, as on a stream, read by the [`Collector`].

use std::net::{IpAddr, Ipv4Addr};

use super::{ExportFileError, ExportSink, Source};
use crate::collect::{CollectLimits, Collector};
use crate::{DecoderConfig, Nanos};

/// Bytes of a message's header (RFC 7011, 3.1).
const HEADER: usize = 16;

/// Whether a file begins so: a message whose first set is one, and behind it another message or nothing.
pub(super) fn is_ipfix(probe: &[u8]) -> bool {
    let u16_at = |at: usize| probe.get(at..).and_then(|b| b.first_chunk()).copied().map(u16::from_be_bytes);
    let Some(length) = u16_at(2).map(usize::from) else { return false };
    let is_set =
        |id, len| matches!(id, 2 | 3 | 256..) && (4..=length.saturating_sub(HEADER)).contains(&usize::from(len));
    u16_at(0) == Some(10)
        && (length == HEADER || u16_at(HEADER).zip(u16_at(HEADER + 2)).is_some_and(|(id, len)| is_set(id, len)))
        && u16_at(length).is_none_or(|next| next == 10)
}

/// See the [module](self).
pub(super) struct Ipfix {
    collector: Collector,
    last: Nanos,
    messages: u64,
    refused: u64,
}

impl Ipfix {
    pub(super) fn new(decoder: DecoderConfig) -> Self {
        Self {
            collector: Collector::new(CollectLimits::default(), decoder),
            last: Nanos::default(),
            messages: 0,
            refused: 0,
        }
    }

    pub(super) fn read(&mut self, source: &mut Source, sink: &mut impl ExportSink) -> Result<bool, ExportFileError> {
        let (begun, mut header) = (source.offset, [0; HEADER]);
        if !source.fill(&mut header, "a message's header")? {
            return Ok(false);
        }
        let [v1, v2, l1, l2, t1, t2, t3, t4, ..] = header;
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        self.messages += 1;
        if [v1, v2] != [0, 10] || length < HEADER {
            self.refuse(sink, "no IPFIX message where one should begin", &header);
            return Err(ExportFileError::Damaged { offset: begun, what: "no IPFIX message where one should begin" });
        }
        let mut message = header.to_vec();
        match source.take(length - HEADER, "a message") {
            Ok(body) => message.extend_from_slice(&body),
            Err(error) => {
                self.refuse(sink, "a message that is cut", &header);
                return Err(error);
            }
        }
        // A file has no datagrams that came: a message came when it was exported.
        let exported = i64::from(u32::from_be_bytes([t1, t2, t3, t4])).saturating_mul(1_000_000_000);
        self.last = Nanos(exported);
        let before = *self.collector.counters();
        self.collector.handle_datagram(self.last, IpAddr::V4(Ipv4Addr::UNSPECIFIED), &message, sink);
        let after = self.collector.counters();
        let reason = if after.cut > before.cut {
            Some("a message whose header is cut")
        } else if after.sets_bad > before.sets_bad {
            Some("a set whose length is senseless")
        } else if after.sets_cut > before.sets_cut {
            Some("a set or record that goes beyond its end")
        } else if after.templates_refused > before.templates_refused {
            Some("a template that cannot be")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.refuse(sink, reason, &message);
        }
        Ok(true)
    }

    /// What waits for a template that did not come is given up, and counted.
    pub(super) fn finish(&mut self, sink: &mut impl ExportSink) {
        let (sets, _) = self.collector.waiting();
        if sets > 0 {
            sink.refused(self.messages, "data sets whose template is not in the file", &[]);
        }
        self.collector.expire(Nanos(i64::MAX));
    }

    fn refuse(&mut self, sink: &mut impl ExportSink, reason: &'static str, bytes: &[u8]) {
        self.refused += 1;
        sink.refused(self.messages, reason, bytes);
    }

    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = self.collector.counters().list();
        all.extend(self.collector.decoder_counters());
        all.push(("messages.quarantined", self.refused));
        all
    }
}
