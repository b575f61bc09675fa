//! `dns { … }`

use aggregator::lake::{Day, Source};
use aggregator::record::RecordId;
use aggregator::state::verdicts::Severity;
use analytics::sql::Param;
use async_graphql::{Context, InputObject, Interface, Object, Result, SimpleObject};
use serde::Deserialize;

use super::flow::is_scored;
use super::scalars::{SpotDate, SpotDatetime, SpotIp};
use super::story::{self, SentBack};
use super::{
    IngestSummary, LIST, NeedsAnalyst, Outcome, READS, app, around, current_run, fail, like, rows, scored, span,
};
use crate::problem::ApiError;

const HOUR: i64 = 3_600_000_000;

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "DnsSuspiciousType", complex)]
struct Suspicious {
    #[graphql(skip)]
    record_id: String,
    frame_time: SpotDatetime,
    frame_length: Option<u32>,
    client_ip: SpotIp,
    dns_query: String,
    dns_query_class: u16,
    dns_query_type: u16,
    dns_query_rcode: Option<u16>,
    score: f64,
    dns_query_rep: Option<String>,
    network_context: Option<String>,
    unix_timestamp: i64,
}

#[async_graphql::ComplexObject]
impl Suspicious {
    /// The registered domain.
    async fn tld(&self) -> String {
        let name = self.dns_query.to_ascii_lowercase();
        analytics::detect::domain::registered(&name).to_owned()
    }

    /// Scored records are not listed: always 0.
    async fn client_ip_sev(&self) -> i32 {
        0
    }

    /// Scored records are not listed: always 0.
    async fn dns_query_sev(&self) -> i32 {
        0
    }

    async fn dns_query_class_label(&self) -> String {
        class_label(self.dns_query_class)
    }

    async fn dns_query_type_label(&self) -> String {
        type_label(self.dns_query_type)
    }

    async fn dns_query_rcode_label(&self) -> Option<String> {
        self.dns_query_rcode.map(rcode_label)
    }
}

const SUSPICIOUS: &str = "record_id, first_seen AS frame_time, response_frame_len AS frame_length, client_ip, qname_wire AS dns_query, \
    qclass AS dns_query_class, qtype AS dns_query_type, rcode AS dns_query_rcode, score, \
    CASE WHEN reputation IS NULL THEN NULL ELSE concat(coalesce(reputation_source, ''), ':', CAST(reputation AS VARCHAR)) END AS dns_query_rep, \
    network_context, unix_seconds(first_seen) AS unix_timestamp";

#[derive(Deserialize)]
struct Answer {
    data: String,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "DnsEdgeDetailsType", complex)]
struct EdgeDetails {
    frame_time: SpotDatetime,
    frame_length: Option<u32>,
    client_ip: SpotIp,
    server_ip: SpotIp,
    dns_query: String,
    dns_query_class: u16,
    dns_query_type: u16,
    dns_query_rcode: Option<u16>,
    #[graphql(skip)]
    answers: Vec<Answer>,
    unix_timestamp: i64,
}

#[async_graphql::ComplexObject]
impl EdgeDetails {
    async fn dns_query_answers(&self) -> Vec<&str> {
        self.answers.iter().map(|answer| &*answer.data).collect()
    }

    async fn dns_query_class_label(&self) -> String {
        class_label(self.dns_query_class)
    }

    async fn dns_query_type_label(&self) -> String {
        type_label(self.dns_query_type)
    }

    async fn dns_query_rcode_label(&self) -> Option<String> {
        self.dns_query_rcode.map(rcode_label)
    }
}

#[derive(SimpleObject)]
#[graphql(name = "DnsIpDetailsType")]
struct IpDetails {
    dns_query: String,
    dns_query_answers: Vec<String>,
}

#[derive(Deserialize)]
struct Asked {
    dns_query: String,
    answers: Vec<Answer>,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "DnsScoredQueryType")]
struct ScoredQuery {
    datetime: SpotDatetime,
    dns_query: String,
    client_ip: SpotIp,
    #[serde(default)]
    dns_score: i32,
    #[serde(default)]
    client_ip_score: i32,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "DnsThreatDetailsType")]
struct ThreatDetails {
    total: u64,
    dns_query: Option<String>,
    client_ip: Option<SpotIp>,
}

fn class_label(class: u16) -> String {
    match class {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        4 => "HS".to_owned(),
        254 => "NONE".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("Unknown ({other})"),
    }
}

