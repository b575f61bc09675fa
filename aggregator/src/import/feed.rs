//! The live feed of an import: what is read of capture files, a second at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::Books;
use crate::feed::{Feed, Gauges, Meter, RecordCounts, Report, Second, SourceKind, Traffic, Volume, time};
use crate::record::Micros;

/// Meters what is read, file after file. Without a feed it does nothing.
#[derive(Debug)]
pub(super) struct FileFeed {
    feed: Option<(Feed, Meter)>,
    sensor: String,
    told: Instant,
    /// The second that is metered.
    second: u64,
    /// The report before this one had something to tell.
    had_news: bool,
    /// Terms of the files before the one in work.
    before: BTreeMap<String, u64>,
    written: BTreeMap<String, u64>,
    sets: u64,
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl FileFeed {
    pub(super) fn new(feed: Option<&Feed>, sensor: &str) -> Self {
        Self {
            feed: feed.map(|feed| (feed.clone(), feed.meter())),
            sensor: sensor.to_owned(),
            told: Instant::now(),
            second: now().as_secs(),
            had_news: false,
            before: BTreeMap::new(),
            written: BTreeMap::new(),
            sets: 0,
        }
    }

    pub(super) fn meter(&mut self) -> Option<&mut Meter> {
        self.feed.as_mut().map(|(_, meter)| meter)
    }

    /// Reports if a second is over. Often called.
    pub(super) fn step(&mut self, books: &Books) {
        if self.feed.is_some() && now().as_secs() != self.second {
            self.tell(books, false);
        }
    }

    /// A file was read: all of it, or nothing of it counts.
    pub(super) fn file(&mut self, books: &Books, rows: &BTreeMap<&'static str, u64>) {
        self.before = self.terms(books);
        for (table, rows) in rows {
            *self.written.entry((*table).to_owned()).or_default() += rows;
        }
        self.sets += 1;
    }

    /// The last report.
    pub(super) fn end(&mut self) {
        self.tell(&Books::new(), true);
        if let Some((feed, _)) = &self.feed {
            feed.to.ended(&feed.source);
        }
    }

    /// The books so far: packets by term.
    fn terms(&self, books: &Books) -> BTreeMap<String, u64> {
        let mut terms = self.before.clone();
        for (name, value) in books.counters() {
            if let Some(term) = name.strip_prefix("packets.").filter(|term| !term.contains('.')) {
                *terms.entry(term.to_owned()).or_default() += value;
            }
        }
        terms
    }

    fn tell(&mut self, books: &Books, ended: bool) {
        let ledger = self.terms(books);
        let Some((feed, meter)) = &mut self.feed else { return };
        self.second = now().as_secs();
        let now = Instant::now();
        let interval = now.duration_since(std::mem::replace(&mut self.told, now));
        let mut second = Second {
            source: feed.source.clone(),
            kind: SourceKind::Import,
            sensor: self.sensor.clone(),
            at: time(Micros(i64::try_from(self.second).unwrap_or(0).saturating_mul(1_000_000))),
            interval_us: u64::try_from(interval.as_micros()).unwrap_or(u64::MAX),
            ended,
            traffic: Traffic::default(),
            records: RecordCounts::default(),
            talkers: Vec::new(),
            pairs: Vec::new(),
            names: Vec::new(),
            short: Volume::default(),
            last: Vec::new(),
            drops: Vec::new(),
            ledger,
            reports_lost: 0,
        };
        meter.take().tell(&mut second, &feed.home);
        let has_news = second.traffic != Traffic::default() || second.records != RecordCounts::default();
        // A folder in which nothing arrives says so once.
        if !(has_news || ended || std::mem::replace(&mut self.had_news, has_news)) {
            return;
        }
        self.had_news = has_news;
        feed.to.report(Report {
            whole: second.ledger.iter().map(|(term, value)| (format!("packets.{term}"), *value)).collect(),
            second,
            queues: Vec::new(),
            written: self.written.clone(),
            sets: self.sets,
            gauges: Gauges::default(),
        });
    }
}
