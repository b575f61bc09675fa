//! The schema, step by step. A step that was released is never edited: the next one mends it.

use super::{State, StateError};

/// Version after all steps.
pub(super) const LATEST: i64 = STEPS.len() as i64;

/// Step n brings version n to n + 1.
const STEPS: [&str; 9] = [
    include_str!("v1.sql"),
    include_str!("stories.sql"),
    include_str!("views.sql"),
    include_str!("accounts.sql"),
    include_str!("feedback.sql"),
    include_str!("defaults.sql"),
    include_str!("batches.sql"),
    include_str!("displays.sql"),
    include_str!("exporters.sql"),
];

impl State {
    /// Brings the database to the present version, in one transaction.
    pub(super) fn migrate(&self) -> Result<(), StateError> {
        let found = self.write(|t| {
            let found: i64 = t.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
                t.execute_batch(step)?;
            }
            if found < LATEST {
                t.pragma_update(None, "user_version", LATEST)?;
            }
            Ok(found)
        })?;
        if found > LATEST {
            return Err(StateError::Newer { path: self.path().to_owned(), found, known: LATEST });
        }
        Ok(())
    }
}
