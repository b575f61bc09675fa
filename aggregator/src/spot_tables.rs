//! Apache Spot's raw tables, Hive's Parquet in folders `y=/m=/d=/h=`, as rows of an import: `flow`, `dns` and `proxy` of Spot 1.0.
//!
//! A file is told by its columns. Times are those of `unix_tstamp` where the table has it, else the text, as UTC. What Spot did not keep
//! (DNS ports and ids, microseconds) is not observed. Strings may be written without a character set, as Impala does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use capture::logs::{LogAnswer, LogConnection, LogDns, LogKind, LogRequest, LogRow};
use capture::{AddressPair, DnsTransport, Ip, Nanos};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::exported_import::LogReading;
use crate::exported_logs::LogRecords;
use crate::icmp::{ICMP, ICMPV6};
use crate::lake::{Lake, LakeError, SetWriter};
use crate::quarantine::Quarantine;
use crate::record::Records;

/// Rows read at once.
const ROWS: usize = 1_024;

/// Which table a file is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpotTable {
    Flow,
    Dns,
    Proxy,
}

impl SpotTable {
    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
        }
    }

    /// By the names of the columns. Tables with scores hold a choice of the same rows, and are none.
    fn of(has: impl Fn(&str) -> bool) -> Option<Self> {
        let all = |names: &[&str]| names.iter().all(|name| has(name));
        match () {
            () if has("ml_score") => None,
            () if all(&["treceived", "sip", "dip", "sport", "dport", "proto", "ipkt", "ibyt"]) => Some(Self::Flow),
            () if all(&["ip_dst", "ip_src", "dns_qry_name", "dns_qry_type", "frame_len", "unix_tstamp", "dns_a"])
                && !has("dns_qry_type_name") =>
            {
                Some(Self::Dns)
            }
            () if all(&["p_date", "p_time", "clientip", "host", "fulluri", "reqmethod"]) => Some(Self::Proxy),
            () => None,
        }
    }
}

/// A file of one of them.
pub(crate) struct SpotFile {
    table: SpotTable,
    rows: u64,
    reader: ParquetRecordBatchReader,
}

/// Whether a file is Parquet.
pub(crate) fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"PAR1"
}

impl SpotFile {
    /// Opens a Parquet file; the reason where it is damaged, or none of the tables.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let file = File::open(path).map_err(|e| format!("{at}: cannot be read: {e}"))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| format!("{at}: {e}"))?;
        let schema = builder.schema();
        let table = SpotTable::of(|name| schema.column_with_name(name).is_some()).ok_or_else(|| {
            let names: Vec<&str> = schema.fields().iter().take(8).map(|field| field.name().as_str()).collect();
            format!(
                "{at}: Parquet, but none of Apache Spot's tables flow, dns and proxy: its columns begin {}",
                names.join(", ")
            )
        })?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = builder.with_batch_size(ROWS).build().map_err(|e| format!("{at}: {e}"))?;
        Ok(Self { table, rows, reader })
    }

    /// Which table it is of.
    pub(crate) const fn table(&self) -> SpotTable {
        self.table
    }

    /// Rows, by its footer.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }
}

