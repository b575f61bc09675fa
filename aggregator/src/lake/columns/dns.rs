//! The columns of `dns`.

use capture::{DnsTransport, ResourceRecord};
use parquet::errors::Result;

use super::super::chunk::{Push as _, Repeats};
use super::{
    Address, Addresses, Coded, Columns, CommunityIds, Few, GroupWriter, Ids, Numbers, Text, Texts, Times, Words,
};
use crate::community_id::CommunityId;
use crate::record::DnsRecord;

/// See the [module](self).
#[derive(Default)]
pub(in crate::lake) struct DnsColumns {
    record_id: Ids,
    first_seen: Times,
    last_seen: Times,
    sensor: String,
    origin: Words,
    client_ip: Addresses,
    client_port: Numbers<u16>,
    server_ip: Addresses,
    server_port: Few<u16>,
    transport: Words,
    id: Numbers<u16>,
    qname: Text,
    qname_wire: Text,
    qtype: Few<u16>,
    qclass: Few<u16>,
    question: Few<u8>,
    opcode: Few<u8>,
    rcode: Few<u16>,
    rtt_us: Numbers<u32>,
    query_len: Few<u16>,
    response_len: Few<u16>,
    response_frame_len: Few<u32>,
    flags: Few<u16>,
    edns_udp_size: Few<u16>,
    answers: Resources,
    authorities: Resources,
    additional_count: Few<u16>,
    damage: Words,
    community_id: CommunityIds,
}

impl Columns<DnsRecord> for DnsColumns {
    fn new(sensor: &str) -> Self {
        Self { sensor: sensor.to_owned(), ..Self::default() }
    }

    fn push(&mut self, row: &DnsRecord) {
        self.record_id.push(row.record_id.0);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.origin.push(row.origin.as_str());
        self.client_ip.push(Address(row.client_ip, row.version));
        self.client_port.push(row.client_port);
        self.server_ip.push(Address(row.server_ip, row.version));
        self.server_port.push(row.server_port);
        self.transport.push(transport(row.transport));
        self.id.push(row.id);
        self.qname.push(row.qname.as_str());
        self.qname_wire.push(row.qname_wire.as_str());
        self.qtype.push(row.qtype);
        self.qclass.push(row.qclass);
        self.question.push(row.question);
        self.opcode.push(row.opcode);
        self.rcode.push_opt(row.rcode);
        self.rtt_us.push_opt(row.rtt_us);
        self.query_len.push_opt(row.query_len);
        self.response_len.push_opt(row.response_len);
        self.response_frame_len.push_opt(row.response_frame_len);
        self.flags.push(row.flags);
        self.edns_udp_size.push_opt(row.edns_udp_size);
        self.answers.push(&row.answers);
        self.authorities.push(&row.authorities);
        self.additional_count.push(row.additional_count);
        self.damage.push_opt(row.damage);
        self.community_id.push(CommunityId::of_dns(row).into_bytes());
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        out.column(&mut self.record_id)?;
        out.column(&mut self.first_seen)?;
        out.column(&mut self.last_seen)?;
        out.constant(&self.sensor)?;
        out.column(&mut self.origin)?;
        out.column(&mut self.client_ip)?;
        out.column(&mut self.client_port)?;
        out.column(&mut self.server_ip)?;
        out.column(&mut self.server_port)?;
        out.column(&mut self.transport)?;
        out.column(&mut self.id)?;
        out.column(&mut self.qname)?;
        out.column(&mut self.qname_wire)?;
        out.column(&mut self.qtype)?;
        out.column(&mut self.qclass)?;
        out.column(&mut self.question)?;
        out.column(&mut self.opcode)?;
        out.column(&mut self.rcode)?;
        out.column(&mut self.rtt_us)?;
        out.column(&mut self.query_len)?;
        out.column(&mut self.response_len)?;
        out.column(&mut self.response_frame_len)?;
        out.column(&mut self.flags)?;
        out.column(&mut self.edns_udp_size)?;
        self.answers.write(out)?;
        self.authorities.write(out)?;
        out.column(&mut self.additional_count)?;
        out.column(&mut self.damage)?;
        out.column(&mut self.community_id)
    }
}

/// A column of resource records.
#[derive(Default)]
struct Resources {
    lists: Repeats,
    name: Texts,
    rtype: Coded<u16>,
    ttl: Coded<u32>,
    data: Texts,
}

impl Resources {
    fn push(&mut self, records: &[ResourceRecord]) {
        self.lists.push(records.len());
        for record in records {
            self.name.push(record.name.as_str());
            self.rtype.push(record.rtype);
            self.ttl.push(record.ttl);
            self.data.push(record.data.as_str());
        }
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        let Self { lists, name, rtype, ttl, data } = self;
        out.repeated(lists, name)?;
        out.repeated(lists, rtype)?;
        out.repeated(lists, ttl)?;
        out.repeated(lists, data)?;
        lists.clear();
        Ok(())
    }
}

const fn transport(transport: DnsTransport) -> &'static str {
    match transport {
        DnsTransport::Udp => "udp",
        DnsTransport::Tcp => "tcp",
        DnsTransport::Mdns => "mdns",
        DnsTransport::Llmnr => "llmnr",
    }
}
