//! Passwords: what is accepted, and Argon2id (RFC 9106) behind a gate, so that a flood of logins holds no more memory
//! than a few hashes take.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::problem::ApiError;

/// Memory of one hash in KiB; with [`PASSES`] and [`LANES`] the OWASP recommendation for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// Hashes at a time for those who are not known; 2 × 19 MiB.
const PLACES: usize = 2;
/// Hashes at a time for browsers that have signed in before: a flood of strangers does not keep them waiting.
const PLACES_KNOWN: usize = 1;
/// Strangers that may wait.
const WAITING: usize = 32;

/// Fewest characters of a password.
const MIN_CHARS: usize = 12;
/// Most bytes of a password.
pub(super) const MAX_BYTES: usize = 256;
/// Most bytes of an account's name.
pub(super) const MAX_NAME: usize = 64;

/// Why a password or a name is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password needs at least {MIN_CHARS} characters; a few words in a row are easy to remember")]
    Short,
    /// Too long.
    #[error("a password may have {MAX_BYTES} bytes at most")]
    Long,
    /// Too easy to guess.
    #[error("this password is easy to guess: it {0}")]
    Weak(&'static str),
    /// No name of an account.
    #[error("a name has 1 to {MAX_NAME} letters a-z, digits, or . _ @ -, begins with a letter, and is not `console`")]
    Name,
    /// Argon2 or the system's random numbers failed.
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

fn argon2() -> Argon2<'static> {
    // The constants are within the bounds of RFC 9106, which a test sees.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Is this a name that an account may have?
///
/// # Errors
/// [`PasswordError::Name`] where not.
pub fn check_name(name: &str) -> Result<(), PasswordError> {
    let is_fine = name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-'))
        && !name.eq_ignore_ascii_case("console");
    if is_fine { Ok(()) } else { Err(PasswordError::Name) }
}

fn check(name: &str, password: &str) -> Result<(), PasswordError> {
    if password.len() > MAX_BYTES {
        return Err(PasswordError::Long);
    }
    if password.chars().count() < MIN_CHARS {
        return Err(PasswordError::Short);
    }
    let lower = password.to_lowercase();
    let distinct: std::collections::BTreeSet<char> = lower.chars().collect();
    if distinct.len() < 5 {
        return Err(PasswordError::Weak("has fewer than five different characters"));
    }
    if name.len() >= 4 && lower.replace(&name.to_lowercase(), "").chars().count() < 8 {
        return Err(PasswordError::Weak("is little more than the account's name"));
    }
    let codes: Vec<u32> = lower.chars().map(u32::from).collect();
    if codes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) <= 1) {
        return Err(PasswordError::Weak("is a run of neighbouring characters"));
    }
    Ok(())
}

/// Checks a new password for the account and hashes it: a PHC string.
///
/// # Errors
/// Where it is not accepted, with the reason.
pub fn hash(name: &str, password: &str) -> Result<String, PasswordError> {
    check_name(name)?;
    check(name, password)?;
    argon2().hash_password(password.as_bytes()).map(|phc| phc.to_string()).map_err(PasswordError::Hash)
}

/// Takes as long for an account that does not exist as for one that does.
fn verify(password: &str, phc: Option<&str>) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = || argon2().hash_password(b"nobody").map(|phc| phc.to_string()).unwrap_or_default();
    let text = phc.unwrap_or_else(|| NOBODY.get_or_init(nobody));
    let Ok(parsed) = PasswordHash::new(text) else { return false };
    argon2().verify_password(password.as_bytes(), &parsed).is_ok() && phc.is_some()
}

/// The gate before Argon2.
pub(crate) struct Gate {
    places: Semaphore,
    known: Semaphore,
    waiting: AtomicUsize,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { places: Semaphore::new(PLACES), known: Semaphore::new(PLACES_KNOWN), waiting: AtomicUsize::new(0) }
    }

    /// Does the password fit the hash of an account (`None`: there is no such account)?
    pub(crate) async fn verify(&self, password: String, phc: Option<String>, is_known: bool) -> Result<bool, ApiError> {
        self.run(is_known, move || verify(&password, phc.as_deref())).await
    }

    /// [`hash`] in its turn.
    pub(crate) async fn hash(&self, name: String, password: String) -> Result<String, ApiError> {
        let hashed = self.run(true, move || hash(&name, &password)).await?;
        hashed.map_err(|error| match error {
            PasswordError::Hash(_) => ApiError::Broken(error.to_string()),
            error => ApiError::Bad(error.to_string()),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        is_known: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _waits = if is_known { None } else { Some(Waits::one(&self.waiting)?) };
        let places = if is_known { &self.known } else { &self.places };
        let _place = places.acquire().await.map_err(|_| ApiError::Busy)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ApiError::Broken(format!("a hash ended unexpectedly: {error}")))
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn one(waiting: &'a AtomicUsize) -> Result<Self, ApiError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Self(waiting);
        if before >= WAITING { Err(ApiError::Busy) } else { Ok(waits) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_with_the_stated_parameters() {
        let phc = hash("alice", "correct horse battery").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("correct horse battery", Some(&phc)));
        assert!(!verify("correct horse batterz", Some(&phc)));
        assert!(!verify("nobody", None));
        assert!(!verify("x", Some("no phc")));
        assert_ne!(phc, hash("alice", "correct horse battery").unwrap(), "salted");
    }

    #[test]
    fn what_is_easily_guessed_is_refused_with_the_reason() {
        for (name, password, reason) in [
            ("alice", "short", "at least 12"),
            ("alice", "aaaaaaaaaaaaaaaa", "different characters"),
            ("alice", "abcdefghijklmnop", "neighbouring"),
            ("alexander", "Alexander1234", "name"),
            ("alice", &"0123456789 hunter".repeat(20), "256 bytes"),
        ] {
            let error = hash(name, password).unwrap_err().to_string();
            assert!(error.contains(reason), "{password}: {error}");
        }
        for name in ["", "console", "Console", "1a", "-", "a b", "a/b", "é", "a'--", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("alice.b_c@example-1").is_ok());
    }

    #[tokio::test]
    async fn a_flood_of_strangers_is_turned_away_and_the_known_get_in() {
        let gate = Gate::new();
        let _held = gate.places.acquire_many(2).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(gate.verify("x".to_owned(), None, false))).collect();
        for one in &mut waiting {
            assert!(futures_pending(one).await);
        }
        assert!(matches!(gate.verify("x".to_owned(), None, false).await, Err(ApiError::Busy)));
        assert!(!gate.verify("x".to_owned(), None, true).await.unwrap());
        drop(waiting);
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}
