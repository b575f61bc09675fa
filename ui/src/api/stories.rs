//! Stories: told, edited, commented, pinned; as a report and as evidence.

use aggregator::lake::Lake;
use aggregator::record::{Micros, RecordId};
use aggregator::state::stories::{self as kept, Changed, StoryId};
use analytics::sql::{Param, Rows};
use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::investigate::{Span, Subject, board_of};
use super::params::{Given, Params, parse_source};
use super::rows::{moment, parse_moment, parse_record_id, record_text};
use super::types::{
    NewComment, NewPin, NewStory, Problem, Source, Stories, StoriesQuery, Story, StoryComment, StoryEdit, StoryPin,
    StoryVersion, WholeStory,
};
use crate::app::{App, Shared};
use crate::author::Author;
use crate::door::{Caller, Work};
use crate::problem::ApiError;
use crate::story::evidence::{self, Entry};
use crate::story::{markdown, report};

/// Characters of a headline.
const MAX_TITLE: usize = 200;
/// Bytes of a text.
const MAX_TEXT: usize = 32 << 10;
/// Characters of a comment.
const MAX_COMMENT: usize = 8_000;
/// Characters of a note on a pin.
const MAX_NOTE: usize = 2_000;
/// Ledger rows in a bundle.
const MAX_LEDGER: u64 = 200_000;
/// Captures in a bundle.
const MAX_ORIGINALS: usize = 64;

/// The stories, latest change first.
#[utoipa::path(get, path = "/api/v1/stories", params(StoriesQuery), responses(
    (status = 200, body = Stories), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn stories(
    State(app): State<Shared>,
    Params(query): Params<StoriesQuery>,
) -> Result<Json<Stories>, ApiError> {
    let time = |name, text: Option<&str>, else_at| text.map_or(Ok(Micros(else_at)), |text| parse_moment(name, text));
    let from = time("from", query.from.as_deref(), i64::MIN)?;
    let to = time("to", query.to.as_deref(), i64::MAX)?;
    let stories = app.blocking(move |lake| Ok(lake.state().stories(from, to)?)).await?;
    Ok(Json(Stories { stories: stories.into_iter().map(story_of).collect() }))
}

