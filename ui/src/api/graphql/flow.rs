//! `flow { … }`

use aggregator::lake::Source;
use aggregator::record::RecordId;
use aggregator::state::verdicts::Severity;
use analytics::sql::Param;
use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use serde::Deserialize;

use super::scalars::{SpotDate, SpotDatetime, SpotIp};
use super::story::{self, Impact, MapView, Progress, SentBack};
use super::{IngestSummary, LIST, NeedsAnalyst, Outcome, READS, app, around, current_run, fail, rows, scored, span};
use crate::problem::ApiError;

const MINUTE: i64 = 60_000_000;

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowSuspiciousType")]
struct Suspicious {
    #[graphql(skip)]
    record_id: String,
    tstart: SpotDatetime,
    src_ip: SpotIp,
    dst_ip: SpotIp,
    src_port: u16,
    dst_port: u16,
    protocol: String,
    in_pkts: u64,
    in_bytes: u64,
    out_pkts: Option<u64>,
    out_bytes: Option<u64>,
    score: f64,
    rank: u32,
    #[graphql(name = "srcIp_isInternal")]
    src_internal: Option<i32>,
    #[graphql(name = "dstIp_isInternal")]
    dst_internal: Option<i32>,
    #[graphql(name = "srcIp_geoloc")]
    src_geo: Option<String>,
    #[graphql(name = "dstIp_geoloc")]
    dst_geo: Option<String>,
    #[graphql(name = "srcIp_domain")]
    src_name: Option<String>,
    #[graphql(name = "dstIp_domain")]
    dst_name: Option<String>,
    #[graphql(name = "srcIp_rep")]
    src_rep: Option<String>,
    #[graphql(name = "dstIp_rep")]
    dst_rep: Option<String>,
}

