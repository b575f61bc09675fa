//! The passes of a run, one after the other.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use aggregator::lake::{Lake, Part, SetKind, Table, WriterOptions};
use aggregator::record::Micros;
use aggregator::state;
use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch};

use super::card::{CorpusCard, FitCard, ModelCard, RowsCard, TopDomainsCard, columns};
use super::feedback::{Feedback, Ruled, Seen};
use super::fuse::{PairEvidence, add_up};
use super::judge::{GroupIds, LEFT_OUT_PRIORS, Scored, judge};
use super::request::{Optimizer, Progress, Ranking, ScoreRequest, Stage};
use super::rows::{Noted, Speller};
use super::select::{Candidate, Selection, is_kept};
use super::train::{CorpusBuilder, DayCorpus};
use super::watch::{self, Watch};
use super::write::{RunColumns, batch};
use super::{ScoreError, parts};
use crate::detect::Findings;
use crate::lda::{LdaError, Model, em, incremental, online};
use crate::words::Scheme;
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
        rows: parts.iter().map(|part| part.rows).sum(),
        parts,
        speller: Speller::new(request.source, lists),
        card: RowsCard::default(),
        noted: Noted::default(),
        seconds: BTreeMap::new(),
        findings: Findings::default(),
        feedback: match request.ranking {
            Ranking::Fused => Feedback::read(lake, request.source, state::now())?,
            Ranking::Spot => Feedback::default(),
        },
        hits: BTreeMap::new(),
    };
    let corpus = day.count(progress)?;
    let model = day.timed("fit", |day| pool.install(|| day.fit(&corpus, progress)))?;
    let scores = pool.install(|| model.pair_probabilities(&corpus.corpus));
    let evidence = day.timed("calibrate", |_| {
        let fused = request.ranking == Ranking::Fused;
        Ok(fused.then(|| pool.install(|| PairEvidence::new(&corpus, &model, &scores, request.source))))
    })?;
    let ranked = day.timed("score", |day| day.rank(&corpus, &scores, evidence.as_ref(), progress))?;
    let kept = day.timed("explain", |day| {
        let judged = judge(
            &corpus,
            &model,
            &scores,
            &ranked,
            evidence.as_ref(),
            &day.findings,
            &day.feedback,
            day.speller.scheme(),
        );
        day.card.groups = judged.groups;
        Ok(judged.rows)
    })?;
    day.publish(lake, &corpus, &model, &kept, (list_card, pool.current_num_threads()), progress)
}

