//! What an [`Aggregator`](crate::Aggregator) counts: its half of the books.

/// The struct, the sum and the ledger's list, from one table: field, ledger name, meaning.
macro_rules! stats {
    ($($field:ident $name:literal $meaning:literal)+) => {
        /// Counters of one [`Aggregator`](crate::Aggregator), from its start. The equations are checked by
        /// [`Books::close`](crate::Books::close).
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Stats {
            $(#[doc = concat!($meaning, " (`", $name, "`).")] pub $field: u64,)+
        }

        impl Stats {
            /// Adds what another aggregator counted.
            pub const fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// Name and value of each, as the ledger has them; and `flows.exported`, their sum.
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field),)+ ("flows.exported", self.flows_exported())]
            }
        }
    };
}

stats! {
    packets_in "packets.aggregated" "Packets taken from the decoder"
    bytes_in "ip_bytes.aggregated" "Their IP bytes"
    packets_exported "packets.exported" "Packets in flow records handed over"
    bytes_exported "ip_bytes.exported" "Their IP bytes"
    packets_live "packets.live" "Packets of flows still open"
    bytes_live "ip_bytes.live" "Their IP bytes"
    flows_opened "flows.opened" "Flow records begun; each segment of a long connection is one"
    flows_idle "flows.exported.idle" "Flow records ended by idle timeout"
    flows_active "flows.exported.active" "… by active timeout"
    flows_end "flows.exported.end" "… by FIN or RST"
    flows_forced "flows.exported.forced" "… by the end of the input"
    flows_evicted "flows.exported.evicted" "… early, because the table was full"
    flows_live "flows.live" "Flow records still open"
    table_doublings "table.doublings" "Times the flow table doubled"
    late_packets "clock.late_packets" "Packets with a time before the latest seen"
    clock_steps_back "clock.steps_back" "Times the clock of the input went back for good"
    dns_query_questions "dns.query_questions" "Questions in DNS queries"
    dns_response_questions "dns.response_questions" "Questions in DNS responses, a response without question counted as one"
    dns_answered "dns.rows.answered" "Rows with query and answer"
    dns_unanswered "dns.rows.unanswered" "Rows with a query only"
    dns_unasked "dns.rows.unasked" "Rows with an answer only"
    dns_repeats "dns.query_repeats" "Queries that repeat one that waits; they have no row of their own"
    dns_evicted "dns.evicted" "Of the unanswered: written early at the bound"
    dns_waiting "dns.waiting" "Questions waiting"
    dhcp_messages "dhcp.messages" "DHCP messages"
    dhcp_in_rows "dhcp.messages_in_rows" "Of these: in rows"
    dhcp_waiting "dhcp.messages_waiting" "… of transactions that wait"
    dhcp_rows "dhcp.rows" "DHCP transactions; each is a row"
    dhcp_evicted "dhcp.evicted" "Of these: written early at the bound"
    http_requests "http.requests" "HTTP requests"
    http_responses "http.responses" "HTTP responses"
    http_answered "http.rows.answered" "Rows with request and response"
    http_unanswered "http.rows.unanswered" "Rows with a request only"
    http_unasked "http.responses_unasked" "Responses whose request was not seen; they have no row"
    http_evicted "http.evicted" "Of the unanswered and unasked: given up early at the bound"
    http_requests_waiting "http.requests_waiting" "Requests waiting"
    http_responses_waiting "http.responses_waiting" "Responses that came before the end of their request, waiting"
    tls_hellos "tls.client_hellos" "TLS ClientHellos; each is a row"
}

impl Stats {
    /// Flow records handed over, whatever ended them.
    pub const fn flows_exported(&self) -> u64 {
        self.flows_idle + self.flows_active + self.flows_end + self.flows_forced + self.flows_evicted
    }
}
