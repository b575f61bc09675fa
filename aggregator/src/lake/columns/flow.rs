//! The columns of `flow`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;

use super::{Columns, Constant, Ids, Numbers, Text, Times};
use crate::community_id::CommunityId;
use crate::lake::schema;
use crate::lake::text::{push_ip, push_ip_addr, push_mac};
use crate::record::{Exporter, FlowRecord};

/// Builders of the columns of `flow`.
pub(in crate::lake) struct FlowColumns {
    rows: usize,
    record_id: Ids,
    first_seen: Times,
    last_seen: Times,
    flow_start: Times,
    segment: Numbers<UInt32Type>,
    sensor: Constant,
    origin: Text,
    src_ip: Text,
    dst_ip: Text,
    src_port: Numbers<UInt16Type>,
    dst_port: Numbers<UInt16Type>,
    proto: Numbers<UInt8Type>,
    src_packets: Numbers<UInt64Type>,
    src_bytes: Numbers<UInt64Type>,
    dst_packets: Numbers<UInt64Type>,
    dst_bytes: Numbers<UInt64Type>,
    src_tcp_flags: Numbers<UInt8Type>,
    dst_tcp_flags: Numbers<UInt8Type>,
    src_tos: Numbers<UInt8Type>,
    dst_tos: Numbers<UInt8Type>,
    conn_state: Text,
    history: Text,
    src_mac: Text,
    dst_mac: Text,
    ethertype: Numbers<UInt16Type>,
    vlan: Numbers<UInt16Type>,
    cos: Numbers<UInt8Type>,
    end_reason: Numbers<UInt8Type>,
    exporter: ExporterColumns,
    sampling: Numbers<UInt32Type>,
    observations: Numbers<UInt16Type>,
    tunnel: Text,
    service: Text,
    community_id: Text,
}

impl Columns<FlowRecord> for FlowColumns {
    fn new(sensor: &str) -> Self {
        Self {
            rows: 0,
            record_id: Ids::default(),
            first_seen: Times::default(),
            last_seen: Times::default(),
            flow_start: Times::default(),
            segment: Numbers::default(),
            sensor: Constant::new(sensor),
            origin: Text::default(),
            src_ip: Text::default(),
            dst_ip: Text::default(),
            src_port: Numbers::default(),
            dst_port: Numbers::default(),
            proto: Numbers::default(),
            src_packets: Numbers::default(),
            src_bytes: Numbers::default(),
            dst_packets: Numbers::default(),
            dst_bytes: Numbers::default(),
            src_tcp_flags: Numbers::default(),
            dst_tcp_flags: Numbers::default(),
            src_tos: Numbers::default(),
            dst_tos: Numbers::default(),
            conn_state: Text::default(),
            history: Text::default(),
            src_mac: Text::default(),
            dst_mac: Text::default(),
            ethertype: Numbers::default(),
            vlan: Numbers::default(),
            cos: Numbers::default(),
            end_reason: Numbers::default(),
            exporter: ExporterColumns::default(),
            sampling: Numbers::default(),
            observations: Numbers::default(),
            tunnel: Text::default(),
            service: Text::default(),
            community_id: Text::default(),
        }
    }

    fn push(&mut self, row: &FlowRecord) {
        self.record_id.push(row.record_id);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.flow_start.push(row.flow_start.0);
        self.segment.push(row.segment);
        self.origin.push(row.origin.as_str());
        self.src_ip.push_with(|out| push_ip(out, row.src_ip, row.version));
        self.dst_ip.push_with(|out| push_ip(out, row.dst_ip, row.version));
        self.src_port.push(row.src_port);
        self.dst_port.push(row.dst_port);
        self.proto.push(row.proto);
        self.src_packets.push(row.src.packets);
        self.src_bytes.push(row.src.bytes);
        self.dst_packets.push_opt(row.dst.map(|d| d.packets));
        self.dst_bytes.push_opt(row.dst.map(|d| d.bytes));
        self.src_tcp_flags.push_opt(row.src.tcp_flags);
        self.dst_tcp_flags.push_opt(row.dst.and_then(|d| d.tcp_flags));
        self.src_tos.push_opt(row.src.tos);
        self.dst_tos.push_opt(row.dst.and_then(|d| d.tos));
        self.conn_state.push_opt(row.conn_state);
        self.history.push_opt(row.history.as_ref().map(|h| h.as_str()));
        match row.macs {
            Some((src, dst)) => {
                self.src_mac.push_with(|out| push_mac(out, src));
                self.dst_mac.push_with(|out| push_mac(out, dst));
            }
            None => {
                self.src_mac.push_null();
                self.dst_mac.push_null();
            }
        }
        self.ethertype.push_opt(row.ethertype);
        self.vlan.push_opt(row.vlan);
        self.cos.push_opt(row.cos);
        self.end_reason.push(row.end_reason as u8);
        self.exporter.push(self.rows, row.exporter.as_deref());
        self.sampling.push(row.sampling);
        self.observations.push(row.observations);
        self.tunnel.push_opt(row.tunnel.map(super::tunnel));
        self.service.push_opt(row.service.map(super::service));
        self.community_id.push(CommunityId::of_flow(row).as_str());
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<ArrayRef> = vec![
            self.record_id.finish()?,
            self.first_seen.finish_times(),
            self.last_seen.finish_times(),
            self.flow_start.finish_times(),
            self.segment.finish(),
            self.sensor.finish(rows),
            self.origin.finish()?,
            self.src_ip.finish()?,
            self.dst_ip.finish()?,
            self.src_port.finish(),
            self.dst_port.finish(),
            self.proto.finish(),
            self.src_packets.finish(),
            self.src_bytes.finish(),
            self.dst_packets.finish(),
            self.dst_bytes.finish(),
            self.src_tcp_flags.finish(),
            self.dst_tcp_flags.finish(),
            self.src_tos.finish(),
            self.dst_tos.finish(),
            self.conn_state.finish()?,
            self.history.finish()?,
            self.src_mac.finish()?,
            self.dst_mac.finish()?,
            self.ethertype.finish(),
            self.vlan.finish(),
            self.cos.finish(),
            self.end_reason.finish(),
        ];
        columns.extend(self.exporter.finish(rows)?);
        columns.extend([
            self.sampling.finish(),
            self.observations.finish(),
            self.tunnel.finish()?,
            self.service.finish()?,
            self.community_id.finish()?,
        ]);
        RecordBatch::try_new(schema::flow(), columns)
    }
}

