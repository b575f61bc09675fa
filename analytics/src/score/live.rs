//! New records, scored against the newest kept model as they arrive.
//!
//! Each look at the lake takes in the parts that are new: their words are counted beside those of the day so far, the detectors see them, every host's
//! mix is computed anew under the model's topics, and the day's list is published in place of the one before, as run `live-SOURCE-DATE`. A day that was
//! scored whole (nightly, or by hand) is left alone.
//!
//! Cost of a look: linear in the new records, plus one sweep over the day's distinct (host, word) pairs and detectors' cases. Memory: the day's corpus
//! ([`super::CorpusLimits`]) and the detectors' cases twice, while a list is made. An earlier record is ranked again only if it stood in the last list; the
//! nightly run looks at all. For the same cost the list goes without what reads more than the new records: rule files, the names DNS gave to addresses, and the
//! days before (slow beacons). The whole run brings them; verdicts, rules and context files stand in this list too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use aggregator::lake::{Day, Lake, Part, Source};
use aggregator::state;
use aggregator::state::runs::Run;
use hashbrown::{HashMap, HashSet};

use super::card::{FitCard, RowsCard};
use super::fuse::PairEvidence;
use super::judge::{LEFT_OUT_PRIORS, judge};
use super::matched::Matched;
use super::passes::{Counts, Reading, count, prepare, recount};
use super::rank::{Evidence, rank};
use super::request::{Progress, Ranking, ScoreRequest};
use super::rows::{Noted, Speller};
use super::run::{DayRun, Made, read_lists};
use super::saved::{self, Kind, SavedModel};
use super::train::CorpusBuilder;
use super::watch::Watch;
use super::{ScoreError, parts};
use crate::feedback::Feedback;
use crate::words::domain::DomainLists;

/// What a look at the lake came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looked {
    /// No model of the kind is kept yet: the first night makes one.
    NoModel,
    /// The day was scored whole.
    Scored,
    /// Nothing new.
    Nothing,
    /// A new list was published.
    Published {
        /// New records.
        records: u64,
        /// Rows of the list.
        kept: u64,
    },
}

/// The run is a live one: a list of the day so far, which a whole run replaces.
pub fn is_live(run: &Run) -> bool {
    run.run_id.starts_with("live-")
}

/// Scores a source's present day as its records arrive.
pub struct Live {
    request: ScoreRequest,
    lists: DomainLists,
    day: Option<Today>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("source", &self.request.source).finish_non_exhaustive()
    }
}

/// The day so far.
struct Today {
    date: Day,
    former: SavedModel,
    parts: Vec<Part>,
    speller: Speller,
    builder: CorpusBuilder,
    watches: Vec<Watch>,
    card: RowsCard,
    /// By part: numbers of the rows that stood in the last list, ascending.
    listed: HashMap<usize, Vec<u64>>,
}

impl Live {
    /// For a source; the date of the request is that of each look.
    ///
    /// # Errors
    /// A setting out of range, or a list of domains that cannot be read.
    pub fn new(request: ScoreRequest) -> Result<Self, ScoreError> {
        request.check()?;
        let (lists, _) = read_lists(&request)?;
        Ok(Self { request: ScoreRequest { ranking: Ranking::Fused, ..request }, lists, day: None })
    }

    /// Looks at what came since the last look, of the given day. Runs on the current rayon pool.
    ///
    /// # Errors
    /// The lake cannot be read or written. The next look begins the day anew.
    pub fn look(&mut self, lake: &Lake, date: Day, progress: &mut dyn Progress) -> Result<Looked, ScoreError> {
        let looked = self.attempt(lake, date, progress);
        if looked.is_err() {
            self.day = None;
        }
        looked
    }

    fn attempt(&mut self, lake: &Lake, date: Day, progress: &mut dyn Progress) -> Result<Looked, ScoreError> {
        let source = self.request.source;
        self.request.date = date;
        if lake.state().current_run(source, date)?.is_some_and(|run| !is_live(&run)) {
            self.day = None;
            return Ok(Looked::Scored);
        }
        let found = parts::of_day(lake, source.table(), date)?;
        let present: HashSet<PathBuf> = found.iter().map(|part| part.path.clone()).collect();
        // Compaction put other parts in their place: what was counted stands, but rows are known by part. Begin anew.
        let same = |day: &Today| day.date == date && day.parts.iter().all(|part| present.contains(&part.path));
        if !self.day.as_ref().is_some_and(same) {
            self.day = None;
            if found.is_empty() {
                return Ok(Looked::Nothing);
            }
            let Some(former) = saved::latest(lake, &Kind::of(&self.request), source, date)? else {
                return Ok(Looked::NoModel);
            };
            self.day = Some(Today::new(&self.request, self.lists.clone(), former)?);
        }
        let Some(day) = &mut self.day else { return Ok(Looked::NoModel) };
        let known: HashSet<PathBuf> = day.parts.iter().map(|part| part.path.clone()).collect();
        let from = day.parts.len();
        day.parts.extend(found.into_iter().filter(|part| !known.contains(&part.path)));
        if day.parts.len() == from {
            return Ok(Looked::Nothing);
        }
        day.take_in(lake, &self.request, from, progress)
    }
}

