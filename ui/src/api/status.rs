//! What the appliance holds, its books, and its runs.

use std::collections::BTreeMap;

use aggregator::lake::{self, Lake, Table};
use aggregator::record::Micros;
use aggregator::state::exporters::{Exporter, lost_unit, parts};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::books;
use super::list::run_of;
use super::rows::{moment, read};
use super::types::{
    Arrival, Book, Counter, ExporterStatus, Keeping, KeptHour, Problem, Retention, Run, Status, TableStatus,
};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Books and runs shown.
const SHOWN: usize = 50;
/// Exporters shown.
const EXPORTERS: u32 = 200;
/// Counters of all books shown, at most.
const MAX_COUNTERS: u64 = 50_000;

/// What the appliance holds, and whether its books close.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status), (status = 401, body = Problem)))]
pub(super) async fn status(State(app): State<Shared>) -> Result<Json<Status>, ApiError> {
    app.in_turn(look(&app)).await.map(Json)
}

async fn look(app: &App) -> Result<Status, ApiError> {
    let now = aggregator::state::now();
    let books = ledger(app).await?;
    app.blocking(move |lake| {
        let tables = tables(lake)?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: moment(now),
            lake: lake.dir().display().to_string(),
            books,
            runs: runs(lake)?,
            keeping: keeping(lake, tables.iter().map(|table| table.bytes).sum())?,
            arrivals: lake.state().arrivals()?.into_iter().map(|arrival| arrived(arrival, now)).collect(),
            exporters: lake.state().exporters(EXPORTERS)?.into_iter().map(|known| exporter(known, now)).collect(),
            tables,
        })
    })
    .await
}

/// Microseconds as seconds.
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn arrived(arrival: lake::Arrival, now: Micros) -> Arrival {
    let lake::Arrival { sensor, table, rows, last, published } = arrival;
    Arrival {
        sensor,
        source: table,
        rows,
        last: moment(last),
        age_seconds: seconds(now.0.saturating_sub(last.0)),
        lag_seconds: published.map(|at| seconds(at.0.saturating_sub(last.0))),
    }
}

fn exporter(known: Exporter, now: Micros) -> ExporterStatus {
    let [protocol, address, domain] = parts(&known.exporter).map(str::to_owned);
    let timed = known.recent_flows > 0;
    ExporterStatus {
        lost_unit: lost_unit(&protocol).to_owned(),
        protocol,
        address,
        domain,
        sensor: known.sensor,
        collector: known.collector,
        last: moment(known.last),
        age_seconds: seconds(now.0.saturating_sub(known.last.0)),
        last_ended: known.ended.map(moment),
        lag_seconds: timed.then(|| known.recent_lag_ms as f64 / known.recent_flows as f64 / 1e3),
        lag_longest_seconds: timed.then(|| known.recent_longest_ms as f64 / 1e3),
        messages: known.messages,
        flows: known.flows,
        lost: known.lost,
        reordered: known.reordered,
        restarts: known.restarts,
        without_template: known.without_template,
        clock_ahead: known.ahead,
        clock_behind: known.behind,
    }
}

fn keeping(lake: &Lake, bytes: u64) -> Result<Keeping, ApiError> {
    let oldest = lake.oldest_hour()?;
    let note = lake.retention_note()?;
    // A file system that says nothing of its room is no reason to show nothing.
    let room = lake.room().ok();
    let bytes_of_a_day = bytes_of_a_day(lake)?;
    let to_limit = note.and_then(|note| note.max_bytes).map(|limit| limit.saturating_sub(bytes));
    let left = [room.map(|room| room.free), to_limit].into_iter().flatten().min();
    Ok(Keeping {
        retention: note.map(|note| Retention {
            max_age_seconds: note.max_age_s,
            max_bytes: note.max_bytes,
            looked: moment(Micros(note.looked)),
            next: note.max_age_s.zip(oldest).map(|(age, oldest)| {
                let age = i64::try_from(age).unwrap_or(i64::MAX).saturating_mul(1_000_000);
                moment(Micros(oldest.end.0.saturating_add(age)))
            }),
        }),
        oldest: oldest.map(|hour| KeptHour {
            from: moment(hour.start),
            to: moment(hour.end),
            rows: hour.rows,
            bytes: hour.bytes,
        }),
        bytes,
        bytes_of_a_day,
        disk_total: room.map(|room| room.total),
        disk_free: room.map(|room| room.free),
        days_left: left.zip(bytes_of_a_day).map(|(left, day)| left as f64 / day as f64),
    })
}

