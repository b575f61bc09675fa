//! The tables of Spot's operational analytics: what analysts scored is read, of the others it is said why not.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::feedback::exchange::Item;
use crate::feedback::{Matcher, Span};

/// A table of what analysts scored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the tables'")]
pub enum Threats {
    Flow,
    Dns,
    Proxy,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Threats(Threats),
    /// Known, and left.
    Other(&'static str),
    Unknown,
}

/// Tables that are left, by columns that only they have together; the first that fits.
const OTHERS: [(&str, &[&str]); 9] = [
    ("scores", &["ml_score"]),
    ("storyboard", &["title", "text"]),
    ("ingest_summary", &["tdate", "total"]),
    ("threat_dendro", &["anchor", "total"]),
    ("dns_dendro", &["dns_a", "dns_qry_name", "ip_dst"]),
    ("flow_chords", &["ip_threat", "srcip", "dstip", "ibyt"]),
    ("timeline", &["tstart", "tend"]),
    ("edge", &["hh", "srcip", "dstip"]),
    ("edge", &["hh", "clientip", "fulluri"]),
];

/// What there is instead of a table.
pub(super) fn why_left(table: &str) -> &'static str {
    match table {
        "scores" => {
            "Spotter scores anew (`spotter score`); `spotter score --import` lays Spot's results beside its own"
        }
        "storyboard" => "a story holds records and comments: write it anew from the records, on the Stories page",
        "ingest_summary" => "the ledger has it, and more",
        _ => "it is computed when it is looked at",
    }
}

/// Which table a Parquet file is of, and its rows.
pub(super) fn of(path: &Path) -> Result<(Table, u64), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let schema = builder.schema();
    let has = |names: &[&str]| names.iter().all(|name| schema.column_with_name(name).is_some());
    let threats = [
        (Threats::Flow, &["tstart", "srcip", "dstip", "dstport", "score"][..]),
        (Threats::Dns, &["ip_dst", "dns_qry_name", "ip_sev", "dns_sev"][..]),
        (Threats::Proxy, &["tdate", "fulluri", "uri_sev"][..]),
    ];
    let table = threats
        .into_iter()
        .find(|(_, names)| has(names))
        .map(|(threats, _)| Table::Threats(threats))
        .or_else(|| OTHERS.into_iter().find(|(_, names)| has(names)).map(|(name, _)| Table::Other(name)));
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    Ok((table.unwrap_or(Table::Unknown), rows))
}

impl Threats {
    /// The name of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow_threat_investigation",
            Self::Dns => "dns_threat_investigation",
            Self::Proxy => "proxy_threat_investigation",
        }
    }

    /// Its rows as verdicts. A row that rates nothing (severity 0) is none.
    pub(super) fn read(self, path: &Path) -> Result<Vec<Item>, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
        let mut items = Vec::new();
        for batch in builder.build().map_err(|e| e.to_string())? {
            let batch = batch.map_err(|e| e.to_string())?;
            for at in 0..batch.num_rows() {
                self.items(&Row { batch: &batch, at }, &mut items);
            }
        }
        Ok(items)
    }

    fn items(self, row: &Row<'_>, to: &mut Vec<Item>) {
        let mut add = |source: &str, severity: &str, matcher: Matcher, when: String| {
            let severity = row.text(severity).and_then(|text| text.parse::<i64>().ok()).filter(|s| (1..=3).contains(s));
            if let Some(severity) = severity {
                to.push(Item {
                    source: source.to_owned(),
                    severity,
                    matcher: Some(matcher),
                    author: Some("spot".to_owned()),
                    note: Some(format!("Apache Spot, {when}")),
                    ..Item::default()
                });
            }
        };
        let of = |name: &str| row.text(name).unwrap_or_default();
        match self {
            Self::Flow => {
                let port = row.text("dstport").and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0);
                let matcher = Matcher {
                    host: row.text("srcip"),
                    peer: row.text("dstip"),
                    port: port.map(|port| Span::of(port.into())),
                    ..Matcher::default()
                };
                add("flow", "score", matcher, of("tstart"));
            }
            Self::Dns => {
                let domain = Matcher { domain: row.text("dns_qry_name"), ..Matcher::default() };
                add("dns", "dns_sev", domain, of("unix_tstamp"));
                let host = Matcher { host: row.text("ip_dst"), ..Matcher::default() };
                add("dns", "ip_sev", host, of("unix_tstamp"));
            }
            Self::Proxy => {
                let matcher = Matcher { uri: row.text("fulluri"), ..Matcher::default() };
                add("proxy", "uri_sev", matcher, of("tdate"));
            }
        }
    }
}

struct Row<'a> {
    batch: &'a RecordBatch,
    at: usize,
}

impl Row<'_> {
    /// Text, also of numbers and of strings without a character set; empty is none.
    fn text(&self, name: &str) -> Option<String> {
        let column = self.batch.column_by_name(name)?.slice(self.at, 1);
        if column.is_null(0) {
            return None;
        }
        let text = match column.data_type() {
            DataType::Binary => String::from_utf8_lossy(column.as_binary_opt::<i32>()?.value(0)).into_owned(),
            _ => cast(&column, &DataType::Utf8).ok()?.as_string_opt::<i32>()?.value(0).to_owned(),
        };
        (!text.is_empty()).then_some(text)
    }
}
