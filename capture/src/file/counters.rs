//! What capture files are found to hold, besides frames.

/// Counters of a [`CaptureReader`](super::CaptureReader); the names are the ledger's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) frames: u64,
    pub(super) caplen_over_snaplen: u64,
    pub(super) wire_len_below_captured: u64,
    pub(super) frames_without_time: u64,
    pub(super) time_out_of_range: u64,
    pub(super) frames_without_interface: u64,
    pub(super) damaged_records: u64,
    pub(super) resynced_bytes: u64,
    pub(super) concatenated_captures: u64,
    pub(super) blocks_skipped: u64,
    pub(super) dropped_before_file: u64,
}

impl Counters {
    /// Ledger counter name and count.
    pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
        let Self {
            frames,
            caplen_over_snaplen,
            wire_len_below_captured,
            frames_without_time,
            time_out_of_range,
            frames_without_interface,
            damaged_records,
            resynced_bytes,
            concatenated_captures,
            blocks_skipped,
            dropped_before_file,
        } = *self;
        vec![
            // Frames delivered.
            ("file_frames", frames),
            // Frames longer than the file says it keeps; delivered.
            ("file_caplen_over_snaplen", caplen_over_snaplen),
            // Frames whose length on the wire is said to be less than what was captured; delivered.
            ("file_wire_len_below_captured", wire_len_below_captured),
            // Frames without a time (pcapng Simple Packet Block); delivered.
            ("file_frames_without_time", frames_without_time),
            // Frames whose time lies outside the years 1677 to 2262; delivered without time.
            ("file_time_out_of_range", time_out_of_range),
            // pcapng frames that name an interface the file does not describe; left out.
            ("file_frames_without_interface", frames_without_interface),
            // Records and blocks that contradict the format; left out.
            ("file_damaged_records", damaged_records),
            // Bytes passed over to find the next record after a damaged one.
            ("file_resynced_bytes", resynced_bytes),
            // Further captures appended to the first in the same file; read.
            ("file_concatenated_captures", concatenated_captures),
            // pcapng blocks that carry no packet (names, statistics, secrets, custom); passed over.
            ("file_blocks_skipped", blocks_skipped),
            // Packets the capturing machine says it dropped (pcapng, snoop).
            ("file_dropped_before_file", dropped_before_file),
        ]
    }
}
