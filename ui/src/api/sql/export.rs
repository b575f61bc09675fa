//! Answers as files, written as they come.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use analytics::output::{Format, OutputError, WriteOptions, write};
use analytics::sql::RowLimits;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::console::{EXPORT_ROWS, EXPORT_TIMEOUT, fault};
use crate::api::params::{Params, body};
use crate::api::stories::from_channel;
use crate::api::types::{Problem, SqlFormat, SqlFormatQuery, SqlRequest};
use crate::app::Shared;
use crate::door::{Audited, Caller, Work};
use crate::problem::ApiError;

/// Chunks that wait for the client.
const AHEAD: usize = 4;

/// Hands chunks on to the response. Fails once the client has gone, which ends the query.
struct ToClient(SyncSender<Bytes>);

impl io::Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Run one reading statement and give its answer as a file: at most 5 minutes and 1,000,000 rows. A file that ends early
/// (the connection breaks) is not whole.
#[utoipa::path(post, path = "/api/v1/sql/export", operation_id = "export_sql", params(SqlFormatQuery), request_body = SqlRequest,
    responses((status = 200, description = "The file", content_type = "application/octet-stream"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<SqlFormatQuery>,
    request: Result<Json<SqlRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let request = body(request)?;
    let (format, kind, name) = match query.format {
        SqlFormat::Csv => (Format::Csv, "text/csv; charset=utf-8", "answer.csv"),
        SqlFormat::Jsonl => (Format::JsonLines, "application/x-ndjson", "answer.jsonl"),
        SqlFormat::Parquet => (Format::Parquet, "application/vnd.apache.parquet", "answer.parquet"),
    };
    let turn = app.sql.turn(&caller).await?;
    let mut work = Work::begin(&app, &caller, "sql.export", &request.sql).await?;
    let rows = request.max_rows.map_or(EXPORT_ROWS, u64::from);
    let limits = RowLimits { max_rows: Some(rows), timeout: Some(EXPORT_TIMEOUT) };
    let mut answer = match app.sql.engine.sql_within(&request.sql, limits).await {
        Ok(answer) => answer,
        Err(error) => {
            work.failed(&error.to_string()).await;
            return Err(fault(error));
        }
    };
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    // The writer runs inside the runtime, where a tokio channel must not block; a thread of its own hands the chunks on.
    let (chunks, taken) = sync_channel::<Bytes>(AHEAD);
    let to_body = sender.clone();
    let handing = tokio::task::spawn_blocking(move || {
        for chunk in taken {
            if to_body.blocking_send(Ok(chunk)).is_err() {
                return;
            }
        }
    });
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut out = io::BufWriter::with_capacity(64 << 10, ToClient(chunks));
        let options = WriteOptions { spreadsheet: true, ..WriteOptions::default() };
        let written = runtime.block_on(write(&mut answer, format, &mut out, options));
        // What is still in the buffer goes first.
        drop(out);
        let _ = runtime.block_on(handing);
        work.rows(answer.rows());
        // The body ends with its sender, after this: whoever has the whole file is in the log.
        match written {
            Ok(_) => runtime.block_on(work.done()),
            // The client went away: the entry says that it was given up.
            Err(OutputError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => drop(work),
            // The head was sent: all that can be done is to break off, so that nobody takes the file for whole.
            Err(error) => {
                tracing::warn!(%error, "an export broke off");
                runtime.block_on(work.failed(&error.to_string()));
                let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
            }
        }
    });
    // An error before the first byte is still a problem.
    let first = receiver.recv().await;
    let first = match first {
        Some(Err(error)) => return Err(ApiError::Bad(error.to_string())),
        Some(Ok(bytes)) => Some(Ok(bytes)),
        None => None,
    };
    let stream = futures::StreamExt::chain(futures::stream::iter(first), from_channel(receiver));
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((axum::Extension(Audited), headers, Body::from_stream(stream)).into_response())
}
