//! The first account: a code that only the console shows, for an hour, for one account.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a code is good.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(60 * 60);
/// Crockford's base 32: nothing that looks like something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct Code {
    hash: blake3::Hash,
    until: Instant,
}

/// The code, if there is one.
#[derive(Default)]
pub(crate) struct Setup(Mutex<Option<Code>>);

/// As typed: case, spaces and dashes do not matter, nor what looks alike.
fn normal(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .take(64)
        .collect()
}

impl Setup {
    /// Makes a code; the one before is void.
    pub(crate) fn new_code(&self, now: Instant) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes)?;
        let letters: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        let code = Code { hash: blake3::hash(letters.as_bytes()), until: now + CODE_LIFE };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        Ok(format!("{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..]))
    }

    /// Is there a code that is still good?
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let code = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        code.as_ref().is_some_and(|code| code.until > now)
    }

    /// Is this the code? It has 60 bits; tries are slowed down by [`super::throttle`], so that wrong ones void nothing.
    pub(crate) fn check(&self, text: &str, now: Instant) -> bool {
        let code = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code = code.as_ref().filter(|code| code.until > now);
        code.is_some_and(|code| code.hash == blake3::hash(normal(text).as_bytes()))
    }

    /// The account was made: the code is void.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_for_its_time_and_until_it_is_used() {
        let (setup, now) = (Setup::default(), Instant::now());
        assert!(!setup.is_open(now) && !setup.check("", now));
        let code = setup.new_code(now).unwrap();
        assert_eq!(code.len(), 14);
        assert!(setup.check(&code, now));
        assert!(setup.check(&code.to_lowercase().replace('-', " ").replace('0', "o"), now));
        assert!(!setup.check(&code, now + CODE_LIFE));
        let second = setup.new_code(now).unwrap();
        assert!(!setup.check(&code, now) && setup.check(&second, now));
        assert!(!setup.check("0000-0000-000", now) && !setup.check("", now));
        assert!(setup.is_open(now));
        setup.close();
        assert!(!setup.is_open(now) && !setup.check(&second, now));
    }
}
