//! Views that people saved: what a page's address said, by a name. Whoever saved one owns it; a shared one is everybody's
//! to open. At most [`MAX_VIEWS`] of an owner. One of those that somebody may open can be what a page begins with for them.

use rusqlite::{OptionalExtension as _, Row};

use super::{State, StateError, now};
use crate::record::Micros;

/// Views that one owner may keep.
pub const MAX_VIEWS: u64 = 500;

/// A view to be saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewView {
    /// The page it is of: `suspicious/flow`.
    pub page: String,
    /// What people call it.
    pub name: String,
    /// Who saved it.
    pub owner: String,
    /// May everybody open it?
    pub shared: bool,
    /// The parameters of the address.
    pub query: String,
}

/// A saved view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Its number.
    pub id: i64,
    /// What was saved.
    pub view: NewView,
    /// When it was saved last.
    pub created: Micros,
}

fn view(row: &Row<'_>) -> rusqlite::Result<View> {
    Ok(View {
        id: row.get(0)?,
        view: NewView {
            page: row.get(1)?,
            name: row.get(2)?,
            owner: row.get(3)?,
            shared: row.get(4)?,
            query: row.get(5)?,
        },
        created: Micros(row.get(6)?),
    })
}

const COLUMNS: &str = "id, page, name, owner, shared, query, created";

