//! What the application decoders count.

use crate::DnsMessage;

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
    /// Bytes of DNS over TCP passed over in search of the beginning of a message.
    dns_stream_bytes_skipped,
    /// DHCP messages given out.
    dhcp_messages,
    /// Of these, with damage.
    dhcp_damaged,
    /// Payloads on a DHCP port that are no DHCP message, or of which not even the header was captured.
    dhcp_not_dhcp,
    /// Addresses of DHCP messages left out because a message's bound was reached.
    dhcp_addresses_over_limit,
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
    /// QUIC Initial packets of versions that are read, both directions.
    quic_initials,
    /// Of these, that no key of a client opens, or with senseless frames.
    quic_initials_unreadable,
    /// ClientHellos given out that came over QUIC.
    quic_client_hellos,
    /// QUIC connections of a client without the beginning of a ClientHello.
    quic_without_hello,
    /// ClientHellos over QUIC that are longer, or in more pieces, than the bound.
    quic_over_limit,
    /// QUIC connections forgotten for room before their hello was whole.
    quic_evicted,
    /// Headers of the PROXY protocol passed over, before what is read of a TCP stream.
    proxy_headers,
    /// TCP streams followed.
    streams_opened,
    /// TCP streams closed because the table was full.
    streams_evicted,
    /// TCP streams closed because they were silent too long.
    streams_idle,
    /// Holes in streams that were never filled.
    stream_gaps,
    /// Bytes in these holes.
    stream_gap_bytes,
}

impl Counters {
    /// A DNS message that is given out, with `left_out` entries left out of it.
    pub(crate) fn count_dns(&mut self, message: &DnsMessage, left_out: u64) {
        self.dns_messages += 1;
        self.dns_damaged += u64::from(message.damage.is_some());
        self.dns_records_over_limit += left_out;
    }
}
