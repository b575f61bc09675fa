//! The lake's journal: sets and parts.
