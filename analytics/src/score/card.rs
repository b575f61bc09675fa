//! The card of a run: everything that made its scores, and what the columns mean. Kept as JSON in the state database.

use std::collections::BTreeMap;

use serde::Serialize;

use super::request::Ranking;
use super::saved::DriftCard;
use super::train::Overflow;
use crate::detect::Family;

/// What made the scores of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ModelCard {
    /// Identity of the model: equal for equal data, parameters and seed.
    pub model: String,
    /// flow, dns, proxy.
    pub source: String,
    /// Day scored, and trained on, UTC.
    pub date: String,
    /// Word scheme.
    pub words: String,
    /// Features of rich words.
    pub features: Vec<&'static str>,
    /// How unlike the day before it is, where a model of it was kept.
    pub drift: Option<DriftCard>,
    /// How the model was fitted.
    pub fit: FitCard,
    /// What it was fitted on.
    pub corpus: CorpusCard,
    /// What became of the rows.
    pub rows: RowsCard,
    /// List of well-known domains, where one was given.
    pub top_domains: Option<TopDomainsCard>,
    /// The organisation's own domain label; empty = none.
    pub user_domain: String,
    /// By what the rows are ranked: fused or spot.
    pub ranking: &'static str,
    /// What each detector looked at; empty where Spot's score ranks.
    pub detectors: Vec<Family>,
    /// What the columns mean in this run.
    pub columns: BTreeMap<&'static str, &'static str>,
    /// Seconds by stage.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Threads used. The scores do not depend on it.
    pub threads: usize,
}

/// Parameters and outcome of the fit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FitCard {
    /// em, online or incremental.
    pub optimizer: &'static str,
    /// K.
    pub topics: usize,
    /// Document concentration, as given (em, incremental: the offset is alpha − 1).
    pub alpha: f64,
    /// Topic concentration, as given (em, incremental: the offset is beta − 1).
    pub beta: f64,
    /// Done.
    pub iterations: usize,
    /// Seed.
    pub seed: u64,
    /// Starts, of which the likeliest was taken (incremental).
    pub restarts: usize,
    /// The model it went on from, where it did.
    pub warm_start: Option<String>,
    /// Perplexity by document completion of the documents held out (incremental, where there are enough).
    pub held_out_perplexity: Option<f64>,
    /// Natural log-likelihood of the training tokens.
    pub log_likelihood: f64,
    /// exp(−log-likelihood / tokens) on the training tokens.
    pub train_perplexity: f64,
    /// Smoothing of the columns leo, lift_bits and tail_log10: document offset a, word offset e.
    pub left_out_priors: [f64; 2],
}

/// Size of the corpus.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CorpusCard {
    /// Hosts.
    pub documents: usize,
    /// Words.
    pub vocabulary: usize,
    /// (host, word) pairs.
    pub pairs: usize,
    /// Tokens (two per flow record).
    pub tokens: u64,
    /// Of them given from outside (an analyst's verdicts).
    pub extra_tokens: u64,
    /// How often a bound was reached.
    pub overflow: Overflow,
    /// Proxy: records whose user agent found no room and counts as seen once.
    pub agents_overflow: u64,
    /// Proxy: methods and content types that found no room and stand as `other`.
    pub texts_overflow: u64,
    /// DNS: questions without an answer. Spot had answers only; here they are scored too, with rcode −1 and the query's length.
    pub dns_unanswered: u64,
    /// DNS: frame lengths computed from the message length (+42, +62 over IPv6); such rows have no `response_frame_len`.
    pub dns_lengths_computed: u64,
    /// DNS: message lengths computed from name and answers ([`crate::words::dns_length`]), for want of any: records of logs.
    pub dns_lengths_estimated: u64,
}

/// What became of the rows.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct RowsCard {
    /// Read.
    pub read: u64,
    /// Without a word, by cause: not scored.
    pub invalid: BTreeMap<&'static str, u64>,
    /// Scored.
    pub scored: u64,
    /// Of them at or below the threshold.
    pub below_threshold: u64,
    /// Written.
    pub kept: u64,
    /// Groups among the written.
    pub groups: u64,
    /// Records each verdict or rule in force moved or took out.
    pub rules: BTreeMap<String, u64>,
    /// Records each rule file is about, by its title.
    pub rule_files: BTreeMap<String, u64>,
    /// Rule files that could not be asked, and why.
    pub rule_errors: BTreeMap<String, String>,
    /// Another model's results, where they were given.
    pub beside: Option<BesideCard>,
    /// Highest score that is written (Spot's TOL).
    pub threshold: Option<f64>,
    /// Most rows written.
    pub limit: usize,
    /// Most rows written of one group; `group_size` counts all of the day.
    pub members: usize,
}

/// Another model's results, and how far they agree.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct BesideCard {
    /// The file's name without its ending: what its rows are called among a record's detectors.
    pub name: String,
    /// Rows of the file.
    pub rows: u64,
    /// Lines that are none.
    pub rejected: u64,
    /// Different rows that are records of the day.
    pub found: u64,
    /// Records of them that stand in our list.
    pub listed: u64,
    /// Records among our first hundred that are among its first hundred places too.
    pub both_first_hundred: u64,
}

/// Which list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TopDomainsCard {
    /// File name.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// Different labels in it.
    pub labels: usize,
}

/// Tokens at which confidence is one half.
pub(super) const CONFIDENCE_TOKENS: f64 = 50.0;

/// What the columns of a run mean.
pub(super) fn columns(ranking: Ranking) -> BTreeMap<&'static str, &'static str> {
    let fused = match ranking {
        Ranking::Fused => [
            (
                "fused_rank",
                "place of the row's group by 1/E = sum of 1/E_i, E_i the cases at least as strong a day has by chance, by detector or score",
            ),
            ("rules_applied", "verdicts and rules that moved the row; score_before = log10 E without them"),
            (
                "group_id",
                "host and what decided: a detector's finding, or the word; group_size counts its records of the whole day",
            ),
            (
                "detectors",
                "what fired (fewer than 10 expected by chance); strength = -log10 E_i; the strongest first, which decided",
            ),
        ],
        Ranking::Spot => [
            ("fused_rank", "equal to rank: Spot's score ranks"),
            ("rules_applied", "none: feedback moves the fused ranking only"),
            ("group_id", "host and deciding word; group_size counts its records of the whole day"),
            ("detectors", "none runs where Spot's score ranks"),
        ],
    };
    let common = [
        (
            "score",
            "P(word | document) without smoothing, as Apache Spot 1.0, to 16 significant bits; flow: the smaller of both sides",
        ),
        ("rank", "ascending score among the rows written; ties by first_seen, then record_id"),
        (
            "days_before",
            "of the seven latest scored days of the 30 before: those whose list had the group; null where none was scored",
        ),
        ("percentile", "share of this one day's scored records with a higher score (N = 1 day)"),
        ("confidence", "tokens of the deciding document / (tokens + 50)"),
        ("word_df", "documents of the day that have the deciding word"),
        ("leo", "P(word | document) of the model without this pair (leave the entry out), smoothed"),
        ("lift_bits", "log2 of leo over the word's share of all other tokens"),
        ("tail_log10", "log10 of the chance of at least this count of the pair, Poisson with the rate of leo"),
        (
            "explanation",
            "feature whose replacement by the host's most common value raises the score most; common = 5 % of the host's tokens",
        ),
    ];
    common.into_iter().chain(fused).collect()
}
