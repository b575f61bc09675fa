//! What context says of the kept rows: the enrichment columns of `scores`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use aggregator::lake::{Day, Lake};
use aggregator::record::Micros;
use arrow::array::{Array, ArrayRef, BooleanArray, Int8Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use hashbrown::HashSet;

use super::{ScoreError, parts};
use crate::context::{Context, NameSource, Names, Reputation};
use crate::detect::rows::Internal;

/// Where the context of a run's rows comes from.
pub(super) struct Enrichment<'a> {
    pub(super) lake: &'a Lake,
    /// The days whose DNS answers name addresses, and up to which leases do; none: no names.
    pub(super) names: &'a [Day],
    pub(super) internal: &'a Internal,
    pub(super) context: &'a Context,
}

/// What is known of a row.
#[derive(Default)]
struct Known {
    internal: [Option<bool>; 2],
    geo: [Option<String>; 2],
    name: [Option<(String, NameSource)>; 2],
    reputation: Option<(i8, String)>,
    network: Option<String>,
}

impl Enrichment<'_> {
    /// The columns, by name, of rows with the records' columns.
    pub(super) fn columns(&self, rows: &RecordBatch) -> Result<BTreeMap<&'static str, ArrayRef>, ScoreError> {
        let text = |name: &str| -> Option<&StringArray> { rows.column_by_name(name)?.as_any().downcast_ref() };
        let first_seen: &TimestampMicrosecondArray = parts::column(rows, "first_seen")?;
        let sides = [text("src_ip").or_else(|| text("client_ip")), text("dst_ip").or_else(|| text("server_ip"))];
        let cell = |column: Option<&'_ StringArray>, row: usize| -> Option<String> {
            column.filter(|column| !column.is_null(row)).map(|column| column.value(row).to_owned())
        };
        let address =
            |side: usize, row: usize| -> Option<IpAddr> { cell(sides.get(side).copied().flatten(), row)?.parse().ok() };
        let wanted: HashSet<IpAddr> =
            (0..rows.num_rows()).flat_map(|row| [address(0, row), address(1, row)]).flatten().collect();
        let names = Names::collect(self.lake, self.names, &wanted)?;
        let known: Vec<Known> = (0..rows.num_rows())
            .map(|row| {
                let at = first_seen.value(row);
                let ips = [address(0, row), address(1, row)];
                let name = cell(text("qname").or_else(|| text("host")), row);
                self.known(at, ips, name.as_deref(), cell(text("full_uri"), row).as_deref(), &names)
            })
            .collect();
        Ok(columns(&known))
    }

    fn known(&self, at: i64, ips: [Option<IpAddr>; 2], name: Option<&str>, uri: Option<&str>, names: &Names) -> Known {
        let Self { internal, context, .. } = self;
        let now = Micros(at);
        let said: [Option<&Reputation>; 4] = [
            uri.and_then(|uri| context.of_uri(uri, now)),
            name.and_then(|name| context.of_name(name, now)),
            ips[1].and_then(|ip| context.of_address(ip, now)),
            ips[0].and_then(|ip| context.of_address(ip, now)),
        ];
        // The worst that is said; of the same, what is said of the most particular.
        let worst = said.into_iter().flatten().rev().max_by_key(|said| said.level);
        Known {
            internal: ips.map(|ip| ip.map(|ip| internal.holds(ip) || context.internal(ip).is_some())),
            geo: ips.map(|ip| ip.and_then(|ip| context.geo(ip)).map(|geo| geo.text()).filter(|text| !text.is_empty())),
            name: ips
                .map(|ip| ip.and_then(|ip| names.of(ip, at, ips[0])).map(|(name, source)| (name.to_owned(), source))),
            reputation: worst.map(|said| (said.level, said.source.clone())),
            network: ips.into_iter().flatten().find_map(|ip| context.network(ip)).map(str::to_owned),
        }
    }
}

fn columns(known: &[Known]) -> BTreeMap<&'static str, ArrayRef> {
    let texts =
        |of: &dyn Fn(&Known) -> Option<&str>| -> ArrayRef { Arc::new(known.iter().map(of).collect::<StringArray>()) };
    let flags = |side: usize| -> ArrayRef {
        Arc::new(known.iter().map(|row| row.internal.get(side).copied().flatten()).collect::<BooleanArray>())
    };
    fn named(row: &Known, side: usize) -> Option<&(String, NameSource)> {
        row.name.get(side)?.as_ref()
    }
    let name = |side| texts(&|row| named(row, side).map(|(name, _)| name.as_str()));
    let name_source = |side| texts(&|row| named(row, side).map(|(_, source)| source.as_str()));
    let levels: Int8Array = known.iter().map(|row| row.reputation.as_ref().map(|(level, _)| *level)).collect();
    BTreeMap::from([
        ("src_internal", flags(0)),
        ("dst_internal", flags(1)),
        ("src_geo", texts(&|row| row.geo[0].as_deref())),
        ("dst_geo", texts(&|row| row.geo[1].as_deref())),
        ("src_name", name(0)),
        ("dst_name", name(1)),
        ("src_name_source", name_source(0)),
        ("dst_name_source", name_source(1)),
        ("reputation", Arc::new(levels) as ArrayRef),
        ("reputation_source", texts(&|row| row.reputation.as_ref().map(|(_, source)| source.as_str()))),
        ("network_context", texts(&|row| row.network.as_deref())),
    ])
}
