//! `/metrics`, for Prometheus: what the sources count, by queue, and how the appliance is.
//!
//! The counters are those of the ledger, under the ledger's names: `spotter_queue_packets_total{term="seen"}` is the ledger's
//! `packets.seen` of that queue since it was opened. Causes are terms of their own (`not_ip.arp`) and part of the term
//! before the dot, so sum over terms that have no dot. Sources that report through the socket of the live feed are here, too.
//!
//! The same text is served by the web application, behind its door, and on a unix socket ([`serve_metrics`]).

mod text;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aggregator::feed::{QueueMeter, Report};
use aggregator::lake::{Lake, Source, Table};
use aggregator::state::StateError;
use aggregator::state::exporters::{Exporter, lost_unit, parts};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::ListenError;
use crate::app::Shared;
use crate::live::{Hub, UnixSocket};
use crate::problem::ApiError;
use text::Families;

/// Exporters that are told: those heard last.
const EXPORTERS: u32 = 1_000;

/// Longest that a request on the socket may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// `text/plain; version=0.0.4`, as Prometheus asks for.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many, and the seconds they took together, by method and status.
type Answered = BTreeMap<(&'static str, u16), (u64, f64)>;

/// Requests that were answered.
#[derive(Debug, Default)]
pub(crate) struct HttpCounts(Mutex<Answered>);

impl HttpCounts {
    fn add(&self, method: &Method, status: StatusCode, seconds: f64) {
        // Anyone may make up a method.
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
        let method = known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other");
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, sum) = counts.entry((method, status.as_u16())).or_default();
        *count += 1;
        *sum += seconds;
    }
}

/// Counts requests as they are answered. (Of a stream, when it begins.)
pub(crate) async fn count(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let (method, begin) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    app.live.http.add(&method, response.status(), begin.elapsed().as_secs_f64());
    response
}

/// `GET /metrics`
pub(crate) async fn metrics(State(app): State<Shared>) -> Result<Response, ApiError> {
    let hub = Arc::clone(&app.live);
    let text = app.blocking(move |lake| Ok(render(&hub, Some(lake))?)).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// Serves `GET /metrics` on a unix socket (0660) until it is dropped: `curl --unix-socket PATH http://localhost/metrics`.
///
/// # Errors
/// A [`ListenError`] where it cannot begin.
pub async fn serve_metrics(path: &Path, hub: Arc<Hub>, lake: Lake) -> Result<(), ListenError> {
    let socket = UnixSocket::bind(path)?;
    loop {
        let stream = match socket.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "metrics");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (hub, lake) = (Arc::clone(&hub), lake.clone());
        let service = service_fn(move |request| answer(request, Arc::clone(&hub), lake.clone()));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REPORT_TIMEOUT)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // One after the other: nobody needs more, and memory is bounded.
        if !matches!(tokio::time::timeout(REPORT_TIMEOUT, connection).await, Ok(Ok(()))) {
            tracing::debug!("a request for metrics was cut off");
        }
    }
}

async fn answer(
    request: hyper::Request<hyper::body::Incoming>,
    hub: Arc<Hub>,
    lake: Lake,
) -> Result<Response, Infallible> {
    let plain =
        |status: StatusCode, text: String| (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response();
    if *request.method() != Method::GET || request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "ask for GET /metrics\n".to_owned()));
    }
    Ok(match tokio::task::spawn_blocking(move || render(&hub, Some(&lake))).await {
        Ok(Ok(text)) => plain(StatusCode::OK, text),
        Ok(Err(error)) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    })
}

/// Why there are no metrics: the state of the lake cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error(transparent)]
    Lake(#[from] aggregator::lake::LakeError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<MetricsError> for ApiError {
    fn from(error: MetricsError) -> Self {
        match error {
            MetricsError::Lake(error) => error.into(),
            MetricsError::State(error) => error.into(),
        }
    }
}