/// Bytes of the last day that is over, of the records; `None` where no day before the latest has records.
fn bytes_of_a_day(lake: &Lake) -> Result<Option<u64>, ApiError> {
    let mut days: BTreeMap<lake::Day, u64> = BTreeMap::new();
    for source in lake::Source::ALL {
        for part in lake.parts(source.table(), None)? {
            *days.entry(part.date).or_default() += part.bytes;
        }
    }
    Ok(days.into_values().rev().nth(1).filter(|bytes| *bytes > 0))
}

fn tables(lake: &Lake) -> Result<Vec<TableStatus>, ApiError> {
    let mut out = Vec::new();
    for table in Table::ALL {
        let parts = lake.parts(table, None)?;
        out.push(TableStatus {
            table: table.as_str().to_owned(),
            parts: parts.len() as u64,
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            first: parts.iter().map(|part| part.first).min().map(moment),
            last: parts.iter().map(|part| part.last).max().map(moment),
        });
    }
    Ok(out)
}

fn runs(lake: &Lake) -> Result<Vec<Run>, ApiError> {
    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
    for source in lake::Source::ALL {
        for part in lake.parts(Table::Scores(source), None)? {
            *kept.entry(part.run.unwrap_or_default()).or_default() += part.rows;
        }
    }
    let mut runs = lake.state().runs(None)?;
    runs.sort_by_key(|run| std::cmp::Reverse(run.created));
    Ok(runs.iter().take(SHOWN).map(|run| run_of(run, kept.get(&run.run_id).copied().unwrap_or(0))).collect())
}

#[derive(Deserialize)]
struct Row {
    sensor: String,
    source: String,
    interval_start: String,
    interval_end: String,
    counter: String,
    value: u64,
}

/// The latest books. Queues of one input are added up: the equations hold for the sum as for each. What collectors count of single
/// exporters is told by [`exporter`]: a hundred routers would leave no place for the books.
async fn ledger(app: &App) -> Result<Vec<Book>, ApiError> {
    let sql = format!(
        "SELECT l.sensor, l.source, l.interval_start, l.interval_end, l.counter, sum(l.value) AS value FROM ledger l JOIN \
         (SELECT sensor, source, interval_start, interval_end FROM ledger \
          WHERE NOT starts_with(counter, 'exporter.') GROUP BY 1, 2, 3, 4 \
          ORDER BY interval_end DESC, interval_start DESC, sensor, source LIMIT {SHOWN}) b \
         ON l.sensor = b.sensor AND l.source = b.source AND l.interval_start = b.interval_start AND l.interval_end = b.interval_end \
         GROUP BY 1, 2, 3, 4, 5 ORDER BY l.interval_end DESC, l.interval_start DESC, l.sensor, l.source, l.counter"
    );
    let rows: Vec<Row> = read(app.rows(&sql, Vec::new(), MAX_COUNTERS).await?, "ledger")?;
    let mut out: Vec<Book> = Vec::new();
    for row in rows {
        let counter = Counter { name: row.counter, value: row.value };
        match out.last_mut() {
            Some(book)
                if (&book.sensor, &book.source, &book.from, &book.to)
                    == (&row.sensor, &row.source, &row.interval_start, &row.interval_end) =>
            {
                book.counters.push(counter);
            }
            _ => out.push(Book {
                sensor: row.sensor,
                source: row.source,
                from: row.interval_start,
                to: row.interval_end,
                equations: Vec::new(),
                closed: None,
                lost: 0,
                counters: vec![counter],
            }),
        }
    }
    for book in &mut out {
        let counters = book.counters.iter().map(|counter| (counter.name.clone(), counter.value)).collect();
        book.equations = books::equations(&counters);
        book.closed =
            (!book.equations.is_empty()).then(|| book.equations.iter().all(|equation| equation.difference == "0"));
        book.lost = books::lost(&counters);
    }
    Ok(out)
}
