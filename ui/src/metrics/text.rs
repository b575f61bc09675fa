//! The Prometheus text format, version 0.0.4: families with HELP and TYPE, each once, samples below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Type of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// As it is.
    Gauge,
    /// `_sum` and `_count`.
    Summary,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: &'static str,
    samples: String,
}

/// Families by name, in this order.
#[derive(Debug, Default)]
pub(super) struct Families(BTreeMap<&'static str, Family>);

/// Names and values of labels.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

impl Families {
    fn put(
        &mut self,
        kind: Kind,
        name: &'static str,
        suffix: &str,
        help: &'static str,
        labels: &Labels<'_>,
        value: &dyn std::fmt::Display,
    ) {
        let family = self.0.entry(name).or_insert(Family { kind, help, samples: String::new() });
        let out = &mut family.samples;
        out.push_str(name);
        out.push_str(suffix);
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(out, "{}{label}=\"", if at == 0 { '{' } else { ',' });
            escape(text, out);
            out.push('"');
        }
        let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, labels: &Labels<'_>, value: u64) {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.put(Kind::Counter, name, "", help, labels, &value);
    }

    pub(super) fn seconds(&mut self, name: &'static str, help: &'static str, labels: &Labels<'_>, value: f64) {
        debug_assert!(name.ends_with("_seconds_total"), "{name}");
        self.put(Kind::Counter, name, "", help, labels, &value);
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, labels: &Labels<'_>, value: f64) {
        self.put(Kind::Gauge, name, "", help, labels, &value);
    }

    pub(super) fn summary(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &Labels<'_>,
        (sum, count): (f64, u64),
    ) {
        self.put(Kind::Summary, name, "_sum", help, labels, &sum);
        self.put(Kind::Summary, name, "_count", help, labels, &count);
    }

    pub(super) fn into_text(self) -> String {
        let mut out = String::new();
        for (name, Family { kind, help, samples }) in self.0 {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Summary => "summary",
            };
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
        out
    }
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}
