//! Results of another model in Apache Spot's layout (`<source>_results.csv`), found among a day's records: they stand beside ours, and weigh nothing
//! in the ranking.
//!
//! Such a file has no identities. A row is found by what it says of its record: second, ends, and the counters or the name; rows that say the same
//! are one. Moments are taken as UTC, as all of the lake's. The place in the other list is by score, ties in the order of the file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use aggregator::lake::{Day, Source};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use hashbrown::HashMap;

use crate::context::Rejected;
use crate::sql::{Engine, QueryError};

/// Bytes a file may have.
const MAX_BYTES: u64 = 512 << 20;
/// Rows that are taken of a file.
const MAX_ROWS: usize = 2_000_000;

/// Why a file of results is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct BesideError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
}

/// Another model's results of a day.
#[derive(Clone, PartialEq, Debug)]
pub struct Beside {
    /// The file's name without its ending.
    pub name: String,
    /// Kind of record.
    pub source: Source,
    /// Rows taken.
    pub rows: u64,
    /// Lines that are no such row.
    pub rejected: Rejected,
    places: HashMap<Box<str>, (u32, f64)>,
}

/// What of another model's results was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Place and score in the other list, by record.
    pub(super) by_record: HashMap<[u8; 16], (u32, f64)>,
    /// Different rows of the file that are records of the day.
    pub(super) rows: u64,
}

/// Columns of Spot's results, the score among them; a word stands before it for requests.
const fn columns(source: Source) -> usize {
    match source {
        Source::Flow => 18,
        Source::Dns => 9,
        Source::Proxy => 21,
    }
}

impl Beside {
    /// Reads a file: tabs or commas, with or without a header.
    ///
    /// # Errors
    /// It cannot be read, is past a bound, or has no such row at all.
    pub fn read(source: Source, path: &Path) -> Result<Self, BesideError> {
        let wrong = |why: String| BesideError { path: path.to_owned(), why };
        let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
        let size = file.metadata().map_err(|error| wrong(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(wrong(format!("{size} bytes, {MAX_BYTES} are allowed")));
        }
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let read = std::io::Read::take(file, MAX_BYTES);
        Self::of(source, name, std::io::BufReader::new(read)).map_err(wrong)
    }

    fn of(source: Source, name: String, mut file: impl std::io::BufRead) -> Result<Self, String> {
        let beginning = file.fill_buf().map_err(|error| error.to_string())?;
        let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // Spot's are of tabs, and quotes mean nothing there.
        let tabs = line.contains(&b'\t');
        let mut csv = csv::ReaderBuilder::new();
        csv.has_headers(false).flexible(true).delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs);
        let mut this = Self { name, source, rows: 0, rejected: Rejected::default(), places: HashMap::new() };
        let mut scored: Vec<(f64, Box<str>)> = Vec::new();
        for (record, number) in csv.from_reader(file).records().zip(1..) {
            let line = record.as_ref().ok().and_then(|record| record.position()).map_or(number, csv::Position::line);
            let row = record.map_err(|error| error.to_string()).and_then(|record| {
                let fields: Vec<&str> = record.iter().map(str::trim).collect();
                let is_header = number == 1 && fields.last().is_some_and(|last| last.eq_ignore_ascii_case("score"));
                if is_header { Ok(None) } else { row(source, &fields).map(Some) }
            });
            match row {
                Ok(None) => {}
                Ok(Some(_)) if scored.len() >= MAX_ROWS => return Err(format!("more than {MAX_ROWS} rows")),
                Ok(Some(row)) => scored.push(row),
                Err(why) => this.rejected.add(line, why),
            }
        }
        if scored.is_empty() {
            let why =
                this.rejected.first.first().map(|(line, why)| format!("; line {line}: {why}")).unwrap_or_default();
            let (source, columns) = (source.as_str(), columns(source));
            return Err(format!(
                "no row of Apache Spot's {source} results, which have {columns} columns parted by tabs{why}"
            ));
        }
        this.rows = scored.len() as u64;
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        for ((score, key), place) in scored.into_iter().zip(1..) {
            this.places.entry(key).or_insert((place, score));
        }
        Ok(this)
    }

    /// Finds the rows among the records of a day.
    pub(super) async fn find(&self, engine: &Engine, date: Day) -> Result<Found, QueryError> {
        let parts: &[&str] = match self.source {
            Source::Flow => &[
                "spot_time(first_seen)",
                "src_ip",
                "dst_ip",
                "src_port",
                "dst_port",
                "upper(proto_name(proto))",
                "src_packets",
                "src_bytes",
            ],
            Source::Dns => &["unix_seconds(last_seen)", "client_ip", "qname", "qtype", "rcode"],
            Source::Proxy => &[
                "spot_time(first_seen)",
                "client_ip",
                "method",
                "concat(host, CASE WHEN character_length(uri_path) > 1 THEN uri_path END, \
                 CASE WHEN character_length(uri_query) > 1 THEN uri_query END)",
            ],
        };
        let parts: Vec<String> = parts.iter().map(|part| format!("CAST({part} AS VARCHAR)")).collect();
        // What is null adds nothing between its bars.
        let key = parts.join(", '|', ");
        let sql = format!("SELECT record_id, concat({key}) AS said FROM {} WHERE date = $1", self.source.as_str());
        let mut answer = engine.sql_with(&sql, vec![date.to_string().into()]).await?;
        let mut found = Found::default();
        let mut seen: hashbrown::HashSet<u32> = hashbrown::HashSet::new();
        while let Some(batch) = answer.next().await? {
            let wrong = |error: arrow::error::ArrowError| QueryError::Run(error.to_string());
            let said = arrow::compute::cast(batch.column(1), &DataType::Utf8).map_err(wrong)?;
            let (ids, said) = (batch.column(0).as_fixed_size_binary(), said.as_string::<i32>());
            for at in (0..batch.num_rows()).filter(|at| !said.is_null(*at)) {
                if let (Some(place), Ok(id)) = (self.places.get(said.value(at)), ids.value(at).try_into()) {
                    found.by_record.insert(id, *place);
                    seen.insert(place.0);
                }
            }
        }
        found.rows = seen.len() as u64;
        Ok(found)
    }
}