/// Names of the types that are seen in practice (IANA, DNS Resource Record Types).
fn type_label(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        other => return format!("Unknown ({other})"),
    };
    name.to_owned()
}

/// Names of the response codes (IANA, DNS RCODEs).
fn rcode_label(code: u16) -> String {
    let name = match code {
        0 => "NoError",
        1 => "FormErr",
        2 => "ServFail",
        3 => "NXDomain",
        4 => "NotImp",
        5 => "Refused",
        6 => "YXDomain",
        7 => "YXRRSet",
        8 => "NXRRSet",
        9 => "NotAuth",
        10 => "NotZone",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        other => return format!("Unknown ({other})"),
    };
    name.to_owned()
}

pub(super) struct Query;

#[Object(name = "DnsQueryType")]
impl Query {
    /// The most suspicious questions of a day that have no score yet, at most 250.
    #[graphql(complexity = "READS + child_complexity")]
    async fn suspicious(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        client_ip: Option<SpotIp>,
        #[graphql(validator(max_length = 255))] dns_query: Option<String>,
    ) -> Result<Vec<Suspicious>> {
        let (app, date) = (app(context)?, SpotDate::or_today(date));
        let Some(run) = current_run(app, Source::Dns, date).await? else { return Ok(Vec::new()) };
        let done = scored::verdicts(context, Source::Dns).await?;
        let mut params: Vec<Param> = vec![run.into(), date.to_string().into()];
        let mut wanted = "run_id = $1 AND date = $2".to_owned();
        if let Some(SpotIp(ip)) = client_ip {
            params.push(ip.into());
            wanted.push_str(&format!(" AND client_ip = ${}", params.len()));
        }
        if let Some(name) = dns_query {
            params.push(like(&name.to_lowercase()).into());
            wanted.push_str(&format!(" AND qname LIKE ${}", params.len()));
        }
        let max = LIST + done.len() as u64;
        let sql = format!("SELECT {SUSPICIOUS} FROM scores_dns WHERE {wanted} ORDER BY rank LIMIT {max}");
        let mut found: Vec<Suspicious> = rows(app, "scores", &sql, params, max).await?;
        found.retain(|row| !is_scored(&done, &row.record_id));
        found.truncate(usize::try_from(LIST).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Raw questions for a name, or a name below it, in the hour of `frameTime`.
    #[graphql(complexity = "READS + child_complexity")]
    async fn edge_details(
        &self,
        context: &Context<'_>,
        frame_time: SpotDatetime,
        #[graphql(validator(max_length = 1024))] dns_query: String,
    ) -> Result<Vec<EdgeDetails>> {
        let sql = format!(
            "SELECT first_seen AS frame_time, response_frame_len AS frame_length, client_ip, server_ip, qname_wire AS dns_query, \
             qclass AS dns_query_class, qtype AS dns_query_type, rcode AS dns_query_rcode, answers, \
             unix_seconds(first_seen) AS unix_timestamp FROM dns \
             WHERE first_seen >= $1 AND first_seen < $2 AND (qname = $3 OR ends_with(qname, $4)) \
             ORDER BY first_seen, record_id LIMIT {LIST}"
        );
        let name = dns_query.to_lowercase();
        let mut params: Vec<Param> = around(frame_time.0, HOUR).into();
        params.extend([Param::from(name.as_str()), format!(".{name}").into()]);
        rows(app(context)?, "dns", &sql, params, LIST).await
    }

    /// What a client asked on a day and was answered: the dendrogram.
    #[graphql(complexity = "READS + child_complexity")]
    async fn ip_details(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        client_ip: SpotIp,
    ) -> Result<Vec<IpDetails>> {
        const ROWS: u64 = 5000;
        let sql = format!(
            "SELECT qname AS dns_query, answers FROM dns WHERE first_seen >= $1 AND first_seen < $2 AND client_ip = $3 \
             ORDER BY first_seen, record_id LIMIT {ROWS}"
        );
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(client_ip.0.into());
        let found: Vec<Asked> = rows(app(context)?, "dns", &sql, params, ROWS).await?;
        let mut by_name: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        for row in found {
            let answers = by_name.entry(row.dns_query).or_default();
            for answer in row.answers {
                if answers.len() < 50 && !answers.contains(&answer.data) {
                    answers.push(answer.data);
                }
            }
        }
        let most = usize::try_from(LIST).unwrap_or(usize::MAX);
        let details = by_name
            .into_iter()
            .take(most)
            .map(|(dns_query, dns_query_answers)| IpDetails { dns_query, dns_query_answers });
        Ok(details.collect())
    }

    /// What was scored as a threat.
    async fn threats(&self) -> Threats {
        Threats
    }

    /// One threat.
    async fn threat(&self) -> Threat {
        Threat
    }

    /// Questions per minute.
    #[graphql(complexity = "READS + child_complexity")]
    async fn ingest_summary(
        &self,
        context: &Context<'_>,
        start_date: SpotDate,
        end_date: SpotDate,
    ) -> Result<Vec<IngestSummary>> {
        super::ingest_summary(context, "dns", start_date, end_date).await
    }
}

pub(super) struct Threats;

#[Object(name = "DnsThreatsInformationType")]
impl Threats {
    /// Questions of a day that were scored 1, high.
    #[graphql(complexity = "READS + child_complexity")]
    async fn list(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<ScoredQuery>> {
        let verdicts = scored::verdicts(context, Source::Dns).await?;
        let high: Vec<RecordId> =
            verdicts.iter().filter(|(_, (_, severity))| *severity == Severity::High).map(|(id, _)| *id).collect();
        let columns = "first_seen AS datetime, qname_wire AS dns_query, client_ip";
        let mut found: Vec<ScoredQuery> =
            scored::of_day(context, Source::Dns, SpotDate::or_today(date), columns, &high).await?;
        for row in &mut found {
            (row.dns_score, row.client_ip_score) = (1, 1);
        }
        Ok(found)
    }

    /// What was told of a day's threats.
    #[graphql(complexity = "READS + child_complexity")]
    async fn comments(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<Comment>> {
        let told = story::told(context, Source::Dns, SpotDate::or_today(date)).await?;
        let comments = told.into_iter().map(|told| {
            let (title, text) = (told.text.title, told.text.text);
            match told.subject.parse::<std::net::IpAddr>() {
                Ok(ip) => Comment::Client(ClientComment { client_ip: SpotIp(ip.to_string()), title, text }),
                Err(_) => Comment::Name(NameComment { dns_query: told.subject, title, text }),
            }
        });
        Ok(comments.collect())
    }
}

pub(super) struct Threat;

#[Object(name = "DnsThreatInformationType")]
impl Threat {
    /// Names that a client asked for on a day, or clients that asked for a name, with how often: the expanded search.
    #[graphql(complexity = "READS + child_complexity")]
    async fn details(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 1024))] dns_query: Option<String>,
        client_ip: Option<SpotIp>,
        #[graphql(default = 20)] first: u32,
    ) -> Result<Vec<ThreatDetails>> {
        counts(context, SpotDate::or_today(date), dns_query, client_ip, first).await
    }

    /// The same, as it is drawn: the first 20.
    #[graphql(complexity = "READS + child_complexity")]
    async fn incident_progression(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 1024))] dns_query: Option<String>,
        client_ip: Option<SpotIp>,
    ) -> Result<Vec<Progress>> {
        let found = counts(context, SpotDate::or_today(date), dns_query, client_ip, 20).await?;
        let progress = found.into_iter().filter_map(|ThreatDetails { total, dns_query, client_ip }| {
            let client = || client_ip.map(|client_ip| Progress::Client(ClientProgress { total, client_ip }));
            dns_query.map(|dns_query| Progress::Name(NameProgress { total, dns_query })).or_else(client)
        });
        Ok(progress.collect())
    }
}