impl State {
    /// Saves a view; one of the same owner, page and name is replaced. `None` if the owner has too many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn save_view(&self, new: &NewView) -> Result<Option<View>, StateError> {
        self.write(|t| {
            let others: i64 = t.query_row(
                "SELECT count(*) FROM saved_views WHERE owner = ?1 AND NOT (page = ?2 AND name = ?3)",
                (&new.owner, &new.page, &new.name),
                |row| row.get(0),
            )?;
            if u64::try_from(others).unwrap_or(0) >= MAX_VIEWS {
                return Ok(None);
            }
            t.query_row(
                &format!(
                    "INSERT INTO saved_views (page, name, owner, shared, query, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (owner, page, name) DO UPDATE SET shared = excluded.shared, query = excluded.query,
                     created = excluded.created RETURNING {COLUMNS}"
                ),
                (&new.page, &new.name, &new.owner, new.shared, &new.query, now().0),
                view,
            )
            .map(Some)
        })
    }

    /// The views of a page that `owner` saved, and those that others share, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn views(&self, page: &str, owner: &str) -> Result<Vec<View>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "SELECT {COLUMNS} FROM saved_views WHERE page = ?1 AND (owner = ?2 OR shared = 1) ORDER BY name, owner"
            ))?
            .query_map((page, owner), view)?
            .collect()
        })
    }

    /// Deletes a view of `owner`; gives back what it was, `None` if the owner has no such view.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn delete_view(&self, id: i64, owner: &str) -> Result<Option<View>, StateError> {
        self.write(|t| {
            let sql = format!("DELETE FROM saved_views WHERE id = ?1 AND owner = ?2 RETURNING {COLUMNS}");
            t.query_row(&sql, (id, owner), view).optional()
        })
    }

    /// Makes a view what its page begins with for `owner`, or no longer. `None` if there is no such view of theirs or shared.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_default_view(&self, id: i64, owner: &str, is_default: bool) -> Result<Option<View>, StateError> {
        self.write(|t| {
            let sql = format!("SELECT {COLUMNS} FROM saved_views WHERE id = ?1 AND (owner = ?2 OR shared = 1)");
            let Some(found) = t.query_row(&sql, (id, owner), view).optional()? else { return Ok(None) };
            if is_default {
                t.execute(
                    "INSERT INTO default_views (owner, page, view_id) VALUES (?1, ?2, ?3)
                     ON CONFLICT (owner, page) DO UPDATE SET view_id = excluded.view_id",
                    (owner, &found.view.page, id),
                )?;
            } else {
                t.execute("DELETE FROM default_views WHERE owner = ?1 AND view_id = ?2", (owner, id))?;
            }
            Ok(Some(found))
        })
    }

    /// What pages begin with for `owner`, by page. A view of somebody else counts while it is shared.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn default_views(&self, owner: &str) -> Result<Vec<View>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "SELECT {COLUMNS} FROM saved_views WHERE (owner = ?1 OR shared = 1)
                 AND id IN (SELECT view_id FROM default_views WHERE owner = ?1) ORDER BY page"
            ))?
            .query_map([owner], view)?
            .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(owner: &str, name: &str, shared: bool) -> NewView {
        NewView {
            page: "suspicious/flow".to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            shared,
            query: "v=1&sort=-src_bytes".to_owned(),
        }
    }

    #[test]
    fn views_are_their_owner_s_and_shared_ones_everybody_s() {
        let state = State::in_memory().unwrap();
        let mine = state.save_view(&new("ana", "b", false)).unwrap().unwrap();
        state.save_view(&new("ben", "a", true)).unwrap().unwrap();
        state.save_view(&new("ben", "c", false)).unwrap().unwrap();
        let seen = |owner: &str| -> Vec<String> {
            state.views("suspicious/flow", owner).unwrap().into_iter().map(|view| view.view.name).collect()
        };
        assert_eq!(
            (seen("ana"), seen("ben"), seen("eve")),
            (vec!["a".into(), "b".into()], vec!["a".into(), "c".into()], vec!["a".into()])
        );
        assert_eq!(state.views("health", "ana").unwrap(), []);
        assert_eq!(state.delete_view(mine.id, "ben").unwrap(), None);
        assert_eq!(state.delete_view(mine.id, "ana").unwrap().map(|view| view.view.name), Some("b".to_owned()));
        assert_eq!(seen("ana"), ["a"]);
    }

    #[test]
    fn the_same_name_is_saved_over() {
        let state = State::in_memory().unwrap();
        let first = state.save_view(&new("ana", "b", false)).unwrap().unwrap();
        let again = NewView { query: "v=1".to_owned(), shared: true, ..new("ana", "b", true) };
        let second = state.save_view(&again).unwrap().unwrap();
        assert_eq!((second.id, &second.view), (first.id, &again));
        assert_eq!(state.views("suspicious/flow", "ana").unwrap().len(), 1);
    }

    #[test]
    fn an_owner_s_views_are_bounded() {
        let state = State::in_memory().unwrap();
        for number in 0..MAX_VIEWS {
            assert!(state.save_view(&new("ana", &number.to_string(), false)).unwrap().is_some());
        }
        assert_eq!(state.save_view(&new("ana", "one more", false)).unwrap(), None);
        assert!(state.save_view(&new("ana", "0", true)).unwrap().is_some(), "saving over is no more");
        assert!(state.save_view(&new("ben", "one", false)).unwrap().is_some());
    }

    #[test]
    fn a_page_begins_with_one_view_of_each_account_s_choice() {
        let state = State::in_memory().unwrap();
        let save = |owner: &str, name: &str, shared| state.save_view(&new(owner, name, shared)).unwrap().unwrap().id;
        let (own, shared, secret) =
            (save("ana", "own", false), save("ben", "shared", true), save("ben", "secret", false));
        let begins =
            |owner: &str| -> Vec<i64> { state.default_views(owner).unwrap().into_iter().map(|view| view.id).collect() };
        assert!(state.set_default_view(own, "ana", true).unwrap().is_some());
        assert!(state.set_default_view(shared, "eve", true).unwrap().is_some());
        assert_eq!(state.set_default_view(secret, "ana", true).unwrap(), None, "nobody else may open it");
        assert_eq!((begins("ana"), begins("ben"), begins("eve")), (vec![own], vec![], vec![shared]));
        // Another of the same page takes its place; one of another page does not.
        state.set_default_view(shared, "ana", true).unwrap();
        let other = NewView { page: "suspicious/dns".to_owned(), ..new("ana", "own", false) };
        let dns = state.save_view(&other).unwrap().unwrap().id;
        state.set_default_view(dns, "ana", true).unwrap();
        assert_eq!(begins("ana"), [dns, shared]);
        // It is no longer shared, it is taken back, it is deleted.
        save("ben", "shared", false);
        assert_eq!((begins("ana"), begins("eve")), (vec![dns], vec![]));
        state.set_default_view(dns, "ana", false).unwrap();
        assert_eq!(begins("ana"), Vec::<i64>::new());
        state.set_default_view(own, "ana", true).unwrap();
        state.delete_view(own, "ana").unwrap();
        assert_eq!(begins("ana"), Vec::<i64>::new());
    }
}
