//! Labels: what was injected, and how its records are recognised.
//!
//! One line of JSON per incident. An evaluation needs nothing but the label file and the lake: each label carries
//! selectors, which are plain conditions on columns.

use std::io::{self, Write};
use std::net::IpAddr;

use aggregator::record::{DnsRecord, FlowRecord, ProxyRecord};
use serde::{Deserialize, Serialize};

use super::config::{Attack, Intensity};

/// A table of the lake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Flow records.
    Flow,
    /// DNS transactions.
    Dns,
    /// HTTP requests and TLS ClientHellos.
    Proxy,
}

/// One injected incident.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Label {
    /// Unique in the file: kind and number.
    pub id: String,
    /// What was done.
    pub kind: Attack,
    /// How loud.
    pub intensity: Intensity,
    /// First packet, microseconds since the epoch, UTC.
    pub first: i64,
    /// Last packet, likewise.
    pub last: i64,
    /// Who did it.
    pub clients: Vec<IpAddr>,
    /// To whom; the largest scans list every target.
    pub servers: Vec<IpAddr>,
    /// Server ports.
    pub ports: Vec<u16>,
    /// Domain names.
    pub names: Vec<String>,
    /// In words.
    pub description: String,
    /// Where rates and sizes come from.
    pub basis: String,
    /// Its records: a row belongs to the incident if any selector takes it.
    pub records: Vec<Selector>,
}

/// Conditions on the rows of one table; all that are not empty must hold, and the row must begin between the label's
/// `first` and `last`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Selector {
    /// Which table.
    pub table: Option<Source>,
    /// `src_ip`, or `client_ip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client: Vec<IpAddr>,
    /// `dst_ip`, or `server_ip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<IpAddr>,
    /// `dst_port`, or `server_port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_port: Vec<u16>,
    /// `proto` of a flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// `qname` or `host` is this or ends in a dot and this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_under: Vec<String>,
    /// `user_agent` of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Selector {
    /// Rows of a table with no condition yet.
    pub(crate) fn of(table: Source) -> Self {
        Self { table: Some(table), ..Self::default() }
    }

    fn takes(&self, table: Source, row: &Row<'_>) -> bool {
        let any = |list: &[IpAddr], value: Option<IpAddr>| list.is_empty() || value.is_some_and(|v| list.contains(&v));
        let under = |name: &str| {
            self.name_under
                .iter()
                .any(|n| name == n || name.strip_suffix(n.as_str()).is_some_and(|head| head.ends_with('.')))
        };
        self.table == Some(table)
            && any(&self.client, row.client)
            && any(&self.server, row.server)
            && (self.server_port.is_empty() || row.port.is_some_and(|p| self.server_port.contains(&p)))
            && (self.proto.is_none() || self.proto == row.proto)
            && (self.name_under.is_empty() || row.name.is_some_and(under))
            && (self.user_agent.is_none() || self.user_agent.as_deref() == row.user_agent)
    }

    /// The condition in SQL over the lake's columns.
    fn sql(&self) -> String {
        let (client, server, port, name) = match self.table {
            Some(Source::Flow) | None => ("src_ip", "dst_ip", "dst_port", "service"),
            Some(Source::Dns) => ("client_ip", "server_ip", "server_port", "qname"),
            Some(Source::Proxy) => ("client_ip", "server_ip", "server_port", "host"),
        };
        let mut all = Vec::new();
        let list = |column: &str, values: Vec<String>| format!("{column} IN ({})", values.join(", "));
        let quoted = |text: String| format!("'{}'", text.replace('\'', "''"));
        for (column, addresses) in [(client, &self.client), (server, &self.server)] {
            if !addresses.is_empty() {
                all.push(list(column, addresses.iter().map(|a| quoted(a.to_string())).collect()));
            }
        }
        if !self.server_port.is_empty() {
            all.push(list(port, self.server_port.iter().map(u16::to_string).collect()));
        }
        if let Some(proto) = self.proto {
            all.push(format!("proto = {proto}"));
        }
        if !self.name_under.is_empty() {
            // One pattern: a chain of conditions for hundreds of generated names is more than a planner likes.
            let names: Vec<String> = self.name_under.iter().map(|n| n.replace('.', "\\.")).collect();
            all.push(format!("regexp_like({name}, {})", quoted(format!("(^|\\.)({})$", names.join("|")))));
        }
        if let Some(agent) = &self.user_agent {
            all.push(format!("user_agent = {}", quoted(agent.clone())));
        }
        if all.is_empty() { "TRUE".to_owned() } else { all.join(" AND ") }
    }
}