/// Names that a client asked for on a day, or clients that asked for a name, with how often.
async fn counts(
    context: &Context<'_>,
    date: Day,
    dns_query: Option<String>,
    client_ip: Option<SpotIp>,
    first: u32,
) -> Result<Vec<ThreatDetails>> {
    let mut params: Vec<Param> = span(date).into();
    let (column, other, condition) = match (dns_query, client_ip) {
        (Some(name), None) => {
            params.push(name.to_lowercase().into());
            ("client_ip", "dns_query", "qname = $3")
        }
        (None, Some(SpotIp(ip))) => {
            params.push(ip.into());
            ("qname AS dns_query", "client_ip", "client_ip = $3")
        }
        _ => return Err(fail(ApiError::Bad("threat: give dnsQuery or clientIp".to_owned()))),
    };
    let first = u64::from(first.clamp(1, 1000));
    let sql = format!(
        "SELECT count(*) AS total, {column}, CAST(NULL AS VARCHAR) AS {other} FROM dns \
         WHERE first_seen >= $1 AND first_seen < $2 AND {condition} GROUP BY 2 ORDER BY total DESC, 2 LIMIT {first}"
    );
    rows(app(context)?, "dns", &sql, params, first).await
}

#[derive(Interface)]
#[graphql(name = "DnsIncidentProgressionInterface", field(name = "total", ty = "&u64"))]
enum Progress {
    Name(NameProgress),
    Client(ClientProgress),
}

