//! What an [`Aggregator`](crate::Aggregator) counts: its half of the books.

/// Counters of one [`Aggregator`](crate::Aggregator), from its start. The equations are checked by
/// [`Books::close`](crate::Books::close).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Packets taken from the decoder (`packets.aggregated`).
    pub packets_in: u64,
    /// Their IP bytes (`ip_bytes.aggregated`).
    pub bytes_in: u64,
    /// Packets in flow records handed over (`packets.exported`).
    pub packets_exported: u64,
    /// Their IP bytes (`ip_bytes.exported`).
    pub bytes_exported: u64,
    /// Packets of flows still open (`packets.live`).
    pub packets_live: u64,
    /// Their IP bytes (`ip_bytes.live`).
    pub bytes_live: u64,
    /// Flow records begun; each segment of a long connection is one (`flows.opened`).
    pub flows_opened: u64,
    /// Flow records ended by idle timeout (`flows.exported.idle`).
    pub flows_idle: u64,
    /// … by active timeout (`flows.exported.active`).
    pub flows_active: u64,
    /// … by FIN or RST (`flows.exported.end`).
    pub flows_end: u64,
    /// … by the end of the input (`flows.exported.forced`).
    pub flows_forced: u64,
    /// … early, because the table was full (`flows.exported.evicted`).
    pub flows_evicted: u64,
    /// Flow records still open (`flows.live`).
    pub flows_live: u64,
    /// Times the flow table doubled (`table.doublings`).
    pub table_doublings: u64,
    /// Packets with a time before the latest seen (`clock.late_packets`).
    pub late_packets: u64,
    /// Times the clock of the input went back for good (`clock.steps_back`).
    pub clock_steps_back: u64,
    /// Questions in DNS queries (`dns.query_questions`).
    pub dns_query_questions: u64,
    /// Questions in DNS responses, a response without question counted as one (`dns.response_questions`).
    pub dns_response_questions: u64,
    /// Rows with query and answer (`dns.rows.answered`).
    pub dns_answered: u64,
    /// Rows with a query only (`dns.rows.unanswered`).
    pub dns_unanswered: u64,
    /// Rows with an answer only (`dns.rows.unasked`).
    pub dns_unasked: u64,
    /// Queries that repeat one that waits; they have no row of their own (`dns.query_repeats`).
    pub dns_repeats: u64,
    /// Of the unanswered: written early at the bound (`dns.evicted`).
    pub dns_evicted: u64,
    /// Questions waiting (`dns.waiting`).
    pub dns_waiting: u64,
    /// HTTP requests (`http.requests`).
    pub http_requests: u64,
    /// HTTP responses (`http.responses`).
    pub http_responses: u64,
    /// Rows with request and response (`http.rows.answered`).
    pub http_answered: u64,
    /// Rows with a request only (`http.rows.unanswered`).
    pub http_unanswered: u64,
    /// Responses whose request was not seen; they have no row (`http.responses_unasked`).
    pub http_unasked: u64,
    /// Of the unanswered and unasked: given up early at the bound (`http.evicted`).
    pub http_evicted: u64,
    /// Requests waiting (`http.requests_waiting`).
    pub http_requests_waiting: u64,
    /// Responses that came before the end of their request, waiting (`http.responses_waiting`).
    pub http_responses_waiting: u64,
    /// TLS ClientHellos; each is a row (`tls.client_hellos`).
    pub tls_hellos: u64,
}

impl Stats {
    /// Flow records handed over, whatever ended them.
    pub const fn flows_exported(&self) -> u64 {
        self.flows_idle + self.flows_active + self.flows_end + self.flows_forced + self.flows_evicted
    }

