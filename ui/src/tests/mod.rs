//! The server as its clients see it: requests in, answers out, over a real lake in a temporary folder.

mod accounts;
mod data;
mod door;
mod graphql;
mod hostile;
mod invest;
mod lake;
mod log;
mod said;
mod topics;
mod triage;

use std::sync::Arc;

use analytics::sql::{Engine, EngineLimits};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::app::{App, Parts};
use crate::door::{Console, Site};

/// Port that the tests' server believes to listen on.
const PORT: u16 = 8080;

/// A server without a socket.
struct Server {
    router: Router,
    /// Secret of the first link.
    link: String,
    /// The API token.
    token: String,
    lake: aggregator::lake::Lake,
    app: Arc<App>,
    _dir: tempfile::TempDir,
}

/// An answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    fn over(dir: tempfile::TempDir, lake: aggregator::lake::Lake) -> Self {
        let limits = EngineLimits { threads: 1, ..EngineLimits::default() };
        let kept = lake.clone();
        let (console, token) = Console::new().unwrap();
        let link = console.new_link().unwrap().reveal().to_owned();
        let engine = Engine::open(lake.clone(), limits).unwrap();
        let site = Site::loopback(PORT);
        let app = Arc::new(App::new(Parts { lake, engine, console, site, port: PORT }).unwrap());
        Self {
            router: crate::api::router(Arc::clone(&app)),
            link,
            token: token.reveal().to_owned(),
            lake: kept,
            app,
            _dir: dir,
        }
    }

    /// An answer whose body is taken piece by piece.
    async fn stream(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream of events has no end.
        let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The lake behind it.
    fn lake(&self) -> &aggregator::lake::Lake {
        &self.lake
    }

    /// GET with the API token.
    async fn get(&self, path: &str) -> Answer {
        let request = request("GET", path).header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// The `name=value` of a session made from the first link.
    async fn sign_in(&self) -> String {
        let answer = self.send(request("GET", &format!("/?token={}", self.link)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, format!("127.0.0.1:{PORT}"))
}
