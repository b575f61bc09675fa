//! Why a row stands where it stands: which feature of the deciding word is out of the ordinary for its host.
//!
//! The feature named is the one that, replaced by the host's most common value, would raise P(word | host) most: "had it been the
//! usual hour, nobody would have looked". Where no such word is known, it is the feature whose value is rarest for the host; for a host that does one
//! thing only, the one whose value is rarest among all hosts.

use hashbrown::HashMap;

use crate::lda::Model;
use crate::score::{DayCorpus, OTHER_WORD};
use crate::words::{COMPONENTS, Component, Scheme};

/// A value counts as common for a host from this share of its tokens on.
pub const COMMON_SHARE: f64 = 0.05;

/// The explanation of a (host, word) pair: the columns of the `explanation` struct.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// P(word | host), by which the row was ranked.
    pub deciding_score: f64,
    /// Name of the feature that decided. `None` for the word that stands for those past a bound.
    pub feature: Option<&'static str>,
    /// Its value, as a range of what was measured.
    pub value: Option<String>,
    /// Share of the host's tokens with this value.
    pub host_share: Option<f64>,
    /// Share of all tokens with this value.
    pub all_share: Option<f64>,
    /// A value the host commonly has: the nearest one for features with an order, else the most common.
    pub nearest_common: Option<String>,
    /// What the host usually does: the most common value of each feature, with its share of the host's tokens.
    pub usual: Vec<Usual>,
}

/// A feature as a host usually has it.
#[derive(Clone, PartialEq, Debug)]
pub struct Usual {
    /// Name of the feature.
    pub feature: &'static str,
    /// Its most common value.
    pub value: String,
    /// Share of the host's tokens with it.
    pub share: f64,
}

type Tally = HashMap<u32, u64>;

/// Explains pairs of one day. Counts each host's features once.
pub struct Explainer<'a> {
    day: &'a DayCorpus,
    model: &'a Model,
    scheme: &'a dyn Scheme,
    all: [Tally; COMPONENTS],
    all_tokens: u64,
    hosts: HashMap<u32, ([Tally; COMPONENTS], u64)>,
}

impl std::fmt::Debug for Explainer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Explainer").field("all_tokens", &self.all_tokens).finish_non_exhaustive()
    }
}

impl<'a> Explainer<'a> {
    /// Hosts whose counts are kept; past it they are counted again when asked for.
    const HOSTS: usize = 1000;

    /// Counts all tokens' features; `word_tokens` are the corpus' word totals.
    pub fn new(day: &'a DayCorpus, model: &'a Model, scheme: &'a dyn Scheme, word_tokens: &[u64]) -> Self {
        let mut all: [Tally; COMPONENTS] = Default::default();
        for (code, tokens) in day.codes().iter().zip(word_tokens) {
            for (component, tally) in all.iter_mut().enumerate() {
                *tally.entry(code.get(component)).or_insert(0) += tokens;
            }
        }
        Self { day, model, scheme, all, all_tokens: word_tokens.iter().sum(), hosts: HashMap::new() }
    }

    /// Explains a pair by its document, word and score.
    pub fn explain(&mut self, document: u32, word: u32, score: f64) -> Explanation {
        if self.hosts.len() >= Self::HOSTS {
            self.hosts.clear();
        }
        let Self { day, model, scheme, all, all_tokens, hosts } = self;
        let (tallies, tokens) = hosts.entry(document).or_insert_with(|| tally(day, document));
        let nothing = Explanation {
            deciding_score: score,
            feature: None,
            value: None,
            host_share: None,
            all_share: None,
            nearest_common: None,
            usual: usual(*scheme, tallies, *tokens),
        };
        let code = day.code(word);
        if code == OTHER_WORD {
            return nothing;
        }
        let share = |tally: &Tally, component: usize, all: u64| {
            tally.get(&code.get(component)).copied().unwrap_or(0) as f64 / all.max(1) as f64
        };
        let mut best: Option<(f64, f64, usize)> = None;
        for (component, host) in tallies.iter().enumerate().take(scheme.components().len()) {
            let Some(usual) = most_common(host, |_| true).filter(|usual| *usual != code.get(component)) else {
                continue;
            };
            let instead = day.word(code.with(component, usual));
            let p = instead.and_then(|word| model.probability(document as usize, word as usize)).unwrap_or(0.0);
            // First by what the replacement would give, then by how rare the value is for the host.
            let gain = if p > score { p } else { 0.0 };
            let rarity = 1.0 - share(host, component, *tokens);
            if best.is_none_or(|(g, r, _)| (gain, rarity) > (g, r)) {
                best = Some((gain, rarity, component));
            }
        }
        // A host that does one thing only has nothing to compare with: then what is rarest among all hosts.
        let rarest = || {
            let shares = all.iter().enumerate().take(scheme.components().len());
            shares
                .map(|(c, tally)| (share(tally, c, *all_tokens), c))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, c)| c)
        };
        let Some(component) = best.map(|(_, _, component)| component).or_else(rarest) else { return nothing };
        let Some((host, all)) = tallies.get(component).zip(all.get(component)) else { return nothing };
        let Some(described) = scheme.components().get(component) else { return nothing };
        let value = code.get(component);
        Explanation {
            feature: Some(described.name),
            value: Some(scheme.describe(component, value)),
            host_share: Some(share(host, component, *tokens)),
            all_share: Some(share(all, component, *all_tokens)),
            nearest_common: nearest_common(host, *tokens, value, described.ordered)
                .map(|near| scheme.describe(component, near)),
            ..nothing
        }
    }
}

fn usual(scheme: &dyn Scheme, tallies: &[Tally; COMPONENTS], tokens: u64) -> Vec<Usual> {
    let of = |(component, (described, tally)): (usize, (&Component, &Tally))| {
        let value = most_common(tally, |_| true)?;
        let share = tally.get(&value).copied().unwrap_or(0) as f64 / tokens.max(1) as f64;
        Some(Usual { feature: described.name, value: scheme.describe(component, value), share })
    };
    scheme.components().iter().zip(tallies).enumerate().filter_map(of).collect()
}

fn tally(day: &DayCorpus, document: u32) -> ([Tally; COMPONENTS], u64) {
    let mut tallies: [Tally; COMPONENTS] = Default::default();
    let mut tokens = 0;
    let (words, counts) = day.corpus.document(document as usize);
    for (word, count) in words.iter().zip(counts) {
        tokens += u64::from(*count);
        let code = day.code(*word);
        if code != OTHER_WORD {
            for (component, tally) in tallies.iter_mut().enumerate() {
                *tally.entry(code.get(component)).or_insert(0) += u64::from(*count);
            }
        }
    }
    (tallies, tokens)
}

/// The value with most tokens; the smaller value where two have as many.
fn most_common(tally: &Tally, allowed: impl Fn(u32) -> bool) -> Option<u32> {
    let best = tally
        .iter()
        .filter(|(value, _)| allowed(**value))
        .max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value)));
    best.map(|(value, _)| *value)
}

fn nearest_common(tally: &Tally, tokens: u64, value: u32, ordered: bool) -> Option<u32> {
    let common = |other: u32| {
        let count = tally.get(&other).copied().unwrap_or(0);
        other != value && count as f64 >= COMMON_SHARE * tokens as f64
    };
    if ordered {
        let near = tally
            .iter()
            .filter(|(other, _)| common(**other))
            .min_by_key(|(other, count)| (other.abs_diff(value), std::cmp::Reverse(**count), **other));
        if let Some((near, _)) = near {
            return Some(*near);
        }
    }
    most_common(tally, common).or_else(|| most_common(tally, |other| other != value))
}