/// Reads a file into a set; `None` where the interrupt came first. Counters and quarantine as those of logs, rows for lines.
pub(crate) fn read(
    lake: &Lake,
    file: SpotFile,
    sensor: &str,
    content: &str,
    writer: &mut SetWriter,
    interrupt: &AtomicBool,
) -> Result<Option<LogReading>, LakeError> {
    let SpotFile { table, rows: expected, reader } = file;
    let (mut made, mut records) = (LogRecords::new(sensor), Records::default());
    let (mut first, mut last, mut error) = (None::<Nanos>, None::<Nanos>, None);
    let (mut stored, mut seen, mut reasons) = (0_u64, 0_u64, BTreeMap::<&'static str, u64>::new());
    let mut quarantine = Quarantine::new(lake, content);
    for batch in reader {
        // Relaxed: a flag that orders nothing.
        if interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = match batch {
            Ok(batch) => batch,
            Err(found) => {
                error = Some(format!("after row {seen} of {expected}: {found}"));
                break;
            }
        };
        let columns = Columns::new(&batch);
        for at in 0..batch.num_rows() {
            seen += 1;
            let row = Row { columns: &columns, at };
            let read = match table {
                SpotTable::Flow => flow(row),
                SpotTable::Dns => dns(row),
                SpotTable::Proxy => proxy(row),
            };
            match read {
                Ok((ts, log)) => {
                    first = Some(first.map_or(ts, |first| first.min(ts)));
                    last = Some(last.map_or(ts, |last| last.max(ts)));
                    made.add(log, &mut records);
                    if let (SpotTable::Dns, Some(record)) = (table, records.dns.last_mut()) {
                        record.response_frame_len = row.number("frame_len").and_then(|len| u32::try_from(len).ok());
                    }
                    stored += 1;
                }
                Err(reason) => {
                    *reasons.entry(reason).or_default() += 1;
                    quarantine.add("row", seen, reason, &row.text_of_all())?;
                }
            }
        }
        writer.drain_records(&mut records)?;
    }
    let refused: u64 = reasons.values().sum();
    let cut = quarantine.finish()?;
    let mut counters = vec![
        ("rows.seen".to_owned(), seen),
        ("rows.stored".to_owned(), stored),
        ("rows.quarantined".to_owned(), refused),
    ];
    let by_reason = |(reason, count): (&&str, &u64)| (format!("rows.quarantined.{}", reason.replace(' ', "_")), *count);
    counters.extend(reasons.iter().map(by_reason));
    if cut > 0 {
        counters.push(("quarantine.cut".to_owned(), cut));
    }
    let mut imbalances = Vec::new();
    if error.is_none() && seen != expected {
        imbalances.push(format!("rows.seen = rows of the footer: {seen} on the left, {expected} on the right"));
    }
    Ok(Some(LogReading { rows: seen, first, last, error, counters, imbalances }))
}

/// The columns of a batch as text, whole numbers and fractions, whatever their width.
struct Columns(BTreeMap<String, ArrayRef>);

impl Columns {
    fn new(batch: &RecordBatch) -> Self {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).filter_map(|(field, column)| {
            let to = match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
                DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
                kind if kind.is_integer() => DataType::Int64,
                _ => return None,
            };
            Some((field.name().clone(), cast(column, &to).ok()?))
        });
        Self(columns.collect())
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    columns: &'a Columns,
    at: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.columns.0.get(name).filter(|column| !column.is_null(self.at))
    }

    /// Text without blanks around; empty and `-` are none.
    fn text(&self, name: &str) -> Option<String> {
        let column = self.column(name)?;
        let text = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(self.at).to_owned(),
            DataType::Binary => String::from_utf8_lossy(column.as_binary::<i32>().value(self.at)).into_owned(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(self.at).to_string(),
            DataType::Float64 => column.as_primitive::<Float64Type>().value(self.at).to_string(),
            _ => return None,
        };
        // Spot's proxy splitter kept the quotes around values.
        let text = text.trim().trim_matches('"').trim();
        (!matches!(text, "" | "-")).then(|| text.to_owned())
    }

    /// A whole number that is not negative; text is read, too.
    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn narrow<T: TryFrom<u64>>(&self, name: &str) -> Option<T> {
        T::try_from(self.number(name)?).ok()
    }

    fn ip(&self, name: &str) -> Option<IpAddr> {
        self.text(name)?.parse().ok()
    }

    /// Seconds of the column, else a moment written as text.
    fn time(&self, seconds: &str, written: Option<String>) -> Option<Nanos> {
        let epoch = self.number(seconds).and_then(|seconds| i64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let epoch = epoch.and_then(|seconds| seconds.checked_mul(1_000_000_000)).map(Nanos);
        epoch.or_else(|| {
            let text = written?;
            let time = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            time.and_utc().timestamp_nanos_opt().map(Nanos)
        })
    }

    fn text_of_all(&self) -> String {
        let all: serde_json::Map<String, serde_json::Value> = self
            .columns
            .0
            .keys()
            .filter_map(|name| Some((name.clone(), serde_json::Value::String(self.text(name)?))))
            .collect();
        serde_json::Value::Object(all).to_string().chars().take(4_096).collect()
    }
}

type Read = Result<(Nanos, LogRow), &'static str>;

fn protocol(text: &str) -> Option<u8> {
    Some(match text.to_ascii_uppercase().as_str() {
        "ICMP" => 1,
        "IGMP" => 2,
        "IPIP" => 4,
        "TCP" => 6,
        "UDP" => 17,
        "IPV6" => 41,
        "RSVP" => 46,
        "GRE" => 47,
        "ESP" => 50,
        "AH" => 51,
        "ICMP6" | "ICMPV6" | "IPV6-ICMP" => 58,
        "EIGRP" => 88,
        "OSPF" => 89,
        "PIM" => 103,
        "VRRP" => 112,
        "SCTP" => 132,
        other => return other.parse().ok(),
    })
}

/// nfdump's letters, `.AP.SF`.
fn tcp_flags(text: &str) -> u8 {
    let bit = |letter| match letter {
        'C' => 0x80,
        'E' => 0x40,
        'U' => 0x20,
        'A' => 0x10,
        'P' => 0x08,
        'R' => 0x04,
        'S' => 0x02,
        'F' => 0x01,
        _ => 0,
    };
    text.chars().fold(0, |flags, letter| flags | bit(letter))
}

