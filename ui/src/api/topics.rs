//! The topics behind a score, from the model that the record's run has kept.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aggregator::lake::Lake;
use aggregator::record::RecordId;
use analytics::score::{KEPT, Topics};
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;

use super::list::find;
use super::params::{Params, parse_source};
use super::rows::{parse_day, parse_record_id, read};
use super::types::{DayQuery, HostTopic, HostTopics, Problem, RecordTopics, Source, TopicWord};
use super::words;
use crate::app::{App, Shared};
use crate::door::Opened;
use crate::problem::ApiError;

/// Models whose topics are held in memory; the one asked for longest ago gives way.
const HELD: usize = 6;

/// Topics told of a host: as many as hold this share of it, and no more than so many.
const MOST_OF_IT: f64 = 0.9;
const TOLD: usize = 5;

/// The topics of the models asked for last.
#[derive(Debug, Default)]
pub(crate) struct Models {
    /// By path; the one asked for last at the end.
    held: Mutex<VecDeque<(PathBuf, Arc<Topics>)>>,
}

impl Models {
    /// The topics of a model's file. Reads it where they are not held: meanwhile others wait, so that it is read once.
    pub(crate) fn of(&self, path: &Path) -> io::Result<Arc<Topics>> {
        // A panic cannot leave the queue between two states.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.iter().position(|(of, _)| of == path).and_then(|at| held.remove(at));
        let entry = match known {
            Some(entry) => entry,
            None => (path.to_owned(), Arc::new(Topics::open(path)?)),
        };
        let topics = Arc::clone(&entry.1);
        held.push_back(entry);
        while held.len() > HELD {
            held.pop_front();
        }
        Ok(topics)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn forget(&self, path: &Path) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| of != path);
    }
}

/// A host that was judged, with its word.
struct Judged {
    side: Option<&'static str>,
    host: String,
    word: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Flow { src_ip: String, dst_ip: String, src_word: String, dst_word: String },
    Other { client_ip: String, word: String },
}

/// The hosts of a record, as its run judged them, and the model that did.
async fn judged(
    app: &App,
    source: Source,
    record_id: &str,
    query: &DayQuery,
) -> Result<(String, Vec<Judged>), ApiError> {
    let id = parse_record_id(record_id)?;
    let date = parse_day(&query.date)?;
    let found = app.blocking(move |lake| find(lake, source, Some(date), None)).await?;
    let missing = || ApiError::Missing(format!("score of the {} record {record_id} on {date}", source.as_str()));
    let run = found.and_then(|found| found.run).ok_or_else(missing)?;
    let columns = match source {
        Source::Flow => "src_ip, dst_ip, src_word, dst_word",
        Source::Dns | Source::Proxy => "client_ip, word",
    };
    let sql = format!(
        "SELECT {columns} FROM scores_{} WHERE run_id = $1 AND date = $2 AND record_id = $3 LIMIT 1",
        source.as_str()
    );
    let params = vec![run.run_id.as_str().into(), date.to_string().into(), RecordId(id).into()];
    let rows: Vec<Row> = read(app.rows(&sql, params, 1).await?, "scores")?;
    let hosts = match rows.into_iter().next().ok_or_else(missing)? {
        Row::Flow { src_ip, dst_ip, src_word, dst_word } => vec![
            Judged { side: Some("src"), host: src_ip, word: src_word },
            Judged { side: Some("dst"), host: dst_ip, word: dst_word },
        ],
        Row::Other { client_ip, word } => vec![Judged { side: None, host: client_ip, word }],
    };
    Ok((run.model, hosts))
}

/// What is said where a run's model is not there.
fn gone(model: &str) -> ApiError {
    ApiError::Missing(if model.is_empty() {
        "model of these scores: they were not made here, or before models were kept".to_owned()
    } else {
        format!(
            "file of the model of these scores any more ({model}): the newest {KEPT} of a source are kept. Score the day again to see its topics"
        )
    })
}

/// The path of a kept model.
fn path_of(lake: &Lake, model: &str) -> Result<PathBuf, ApiError> {
    let file = lake.state().model(model)?.and_then(|model| model.file).ok_or_else(|| gone(model))?;
    Ok(lake.dir().join(file))
}

fn told(topics: &Topics, source: Source, judged: Judged) -> io::Result<HostTopics> {
    let Judged { side, host, word } = judged;
    let shares = topics.of_host(&host)?.unwrap_or_default();
    let of_word = topics.of_word(&word)?;
    let mut order: Vec<(usize, f64)> = shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let most = order.iter().position(|(_, share)| {
        sum += share;
        sum >= MOST_OF_IT
    });
    order.truncate(most.map_or(TOLD, |at| at + 1).min(TOLD));
    let topic = |(at, host_share): (usize, f64)| {
        let topic = topics.topics().get(at)?;
        let word = |word: &analytics::score::TopicWord| TopicWord {
            features: words::of_source(source, &word.word),
            word: word.word.clone(),
            share: word.share,
        };
        Some(HostTopic {
            topic: at as u32 + 1,
            host_share,
            all_share: topic.share,
            word_share: of_word.as_ref().and_then(|shares| shares.get(at)).copied(),
            words: topic.words.iter().map(word).collect(),
        })
    };
    Ok(HostTopics { side: side.map(str::to_owned), topics: order.into_iter().filter_map(topic).collect(), host, word })
}

/// The topics of the hosts of a scored record, by the model of its day's current run. 404 where that model is kept no longer.
#[utoipa::path(get, path = "/api/v1/topics/{source}/{record_id}",
    params(("source" = Source, Path, description = "Which scores"),
        ("record_id" = String, Path, description = "Identity, 32 hexadecimal digits"), DayQuery),
    responses((status = 200, body = RecordTopics), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn topics(
    State(app): State<Shared>,
    axum::extract::Path((source, record_id)): axum::extract::Path<(String, String)>,
    Params(query): Params<DayQuery>,
) -> Result<(Extension<Opened>, Json<RecordTopics>), ApiError> {
    let source = parse_source(&source)?;
    let work = async {
        let (model, hosts) = judged(&app, source, &record_id, &query).await?;
        let models = Arc::clone(&app.models);
        app.blocking(move |lake| {
            let path = path_of(lake, &model)?;
            let made = models.of(&path).and_then(|topics| {
                let hosts = hosts.into_iter().map(|judged| told(&topics, source, judged)).collect::<io::Result<_>>()?;
                Ok((topics.date().to_string(), topics.topics().len() as u32, hosts))
            });
            match made {
                Ok((date, topics, hosts)) => Ok(Json(RecordTopics { model, date, topics, hosts })),
                Err(error) => {
                    models.forget(&path);
                    Err(match error.kind() {
                        io::ErrorKind::NotFound => gone(&model),
                        _ => ApiError::Broken(format!("the model {model} cannot be read: {error}")),
                    })
                }
            }
        })
        .await
    };
    let told = app.in_turn(work).await?;
    Ok((Extension(Opened::one(source, &record_id)), told))
}
