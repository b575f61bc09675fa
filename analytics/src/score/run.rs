//! The passes of a run, one after the other.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use aggregator::lake::{Day, Lake, Part, SetKind, SetWriter, Table, WriterOptions};
use aggregator::record::Micros;
use aggregator::state;

use super::before::Before;
use super::card::{BesideCard, CorpusCard, FitCard, ModelCard, RowsCard, TopDomainsCard, columns};
use super::enrich::Enrichment;
use super::fit::{Fitted, fit, model_id};
use super::fuse::{Calibration, PairEvidence};
use super::judge::{Scored, judge};
use super::matched::Matched;
use super::passes::{Counts, Reading, all, count, prepare};
use super::rank::{Evidence, rank};
use super::request::{Progress, Ranking, ScoreRequest, Stage};
use super::rows::{Noted, Speller};
use super::saved::{self, DriftCard, Kind};
use super::select::Candidate;
use super::slow::look_back;
use super::train::DayCorpus;
use super::watch::Watch;
use super::write::{RunColumns, batch};
use super::{ScoreError, dismissed, live, parts};
use crate::context::Store;
use crate::detect::Findings;
use crate::feedback::Feedback;
use crate::lda::Model;
use crate::words::domain::{DomainLists, TopDomains};

/// How often a run begins anew because parts were replaced under it.
const ATTEMPTS: usize = 3;

/// A list of domains may be this large.
const TOP_DOMAINS_BYTES: u64 = 256 << 20;

/// What a run did.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct ScoreRun {
    /// Identity: the `run_id` of its rows.
    pub run_id: String,
    /// What made its scores.
    pub card: ModelCard,
}

/// Scores a day: fits the day, scores every record, writes the most suspicious as a set and makes the run the current one of its source
/// and day.
///
/// # Errors
/// See [`ScoreError`]. Nothing is written then, and the former run stays current.
pub fn score(lake: &Lake, request: &ScoreRequest, progress: &mut dyn Progress) -> Result<ScoreRun, ScoreError> {
    request.check()?;
    if !lake.is_writable() {
        // Says why, before the work and not after it.
        drop(lake.begin(SetKind::Books, WriterOptions::new("scores"))?);
    }
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = request.threads {
        pool = pool.num_threads(threads);
    }
    let pool = pool.build().map_err(|error| ScoreError::Threads(error.to_string()))?;
    let lists = read_lists(request)?;
    // A compaction may replace parts between the passes: then from the start, on the parts as they are now.
    for _ in 1..ATTEMPTS {
        match attempt(lake, request, &pool, lists.clone(), progress) {
            Err(ScoreError::Changed { path }) => {
                tracing::info!(path = %path.display(), "replaced meanwhile; scoring again")
            }
            outcome => return outcome,
        }
    }
    attempt(lake, request, &pool, lists, progress)
}