/// What selectors look at.
struct Row<'a> {
    first: i64,
    client: Option<IpAddr>,
    server: Option<IpAddr>,
    port: Option<u16>,
    proto: Option<u8>,
    name: Option<&'a str>,
    user_agent: Option<&'a str>,
}

impl Label {
    fn takes(&self, table: Source, row: &Row<'_>) -> bool {
        (self.first..=self.last).contains(&row.first) && self.records.iter().any(|s| s.takes(table, row))
    }

    /// Whether a flow record belongs to the incident.
    pub fn takes_flow(&self, r: &FlowRecord) -> bool {
        let row = Row {
            first: r.first_seen.0,
            client: Some(r.src_ip.to_ip_addr(r.version)),
            server: Some(r.dst_ip.to_ip_addr(r.version)),
            port: Some(r.dst_port),
            proto: Some(r.proto),
            name: None,
            user_agent: None,
        };
        self.takes(Source::Flow, &row)
    }

    /// Whether a DNS row belongs to the incident.
    pub fn takes_dns(&self, r: &DnsRecord) -> bool {
        let row = Row {
            first: r.first_seen.0,
            client: Some(r.client_ip.to_ip_addr(r.version)),
            server: Some(r.server_ip.to_ip_addr(r.version)),
            port: Some(r.server_port),
            proto: None,
            name: Some(&r.qname),
            user_agent: None,
        };
        self.takes(Source::Dns, &row)
    }

    /// Whether a request belongs to the incident.
    pub fn takes_proxy(&self, r: &ProxyRecord) -> bool {
        let row = Row {
            first: r.first_seen.0,
            client: Some(r.client_ip),
            server: r.server_ip,
            port: r.server_port,
            proto: None,
            name: Some(&r.host),
            user_agent: r.user_agent.as_deref(),
        };
        self.takes(Source::Proxy, &row)
    }

    /// The same as a condition for `WHERE` over the lake's table; `None` where the incident has no rows in it.
    pub fn sql(&self, table: Source) -> Option<String> {
        let any: Vec<String> =
            self.records.iter().filter(|s| s.table == Some(table)).map(|s| format!("({})", s.sql())).collect();
        (!any.is_empty()).then(|| {
            format!(
                "first_seen BETWEEN to_timestamp_micros({}) AND to_timestamp_micros({}) AND ({})",
                self.first,
                self.last,
                any.join(" OR ")
            )
        })
    }
}

/// Writes labels as JSON Lines.
///
/// # Errors
/// Those of the writer.
pub fn write_labels(labels: &[Label], out: &mut impl Write) -> io::Result<()> {
    for label in labels {
        serde_json::to_writer(&mut *out, label)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Reads a label file.
///
/// # Errors
/// The reader's, or the line that is not a label.
pub fn read_labels(input: impl io::BufRead) -> io::Result<Vec<Label>> {
    let mut labels = Vec::new();
    for (i, line) in input.lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            let label = serde_json::from_str(&line)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {e}", i + 1)))?;
            labels.push(label);
        }
    }
    Ok(labels)
}

/// An incident in the making; its times come from its packets.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) label: Label,
}

impl Incident {
    /// A packet of it passed, nanoseconds since the epoch.
    pub(crate) fn see(&mut self, ts: i64) {
        let micros = ts.div_euclid(1000);
        self.label.first = self.label.first.min(micros);
        self.label.last = self.label.last.max(micros);
    }

    /// Packets of it passed.
    pub(crate) fn happened(&self) -> bool {
        self.label.first <= self.label.last
    }
}
