//! What a collector remembers, as text: templates and samplings outlive a restart.
//!
//! A line a thing, each exporter before its own:
//!
//! ```text
//! spotter-templates 1
//! exporter ipfix 192.0.2.1 5
//! template 256 data 1700000000 8:4 12:4 1:8 14@29305:8
//! sampler 1 100
//! sampling 1000
//! started 1699990000000
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Collector;
use super::build::{millis, seconds};
use super::flow::Protocol;
use super::store::ExporterKey;
use super::template::{Field, Kind, Template};
use crate::Nanos;

const FIRST_LINE: &str = "spotter-templates 1";

/// A line that cannot be read. What stood before it is remembered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} of the remembered templates cannot be read: {text:?}")]
pub struct MemoryError {
    /// Its number, from 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

const PROTOCOLS: [(&str, Protocol); 6] = [
    ("netflow1", Protocol::NetFlow1),
    ("netflow5", Protocol::NetFlow5),
    ("netflow7", Protocol::NetFlow7),
    ("netflow9", Protocol::NetFlow9),
    ("ipfix", Protocol::Ipfix),
    ("sflow", Protocol::SFlow),
];

/// An exporter's name: protocol, address, domain.
pub(super) fn name(key: &ExporterKey) -> Option<String> {
    exporter_name(key.protocol, key.address, key.domain)
}

/// The name of an exporter in the ledger, as `ipfix 192.0.2.1 5`; `None` for a file's.
pub fn exporter_name(protocol: Protocol, address: IpAddr, domain: u32) -> Option<String> {
    let (name, _) = PROTOCOLS.iter().find(|(_, of)| *of == protocol)?;
    Some(format!("{name} {address} {domain}"))
}

/// The exporter of a [`name`].
pub(super) fn key(name: &str) -> Option<ExporterKey> {
    let mut words = name.split(' ');
    let protocol = words.next()?;
    let protocol = PROTOCOLS.iter().find(|(text, _)| *text == protocol)?.1;
    Some(ExporterKey { protocol, address: words.next()?.parse().ok()?, domain: words.next()?.parse().ok()? })
}

impl Collector {
    /// What is to be remembered over a restart.
    pub fn memory(&self) -> String {
        let mut out = format!("{FIRST_LINE}\n");
        for (key, exporter) in self.store.remembered() {
            let Some(name) = name(key) else { continue };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "exporter {name}");
            let mut ids: Vec<_> = exporter.templates.iter().collect();
            ids.sort_by_key(|(id, _)| **id);
            for (id, kept) in ids {
                let kind = if kept.template.kind == Kind::Data { "data" } else { "options" };
                let _ = write!(out, "template {id} {kind} {}", kept.used.0.div_euclid(1_000_000_000));
                for Field { id, len, enterprise } in &kept.template.fields {
                    let _ = match enterprise {
                        0 => write!(out, " {id}:{len}"),
                        enterprise => write!(out, " {id}@{enterprise}:{len}"),
                    };
                }
                out.push('\n');
            }
            let mut samplers: Vec<_> = exporter.samplers.iter().collect();
            samplers.sort();
            for (id, interval) in samplers {
                let _ = writeln!(out, "sampler {id} {interval}");
            }
            if let Some(interval) = exporter.sampling {
                let _ = writeln!(out, "sampling {interval}");
            }
            if let Some(init) = exporter.system_init {
                let _ = writeln!(out, "started {}", init.0.div_euclid(1_000_000));
            }
        }
        out
    }

    /// Remembers. What is known already stays; the limits hold.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn remember(&mut self, memory: &str) -> Result<(), MemoryError> {
        let mut key = None;
        for (at, line) in memory.lines().enumerate() {
            let wrong = || MemoryError { line: at + 1, text: line.chars().take(80).collect() };
            if at == 0 {
                (line == FIRST_LINE).then_some(()).ok_or_else(wrong)?;
            } else {
                self.remember_line(line, &mut key).ok_or_else(wrong)?;
            }
        }
        Ok(())
    }

    fn remember_line(&mut self, line: &str, key: &mut Option<ExporterKey>) -> Option<()> {
        let Self { limits, store, counters, .. } = self;
        let (what, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        if what == "exporter" {
            *key = Some(self::key(rest)?);
            return Some(());
        }
        let key = (*key)?;
        let seen = store.get(&key).map_or(Nanos(0), |exporter| exporter.seen);
        let exporter = store.exporter(key, seen, limits, counters);
        match what {
            "template" => {
                let id: u16 = words.next()?.parse().ok()?;
                let kind = match words.next()? {
                    "data" => Kind::Data,
                    "options" => Kind::Options,
                    _ => return None,
                };
                let used = seconds(words.next()?.parse().ok()?);
                let fields: Vec<Field> = words.map(field).collect::<Option<_>>()?;
                if fields.len() > limits.max_fields || id < 256 {
                    return None;
                }
                let template = Template::new(kind, fields)?;
                if !exporter.templates.contains_key(&id) {
                    let learnt = counters.templates_learnt;
                    store.learn(key, id, template, &[], used, limits, counters);
                    counters.templates_learnt = learnt;
                }
            }
            "sampler" if exporter.samplers.len() < limits.max_samplers => {
                let (id, interval) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                exporter.samplers.entry(id).or_insert(interval);
                exporter.only_sampler = exporter.only_sampler.or(Some(interval));
            }
            "sampler" => {}
            "sampling" => exporter.sampling = exporter.sampling.or(Some(words.next()?.parse().ok()?)),
            "started" => exporter.system_init = exporter.system_init.or(Some(millis(words.next()?.parse().ok()?))),
            _ => return None,
        }
        Some(())
    }
}

fn field(word: &str) -> Option<Field> {
    let (element, len) = word.split_once(':')?;
    let (id, enterprise) = element.split_once('@').unwrap_or((element, "0"));
    Some(Field { id: id.parse().ok()?, len: len.parse().ok()?, enterprise: enterprise.parse().ok()? })
}
