//! The nightly fit: each finished day is learnt and scored, once, at `score.at`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::lake::{Day, Lake, Source};
use aggregator::state;
use analytics::score::{ScoreError, ScoreRequest, is_live, score};

use super::config::{RulesConfig, ScoreConfig, minute_of_day};
use super::schedule;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(20);

/// Goes on until the interrupt.
pub(super) fn go_on(lake: &Lake, config: &ScoreConfig, rules: &RulesConfig, interrupt: &Arc<AtomicBool>) {
    let minute = minute_of_day(&config.at).unwrap_or_default();
    let mut done = None;
    while !interrupt.load(Ordering::Relaxed) {
        if let Some(date) = schedule::due(state::now(), minute, done) {
            for source in Source::ALL.into_iter().filter(|s| config.sources.iter().any(|name| name == s.as_str())) {
                once(lake, config, rules, source, date, interrupt);
            }
            done = Some(date);
        }
        super::pause(TICK, interrupt);
    }
}

/// A day of a source by the configuration.
pub(super) fn request(config: &ScoreConfig, source: Source, date: Day) -> ScoreRequest {
    let mut request = ScoreRequest::new(source, date);
    request.limit = config.limit as usize;
    request.topics = usize::from(config.topics);
    request.top_domains.clone_from(&config.top_domains);
    request.user_domain = config.user_domain.clone().unwrap_or_default();
    request
}

/// Scores a source's day, unless it was scored already.
fn once(
    lake: &Lake,
    config: &ScoreConfig,
    rules: &RulesConfig,
    source: Source,
    date: Day,
    interrupt: &Arc<AtomicBool>,
) {
    let name = source.as_str();
    match lake.state().current_run(source, date) {
        Ok(Some(run)) if !is_live(&run) => return,
        Ok(_) => {}
        Err(error) => return tracing::error!("nightly fit of {name} {date}: {error}"),
    }
    let mut request = request(config, source, date);
    if let Some(folder) = &rules.folder {
        match crate::score::rule_files(folder) {
            Ok(rules) => request.rules = rules,
            Err(error) => tracing::error!("nightly fit of {name} {date}: {error:#}; without rule files"),
        }
    }
    match score(lake, &request, &mut crate::score::Shown::new(interrupt, format!("{name} {date}"))) {
        Ok(run) => tracing::info!("nightly fit: {}", crate::score::summary(source, date, &run)),
        Err(ScoreError::NoRecords { .. }) => tracing::info!("nightly fit: no {name} records on {date}"),
        Err(_) if interrupt.load(Ordering::Relaxed) => {}
        Err(error) => tracing::error!("nightly fit of {name} {date}: {error}"),
    }
}