fn flow(row: Row<'_>) -> Read {
    let first = row.time("unix_tstamp", row.text("treceived")).ok_or("no time")?;
    let (src, version) = row.ip("sip").map(Ip::from_ip_addr).ok_or("no source")?;
    let (dst, other) = row.ip("dip").map(Ip::from_ip_addr).ok_or("no destination")?;
    if version != other {
        return Err("addresses of two versions");
    }
    let proto = row.text("proto").as_deref().and_then(protocol).ok_or("no protocol")?;
    let (src_port, dst_port) = (row.narrow::<u16>("sport").unwrap_or(0), row.narrow::<u16>("dport").unwrap_or(0));
    // nfdump shows type · 256 + code as the destination's port.
    let (src_port, dst_port) = match proto {
        ICMP | ICMPV6 => (dst_port >> 8, dst_port & 0xff),
        _ => (src_port, dst_port),
    };
    let seconds = row.column("tdur").and_then(|column| match column.data_type() {
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row.at)),
        _ => None,
    });
    let duration = seconds.filter(|s| (0.0..1e9).contains(s)).map_or(0, |s| (s * 1e9).round() as i64);
    let back = (row.number("opkt").unwrap_or(0), row.number("obyt").unwrap_or(0));
    let pair = AddressPair { src, dst, src_port, dst_port, proto, version };
    let flags = row.text("flag").map(|text| tcp_flags(&text)).filter(|_| proto == 6);
    Ok((
        first,
        LogRow::Connection(Box::new(LogConnection {
            src_packets: row.number("ipkt").ok_or("no packets")?,
            src_bytes: row.number("ibyt").ok_or("no bytes")?,
            dst: (back != (0, 0)).then_some(back),
            tcp_flags: flags,
            tos: row.narrow("stos"),
            exporter: row.ip("rip"),
            input_if: row.narrow("input"),
            output_if: row.narrow("output"),
            src_as: row.narrow("sas"),
            dst_as: row.narrow("das"),
            ..LogConnection::new(LogKind::Spot, first, Nanos(first.0.saturating_add(duration)), pair)
        })),
    ))
}

fn dns(row: Row<'_>) -> Read {
    let first = row.time("unix_tstamp", None).ok_or("no time")?;
    // Spot kept answers: they go to the client.
    let (client, version) = row.ip("ip_dst").map(Ip::from_ip_addr).ok_or("no client")?;
    let (server, other) = row.ip("ip_src").map(Ip::from_ip_addr).ok_or("no server")?;
    if version != other {
        return Err("addresses of two versions");
    }
    let query = row.text("dns_qry_name").filter(|name| name != "(empty)").ok_or("no name")?;
    let class = row.text("dns_qry_class").unwrap_or_default();
    let qclass = match class.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits.trim_start_matches('0'), 16).ok(),
        None => class.parse().ok(),
    };
    let answers = row.text("dns_a").unwrap_or_default();
    let answers = answers.split([',', '|', ';']).filter(|data| data.parse::<IpAddr>().is_ok());
    Ok((
        first,
        LogRow::Dns(Box::new(LogDns {
            kind: LogKind::Spot,
            first,
            rtt: None,
            pair: AddressPair { src: client, dst: server, src_port: 0, dst_port: 53, proto: 17, version },
            transport: DnsTransport::Udp,
            id: 0,
            query,
            qtype: row.narrow("dns_qry_type").ok_or("no type")?,
            qclass: qclass.unwrap_or(1),
            rcode: row.narrow("dns_qry_rcode"),
            bits: [false; 4],
            answers: answers.map(|data| LogAnswer::new(data, 0)).collect(),
        })),
    ))
}

fn proxy(row: Row<'_>) -> Read {
    let written = row.text("p_date").zip(row.text("p_time")).map(|(date, time)| format!("{date} {time}"));
    let first = row.time("", written).ok_or("no time")?;
    let client = row.ip("clientip").ok_or("no client")?;
    let mut request = LogRequest::new(LogKind::Spot, first, client);
    request.method = row.text("reqmethod").unwrap_or_default();
    request.host = row.text("host").ok_or("no host")?;
    request.scheme = row.text("urischeme").unwrap_or_else(|| "http".to_owned()).to_ascii_lowercase();
    request.server_port = row.narrow("uriport");
    request.server_ip = row.ip("serverip");
    request.uri_path = row.text("uripath").unwrap_or_default();
    request.uri_query = row.text("uriquery");
    request.uri_extension = row.text("uriextension");
    request.full_uri = match row.text("fulluri").ok_or("no URI")? {
        uri if uri.contains("://") || request.scheme == "tcp" => uri,
        uri => format!("{}://{uri}", request.scheme),
    };
    request.user_agent = row.text("useragent");
    request.referer = row.text("referer");
    request.content_type = row.text("resconttype");
    request.status = row.narrow("respcode");
    request.username = row.text("username");
    request.auth_group = row.text("authgroup");
    request.category = row.text("webcat");
    request.action = row.text("action");
    request.filter_result = row.text("filterresult");
    request.exception_id = row.text("exceptionid");
    request.virus_id = row.text("virusid");
    request.app_name = row.text("bcappname");
    request.app_operation = row.text("bcappoper");
    // Blue Coat's time-taken is milliseconds.
    request.duration_us = row.number("duration").map(|ms| ms.saturating_mul(1_000));
    request.request_bytes = row.number("csbytes");
    request.response_bytes = row.number("scbytes");
    Ok((first, LogRow::Request(Box::new(request))))
}

#[cfg(test)]
mod tests;
