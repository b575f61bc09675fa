//! The columns of `proxy`.

use parquet::errors::Result;

use super::{Address, Addresses, Columns, Few, GroupWriter, Ids, LongText, Numbers, Text, Times, Words};
use crate::record::ProxyRecord;

/// See the [module](self).
#[derive(Default)]
pub(in crate::lake) struct ProxyColumns {
    record_id: Ids,
    first_seen: Times,
    last_seen: Times,
    sensor: String,
    origin: Words,
    client_ip: Addresses,
    client_port: Numbers<u16>,
    server_ip: Addresses,
    server_port: Few<u16>,
    scheme: Text,
    method: Text,
    host: Text,
    uri_path: Text,
    uri_query: Text,
    uri_extension: Text,
    full_uri: LongText,
    user_agent: Text,
    referer: Text,
    content_type: Text,
    status: Few<u16>,
    username: Text,
    auth_group: Text,
    category: Text,
    action: Text,
    filter_result: Text,
    exception_id: Text,
    virus_id: Text,
    app_name: Text,
    app_operation: Text,
    duration_us: Numbers<u64>,
    request_bytes: Numbers<u64>,
    response_bytes: Numbers<u64>,
    tls_version: Text,
    tls_sni: Text,
    tls_alpn: Text,
    ja4: Text,
    community_id: Text,
}

impl Columns<ProxyRecord> for ProxyColumns {
    fn new(sensor: &str) -> Self {
        Self { sensor: sensor.to_owned(), ..Self::default() }
    }

    fn push(&mut self, row: &ProxyRecord) {
        self.record_id.push(row.record_id.0);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.origin.push(row.origin);
        self.client_ip.push(Address::from(row.client_ip));
        self.client_port.push_opt(row.client_port);
        self.server_ip.push_opt(row.server_ip.map(Address::from));
        self.server_port.push_opt(row.server_port);
        self.scheme.push(row.scheme.as_str());
        self.method.push(row.method.as_str());
        self.host.push(row.host.as_str());
        self.uri_path.push(row.uri_path.as_str());
        self.uri_query.push_opt(row.uri_query.as_deref());
        self.uri_extension.push_opt(row.uri_extension.as_deref());
        self.full_uri.push(row.full_uri.as_str());
        self.user_agent.push_opt(row.user_agent.as_deref());
        self.referer.push_opt(row.referer.as_deref());
        self.content_type.push_opt(row.content_type.as_deref());
        self.status.push_opt(row.status);
        self.username.push_opt(row.username.as_deref());
        self.auth_group.push_opt(row.auth_group.as_deref());
        self.category.push_opt(row.category.as_deref());
        self.action.push_opt(row.action.as_deref());
        self.filter_result.push_opt(row.filter_result.as_deref());
        self.exception_id.push_opt(row.exception_id.as_deref());
        self.virus_id.push_opt(row.virus_id.as_deref());
        self.app_name.push_opt(row.app_name.as_deref());
        self.app_operation.push_opt(row.app_operation.as_deref());
        self.duration_us.push_opt(row.duration_us);
        self.request_bytes.push_opt(row.request_bytes);
        self.response_bytes.push_opt(row.response_bytes);
        self.tls_version.push_opt(row.tls_version.as_deref());
        self.tls_sni.push_opt(row.tls_sni.as_deref());
        self.tls_alpn.push_opt(row.tls_alpn.as_deref());
        self.ja4.push_opt(row.ja4.as_deref());
        self.community_id.push_opt(row.community_id.as_deref());
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
        out.column(&mut self.scheme)?;
        out.column(&mut self.method)?;
        out.column(&mut self.host)?;
        out.column(&mut self.uri_path)?;
        out.column(&mut self.uri_query)?;
        out.column(&mut self.uri_extension)?;
        out.column(&mut self.full_uri)?;
        out.column(&mut self.user_agent)?;
        out.column(&mut self.referer)?;
        out.column(&mut self.content_type)?;
        out.column(&mut self.status)?;
        out.column(&mut self.username)?;
        out.column(&mut self.auth_group)?;
        out.column(&mut self.category)?;
        out.column(&mut self.action)?;
        out.column(&mut self.filter_result)?;
        out.column(&mut self.exception_id)?;
        out.column(&mut self.virus_id)?;
        out.column(&mut self.app_name)?;
        out.column(&mut self.app_operation)?;
        out.column(&mut self.duration_us)?;
        out.column(&mut self.request_bytes)?;
        out.column(&mut self.response_bytes)?;
        out.column(&mut self.tls_version)?;
        out.column(&mut self.tls_sni)?;
        out.column(&mut self.tls_alpn)?;
        out.column(&mut self.ja4)?;
        out.column(&mut self.community_id)
    }
}
