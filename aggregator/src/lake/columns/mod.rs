//! From rows to the columns of a row group, one row at a time, into buffers that are used again.

mod dhcp;
mod dns;
mod flow;
mod ledger;
mod proxy;

use std::net::IpAddr;

use capture::{Ip, IpVersion};
use parquet::errors::Result;

use super::chunk::{
    ByKey, Coded, Column, Fixed, FixedText, GroupWriter, Key, Keyed, Packed, Plain, Split, Texts, Whole, Word,
};
use super::text::{push_ip, push_mac};
use crate::community_id::CommunityId;
use crate::record::History;

pub(super) use dhcp::DhcpColumns;
pub(super) use dns::DnsColumns;
pub(super) use flow::FlowColumns;
pub(super) use ledger::LedgerColumns;
pub(super) use proxy::ProxyColumns;

/// The columns of one table.
pub(super) trait Columns<Row> {
    /// Empty columns, for the rows of a sensor.
    fn new(sensor: &str) -> Self;
    /// Adds a row.
    fn push(&mut self, row: &Row);
    /// Writes all columns in the order of the schema, and leaves them empty.
    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()>;
}

/// Identities of records.
type Ids = Column<Fixed<16>>;
/// Times, microseconds.
type Times = Column<Packed<i64>>;
/// Times near to the one that rows are sorted by.
type NearTimes = Column<Packed<i64, Whole>>;
/// Numbers that differ from row to row.
type Numbers<T> = Column<Packed<T, Split>>;
/// Numbers of which a few come again and again.
type Few<T> = Column<Coded<T>>;
/// Addresses.
type Addresses = Column<Keyed<Address>>;
/// Hardware addresses.
type Macs = Column<Keyed<Mac>>;
/// Words that the program knows.
type Words = Column<Keyed<Word>>;
/// Texts that may repeat.
type Text = Column<Texts>;
/// Texts that hardly repeat.
type LongText = Column<Plain>;
/// Community IDs.
type CommunityIds = Column<FixedText<{ CommunityId::LEN }>>;

/// An address and how it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Address(Ip, IpVersion);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        let (ip, version) = Ip::from_ip_addr(address);
        Self(ip, version)
    }
}

impl Key for Address {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        // The version makes a difference only to mapped addresses: they may share a hash.
        mix(u128::from_le_bytes(self.0.0));
    }
}

impl ByKey for Address {
    fn text(&self, out: &mut Vec<u8>) {
        push_ip(out, self.0, self.1);
    }
}

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mac([u8; 6]);

impl Key for Mac {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        let [a, b, c, d, e, f] = self.0;
        mix(u128::from(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])));
    }
}

impl ByKey for Mac {
    fn text(&self, out: &mut Vec<u8>) {
        push_mac(out, self.0);
    }
}

impl Key for History {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        self.words().into_iter().for_each(&mut mix);
    }
}

impl ByKey for History {
    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

/// The text of the `tunnel` column.
const fn tunnel(tunnel: capture::Tunnel) -> &'static str {
    use capture::Tunnel;
    match tunnel {
        Tunnel::Gre => "gre",
        Tunnel::Erspan => "erspan",
        Tunnel::Vxlan => "vxlan",
        Tunnel::Geneve => "geneve",
        Tunnel::GtpU => "gtpu",
        Tunnel::Mpls => "mpls",
        Tunnel::Pppoe => "pppoe",
        Tunnel::IpIp => "ipip",
        Tunnel::SixInFour => "6in4",
        Tunnel::Teredo => "teredo",
        Tunnel::L2tp => "l2tp",
        Tunnel::EtherIp => "etherip",
        Tunnel::Nsh => "nsh",
        Tunnel::Lisp => "lisp",
        Tunnel::Capwap => "capwap",
    }
}

/// The text of the `service` column.
const fn service(service: capture::Service) -> &'static str {
    use capture::Service;
    match service {
        Service::Dns => "dns",
        Service::Mdns => "mdns",
        Service::Llmnr => "llmnr",
        Service::Http => "http",
        Service::Tls => "tls",
        Service::Ssh => "ssh",
        Service::Quic => "quic",
        Service::Ntp => "ntp",
        Service::Dhcp => "dhcp",
        Service::Smtp => "smtp",
        Service::Ftp => "ftp",
        Service::Rdp => "rdp",
        Service::Smb => "smb",
        Service::Snmp => "snmp",
        Service::Sip => "sip",
    }
}
