//! What is said of the rows of the lists that are looked at, kept until something new is said.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aggregator::lake::{Lake, Source};
use aggregator::state;
use analytics::feedback::{Overlay, overlay};

use crate::problem::ApiError;

/// Lists whose overlay is kept; the one made first gives way.
const KEPT: usize = 16;

/// What an overlay depends on: the run, and all that was said.
type Key = (String, (i64, i64, i64));

/// The overlays of the lists looked at last.
#[derive(Debug, Default)]
pub(crate) struct Overlays {
    kept: Mutex<VecDeque<(Key, Arc<Overlay>)>>,
}

impl Overlays {
    /// The overlay of a run as of now. Reads the run's rows, where something is in force and it is not kept.
    pub(crate) fn of(&self, lake: &Lake, source: Source, run_id: &str) -> Result<Arc<Overlay>, ApiError> {
        let key = (run_id.to_owned(), lake.state().feedback_version()?);
        let now = state::now();
        // A panic cannot leave the queue between two states.
        let held = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = held().iter().find(|(of, _)| *of == key).map(|(_, overlay)| Arc::clone(overlay));
        if let Some(kept) = kept.filter(|kept| kept.until().is_none_or(|end| end > now)) {
            return Ok(kept);
        }
        let made = Arc::new(overlay(lake, source, run_id, now)?);
        let mut held = held();
        held.retain(|(of, _)| of.0 != key.0);
        if held.len() >= KEPT {
            held.pop_front();
        }
        held.push_back((key, Arc::clone(&made)));
        Ok(made)
    }
}
