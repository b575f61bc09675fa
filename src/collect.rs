//! `spotter collect`

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::exported_live::{CollectOptions, CollectReport, collect};
use aggregator::lake::Lake;
use bytesize::ByteSize;
use capture::collect::AllowList;

use crate::appliance::collect::{Listening, TlsFiles};
#[cfg(feature = "kafka")]
use crate::appliance::config::Span;
use crate::appliance::interrupt;
#[cfg(feature = "kafka")]
use crate::appliance::kafka::KafkaConfig;
use crate::output::UsedWrongly;

/// Collect what routers and switches export: NetFlow v1, v5, v7 and v9, IPFIX and sFlow v5 over UDP, IPFIX over TCP, TLS and DTLS.
///
/// With --kafka: topics instead, with JSON of pmacct, Zeek, or our own records.
///
/// All protocols may come to one UDP port. Opposite uniflows become one record, and what several exporters or interfaces report is
/// counted once. Templates and the exporters' numbering are kept over a restart, so that what was missed is in the ledger. SIGTERM and SIGINT end it: what was received is written.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter collect                                        ports 2055, 4739 and 6343, into ./lake\n  \
    spotter collect --listen 0.0.0.0:2055 --workers 4\n  \
    spotter collect --listen [::]:4739 --allow 192.0.2.1,198.51.100.0/24\n  \
    spotter collect --listen-tls [::]:4740 --tls-cert chain.pem --tls-key key.pem --tls-client-ca exporters.pem\n  \
    spotter collect --listen-dtls [::]:4740 --tls-cert cert.pem --tls-key key.pem --tls-client-ca exporters.pem\n  \
    spotter collect --kafka kafka.example:9092 --topic pmacct          JSON of pmacct, Zeek or Spotter from a topic\n  \
    spotter collect --duration 60s --json | jq .ledger"
)]
pub(crate) struct Args {
    /// Where to listen, with commas or repeated. Default: 2055 (NetFlow), 4739 (IPFIX), 6343 (sFlow) of every address.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_value = "[::]:2055,[::]:4739,[::]:6343")]
    listen: Vec<SocketAddr>,
    /// Where to listen for IPFIX over TCP, with commas or repeated.
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    listen_tcp: Vec<SocketAddr>,
    /// Where to listen for IPFIX over TLS, with commas or repeated (port 4740 by RFC 7011).
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "tls_cert")]
    listen_tls: Vec<SocketAddr>,
    /// Where to listen for IPFIX over DTLS 1.2 and 1.3, with commas or repeated (UDP port 4740 by RFC 7011).
    ///
    /// Needs an ECDSA key, P-256 or P-384, and shows the first certificate of --tls-cert only. Exporters' certificates have to be ECDSA, too,
    /// and signed by an authority of --tls-client-ca itself: intermediate ones are not seen.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "tls_cert")]
    listen_dtls: Vec<SocketAddr>,
    /// The collector's certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Exporters must show a certificate of these authorities, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// UDP and DTLS sockets, each with a thread, on each address; an exporter stays with one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Receive buffer of each socket.
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    buffer: ByteSize,
    /// Take exports from these addresses and networks only, with commas or repeated.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    allow: Vec<String>,
    /// Name of this collector in the ledger; templates and numbering are kept under it.
    #[arg(long, value_name = "NAME", default_value = "collect")]
    name: String,
    /// The lake's folder; made if missing.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Name of this sensor.
    #[arg(long, value_name = "NAME", default_value = "spotter")]
    sensor: String,
    /// How often finished records become visible in the lake.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    flush: humantime::Duration,
    /// How long a uniflow waits for the opposite one.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    active_timeout: humantime::Duration,
    /// End after this long.
    #[arg(long, value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// Print the report as JSON: records, the ledger.
    #[arg(long)]
    json: bool,
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    kafka: KafkaArgs,
}

