//! `proxy { … }`

use aggregator::lake::Source;
use aggregator::record::RecordId;
use aggregator::state::verdicts::Severity;
use analytics::sql::Param;
use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use serde::Deserialize;

use super::flow::is_scored;
use super::scalars::{SpotDate, SpotDatetime, SpotIp};
use super::story::{self, SentBack};
use super::{IngestSummary, LIST, NeedsAnalyst, Outcome, READS, app, current_run, like, rows, scored, span};

/// A request, as Spot shows it in its lists and details.
#[derive(SimpleObject, Deserialize)]
#[graphql(name = "ProxyRequestType", complex)]
struct ProxyRequest {
    #[graphql(skip)]
    record_id: String,
    datetime: SpotDatetime,
    client_ip: SpotIp,
    host: String,
    request_method: String,
    user_agent: Option<String>,
    response_content_type: Option<String>,
    /// Milliseconds.
    duration: Option<u64>,
    username: Option<String>,
    web_category: Option<String>,
    referer: Option<String>,
    response_code: Option<u16>,
    uri_port: Option<u16>,
    uri_path: Option<String>,
    uri_query: Option<String>,
    server_ip: Option<String>,
    server_to_client_bytes: Option<u64>,
    client_to_server_bytes: Option<u64>,
    uri: String,
    /// P(word | host); `null` outside of lists of suspicious requests.
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    uri_rep: Option<String>,
    #[serde(default)]
    network_context: Option<String>,
}

#[async_graphql::ComplexObject]
impl ProxyRequest {
    /// The name of the response code (RFC 9110).
    async fn response_code_label(&self) -> Option<&'static str> {
        status_label(self.response_code?)
    }
}

fn status_label(code: u16) -> Option<&'static str> {
    axum::http::StatusCode::from_u16(code).ok()?.canonical_reason()
}

const REQUEST: &str = "record_id, first_seen AS datetime, client_ip, host, method AS request_method, user_agent, \
    content_type AS response_content_type, duration_us / 1000 AS duration, username, category AS web_category, referer, \
    status AS response_code, server_ip, response_bytes AS server_to_client_bytes, \
    request_bytes AS client_to_server_bytes, full_uri AS uri";
/// What the raw records have beside it.
const RAW: &str = "server_port AS uri_port, uri_path, uri_query";
const SCORED: &str = "score, network_context, \
    CASE WHEN reputation IS NULL THEN NULL ELSE concat(coalesce(reputation_source, ''), ':', CAST(reputation AS VARCHAR)) END AS uri_rep";

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "ProxyScoredRequestType")]
struct ScoredRequest {
    datetime: SpotDatetime,
    uri: String,
    #[serde(default)]
    score: i32,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "ProxyIncidentProgressionRequestType")]
struct ProgressionRequest {
    client_ip: SpotIp,
    referer: Option<String>,
    request_method: String,
    response_content_type: Option<String>,
}

#[derive(SimpleObject)]
#[graphql(name = "ProxyIncidentProgressionType")]
struct IncidentProgression {
    uri: String,
    /// URIs that were reached from it.
    referer_for: Vec<String>,
    /// Who asked for it, from where and how.
    requests: Vec<ProgressionRequest>,
}

#[derive(Deserialize)]
struct Reached {
    uri: String,
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "ProxyTimelineType", complex)]
struct Timeline {
    start_datetime: SpotDatetime,
    end_datetime: SpotDatetime,
    /// Milliseconds in all.
    duration: Option<u64>,
    client_ip: SpotIp,
    response_code: Option<u16>,
}

#[async_graphql::ComplexObject]
impl Timeline {
    async fn response_code_label(&self) -> Option<&'static str> {
        status_label(self.response_code?)
    }
}

pub(super) struct Query;

