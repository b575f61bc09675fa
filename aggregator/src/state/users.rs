//! Accounts. Passwords are hashed by the caller; here they are PHC strings that are kept and given back.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::audit::{NewEntry, append};
use super::{State, StateError, now};
use crate::record::Micros;

/// Identity of an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct UserId(pub i64);

/// An account, without its password.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// Name to sign in with; upper and lower case are the same.
    pub name: String,
    /// `viewer`, `analyst` or `admin`.
    pub role: String,
    /// When it was made.
    pub created: Micros,
    /// When its password was last changed.
    pub changed: Micros,
    /// When it last signed in.
    pub login: Option<Micros>,
    /// Since when it may not sign in.
    pub disabled: Option<Micros>,
}

/// What came of a change to an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// It was made; sessions of the account have ended where the change asks for it.
    Done,
    /// There is no such account.
    NoSuchUser,
    /// There is one of this name already.
    NameTaken,
    /// Nobody could manage accounts afterwards.
    LastAdmin,
}

const SELECT: &str = "SELECT user_id, name, role, created, changed, login, disabled FROM users";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(row.get(0)?),
        name: row.get(1)?,
        role: row.get(2)?,
        created: Micros(row.get(3)?),
        changed: Micros(row.get(4)?),
        login: row.get::<_, Option<i64>>(5)?.map(Micros),
        disabled: row.get::<_, Option<i64>>(6)?.map(Micros),
    })
}

fn find(c: &Connection, name: &str) -> rusqlite::Result<Option<User>> {
    c.query_row(&format!("{SELECT} WHERE name = ?1"), [name], read).optional()
}

fn other_admins(t: &Transaction<'_>, id: UserId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled IS NULL AND user_id <> ?1)";
    t.query_row(sql, [id.0], |row| row.get(0))
}

impl State {
    /// True once there is an administrator who can sign in: from then on only accounts open the door.
    pub fn has_admin(&self) -> Result<bool, StateError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled IS NULL)";
        self.read(|c| c.prepare_cached(sql)?.query_row([], |row| row.get(0)))
    }

    /// All accounts, by name.
    pub fn users(&self) -> Result<Vec<User>, StateError> {
        self.read(|c| c.prepare(&format!("{SELECT} ORDER BY name"))?.query_map([], read)?.collect())
    }

    /// The account of this name.
    pub fn user(&self, name: &str) -> Result<Option<User>, StateError> {
        self.read(|c| find(c, name))
    }

    /// The account of this name and its password's PHC string.
    pub fn user_password(&self, name: &str) -> Result<Option<(User, String)>, StateError> {
        self.read(|c| {
            let Some(user) = find(c, name)? else { return Ok(None) };
            let phc = c.query_row("SELECT password FROM users WHERE user_id = ?1", [user.id.0], |row| row.get(0))?;
            Ok(Some((user, phc)))
        })
    }

    /// Adds an account. `only_first`: only where no administrator exists yet, decided in the same transaction.
    ///
    /// Gives [`Changed::LastAdmin`] where `only_first` does not hold, or where the first account would be no administrator.
    pub fn add_user(
        &self,
        name: &str,
        phc: &str,
        role: &str,
        only_first: bool,
        entry: &NewEntry,
    ) -> Result<Changed, StateError> {
        self.write(|t| {
            let has_admin = other_admins(t, UserId(-1))?;
            if (only_first && has_admin) || (!has_admin && role != "admin") {
                return Ok(Changed::LastAdmin);
            }
            if find(t, name)?.is_some() {
                return Ok(Changed::NameTaken);
            }
            let now = now().0;
            t.execute(
                "INSERT INTO users (name, password, role, created, changed) VALUES (?1, ?2, ?3, ?4, ?4)",
                (name, phc, role, now),
            )?;
            append(t, entry)?;
            Ok(Changed::Done)
        })
    }

    /// Sets a password; all sessions of the account end.
    pub fn set_password(&self, name: &str, phc: &str, entry: &NewEntry) -> Result<Changed, StateError> {
        self.change_user(name, entry, |t, user| {
            t.execute("UPDATE users SET password = ?2, changed = ?3 WHERE user_id = ?1", (user.id.0, phc, now().0))?;
            Ok(Changed::Done)
        })
    }

    /// Sets a role; all sessions of the account end.
    pub fn set_role(&self, name: &str, role: &str, entry: &NewEntry) -> Result<Changed, StateError> {
        self.change_user(name, entry, |t, user| {
            if role != "admin" && user.role == "admin" && user.disabled.is_none() && !other_admins(t, user.id)? {
                return Ok(Changed::LastAdmin);
            }
            t.execute("UPDATE users SET role = ?2 WHERE user_id = ?1", (user.id.0, role))?;
            Ok(Changed::Done)
        })
    }

    /// Lets an account sign in or not; where not, its sessions end and its tokens are void.
    pub fn set_enabled(&self, name: &str, is_enabled: bool, entry: &NewEntry) -> Result<Changed, StateError> {
        self.change_user(name, entry, |t, user| {
            if !is_enabled && user.role == "admin" && user.disabled.is_none() && !other_admins(t, user.id)? {
                return Ok(Changed::LastAdmin);
            }
            let disabled = (!is_enabled).then(|| now().0);
            t.execute("UPDATE users SET disabled = ?2 WHERE user_id = ?1", (user.id.0, disabled))?;
            Ok(Changed::Done)
        })
    }

    fn change_user(
        &self,
        name: &str,
        entry: &NewEntry,
        change: impl FnOnce(&Transaction<'_>, &User) -> rusqlite::Result<Changed>,
    ) -> Result<Changed, StateError> {
        self.write(|t| {
            let Some(user) = find(t, name)? else { return Ok(Changed::NoSuchUser) };
            let changed = change(t, &user)?;
            if changed == Changed::Done {
                t.execute("DELETE FROM sessions WHERE user_id = ?1", [user.id.0])?;
                append(t, entry)?;
            }
            Ok(changed)
        })
    }
}
