//! Copies of the state database, consistent while it is used.