#[Object(name = "ProxyQueryType")]
impl Query {
    /// The most suspicious requests of a day that have no score yet, at most 250.
    #[graphql(complexity = "READS + child_complexity")]
    async fn suspicious(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 8192))] uri: Option<String>,
        client_ip: Option<SpotIp>,
    ) -> Result<Vec<ProxyRequest>> {
        let (app, date) = (app(context)?, SpotDate::or_today(date));
        let Some(run) = current_run(app, Source::Proxy, date).await? else { return Ok(Vec::new()) };
        let done = scored::verdicts(context, Source::Proxy).await?;
        let mut params: Vec<Param> = vec![run.into(), date.to_string().into()];
        let mut wanted = "run_id = $1 AND date = $2".to_owned();
        if let Some(SpotIp(ip)) = client_ip {
            params.push(ip.into());
            wanted.push_str(&format!(" AND client_ip = ${}", params.len()));
        }
        if let Some(uri) = uri {
            params.push(like(&uri).into());
            wanted.push_str(&format!(" AND full_uri LIKE ${}", params.len()));
        }
        let max = LIST + done.len() as u64;
        let sql = format!("SELECT {REQUEST}, {SCORED} FROM scores_proxy WHERE {wanted} ORDER BY rank LIMIT {max}");
        let mut found: Vec<ProxyRequest> = rows(app, "scores", &sql, params, max).await?;
        found.retain(|row| !is_scored(&done, &row.record_id));
        found.truncate(usize::try_from(LIST).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Raw requests of a client for a URI on a day.
    #[graphql(complexity = "READS + child_complexity")]
    async fn edge_details(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 8192))] uri: String,
        client_ip: SpotIp,
    ) -> Result<Vec<ProxyRequest>> {
        let sql = format!(
            "SELECT {REQUEST}, {RAW} FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND full_uri = $3 AND client_ip = $4 \
             ORDER BY first_seen, record_id LIMIT {LIST}"
        );
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.extend([Param::from(uri), client_ip.0.into()]);
        rows(app(context)?, "proxy", &sql, params, LIST).await
    }

    /// What was scored as a threat.
    async fn threats(&self) -> Threats {
        Threats
    }

    /// One threat.
    async fn threat(&self) -> Threat {
        Threat
    }

    /// Requests per minute.
    #[graphql(complexity = "READS + child_complexity")]
    async fn ingest_summary(
        &self,
        context: &Context<'_>,
        start_date: SpotDate,
        end_date: SpotDate,
    ) -> Result<Vec<IngestSummary>> {
        super::ingest_summary(context, "proxy", start_date, end_date).await
    }
}

pub(super) struct Threats;

#[Object(name = "ProxyThreatsType")]
impl Threats {
    /// Requests of a day that were scored 1, high.
    #[graphql(complexity = "READS + child_complexity")]
    async fn list(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<ScoredRequest>> {
        let verdicts = scored::verdicts(context, Source::Proxy).await?;
        let high: Vec<RecordId> =
            verdicts.iter().filter(|(_, (_, severity))| *severity == Severity::High).map(|(id, _)| *id).collect();
        let columns = "first_seen AS datetime, full_uri AS uri";
        let mut found: Vec<ScoredRequest> =
            scored::of_day(context, Source::Proxy, SpotDate::or_today(date), columns, &high).await?;
        for row in &mut found {
            row.score = 1;
        }
        Ok(found)
    }

    /// What was told of a day's threats.
    #[graphql(complexity = "READS + child_complexity")]
    async fn comments(&self, context: &Context<'_>, date: Option<SpotDate>) -> Result<Vec<Comment>> {
        let told = story::told(context, Source::Proxy, SpotDate::or_today(date)).await?;
        Ok(told
            .into_iter()
            .map(|told| Comment { uri: told.subject, title: told.text.title, text: told.text.text })
            .collect())
    }
}

pub(super) struct Threat;

#[Object(name = "ProxyThreatInformation")]
impl Threat {
    /// Requests of a day for a URI, and those that came from it: the expanded search.
    #[graphql(complexity = "READS + child_complexity")]
    async fn details(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 8192))] uri: String,
    ) -> Result<Vec<ProxyRequest>> {
        let sql = format!(
            "SELECT {REQUEST}, {RAW} FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND (full_uri = $3 OR referer = $3) \
             ORDER BY first_seen, record_id LIMIT 1000"
        );
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(uri.into());
        rows(app(context)?, "proxy", &sql, params, 1000).await
    }

    /// From where a URI was reached, and what was reached from it.
    #[graphql(complexity = "2 * READS + child_complexity")]
    async fn incident_progression(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 8192))] uri: String,
    ) -> Result<IncidentProgression> {
        let app = app(context)?;
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(uri.as_str().into());
        let asked = "SELECT DISTINCT client_ip, referer, method AS request_method, content_type AS response_content_type FROM proxy \
            WHERE first_seen >= $1 AND first_seen < $2 AND full_uri = $3 ORDER BY 1, 2, 3, 4 LIMIT 1000";
        let requests = rows(app, "proxy", asked, params.clone(), 1000).await?;
        let reached = "SELECT DISTINCT full_uri AS uri FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND referer = $3 \
            ORDER BY 1 LIMIT 1000";
        let reached: Vec<Reached> = rows(app, "proxy", reached, params, 1000).await?;
        Ok(IncidentProgression { uri, referer_for: reached.into_iter().map(|row| row.uri).collect(), requests })
    }

    /// When each client asked for a URI on a day.
    #[graphql(complexity = "READS + child_complexity")]
    async fn timeline(
        &self,
        context: &Context<'_>,
        date: Option<SpotDate>,
        #[graphql(validator(max_length = 8192))] uri: String,
    ) -> Result<Vec<Timeline>> {
        let sql = "SELECT min(first_seen) AS start_datetime, max(last_seen) AS end_datetime, sum(duration_us) / 1000 AS duration, client_ip, \
            status AS response_code FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND full_uri = $3 \
            GROUP BY client_ip, status ORDER BY start_datetime, client_ip, response_code LIMIT 1000";
        let mut params: Vec<Param> = span(SpotDate::or_today(date)).into();
        params.push(uri.into());
        rows(app(context)?, "proxy", sql, params, 1000).await
    }
}

