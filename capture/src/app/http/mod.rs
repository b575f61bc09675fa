//! HTTP/1.x (RFC 9112) on a connection: requests one way, responses the other.
//!
//! A message is given out when its body has ended, so that its bytes are right; at the latest when the
//! stream ends or its thread is lost, so that no message whose first line was read is lost. A response
//! may therefore come before its request, if it was sent while the request's body still was.
//!
//! Bodies are counted, not read. What the capture lost of a body is counted over by its length; where that
//! cannot be done, or a head was cut, the stream is adrift: bytes are added to the message that was begun
//! until a segment begins with a start line.
//!
//! `index`: requests are counted as they begin. A response answers the oldest unanswered request; if there is none,
//! the request was not seen, and its number is left out. After a loss among the responses, the next one answers the
//! newest request, as without pipelining.

mod chunked;
mod head;

use super::start;
use super::stream::connection::Context;
use super::stream::half::Piece;
use super::stream::key::Side;
use crate::{Body, HttpRequest, HttpResponse, Message, Nanos};
use chunked::{Chunked, Progress};
use head::{Framing, Method};
use std::collections::VecDeque;

/// Bytes of a head.
const MAX_HEAD: usize = 64 << 10;
/// Letters of a method.
const MAX_METHOD: usize = 32;
/// Requests that wait for their responses; of older ones the method is forgotten.
const MAX_PIPELINED: usize = 256;

#[derive(Debug)]
enum State {
    /// Between messages, or in a head.
    Head,
    Length(u64),
    Chunked(Chunked),
    Close,
    Adrift,
}

#[derive(Debug)]
enum Draft {
    Request(HttpRequest),
    Response(HttpResponse),
}

/// One way.
#[derive(Debug)]
struct Direction {
    state: State,
    /// A head that is not complete.
    held: Vec<u8>,
    /// The message whose body is being counted, and its bytes.
    draft: Option<Draft>,
    bytes: u64,
    first_ts: Nanos,
    last_ts: Nanos,
}

impl Direction {
    const fn new() -> Self {
        Self { state: State::Head, held: Vec::new(), draft: None, bytes: 0, first_ts: Nanos(0), last_ts: Nanos(0) }
    }
}

/// Both ways.
#[derive(Debug)]
pub(super) struct HttpConnection {
    client: Side,
    requests: Direction,
    responses: Direction,
    /// Methods of the requests from `answered` on.
    methods: VecDeque<Method>,
    /// Requests begun.
    asked: u32,
    /// Responses begun.
    answered: u32,
    /// Responses were lost since the last one.
    realign: bool,
    done: bool,
}

impl HttpConnection {
    pub(super) fn new(client: Side) -> Self {
        Self {
            client,
            requests: Direction::new(),
            responses: Direction::new(),
            methods: VecDeque::new(),
            asked: 0,
            answered: 0,
            realign: false,
            done: false,
        }
    }

    /// The side that asks.
    pub(super) fn client(&self) -> Side {
        self.client
    }

    /// No HTTP follows any more: the connection became a tunnel.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes held back.
    pub(super) fn buffered(&self) -> usize {
        let text = |direction: &Direction| match &direction.draft {
            Some(Draft::Request(request)) => {
                let optional = [&request.host, &request.user_agent, &request.referer, &request.username];
                request.target.len() + optional.into_iter().flatten().map(String::len).sum::<usize>()
            }
            Some(Draft::Response(response)) => response.content_type.as_ref().map_or(0, String::len),
            None => 0,
        };
        [&self.requests, &self.responses].into_iter().map(|d| d.held.capacity() + text(d)).sum()
    }

    /// The next piece of what `side` sends.
    pub(super) fn take(&mut self, side: Side, ts: Nanos, piece: Piece<'_>, context: &mut Context<'_>) {
        match piece {
            Piece::Data(data) => self.data(side, ts, data, context),
            Piece::Cut(bytes) | Piece::Passed(bytes) => self.missing(side, ts, bytes, bytes.into(), context),
            Piece::Lost(bytes) => self.missing(side, ts, bytes, 0, context),
        }
    }

    /// `side` sends nothing more.
    pub(super) fn end(&mut self, side: Side, context: &mut Context<'_>) {
        self.cut_head(side);
        self.give(side, context);
        self.direction(side).state = State::Adrift;
    }

