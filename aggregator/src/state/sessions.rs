//! Sessions of accounts. Secrets come and stay hashed; whoever reads the database cannot sign in with it.

use rusqlite::{OptionalExtension as _, Row};

use super::audit::{NewEntry, append};
use super::users::{User, UserId};
use super::{State, StateError};
use crate::record::Micros;

/// Sessions that an account may have at a time; the one used longest ago gives way.
pub const MAX_PER_USER: i64 = 16;
/// How exact [`Session::used`] is: it is not written at every request.
const USED_EVERY: i64 = 60_000_000;

/// How long a session lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// Without a request.
    pub idle: Micros,
    /// In all.
    pub absolute: Micros,
}

/// A session, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Session {
    /// Names it; the first half of the hash of its secret, hexadecimal.
    pub id: String,
    /// When it began.
    pub created: Micros,
    /// When it was last used, to the minute.
    pub used: Micros,
    /// When it ends at the latest.
    pub expires: Micros,
    /// From where it began.
    pub address: String,
    /// What the browser called itself: text from outside.
    pub agent: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl State {
    /// Begins a session and ends `old`, the one that the browser came with. Its `entry` is appended in the same transaction.
    pub fn begin_session(
        &self,
        user: UserId,
        secret: &[u8; 32],
        old: Option<&[u8; 32]>,
        (now, life): (Micros, Life),
        (address, agent): (&str, &str),
        entry: &NewEntry,
    ) -> Result<(), StateError> {
        self.write(|t| {
            if let Some(old) = old {
                t.execute("DELETE FROM sessions WHERE secret = ?1", [old])?;
            }
            t.execute("DELETE FROM sessions WHERE expires <= ?1 OR used <= ?2", (now.0, now.0 - life.idle.0))?;
            t.execute(
                "DELETE FROM sessions WHERE secret IN
                 (SELECT secret FROM sessions WHERE user_id = ?1 ORDER BY used DESC LIMIT -1 OFFSET ?2)",
                (user.0, MAX_PER_USER - 1),
            )?;
            t.execute(
                "INSERT INTO sessions VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
                (secret, user.0, now.0, now.0 + life.absolute.0, address, agent),
            )?;
            t.execute("UPDATE users SET login = ?2 WHERE user_id = ?1", (user.0, now.0))?;
            append(t, entry).map(drop)
        })
    }

    /// The account whose session has this secret: neither idle for too long, nor too old, nor of a disabled account. The
    /// session is used by it.
    pub fn session_user(&self, secret: &[u8; 32], now: Micros, life: Life) -> Result<Option<User>, StateError> {
        let Some((user, used)) = self.session_found(secret, now, life)? else { return Ok(None) };
        if now.0 - used >= USED_EVERY {
            self.write(|t| {
                t.execute("UPDATE sessions SET used = ?2 WHERE secret = ?1 AND used < ?2", (secret, now.0)).map(drop)
            })?;
        }
        Ok(Some(user))
    }

    /// The same, for whoever only looks whether it goes on: a stream that nobody watches keeps no session alive.
    pub fn session_goes_on(&self, secret: &[u8; 32], now: Micros, life: Life) -> Result<Option<User>, StateError> {
        Ok(self.session_found(secret, now, life)?.map(|(user, _)| user))
    }

    fn session_found(&self, secret: &[u8; 32], now: Micros, life: Life) -> Result<Option<(User, i64)>, StateError> {
        self.read(|c| {
            c.prepare_cached(
                "SELECT u.user_id, u.name, u.role, u.created, u.changed, u.login, u.disabled, s.used
                 FROM sessions s JOIN users u USING (user_id)
                 WHERE s.secret = ?1 AND s.expires > ?2 AND s.used > ?3 AND u.disabled IS NULL",
            )?
            .query_row((secret, now.0, now.0 - life.idle.0), |row| {
                Ok((super::users::read(row)?, row.get::<_, i64>(7)?))
            })
            .optional()
        })
    }

    /// Ends a session.
    pub fn end_session(&self, secret: &[u8; 32], entry: &NewEntry) -> Result<bool, StateError> {
        self.write(|t| {
            let ended = t.execute("DELETE FROM sessions WHERE secret = ?1", [secret])? == 1;
            if ended {
                append(t, entry)?;
            }
            Ok(ended)
        })
    }

    /// Ends the session that [`Session::id`] names, if it is of this account.
    pub fn end_session_by_id(&self, user: &str, id: &str, entry: &NewEntry) -> Result<bool, StateError> {
        self.write(|t| {
            let ended = t.execute(
                "DELETE FROM sessions WHERE lower(hex(substr(secret, 1, 16))) = ?2
                 AND user_id = (SELECT user_id FROM users WHERE name = ?1)",
                (user, id),
            )? > 0;
            if ended {
                append(t, entry)?;
            }
            Ok(ended)
        })
    }

    /// The sessions of an account that have not ended, the latest used first.
    pub fn sessions(&self, user: &str, now: Micros, life: Life) -> Result<Vec<Session>, StateError> {
        self.read(|c| {
            c.prepare(
                "SELECT secret, s.created, used, expires, address, agent FROM sessions s JOIN users u USING (user_id)
                 WHERE u.name = ?1 AND expires > ?2 AND used > ?3 ORDER BY used DESC",
            )?
            .query_map((user, now.0, now.0 - life.idle.0), session)?
            .collect()
        })
    }
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let secret: [u8; 32] = row.get(0)?;
    Ok(Session {
        id: hex(&secret[..16]),
        created: Micros(row.get(1)?),
        used: Micros(row.get(2)?),
        expires: Micros(row.get(3)?),
        address: row.get(4)?,
        agent: row.get(5)?,
    })
}
