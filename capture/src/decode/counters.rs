//! What the decoder counts besides fates.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters of [`Decoder`](super::Decoder); the names are the ledger's.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Counters {
            $($(#[doc = $doc])+ pub(super) $name: u64,)+
        }

        impl Counters {
            /// Name and value of each.
            pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// Frames that the hot parser declined.
    full_decode,
    /// Frames without a time of their own; they got the time of the frame before them, the first 0.
    frames_without_time,
    /// Frames that were not captured whole.
    frames_cut,
    /// IP packets whose length by the header goes beyond the frame on the wire.
    ip_length_over_frame,
    /// IPv4 packets with a length of 0 and IPv6 packets with a payload length of 0 and no jumbo option.
    superframes,
    /// 802.11 aggregates (A-MSDU), of which only the first part was read.
    aggregates_read_in_part,
    /// Packets read inside a tunnel.
    tunnelled,
    /// Frames with more tunnels in each other than are entered.
    tunnels_over_limit,
    /// Fragments seen (at every tunnel level).
    fragments,
    /// Later fragments whose first fragment had not been seen: they stand with ports 0.
    fragments_without_first,
    /// Fragments that overlap others; the bytes that came first were kept.
    fragments_overlapping,
    /// Fragments that reach beyond 65535 bytes, or whose length is no multiple of 8 before the last.
    fragments_invalid,
    /// Datagrams put together from fragments.
    reassembled,
    /// Datagrams that were not completed in time.
    fragmented_incomplete,
    /// Datagrams in pieces dropped because the table was full.
    fragmented_evicted,
    /// Datagrams not put together because of their size, their pieces, or the bytes held in all.
    reassembly_over_limit,
}
