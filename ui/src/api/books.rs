//! The ledger as equations: what went in equals what became of it (ARCHITECTURE.md, rule 2).
//!
//! Counters are named `unit.name` or `unit.fate.cause`. An equation is shown for a book that has its left side; a term
//! that is not counted there is zero. Causes are parts of their fate and are never added again.

use std::collections::BTreeMap;

use super::types::{Counter, Equation};

/// Left side, right side.
const EQUATIONS: [(&str, &[&str]); 14] = [
    ("packets.offered", &["packets.missed_before_probe", "packets.seen"]),
    ("bytes.offered", &["bytes.missed_before_probe", "bytes.seen"]),
    (
        "packets.seen",
        &[
            "packets.received",
            "packets.not_ip",
            "packets.malformed",
            "packets.filtered",
            "packets.sampled_out",
            "packets.cached",
            "packets.to_slow_path",
        ],
    ),
    (
        "bytes.seen",
        &[
            "bytes.received",
            "bytes.not_ip",
            "bytes.malformed",
            "bytes.filtered",
            "bytes.sampled_out",
            "bytes.cached",
            "bytes.to_slow_path",
        ],
    ),
    ("packets.received", &["packets.aggregated"]),
    ("ip_bytes.received", &["ip_bytes.aggregated"]),
    ("packets.aggregated", &["packets.exported", "packets.live"]),
    ("ip_bytes.aggregated", &["ip_bytes.exported", "ip_bytes.live"]),
    ("flows.opened", &["flows.exported", "flows.evicted_lost", "flows.live"]),
    ("dns.query_questions", &["dns.rows.answered", "dns.rows.unanswered", "dns.query_repeats", "dns.waiting"]),
    ("dns.response_questions", &["dns.rows.answered", "dns.rows.unasked"]),
    ("http.requests", &["http.rows.answered", "http.rows.unanswered", "http.requests_waiting"]),
    ("http.responses", &["http.rows.answered", "http.responses_unasked", "http.responses_waiting"]),
    ("dns.rows", &["dns.rows.answered", "dns.rows.unanswered", "dns.rows.unasked"]),
];

/// Endings of counters of packets that were lost.
pub(super) const LOST: [&str; 6] =
    ["lost_ring_full", "lost_xsk", "lost_copy_ring", "lost_at_crash", "redirect_failed", "missed_before_probe"];

/// The equations that apply to the counters.
pub(super) fn equations(counters: &BTreeMap<String, u64>) -> Vec<Equation> {
    EQUATIONS
        .iter()
        .filter_map(|(left, right)| {
            let total = *counters.get(*left)?;
            // Where nothing of the right side is counted, this stage was not part of the run.
            if !right.iter().any(|name| counters.contains_key(*name)) {
                return None;
            }
            let terms = right
                .iter()
                .filter_map(|name| Some(Counter { name: short(name), value: *counters.get(*name)? }))
                .collect::<Vec<_>>();
            let sum: i128 = terms.iter().map(|term| i128::from(term.value)).sum();
            Some(Equation {
                unit: left.split('.').next().unwrap_or_default().to_owned(),
                total: Counter { name: (*left).to_owned(), value: total },
                terms: terms.into_iter().filter(|term| term.value > 0).collect(),
                difference: (i128::from(total) - sum).to_string(),
            })
        })
        .collect()
}

/// Packets lost, by every counter that says so.
pub(super) fn lost(counters: &BTreeMap<String, u64>) -> u64 {
    counters
        .iter()
        .filter(|(name, _)| name.strip_prefix("packets.").is_some_and(|rest| LOST.contains(&rest)))
        .fold(0, |sum, (_, value)| sum.saturating_add(*value))
}

/// A term without its unit: the left side has it.
fn short(name: &str) -> String {
    name.split_once('.').map_or(name, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(counters: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn a_closed_book_has_no_difference_and_an_open_one_says_how_much() {
        let mut counters = book(&[
            ("packets.seen", 100),
            ("packets.received", 90),
            ("packets.not_ip", 8),
            ("packets.malformed", 2),
            ("packets.malformed.truncated", 2),
            ("packets.filtered", 0),
        ]);
        let closed = equations(&counters);
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].difference, "0");
        assert_eq!(closed[0].terms.len(), 3, "zero terms are left out, causes are not added");
        counters.insert("packets.received".into(), 95);
        assert_eq!(equations(&counters)[0].difference, "-5");
        counters.insert("packets.received".into(), u64::MAX);
        assert_eq!(equations(&counters)[0].difference, (100 - 10 - i128::from(u64::MAX)).to_string());
    }

    #[test]
    fn equations_of_stages_that_did_not_run_are_not_shown() {
        assert!(equations(&book(&[("packets.seen", 5)])).is_empty());
        assert!(equations(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn losses_are_found_whatever_lost_them() {
        assert_eq!(
            lost(&book(&[
                ("packets.lost_xsk", 3),
                ("packets.seen", 9),
                ("bytes.lost_xsk", 300),
                ("packets.lost_ring_full", 2)
            ])),
            5
        );
    }
}