impl Today {
    fn new(request: &ScoreRequest, lists: DomainLists, former: SavedModel) -> Result<Self, ScoreError> {
        let mut speller = Speller::new(request, lists)?;
        speller.remember(&former.popularity.iter().collect::<Vec<_>>());
        Ok(Self {
            date: request.date,
            former,
            parts: Vec::new(),
            speller,
            builder: CorpusBuilder::new(request.corpus),
            watches: Watch::of(request.source, &request.internal),
            card: RowsCard::default(),
            listed: HashMap::new(),
        })
    }

    fn take_in(
        &mut self,
        lake: &Lake,
        request: &ScoreRequest,
        from: usize,
        progress: &mut dyn Progress,
    ) -> Result<Looked, ScoreError> {
        let mut seconds = BTreeMap::new();
        let begin = Instant::now();
        let Self { former, parts, speller, builder, watches, card, listed, .. } = self;
        let reading = Reading::new(parts, from, progress);
        prepare(&reading, speller)?;
        let Counts { builder: new, card: read, .. } = count(&reading, request, speller, watches, None)?;
        builder.merge(new);
        card.read += read.read;
        card.scored += read.scored;
        for (cause, rows) in read.invalid {
            *card.invalid.entry(cause).or_insert(0) += rows;
        }
        // Rows of the last list may have other words by now: what was rare is so no longer.
        let all_parts = Reading::new(parts, 0, progress);
        let rows = |part: usize| match part {
            part if part >= from => None,
            part => Some(listed.get(&part).map_or(&[][..], Vec::as_slice)),
        };
        recount(&all_parts, speller, builder, from, &rows)?;
        let records = read.read;
        if card.scored == 0 {
            return Ok(Looked::Nothing);
        }
        let scheme = speller.scheme();
        let corpus = builder.clone().finish(scheme);
        let counts = former.word_counts(&corpus, scheme);
        let known = |document: usize| {
            let place = former.documents.get(corpus.document_name(document as u32))?;
            former.model.document_counts(*place as usize)
        };
        let model = former.model.fold_in(&corpus.corpus, &counts, &known);
        let scores = model.pair_probabilities(&corpus.corpus);
        let pairs = PairEvidence::calibrated(&corpus, &model, &scores, former.calibrations.clone());
        let findings = Watch::finish(watches.clone());
        let feedback = Feedback::read(lake, request.source, state::now())?;
        let matched = Matched::default();
        let evidence = Evidence {
            corpus: &corpus,
            scores: &scores,
            pairs: Some(&pairs),
            findings: &findings,
            matched: &matched,
            feedback: &feedback,
        };
        let ranked = rank(&all_parts, request, speller, &evidence, &rows)?;
        let judged =
            judge(&corpus, &model, &scores, &ranked.kept, Some(&pairs), (&findings, &matched), None, &feedback, scheme);
        listed.clear();
        for row in &judged.rows {
            listed.entry(row.candidate.part as usize).or_default().push(row.candidate.row);
        }
        listed.values_mut().for_each(|rows| rows.sort_unstable());
        seconds.insert("look", begin.elapsed().as_secs_f64());
        let fit = FitCard {
            optimizer: "fold-in",
            topics: model.topics(),
            alpha: request.incremental().alpha,
            beta: request.incremental().beta,
            iterations: model.iterations(),
            seed: request.seed,
            restarts: 0,
            warm_start: Some(former.id.clone()),
            held_out_perplexity: None,
            log_likelihood: model.log_likelihood(),
            train_perplexity: (-model.log_likelihood() / corpus.corpus.tokens().max(1) as f64).exp(),
            left_out_priors: LEFT_OUT_PRIORS,
        };
        let drift = Some(former.drift(&corpus, scheme));
        let mut run = DayRun {
            request,
            parts: parts.clone(),
            speller: speller.clone(),
            card: RowsCard { groups: judged.groups, ..card.clone() },
            noted: Noted::default(),
            seconds,
            findings,
            feedback,
            hits: BTreeMap::new(),
            matched,
            copied: 0,
        };
        run.take(ranked.below, ranked.hits);
        let kept = judged.rows.len() as u64;
        let made = Made { corpus: &corpus, model: &model, scores: &scores, fit, drift, calibrations: Vec::new() };
        run.publish_live(lake, made, &judged.rows, progress)?;
        Ok(Looked::Published { records, kept })
    }
}

/// The run id of a source's live list of a day.
pub(super) fn run_id(source: Source, date: Day) -> String {
    format!("live-{}-{date}", source.as_str())
}
