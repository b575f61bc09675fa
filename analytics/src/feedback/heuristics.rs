//! Apache Spot's old heuristics as rules that are there for the asking; none is in force by itself.
//!
//! The Edge notebook before 1.0 gave severity 2 to flows that it took for noise: to a low port, with so few bytes that they cannot carry anything
//! (`set_rules`; its call was commented out in every release).

use aggregator::lake::Source;
use aggregator::state::rules::{Action, NewRule};

use super::{Matcher, Span};

/// A rule that can be asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Heuristic {
    /// Its name, as `spotter rules add --heuristic NAME` takes it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Which records it is about.
    pub source: Source,
    /// What it takes.
    pub matcher: Matcher,
}

/// All there are.
pub fn all() -> Vec<Heuristic> {
    let low_port = || Matcher { port: Some(Span { low: 0, high: 1024 }), ..Matcher::default() };
    let flow = |name, about, matcher| Heuristic { name, about, source: Source::Flow, matcher };
    vec![
        flow(
            "spot-empty-flow",
            "to a port up to 1024 with at most 54 bytes",
            Matcher { bytes: Some(Span { low: 0, high: 54 }), ..low_port() },
        ),
        flow(
            "spot-three-packets",
            "to a port up to 1024 with 3 packets of 152 bytes together",
            Matcher { packets: Some(Span::of(3)), bytes: Some(Span::of(152)), ..low_port() },
        ),
        flow(
            "spot-two-packets",
            "to a port up to 1024 with 2 packets of 104 bytes together",
            Matcher { packets: Some(Span::of(2)), bytes: Some(Span::of(104)), ..low_port() },
        ),
        flow(
            "spot-no-source-port",
            "from port 0 to a port up to 1023",
            Matcher { src_port: Some(Span::of(0)), port: Some(Span { low: 0, high: 1023 }), ..Matcher::default() },
        ),
    ]
}

impl Heuristic {
    /// As a rule that suppresses.
    pub fn rule(&self, author: &str) -> NewRule {
        NewRule {
            name: Some(self.name.to_owned()),
            action: Action::Suppress,
            source: self.source,
            matcher: self.matcher.to_json(),
            author: author.to_owned(),
            expires: None,
            note: Some(self.about.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::Seen;
    use super::*;

    #[test]
    fn they_take_what_spots_notebook_took() {
        let taken = |src_port, port, packets, bytes| -> Vec<&str> {
            let seen = Seen {
                src_port: Some(src_port),
                port: Some(port),
                packets: Some(packets),
                bytes: Some(bytes),
                ..Seen::default()
            };
            let takes = |rule: &Heuristic| rule.matcher.pattern().unwrap().takes(&seen, &|| 0);
            all().into_iter().filter(takes).map(|rule| rule.name).collect()
        };
        assert_eq!(taken(40_000, 1024, 1, 54), ["spot-empty-flow"]);
        assert_eq!(taken(40_000, 445, 3, 152), ["spot-three-packets"]);
        assert_eq!(taken(40_000, 22, 2, 104), ["spot-two-packets"]);
        assert_eq!(taken(0, 1023, 9, 900), ["spot-no-source-port"]);
        assert!(taken(40_000, 1025, 1, 54).is_empty() && taken(0, 1024, 9, 900).is_empty());
        assert!(all().iter().all(|rule| rule.matcher.check(rule.source).is_ok()));
    }
}
