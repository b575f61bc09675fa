//! The columns of `flow`.

use parquet::errors::Result;

use super::{
    Address, Addresses, Column, Columns, CommunityIds, Few, GroupWriter, Ids, Keyed, Mac, Macs, NearTimes, Numbers,
    Times, Words,
};
use crate::community_id::CommunityId;
use crate::record::{Exporter, FlowRecord, History};

/// See the [module](self).
#[derive(Default)]
pub(in crate::lake) struct FlowColumns {
    rows: usize,
    record_id: Ids,
    first_seen: Times,
    last_seen: NearTimes,
    flow_start: NearTimes,
    segment: Few<u32>,
    sensor: String,
    origin: Words,
    src_ip: Addresses,
    dst_ip: Addresses,
    src_port: Numbers<u16>,
    dst_port: Few<u16>,
    proto: Few<u8>,
    src_packets: Numbers<u64>,
    src_bytes: Numbers<u64>,
    dst_packets: Numbers<u64>,
    dst_bytes: Numbers<u64>,
    src_tcp_flags: Few<u8>,
    dst_tcp_flags: Few<u8>,
    src_tos: Few<u8>,
    dst_tos: Few<u8>,
    conn_state: Words,
    history: Column<Keyed<History>>,
    src_mac: Macs,
    dst_mac: Macs,
    ethertype: Few<u16>,
    vlan: Few<u16>,
    cos: Few<u8>,
    end_reason: Few<u8>,
    exporter: ExporterColumns,
    sampling: Few<u32>,
    observations: Few<u16>,
    tunnel: Words,
    service: Words,
    community_id: CommunityIds,
}

impl Columns<FlowRecord> for FlowColumns {
    fn new(sensor: &str) -> Self {
        Self { sensor: sensor.to_owned(), ..Self::default() }
    }

    fn push(&mut self, row: &FlowRecord) {
        self.record_id.push(row.record_id.0);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.flow_start.push(row.flow_start.0);
        self.segment.push(row.segment);
        self.origin.push(row.origin.as_str());
        self.src_ip.push(Address(row.src_ip, row.version));
        self.dst_ip.push(Address(row.dst_ip, row.version));
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
        self.history.push_opt(row.history);
        self.src_mac.push_opt(row.macs.map(|(src, _)| Mac(src)));
        self.dst_mac.push_opt(row.macs.map(|(_, dst)| Mac(dst)));
        self.ethertype.push_opt(row.ethertype);
        self.vlan.push_opt(row.vlan);
        self.cos.push_opt(row.cos);
        self.end_reason.push(row.end_reason as u8);
        self.exporter.push(self.rows, row.exporter.as_deref());
        self.sampling.push(row.sampling);
        self.observations.push(row.observations);
        self.tunnel.push_opt(row.tunnel.map(super::tunnel));
        self.service.push_opt(row.service.map(super::service));
        self.community_id.push(CommunityId::of_flow(row).into_bytes());
        self.rows += 1;
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        self.rows = 0;
        out.column(&mut self.record_id)?;
        out.column(&mut self.first_seen)?;
        out.column(&mut self.last_seen)?;
        out.column(&mut self.flow_start)?;
        out.column(&mut self.segment)?;
        out.constant(&self.sensor)?;
        out.column(&mut self.origin)?;
        out.column(&mut self.src_ip)?;
        out.column(&mut self.dst_ip)?;
        out.column(&mut self.src_port)?;
        out.column(&mut self.dst_port)?;
        out.column(&mut self.proto)?;
        out.column(&mut self.src_packets)?;
        out.column(&mut self.src_bytes)?;
        out.column(&mut self.dst_packets)?;
        out.column(&mut self.dst_bytes)?;
        out.column(&mut self.src_tcp_flags)?;
        out.column(&mut self.dst_tcp_flags)?;
        out.column(&mut self.src_tos)?;
        out.column(&mut self.dst_tos)?;
        out.column(&mut self.conn_state)?;
        out.column(&mut self.history)?;
        out.column(&mut self.src_mac)?;
        out.column(&mut self.dst_mac)?;
        out.column(&mut self.ethertype)?;
        out.column(&mut self.vlan)?;
        out.column(&mut self.cos)?;
        out.column(&mut self.end_reason)?;
        self.exporter.write(out)?;
        out.column(&mut self.sampling)?;
        out.column(&mut self.observations)?;
        out.column(&mut self.tunnel)?;
        out.column(&mut self.service)?;
        out.column(&mut self.community_id)
    }
}

/// The eleven columns that only an exporter fills: not kept at all while no row has one.
#[derive(Default)]
struct ExporterColumns {
    filled: Option<Box<Filled>>,
}

#[derive(Default)]
struct Filled {
    exporter_ip: Addresses,
    input_if: Few<u32>,
    output_if: Few<u32>,
    fwd_status: Few<u8>,
    src_as: Few<u32>,
    dst_as: Few<u32>,
    src_mask: Few<u8>,
    dst_mask: Few<u8>,
    next_hop: Addresses,
    peer_src: Addresses,
    peer_dst: Addresses,
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
        self.exporter_ip.push_opt(exporter_ip.map(Address::from));
        self.input_if.push_opt(*input_if);
        self.output_if.push_opt(*output_if);
        self.fwd_status.push_opt(*fwd_status);
        self.src_as.push_opt(*src_as);
        self.dst_as.push_opt(*dst_as);
        self.src_mask.push_opt(*src_mask);
        self.dst_mask.push_opt(*dst_mask);
        self.next_hop.push_opt(next_hop.map(Address::from));
        self.peer_src.push_opt(peer_src.map(Address::from));
        self.peer_dst.push_opt(peer_dst.map(Address::from));
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

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        let Some(mut filled) = self.filled.take() else {
            return (0..11).try_for_each(|_| out.nulls());
        };
        out.column(&mut filled.exporter_ip)?;
        out.column(&mut filled.input_if)?;
        out.column(&mut filled.output_if)?;
        out.column(&mut filled.fwd_status)?;
        out.column(&mut filled.src_as)?;
        out.column(&mut filled.dst_as)?;
        out.column(&mut filled.src_mask)?;
        out.column(&mut filled.dst_mask)?;
        out.column(&mut filled.next_hop)?;
        out.column(&mut filled.peer_src)?;
        out.column(&mut filled.peer_dst)
    }
}
