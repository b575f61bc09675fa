//! What is to be scored, and how.

use std::path::PathBuf;
use std::sync::Arc;

use aggregator::lake::{Day, Source};

use super::ScoreError;
use super::beside::Beside;
use super::train::{CorpusLimits, ExtraToken};
use crate::detect::rows::Internal;
use crate::lda::em::EmParameters;
use crate::lda::incremental::IncrementalParameters;
use crate::lda::online::OnlineParameters;
use crate::rules::RuleFile;

/// How records are put into words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WordScheme {
    /// Apache Spot 1.0's, to the letter.
    #[default]
    Spot,
    /// What Spot did not look at as well ([`crate::words::rich`]).
    Rich,
}

impl WordScheme {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Rich => "rich",
        }
    }
}

impl std::str::FromStr for WordScheme {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "spot" => Ok(Self::Spot),
            "rich" => Ok(Self::Rich),
            _ => Err(format!("unknown word scheme {text:?}: rich or spot")),
        }
    }
}

/// By what rows are kept and ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ranking {
    /// By all evidence: detectors and the model's scores, as one expectation ([`super::fuse`]).
    #[default]
    Fused,
    /// By P(word | document) alone, as Apache Spot did. No detector runs.
    Spot,
}

impl Ranking {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Spot => "spot",
        }
    }
}

impl std::str::FromStr for Ranking {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fused" => Ok(Self::Fused),
            "spot" => Ok(Self::Spot),
            _ => Err(format!("unknown score {text:?}: fused or spot")),
        }
    }
}

/// How the model is fitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Optimizer {
    /// MAP expectation maximisation, in batches of the whole corpus: Spot's.
    Em,
    /// Online variational Bayes: Spot's other one.
    Online,
    /// Incremental MAP expectation maximisation until held-out perplexity gains no more: better topics, sooner.
    #[default]
    Incremental,
}

impl Optimizer {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Em => "em",
            Self::Online => "online",
            Self::Incremental => "incremental",
        }
    }
}

impl std::str::FromStr for Optimizer {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "em" => Ok(Self::Em),
            "online" => Ok(Self::Online),
            "incremental" => Ok(Self::Incremental),
            _ => Err(format!("unknown optimizer {text:?}: em, online or incremental")),
        }
    }
}

/// A day of a source to be scored. [`ScoreRequest::new`] has the defaults; [`ScoreRequest::as_spot`] what Apache Spot did.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// What.
    pub source: Source,
    /// Which day, UTC.
    pub date: Day,
    /// How it is put into words.
    pub words: WordScheme,
    /// Features of rich words by key; empty = those the evaluation chose. The card names them.
    pub features: Vec<String>,
    /// By what they are kept and ranked.
    pub ranking: Ranking,
    /// The organisation's networks beside the private ones: what is inside and what is outside for the detectors.
    pub internal: Internal,
    /// Most rows written, 1 to [`ScoreRequest::LIMIT`].
    pub limit: usize,
    /// Most rows written of one group (host and deciding word), so that a scan does not fill the list; 0 = as many as there are, as Spot.
    pub members: usize,
    /// Highest score written (Spot's TOL, inclusive).
    pub threshold: f64,
    /// Topics.
    pub topics: usize,
    /// Seed.
    pub seed: u64,
    /// Iterations; `None` = the optimiser's default (20, online 200, incremental at most 30 passes).
    pub iterations: Option<usize>,
    /// How the model is fitted.
    pub optimizer: Optimizer,
    /// Incremental: starts on the first few thousand documents, of which the likeliest goes on; 1 to 64.
    pub restarts: usize,
    /// Incremental: goes on from the newest kept model of the same kind of the seven days before, where there is one, and starts from chance else. The card says
    /// from which.
    pub warm_start: bool,
    /// Document concentration; `None` = the optimiser's default.
    pub alpha: Option<f64>,
    /// Topic concentration; `None` = the optimiser's default.
    pub beta: Option<f64>,
    /// List of well-known domains (dns, proxy): `rank,domain` or a domain a line.
    pub top_domains: Option<PathBuf>,
    /// The organisation's own domain label (`example` of example.com); empty = none.
    pub user_domain: String,
    /// Threads; `None` = as many as the machine has. The scores do not depend on it.
    pub threads: Option<usize>,
    /// Bounds of the corpus.
    pub corpus: CorpusLimits,
    /// Tokens to train on beside the day's.
    pub extra: Vec<ExtraToken>,
    /// [`Ranking::Fused`]: rule files whose matches stand among the detectors.
    pub rules: Vec<RuleFile>,
    /// [`Ranking::Spot`]: how often a dismissed record is copied into the training (Spot's DUPFACTOR); 0 = not at all.
    pub dupfactor: u32,
    /// Another model's results of the day, which stand beside ours.
    pub beside: Option<Arc<Beside>>,
}