fn read_lists(request: &ScoreRequest) -> Result<(DomainLists, Option<TopDomainsCard>), ScoreError> {
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
struct DayRun<'a> {
    request: &'a ScoreRequest,
    parts: Vec<Part>,
    rows: u64,
    speller: Speller,
    card: RowsCard,
    /// As of the first pass.
    noted: Noted,
    seconds: BTreeMap<&'static str, f64>,
    /// Of the detectors, after the first pass; none where Spot's score ranks.
    findings: Findings,
    /// Verdicts and rules in force.
    feedback: Feedback,
    /// Records each rule matched, by its number in the feedback.
    hits: BTreeMap<usize, u64>,
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

/// Is called with a batch, the number of its part, and the number of its first row in the part.
type OnBatch<'e, Run> = &'e mut dyn FnMut(&mut Run, u32, u64, &RecordBatch) -> Result<(), ScoreError>;

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

    /// Calls `each` for all batches of the day with the part's number and the first row's number.
    fn pass(
        &mut self,
        stage: Stage,
        columns: &[&str],
        progress: &mut dyn Progress,
        each: OnBatch<'_, Self>,
    ) -> Result<(), ScoreError> {
        let total = self.rows;
        let mut done = 0;
        let parts = std::mem::take(&mut self.parts);
        let mut run = || {
            for (number, part) in parts.iter().enumerate() {
                parts::read(part, columns, None, &mut |first, batch| {
                    if progress.stopped() {
                        return Err(ScoreError::Stopped);
                    }
                    each(self, number as u32, first, batch)?;
                    done += batch.num_rows() as u64;
                    progress.step(stage, done, total);
                    Ok(())
                })?;
            }
            Ok(())
        };
        let outcome = run();
        self.parts = parts;
        outcome
    }

    /// First pass: the corpus.
    fn count(&mut self, progress: &mut dyn Progress) -> Result<DayCorpus, ScoreError> {
        self.timed("count", |day| {
            if matches!(day.speller, Speller::Proxy { .. }) {
                day.pass(Stage::Agents, &["user_agent"], progress, &mut |day, _, _, batch| {
                    day.speller.count_agents(batch)
                })?;
            }
            let mut builder = CorpusBuilder::new(day.request.corpus);
            let source = day.request.source;
            let mut columns = day.speller.columns().to_vec();
            let mut watch = (day.request.ranking == Ranking::Fused).then(|| {
                columns.extend(watch::columns(source));
                Watch::new(source, day.request.internal.clone())
            });
            columns.sort_unstable();
            columns.dedup();
            day.pass(Stage::Count, &columns, progress, &mut |day, _, _, batch| {
                if let Some(watch) = &mut watch {
                    watch.handle(batch)?;
                }
                let card = &mut day.card;
                card.read += batch.num_rows() as u64;
                day.speller.spell(batch, &mut |_, tokens| {
                    match tokens {
                        Ok(tokens) => {
                            card.scored += 1;
                            for (document, word) in [Some(tokens.first), tokens.second].into_iter().flatten() {
                                builder.add(document, word, 1);
                            }
                        }
                        Err(cause) => *card.invalid.entry(cause.as_str()).or_insert(0) += 1,
                    }
                    Ok(())
                })
            })?;
            let (source_name, date) = (day.request.source.as_str(), day.request.date);
            if day.card.read == 0 {
                return Err(ScoreError::NoRecords { source_name, date });
            }
            if day.card.scored == 0 {
                let causes: Vec<String> =
                    day.card.invalid.iter().map(|(cause, rows)| format!("{cause} {rows}")).collect();
                return Err(ScoreError::NoWords { source_name, date, rows: day.card.read, causes: causes.join(", ") });
            }
            day.noted = day.speller.noted();
            day.findings = watch.map(Watch::finish).unwrap_or_default();
            builder.add_extra(&day.request.extra);
            Ok(builder.finish(day.speller.scheme()))
        })
    }

    fn fit(&self, day: &DayCorpus, progress: &mut dyn Progress) -> Result<Model, ScoreError> {
        let mut tell = |done: usize, total: usize| {
            progress.step(Stage::Fit, done as u64, total as u64);
            !progress.stopped()
        };
        let fitted = match self.request.optimizer {
            Optimizer::Em => em::fit(&day.corpus, &self.request.em(), &mut tell),
            Optimizer::Online => online::fit(&day.corpus, &self.request.online(), &mut tell),
            Optimizer::Incremental => incremental::fit(&day.corpus, &self.request.incremental(), &mut tell),
        };
        fitted.map_err(|error| if error == LdaError::Stopped { ScoreError::Stopped } else { error.into() })
    }

    /// Second pass: looks up every record's scores and findings and keeps the most suspicious.
    fn rank(
        &mut self,
        corpus: &DayCorpus,
        scores: &[f64],
        evidence: Option<&PairEvidence<'_>>,
        progress: &mut dyn Progress,
    ) -> Result<Kept, ScoreError> {
        let members = if self.request.members == 0 { usize::MAX } else { self.request.members };
        let mut selection = Selection::new(self.request.limit, members);
        let mut decided = vec![0_u32; scores.len()];
        let mut grouped = vec![0_u32; if evidence.is_some() { scores.len() } else { 0 }];
        let mut found = vec![0_u32; self.findings.list().len()];
        let mut columns = self.speller.columns().to_vec();
        columns.push("record_id");
        if evidence.is_some() {
            columns.extend(watch::columns(self.request.source));
            columns.sort_unstable();
            columns.dedup();
        }
        let threshold = self.request.threshold;
        let mut below = 0;
        let groups = GroupIds::new(corpus, &self.findings, &self.feedback.groups(), self.speller.scheme());
        // Behind all: as if every record were like it.
        let last = (self.card.read.max(scores.len() as u64).max(1) as f64).ln() + 1.0;
        self.pass(Stage::Score, &columns, progress, &mut |day, part, first, batch| {
            let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
            let (findings, feedback, hits) = (&day.findings, &day.feedback, &mut day.hits);
            let seen = if feedback.is_empty() { Vec::new() } else { watch::seen(day.request.source, batch)? };
            let by_row = match evidence {
                Some(_) => watch::of_batch(findings, day.request.source, batch)?,
                None => Vec::new(),
            };
            day.speller.spell(batch, &mut |row, tokens| {
                let Ok(tokens) = tokens else { return Ok(()) };
                let look_up = |(document, word)| {
                    let (_, place) = corpus.place(document, word)?;
                    Some((scores.get(place).copied()?, place))
                };
                let one = look_up(tokens.first);
                let other = tokens.second.and_then(look_up);
                // The smaller of both sides; the source's where they are equal.
                let (mut second, (score, mut place)) = match (one, other) {
                    (Some(one), Some(other)) if other.0 < one.0 => (true, other),
                    (Some(one), _) => (false, one),
                    (None, Some(other)) => (true, other),
                    // Every token of these files was counted by the first pass.
                    (None, None) => return Ok(()),
                };
                count_up(&mut decided, place);
                let (mut order_by, mut finding) = (score, 0);
                let numbers = by_row.get(row).cloned().unwrap_or_default();
                if let Some(evidence) = evidence {
                    // The side with more evidence against it; Spot's where they are equal.
                    let sides = [(false, one), (true, other)].into_iter().filter_map(|(side, at)| Some((side, at?.1)));
                    for (side, at) in sides {
                        if evidence.expected(at) < evidence.expected(place) {
                            (second, place) = (side, at);
                        }
                    }
                    let words = evidence.expected(place);
                    let of = |number: &u32| findings.list().get(*number as usize).map(|f| f.ln_expected);
                    order_by = add_up(numbers.iter().filter_map(of).chain([words]));
                    // The strongest finding, if it is stronger than the words.
                    let strongest =
                        numbers.iter().filter_map(|n| Some((of(n)?, *n))).min_by(|a, b| a.0.total_cmp(&b.0));
                    finding = strongest.filter(|(ln, _)| *ln < words).map_or(0, |(_, number)| number + 1);
                    match finding {
                        0 => count_up(&mut grouped, place),
                        _ => count_up(&mut found, finding as usize - 1),
                    }
                }
                let mut record_id = [0; 16];
                if !ids.is_null(row) && ids.value(row).len() == record_id.len() {
                    record_id.copy_from_slice(ids.value(row));
                }
                let mut rules = Vec::new();
                let before = order_by;
                if let Some(seen) = seen.get(row) {
                    let seen = Seen { record_id, host: seen.0, peer: seen.1, port: seen.2, name: seen.3 };
                    let group = || groups.of(place, finding);
                    match feedback.rule_on(&seen, &group, order_by, last) {
                        Ruled::Suppressed(rule) => {
                            *hits.entry(rule).or_insert(0) += 1;
                            return Ok(());
                        }
                        Ruled::Ranked(at, applied) => {
                            applied.iter().for_each(|rule| *hits.entry(*rule).or_insert(0) += 1);
                            (order_by, rules) = (at, applied);
                        }
                    }
                }
                if is_kept(score, threshold) {
                    below += 1;
                    let row = first + row as u64;
                    let first_seen = tokens.first_seen;
                    selection.push(Candidate {
                        order_by,
                        score,
                        first_seen,
                        record_id,
                        place,
                        finding,
                        findings: numbers,
                        second,
                        part,
                        row,
                        before,
                        rules,
                    });
                }
                Ok(())
            })
        })?;
        self.card.below_threshold = below;
        for (rule, records) in &self.hits {
            self.card.rules.insert(self.feedback.name(*rule).to_owned(), *records);
        }
        Ok(Kept { candidates: selection.finish(), decided, grouped, found })
    }

    fn publish(
        mut self,
        lake: &Lake,
        day: &DayCorpus,
        model: &Model,
        kept: &[Scored],
        (top_domains, threads): (Option<TopDomainsCard>, usize),
        progress: &mut dyn Progress,
    ) -> Result<ScoreRun, ScoreError> {
        let request = self.request;
        let run_id = uuid::Uuid::now_v7().to_string();
        let now = state::now();
        let fit = fit_card(request, model, day.corpus.tokens());
        let model_id = model_id(request, &fit, day, self.speller.scheme());
        progress.step(Stage::Write, 0, kept.len() as u64);
        let start = Instant::now();
        if !kept.is_empty() {
            let run = RunColumns { run_id: &run_id, scored_at: now.0, model: &model_id, words: request.words.as_str() };
            let rows = batch(kept, &self.parts, request.source, &mut self.speller, &run)?;
            let kind = SetKind::Scores { run_id: run_id.clone(), source: request.source, date: request.date };
            let mut set = lake.begin(kind, WriterOptions::new("scores"))?;
            set.batch(Table::Scores(request.source), &rows)?;
            set.commit()?;
        }
        self.seconds.insert("write", start.elapsed().as_secs_f64());
        self.card.kept = kept.len() as u64;
        let rule_hits: Vec<_> =
            self.hits.iter().filter_map(|(rule, records)| Some((self.feedback.rule(*rule)?, *records))).collect();
        let card = self.model_card(model_id, fit, day, top_domains, threads);
        record_run(lake, request, &run_id, &card, now)?;
        for (id, records) in rule_hits {
            lake.state().count_rule_hits(id, records, now)?;
        }
        progress.step(Stage::Write, kept.len() as u64, kept.len() as u64);
        Ok(ScoreRun { run_id, card })
    }

    fn model_card(
        self,
        model: String,
        fit: FitCard,
        day: &DayCorpus,
        top_domains: Option<TopDomainsCard>,
        threads: usize,
    ) -> ModelCard {
        let request = self.request;
        let Noted { dns_unanswered, dns_lengths_computed, agents_overflow, texts_overflow } = self.noted;
        let corpus = CorpusCard {
            documents: day.corpus.documents(),
            vocabulary: day.corpus.vocabulary(),
            pairs: day.corpus.pairs(),
            tokens: day.corpus.tokens(),
            extra_tokens: request.extra.iter().map(|token| u64::from(token.weight)).sum(),
            overflow: day.overflow,
            agents_overflow,
            texts_overflow,
            dns_unanswered,
            dns_lengths_computed,
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

fn count_up(counts: &mut [u32], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count = count.saturating_add(1);
    }
}

fn fit_card(request: &ScoreRequest, model: &Model, tokens: u64) -> FitCard {
    let (alpha, beta) = match request.optimizer {
        Optimizer::Em => (request.em().alpha, request.em().beta),
        Optimizer::Online => (request.online().alpha, request.online().beta),
        Optimizer::Incremental => (request.incremental().alpha, request.incremental().beta),
    };
    FitCard {
        optimizer: request.optimizer.as_str(),
        topics: model.topics(),
        alpha,
        beta,
        iterations: model.iterations(),
        seed: request.seed,
        log_likelihood: model.log_likelihood(),
        train_perplexity: (-model.log_likelihood() / tokens.max(1) as f64).exp(),
        left_out_priors: LEFT_OUT_PRIORS,
    }
}

/// Equal for equal training data and parameters.
fn model_id(request: &ScoreRequest, fit: &FitCard, day: &DayCorpus, scheme: &dyn Scheme) -> String {
    let FitCard { optimizer, topics, alpha, beta, iterations, seed, .. } = fit;
    let mut hasher = blake3::Hasher::new();
    hasher.update(day.digest(scheme).as_bytes());
    hasher.update(format!("{optimizer} {topics} {alpha} {beta} {iterations} {seed}").as_bytes());
    let hash = hasher.finalize().to_hex();
    let hash: String = hash.chars().take(16).collect();
    format!("{}-{}-{}-{hash}", request.source.as_str(), request.words.as_str(), request.date)
}

fn record_run(
    lake: &Lake,
    request: &ScoreRequest,
    run_id: &str,
    card: &ModelCard,
    now: Micros,
) -> Result<(), ScoreError> {
    let json = serde_json::to_string(card).map_err(|error| ScoreError::Card(error.to_string()))?;
    let words = request.words.as_str().to_owned();
    lake.state().put_model(&state::runs::Model {
        model_id: card.model.clone(),
        source: request.source,
        words: words.clone(),
        file: None,
        card: json.clone(),
        created: now,
    })?;
    lake.state().put_run(&state::runs::Run {
        run_id: run_id.to_owned(),
        source: request.source,
        date: request.date,
        words,
        model: Some(card.model.clone()),
        card: json,
        created: now,
        current: true,
    })?;
    Ok(())
}
