//! The columns of `dhcp`.

use parquet::errors::Result;

use super::super::chunk::{Push as _, Repeats};
use super::{
    Address, Addresses, Coded, Columns, Few, GroupWriter, Ids, Keyed, Mac, Macs, Numbers, Text, Texts, Times, Words,
};
use crate::record::{DhcpLease, DhcpRecord};

/// See the [module](self).
#[derive(Default)]
pub(in crate::lake) struct DhcpColumns {
    record_id: Ids,
    first_seen: Times,
    last_seen: Times,
    sensor: String,
    origin: Words,
    version: Few<u8>,
    xid: Few<u32>,
    client_addr: Addresses,
    client_port: Numbers<u16>,
    server_addr: Addresses,
    server_port: Few<u16>,
    relay_addr: Addresses,
    mac: Macs,
    client_id: Text,
    host_name: Text,
    client_fqdn: Text,
    domain: Text,
    requested_addr: Addresses,
    assigned_addr: Addresses,
    lease_time: Few<u32>,
    leases: Leases,
    client_message: Text,
    server_message: Text,
    vendor_class: Text,
    param_list: Text,
    msg_types: (Repeats, Texts),
    duration_us: Numbers<u64>,
    damage: Words,
    community_id: Text,
}

impl Columns<DhcpRecord> for DhcpColumns {
    fn new(sensor: &str) -> Self {
        Self { sensor: sensor.to_owned(), ..Self::default() }
    }

    fn push(&mut self, row: &DhcpRecord) {
        let duration = row.last_seen.0.saturating_sub(row.first_seen.0);
        self.record_id.push(row.record_id.0);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.origin.push(row.origin.as_str());
        self.version.push(row.version);
        self.xid.push_opt(row.xid);
        self.client_addr.push_opt(row.client_addr.map(Address::from));
        self.client_port.push_opt(row.client_port);
        self.server_addr.push_opt(row.server_addr.map(Address::from));
        self.server_port.push_opt(row.server_port);
        self.relay_addr.push_opt(row.relay_addr.map(Address::from));
        self.mac.push_opt(row.mac.map(Mac));
        self.client_id.push_opt(row.client_id.as_deref());
        self.host_name.push_opt(row.host_name.as_deref());
        self.client_fqdn.push_opt(row.client_fqdn.as_deref());
        self.domain.push_opt(row.domain.as_deref());
        self.requested_addr.push_opt(row.requested_addr.map(Address::from));
        self.assigned_addr.push_opt(row.assigned_addr.map(Address::from));
        self.lease_time.push_opt(row.lease_time);
        self.leases.push(&row.leases);
        self.client_message.push_opt(row.client_message.as_deref());
        self.server_message.push_opt(row.server_message.as_deref());
        self.vendor_class.push_opt(row.vendor_class.as_deref());
        self.param_list.push_opt(row.param_list.as_deref());
        self.msg_types.0.push(row.msg_types.len());
        row.msg_types.iter().for_each(|name| self.msg_types.1.push(name.as_ref()));
        self.duration_us.push(u64::try_from(duration).unwrap_or_default());
        self.damage.push_opt(row.damage);
        self.community_id.push_opt(row.community_id.as_deref());
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        out.column(&mut self.record_id)?;
        out.column(&mut self.first_seen)?;
        out.column(&mut self.last_seen)?;
        out.constant(&self.sensor)?;
        out.column(&mut self.origin)?;
        out.column(&mut self.version)?;
        out.column(&mut self.xid)?;
        out.column(&mut self.client_addr)?;
        out.column(&mut self.client_port)?;
        out.column(&mut self.server_addr)?;
        out.column(&mut self.server_port)?;
        out.column(&mut self.relay_addr)?;
        out.column(&mut self.mac)?;
        out.column(&mut self.client_id)?;
        out.column(&mut self.host_name)?;
        out.column(&mut self.client_fqdn)?;
        out.column(&mut self.domain)?;
        out.column(&mut self.requested_addr)?;
        out.column(&mut self.assigned_addr)?;
        out.column(&mut self.lease_time)?;
        self.leases.write(out)?;
        out.column(&mut self.client_message)?;
        out.column(&mut self.server_message)?;
        out.column(&mut self.vendor_class)?;
        out.column(&mut self.param_list)?;
        out.repeated(&self.msg_types.0, &mut self.msg_types.1)?;
        self.msg_types.0.clear();
        out.column(&mut self.duration_us)?;
        out.column(&mut self.damage)?;
        out.column(&mut self.community_id)
    }
}

/// A column of leases.
#[derive(Default)]
struct Leases {
    lists: Repeats,
    address: Keyed<Address>,
    prefix_len: Coded<u8>,
    valid_s: Coded<u32>,
}

impl Leases {
    fn push(&mut self, leases: &[DhcpLease]) {
        self.lists.push(leases.len());
        for lease in leases {
            self.address.push(Address::from(lease.address));
            self.prefix_len.push(lease.prefix_len);
            self.valid_s.push(lease.valid_s);
        }
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        let Self { lists, address, prefix_len, valid_s } = self;
        out.repeated(lists, address)?;
        out.repeated(lists, prefix_len)?;
        out.repeated(lists, valid_s)?;
        lists.clear();
        Ok(())
    }
}