/// The eleven columns that only an exporter fills: not built at all while no row has one.
#[derive(Default)]
struct ExporterColumns {
    filled: Option<Box<Filled>>,
    nulls: Option<[ArrayRef; 3]>,
}

#[derive(Default)]
struct Filled {
    exporter_ip: Text,
    input_if: Numbers<UInt32Type>,
    output_if: Numbers<UInt32Type>,
    fwd_status: Numbers<UInt8Type>,
    src_as: Numbers<UInt32Type>,
    dst_as: Numbers<UInt32Type>,
    src_mask: Numbers<UInt8Type>,
    dst_mask: Numbers<UInt8Type>,
    next_hop: Text,
    peer_src: Text,
    peer_dst: Text,
}

impl Filled {
    fn push(&mut self, row: Option<&Exporter>) {
        let nothing = Exporter::default();
        let row = row.unwrap_or(&nothing);
        let Exporter {
            exporter_ip,
            input_if,
            output_if,
            fwd_status,
            src_as,
            dst_as,
            src_mask,
            dst_mask,
            next_hop,
            peer_src,
            peer_dst,
        } = row;
        for (column, ip) in [
            (&mut self.exporter_ip, exporter_ip),
            (&mut self.next_hop, next_hop),
            (&mut self.peer_src, peer_src),
            (&mut self.peer_dst, peer_dst),
        ] {
            match ip {
                Some(ip) => column.push_with(|out| push_ip_addr(out, *ip)),
                None => column.push_null(),
            }
        }
        self.input_if.push_opt(*input_if);
        self.output_if.push_opt(*output_if);
        self.fwd_status.push_opt(*fwd_status);
        self.src_as.push_opt(*src_as);
        self.dst_as.push_opt(*dst_as);
        self.src_mask.push_opt(*src_mask);
        self.dst_mask.push_opt(*dst_mask);
    }
}

impl ExporterColumns {
    fn push(&mut self, rows_before: usize, row: Option<&Exporter>) {
        match (&mut self.filled, row) {
            (None, None) => {}
            (Some(filled), row) => filled.push(row),
            (none @ None, row) => {
                let mut filled = Box::<Filled>::default();
                (0..rows_before).for_each(|_| filled.push(None));
                filled.push(row);
                *none = Some(filled);
            }
        }
    }

    fn finish(&mut self, rows: usize) -> Result<[ArrayRef; 11], ArrowError> {
        let Some(mut filled) = self.filled.take() else {
            let [text, u32s, u8s] = self.nulls(rows);
            let text = || Arc::clone(&text);
            let (u32s, u8s) = (|| Arc::clone(&u32s), || Arc::clone(&u8s));
            return Ok([text(), u32s(), u32s(), u8s(), u32s(), u32s(), u8s(), u8s(), text(), text(), text()]);
        };
        Ok([
            filled.exporter_ip.finish()?,
            filled.input_if.finish(),
            filled.output_if.finish(),
            filled.fwd_status.finish(),
            filled.src_as.finish(),
            filled.dst_as.finish(),
            filled.src_mask.finish(),
            filled.dst_mask.finish(),
            filled.next_hop.finish()?,
            filled.peer_src.finish()?,
            filled.peer_dst.finish()?,
        ])
    }

    fn nulls(&mut self, rows: usize) -> [ArrayRef; 3] {
        let longer = self.nulls.take().filter(|[text, ..]| text.len() >= rows);
        let whole = longer
            .unwrap_or_else(|| [DataType::Utf8, DataType::UInt32, DataType::UInt8].map(|t| new_null_array(&t, rows)));
        let slices = whole.each_ref().map(|array| array.slice(0, rows));
        self.nulls = Some(whole);
        slices
    }
}
