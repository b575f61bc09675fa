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
//! | `among(record_id, ids)` | true if the identity is one of these, 16 bytes each in ascending order, a constant |
//! | `dns_addresses(answers)` | the addresses among DNS answers, joined by a bar |
//!
//! `encode(record_id, 'hex')` and `decode('…', 'hex')` are DataFusion's.

mod addresses;
mod among;
mod cidr;
mod flags;
mod protocol;
mod time;

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::plan_err;
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
        ScalarUDF::new_from_impl(among::Among::new()),
    ];
    for function in functions {
        registry.register_udf(Arc::new(function))?;
    }
    Ok(())
}

/// What a function takes its arguments for. Whatever can be read as that is cast to it.
#[derive(Clone, Copy)]
enum Wanted {
    /// A number from 0 to 255.
    Byte,
    /// Text.
    Text,
    /// A moment.
    Moment,
}

/// The types that the arguments of a function are cast to; exactly `count` arguments if that is given.
fn coerce(name: &str, wanted: Wanted, count: Option<usize>, types: &[DataType]) -> Result<Vec<DataType>> {
    if count.is_some_and(|count| count != types.len()) {
        return plan_err!("{name} takes {} argument(s), {} given", count.unwrap_or_default(), types.len());
    }
    let fits = |given: &DataType| match wanted {
        _ if given.is_null() => true,
        Wanted::Byte => given.is_integer(),
        Wanted::Text => given.is_string(),
        Wanted::Moment => {
            given.is_string() || matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
        }
    };
    if let Some(other) = types.iter().find(|given| !fits(given)) {
        let wanted = match wanted {
            Wanted::Byte => "a number from 0 to 255",
            Wanted::Text => "text",
            Wanted::Moment => "a moment",
        };
        return plan_err!("{name} needs {wanted}, not {other}");
    }
    let target = match wanted {
        Wanted::Byte => DataType::UInt8,
        Wanted::Text => DataType::Utf8,
        Wanted::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    };
    Ok(vec![target; types.len()])
}