impl ScoreRequest {
    /// Most rows that can be asked for.
    pub const LIMIT: usize = 1_000_000;

    /// A day of a source with the defaults: 3,000 rows, at most 10 of a group, no threshold, 20 topics.
    pub fn new(source: Source, date: Day) -> Self {
        let EmParameters { topics, seed, .. } = EmParameters::default();
        Self {
            source,
            date,
            words: WordScheme::Spot,
            features: Vec::new(),
            ranking: Ranking::Fused,
            internal: Internal::default(),
            limit: 3000,
            members: 10,
            threshold: f64::INFINITY,
            topics,
            seed,
            iterations: None,
            optimizer: Optimizer::default(),
            restarts: 3,
            warm_start: true,
            alpha: None,
            beta: None,
            top_domains: None,
            user_domain: String::new(),
            threads: None,
            corpus: CorpusLimits::default(),
            extra: Vec::new(),
            rules: Vec::new(),
            dupfactor: 1000,
            beside: None,
        }
    }

    /// The same as Apache Spot had it: its words, batch EM, P(word | document), nothing of other days.
    #[must_use]
    pub fn as_spot(self) -> Self {
        Self { words: WordScheme::Spot, ranking: Ranking::Spot, optimizer: Optimizer::Em, warm_start: false, ..self }
    }

    pub(super) fn check(&self) -> Result<(), ScoreError> {
        let wrong = |name, expected, found: String| Err(ScoreError::Setting { name, expected, found });
        if !(1..=Self::LIMIT).contains(&self.limit) {
            return wrong("limit", "1 to 1000000", self.limit.to_string());
        }
        if self.threshold.is_nan() {
            return wrong("threshold", "a number", self.threshold.to_string());
        }
        if self.threads == Some(0) {
            return wrong("threads", "at least 1", "0".into());
        }
        if !(1..=64).contains(&self.restarts) {
            return wrong("restarts", "1 to 64", self.restarts.to_string());
        }
        if self.user_domain.contains('.') {
            return wrong("user domain", "one label (`example`, not `example.com`)", self.user_domain.clone());
        }
        Ok(())
    }

    pub(super) fn em(&self) -> EmParameters {
        let default = EmParameters::default();
        EmParameters {
            topics: self.topics,
            alpha: self.alpha.unwrap_or(default.alpha),
            beta: self.beta.unwrap_or(default.beta),
            iterations: self.iterations.unwrap_or(default.iterations),
            seed: self.seed,
        }
    }

    pub(super) fn incremental(&self) -> IncrementalParameters {
        let default = IncrementalParameters::default();
        IncrementalParameters {
            topics: self.topics,
            alpha: self.alpha.unwrap_or(default.alpha),
            beta: self.beta.unwrap_or(default.beta),
            passes: self.iterations.unwrap_or(default.passes),
            seed: self.seed,
            starts: self.restarts,
            ..default
        }
    }

    pub(super) fn online(&self) -> OnlineParameters {
        let default = OnlineParameters::default();
        OnlineParameters {
            topics: self.topics,
            alpha: self.alpha.unwrap_or(default.alpha),
            beta: self.beta.unwrap_or(default.beta),
            iterations: self.iterations.unwrap_or(default.iterations),
            seed: self.seed,
            ..default
        }
    }
}

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Counts user agents (proxy); hosts of peers, domains and programs (rich words): rows.
    Agents,
    /// Counts words, rows.
    Count,
    /// Looks for the day's seldom pairs in the days before, rows.
    Before,
    /// Fits the model, iterations.
    Fit,
    /// Scores, rows.
    Score,
    /// Writes, rows.
    Write,
}

impl Stage {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "counting hosts",
            Self::Count => "counting words",
            Self::Before => "looking at the days before",
            Self::Fit => "fitting",
            Self::Score => "scoring",
            Self::Write => "writing",
        }
    }
}

/// Is told how far a run is, and may stop it.
pub trait Progress: Send {
    /// So much of so much (rows, iterations) is done.
    fn step(&mut self, stage: Stage, done: u64, total: u64) {
        let _ = (stage, done, total);
    }

    /// True to stop: nothing is written then.
    fn stopped(&self) -> bool {
        false
    }
}

/// Tells nobody.
impl Progress for () {}
