//! Answers that cost much, kept while the lake has no other parts of their span.
//!
//! Bounded by [`MAX_ENTRIES`] and [`MAX_BYTES`]; the one not used for longest gives way. The answer carries an ETag, so
//! a browser that has it already is sent nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Span;
use crate::app::App;
use crate::door::Searched;
use crate::problem::ApiError;

/// Answers kept.
const MAX_ENTRIES: usize = 128;
/// Bytes of all of them.
const MAX_BYTES: usize = 32 << 20;

/// What a cached answer was made from; another state of the lake is another key.
type Key = [u8; 32];

/// An answer, and the rows it tells of where it is that of a search.
#[derive(Clone)]
struct Kept {
    bytes: Bytes,
    rows: Option<u64>,
}

/// The answers, last used first.
#[derive(Default)]
pub(crate) struct Cache {
    entries: Mutex<VecDeque<(Key, Kept)>>,
}

impl Cache {
    fn get(&self, key: &Key) -> Option<Kept> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let at = entries.iter().position(|(known, _)| known == key)?;
        let entry = entries.remove(at)?;
        let kept = entry.1.clone();
        entries.push_front(entry);
        Some(kept)
    }

    fn put(&self, key: Key, kept: Kept) {
        if kept.bytes.len() > MAX_BYTES {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(known, _)| *known != key);
        entries.push_front((key, kept));
        while entries.len() > MAX_ENTRIES || entries.iter().map(|(_, kept)| kept.bytes.len()).sum::<usize>() > MAX_BYTES
        {
            entries.pop_back();
        }
    }
}

/// Answers from the cache, or by `work` in its turn. `rows` says of a search how many records it tells of.
pub(in crate::api) async fn answer<T: Serialize>(
    app: &App,
    headers: &HeaderMap,
    name: &str,
    span: Span,
    work: impl Future<Output = Result<T, ApiError>>,
    rows: Option<fn(&T) -> u64>,
) -> Result<Response, ApiError> {
    let state = app.blocking(move |lake| Ok(lake.state().parts_between(span.from, span.to)?)).await?;
    let key: Key = *blake3::hash(format!("{name}\n{span:?}\n{state:?}").as_bytes()).as_bytes();
    let tag = format!("\"{}\"", blake3::Hash::from_bytes(key).to_hex());
    let kept = app.cache.get(&key);
    if headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(tag.as_str()) {
        // The browser shows it again.
        let known = kept.and_then(|kept| kept.rows);
        let searched = rows.map(|_| Extension(Searched(known)));
        return Ok((StatusCode::NOT_MODIFIED, searched, [(header::ETAG, tag)]).into_response());
    }
    let Kept { bytes, rows } = match kept {
        Some(kept) => kept,
        None => {
            let value = app.in_turn(work).await?;
            let bytes = Bytes::from(serde_json::to_vec(&value).map_err(|error| ApiError::Broken(error.to_string()))?);
            let kept = Kept { bytes, rows: rows.map(|rows| rows(&value)) };
            app.cache.put(key, kept.clone());
            kept
        }
    };
    let head = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    Ok((rows.map(|rows| Extension(Searched(Some(rows)))), head, Body::from(bytes)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_in_number_and_bytes_and_keeps_what_is_used() {
        let cache = Cache::default();
        let kept = |bytes: Vec<u8>| Kept { bytes: bytes.into(), rows: None };
        let key = |n: u32| *blake3::hash(&n.to_le_bytes()).as_bytes();
        cache.put(key(0), kept(b"first".to_vec()));
        for n in 1..200 {
            assert!(cache.get(&key(0)).is_some(), "it is used again and again");
            cache.put(key(n), kept(b"x".to_vec()));
        }
        assert_eq!(cache.entries.lock().unwrap().len(), MAX_ENTRIES);
        assert!(cache.get(&key(1)).is_none());
        cache.put(key(500), kept(vec![0; MAX_BYTES + 1]));
        assert!(cache.get(&key(500)).is_none(), "what is larger than the cache is not kept");
        cache.put(key(501), kept(vec![0; MAX_BYTES]));
        assert_eq!(cache.entries.lock().unwrap().len(), 1);
    }
}
