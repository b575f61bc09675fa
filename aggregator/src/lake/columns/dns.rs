//! The columns of `dns`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, UInt8Type, UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use capture::{DnsTransport, ResourceRecord};

use super::{Columns, Constant, Ids, Numbers, Text, Times};
use crate::community_id::CommunityId;
use crate::lake::schema;
use crate::lake::text::push_ip;
use crate::record::DnsRecord;

/// Builders of the columns of `dns`.
pub(in crate::lake) struct DnsColumns {
    rows: usize,
    record_id: Ids,
    first_seen: Times,
    last_seen: Times,
    sensor: Constant,
    origin: Text,
    client_ip: Text,
    client_port: Numbers<UInt16Type>,
    server_ip: Text,
    server_port: Numbers<UInt16Type>,
    transport: Text,
    id: Numbers<UInt16Type>,
    qname: Text,
    qname_wire: Text,
    qtype: Numbers<UInt16Type>,
    qclass: Numbers<UInt16Type>,
    question: Numbers<UInt8Type>,
    opcode: Numbers<UInt8Type>,
    rcode: Numbers<UInt16Type>,
    rtt_us: Numbers<UInt32Type>,
    query_len: Numbers<UInt16Type>,
    response_len: Numbers<UInt16Type>,
    response_frame_len: Numbers<UInt32Type>,
    flags: Numbers<UInt16Type>,
    edns_udp_size: Numbers<UInt16Type>,
    answers: Resources,
    authorities: Resources,
    additional_count: Numbers<UInt16Type>,
    damage: Text,
    community_id: Text,
}

impl Columns<DnsRecord> for DnsColumns {
    fn new(sensor: &str) -> Self {
        Self {
            rows: 0,
            record_id: Ids::default(),
            first_seen: Times::default(),
            last_seen: Times::default(),
            sensor: Constant::new(sensor),
            origin: Text::default(),
            client_ip: Text::default(),
            client_port: Numbers::default(),
            server_ip: Text::default(),
            server_port: Numbers::default(),
            transport: Text::default(),
            id: Numbers::default(),
            qname: Text::default(),
            qname_wire: Text::default(),
            qtype: Numbers::default(),
            qclass: Numbers::default(),
            question: Numbers::default(),
            opcode: Numbers::default(),
            rcode: Numbers::default(),
            rtt_us: Numbers::default(),
            query_len: Numbers::default(),
            response_len: Numbers::default(),
            response_frame_len: Numbers::default(),
            flags: Numbers::default(),
            edns_udp_size: Numbers::default(),
            answers: Resources::default(),
            authorities: Resources::default(),
            additional_count: Numbers::default(),
            damage: Text::default(),
            community_id: Text::default(),
        }
    }

    fn push(&mut self, row: &DnsRecord) {
        self.record_id.push(row.record_id);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.origin.push(row.origin.as_str());
        self.client_ip.push_with(|out| push_ip(out, row.client_ip, row.version));
        self.client_port.push(row.client_port);
        self.server_ip.push_with(|out| push_ip(out, row.server_ip, row.version));
        self.server_port.push(row.server_port);
        self.transport.push(transport(row.transport));
        self.id.push(row.id);
        self.qname.push(&row.qname);
        self.qname_wire.push(&row.qname_wire);
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
        self.community_id.push(CommunityId::of_dns(row).as_str());
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        RecordBatch::try_new(
            schema::dns(),
            vec![
                self.record_id.finish()?,
                self.first_seen.finish_times(),
                self.last_seen.finish_times(),
                self.sensor.finish(rows),
                self.origin.finish()?,
                self.client_ip.finish()?,
                self.client_port.finish(),
                self.server_ip.finish()?,
                self.server_port.finish(),
                self.transport.finish()?,
                self.id.finish(),
                self.qname.finish()?,
                self.qname_wire.finish()?,
                self.qtype.finish(),
                self.qclass.finish(),
                self.question.finish(),
                self.opcode.finish(),
                self.rcode.finish(),
                self.rtt_us.finish(),
                self.query_len.finish(),
                self.response_len.finish(),
                self.response_frame_len.finish(),
                self.flags.finish(),
                self.edns_udp_size.finish(),
                self.answers.finish()?,
                self.authorities.finish()?,
                self.additional_count.finish(),
                self.damage.finish()?,
                self.community_id.finish()?,
            ],
        )
    }
}

/// A column of resource records.
struct Resources {
    ends: Vec<i32>,
    name: Text,
    rtype: Numbers<UInt16Type>,
    ttl: Numbers<UInt32Type>,
    data: Text,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            ends: vec![0],
            name: Text::default(),
            rtype: Numbers::default(),
            ttl: Numbers::default(),
            data: Text::default(),
        }
    }
}

impl Resources {
    fn push(&mut self, records: &[ResourceRecord]) {
        for record in records {
            self.name.push(&record.name);
            self.rtype.push(record.rtype);
            self.ttl.push(record.ttl);
            self.data.push(&record.data);
        }
        self.ends.push(i32::try_from(self.rtype.values.len()).unwrap_or(i32::MAX));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let fields = schema::resource_record();
        let columns = vec![self.name.finish()?, self.rtype.finish(), self.ttl.finish(), self.data.finish()?];
        let records = StructArray::try_new(fields.clone(), columns, None)?;
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
        let list = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(ends)), Arc::new(records), None)?;
        Ok(Arc::new(list))
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
