//! xdp-probe/common