/// The text.
pub(crate) fn render(hub: &Hub, lake: Option<&Lake>) -> Result<String, MetricsError> {
    let mut out = Families::default();
    out.gauge("spotter_build_info", "Version of Spotter; always 1.", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    for report in hub.latest() {
        of_source(&report, &mut out);
        report.queues.iter().for_each(|queue| of_queue(&report, queue, &mut out));
    }
    out.gauge("spotter_live_clients", "Browsers and programs that watch the live feed.", &[], hub.clients() as f64);
    of_http(&hub.http, &mut out);
    if let Some(lake) = lake {
        of_lake(lake, &mut out)?;
    }
    of_process(&mut out);
    Ok(out.into_text())
}

/// A stock: what is there now, and may be less later.
fn is_stock(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with("in_") || last == "live" || last.ends_with("waiting")
}

/// A family: its name, whether it is a gauge, its help, and the label that the rest of the counter's name goes into.
struct Of(&'static str, bool, &'static str, &'static str);

const QUEUE_PACKETS: Of =
    Of("spotter_queue_packets_total", false, "Packets of a receive queue by term of the ledger.", "term");
const QUEUE_BYTES: Of =
    Of("spotter_queue_bytes_total", false, "Bytes on the wire of a receive queue by term of the ledger.", "term");
const QUEUE_IP_BYTES: Of =
    Of("spotter_queue_ip_bytes_total", false, "IP bytes of a receive queue by term of the ledger.", "term");
const QUEUE_WAITING: Of =
    Of("spotter_queue_waiting_packets", true, "Packets of a receive queue that are on their way, by place.", "place");
const QUEUE_WAITING_BYTES: Of =
    Of("spotter_queue_waiting_bytes", true, "Bytes of a receive queue that are on their way, by place.", "place");
const QUEUE_EVENTS: Of = Of(
    "spotter_queue_events_total",
    false,
    "What else is counted of a receive queue, as the ledger names it.",
    "event",
);
const SOURCE_PACKETS: Of =
    Of("spotter_source_packets_total", false, "Packets of a source, over its queues, by term of the ledger.", "term");
const SOURCE_IP_BYTES: Of =
    Of("spotter_source_ip_bytes_total", false, "IP bytes of a source, over its queues, by term of the ledger.", "term");
const SOURCE_EVENTS: Of =
    Of("spotter_source_events_total", false, "What else is counted of a source, as the ledger names it.", "event");
const SOURCE_WAITING: Of =
    Of("spotter_source_waiting", true, "What a source has in memory, as the ledger names it.", "what");

/// The family of a counter, and the rest of its name.
fn family<'a>(name: &'a str, by_kind: [&'static Of; 6]) -> (&'static Of, &'a str) {
    let [packets, bytes, ip_bytes, waiting, waiting_bytes, events] = by_kind;
    match (name.split_once('.'), is_stock(name)) {
        (Some(("packets", term)), false) => (packets, term),
        (Some(("bytes", term)), false) => (bytes, term),
        (Some(("ip_bytes", term)), false) => (ip_bytes, term),
        (Some(("packets", place)), true) if waiting.3 == "place" => (waiting, place),
        (Some(("bytes", place)), true) if waiting_bytes.3 == "place" => (waiting_bytes, place),
        (_, true) => (waiting, name),
        (_, false) => (events, name),
    }
}

fn put(out: &mut Families, labels: &[(&str, &str)], (of, rest): (&'static Of, &str), value: u64) {
    let Of(name, is_gauge, help, label) = *of;
    let mut labels = labels.to_vec();
    labels.push((label, rest));
    match is_gauge {
        true => out.gauge(name, help, &labels, value as f64),
        false => out.counter(name, help, &labels, value),
    }
}

fn of_queue(report: &Report, queue: &QueueMeter, out: &mut Families) {
    let number = queue.queue.to_string();
    let labels = [
        ("source", report.second.source.as_str()),
        ("interface", &queue.interface),
        ("queue", &number),
        ("mode", &queue.mode),
    ];
    let families = [&QUEUE_PACKETS, &QUEUE_BYTES, &QUEUE_IP_BYTES, &QUEUE_WAITING, &QUEUE_WAITING_BYTES, &QUEUE_EVENTS];
    for (name, value) in &queue.ledger {
        put(out, &labels, family(name, families), *value);
    }
}

fn of_source(report: &Report, out: &mut Families) {
    let Report { second, whole, written, sets, gauges, .. } = report;
    let source = [("source", second.source.as_str())];
    let families =
        [&SOURCE_PACKETS, &SOURCE_EVENTS, &SOURCE_IP_BYTES, &SOURCE_WAITING, &SOURCE_WAITING, &SOURCE_EVENTS];
    for (name, value) in whole {
        put(out, &source, family(name, families), *value);
    }
    for (table, rows) in written {
        let labels = [source[0], ("table", table.as_str())];
        out.counter("spotter_records_written_total", "Rows written to the lake.", &labels, *rows);
    }
    out.counter("spotter_sets_published_total", "Sets of files published in the lake.", &source, *sets);
    let lost = second.reports_lost;
    out.counter(
        "spotter_feed_reports_lost_total",
        "Reports of the live feed that were lost on their way.",
        &source,
        lost,
    );
    let running = if second.ended { 0.0 } else { 1.0 };
    out.gauge("spotter_source_running", "1 while the source goes on, 0 when it has ended.", &source, running);
    if let Ok(at) = DateTime::parse_from_rfc3339(&second.at) {
        let help = "When the source reported last, Unix time.";
        out.gauge("spotter_source_report_timestamp_seconds", help, &source, at.timestamp() as f64);
    }
    if gauges.flows_limit > 0 {
        for (name, help, value) in [
            ("spotter_flow_table_flows", "Flows in memory.", gauges.flows),
            ("spotter_flow_table_limit_flows", "How many flows there may be in memory.", gauges.flows_limit),
            ("spotter_ring_batches", "Batches in the rings between receivers and shards.", gauges.ring_batches),
            ("spotter_ring_limit_batches", "How many batches the rings hold.", gauges.ring_batches_limit),
        ] {
            out.gauge(name, help, &source, value as f64);
        }
    }
}

fn of_http(counts: &HttpCounts, out: &mut Families) {
    let mut by_method: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
    for ((method, status), (count, seconds)) in &*counts.0.lock().unwrap_or_else(PoisonError::into_inner) {
        let labels = [("method", *method), ("code", &*status.to_string())];
        out.counter("spotter_http_requests_total", "Requests answered by the web application.", &labels, *count);
        let (sum, all) = by_method.entry(method).or_default();
        *sum += seconds;
        *all += count;
    }
    for (method, taken) in by_method {
        let help = "Time until a request was answered; of a stream, until it began.";
        out.summary("spotter_http_request_duration_seconds", help, &[("method", method)], taken);
    }
}

fn of_lake(lake: &Lake, out: &mut Families) -> Result<(), MetricsError> {
    for table in Table::ALL {
        let parts = lake.parts(table, None)?;
        let labels = [("table", table.as_str())];
        let sum = |of: &dyn Fn(usize) -> u64| (0..parts.len()).map(of).sum::<u64>() as f64;
        let size = |at: usize| parts.get(at).map_or(0, |part| part.bytes);
        let rows = |at: usize| parts.get(at).map_or(0, |part| part.rows);
        out.gauge("spotter_lake_bytes", "Bytes of a table's files.", &labels, sum(&size));
        out.gauge("spotter_lake_rows", "Rows of a table.", &labels, sum(&rows));
        out.gauge("spotter_lake_files", "Files of a table.", &labels, parts.len() as f64);
        if let Some(last) = parts.iter().map(|part| part.last.0).max() {
            let help = "Latest moment in a table, Unix time.";
            out.gauge("spotter_lake_latest_timestamp_seconds", help, &labels, last as f64 / 1e6);
        }
    }
    for exporter in lake.state().exporters(EXPORTERS)? {
        of_exporter(&exporter, out);
    }
    for source in Source::ALL {
        if let Some(created) = lake.state().runs(Some(source))?.iter().map(|run| run.created.0).max() {
            let labels = [("source", source.as_str())];
            let help = "When a day was scored last, Unix time: its age is time() less this.";
            out.gauge("spotter_score_run_timestamp_seconds", help, &labels, created as f64 / 1e6);
        }
    }
    Ok(())
}

fn of_exporter(known: &Exporter, out: &mut Families) {
    let [protocol, address, domain] = parts(&known.exporter);
    let labels =
        [("collector", known.collector.as_str()), ("exporter", address), ("protocol", protocol), ("domain", domain)];
    let mut lost = labels.to_vec();
    lost.push(("unit", lost_unit(protocol)));
    for (name, help, labels, value) in [
        ("spotter_exporter_messages_total", "Messages of an exporter.", &labels[..], known.messages),
        ("spotter_exporter_flows_total", "Flows of an exporter.", &labels, known.flows),
        ("spotter_exporter_lost_total", "What is missing by an exporter's numbering.", &lost, known.lost),
        ("spotter_exporter_reordered_total", "Messages of an exporter that came late.", &labels, known.reordered),
        ("spotter_exporter_restarts_total", "An exporter's numbering begun anew.", &labels, known.restarts),
        (
            "spotter_exporter_sets_without_template_total",
            "Data sets of an exporter that came before their template.",
            &labels,
            known.without_template,
        ),
        (
            "spotter_exporter_flows_ahead_total",
            "Flows that ended, by an exporter's clock, more than a second after they came.",
            &labels,
            known.ahead,
        ),
        (
            "spotter_exporter_flows_behind_total",
            "Flows that ended, by an exporter's clock, more than a day before they came.",
            &labels,
            known.behind,
        ),
    ] {
        out.counter(name, help, labels, value);
    }
    let help = "When an exporter's last message came, Unix time.";
    out.gauge("spotter_exporter_last_timestamp_seconds", help, &labels, known.last.0 as f64 / 1e6);
    if known.recent_flows > 0 {
        let mean = known.recent_lag_ms as f64 / known.recent_flows as f64 / 1e3;
        let help = "From a flow's end, by the exporter's clock, to its arrival: the mean of the flows of the last set.";
        out.gauge("spotter_exporter_lag_seconds", help, &labels, mean);
        let help = "The longest of them.";
        out.gauge("spotter_exporter_lag_longest_seconds", help, &labels, known.recent_longest_ms as f64 / 1e3);
    }
}

/// Ticks of a second in /proc (USER_HZ), on every machine this is built for.
const USER_HZ: f64 = 100.0;

/// The names are those of Prometheus's own client libraries. What the system does not tell is left out.
fn of_process(out: &mut Families) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // Behind the program's name, which may have anything in it: state is the first field (proc(5) counts it as the third).
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let help = "Time of processors, user and system.";
        out.seconds("process_cpu_seconds_total", help, &[], (user + system) / USER_HZ);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    if let Some(kib) = resident {
        out.gauge("process_resident_memory_bytes", "Memory in use.", &[], kib * 1024.0);
    }
    if let Some(threads) = field(20) {
        out.gauge("process_threads", "Threads.", &[], threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        out.gauge("process_open_fds", "Open file descriptors.", &[], open.count() as f64);
    }
    let boot = std::fs::read_to_string("/proc/stat").ok();
    let boot =
        boot.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("btime "))?.parse::<f64>().ok());
    if let (Some(boot), Some(start)) = (boot, field(22)) {
        let help = "When the process began, Unix time.";
        out.gauge("process_start_time_seconds", help, &[], boot + start / USER_HZ);
    }
}

#[cfg(test)]
mod tests {
    use aggregator::feed::Listener as _;

    use super::*;
    use crate::live::tests::report;

    #[test]
    fn counters_of_the_ledger_have_their_names_and_labels() {
        let hub = Hub::default();
        let mut told = report("tap \"1\"\n", 7);
        told.queues[0].ledger.extend(
            [("packets.in_shard_ring", 3), ("bytes.seen", 700), ("receive_errors", 1)].map(|(n, v)| (n.to_owned(), v)),
        );
        told.whole.insert("dns.waiting".to_owned(), 4);
        hub.report(told);
        hub.http.add(&Method::GET, StatusCode::OK, 0.5);
        hub.http.add(&"BREW".parse().unwrap(), StatusCode::METHOD_NOT_ALLOWED, 0.25);
        let text = render(&hub, None).unwrap();
        let queue = "source=\"tap \\\"1\\\"\\n\",interface=\"tap0\",queue=\"0\",mode=\"af_packet\"";
        for line in [
            format!("spotter_queue_packets_total{{{queue},term=\"seen\"}} 7"),
            format!("spotter_queue_waiting_packets{{{queue},place=\"in_shard_ring\"}} 3"),
            format!("spotter_queue_bytes_total{{{queue},term=\"seen\"}} 700"),
            format!("spotter_queue_events_total{{{queue},event=\"receive_errors\"}} 1"),
            "spotter_source_events_total{source=\"tap \\\"1\\\"\\n\",event=\"flows.opened\"} 1".to_owned(),
            "spotter_source_waiting{source=\"tap \\\"1\\\"\\n\",what=\"dns.waiting\"} 4".to_owned(),
            "spotter_http_requests_total{method=\"GET\",code=\"200\"} 1".to_owned(),
            "spotter_http_requests_total{method=\"other\",code=\"405\"} 1".to_owned(),
            "spotter_http_request_duration_seconds_sum{method=\"GET\"} 0.5".to_owned(),
            "# TYPE spotter_http_request_duration_seconds summary".to_owned(),
            "# TYPE process_cpu_seconds_total counter".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // One HELP and one TYPE a family, and no sample without them.
        let mut families: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
        let all = families.len();
        families.dedup_by_key(|line| line.split(' ').next().unwrap().to_owned());
        assert_eq!((families.len(), text.matches("# HELP ").count()), (all, all));
    }
}