#[derive(SimpleObject)]
#[graphql(name = "DnsIncidentProgressionQueryType")]
struct NameProgress {
    total: u64,
    dns_query: String,
}

#[derive(SimpleObject)]
#[graphql(name = "DnsIncidentProgressionClientIpType")]
struct ClientProgress {
    total: u64,
    client_ip: SpotIp,
}

#[derive(Interface)]
#[expect(clippy::duplicated_attributes, reason = "two fields of one type")]
#[graphql(name = "DnsCommentInterface", field(name = "title", ty = "&String"), field(name = "text", ty = "&String"))]
enum Comment {
    Name(NameComment),
    Client(ClientComment),
}

#[derive(SimpleObject)]
#[graphql(name = "DnsQueryCommentType")]
struct NameComment {
    dns_query: String,
    title: String,
    text: String,
}

#[derive(SimpleObject)]
#[graphql(name = "DnsClientIpCommentType")]
struct ClientComment {
    client_ip: SpotIp,
    title: String,
    text: String,
}

#[derive(InputObject)]
#[graphql(name = "DnsCreateStoryboardInputType")]
struct StoryInput {
    date: Option<SpotDate>,
    #[graphql(validator(max_length = 1024))]
    dns_query: Option<String>,
    client_ip: Option<SpotIp>,
    title: String,
    text: String,
    #[graphql(validator(max_items = 1000))]
    threat_details: Vec<Option<SentBack>>,
}

#[derive(InputObject)]
#[graphql(name = "DnsScoreInputType")]
struct ScoreInput {
    date: Option<SpotDate>,
    /// 1 high, 2 medium, 3 low.
    score: i32,
    #[graphql(validator(max_length = 1024))]
    dns_query: Option<String>,
    client_ip: Option<SpotIp>,
}

pub(super) struct Mutation;

#[Object(name = "DnsMutationType", guard = "NeedsAnalyst")]
impl Mutation {
    /// Scores the questions of a day's list of this client or for this name.
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
            given.extend(one.client_ip.map(|ip| ("client_ip", ip.0.into())));
            given.extend(one.dns_query.map(|name| ("qname", name.to_lowercase().into())));
            if given.is_empty() {
                return Err(fail(ApiError::Bad("score: give dnsQuery or clientIp".to_owned())));
            }
            let condition: Vec<String> =
                given.iter().enumerate().map(|(at, (column, _))| format!("{column} = ${}", at + 3)).collect();
            let values = given.into_iter().map(|(_, value)| value).collect();
            let of = (Source::Dns, SpotDate::or_today(one.date));
            let condition = format!("({})", condition.join(" OR "));
            let success = scored::score(context, of, severity, &condition, values).await?;
            outcomes.push(Outcome { success });
        }
        Ok(outcomes)
    }

    /// Tells a threat of a day: a story. Told again it is another version of it.
    #[graphql(complexity = "READS + child_complexity")]
    async fn create_storyboard(&self, context: &Context<'_>, input: StoryInput) -> Result<Outcome> {
        let StoryInput { date, dns_query, client_ip, title, text, threat_details: _ } = input;
        let of = (Source::Dns, SpotDate::or_today(date));
        let subject = match (dns_query, client_ip) {
            (Some(name), None) => name,
            (None, Some(SpotIp(ip))) => ip,
            _ => return Err(fail(ApiError::Bad("createStoryboard: give dnsQuery or clientIp".to_owned()))),
        };
        Ok(Outcome { success: story::tell(context, of, &subject, (&title, &text)).await? })
    }

    /// Takes the scores of a day's questions back.
    #[graphql(complexity = "READS + child_complexity")]
    async fn reset_scored_connections(&self, context: &Context<'_>, date: SpotDate) -> Result<Outcome> {
        Ok(Outcome { success: scored::reset(context, Source::Dns, date.0).await? })
    }
}