    /// Adds what another aggregator counted.
    pub const fn add(&mut self, other: &Self) {
        // Destructured so that a new field cannot be forgotten here.
        let Self {
            packets_in,
            bytes_in,
            packets_exported,
            bytes_exported,
            packets_live,
            bytes_live,
            flows_opened,
            flows_idle,
            flows_active,
            flows_end,
            flows_forced,
            flows_evicted,
            flows_live,
            table_doublings,
            late_packets,
            clock_steps_back,
            dns_query_questions,
            dns_response_questions,
            dns_answered,
            dns_unanswered,
            dns_unasked,
            dns_repeats,
            dns_evicted,
            dns_waiting,
            http_requests,
            http_responses,
            http_answered,
            http_unanswered,
            http_unasked,
            http_evicted,
            http_requests_waiting,
            http_responses_waiting,
            tls_hellos,
        } = *other;
        self.packets_in += packets_in;
        self.bytes_in += bytes_in;
        self.packets_exported += packets_exported;
        self.bytes_exported += bytes_exported;
        self.packets_live += packets_live;
        self.bytes_live += bytes_live;
        self.flows_opened += flows_opened;
        self.flows_idle += flows_idle;
        self.flows_active += flows_active;
        self.flows_end += flows_end;
        self.flows_forced += flows_forced;
        self.flows_evicted += flows_evicted;
        self.flows_live += flows_live;
        self.table_doublings += table_doublings;
        self.late_packets += late_packets;
        self.clock_steps_back += clock_steps_back;
        self.dns_query_questions += dns_query_questions;
        self.dns_response_questions += dns_response_questions;
        self.dns_answered += dns_answered;
        self.dns_unanswered += dns_unanswered;
        self.dns_unasked += dns_unasked;
        self.dns_repeats += dns_repeats;
        self.dns_evicted += dns_evicted;
        self.dns_waiting += dns_waiting;
        self.http_requests += http_requests;
        self.http_responses += http_responses;
        self.http_answered += http_answered;
        self.http_unanswered += http_unanswered;
        self.http_unasked += http_unasked;
        self.http_evicted += http_evicted;
        self.http_requests_waiting += http_requests_waiting;
        self.http_responses_waiting += http_responses_waiting;
        self.tls_hellos += tls_hellos;
    }

    /// Name and value of each, as the ledger has them.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        // Destructured so that a new field cannot be forgotten here.
        let Self {
            packets_in,
            bytes_in,
            packets_exported,
            bytes_exported,
            packets_live,
            bytes_live,
            flows_opened,
            flows_idle,
            flows_active,
            flows_end,
            flows_forced,
            flows_evicted,
            flows_live,
            table_doublings,
            late_packets,
            clock_steps_back,
            dns_query_questions,
            dns_response_questions,
            dns_answered,
            dns_unanswered,
            dns_unasked,
            dns_repeats,
            dns_evicted,
            dns_waiting,
            http_requests,
            http_responses,
            http_answered,
            http_unanswered,
            http_unasked,
            http_evicted,
            http_requests_waiting,
            http_responses_waiting,
            tls_hellos,
        } = *self;
        vec![
            ("packets.aggregated", packets_in),
            ("ip_bytes.aggregated", bytes_in),
            ("packets.exported", packets_exported),
            ("ip_bytes.exported", bytes_exported),
            ("packets.live", packets_live),
            ("ip_bytes.live", bytes_live),
            ("flows.opened", flows_opened),
            ("flows.exported", self.flows_exported()),
            ("flows.exported.idle", flows_idle),
            ("flows.exported.active", flows_active),
            ("flows.exported.end", flows_end),
            ("flows.exported.forced", flows_forced),
            ("flows.exported.evicted", flows_evicted),
            ("flows.live", flows_live),
            ("table.doublings", table_doublings),
            ("clock.late_packets", late_packets),
            ("clock.steps_back", clock_steps_back),
            ("dns.query_questions", dns_query_questions),
            ("dns.response_questions", dns_response_questions),
            ("dns.rows.answered", dns_answered),
            ("dns.rows.unanswered", dns_unanswered),
            ("dns.rows.unasked", dns_unasked),
            ("dns.query_repeats", dns_repeats),
            ("dns.evicted", dns_evicted),
            ("dns.waiting", dns_waiting),
            ("http.requests", http_requests),
            ("http.responses", http_responses),
            ("http.rows.answered", http_answered),
            ("http.rows.unanswered", http_unanswered),
            ("http.responses_unasked", http_unasked),
            ("http.evicted", http_evicted),
            ("http.requests_waiting", http_requests_waiting),
            ("http.responses_waiting", http_responses_waiting),
            ("tls.client_hellos", tls_hellos),
        ]
    }
}
