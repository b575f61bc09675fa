//! Which single records were opened, for the audit log: each is told once to whoever looks at it, and not again for a while, so that
//! going through a list with the details open does not fill the log.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::caller::Caller;
use crate::api::types::Source;

/// What is opened again within this time is not told again.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// What is remembered at most. Past it the oldest is forgotten, and would be told again.
const REMEMBERED: usize = 50_000;

/// In a response's extensions: a record was opened, or the raw records around one.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Which one; `None` where the request does not say.
    pub(crate) record: Option<(Source, String)>,
    /// Rows that were given out.
    pub(crate) rows: u64,
}

impl Opened {
    /// One record.
    pub(crate) fn one(source: Source, record_id: &str) -> Self {
        Self { record: Some((source, record_id.to_owned())), rows: 1 }
    }
}

/// What was told lately.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    known: HashSet<[u8; 32]>,
    /// The same, the oldest first.
    order: VecDeque<(Instant, [u8; 32])>,
}

impl Lately {
    /// Was this not told of the caller in the last minutes? From now on it was.
    pub(super) fn is_new(&self, caller: &Caller, what: &str, now: Instant) -> bool {
        let mut hasher = blake3::Hasher::new();
        for text in [&*caller.name, &caller.address.to_string(), what] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        let key = *hasher.finalize().as_bytes();
        // A panic cannot leave the two between two states.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Told { known, order } = &mut *told;
        let is_old = |(at, _): &(Instant, _)| now.duration_since(*at) >= AGAIN;
        while let Some((_, old)) = order.pop_front_if(|first| is_old(first)) {
            known.remove(&old);
        }
        if !known.insert(key) {
            return false;
        }
        order.push_back((now, key));
        if order.len() > REMEMBERED
            && let Some((_, old)) = order.pop_front()
        {
            known.remove(&old);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Via;

    fn caller(name: &str, last: u8) -> Caller {
        Caller { name: name.into(), role: None, via: Via::Session, address: [192, 0, 2, last].into() }
    }

    #[test]
    fn a_record_is_told_once_to_each_and_again_after_a_while() {
        let (lately, begin) = (Lately::default(), Instant::now());
        let (ann, elsewhere, bob) = (caller("ann", 1), caller("ann", 2), caller("bob", 1));
        assert!(lately.is_new(&ann, "flow 1", begin));
        assert!(!lately.is_new(&ann, "flow 1", begin + AGAIN / 2));
        assert!(lately.is_new(&ann, "flow 2", begin) && lately.is_new(&bob, "flow 1", begin));
        assert!(lately.is_new(&elsewhere, "flow 1", begin));
        // The time runs from when it was told, not from when it was looked at last.
        assert!(lately.is_new(&ann, "flow 1", begin + AGAIN));
        assert!(!lately.is_new(&ann, "flow 1", begin + AGAIN + Duration::from_secs(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_was_forgotten_is_told_again() {
        let (lately, now, ann) = (Lately::default(), Instant::now(), caller("ann", 1));
        for n in 0..=REMEMBERED {
            assert!(lately.is_new(&ann, &n.to_string(), now));
        }
        let held = || lately.0.lock().unwrap().known.len();
        assert_eq!(held(), REMEMBERED);
        assert!(!lately.is_new(&ann, "1", now));
        assert!(lately.is_new(&ann, "0", now), "the oldest gave way");
        assert_eq!((held(), lately.0.lock().unwrap().order.len()), (REMEMBERED, REMEMBERED));
    }
}
