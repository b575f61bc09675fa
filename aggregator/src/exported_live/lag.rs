//! How late each exporter's flows come: from a flow's end, by the exporter's clock, to the arrival of its message.

use std::net::IpAddr;

use capture::collect::{ExportedFlow, Protocol, exporter_name};
use hashbrown::HashMap;

use crate::record::Micros;

/// Exporters that are told apart between two sets; flows of more are counted as `exported.lag_not_measured`.
const EXPORTERS: usize = 8_192;
/// An end so much after the arrival is the exporter's clock.
const AHEAD: i64 = 1_000;
/// An end so much before it is one, too, or a flow that was kept for long.
const BEHIND: i64 = 86_400_000;

/// What an exporter's flows said since the last look.
///
/// | counter | meaning |
/// |---|---|
/// | `exporter.flows` | flows |
/// | `exporter.flows.timed` | of those: with an end that can be compared (sFlow has no clock), by at most a second after, a day before |
/// | `exporter.flows.ahead`, `exporter.flows.behind` | of those: with an end more than a second after, more than a day before they came |
/// | `exporter.lag_ms` | sum of the milliseconds from end to arrival, of `timed` |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lag {
    pub(super) flows: u64,
    pub(super) timed: u64,
    pub(super) ahead: u64,
    pub(super) behind: u64,
    pub(super) lag_ms: u64,
    /// The longest of `timed`.
    pub(super) longest_ms: u64,
    /// The latest end of `timed`, and the latest arrival.
    pub(super) ended: Option<Micros>,
    pub(super) received: Option<Micros>,
}

impl Lag {
    /// Ledger name and value of each.
    pub(super) const fn list(&self) -> [(&'static str, u64); 5] {
        [
            ("exporter.flows", self.flows),
            ("exporter.flows.timed", self.timed),
            ("exporter.flows.ahead", self.ahead),
            ("exporter.flows.behind", self.behind),
            ("exporter.lag_ms", self.lag_ms),
        ]
    }

    fn handle(&mut self, flow: &ExportedFlow) {
        self.flows += 1;
        let received = Micros(flow.received.micros());
        self.received = self.received.max(Some(received));
        if flow.protocol == Protocol::SFlow {
            return;
        }
        let ended = Micros(flow.last.micros());
        match received.0.saturating_sub(ended.0) / 1_000 {
            lag if lag < -AHEAD => self.ahead += 1,
            lag if lag > BEHIND => self.behind += 1,
            lag => {
                let lag = lag.max(0).unsigned_abs();
                self.timed += 1;
                self.lag_ms += lag;
                self.longest_ms = self.longest_ms.max(lag);
                self.ended = self.ended.max(Some(ended));
            }
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.timed += other.timed;
        self.ahead += other.ahead;
        self.behind += other.behind;
        self.lag_ms += other.lag_ms;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.ended = self.ended.max(other.ended);
        self.received = self.received.max(other.received);
    }
}

type Who = (Protocol, IpAddr, u32);

/// By exporter. Memory: about 150 bytes for each of at most [`EXPORTERS`].
#[derive(Default)]
pub(super) struct Lags {
    all: HashMap<Who, Lag>,
    /// Flows come message by message: the next is mostly of the same exporter.
    last: Option<(Who, Lag)>,
    /// Flows past the bound.
    pub(super) not_measured: u64,
}

impl Lags {
    pub(super) fn handle(&mut self, flow: &ExportedFlow) {
        let who = (flow.protocol, flow.exporter, flow.domain);
        if let Some((last, lag)) = &mut self.last
            && *last == who
        {
            lag.handle(flow);
            return;
        }
        let mut lag = Lag::default();
        lag.handle(flow);
        self.put();
        self.last = Some((who, lag));
    }

    fn put(&mut self) {
        let Some((who, lag)) = self.last.take() else { return };
        if self.all.len() >= EXPORTERS && !self.all.contains_key(&who) {
            self.not_measured += lag.flows;
            return;
        }
        self.all.entry(who).or_default().add(&lag);
    }

    /// What came since the last look, by the exporters' names.
    pub(super) fn take(&mut self) -> Vec<(String, Lag)> {
        self.put();
        let name = |((protocol, address, domain), lag)| Some((exporter_name(protocol, address, domain)?, lag));
        std::mem::take(&mut self.all).into_iter().filter_map(name).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use capture::{AddressPair, Ip, IpVersion, Nanos};

    use super::*;

    const NOW: i64 = 1_772_582_400_000;

    fn flow(protocol: Protocol, domain: u32, ended_before_ms: i64) -> ExportedFlow {
        let pair = AddressPair {
            src: Ip::v4([10, 0, 0, 1]),
            dst: Ip::v4([10, 0, 0, 2]),
            version: IpVersion::V4,
            src_port: 1,
            dst_port: 2,
            proto: 17,
        };
        let at = Nanos(NOW * 1_000_000);
        let flow = ExportedFlow::new(protocol, [192, 0, 2, 1].into(), domain, at, pair);
        ExportedFlow { last: Nanos((NOW - ended_before_ms) * 1_000_000), ..flow }
    }

    #[test]
    fn each_exporter_has_its_own_lag_and_senseless_clocks_are_counted_apart() {
        let mut lags = Lags::default();
        for ms in [1_500, 2_500, 0, -900] {
            lags.handle(&flow(Protocol::NetFlow9, 7, ms));
            lags.handle(&flow(Protocol::Ipfix, 7, 60_000));
        }
        for ms in [-5_000, BEHIND + 1, NOW] {
            lags.handle(&flow(Protocol::NetFlow9, 7, ms));
        }
        lags.handle(&flow(Protocol::SFlow, 0, 0));
        let all: std::collections::BTreeMap<String, Lag> = lags.take().into_iter().collect();
        let of = |name: &str| all.get(name).unwrap().list().map(|(_, value)| value);
        assert_eq!(of("netflow9 192.0.2.1 7"), [7, 4, 1, 2, 4_000]);
        assert_eq!(of("ipfix 192.0.2.1 7"), [4, 4, 0, 0, 240_000]);
        assert_eq!(of("sflow 192.0.2.1 0"), [1, 0, 0, 0, 0]);
        let lag = all.get("netflow9 192.0.2.1 7").unwrap();
        assert_eq!(
            (lag.longest_ms, lag.ended, lag.received),
            (2_500, Some(Micros((NOW + 900) * 1000)), Some(Micros(NOW * 1000)))
        );
        assert_eq!((lags.take(), lags.not_measured), (vec![], 0));
    }

    #[test]
    fn exporters_past_the_bound_are_counted_and_cost_nothing() {
        let mut lags = Lags::default();
        for domain in 0..EXPORTERS as u32 + 10 {
            lags.handle(&flow(Protocol::Ipfix, domain, 5));
        }
        assert_eq!((lags.take().len(), lags.not_measured), (EXPORTERS, 10));
    }
}
