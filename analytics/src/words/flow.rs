//! Words of flow records: `P_proto_hour_bytes_packets`, `-1_` in front at the side that owns the low port.

use super::maths::{counter_bin, counter_bin_range};
use super::{Component, Invalid, Scheme, TimeOfDay, WordCode, protocol};

/// Port label of a flow between two low ports (1–1024).
pub const BOTH_LOW: u32 = 111_111;
/// Port label of a flow between two high ports.
pub const BOTH_HIGH: u32 = 333_333;

/// The columns of a flow record that decide its words and whether it has any.
/// `None` is null; numbers are signed because foreign tables have −1.
#[derive(Clone, Copy, Debug)]
pub struct FlowInput<'a> {
    /// `treceived` with its hour, minute and second.
    pub time: Option<TimeOfDay>,
    /// Source address: the document of the source word.
    pub src_ip: Option<&'a str>,
    /// Destination address.
    pub dst_ip: Option<&'a str>,
    /// Source port, 0 where there is none.
    pub src_port: Option<i64>,
    /// Destination port.
    pub dst_port: Option<i64>,
    /// IANA protocol number.
    pub proto: u8,
    /// Packets from source to destination.
    pub packets: Option<i64>,
    /// Bytes from source to destination.
    pub bytes: Option<i64>,
}

/// The features of a flow word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowWord {
    /// This side owns the low port: the `-1_` prefix.
    pub server_side: bool,
    /// The port that names the service, [`BOTH_LOW`], [`BOTH_HIGH`], or 0.
    pub port: u32,
    /// IANA protocol number.
    pub proto: u8,
    /// Hour of the day, UTC.
    pub hour: u8,
    /// ⌈log2(bytes + 1)⌉.
    pub bytes_bin: u32,
    /// ⌈log2(packets + 1)⌉.
    pub packets_bin: u32,
}

/// A record's two words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowWords {
    /// Counted in the source address's document.
    pub src: FlowWord,
    /// Counted in the destination address's document.
    pub dst: FlowWord,
}

impl FlowWords {
    /// The words of a record by Spot's seven port cases, or why it has none. A record with an hour, minute or second
    /// out of range is invalid (Spot loses it: it is neither in its clean nor in its invalid set).
    ///
    /// # Errors
    /// The first cause found.
    pub fn of(record: &FlowInput<'_>) -> Result<Self, Invalid> {
        let hour = record.time.ok_or(Invalid::Time)?.hour()?;
        if record.src_ip.is_none() || record.dst_ip.is_none() {
            return Err(Invalid::Address);
        }
        let port = |port: Option<i64>| port.and_then(|p| u32::try_from(p).ok()).ok_or(Invalid::Port);
        let counter = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).ok_or(Invalid::Counter);
        let (src_port, dst_port) = (port(record.src_port)?, port(record.dst_port)?);
        let (bytes, packets) = (counter(record.bytes)?, counter(record.packets)?);
        let (port, src_serves, dst_serves) = port_case(src_port, dst_port);
        let base = FlowWord {
            server_side: false,
            port,
            proto: record.proto,
            hour,
            bytes_bin: counter_bin(bytes),
            packets_bin: counter_bin(packets),
        };
        Ok(Self {
            src: FlowWord { server_side: src_serves, ..base },
            dst: FlowWord { server_side: dst_serves, ..base },
        })
    }
}

/// (port label, source has the prefix, destination has it). The first case that holds wins.
const fn port_case(src: u32, dst: u32) -> (u32, bool, bool) {
    const LOW: u32 = 1024;
    match (src, dst) {
        (0, 0) => (0, false, false),
        (_, 0) => (src, true, false),
        (0, _) => (dst, false, true),
        _ if src <= LOW && dst <= LOW => (BOTH_LOW, false, false),
        _ if src <= LOW => (src, true, false),
        _ if dst <= LOW => (dst, false, true),
        _ => (BOTH_HIGH, false, false),
    }
}

impl FlowWord {
    /// As numbers.
    pub const fn code(self) -> WordCode {
        WordCode::of([
            self.server_side as u32,
            self.port,
            self.proto as u32,
            self.hour as u32,
            self.bytes_bin,
            self.packets_bin,
        ])
    }

    /// The way back; values out of range are cut to the field's width.
    pub const fn from_code(code: WordCode) -> Self {
        let [side, port, proto, hour, bytes_bin, packets_bin, ..] = code.0;
        Self { server_side: side != 0, port, proto: proto as u8, hour: hour as u8, bytes_bin, packets_bin }
    }
}

impl std::fmt::Display for FlowWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server_side, port, proto, hour, bytes_bin, packets_bin } = *self;
        let prefix = if server_side { "-1_" } else { "" };
        let proto = ProtocolName(proto);
        write!(f, "{prefix}{port}_{proto}_{hour}_{bytes_bin}_{packets_bin}")
    }
}

/// A protocol number as the text flow collectors write: [`protocol::name`], else the number.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolName(pub u8);

impl std::fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match protocol::name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Scheme `spot` for flows.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowScheme;

impl Scheme for FlowScheme {
    fn components(&self) -> &'static [Component] {
        &[
            Component { name: "role", ordered: false },
            Component { name: "port", ordered: false },
            Component { name: "protocol", ordered: false },
            Component { name: "hour", ordered: true },
            Component { name: "bytes", ordered: true },
            Component { name: "packets", ordered: true },
        ]
    }

    fn render(&self, word: WordCode) -> String {
        FlowWord::from_code(word).to_string()
    }

    fn describe(&self, component: usize, value: u32) -> String {
        let range = |unit: &str| {
            let (low, high) = counter_bin_range(value);
            if low == high { format!("{low} {unit}") } else { format!("{low} to {high} {unit}") }
        };
        match component {
            0 if value == 0 => "client or peer side".into(),
            0 => "owner of the low port".into(),
            1 => match value {
                0 => "no port".into(),
                BOTH_LOW => "both ports up to 1024".into(),
                BOTH_HIGH => "both ports above 1024".into(),
                port => format!("port {port}"),
            },
            2 => ProtocolName(value as u8).to_string(),
            3 => format!("{value:02}:00 to {value:02}:59 UTC"),
            4 => range("bytes"),
            _ => range("packets"),
        }
    }
}
