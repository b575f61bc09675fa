//! What is known of a value: the files of the context, the names DNS and DHCP gave it, and how many hosts talk to it.

use std::net::IpAddr;

use aggregator::lake::{Day, Table};
use aggregator::state;
use analytics::context::{Context, Reputation};
use analytics::detect::rows::Internal;
use axum::Json;
use axum::extract::{Path, State};

use super::leases;
use super::params::Params;
use super::rows::{moment, read};
use super::types::{ContextQuery, Known, NameSource, Prevalence, Problem, SeenName, ValueContext, ValueKind};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Characters a value may have.
const MAX: usize = 2048;

/// What is known of an address, a name, a URI or a user agent.
#[utoipa::path(get, path = "/api/v1/context/{value}",
    params(("value" = String, Path, description = "The value, percent-encoded"), ContextQuery),
    responses((status = 200, body = ValueContext), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn context(
    State(app): State<Shared>,
    Path(value): Path<String>,
    Params(query): Params<ContextQuery>,
) -> Result<Json<ValueContext>, ApiError> {
    let value = value.trim().to_owned();
    if value.is_empty() || value.chars().count() > MAX {
        return Err(ApiError::Bad(format!("`value` must have 1 to {MAX} characters")));
    }
    let days = query.days.unwrap_or(30);
    if !(1..=366).contains(&days) {
        return Err(ApiError::Bad(format!("`days` must be 1 to 366, not {days}")));
    }
    let kind = query.kind.unwrap_or_else(|| kind_of(&value));
    if kind == ValueKind::Address && value.parse::<IpAddr>().is_err() {
        return Err(ApiError::Bad(format!("{value:?} is no address")));
    }
    app.in_turn(look_up(&app, value, kind, days)).await.map(Json)
}

fn kind_of(value: &str) -> ValueKind {
    if value.parse::<IpAddr>().is_ok() {
        ValueKind::Address
    } else if value.contains("://") {
        ValueKind::Uri
    } else if value.contains(['/', ' ', '(']) || !value.contains('.') {
        ValueKind::Agent
    } else {
        ValueKind::Name
    }
}

async fn look_up(app: &App, value: String, kind: ValueKind, days: u32) -> Result<ValueContext, ApiError> {
    let mut known = from_files(&*app.context().await?, value, kind);
    let table = match kind {
        ValueKind::Address => Table::Flow,
        ValueKind::Name => Table::Dns,
        ValueKind::Uri | ValueKind::Agent => Table::Proxy,
    };
    let latest = app.blocking(move |lake| Ok(lake.parts(table, None)?.iter().map(|part| part.date).max())).await?;
    let Some(latest) = latest else { return Ok(known) };
    let first = Day(latest.0.saturating_sub(i32::try_from(days).unwrap_or(1) - 1));
    let since = first.to_string();
    known.prevalence = prevalence(app, &known.value, kind, &since).await?;
    if let (ValueKind::Address, Ok(ip)) = (kind, known.value.parse::<IpAddr>()) {
        known.names = names(app, ip, &since).await?;
        let end = Day(latest.0.saturating_add(1)).start();
        let held = leases::of(app, ip, (first.start(), end)).await?;
        known.names.extend(held.into_iter().take(20).map(|held| SeenName {
            name: held.name,
            source: NameSource::Dhcp,
            answers: held.count,
            first_seen: Some(moment(held.first)),
            last_seen: Some(moment(held.last)),
        }));
        known.names.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
    }
    Ok(known)
}

/// What the lists say of it.
fn reputation<'a>(context: &'a Context, value: &str, kind: ValueKind) -> Option<&'a Reputation> {
    let now = state::now();
    match kind {
        ValueKind::Address => value.parse::<IpAddr>().ok().and_then(|ip| context.of_address(ip, now)),
        ValueKind::Name => context.of_name(value, now),
        ValueKind::Uri => context.of_uri(value, now),
        ValueKind::Agent => None,
    }
}

/// What the files know of a row's value, if they know anything.
pub(super) fn known_of(context: &Context, field: &str, value: &str, kind: ValueKind) -> Option<Known> {
    let ip = value.parse::<IpAddr>().ok().filter(|_| kind == ValueKind::Address);
    let said = reputation(context, value, kind);
    let geo = ip.and_then(|ip| context.geo(ip)).map(|geo| geo.text());
    let network = ip.and_then(|ip| context.network(ip).or_else(|| context.internal(ip))).map(str::to_owned);
    (said.is_some() || geo.is_some() || network.is_some()).then(|| Known {
        field: field.to_owned(),
        reputation: said.map(|said| said.level),
        reputation_source: said.map(|said| said.source.clone()),
        geo,
        network_context: network,
    })
}

