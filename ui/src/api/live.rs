//! `/api/v1/live` and `/api/v1/live.sse`: the live feed, as WebSocket and as server-sent events.
//!
//! Both send the same messages, JSON, one a message or event, in this order:
//!
//! ```json
//! {"type": "snapshot", "sources": [Second, …], "history": [{"source", "at", "interval_us", "traffic", "dropped"}, …], "last": [LiveRecord, …]}
//! {"type": "second", "source": "tap", "kind": "capture", "sensor": "…", "at": "2026-11-28T18:00:01.000000Z",
//!  "interval_us": 1000000, "ended": false,
//!  "traffic": {"wire": {"packets", "bytes"}, "incoming": …, "outgoing": …, "internal": …, "external": …},
//!  "records": {"flows_opened", "flow", "dns", "proxy"},
//!  "talkers": [{"ip", "home", "sent": {"packets", "bytes"}, "received": …}, …],
//!  "pairs": [{"a", "b", "a_to_b": …, "b_to_a": …}, …], "names": [{"name", "kind": "dns|http|tls", "count"}, …],
//!  "short": {"packets", "bytes"}, "last": [LiveRecord, …],
//!  "drops": [{"cause", "packets", "total"}, …], "ledger": {"seen": 1, "received": 1, …}, "reports_lost": 0}
//! {"type": "dropped", "messages": 3, "total": 3}
//! ```
//!
//! The snapshot comes first and once. [`LiveMessage`] has every field with its meaning. A WebSocket is pinged every 20 s and
//! closed if it answers two in a row with nothing; the event stream has a comment as often. What a client sends is not read.
//! Both end within seconds of the session or token they began with; a WebSocket by close code 1008.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::types::{LiveDropped, LiveMessage, Problem};
use crate::app::Shared;
use crate::door::{Caller, Stay, VIEWER};
use crate::problem::ApiError;

/// Clients that may watch at a time.
pub(crate) const CLIENTS: usize = 32;
/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// How long a client may take to take a message.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of what a client may send.
const MAX_MESSAGE: usize = 4 << 10;

/// A client's way through the messages.
struct Client {
    snapshot: Option<Utf8Bytes>,
    messages: Receiver<Utf8Bytes>,
    dropped: u64,
    stay: Stay,
    _place: OwnedSemaphorePermit,
}

impl Client {
    fn new(app: &Shared, headers: &HeaderMap, caller: &Caller) -> Result<Self, ApiError> {
        let place = Arc::clone(&app.watchers).try_acquire_owned().map_err(|_| ApiError::Busy)?;
        let (snapshot, messages) = app.live.subscribe().ok_or(ApiError::Busy)?;
        let stay = Stay::watch(app, headers, caller, VIEWER);
        Ok(Self { snapshot: Some(snapshot), messages, dropped: 0, stay, _place: place })
    }

    /// The next message; `None` when the server stops or the caller has to leave.
    async fn next(&mut self) -> Option<Utf8Bytes> {
        if let Some(snapshot) = self.snapshot.take() {
            return Some(snapshot);
        }
        loop {
            let received = tokio::select! {
                biased;
                () = self.stay.ended() => return None,
                received = self.messages.recv() => received,
            };
            match received {
                Ok(message) => return Some(message),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(messages)) => {
                    self.dropped += messages;
                    let told = LiveMessage::Dropped(LiveDropped { messages, total: self.dropped });
                    if let Ok(text) = serde_json::to_string(&told) {
                        return Some(text.into());
                    }
                }
            }
        }
    }
}

/// Places for those who watch.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CLIENTS))
}

/// The live feed as a WebSocket: a snapshot, then what happens. Text messages, JSON.
#[utoipa::path(get, path = "/api/v1/live",
    responses((status = 101, description = "WebSocket; each text message is one LiveMessage", body = LiveMessage),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn live(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let client = Client::new(&app, &headers, &caller)?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).write_buffer_size(0);
    Ok(upgrade.on_upgrade(|socket| watch(socket, client)))
}

/// The live feed as server-sent events: a snapshot, then what happens. The data of each event is one LiveMessage.
#[utoipa::path(get, path = "/api/v1/live.sse",
    responses((status = 200, body = LiveMessage, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn live_sse(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let events = futures::stream::unfold(Client::new(&app, &headers, &caller)?, |mut client| async {
        let message = client.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(message.as_str())), client))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(PING)).into_response())
}

async fn watch(mut socket: WebSocket, mut client: Client) {
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        let message = tokio::select! {
            message = client.next() => match message {
                Some(text) => Message::Text(text),
                None if client.stay.is_over() => {
                    let reason = Utf8Bytes::from_static("the session ended");
                    Message::Close(Some(CloseFrame { code: close_code::POLICY, reason }))
                }
                None => Message::Close(None),
            },
            said = socket.recv() => match said {
                // Any sign of life will do.
                Some(Ok(_)) => {
                    unanswered = 0;
                    continue;
                }
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => {
                if unanswered == 2 {
                    return;
                }
                unanswered += 1;
                Message::Ping(Default::default())
            }
        };
        let closing = matches!(message, Message::Close(_));
        if !matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(()))) || closing {
            return;
        }
    }
}