    fn direction(&mut self, side: Side) -> &mut Direction {
        if side == self.client { &mut self.requests } else { &mut self.responses }
    }

    fn data(&mut self, side: Side, ts: Nanos, segment: &[u8], context: &mut Context<'_>) {
        let mut rest = segment;
        while !rest.is_empty() && !self.done {
            let begins = rest.len() == segment.len() && self.begins(side, rest);
            let direction = self.direction(side);
            let used = match &mut direction.state {
                State::Adrift if begins => {
                    self.give(side, context);
                    self.direction(side).state = State::Head;
                    continue;
                }
                State::Adrift | State::Close => rest.len(),
                State::Head => {
                    rest = self.head(side, ts, rest, context);
                    continue;
                }
                State::Length(left) => {
                    let used = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= used as u64;
                    used
                }
                State::Chunked(chunked) => match chunked.read(rest) {
                    Progress::More => rest.len(),
                    Progress::Ended(used) => {
                        direction.state = State::Length(0);
                        used
                    }
                    Progress::Broken(used) => {
                        context.counters.http_unreadable += 1;
                        direction.state = State::Adrift;
                        used
                    }
                },
            };
            let direction = self.direction(side);
            if direction.draft.is_some() {
                direction.bytes += used as u64;
                direction.last_ts = ts;
            }
            if matches!(direction.state, State::Length(0)) {
                self.give(side, context);
            }
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// `bytes` are missing; `seen` of them were on the wire, though not captured.
    fn missing(&mut self, side: Side, ts: Nanos, bytes: u32, mut seen: u64, context: &mut Context<'_>) {
        self.cut_head(side);
        let direction = self.direction(side);
        if let State::Length(left) = direction.state {
            seen = seen.min(left);
        }
        let known = match &mut direction.state {
            State::Close | State::Adrift => true,
            State::Length(left) => {
                let within = u64::from(bytes) <= *left;
                *left = left.saturating_sub(bytes.into());
                within
            }
            State::Chunked(chunked) => chunked.miss(bytes),
            State::Head => false,
        };
        if direction.draft.is_some() {
            direction.bytes += seen;
            if seen > 0 {
                direction.last_ts = ts;
            }
        }
        if !known {
            if matches!(direction.state, State::Length(_)) {
                self.give(side, context);
            }
            self.lose(side);
        } else if matches!(direction.state, State::Length(0)) {
            self.give(side, context);
        }
    }

    /// The thread is lost in what `side` sends.
    fn lose(&mut self, side: Side) {
        self.direction(side).state = State::Adrift;
        if side != self.client {
            self.realign = true;
        }
    }

    /// Whether bytes begin a message of `side`.
    fn begins(&self, side: Side, bytes: &[u8]) -> bool {
        start::is_http(bytes) && start::is_response(bytes) == (side != self.client)
    }

    /// Whether bytes at a place where a message of `side` must begin can be one, as far as they go.
    fn may_begin(&self, side: Side, bytes: &[u8]) -> bool {
        if side != self.client {
            return start::is_response(bytes) || start::may_be_response(bytes);
        }
        let method = bytes.iter().take(MAX_METHOD).take_while(|&&b| start::is_token(b)).count();
        method > 0 && bytes.get(method).is_none_or(|&b| b == b' ')
    }

    /// Between messages or in a head: reads on, and gives back what follows the head.
    fn head<'b>(&mut self, side: Side, ts: Nanos, bytes: &'b [u8], context: &mut Context<'_>) -> &'b [u8] {
        if self.direction(side).held.is_empty() {
            // Empty lines before a start line are allowed (RFC 9112 2.2).
            let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let bytes = bytes.get(blank..).unwrap_or_default();
            if bytes.is_empty() {
                return bytes;
            }
            if !self.may_begin(side, bytes) {
                context.counters.http_unreadable += 1;
                self.lose(side);
                return bytes;
            }
            self.direction(side).first_ts = ts;
            if let Some((head, rest)) = head::end(bytes, 0).and_then(|end| bytes.split_at_checked(end)) {
                self.read_head(side, ts, head, context);
                return rest;
            }
            let direction = self.direction(side);
            direction.held.extend_from_slice(bytes);
            direction.last_ts = ts;
            self.check_held(side, context);
            return &[];
        }
        let direction = self.direction(side);
        let before = direction.held.len();
        // No more than the head may have is ever held.
        let (here, beyond) = bytes.split_at_checked(MAX_HEAD + 1).unwrap_or((bytes, &[]));
        direction.held.extend_from_slice(here);
        direction.last_ts = ts;
        match head::end(&direction.held, before) {
            Some(end) => {
                let held = std::mem::take(&mut direction.held);
                self.read_head(side, ts, held.get(..end).unwrap_or_default(), context);
                bytes.get(end.saturating_sub(before)..).unwrap_or_default()
            }
            None => {
                self.check_held(side, context);
                beyond
            }
        }
    }

    /// A head that is not complete is given up when it is too long.
    fn check_held(&mut self, side: Side, context: &mut Context<'_>) {
        if self.direction(side).held.len() > MAX_HEAD {
            context.counters.http_head_over_limit += 1;
            self.cut_head(side);
            self.lose(side);
        }
    }

    /// A complete head.
    fn read_head(&mut self, side: Side, ts: Nanos, head: &[u8], context: &mut Context<'_>) {
        let framing = if self.begins(side, head) { self.draft(side, head) } else { None };
        let direction = self.direction(side);
        direction.bytes = head.len() as u64;
        direction.last_ts = ts;
        direction.state = match framing {
            None => {
                context.counters.http_unreadable += 1;
                self.lose(side);
                return;
            }
            Some(Framing::Empty) => State::Length(0),
            Some(Framing::Length(length)) => State::Length(length),
            Some(Framing::Chunked) => State::Chunked(Chunked::new()),
            Some(Framing::Close) => State::Close,
            Some(Framing::Unclear) => {
                context.counters.http_unreadable += 1;
                State::Adrift
            }
            Some(Framing::Tunnel) => {
                self.give(side, context);
                self.cut_head(side.other());
                self.give(side.other(), context);
                self.done = true;
                return;
            }
        };
        if matches!(direction.state, State::Length(0)) {
            self.give(side, context);
        }
    }

    /// A head that will not be completed, if its first line can be read: the message then goes on adrift.
    fn cut_head(&mut self, side: Side) {
        let held = std::mem::take(&mut self.direction(side).held);
        if held.is_empty() {
            return;
        }
        self.draft(side, &held);
        let direction = self.direction(side);
        direction.bytes = held.len() as u64;
        self.lose(side);
    }

    /// Begins a message with this head.
    fn draft(&mut self, side: Side, head: &[u8]) -> Option<Framing> {
        if side == self.client {
            let (mut request, framing, method) = head::request(head)?;
            request.index = self.asked;
            self.asked = self.asked.wrapping_add(1);
            if self.methods.len() >= MAX_PIPELINED {
                self.methods.pop_front();
            }
            self.methods.push_back(method);
            self.requests.draft = Some(Draft::Request(request));
            return Some(framing);
        }
        if self.realign {
            let newest = self.asked.saturating_sub(1);
            if newest > self.answered {
                self.answered = newest;
                self.methods.drain(..self.methods.len().saturating_sub(1));
            }
        }
        let asked = self.methods.front().copied().unwrap_or(Method::Other);
        let (mut response, framing) = head::response(head, asked)?;
        self.realign = false;
        if matches!(response.status, 100 | 102..=199) {
            return Some(framing);
        }
        self.methods.pop_front();
        response.index = self.answered;
        self.answered = self.answered.wrapping_add(1);
        self.asked = self.asked.max(self.answered);
        self.responses.draft = Some(Draft::Response(response));
        Some(framing)
    }

    /// Gives out the message that was begun, if any, and is ready for the next.
    fn give(&mut self, side: Side, context: &mut Context<'_>) {
        let direction = self.direction(side);
        direction.state = State::Head;
        let (bytes, first_ts, ts) = (direction.bytes, direction.first_ts, direction.last_ts);
        let body = match direction.draft.take() {
            Some(Draft::Request(request)) => {
                context.counters.http_requests += 1;
                Body::HttpRequest(Box::new(HttpRequest { bytes, ..request }))
            }
            Some(Draft::Response(response)) => {
                context.counters.http_responses += 1;
                Body::HttpResponse(Box::new(HttpResponse { bytes, ..response }))
            }
            None => return,
        };
        context.out.push(Message { first_ts, ts, pair: context.key.pair(side), body });
    }
}