fn attempt(
    lake: &Lake,
    request: &ScoreRequest,
    pool: &rayon::ThreadPool,
    (lists, list_card): (DomainLists, Option<TopDomainsCard>),
    progress: &mut dyn Progress,
) -> Result<ScoreRun, ScoreError> {
    let parts = parts::of_day(lake, request.source.table(), request.date)?;
    let mut day = DayRun {
        request,
        speller: Speller::new(request, lists)?,
        card: RowsCard::default(),
        noted: Noted::default(),
        seconds: BTreeMap::new(),
        findings: Findings::default(),
        feedback: Feedback::read(lake, request.source, state::now())?,
        hits: BTreeMap::new(),
        matched: Matched::of(lake, request)?,
        copied: 0,
        parts,
    };
    let parts = std::mem::take(&mut day.parts);
    let (corpus, watches) = {
        let reading = Reading::new(&parts, 0, progress);
        day.timed("count", |day| pool.install(|| day.count(lake, &reading)))?
    };
    let slow = day.timed("days before", |_| pool.install(|| look_back(lake, request, &watches, progress)))?;
    day.findings = Watch::finish(watches);
    day.findings.append(slow);
    let former = saved::before(lake, &Kind::of(request), request.source, request.date)?;
    let scheme = day.speller.scheme();
    let drift = former.as_ref().map(|former| former.drift(&corpus, scheme));
    let fitting = Instant::now();
    let Fitted { model, card } = pool.install(|| fit(request, &corpus, former.as_ref(), scheme, progress))?;
    day.seconds.insert("fit", fitting.elapsed().as_secs_f64());
    let scores = pool.install(|| model.pair_probabilities(&corpus.corpus));
    let pairs = day.timed("calibrate", |_| {
        let fused = request.ranking == Ranking::Fused;
        Ok(fused.then(|| pool.install(|| PairEvidence::new(&corpus, &model, &scores, request.source))))
    })?;
    let ranked = {
        let reading = Reading::new(&parts, 0, progress);
        day.timed("score", |day| {
            let (findings, matched, feedback) = (&day.findings, &day.matched, &day.feedback);
            let pairs = pairs.as_ref();
            let evidence = Evidence { corpus: &corpus, scores: &scores, pairs, findings, matched, feedback };
            pool.install(|| rank(&reading, request, &day.speller, &evidence, &all))
        })?
    };
    day.take(ranked.below, ranked.hits);
    let kept = day.timed("explain", |day| {
        let (found, feedback) = ((&day.findings, &day.matched), &day.feedback);
        let evidence = pairs.as_ref();
        let (beside, scheme) = (request.beside.as_deref(), day.speller.scheme());
        let judged = judge(&corpus, &model, &scores, &ranked.kept, evidence, found, beside, feedback, scheme);
        day.card.groups = judged.groups;
        Ok(judged.rows)
    })?;
    let calibrations = pairs.as_ref().map(PairEvidence::calibrations).unwrap_or_default();
    let made = Made { corpus: &corpus, model: &model, scores: &scores, fit: card, drift, calibrations };
    day.parts = parts;
    day.publish(lake, made, &kept, (list_card, pool.current_num_threads()), progress)
}

/// What a run made, beside its rows.
pub(super) struct Made<'a> {
    pub(super) corpus: &'a DayCorpus,
    pub(super) model: &'a Model,
    /// By place.
    pub(super) scores: &'a [f64],
    pub(super) fit: FitCard,
    pub(super) drift: Option<DriftCard>,
    pub(super) calibrations: Vec<Calibration>,
}

pub(super) fn read_lists(request: &ScoreRequest) -> Result<(DomainLists, Option<TopDomainsCard>), ScoreError> {
    let user_domain = request.user_domain.clone();
    let Some(path) = &request.top_domains else {
        return Ok((DomainLists { top: TopDomains::default(), user_domain }, None));
    };
    let open = |source| ScoreError::Open { path: path.clone(), source };
    let file = std::fs::File::open(path).map_err(open)?;
    let mut bytes = Vec::new();
    file.take(TOP_DOMAINS_BYTES + 1).read_to_end(&mut bytes).map_err(open)?;
    if bytes.len() as u64 > TOP_DOMAINS_BYTES {
        let found = format!("{} of more than 256 MiB", path.display());
        return Err(ScoreError::Setting { name: "top domains", expected: "a file of at most 256 MiB", found });
    }
    let top =
        TopDomains::read(bytes.as_slice()).map_err(|source| ScoreError::TopDomains { path: path.clone(), source })?;
    let card = TopDomainsCard {
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        blake3: blake3::hash(&bytes).to_hex().to_string(),
        labels: top.len(),
    };
    Ok((DomainLists { top, user_domain }, Some(card)))
}