/// Tells a story.
#[utoipa::path(post, path = "/api/v1/stories", request_body = NewStory, responses(
    (status = 201, body = Story), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn tell(
    State(app): State<Shared>,
    author: Author,
    Given(new): Given<NewStory>,
) -> Result<(StatusCode, Json<Story>), ApiError> {
    let span = Span::parse(&new.from, &new.to)?;
    let subject = Subject::parse(&new.subject)?.text();
    let (title, text) = check_text(&new.title, &new.text)?;
    let new = kept::NewStory {
        source: new.source.lake(),
        subject,
        first: span.from,
        last: span.to,
        title,
        text,
        author: author.0,
        time: aggregator::state::now(),
    };
    let story = app
        .blocking(move |lake| {
            let id = lake.state().add_story(&new)?;
            find(lake, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(story_of(story))))
}

/// One story with its pins, comments and versions.
#[utoipa::path(get, path = "/api/v1/stories/{story_id}", params(("story_id" = i64, Path, description = "Its number")), responses(
    (status = 200, body = WholeStory), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn story(State(app): State<Shared>, Path(id): Path<String>) -> Result<Json<WholeStory>, ApiError> {
    let id = parse_id(&id)?;
    app.in_turn(whole(&app, id)).await.map(Json)
}

/// Changes a story's text: a new version. 409 if someone else changed it meanwhile.
#[utoipa::path(put, path = "/api/v1/stories/{story_id}", params(("story_id" = i64, Path, description = "Its number")),
    request_body = StoryEdit, responses((status = 200, body = Story), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn edit(
    State(app): State<Shared>,
    Path(id): Path<String>,
    author: Author,
    Given(edit): Given<StoryEdit>,
) -> Result<Json<Story>, ApiError> {
    let id = parse_id(&id)?;
    let (title, text) = check_text(&edit.title, &edit.text)?;
    let story = app
        .blocking(move |lake| {
            let now = aggregator::state::now();
            done(id, lake.state().edit_story(id, edit.version, &title, &text, &author.0, now)?)?;
            find(lake, id)
        })
        .await?;
    Ok(Json(story_of(story)))
}

/// Takes a story off the list. It is kept, and its versions with it.
#[utoipa::path(delete, path = "/api/v1/stories/{story_id}", params(("story_id" = i64, Path, description = "Its number")), responses(
    (status = 204), (status = 404, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn retire(
    State(app): State<Shared>,
    Path(id): Path<String>,
    _: Author,
) -> Result<StatusCode, ApiError> {
    let id = parse_id(&id)?;
    app.blocking(move |lake| done(id, lake.state().retire_story(id, aggregator::state::now())?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a comment.
#[utoipa::path(post, path = "/api/v1/stories/{story_id}/comments", params(("story_id" = i64, Path, description = "Its number")),
    request_body = NewComment, responses((status = 201, body = WholeStory), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn comment(
    State(app): State<Shared>,
    Path(id): Path<String>,
    author: Author,
    Given(new): Given<NewComment>,
) -> Result<(StatusCode, Json<WholeStory>), ApiError> {
    let id = parse_id(&id)?;
    let text = check(&new.text, "text", MAX_COMMENT)?;
    app.blocking(move |lake| done(id, lake.state().comment(id, &author.0, &text, aggregator::state::now())?)).await?;
    Ok((StatusCode::CREATED, Json(app.in_turn(whole(&app, id)).await?)))
}

/// Pins a record, or changes the note of one that is pinned.
#[utoipa::path(post, path = "/api/v1/stories/{story_id}/pins", params(("story_id" = i64, Path, description = "Its number")),
    request_body = NewPin, responses((status = 201, body = WholeStory), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn pin(
    State(app): State<Shared>,
    Path(id): Path<String>,
    author: Author,
    Given(new): Given<NewPin>,
) -> Result<(StatusCode, Json<WholeStory>), ApiError> {
    let id = parse_id(&id)?;
    let note = new.note.filter(|note| !note.trim().is_empty());
    let pin = kept::Pin {
        source: new.source.lake(),
        record: RecordId(parse_record_id(&new.record_id)?),
        first_seen: parse_moment("first_seen", &new.first_seen)?,
        note: note.map(|note| check(&note, "note", MAX_NOTE)).transpose()?,
        author: author.0,
        time: aggregator::state::now(),
    };
    // A pin on nothing would be found out when it is too late to mend.
    if summaries(&app, new.source, std::slice::from_ref(&pin)).await?.is_empty() {
        return Err(ApiError::Missing(format!(
            "{} record {} at {}",
            new.source.as_str(),
            new.record_id,
            new.first_seen
        )));
    }
    app.blocking(move |lake| done(id, lake.state().pin(id, &pin)?)).await?;
    Ok((StatusCode::CREATED, Json(app.in_turn(whole(&app, id)).await?)))
}

/// Takes a pin away.
#[utoipa::path(delete, path = "/api/v1/stories/{story_id}/pins/{source}/{record_id}",
    params(("story_id" = i64, Path, description = "Its number"), ("source" = Source, Path, description = "The record's table"),
        ("record_id" = String, Path, description = "The record")),
    responses((status = 204), (status = 404, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn unpin(
    State(app): State<Shared>,
    Path((id, source, record)): Path<(String, String, String)>,
    _: Author,
) -> Result<StatusCode, ApiError> {
    let id = parse_id(&id)?;
    let (source, record) = (parse_source(&source)?.lake(), RecordId(parse_record_id(&record)?));
    app.blocking(move |lake| done(id, lake.state().unpin(id, source, record)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A story as one HTML file.
#[utoipa::path(get, path = "/api/v1/stories/{story_id}/report.html", params(("story_id" = i64, Path, description = "Its number")), responses(
    (status = 200, content_type = "text/html", body = String), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn report(
    State(app): State<Shared>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = parse_id(&id)?;
    let mut work = Work::begin(&app, &caller, "export", uri.path()).await?;
    let page = app.in_turn(report_of(&app, id)).await?;
    work.rows(pins_of(&app, id).await?);
    work.done().await;
    Ok(file("text/html; charset=utf-8", &format!("story-{}.html", id.0), Body::from(page)))
}

/// A story's evidence: records, captures that were kept, ledger, report, hashes; a tar.
#[utoipa::path(get, path = "/api/v1/stories/{story_id}/evidence.tar", params(("story_id" = i64, Path, description = "Its number")), responses(
    (status = 200, content_type = "application/x-tar", body = Vec<u8>), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn evidence(
    State(app): State<Shared>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = parse_id(&id)?;
    let mut work = Work::begin(&app, &caller, "export", uri.path()).await?;
    let entries = app.in_turn(entries(&app, id)).await?;
    work.rows(pins_of(&app, id).await?);
    let (to, from) = tokio::sync::mpsc::channel(4);
    let time = u64::try_from(aggregator::state::now().0 / 1_000_000).unwrap_or(0);
    tokio::task::spawn_blocking(move || evidence::send(entries, time, &to));
    work.done().await;
    Ok(file("application/x-tar", &format!("story-{}.tar", id.0), Body::from_stream(from_channel(from))))
}

/// Records that a story has pinned.
async fn pins_of(app: &App, id: StoryId) -> Result<u64, ApiError> {
    app.blocking(move |lake| Ok(lake.state().pins(id)?.len() as u64)).await
}

/// What comes through a channel, until its sender is gone. May be asked again after its end: compression does.
pub(in crate::api) fn from_channel<T>(mut from: tokio::sync::mpsc::Receiver<T>) -> impl futures::Stream<Item = T> {
    futures::stream::poll_fn(move |context| from.poll_recv(context))
}

/// An answer that a browser saves and never shows.
pub(super) fn file(kind: &str, name: &str, body: Body) -> Response {
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (head, body).into_response()
}

fn parse_id(text: &str) -> Result<StoryId, ApiError> {
    text.parse().map(StoryId).map_err(|_| ApiError::Missing(format!("story {text:?}")))
}

fn check(text: &str, name: &str, most: usize) -> Result<String, ApiError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > most {
        return Err(ApiError::Bad(format!("`{name}` must have 1 to {most} characters, not {length}")));
    }
    Ok(text.to_owned())
}

/// A headline and a text as they are kept.
pub(super) fn check_text(title: &str, text: &str) -> Result<(String, String), ApiError> {
    let title = check(title, "title", MAX_TITLE)?;
    if text.len() > MAX_TEXT {
        return Err(ApiError::Bad(format!("`text` may have {MAX_TEXT} bytes, not {}", text.len())));
    }
    Ok((title, text.to_owned()))
}

fn done(StoryId(id): StoryId, changed: Changed) -> Result<(), ApiError> {
    match changed {
        Changed::Done(_) => Ok(()),
        Changed::Missing => Err(ApiError::Missing(format!("story {id}, or what was to be taken from it"))),
        Changed::Stale(version) => Err(ApiError::Conflict(format!(
            "someone else changed the story meanwhile: it has version {version} now; look at it, and edit that one"
        ))),
        Changed::Full => Err(ApiError::Bad(format!(
            "a story may have {} pins and {} comments; tell another one",
            kept::MAX_PINS,
            kept::MAX_COMMENTS
        ))),
    }
}

fn find(lake: &Lake, id: StoryId) -> Result<kept::Story, ApiError> {
    let story = lake.state().story(id)?.filter(|story| story.retired.is_none());
    story.ok_or_else(|| ApiError::Missing(format!("story {}", id.0)))
}

fn source_of(source: aggregator::lake::Source) -> Source {
    Source::ALL.into_iter().find(|known| known.lake() == source).unwrap_or(Source::Flow)
}

fn story_of(story: kept::Story) -> Story {
    Story {
        story_id: story.id.0,
        source: source_of(story.source),
        subject: story.subject,
        from: moment(story.first),
        to: moment(story.last),
        title: story.text.title,
        blocks: markdown::blocks(&story.text.text),
        text: story.text.text,
        version: story.text.version,
        author: story.author,
        created: moment(story.created),
        edited_by: story.text.author,
        edited: moment(story.text.time),
        pins: story.pins,
        comments: story.comments,
    }
}

async fn whole(app: &App, id: StoryId) -> Result<WholeStory, ApiError> {
    let (story, pins, comments, versions) = app
        .blocking(move |lake| {
            let state = lake.state();
            Ok((find(lake, id)?, state.pins(id)?, state.comments(id)?, state.story_versions(id)?))
        })
        .await?;
    let mut shown = Vec::new();
    let mut found = std::collections::HashMap::new();
    for source in Source::ALL {
        let mine: Vec<kept::Pin> = pins.iter().filter(|pin| pin.source == source.lake()).cloned().collect();
        for (id, summary) in summaries(app, source, &mine).await? {
            found.insert((source.as_str(), id), summary);
        }
    }
    for pin in pins {
        let (source, record_id) = (source_of(pin.source), record_text(pin.record));
        shown.push(StoryPin {
            summary: found.remove(&(source.as_str(), record_id.clone())),
            source,
            record_id,
            first_seen: moment(pin.first_seen),
            note: pin.note,
            author: pin.author,
            time: moment(pin.time),
        });
    }
    Ok(WholeStory {
        story: story_of(story),
        pins: shown,
        comments: comments
            .into_iter()
            .map(|comment| StoryComment {
                comment_id: comment.id,
                author: comment.author,
                time: moment(comment.time),
                text: comment.text,
            })
            .collect(),
        versions: versions
            .into_iter()
            .map(|version| StoryVersion {
                version: version.version,
                title: version.title,
                text: version.text,
                author: version.author,
                time: moment(version.time),
            })
            .collect(),
    })
}

/// The rows of pinned records: `columns` of each, with `record_id`.
async fn pinned(app: &App, source: Source, columns: &str, pins: &[kept::Pin]) -> Result<Option<Rows>, ApiError> {
    let (Some(first), Some(last)) =
        (pins.iter().map(|pin| pin.first_seen).min(), pins.iter().map(|pin| pin.first_seen).max())
    else {
        return Ok(None);
    };
    let mut params: Vec<Param> = vec![first.into(), Micros(last.0.saturating_add(1)).into()];
    let mut places = Vec::new();
    for pin in pins {
        params.push(pin.record.into());
        places.push(format!("${}", params.len()));
    }
    let sql = format!(
        "SELECT {columns} FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND record_id IN ({}) ORDER BY first_seen, record_id",
        source.as_str(),
        places.join(", ")
    );
    Ok(Some(app.rows(&sql, params, pins.len() as u64).await?))
}

/// One line for each pinned record that the lake has.
async fn summaries(app: &App, source: Source, pins: &[kept::Pin]) -> Result<Vec<(String, String)>, ApiError> {
    let columns = match source {
        Source::Flow => {
            "record_id, concat(lower(proto_name(proto)), ' ', src_ip, ':', CAST(src_port AS VARCHAR), ' → ', dst_ip, ':', \
             CAST(dst_port AS VARCHAR), ' ', coalesce(service, ''), ' ', CAST(src_bytes AS VARCHAR), '/', \
             coalesce(CAST(dst_bytes AS VARCHAR), '?'), ' bytes') AS line"
        }
        Source::Dns => {
            "record_id, concat(client_ip, ' asked ', server_ip, ' for ', qname_wire, ' type ', CAST(qtype AS VARCHAR), ', rcode ', \
             coalesce(CAST(rcode AS VARCHAR), 'none')) AS line"
        }
        Source::Proxy => {
            "record_id, concat(client_ip, ' ', method, ' ', full_uri, ' ', coalesce(CAST(status AS VARCHAR), '-')) AS line"
        }
    };
    let Some(rows) = pinned(app, source, columns, pins).await? else { return Ok(Vec::new()) };
    #[derive(serde::Deserialize)]
    struct Line {
        record_id: String,
        line: String,
    }
    Ok(super::rows::read::<Line>(rows, "pins")?.into_iter().map(|row| (row.record_id, row.line)).collect())
}

async fn report_of(app: &App, id: StoryId) -> Result<String, ApiError> {
    let whole = whole(app, id).await?;
    let span = Span::parse(&whole.story.from, &whole.story.to)?;
    let board = board_of(app, Subject::parse(&whole.story.subject)?, span, 20).await?;
    let seconds = |Micros(time): Micros| time.div_euclid(1_000_000);
    let made = moment(aggregator::state::now());
    Ok(report::page(&whole, &board, seconds(span.from), seconds(span.to), &made, env!("CARGO_PKG_VERSION")))
}

async fn entries(app: &App, id: StoryId) -> Result<Vec<Entry>, ApiError> {
    let broken = |error: serde_json::Error| ApiError::Broken(error.to_string());
    let page = report_of(app, id).await?;
    let whole = whole(app, id).await?;
    let mut entries = vec![
        Entry::Made("report.html".to_owned(), page.into_bytes()),
        Entry::Made("story.json".to_owned(), serde_json::to_vec_pretty(&whole).map_err(broken)?),
    ];
    let pins = app.blocking(move |lake| Ok(lake.state().pins(id)?)).await?;
    let mut sensors = std::collections::BTreeSet::new();
    for source in Source::ALL {
        let mine: Vec<kept::Pin> = pins.iter().filter(|pin| pin.source == source.lake()).cloned().collect();
        if let Some(rows) = pinned(app, source, "*", &mine).await? {
            for row in &rows.rows {
                if let Some(sensor) = row.get("sensor").and_then(|sensor| sensor.as_str()) {
                    sensors.insert(sensor.to_owned());
                }
            }
            entries.push(Entry::Made(format!("records/{}.jsonl", source.as_str()), lines(&rows)?));
        }
    }
    let span = Span::parse(&whole.story.from, &whole.story.to)?;
    let sql = "SELECT interval_start, interval_end, sensor, source, queue, clock, counter, value FROM ledger \
        WHERE interval_start < $2 AND interval_end >= $1 ORDER BY interval_start, sensor, source, queue, counter";
    let ledger = app.rows(sql, vec![span.from.into(), span.to.into()], MAX_LEDGER).await?;
    if ledger.truncated {
        return Err(ApiError::Bad(format!(
            "the ledger of the story's time has more than {MAX_LEDGER} rows; tell of a shorter time"
        )));
    }
    let sources: std::collections::BTreeSet<(String, String)> = ledger
        .rows
        .iter()
        .filter_map(|row| Some((row.get("sensor")?.as_str()?.to_owned(), row.get("source")?.as_str()?.to_owned())))
        .filter(|(sensor, _)| sensors.contains(sensor))
        .collect();
    entries.push(Entry::Made("ledger.jsonl".to_owned(), lines(&ledger)?));
    entries.extend(app.blocking(move |lake| originals(lake, &sources)).await?);
    Ok(entries)
}

fn lines(rows: &Rows) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::new();
    for row in &rows.rows {
        serde_json::to_writer(&mut out, row).map_err(|error| ApiError::Broken(error.to_string()))?;
        out.push(b'\n');
    }
    Ok(out)
}

/// The captures that were kept of the sensors and files that the ledger names, as they lie in the lake.
fn originals(lake: &Lake, sources: &std::collections::BTreeSet<(String, String)>) -> Result<Vec<Entry>, ApiError> {
    let mut entries = Vec::new();
    for import in lake.state().imports(u32::MAX)? {
        let Some(sum) = import.original.filter(|sum| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            continue;
        };
        let name = std::path::Path::new(&import.path).file_name().map(|name| name.to_string_lossy().into_owned());
        if !name.is_some_and(|name| sources.contains(&(import.sensor.clone(), name))) {
            continue;
        }
        let folder = lake.dir().join("originals").join(sum.get(..2).unwrap_or_default());
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with(&sum) && entries.len() < MAX_ORIGINALS {
                entries.push(Entry::Kept(format!("originals/{name}"), file.path()));
            }
        }
    }
    Ok(entries)
}