#[derive(SimpleObject)]
#[graphql(name = "ProxyCommentType")]
struct Comment {
    /// What it is about: a URI, where a script told it.
    uri: String,
    title: String,
    text: String,
}

#[derive(InputObject)]
#[graphql(name = "ProxyCreateStoryboardInputType")]
struct StoryInput {
    date: Option<SpotDate>,
    #[graphql(validator(max_length = 8192))]
    uri: String,
    title: String,
    text: String,
    #[graphql(validator(max_items = 1000))]
    threat_details: Vec<Option<SentBack>>,
    first: Option<u32>,
}

#[derive(InputObject)]
#[graphql(name = "ProxyScoreInputType")]
struct ScoreInput {
    date: Option<SpotDate>,
    /// 1 high, 2 medium, 3 low.
    score: i32,
    #[graphql(validator(max_length = 8192))]
    uri: String,
}

pub(super) struct Mutation;

#[Object(name = "ProxyMutationType", guard = "NeedsAnalyst")]
impl Mutation {
    /// Scores the requests of a day's list for this URI.
    #[graphql(complexity = "READS + child_complexity")]
    async fn score(
        &self,
        context: &Context<'_>,
        #[graphql(validator(max_items = 100))] input: Vec<ScoreInput>,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for one in input {
            let of = (Source::Proxy, SpotDate::or_today(one.date));
            let severity = scored::severity(one.score)?;
            let success = scored::score(context, of, severity, "full_uri = $3", vec![one.uri.into()]).await?;
            outcomes.push(Outcome { success });
        }
        Ok(outcomes)
    }

    /// Tells a threat of a day: a story. Told again it is another version of it.
    #[graphql(complexity = "READS + child_complexity")]
    async fn create_storyboard(&self, context: &Context<'_>, input: StoryInput) -> Result<Outcome> {
        let StoryInput { date, uri, title, text, threat_details: _, first: _ } = input;
        let of = (Source::Proxy, SpotDate::or_today(date));
        Ok(Outcome { success: story::tell(context, of, &uri, (&title, &text)).await? })
    }

    /// Takes the scores of a day's requests back.
    #[graphql(complexity = "READS + child_complexity")]
    async fn reset_scored_connections(&self, context: &Context<'_>, date: SpotDate) -> Result<Outcome> {
        Ok(Outcome { success: scored::reset(context, Source::Proxy, date.0).await? })
    }
}