/// Score and key of a row. The key is what the statement of [`Beside::find`] makes of a record.
fn row(source: Source, fields: &[&str]) -> Result<(f64, Box<str>), String> {
    if fields.len() != columns(source) {
        return Err(format!("{} columns, {} are expected", fields.len(), columns(source)));
    }
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let last = field(fields.len() - 1);
    let score = last.parse::<f64>().ok().filter(|score| score.is_finite());
    let score = score.ok_or_else(|| format!("{last:?} is no score"))?;
    let ip = |at| field(at).parse::<IpAddr>().map_err(|_| format!("{:?} is no address", field(at)));
    let number = |at| field(at).parse::<u64>().map_err(|_| format!("{:?} is no whole number", field(at)));
    let second = |text: &str| text.get(..19).unwrap_or(text).replace('T', " ");
    let key = match source {
        // treceived, tryear … trsec, tdur, sip (8), dip, sport, dport, proto, ipkt, ibyt, opkt, obyt
        Source::Flow => {
            let (time, proto) = (second(field(0)), field(12).to_uppercase());
            format!(
                "{time}|{}|{}|{}|{}|{proto}|{}|{}",
                ip(8)?,
                ip(9)?,
                number(10)?,
                number(11)?,
                number(13)?,
                number(14)?
            )
        }
        // frame_time, unix_tstamp, frame_len, ip_dst, dns_qry_name, dns_qry_class, dns_qry_type, dns_qry_rcode
        Source::Dns => {
            let name = field(4).to_lowercase();
            let name = if name == "." { &name } else { name.trim_end_matches('.') };
            format!("{}|{}|{name}|{}|{}", number(1)?, ip(3)?, number(6)?, field(7))
        }
        // p_date, p_time, clientip, host, reqmethod, … fulluri (18), word
        Source::Proxy => {
            let (time, uri) = (second(&format!("{} {}", field(0), field(1))), field(18));
            let uri = uri.split_once("://").map_or(uri, |(_, rest)| rest);
            format!("{time}|{}|{}|{uri}", ip(2)?, field(4))
        }
    };
    Ok((score, key.into_boxed_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const FLOW: &str =
        "2016-07-08 03:15:01\t2016\t7\t8\t3\t15\t1\t0.5\t10.0.0.1\t2001:DB8::1\t40001\t445\ttcp\t3\t120\t0\t0";

    fn read(source: Source, text: &str) -> Result<Beside, String> {
        Beside::of(source, "flow_results".into(), text.as_bytes())
    }

    #[test]
    fn places_are_by_score_and_bad_lines_are_told() {
        let other = FLOW.replace("40001", "40002");
        let text = format!("{FLOW}\t0.5\ncut\tline\n{other}\t1.0E-9\n{FLOW}\tNaN\n{FLOW}\t0.7\n");
        let beside = read(Source::Flow, &text).unwrap();
        let place =
            |port| beside.places[format!("2016-07-08 03:15:01|10.0.0.1|2001:db8::1|{port}|445|TCP|3|120").as_str()];
        assert_eq!((place(40002), place(40001)), ((1, 1e-9), (2, 0.5)));
        assert_eq!((beside.rows, beside.rejected.count), (3, 2));
        assert_eq!(
            beside.rejected.first,
            [(2, "2 columns, 18 are expected".into()), (4, "\"NaN\" is no score".into())]
        );
    }

    #[test]
    fn names_and_uris_are_as_the_lake_has_them() {
        let dns = "May 20 2016 02:10:25\t1463710225\t100\t10.0.0.9\tA.Example.\t0x00000001\t1\t3\t0.1\n";
        assert!(read(Source::Dns, dns).unwrap().places.contains_key("1463710225|10.0.0.9|a.example|1|3"));
        let proxy = "2016-07-08,03:15:01,10.0.0.1,a.example,GET,\"Mozilla, x\",text/html,1,-,-,-,200,80,/x,-,198.51.100.2,1,2,a.example/x,w_1,1e-3\n";
        assert!(
            read(Source::Proxy, proxy).unwrap().places.contains_key("2016-07-08 03:15:01|10.0.0.1|GET|a.example/x")
        );
    }

    #[test]
    fn what_is_no_such_file_says_what_is_expected() {
        for text in ["", "a,b\n", "\u{0}\n\n", "x\ty\n1\t2\n", &"\t".repeat(100_000)] {
            let error = read(Source::Flow, text).unwrap_err();
            assert!(error.contains("18 columns parted by tabs"), "{error}");
        }
        let latin = [FLOW.as_bytes(), b"\t0.5\n\xff\xfe\t\n"].concat();
        let beside = Beside::of(Source::Flow, String::new(), latin.as_slice()).unwrap();
        assert_eq!((beside.rows, beside.rejected.count), (1, 1));
    }
}