/// A run at work.
pub(super) struct DayRun<'a> {
    pub(super) request: &'a ScoreRequest,
    pub(super) parts: Vec<Part>,
    pub(super) speller: Speller,
    pub(super) card: RowsCard,
    /// As of the first pass.
    pub(super) noted: Noted,
    pub(super) seconds: BTreeMap<&'static str, f64>,
    /// Of the detectors, after the first pass; none where Spot's score ranks.
    pub(super) findings: Findings,
    /// Verdicts and rules in force.
    pub(super) feedback: Feedback,
    /// Records each rule matched, by its number in the feedback.
    pub(super) hits: BTreeMap<usize, u64>,
    /// What rule files say of the records.
    pub(super) matched: Matched,
    /// Tokens that dismissed records were counted beside their own (Spot's score).
    pub(super) copied: u64,
}

/// The rows that are kept, and what was counted on the way.
pub(super) struct Kept {
    pub(super) candidates: Vec<Candidate>,
    /// By place: records whose lower score, as Spot has it, is the pair's.
    pub(super) decided: Vec<u32>,
    /// By place: records in whose ranking the pair decided.
    pub(super) grouped: Vec<u32>,
    /// By number: records in whose ranking the finding decided.
    pub(super) found: Vec<u32>,
}

impl DayRun<'_> {
    fn timed<T>(
        &mut self,
        stage: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, ScoreError>,
    ) -> Result<T, ScoreError> {
        let start = Instant::now();
        let done = work(self);
        self.seconds.insert(stage, start.elapsed().as_secs_f64());
        done
    }

    /// First pass: the corpus, and the detectors that have seen the day.
    fn count(&mut self, lake: &Lake, reading: &Reading<'_>) -> Result<(DayCorpus, Vec<Watch>), ScoreError> {
        prepare(reading, &mut self.speller)?;
        let mut watches = match self.request.ranking {
            Ranking::Fused => Watch::of(self.request.source, &self.request.internal),
            Ranking::Spot => Vec::new(),
        };
        // Spot trains on what was dismissed as if it had been seen DUPFACTOR times more.
        let copies = match self.request.ranking {
            Ranking::Spot if !self.feedback.is_empty() => self.request.dupfactor,
            _ => 0,
        };
        let copied = (copies > 0).then_some((&self.feedback, copies));
        let Counts { mut builder, card, copied } =
            count(reading, self.request, &mut self.speller, &mut watches, copied)?;
        self.copied = copied;
        self.card =
            RowsCard { rule_files: self.matched.counts.clone(), rule_errors: self.matched.errors.clone(), ..card };
        let (source_name, date) = (self.request.source.as_str(), self.request.date);
        if self.card.read == 0 {
            return Err(ScoreError::NoRecords { source_name, date });
        }
        if self.card.scored == 0 {
            let causes: Vec<String> = self.card.invalid.iter().map(|(cause, rows)| format!("{cause} {rows}")).collect();
            return Err(ScoreError::NoWords { source_name, date, rows: self.card.read, causes: causes.join(", ") });
        }
        self.noted = self.speller.noted();
        builder.add_extra(&self.request.extra);
        if copies > 0 {
            let extra = dismissed::tokens(lake, self.request.source, &self.feedback, &mut self.speller, copies)?;
            self.copied += extra.iter().map(|token| u64::from(token.weight)).sum::<u64>();
            builder.add_extra(&extra);
        }
        Ok((builder.finish(self.speller.scheme()), watches))
    }

    pub(super) fn take(&mut self, below: u64, hits: BTreeMap<usize, u64>) {
        self.card.below_threshold = below;
        for (rule, records) in &hits {
            self.card.rules.insert(self.feedback.name(*rule), *records);
        }
        self.hits = hits;
    }

    /// Keeps the model, writes the rows and makes the run the current one.
    fn publish(
        mut self,
        lake: &Lake,
        made: Made<'_>,
        kept: &[Scored],
        top_domains: (Option<TopDomainsCard>, usize),
        progress: &mut dyn Progress,
    ) -> Result<ScoreRun, ScoreError> {
        let request = self.request;
        let run_id = uuid::Uuid::now_v7().to_string();
        let now = state::now();
        let Made { corpus: day, model, scores, fit, drift, calibrations } = made;
        let model_id = model_id(request, &fit, day, self.speller.scheme());
        progress.step(Stage::Write, 0, kept.len() as u64);
        let start = Instant::now();
        // A name may have been asked for before midnight.
        let names = [Day(request.date.0.saturating_sub(1)), request.date];
        if let Some(set) = self.rows(lake, (kept, day, scores), &run_id, (&model_id, now), &names)? {
            set.commit()?;
        }
        self.seconds.insert("write", start.elapsed().as_secs_f64());
        self.card.beside = self.beside_card(kept);
        let memory = (calibrations, self.speller.popularity());
        let file = saved::keep(lake, request, &model_id, day, model, self.speller.scheme(), memory)?;
        let card = self.finish(lake, (model_id, fit, drift), day, top_domains, kept.len(), now)?;
        record_model(lake, request, &card, file, now)?;
        record_run(lake, request, &run_id, &card, now)?;
        saved::tidy(lake, request)?;
        progress.step(Stage::Write, kept.len() as u64, kept.len() as u64);
        Ok(ScoreRun { run_id, card })
    }

    /// How far another model's results agree with the rows that are kept.
    fn beside_card(&self, kept: &[Scored]) -> Option<BesideCard> {
        const FIRST: usize = 100;
        let beside = self.request.beside.as_deref()?;
        let of = |row: &Scored| self.matched.beside.by_record.get(&row.candidate.record_id);
        let both = |row: &&Scored| of(row).is_some_and(|(place, _)| *place as usize <= FIRST);
        Some(BesideCard {
            name: beside.name.clone(),
            rows: beside.rows,
            rejected: beside.rejected.count,
            found: self.matched.beside.rows,
            listed: kept.iter().filter(|row| of(row).is_some()).count() as u64,
            both_first_hundred: kept.iter().take(FIRST).filter(both).count() as u64,
        })
    }

    /// Writes the rows in place of those of the last look.
    pub(super) fn publish_live(
        mut self,
        lake: &Lake,
        made: Made<'_>,
        kept: &[Scored],
        progress: &mut dyn Progress,
    ) -> Result<(), ScoreError> {
        let request = self.request;
        let run_id = live::run_id(request.source, request.date);
        let now = state::now();
        let Made { corpus: day, scores, fit, drift, .. } = made;
        let model_id = fit.warm_start.clone().unwrap_or_default();
        if let Some(set) = self.rows(lake, (kept, day, scores), &run_id, (&model_id, now), &[])? {
            set.commit_again()?;
        }
        let threads = rayon::current_num_threads();
        let card = self.finish(lake, (model_id, fit, drift), day, (None, threads), kept.len(), now)?;
        // A whole run may have come meanwhile: it stays.
        if lake.state().current_run(request.source, request.date)?.is_none_or(|run| live::is_live(&run)) {
            record_run(lake, request, &run_id, &card, now)?;
        }
        progress.step(Stage::Write, kept.len() as u64, kept.len() as u64);
        Ok(())
    }

    /// The set of the rows; `names` are the days whose DNS answers say what addresses were called.
    fn rows(
        &mut self,
        lake: &Lake,
        (kept, day, scores): (&[Scored], &DayCorpus, &[f64]),
        run_id: &str,
        (model, now): (&str, Micros),
        names: &[Day],
    ) -> Result<Option<SetWriter>, ScoreError> {
        if kept.is_empty() {
            return Ok(None);
        }
        let request = self.request;
        let before = Before::of(lake, request.source, request.date)?;
        let run = RunColumns { run_id, scored_at: now.0, model, words: request.words.as_str(), before: &before };
        let context = Store::of_lake(lake.dir()).current();
        let enrichment = Enrichment { lake, names, internal: &request.internal, context: &context };
        let score_of = |document: &str, word| scores.get(day.place(document, word)?.1).copied();
        let rows = batch(kept, &self.parts, request.source, &mut self.speller, &run, &enrichment, &score_of)?;
        let kind = SetKind::Scores { run_id: run_id.to_owned(), source: request.source, date: request.date };
        let mut set = lake.begin(kind, WriterOptions::new("scores"))?;
        set.batch(Table::Scores(request.source), &rows)?;
        Ok(Some(set))
    }

    /// Counts the rules' hits, and makes the card.
    fn finish(
        mut self,
        lake: &Lake,
        (model, fit, drift): (String, FitCard, Option<DriftCard>),
        day: &DayCorpus,
        (top_domains, threads): (Option<TopDomainsCard>, usize),
        kept: usize,
        now: Micros,
    ) -> Result<ModelCard, ScoreError> {
        self.card.kept = kept as u64;
        let hits: Vec<_> =
            self.hits.iter().filter_map(|(rule, records)| Some((self.feedback.rule(*rule)?, *records))).collect();
        for (id, records) in hits {
            lake.state().count_rule_hits(id, records, now)?;
        }
        Ok(self.model_card(model, (fit, drift), day, top_domains, threads))
    }

    fn model_card(
        self,
        model: String,
        (fit, drift): (FitCard, Option<DriftCard>),
        day: &DayCorpus,
        top_domains: Option<TopDomainsCard>,
        threads: usize,
    ) -> ModelCard {
        let request = self.request;
        let Noted { dns_unanswered, dns_lengths_computed, dns_lengths_estimated, agents_overflow, texts_overflow } =
            self.noted;
        let corpus = CorpusCard {
            documents: day.corpus.documents(),
            vocabulary: day.corpus.vocabulary(),
            pairs: day.corpus.pairs(),
            tokens: day.corpus.tokens(),
            extra_tokens: request.extra.iter().map(|token| u64::from(token.weight)).sum::<u64>() + self.copied,
            overflow: day.overflow,
            agents_overflow,
            texts_overflow,
            dns_unanswered,
            dns_lengths_computed,
            dns_lengths_estimated,
        };
        let rows = RowsCard {
            threshold: request.threshold.is_finite().then_some(request.threshold),
            limit: request.limit,
            members: request.members,
            ..self.card
        };
        ModelCard {
            model,
            source: request.source.as_str().into(),
            date: request.date.to_string(),
            words: request.words.as_str().into(),
            features: self.speller.features(),
            drift,
            fit,
            corpus,
            rows,
            top_domains,
            user_domain: request.user_domain.clone(),
            ranking: request.ranking.as_str(),
            detectors: self.findings.families().to_vec(),
            columns: columns(request.ranking),
            seconds: self.seconds,
            threads,
        }
    }
}

fn json_of(card: &ModelCard) -> Result<String, ScoreError> {
    serde_json::to_string(card).map_err(|error| ScoreError::Card(error.to_string()))
}

fn record_model(
    lake: &Lake,
    request: &ScoreRequest,
    card: &ModelCard,
    file: String,
    now: Micros,
) -> Result<(), ScoreError> {
    lake.state().put_model(&state::runs::Model {
        model_id: card.model.clone(),
        source: request.source,
        words: request.words.as_str().to_owned(),
        file: Some(file),
        card: json_of(card)?,
        created: now,
    })?;
    Ok(())
}

fn record_run(
    lake: &Lake,
    request: &ScoreRequest,
    run_id: &str,
    card: &ModelCard,
    now: Micros,
) -> Result<(), ScoreError> {
    lake.state().put_run(&state::runs::Run {
        run_id: run_id.to_owned(),
        source: request.source,
        date: request.date,
        words: request.words.as_str().to_owned(),
        model: Some(card.model.clone()),
        card: json_of(card)?,
        created: now,
        current: true,
    })?;
    Ok(())
}
