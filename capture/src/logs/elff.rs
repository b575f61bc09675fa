//! W3C extended log format (www.w3.org/TR/WD-logfile) and Blue Coat's ELFF: columns by the `#Fields` line.

use std::net::IpAddr;

use super::row::{LogKind, LogRequest, LogRow};
use super::text::{date_time, epoch, given, words};
use crate::Nanos;

/// What the `#` lines said.
#[derive(Clone, Debug)]
pub(super) struct Header {
    fields: Vec<String>,
    date: String,
    kind: LogKind,
}

impl Default for Header {
    fn default() -> Self {
        Self { fields: Vec::new(), date: String::new(), kind: LogKind::W3c }
    }
}

impl Header {
    /// Reads a `#` line.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once(':')) else { return false };
        match name.trim().to_ascii_lowercase().as_str() {
            "software" if value.contains("SGOS") || value.contains("Blue Coat") => self.kind = LogKind::BlueCoat,
            "date" => self.date = value.split_whitespace().next().unwrap_or_default().to_owned(),
            "fields" => {
                self.fields = value.split_whitespace().map(|field| field.to_ascii_lowercase()).collect();
                if self
                    .fields
                    .iter()
                    .any(|field| matches!(field.as_str(), "s-action" | "sc-filter-result" | "cs-categories"))
                {
                    self.kind = LogKind::BlueCoat;
                }
            }
            _ => {}
        }
        true
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Reads a row. Blanks that are doubled are an empty column where the number of columns is right with them. A column more than
    /// the header says is the user agent after the referer, which some SGOS write and leave out of their header.
    pub(super) fn row(&self, line: &str) -> Result<LogRow, &'static str> {
        let count = self.fields.len();
        let (loose, tight) = (words(line, true), words(line, false));
        let agent = self.fields.iter().position(|name| name == "cs(referer)").map(|at| at + 1);
        let agent = agent.filter(|_| !self.fields.iter().any(|name| name == "cs(user-agent)"));
        for values in [&loose, &tight] {
            if values.len() == count {
                let columns = Columns { names: &self.fields, values };
                return self.request(&columns, None).map(|row| LogRow::Request(Box::new(row)));
            }
        }
        if let (Some(at), true) = (agent, tight.len() == count + 1) {
            let mut values = tight;
            let agent = values.remove(at);
            let columns = Columns { names: &self.fields, values: &values };
            return self.request(&columns, given(&agent)).map(|row| LogRow::Request(Box::new(row)));
        }
        Err(if tight.len() < count { "too few columns" } else { "too many columns" })
    }

    fn request(&self, columns: &Columns<'_>, extra: Option<&str>) -> Result<LogRequest, &'static str> {
        let get = |names: &[&str]| names.iter().find_map(|name| columns.get(name));
        let text = |names: &[&str]| get(names).map(str::to_owned);
        let first = self.time(columns).ok_or("no time")?;
        let client = get(&["c-ip", "c-ip-address", "x-client-address", "cs-ip"]).ok_or("no client")?;
        let client: IpAddr = client.parse().map_err(|_| "the client is no address")?;
        let mut row = LogRequest::new(self.kind, first, client);
        row.client_port = get(&["c-port"]).and_then(|port| port.parse().ok());
        row.method = text(&["cs-method"]).unwrap_or_default();
        row.host = text(&["cs-host", "cs(host)", "s-dns"]).unwrap_or_default();
        row.scheme = text(&["cs-uri-scheme"]).unwrap_or_else(|| "http".into()).to_ascii_lowercase();
        row.server_ip = get(&["s-ip", "s-supplier-ip", "r-ip"]).and_then(|ip| ip.parse().ok());
        row.server_port = get(&["cs-uri-port", "s-port", "r-port"]).and_then(|port| port.parse().ok());
        let names_hosts = ["cs-host", "cs(host)", "s-dns"].iter().any(|name| columns.has(name));
        if !names_hosts && self.kind == LogKind::W3c {
            // A web server's log (IIS) has the server's address alone; a proxy's `s-ip` is the proxy.
            row.host = row.server_ip.map_or_else(String::new, |ip| match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        match get(&["cs-uri", "cs-url"]).filter(|_| !columns.has("cs-uri-path") && !columns.has("cs-uri-stem")) {
            Some(uri) => row.set_uri(uri),
            None => {
                row.set_path(get(&["cs-uri-path", "cs-uri-stem"]).unwrap_or_default());
                row.uri_query = text(&["cs-uri-query"]).or(row.uri_query.take());
                row.uri_extension = text(&["cs-uri-extension"]).or(row.uri_extension.take());
                row.compose_uri();
            }
        }
        // IIS writes + for a blank.
        let agent = |agent: String| if agent.contains(' ') { agent } else { agent.replace('+', " ") };
        row.user_agent = text(&["cs(user-agent)"]).or_else(|| extra.map(str::to_owned)).map(agent);
        row.referer = text(&["cs(referer)", "cs(referrer)"]);
        row.content_type = text(&["rs(content-type)", "sc(content-type)"]);
        row.status = get(&["sc-status"]).and_then(|status| status.parse().ok());
        row.username = text(&["cs-username", "cs-user"]);
        row.auth_group = text(&["cs-auth-group"]);
        row.category = text(&["cs-categories", "sc-filter-category", "cs-category", "cs-uri-categories"]);
        row.action = text(&["s-action", "sc-action"]);
        row.filter_result = text(&["sc-filter-result"]);
        row.exception_id = text(&["x-exception-id"]);
        row.virus_id = text(&["x-virus-id"]);
        row.app_name = text(&["x-bluecoat-application-name"]);
        row.app_operation = text(&["x-bluecoat-application-operation"]);
        // Milliseconds, with Blue Coat and with IIS.
        row.duration_us =
            get(&["time-taken"]).and_then(|ms| ms.parse::<u64>().ok()).and_then(|ms| ms.checked_mul(1_000));
        row.request_bytes = get(&["cs-bytes"]).and_then(|bytes| bytes.parse().ok());
        row.response_bytes = get(&["sc-bytes"]).and_then(|bytes| bytes.parse().ok());
        Ok(row)
    }

    fn time(&self, columns: &Columns<'_>) -> Option<Nanos> {
        if let Some(stamp) = columns.get("x-timestamp-unix").or_else(|| columns.get("timestamp")) {
            return epoch(stamp);
        }
        let date = columns.get("date").unwrap_or(&self.date);
        date_time(date, columns.get("time")?)
    }
}

struct Columns<'a> {
    names: &'a [String],
    values: &'a [String],
}

impl Columns<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|known| known == name)?;
        given(self.values.get(at)?)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}
