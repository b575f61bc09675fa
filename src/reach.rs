//! Arguments that say which records a verdict or rule is about, and how its reach is told.

use aggregator::lake::{Day, Lake, Source};
use aggregator::record::Micros;
use aggregator::state;
use analytics::feedback::preview::{Listed, Records, Target};
use analytics::feedback::{Matcher, Span};
use analytics::sql::{Engine, EngineLimits};

use crate::output::UsedWrongly;

/// Why, until when and by whom: what a verdict and a rule have in common.
#[derive(clap::Args)]
pub(crate) struct Terms {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Until when: a moment (RFC 3339) or a time from now on (30d).
    #[arg(long, value_name = "TIME", value_parser = parse_end)]
    pub(crate) expires: Option<Micros>,
    /// Who says so; the user at this terminal if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// Say what it would reach, and save nothing.
    #[arg(long)]
    pub(crate) preview: bool,
}

/// Conditions on a record; all that are given must hold.
#[derive(clap::Args, Default)]
#[command(next_help_heading = "Which records (all that is given must hold)")]
pub(crate) struct Reach {
    /// Initiator or client: an address or a network.
    #[arg(long, value_name = "CIDR")]
    host: Option<String>,
    /// Responder or server: an address or a network.
    #[arg(long, value_name = "CIDR")]
    peer: Option<String>,
    /// Either of them.
    #[arg(long, value_name = "CIDR")]
    address: Option<String>,
    /// flow: the responder's port, as 445 or 8000-8100.
    #[arg(long, value_name = "N[-M]")]
    port: Option<Span>,
    /// flow: the initiator's port.
    #[arg(long, value_name = "N[-M]")]
    src_port: Option<Span>,
    /// flow: IANA protocol number (6 = TCP, 17 = UDP).
    #[arg(long, value_name = "N")]
    proto: Option<u8>,
    /// flow: packets of the initiator.
    #[arg(long, value_name = "N[-M]")]
    packets: Option<Span>,
    /// flow: bytes of the initiator.
    #[arg(long, value_name = "N[-M]")]
    bytes: Option<Span>,
    /// dns, proxy: a domain and all names under it.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// dns: type of the question, by number.
    #[arg(long, value_name = "N")]
    qtype: Option<u16>,
    /// proxy: what the URI begins with.
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
    /// proxy: the user agent; a * at the end stands for any rest.
    #[arg(long, value_name = "TEXT")]
    agent: Option<String>,
}

impl Reach {
    /// The matcher, if anything was given.
    pub(crate) fn matcher(&self) -> Option<Matcher> {
        let Self { host, peer, address, port, src_port, proto, packets, bytes, domain, qtype, uri, agent } = self;
        let matcher = Matcher {
            group: None,
            host: host.clone(),
            peer: peer.clone(),
            address: address.clone(),
            port: *port,
            src_port: *src_port,
            proto: *proto,
            packets: *packets,
            bytes: *bytes,
            domain: domain.clone(),
            qtype: *qtype,
            uri: uri.clone(),
            agent: agent.clone(),
        };
        (matcher != Matcher::default()).then_some(matcher)
    }
}

/// `--source`.
pub(crate) fn parse_source(text: &str) -> Result<Source, String> {
    text.parse()
}

/// A moment (RFC 3339), or a time from now on (`30d`).
pub(crate) fn parse_end(text: &str) -> Result<Micros, String> {
    if let Ok(time) = humantime::parse_duration(text) {
        let micros = i64::try_from(time.as_micros()).map_err(|_| format!("\"{text}\" is too long"))?;
        return Ok(Micros(state::now().0.saturating_add(micros)));
    }
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| Micros(at.timestamp_micros()))
        .map_err(|_| format!("\"{text}\" is neither a moment (2026-11-22T10:15:00Z) nor a length of time (30d)"))
}

/// Who works at this terminal.
pub(crate) fn author(given: Option<&str>) -> String {
    let named = given.map(str::to_owned).or_else(|| std::env::var("USER").ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "local".to_owned())
}

/// What it would reach, told.
#[derive(serde::Serialize)]
pub(crate) struct Told {
    date: Option<String>,
    #[serde(flatten)]
    listed: Listed,
    of_day: Option<Records>,
}

/// Looks up what something not yet saved would reach; on the latest scored day, if none is named.
pub(crate) fn preview(lake: &Lake, target: &Target, date: Option<Day>) -> anyhow::Result<Told> {
    let scored = lake.state().runs(Some(target.source))?;
    let date = date.or_else(|| scored.iter().filter(|run| run.current).map(|run| run.date).max());
    let listed = target.listed(lake, date, state::now())?;
    let of_day = match date {
        Some(date) => {
            let engine = Engine::open(lake.clone(), EngineLimits::default())?;
            engine.block_on(target.records(&engine, date))?
        }
        None => None,
    };
    Ok(Told { date: date.map(|date| date.to_string()), listed, of_day })
}

impl Told {
    /// In a few lines.
    pub(crate) fn text(&self) -> String {
        let Listed { rows, groups, group_records, rated, best_rank, rows_of_all_days, days, .. } = &self.listed;
        let date = self.date.as_deref().unwrap_or("no scored day");
        let rank = best_rank.map(|rank| format!(", the best at place {rank}")).unwrap_or_default();
        let mut text = format!(
            "{date}: {rows} listed rows in {groups} groups ({group_records} records){rank}; {rated} of them rated already\n\
             all days: {rows_of_all_days} listed rows on {days} days"
        );
        if let Some(Records { records, hosts, records_of_day }) = &self.of_day {
            text.push_str(&format!("\n{date}: {records} of {records_of_day} records, of {hosts} hosts"));
        }
        text
    }
}

/// The source and the matcher of a command, checked against each other.
pub(crate) fn checked(source: Source, matcher: &Matcher) -> anyhow::Result<()> {
    matcher.check(source).map_err(|error| UsedWrongly(error.to_string()).into())
}
