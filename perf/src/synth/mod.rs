//! Synthetic traffic: a working day of an organisation that does not exist, with attacks that are known.
//!
//! One model, two outputs. Hosts with roles make *sessions* (who speaks with whom, what they say, how long they wait);
//! a session is played into packets ([`write_pcap`]) or counted into records, so that a capture of the day
//! and the records made straight from it tell the same story. The same [`SynthConfig`] gives the same bytes on every
//! machine. Memory does not grow with the length of the day: only sessions under way are held.
//!
//! Payload is real for DNS, HTTP/1.1, TLS hellos and the first messages of a dozen other protocols; what would be
//! encrypted or is only bulk is filler. Names and addresses are from the ranges reserved for documentation and
//! benchmarks.

mod attacks;
mod config;
mod copies;
mod devices;
mod dns;
mod frame;
mod hostile;
mod http;
mod infrastructure;
mod label;
mod office;
mod pcap;
mod play;
mod protocols;
mod random;
mod records;
mod session;
mod sim;
mod sites;
mod tls;
mod traffic;
mod web;
mod world;

pub use config::{Attack, Date, Intensity, SynthConfig};
pub use copies::write_flows;
pub use hostile::{Hostile, write_hostile};
pub use label::{Label, Selector, Source, read_labels, write_labels};
pub use pcap::{Summary, write_pcap, write_pcap_hourly};
pub use records::{RecordSummary, make_records, write_lake};

/// Why nothing, or not all, was generated.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// Not a day of the calendar between 1971 and 2200.
    #[error("'{0}' is not a date: expected YYYY-MM-DD, year 1971 to 2200")]
    Date(String),
    /// No such attack.
    #[error("'{word}' is not an attack: expected all, none, or names of {known} with commas")]
    Attack {
        /// What was given.
        word: String,
        /// What there is.
        known: String,
    },
    /// No such intensity.
    #[error("'{0}' is not an intensity: expected low, medium or high")]
    Intensity(String),
    /// A setting out of its range.
    #[error("{name} is out of range: expected {range}")]
    OutOfRange {
        /// Which setting.
        name: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// The output could not be written.
    #[error("cannot write the traffic: {0}")]
    Io(#[from] std::io::Error),
    /// The lake did not take the records.
    #[error(transparent)]
    Lake(#[from] aggregator::lake::LakeError),
    /// The writer stopped without an error of its own: it panicked.
    #[error("the lake's writer stopped")]
    WriterStopped,
}

/// Progress of a run: the share that is done, 0 to 1, and packets so far. Called about once per simulated minute.
pub trait Progress {
    /// So much is done.
    fn advance(&mut self, share: f64, packets: u64);
}

/// Nobody watches.
impl Progress for () {
    fn advance(&mut self, _: f64, _: u64) {}
}

impl<F: FnMut(f64, u64)> Progress for F {
    fn advance(&mut self, share: f64, packets: u64) {
        self(share, packets);
    }
}
