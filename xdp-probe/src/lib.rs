//! xdp-probe
