//! The columns of `proxy`.

use arrow::array::RecordBatch;
use arrow::datatypes::{UInt16Type, UInt64Type};
use arrow::error::ArrowError;

use super::{Columns, Constant, Ids, Numbers, Text, Times};
use crate::lake::schema;
use crate::lake::text::push_ip_addr;
use crate::record::ProxyRecord;

/// Builders of the columns of `proxy`.
pub(in crate::lake) struct ProxyColumns {
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
    scheme: Text,
    method: Text,
    host: Text,
    uri_path: Text,
    uri_query: Text,
    uri_extension: Text,
    full_uri: Text,
    user_agent: Text,
    referer: Text,
    content_type: Text,
    status: Numbers<UInt16Type>,
    username: Text,
    auth_group: Text,
    category: Text,
    action: Text,
    filter_result: Text,
    exception_id: Text,
    virus_id: Text,
    app_name: Text,
    app_operation: Text,
    duration_us: Numbers<UInt64Type>,
    request_bytes: Numbers<UInt64Type>,
    response_bytes: Numbers<UInt64Type>,
    tls_version: Text,
    tls_sni: Text,
    tls_alpn: Text,
    ja4: Text,
    community_id: Text,
}

impl Columns<ProxyRecord> for ProxyColumns {
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
            scheme: Text::default(),
            method: Text::default(),
            host: Text::default(),
            uri_path: Text::default(),
            uri_query: Text::default(),
            uri_extension: Text::default(),
            full_uri: Text::default(),
            user_agent: Text::default(),
            referer: Text::default(),
            content_type: Text::default(),
            status: Numbers::default(),
            username: Text::default(),
            auth_group: Text::default(),
            category: Text::default(),
            action: Text::default(),
            filter_result: Text::default(),
            exception_id: Text::default(),
            virus_id: Text::default(),
            app_name: Text::default(),
            app_operation: Text::default(),
            duration_us: Numbers::default(),
            request_bytes: Numbers::default(),
            response_bytes: Numbers::default(),
            tls_version: Text::default(),
            tls_sni: Text::default(),
            tls_alpn: Text::default(),
            ja4: Text::default(),
            community_id: Text::default(),
        }
    }

    fn push(&mut self, row: &ProxyRecord) {
        self.record_id.push(row.record_id);
        self.first_seen.push(row.first_seen.0);
        self.last_seen.push(row.last_seen.0);
        self.origin.push(row.origin);
        self.client_ip.push_with(|out| push_ip_addr(out, row.client_ip));
        self.client_port.push_opt(row.client_port);
        match row.server_ip {
            Some(ip) => self.server_ip.push_with(|out| push_ip_addr(out, ip)),
            None => self.server_ip.push_null(),
        }
        self.server_port.push_opt(row.server_port);
        self.scheme.push(&row.scheme);
        self.method.push(&row.method);
        self.host.push(&row.host);
        self.uri_path.push(&row.uri_path);
        self.uri_query.push_opt(row.uri_query.as_deref());
        self.uri_extension.push_opt(row.uri_extension.as_deref());
        self.full_uri.push(&row.full_uri);
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
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        RecordBatch::try_new(
            schema::proxy(),
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
                self.scheme.finish()?,
                self.method.finish()?,
                self.host.finish()?,
                self.uri_path.finish()?,
                self.uri_query.finish()?,
                self.uri_extension.finish()?,
                self.full_uri.finish()?,
                self.user_agent.finish()?,
                self.referer.finish()?,
                self.content_type.finish()?,
                self.status.finish(),
                self.username.finish()?,
                self.auth_group.finish()?,
                self.category.finish()?,
                self.action.finish()?,
                self.filter_result.finish()?,
                self.exception_id.finish()?,
                self.virus_id.finish()?,
                self.app_name.finish()?,
                self.app_operation.finish()?,
                self.duration_us.finish(),
                self.request_bytes.finish(),
                self.response_bytes.finish(),
                self.tls_version.finish()?,
                self.tls_sni.finish()?,
                self.tls_alpn.finish()?,
                self.ja4.finish()?,
                self.community_id.finish()?,
            ],
        )
    }
}
