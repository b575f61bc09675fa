//! Lists that a browser has already are not sent again.
//!
//! A scored list is the same until it is scored anew or someone judges a row of it: the answer carries a hash of itself, and
//! a browser that has that one is sent nothing (RFC 9110, If-None-Match). It must ask each time.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::ApiError;

/// What is tagged: the lists, and single rows of them.
const LISTS: &str = "/api/v1/suspicious/";
/// Bytes of the largest answer that is tagged: 1,000 rows take about 1.5 MB.
const MOST: u64 = 16 << 20;

/// Tags lists, and answers 304 to whoever has them.
pub(crate) async fn tag(request: Request, next: Next) -> Response {
    let is_list = *request.method() == Method::GET && request.uri().path().starts_with(LISTS);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= MOST);
    if !is_list || !is_small || response.status() != StatusCode::OK || response.headers().contains_key(header::ETAG) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::try_from(MOST).unwrap_or(usize::MAX)).await else {
        return ApiError::Broken("an answer ended before its end".to_owned()).into_response();
    };
    // Weak: it may be compressed on its way.
    let tag = format!("W/\"{}\"", blake3::hash(&bytes).to_hex());
    let Ok(value) = HeaderValue::from_str(&tag) else { return Response::from_parts(head, Body::from(bytes)) };
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, value);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if known.is_some_and(|known| has(&known, &tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    head.headers.extend(headers);
    Response::from_parts(head, Body::from(bytes))
}

/// Is this tag among those of `If-None-Match`?
fn has(known: &HeaderValue, tag: &str) -> bool {
    let strip = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    known.to_str().is_ok_and(|known| known.trim() == "*" || known.split(',').any(|one| strip(one) == strip(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_several_tags_will_do() {
        let of = |text: &'static str| has(&HeaderValue::from_static(text), "W/\"ab\"");
        assert!(of("W/\"ab\"") && of("\"ab\"") && of("\"x\", W/\"ab\"") && of("*"));
        assert!(!of("\"abc\"") && !of("ab") && !of(""));
    }
}