/// What the files of the context say.
fn from_files(context: &Context, value: String, kind: ValueKind) -> ValueContext {
    let ip = value.parse::<IpAddr>().ok().filter(|_| kind == ValueKind::Address);
    let geo = ip.and_then(|ip| context.geo(ip));
    let said = reputation(context, &value, kind);
    let internal_name = ip.and_then(|ip| context.internal(ip)).map(str::to_owned);
    ValueContext {
        kind,
        internal: ip.map(|ip| internal_name.is_some() || Internal::default().holds(ip)),
        network_context: ip.and_then(|ip| context.network(ip)).map(str::to_owned),
        geo: geo.as_ref().map(|geo| geo.text()),
        country: geo.as_ref().and_then(|geo| geo.country.clone()),
        latitude: geo.as_ref().and_then(|geo| geo.latitude),
        longitude: geo.as_ref().and_then(|geo| geo.longitude),
        asn: geo.as_ref().and_then(|geo| geo.asn),
        reputation: said.map(|said| said.level),
        reputation_source: said.map(|said| said.source.clone()),
        popularity: (kind == ValueKind::Name).then(|| context.popularity(&value)).flatten(),
        names: Vec::new(),
        prevalence: Prevalence::default(),
        internal_name,
        value,
    }
}

/// Who talks to it. An address counts as a responder, a name with all under it.
async fn prevalence(app: &App, value: &str, kind: ValueKind, since: &str) -> Result<Prevalence, ApiError> {
    let (table, host, takes) = match kind {
        ValueKind::Address => ("flow", "src_ip", "dst_ip = $2"),
        ValueKind::Name => ("dns", "client_ip", "(qname = $2 OR ends_with(qname, concat('.', $2)))"),
        ValueKind::Uri => ("proxy", "client_ip", "starts_with(full_uri, $2)"),
        ValueKind::Agent => ("proxy", "client_ip", "user_agent = $2"),
    };
    // The lake has addresses in canonical text and names in lower case.
    let value = match value.parse::<IpAddr>() {
        Ok(ip) if kind == ValueKind::Address => ip.to_string(),
        _ if kind == ValueKind::Name => value.trim_end_matches('.').to_lowercase(),
        _ => value.to_owned(),
    };
    let sql = format!(
        "SELECT count(DISTINCT {host}) AS hosts, count(*) AS records, min(first_seen) AS first_seen, max(last_seen) AS last_seen \
         FROM {table} WHERE date >= $1 AND {takes}"
    );
    let rows = app.rows(&sql, vec![since.into(), value.into()], 1).await?;
    let found = read::<Prevalence>(rows, table)?.into_iter().next().unwrap_or_default();
    let sql = format!("SELECT count(DISTINCT {host}) AS hosts FROM {table} WHERE date >= $1");
    let all = app
        .rows(&sql, vec![since.into()], 1)
        .await?
        .rows
        .pop()
        .and_then(|row| row.get("hosts")?.as_u64())
        .unwrap_or_default();
    Ok(Prevalence { of_hosts: all, since: Some(since.to_owned()), ..found })
}

/// The names that DNS gave an address.
async fn names(app: &App, ip: IpAddr, since: &str) -> Result<Vec<SeenName>, ApiError> {
    let sql = "SELECT name, 'dns' AS source, count(*) AS answers, min(first_seen) AS first_seen, max(last_seen) AS last_seen FROM \
        (SELECT qname AS name, first_seen, last_seen FROM dns \
         WHERE date >= $1 AND strpos(concat('|', dns_addresses(answers), '|'), $2) > 0) GROUP BY name ORDER BY 5 DESC, name LIMIT 20";
    let rows = app.rows(sql, vec![since.into(), format!("|{ip}|").into()], 20).await?;
    read(rows, "dns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_form() {
        for (value, kind) in [
            ("10.0.0.1", ValueKind::Address),
            ("2001:db8::1", ValueKind::Address),
            ("www.example.com", ValueKind::Name),
            ("http://example.com/a", ValueKind::Uri),
            ("curl/8.1", ValueKind::Agent),
            ("Mozilla/5.0 (X11)", ValueKind::Agent),
        ] {
            assert_eq!(kind_of(value), kind, "{value}");
        }
    }
}