/// Topics in place of sockets.
#[cfg(feature = "kafka")]
#[derive(clap::Args)]
#[command(next_help_heading = "Kafka")]
struct KafkaArgs {
    /// Read topics of these brokers, with commas or repeated, and listen nowhere.
    #[arg(
        long = "kafka",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        requires = "topic",
        conflicts_with_all = ["listen", "listen_tcp", "listen_tls", "listen_dtls", "allow"]
    )]
    brokers: Vec<String>,
    /// Topics, with commas or repeated.
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "brokers")]
    topic: Vec<String>,
    /// Group of consumers.
    #[arg(long, value_name = "NAME", default_value = "spotter")]
    group: String,
    /// Where a new group begins: earliest or latest.
    #[arg(long, value_name = "WHERE", default_value = "earliest")]
    begin: String,
    /// After so long without a sign of a consumer others get its partitions.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    session_timeout: humantime::Duration,
    /// TLS.
    #[arg(long)]
    kafka_tls: bool,
    /// Authorities (PEM) that vouch for the brokers, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "kafka_tls")]
    kafka_ca: Option<PathBuf>,
    /// Our certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["kafka_tls", "kafka_key"])]
    kafka_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "kafka_cert")]
    kafka_key: Option<PathBuf>,
    /// plain, scram-sha-256 or scram-sha-512.
    #[arg(long, value_name = "MECHANISM", requires = "kafka_sasl_file")]
    kafka_sasl: Option<String>,
    /// File with the user in its first line, the password in its second.
    #[arg(long, value_name = "FILE", requires = "kafka_sasl")]
    kafka_sasl_file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = options(args)?;
    #[cfg(feature = "kafka")]
    if !args.kafka.brokers.is_empty() {
        return consume(args);
    }
    let lake = Lake::open(&args.lake)?;
    let listening = Listening {
        datagrams: args.listen.clone(),
        tcp: args.listen_tcp.clone(),
        tls: args.listen_tls.clone(),
        dtls: args.listen_dtls.clone(),
        tls_files: args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| TlsFiles {
            cert,
            key,
            client_ca: args.tls_client_ca.clone(),
        }),
        workers: args.workers,
        buffer: args.buffer,
    };
    // Before it is said where we listen: who reads that may end us at once.
    let interrupt = interrupt::flag()?;
    let report = collect(&lake, listening.open()?, &options, interrupt)?;
    print(&report, args.json)?;
    Ok(if report.imbalances.is_empty() && report.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(feature = "kafka")]
fn consume(args: &Args) -> anyhow::Result<ExitCode> {
    let kafka = &args.kafka;
    let config = KafkaConfig {
        name: args.name.clone(),
        brokers: kafka.brokers.clone(),
        topics: kafka.topic.clone(),
        group: kafka.group.clone(),
        begin: kafka.begin.clone(),
        session_timeout: Span(kafka.session_timeout.into()),
        tls: kafka.kafka_tls,
        tls_ca: kafka.kafka_ca.clone(),
        tls_cert: kafka.kafka_cert.clone(),
        tls_key: kafka.kafka_key.clone(),
        sasl: kafka.kafka_sasl.clone(),
        sasl_file: kafka.kafka_sasl_file.clone(),
        sensor: None,
        flush: Span(args.flush.into()),
    };
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(UsedWrongly(problems.join("\n")).into());
    }
    let mut options = config.options(&args.sensor)?;
    options.duration = args.duration.map(Into::into);
    let report = aggregator::kafka::consume(&Lake::open(&args.lake)?, &options, interrupt::flag()?)?;
    if args.json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print_books(&report.records, &report.ledger)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args) -> anyhow::Result<CollectOptions> {
    aggregator::lake::check_sensor(&args.sensor).map_err(|e| UsedWrongly(e.to_string()))?;
    let at_least = |name: &str, given: Duration, least: Duration| {
        if given < least {
            return Err(UsedWrongly(format!("--{name}: at least {}", humantime::format_duration(least))));
        }
        Ok(given)
    };
    let mut options = CollectOptions::new(&args.sensor);
    options.flush = at_least("flush", args.flush.into(), Duration::from_millis(100))?;
    options.pairing.active = at_least("active-timeout", args.active_timeout.into(), Duration::from_secs(1))?;
    options.allowed = AllowList::parse(&args.allow).map_err(|e| UsedWrongly(format!("--allow: {e}")))?;
    if !crate::appliance::config::is_name(&args.name) {
        return Err(UsedWrongly(format!("--name {}: use 1 to 64 letters, digits, '.', '_' or '-'", args.name)).into());
    }
    options.name.clone_from(&args.name);
    options.duration = args.duration.map(Into::into);
    Ok(options)
}

fn print(report: &CollectReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        drop(out);
        print_books(&report.records, &report.ledger)?;
    }
    for imbalance in &report.imbalances {
        tracing::error!("the books do not close: {imbalance}");
    }
    if let Some(error) = &report.error {
        tracing::error!("the last records could not be written: {error}");
    }
    Ok(())
}

fn print_books(records: &BTreeMap<&'static str, u64>, ledger: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let records: Vec<String> = records.iter().map(|(name, n)| format!("{n} {name}")).collect();
    writeln!(out, "records  {}", if records.is_empty() { "none".to_owned() } else { records.join(", ") })?;
    let notable = ledger.iter().filter(|(name, value)| **value > 0 && !name.starts_with("bytes."));
    let notable: Vec<String> = notable.map(|(name, value)| format!("{name} {value}")).collect();
    writeln!(out, "ledger   {}", notable.join(", "))?;
    Ok(())
}
