//! The kernel side of capture, seen from user space: the header parser and the memory layout that kernel and user space
//! share ([`common`]), and, with the feature `probe`, the compiled kernel programs themselves.

#![forbid(unsafe_code)]

pub use probe_common as common;

/// Bytes of an object file, aligned as its headers ask for.
#[cfg(feature = "probe")]
#[repr(C, align(32))]
struct Aligned<T: ?Sized>(T);

/// The probe: programs `spotter` and `spotter_frags`; see `ebpf/src/main.rs`.
#[cfg(feature = "probe")]
pub const PROBE: &[u8] = {
    const OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/probe")));
    &OBJECT.0
};

/// Programs the probe is measured beside; see `ebpf/src/peers.rs`.
#[cfg(feature = "probe")]
pub const PEERS: &[u8] = {
    const OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/peers")));
    &OBJECT.0
};

/// The generator of the throughput benches, and receivers that do nothing; see `ebpf/src/wire.rs`.
#[cfg(feature = "probe")]
pub const WIRE: &[u8] = {
    const OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/wire")));
    &OBJECT.0
};