const SUSPICIOUS: &str = "record_id, first_seen AS tstart, src_ip, dst_ip, src_port, dst_port, proto_name(proto) AS protocol, \
    src_packets AS in_pkts, src_bytes AS in_bytes, dst_packets AS out_pkts, dst_bytes AS out_bytes, score, rank, \
    CAST(src_internal AS INT) AS src_internal, CAST(dst_internal AS INT) AS dst_internal, src_geo, dst_geo, src_name, dst_name, \
    CASE WHEN reputation IS NULL THEN NULL ELSE concat(coalesce(reputation_source, ''), ':', CAST(reputation AS VARCHAR)) END AS dst_rep, \
    CAST(NULL AS VARCHAR) AS src_rep";

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowEdgeDetailsType")]
struct EdgeDetails {
    tstart: SpotDatetime,
    src_ip: SpotIp,
    dst_ip: SpotIp,
    src_port: u16,
    dst_port: u16,
    protocol: String,
    flags: Option<String>,
    tos: Option<u8>,
    in_bytes: u64,
    in_pkts: u64,
    in_iface: Option<u32>,
    out_iface: Option<u32>,
    router_ip: Option<String>,
    out_bytes: Option<u64>,
    out_pkts: Option<u64>,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowIpConnectionDetailsType")]
struct IpDetails {
    src_ip: SpotIp,
    dst_ip: SpotIp,
    in_bytes: u64,
    in_pkts: u64,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowScoredConnectionType")]
struct ScoredConnection {
    tstart: SpotDatetime,
    src_ip: SpotIp,
    src_port: u16,
    dst_ip: SpotIp,
    dst_port: u16,
    #[serde(default)]
    score: i32,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowThreatDetailsType")]
struct ThreatDetails {
    first_seen: SpotDatetime,
    last_seen: SpotDatetime,
    src_ip: SpotIp,
    dst_ip: SpotIp,
    src_port: u16,
    dst_port: u16,
    connections: u64,
    max_pkts: u64,
    avg_pkts: u64,
    max_bytes: u64,
    avg_bytes: u64,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "NetflowTimelineType")]
struct Timeline {
    tstart: SpotDatetime,
    tend: SpotDatetime,
    src_ip: SpotIp,
    dst_ip: SpotIp,
    protocol: String,
    src_port: u16,
    dst_port: u16,
    pkts: u64,
    bytes: u64,
}

pub(super) struct Query;

#[Object(name = "NetflowQueryType")]
impl Query {
    /// The most suspicious records of a day that have no score yet, at most 250.
    #[graphql(complexity = "READS + child_complexity")]
    async fn suspicious(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        ip: Option<SpotIp>,
    ) -> Result<Vec<Suspicious>> {
        let (app, date) = (app(context)?, SpotDate::or_today(date));
        let Some(run) = current_run(app, Source::Flow, date).await? else { return Ok(Vec::new()) };
        let done = scored::verdicts(context, Source::Flow).await?;
        let mut params: Vec<Param> = vec![run.into(), date.to_string().into()];
        let mut wanted = "run_id = $1 AND date = $2".to_owned();
        if let Some(SpotIp(ip)) = ip {
            params.push(ip.into());
            wanted.push_str(" AND (src_ip = $3 OR dst_ip = $3)");
        }
        let max = LIST + done.len() as u64;
        let sql = format!("SELECT {SUSPICIOUS} FROM scores_flow WHERE {wanted} ORDER BY rank LIMIT {max}");
        let mut found: Vec<Suspicious> = rows(app, "scores", &sql, params, max).await?;
        found.retain(|row| !is_scored(&done, &row.record_id));
        found.truncate(usize::try_from(LIST).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Raw records between two addresses in the minute of `tstart`.
    #[graphql(complexity = "READS + child_complexity")]
    async fn edge_details(
        &self,
        context: &Context<'_>,
        tstart: SpotDatetime,
        src_ip: SpotIp,
        dst_ip: SpotIp,
    ) -> Result<Vec<EdgeDetails>> {
        let sql = format!(
            "SELECT first_seen AS tstart, src_ip, dst_ip, src_port, dst_port, proto_name(proto) AS protocol, \
             tcp_flags(src_tcp_flags) AS flags, src_tos AS tos, src_bytes AS in_bytes, src_packets AS in_pkts, input_if AS in_iface, \
             output_if AS out_iface, exporter_ip AS router_ip, dst_bytes AS out_bytes, dst_packets AS out_pkts FROM flow \
             WHERE first_seen >= $1 AND first_seen < $2 AND ((src_ip = $3 AND dst_ip = $4) OR (src_ip = $4 AND dst_ip = $3)) \
             ORDER BY first_seen, record_id LIMIT {LIST}"
        );
        let mut params: Vec<Param> = around(tstart.0, MINUTE).into();
        params.extend([Param::from(src_ip.0), dst_ip.0.into()]);
        rows(app(context)?, "flow", &sql, params, LIST).await
    }

    /// Bytes and packets between an address and its peers on a day: the chord diagram.
    #[graphql(complexity = "READS + child_complexity")]
    async fn ip_details(&self, context: &Context<'_>, date: Option<SpotDate>, ip: SpotIp) -> Result<Vec<IpDetails>> {
        let sql = format!(
            "SELECT src_ip, dst_ip, sum(src_bytes) AS in_bytes, sum(src_packets) AS in_pkts FROM flow \
             WHERE first_seen >= $1 AND first_seen < $2 AND (src_ip = $3 OR dst_ip = $3) \
             GROUP BY src_ip, dst_ip ORDER BY in_bytes DESC, src_ip, dst_ip LIMIT {LIST}"
        );
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(ip.0.into());
        rows(app(context)?, "flow", &sql, params, LIST).await
    }

    /// What was scored as a threat.
    async fn threats(&self) -> Threats {
        Threats
    }

    /// One threat.
    async fn threat(&self) -> Threat {
        Threat
    }

    /// Records per minute.
    #[graphql(complexity = "READS + child_complexity")]
    async fn ingest_summary(
        &self,
        context: &Context<'_>,
        start_date: SpotDate,
        end_date: SpotDate,
    ) -> Result<Vec<IngestSummary>> {
        super::ingest_summary(context, "flow", start_date, end_date).await
    }
}

pub(super) fn is_scored<V>(done: &std::collections::HashMap<RecordId, V>, record_id: &str) -> bool {
    crate::api::rows::parse_record_id(record_id).is_ok_and(|id| done.contains_key(&RecordId(id)))
}

pub(super) struct Threats;

#[Object(name = "NetflowThreats")]
impl Threats {
    /// Records of a day that were scored 1, high.
    #[graphql(complexity = "READS + child_complexity")]
    async fn list(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<ScoredConnection>> {
        let verdicts = scored::verdicts(context, Source::Flow).await?;
        let high: Vec<RecordId> =
            verdicts.iter().filter(|(_, (_, severity))| *severity == Severity::High).map(|(id, _)| *id).collect();
        let columns = "first_seen AS tstart, src_ip, src_port, dst_ip, dst_port";
        let mut found: Vec<ScoredConnection> =
            scored::of_day(context, Source::Flow, SpotDate::or_today(date), columns, &high).await?;
        for row in &mut found {
            row.score = 1;
        }
        Ok(found)
    }

    /// What was told of a day's threats.
    #[graphql(complexity = "READS + child_complexity")]
    async fn comments(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<Comment>> {
        let told = story::told(context, Source::Flow, SpotDate::or_today(date)).await?;
        Ok(told
            .into_iter()
            .map(|told| Comment { ip: told.subject, title: told.text.title, text: told.text.text })
            .collect())
    }
}

pub(super) struct Threat;

#[Object(name = "NetflowThreatInformation")]
impl Threat {
    /// Everything an address did on a day, by peer, ports and direction: the expanded search.
    #[graphql(complexity = "READS + child_complexity")]
    async fn details(&self, context: &Context<'_>, date: Option<SpotDate>, ip: SpotIp) -> Result<Vec<ThreatDetails>> {
        let sql = "SELECT min(first_seen) AS first_seen, max(last_seen) AS last_seen, src_ip, dst_ip, src_port, dst_port, \
            count(*) AS connections, max(src_packets) AS max_pkts, CAST(avg(src_packets) AS BIGINT UNSIGNED) AS avg_pkts, \
            max(src_bytes) AS max_bytes, CAST(avg(src_bytes) AS BIGINT UNSIGNED) AS avg_bytes FROM flow \
            WHERE first_seen >= $1 AND first_seen < $2 AND (src_ip = $3 OR dst_ip = $3) \
            GROUP BY src_ip, dst_ip, src_port, dst_port ORDER BY max_bytes DESC, connections DESC LIMIT 1000";
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(ip.0.into());
        rows(app(context)?, "flow", sql, params, 1000).await
    }

    /// With whom an address spoke on a day, by who opened, inside and outside: the peers with most connections and bytes.
    #[graphql(complexity = "2 * READS + child_complexity")]
    async fn incident_progression(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        ip: SpotIp,
    ) -> Result<Progress> {
        Ok(story::board(context, &ip, SpotDate::or_today(date)).await?.progression.into())
    }

    /// The same without the peers.
    #[graphql(complexity = "2 * READS + child_complexity")]
    async fn impact_analysis(&self, context: &Context<'_>, date: Option<SpotDate>, ip: SpotIp) -> Result<Impact> {
        Ok(story::board(context, &ip, SpotDate::or_today(date)).await?.progression.into())
    }

    /// Where an address and its peers are.
    #[graphql(complexity = "2 * READS + child_complexity")]
    async fn geo_localization(&self, context: &Context<'_>, date: Option<SpotDate>, ip: SpotIp) -> Result<MapView> {
        Ok(MapView::of(&story::board(context, &ip, SpotDate::or_today(date)).await?.places))
    }

    /// When an address spoke to whom on a day, at most 1000.
    #[graphql(complexity = "READS + child_complexity")]
    async fn timeline(&self, context: &Context<'_>, date: Option<SpotDate>, ip: SpotIp) -> Result<Vec<Timeline>> {
        let sql = "SELECT min(first_seen) AS tstart, max(last_seen) AS tend, src_ip, dst_ip, proto_name(proto) AS protocol, \
            src_port, dst_port, sum(src_packets) AS pkts, sum(src_bytes) AS bytes FROM flow \
            WHERE first_seen >= $1 AND first_seen < $2 AND (src_ip = $3 OR dst_ip = $3) \
            GROUP BY src_ip, dst_ip, proto, src_port, dst_port ORDER BY tstart, src_ip, dst_ip LIMIT 1000";
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(ip.0.into());
        rows(app(context)?, "flow", sql, params, 1000).await
    }
}

#[derive(SimpleObject)]
#[graphql(name = "NetflowCommentType")]
struct Comment {
    /// What it is about: an address, where a script told it.
    ip: String,
    title: String,
    text: String,
}

#[derive(InputObject)]
#[graphql(name = "NetflowCreateStoryboardInputType")]
struct StoryInput {
    date: Option<SpotDate>,
    ip: SpotIp,
    title: String,
    text: String,
    #[graphql(validator(max_items = 1000))]
    threat_details: Vec<Option<SentBack>>,
    first: Option<u32>,
}

#[derive(InputObject)]
#[graphql(name = "NetflowScoreInputType")]
struct ScoreInput {
    date: Option<SpotDate>,
    /// 1 high, 2 medium, 3 low.
    score: i32,
    src_ip: Option<SpotIp>,
    dst_ip: Option<SpotIp>,
    src_port: Option<u16>,
    dst_port: Option<u16>,
}

pub(super) struct Mutation;

#[Object(name = "NetflowMutationType", guard = "NeedsAnalyst")]
impl Mutation {
    /// Scores the records of a day's list that have all that is given.
    #[graphql(complexity = "READS + child_complexity")]
    async fn score(
        &self,
        context: &Context<'_>,
        #[graphql(validator(max_items = 100))] input: Vec<ScoreInput>,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for one in input {
            let severity = scored::severity(one.score)?;
            let mut given: Vec<(&str, Param)> = Vec::new();
            given.extend(one.src_ip.map(|ip| ("src_ip", ip.0.into())));
            given.extend(one.dst_ip.map(|ip| ("dst_ip", ip.0.into())));
            given.extend(one.src_port.map(|port| ("src_port", port.into())));
            given.extend(one.dst_port.map(|port| ("dst_port", port.into())));
            if given.is_empty() {
                return Err(fail(ApiError::Bad("score: give srcIp, dstIp, srcPort or dstPort".to_owned())));
            }
            let condition: Vec<String> =
                given.iter().enumerate().map(|(at, (column, _))| format!("{column} = ${}", at + 3)).collect();
            let values = given.into_iter().map(|(_, value)| value).collect();
            let of = (Source::Flow, SpotDate::or_today(one.date));
            let success = scored::score(context, of, severity, &condition.join(" AND "), values).await?;
            outcomes.push(Outcome { success });
        }
        Ok(outcomes)
    }

    /// Tells a threat of a day: a story. Told again it is another version of it.
    #[graphql(complexity = "READS + child_complexity")]
    async fn create_storyboard(&self, context: &Context<'_>, input: StoryInput) -> Result<Outcome> {
        let StoryInput { date, ip, title, text, threat_details: _, first: _ } = input;
        let of = (Source::Flow, SpotDate::or_today(date));
        Ok(Outcome { success: story::tell(context, of, &ip.0, (&title, &text)).await? })
    }

    /// Takes the scores of a day's records back.
    #[graphql(complexity = "READS + child_complexity")]
    async fn reset_scored_connections(&self, context: &Context<'_>, date: SpotDate) -> Result<Outcome> {
        Ok(Outcome { success: scored::reset(context, Source::Flow, date.0).await? })
    }
}
