//! The console: one-time links, their sessions, the API token of the process. Whoever started the server is its admin.
//!
//! Secrets are 256 random bits, handed out once and kept as BLAKE3 hashes, in memory: they end with the process.
//! Hashes are compared in constant time. The numbers of links and sessions are bounded; the oldest gives way.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Links that may be open at a time.
const MAX_LINKS: usize = 16;
/// Browsers that may be signed in at a time.
const MAX_SESSIONS: usize = 64;
/// How long a browser stays signed in without being used.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest secret that is looked at.
const MAX_SECRET: usize = 128;

/// A secret as it is handed out. Not shown by `Debug`.
pub(crate) struct Secret(String);

impl Secret {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let mut text = String::with_capacity(64);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> blake3::Hash {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

fn hash(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

struct Session {
    hash: blake3::Hash,
    until: Instant,
}

/// Everything that opens the door.
pub(crate) struct Console {
    api_token: blake3::Hash,
    links: Mutex<VecDeque<blake3::Hash>>,
    sessions: Mutex<VecDeque<Session>>,
}

impl Console {
    /// Nobody is signed in. Gives the API token too.
    pub(crate) fn new() -> Result<(Self, Secret), getrandom::Error> {
        let token = Secret::new()?;
        let console = Self { api_token: token.hash(), links: Mutex::default(), sessions: Mutex::default() };
        Ok((console, token))
    }

    /// A new one-time link's secret.
    pub(crate) fn new_link(&self) -> Result<Secret, getrandom::Error> {
        let secret = Secret::new()?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() == MAX_LINKS {
            links.pop_front();
        }
        links.push_back(secret.hash());
        Ok(secret)
    }

    /// Trades a link's secret for a session. `None` if there is no such link (any more).
    pub(crate) fn redeem(&self, link: &str, now: Instant) -> Result<Option<Secret>, getrandom::Error> {
        if link.len() > MAX_SECRET {
            return Ok(None);
        }
        let asked = hash(link);
        {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(at) = links.iter().position(|known| *known == asked) else { return Ok(None) };
            links.remove(at);
        }
        let secret = Secret::new()?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.until > now);
        if sessions.len() == MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(Session { hash: secret.hash(), until: now + SESSION_LIFE });
        Ok(Some(secret))
    }

    /// Is this the secret of a session? Its life starts anew.
    pub(crate) fn is_session(&self, secret: &str, now: Instant) -> bool {
        if secret.len() > MAX_SECRET {
            return false;
        }
        let asked = hash(secret);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = sessions.iter().position(|session| session.hash == asked && session.until > now) else {
            return false;
        };
        if let Some(mut session) = sessions.remove(at) {
            session.until = now + SESSION_LIFE;
            sessions.push_back(session);
        }
        true
    }

    /// The same, but its life does not start anew.
    pub(crate) fn session_goes_on(&self, secret: &str, now: Instant) -> bool {
        let asked = hash(secret);
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        secret.len() <= MAX_SECRET && sessions.iter().any(|session| session.hash == asked && session.until > now)
    }

    /// Ends the session with this secret.
    pub(crate) fn end_session(&self, secret: &str) {
        let asked = hash(secret);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).retain(|session| session.hash != asked);
    }

    /// Is this the API token?
    pub(crate) fn is_api_token(&self, token: &str) -> bool {
        token.len() <= MAX_SECRET && hash(token) == self.api_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_one_session_and_only_one() {
        let (console, _) = Console::new().unwrap();
        let now = Instant::now();
        let link = console.new_link().unwrap();
        assert_eq!(link.reveal().len(), 64);
        let session = console.redeem(link.reveal(), now).unwrap().unwrap();
        assert!(console.redeem(link.reveal(), now).unwrap().is_none());
        assert!(console.is_session(session.reveal(), now));
        assert!(!console.is_session(link.reveal(), now));
        assert!(!console.is_session("", now));
    }

    #[test]
    fn a_session_ends_when_it_is_not_used() {
        let (console, _) = Console::new().unwrap();
        let now = Instant::now();
        let session = console.redeem(console.new_link().unwrap().reveal(), now).unwrap().unwrap();
        let later = now + SESSION_LIFE - Duration::from_secs(1);
        assert!(console.is_session(session.reveal(), later));
        assert!(console.is_session(session.reveal(), later + SESSION_LIFE - Duration::from_secs(1)));
        assert!(!console.is_session(session.reveal(), later + 3 * SESSION_LIFE));
    }

    #[test]
    fn the_numbers_are_bounded_and_the_oldest_gives_way() {
        let (console, _) = Console::new().unwrap();
        let now = Instant::now();
        let first = console.new_link().unwrap();
        for _ in 0..MAX_LINKS {
            console.new_link().unwrap();
        }
        assert!(console.redeem(first.reveal(), now).unwrap().is_none());
        let oldest = console.redeem(console.new_link().unwrap().reveal(), now).unwrap().unwrap();
        for _ in 0..MAX_SESSIONS {
            console.redeem(console.new_link().unwrap().reveal(), now).unwrap().unwrap();
        }
        assert!(!console.is_session(oldest.reveal(), now));
        assert_eq!(console.sessions.lock().unwrap().len(), MAX_SESSIONS);
    }

    #[test]
    fn the_api_token_is_no_link_and_no_session() {
        let (console, token) = Console::new().unwrap();
        assert!(console.is_api_token(token.reveal()));
        assert!(!console.is_api_token(&token.reveal()[1..]));
        assert!(!console.is_session(token.reveal(), Instant::now()));
        assert!(console.redeem(token.reveal(), Instant::now()).unwrap().is_none());
    }
}
