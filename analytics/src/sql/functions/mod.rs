//! SQL functions that DataFusion lacks and an analyst of networks needs.
//!
//! | function | gives |
//! |---|---|
//! | `in_cidr(ip, '10.0.0.0/8', …)` (also `cidr_match`) | true if the address lies in one of the networks; IPv4 and IPv6, a plain address is its own network, IPv4-mapped IPv6 (`::ffff:a.b.c.d`) counts as IPv4; null if `ip` is null or no address |
//! | `is_private(ip)` | true for addresses that are not routed in the Internet: RFC 1918, loopback, link-local, RFC 6598, unique local (RFC 4193) |
//! | `proto_name(proto)` | the protocol's keyword as nfdump prints it (`TCP`, `UDP`, `ICMP6`), else the number |
//! | `tcp_flags(flags)` | the flags as nfdump prints them: `CEUAPRSF`, a dot for each that is not set |
//! | `unix_seconds(ts)` | whole seconds since 1970, rounded down; a filter on it prunes files |
//! | `spot_time(ts)` | `YYYY-MM-DD HH:MM:SS`, UTC; a filter on it prunes files |
//! | `dns_addresses(answers)` | the addresses among DNS answers, joined by a bar |
//!
//! `encode(record_id, 'hex')` and `decode('…', 'hex')` are DataFusion's.

mod addresses;
mod cidr;
mod flags;
mod protocol;
mod time;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;

/// Makes the functions known to a session.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let functions = [
        ScalarUDF::new_from_impl(cidr::InCidr::new()),
        ScalarUDF::new_from_impl(cidr::IsPrivate::new()),
        ScalarUDF::new_from_impl(protocol::ProtoName::new()),
        ScalarUDF::new_from_impl(flags::TcpFlags::new()),
        ScalarUDF::new_from_impl(time::FloorToSecond::unix_seconds()),
        ScalarUDF::new_from_impl(time::FloorToSecond::spot_time()),
        ScalarUDF::new_from_impl(addresses::DnsAddresses::new()),
    ];
    for function in functions {
        registry.register_udf(Arc::new(function))?;
    }
    Ok(())
}
