//! What the application decoders count.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters of [`AppDecoder`](super::AppDecoder); the names are the ledger's.
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Counters {
            $($(#[doc = $doc])+ pub(crate) $name: u64,)+
        }

        impl Counters {
            /// Name and value of each.
            pub(crate) fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// DNS messages given out.
    dns_messages,
    /// Of these, with damage.
    dns_damaged,
    /// Payloads on a DNS port that are no DNS message (shorter than its header).
    dns_not_dns,
    /// Records of DNS messages left out because a message's bound was reached.
    dns_records_over_limit,
    /// HTTP requests given out.
    http_requests,
    /// HTTP responses given out.
    http_responses,
    /// Streams that looked like HTTP and could not be read on.
    http_unreadable,
    /// HTTP heads longer than the bound.
    http_head_over_limit,
    /// TLS ClientHellos given out.
    tls_client_hellos,
    /// Streams that looked like a ClientHello and could not be read.
    tls_unreadable,
    /// TCP streams followed.
    streams_opened,
    /// TCP streams closed because the table was full.
    streams_evicted,
    /// TCP streams closed because they were silent too long.
    streams_idle,
    /// Segments dropped because too much was buffered already.
    stream_segments_over_limit,
    /// Holes in streams that were never filled.
    stream_gaps,
    /// Bytes in these holes.
    stream_gap_bytes,
}
