//! API tokens: for scripts, in the name of an account. Their secrets stay hashed.

use rusqlite::{OptionalExtension as _, Row};

use super::audit::{NewEntry, append};
use super::users::{User, UserId};
use super::{State, StateError};
use crate::record::Micros;

/// Tokens in force that an account may have.
pub const MAX_PER_USER: i64 = 64;
/// How exact [`Token::used`] is: it is not written at every request.
const USED_EVERY: i64 = 60_000_000;

/// A token to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewToken {
    /// In whose name.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// `metrics`, `viewer`, `analyst` or `admin`: the most it may do; never more than its account.
    pub scope: String,
    /// When it ends.
    pub expires: Micros,
}

/// A token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Token {
    /// Identity.
    pub id: i64,
    /// In whose name.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// `metrics`, `viewer`, `analyst` or `admin`.
    pub scope: String,
    /// When it was made.
    pub created: Micros,
    /// When it ends.
    pub expires: Micros,
    /// When it was last used, to the minute.
    pub used: Option<Micros>,
    /// When it was taken back.
    pub revoked: Option<Micros>,
}

impl State {
    /// Keeps a token; `None` where the account has too many in force.
    pub fn add_token(
        &self,
        secret: &[u8; 32],
        token: &NewToken,
        now: Micros,
        entry: &NewEntry,
    ) -> Result<Option<i64>, StateError> {
        self.write(|t| {
            let sql = "SELECT count(*) FROM tokens WHERE user_id = ?1 AND revoked IS NULL AND expires > ?2";
            let count: i64 = t.query_row(sql, (token.user.0, now.0), |row| row.get(0))?;
            if count >= MAX_PER_USER {
                return Ok(None);
            }
            t.execute(
                "INSERT INTO tokens (secret, user_id, name, scope, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (secret, token.user.0, &token.name, &token.scope, now.0, token.expires.0),
            )?;
            let id = t.last_insert_rowid();
            append(t, entry)?;
            Ok(Some(id))
        })
    }

    /// The account and the scope of the token with this secret: in force, of an account that may sign in.
    pub fn token_user(&self, secret: &[u8; 32], now: Micros) -> Result<Option<(User, String)>, StateError> {
        let found = self.read(|c| {
            c.prepare_cached(
                "SELECT u.user_id, u.name, u.role, u.created, u.changed, u.login, u.disabled, t.scope, t.used
                 FROM tokens t JOIN users u USING (user_id)
                 WHERE t.secret = ?1 AND t.revoked IS NULL AND t.expires > ?2 AND u.disabled IS NULL",
            )?
            .query_row((secret, now.0), |row| {
                Ok((super::users::read(row)?, row.get(7)?, row.get::<_, Option<i64>>(8)?))
            })
            .optional()
        })?;
        let Some((user, scope, used)) = found else { return Ok(None) };
        if used.is_none_or(|used| now.0 - used >= USED_EVERY) {
            self.write(|t| t.execute("UPDATE tokens SET used = ?2 WHERE secret = ?1", (secret, now.0)).map(drop))?;
        }
        Ok(Some((user, scope)))
    }

    /// Takes a token back; with `user`, only if it is of this account. False where there is no such token in force.
    pub fn revoke_token(&self, id: i64, user: Option<&str>, now: Micros, entry: &NewEntry) -> Result<bool, StateError> {
        self.write(|t| {
            let revoked = t.execute(
                "UPDATE tokens SET revoked = ?2 WHERE token_id = ?1 AND revoked IS NULL
                 AND (?3 IS NULL OR user_id = (SELECT user_id FROM users WHERE name = ?3))",
                (id, now.0, user),
            )? == 1;
            if revoked {
                append(t, entry)?;
            }
            Ok(revoked)
        })
    }

    /// Every token there was, of one account or all, oldest first.
    pub fn tokens(&self, user: Option<&str>) -> Result<Vec<Token>, StateError> {
        self.read(|c| {
            c.prepare(
                "SELECT token_id, u.name, t.name, scope, t.created, expires, used, revoked
                 FROM tokens t JOIN users u USING (user_id) WHERE ?1 IS NULL OR u.name = ?1 ORDER BY token_id",
            )?
            .query_map([user], token)?
            .collect()
        })
    }
}

impl State {
    /// A key that the server made for itself: `fresh` where there is none yet.
    pub fn secret(&self, name: &str, fresh: &[u8; 32]) -> Result<[u8; 32], StateError> {
        self.write(|t| {
            t.execute("INSERT OR IGNORE INTO secrets VALUES (?1, ?2)", (name, fresh))?;
            t.query_row("SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get(0))
        })
    }
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        scope: row.get(3)?,
        created: Micros(row.get(4)?),
        expires: Micros(row.get(5)?),
        used: row.get::<_, Option<i64>>(6)?.map(Micros),
        revoked: row.get::<_, Option<i64>>(7)?.map(Micros),
    })
}
