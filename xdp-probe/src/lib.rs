//! The kernel side of capture, seen from user space. So far it is the header parser that kernel and user space share
//! ([`common`]); the eBPF program and its loader come with live capture.

#![forbid(unsafe_code)]

pub use probe_common as common;
