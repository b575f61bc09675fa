//! Names of the hosts that held an address by DHCP, for the pages about one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aggregator::lake::{Day, Lake};
use aggregator::record::Micros;
use analytics::context::Leases;

use crate::app::App;
use crate::problem::ApiError;

/// A host's name, and when it held the address.
pub(super) struct HeldName {
    pub(super) name: String,
    /// Spans without a break.
    pub(super) count: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
}

/// The hosts that held an address within `from <= t < to`, the latest first.
pub(super) async fn of(app: &App, ip: IpAddr, (from, to): (Micros, Micros)) -> Result<Vec<HeldName>, ApiError> {
    let days = (Day::of(from), Day::of(Micros(to.0.saturating_sub(1))));
    let collect = move |lake: &Lake| Leases::of_address(lake, days, ip).map_err(|e| ApiError::Broken(e.to_string()));
    let leases = app.blocking(collect).await?;
    let mut names: BTreeMap<&str, HeldName> = BTreeMap::new();
    for (name, first, last) in leases.within(ip, from.0, to.0) {
        let (first, last) = (Micros(first), Micros(last));
        let held = names.entry(name).or_insert_with(|| HeldName { name: name.to_owned(), count: 0, first, last });
        held.count += 1;
        held.last = held.last.max(last);
    }
    let mut names: Vec<HeldName> = names.into_values().collect();
    names.sort_by_key(|held| std::cmp::Reverse(held.last));
    Ok(names)
}
