//! `spotter forward`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use aggregator::lake::Lake;
use analytics::forward::{ForwardCounters, What, avro_schema};
use bytesize::ByteSize;

use crate::appliance::forward::{OutputConfig, book, engine, follow, table};
use crate::appliance::interrupt;
use crate::output::UsedWrongly;

/// Send alerts (suspicious records above a threshold), or all records, to a webhook, Elasticsearch, MongoDB, a syslog server, a Kafka topic, an IPFIX
/// collector or a file.
///
/// A record is sent once, however often its day is scored again. What cannot be sent waits in a queue on disk, under the
/// output's name, and is sent by the next run. The appliance does the same for each [[output]].
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter forward --to file:- --form cef                    what would be sent, as CEF\n  \
    spotter forward --to https://hooks.example/spotter --allow hooks.example\n  \
    spotter forward --to elastic+https://es.example:9200/spotter-alerts --allow es.example --form ecs --authorization-file key --follow\n  \
    spotter forward --to syslog+tls://siem.example:6514 --allow siem.example --tls-ca ca.pem --form cef --days 7\n  \
    spotter forward --what records --to kafka://kafka.example:9092/flows --allow kafka.example --source flow --follow\n  \
    spotter forward --what records --source flow --avro-schema            for those who read the topic\n  \
    spotter forward --what records --source flow --to ipfix+tcp://collector.example:4739 --allow collector.example"
)]
pub(crate) struct Args {
    /// file:PATH (- for standard output), https://HOST/PATH (webhook: a JSON array a request), elastic+https://HOST:9200/INDEX (also
    /// OpenSearch), syslog+udp://HOST:514, syslog+tcp://HOST:601, syslog+tls://HOST:6514, kafka://HOST:9092,…/TOPIC,
    /// kafka+tls://HOST:9093,…/TOPIC (a message a record, its record_id the key), mongodb://HOST:27017,…/DATABASE/COLLECTION, mongodb+tls://… (a document a record,
    /// its record_id the _id), ipfix+udp://HOST:4739, ipfix+tcp://HOST:4739 (flow records).
    #[arg(long, value_name = "URL", required_unless_present = "avro_schema")]
    to: Option<String>,
    /// alerts, or records: every record of the tables, scored or not.
    #[arg(long, value_name = "WHAT", default_value = "alerts")]
    what: String,
    /// json (the lake's columns), ecs, ocsf, odm (Apache Spot's Open Data Model), cef, or for Kafka avro (single-object encoding; see --avro-schema).
    #[arg(long, default_value = "json")]
    form: String,
    /// Avro: the number a schema registry has given to the schema of a source (see --avro-schema), as flow=12; with commas or repeated.
    #[arg(long, value_name = "SOURCE=ID", value_delimiter = ',', value_parser = schema_id)]
    schema_id: Vec<(String, u32)>,
    /// Hosts that may be reached, with commas or repeated.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow: Vec<String>,
    /// Authorities (PEM) that vouch for the other side.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// File whose first line is the authorization header, as "ApiKey …"; with --sasl, and for MongoDB, the user, and the password in its second line.
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
    /// Kafka: plain, scram-sha-256 or scram-sha-512.
    #[arg(long, value_name = "MECHANISM", requires = "authorization_file")]
    sasl: Option<String>,
    /// Kafka by TLS: our certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Least strength of the strongest evidence: -log10 of the cases as strong that a day has by chance.
    #[arg(long, value_name = "X", default_value_t = 2.0)]
    min_strength: f64,
    /// Last place in the list that is an alert.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max_rank: u32,
    /// Tables: flow, dns, proxy; of records also dhcp.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "flow,dns,proxy")]
    source: Vec<String>,
    /// Days before today.
    #[arg(long, value_name = "N", default_value_t = 1)]
    days: u32,
    /// Bytes of the queue on disk.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    queue: ByteSize,
    /// Name of this output: of its queue, and in the ledger.
    #[arg(long, value_name = "NAME", default_value = "forward")]
    name: String,
    /// Print the Avro schema of what leaves of each --source, one a line, and end.
    #[arg(long)]
    avro_schema: bool,
    /// Go on until SIGTERM or SIGINT.
    #[arg(long)]
    follow: bool,
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Name of the sensor in the ledger.
    #[arg(long, value_name = "NAME", default_value = "spotter")]
    sensor: String,
    /// Print the counters as JSON, on standard error.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.avro_schema {
        return print_avro_schemas(args);
    }
    let output = OutputConfig {
        name: args.name.clone(),
        to: args.to.clone().unwrap_or_default(),
        what: args.what.clone(),
        form: args.form.clone(),
        schema_ids: args.schema_id.iter().cloned().collect(),
        allow: args.allow.clone(),
        tls_ca: args.tls_ca.clone(),
        authorization_file: args.authorization_file.clone(),
        sasl: args.sasl.clone(),
        tls_cert: args.tls_cert.clone(),
        tls_key: args.tls_key.clone(),
        min_strength: args.min_strength,
        max_rank: args.max_rank,
        sources: args.source.clone(),
        days: args.days,
        queue: args.queue,
    };
    let problems = output.problems();
    if !problems.is_empty() {
        return Err(UsedWrongly(problems.join("\n")).into());
    }
    aggregator::lake::check_sensor(&args.sensor).map_err(|e| UsedWrongly(e.to_string()))?;
    let lake = Lake::open_existing(&args.lake)?;
    let interrupt = interrupt::flag()?;
    if args.follow {
        follow(&lake, &args.sensor, &output, interrupt)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (engine, mut forwarder) = (engine(&lake)?, output.open(&lake)?);
    let failed = loop {
        if interrupt.load(Ordering::Relaxed) {
            break None;
        }
        match forwarder.send() {
            Ok(0) => match forwarder.look(&lake, &engine, output.since()) {
                Ok(0) => break None,
                Ok(_) => {}
                // A full disk took some: they are sent, which makes room.
                Err(error) if forwarder.counters().waiting > 0 => tracing::warn!("{error}"),
                Err(error) => return Err(error.into()),
            },
            Ok(_) => {}
            Err(error) => break Some(error),
        }
    };
    let counters = forwarder.counters();
    book(&lake, &args.sensor, &output, counters, &mut ForwardCounters::default(), &mut aggregator::state::now());
    let mut said = std::io::stderr().lock();
    if args.json {
        serde_json::to_writer(&mut said, &counters)?;
        writeln!(said)?;
    } else {
        let ForwardCounters { queued, sent, rejected, waiting, .. } = counters;
        writeln!(said, "{queued} new {}; {sent} sent, {rejected} refused for good, {waiting} waiting", output.what)?;
    }
    match failed {
        Some(error) => anyhow::bail!("{error}; {} {} wait in the queue: run it again", counters.waiting, output.what),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn schema_id(text: &str) -> Result<(String, u32), String> {
    let wrong = || "write it as flow=12".to_owned();
    let (source, id) = text.split_once('=').ok_or_else(wrong)?;
    Ok((source.to_owned(), id.parse().map_err(|_| wrong())?))
}

fn print_avro_schemas(args: &Args) -> anyhow::Result<ExitCode> {
    let what: What = args.what.parse().map_err(UsedWrongly)?;
    let mut out = std::io::stdout().lock();
    for name in &args.source {
        let table = table(name, what == What::Records).map_err(UsedWrongly)?;
        writeln!(out, "{}", avro_schema(what, table)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
