//! The audit log: who did what, in a chain. Each entry's hash covers the entry and the hash before it, so that nothing
//! can be changed, taken out or put in between without breaking every hash after it. The newest hash, the head, is
//! written to the lake's ledger ([`crate::lake::Lake::write_audit_head`]): then the end cannot be cut off either, nor the
//! whole chain made anew.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{State, StateError, now};
use crate::record::Micros;

/// Bytes that a text of an entry may have; longer ones are cut, with `…` at the end.
pub const MAX_TEXT: usize = 4096;

/// An entry to append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    /// Who: the name of an account, `console`, or `-` for nobody.
    pub actor: String,
    /// From where: an address, or `console`.
    pub address: String,
    /// What was done: `login`, `user.add`, `POST /api/v1/verdicts`, …
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, as it helps.
    pub detail: String,
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub time: Micros,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More.
    pub detail: String,
    /// Hexadecimal BLAKE3 of the entry and the hash before it.
    pub hash: String,
}

/// The newest entry of a chain.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Head {
    /// Its number.
    pub seq: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

/// Where a chain is broken.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Break {
    /// Number of the first entry that does not fit.
    pub seq: i64,
    /// What does not fit.
    pub what: String,
}

/// What a look at the whole chain found.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Checked {
    /// Entries that were read.
    pub entries: u64,
    /// The newest one; `None` for an empty log.
    pub head: Option<Head>,
    /// `None` where all fits.
    pub broken: Option<Break>,
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The hash of an entry: its predecessor's hash, then its fields, each behind its length.
fn hash(before: &[u8; 32], seq: i64, time: Micros, texts: [&str; 5]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("spotter audit entry v1");
    hasher.update(before).update(&seq.to_le_bytes()).update(&time.0.to_le_bytes());
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Appends within a transaction: what was done and its entry are kept together, or neither is.
pub(super) fn append(c: &Connection, entry: &NewEntry) -> rusqlite::Result<i64> {
    let last: Option<(i64, [u8; 32])> = c
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, before) = last.map_or((1, [0; 32]), |(seq, hash)| (seq + 1, hash));
    let time = now();
    let texts = [&entry.actor, &entry.address, &entry.action, &entry.subject, &entry.detail].map(|text| cut(text));
    let [actor, address, action, subject, detail] = &texts;
    let hash = hash(&before, seq, time, [actor, address, action, subject, detail]);
    c.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute((seq, time.0, actor, address, action, subject, detail, hash))?;
    Ok(seq)
}

const SELECT: &str = "SELECT seq, time, actor, address, action, subject, detail, hash FROM audit";

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Entry, [u8; 32])> {
    let hash: [u8; 32] = row.get(7)?;
    let entry = Entry {
        seq: row.get(0)?,
        time: Micros(row.get(1)?),
        actor: row.get(2)?,
        address: row.get(3)?,
        action: row.get(4)?,
        subject: row.get(5)?,
        detail: row.get(6)?,
        hash: hex(&hash),
    };
    Ok((entry, hash))
}

impl State {
    /// Appends an entry and gives its number.
    pub fn append_audit(&self, entry: &NewEntry) -> Result<i64, StateError> {
        self.write(|t| append(t, entry))
    }

    /// Entries before the number `before` (`None`: the newest), newest first.
    pub fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE ?1 IS NULL OR seq < ?1 ORDER BY seq DESC LIMIT ?2"))?
                .query_map((before, limit), |row| read(row).map(|(entry, _)| entry))?
                .collect()
        })
    }

    /// Entries from the number `from` on, oldest first.
    pub fn audit_from(&self, from: i64, limit: u32) -> Result<Vec<Entry>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE seq >= ?1 ORDER BY seq LIMIT ?2"))?
                .query_map((from, limit), |row| read(row).map(|(entry, _)| entry))?
                .collect()
        })
    }

    /// The newest entry.
    pub fn audit_head(&self) -> Result<Option<Head>, StateError> {
        Ok(self.audit(None, 1)?.pop().map(|entry| Head { seq: entry.seq, hash: entry.hash }))
    }

    /// Computes every hash anew, and compares the chain with `heads` that were noted elsewhere before.
    pub fn check_audit(&self, heads: &[Head]) -> Result<Checked, StateError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("{SELECT} ORDER BY seq"))?;
            let mut rows = statement.query([])?;
            let mut checked = Checked { entries: 0, head: None, broken: None };
            let mut before = [0; 32];
            while let Some(row) = rows.next()? {
                let expected = i64::try_from(checked.entries).unwrap_or(i64::MAX).saturating_add(1);
                let (entry, kept) = match read(row) {
                    Ok(read) => read,
                    Err(error) => {
                        checked.broken = Some(Break { seq: expected, what: format!("it cannot be read: {error}") });
                        return Ok(checked);
                    }
                };
                let texts = [&*entry.actor, &entry.address, &entry.action, &entry.subject, &entry.detail];
                let what = if entry.seq != expected {
                    Some(format!("number {expected} is missing, {} follows", entry.seq))
                } else if hash(&before, entry.seq, entry.time, texts) != kept {
                    Some("its hash does not fit it and the entry before it".to_owned())
                } else {
                    heads
                        .iter()
                        .find(|head| head.seq == entry.seq && head.hash != entry.hash)
                        .map(|head| format!("the ledger has noted the hash {} for it", head.hash))
                };
                if let Some(what) = what {
                    checked.broken = Some(Break { seq: expected, what });
                    return Ok(checked);
                }
                before = kept;
                checked.entries += 1;
                checked.head = Some(Head { seq: entry.seq, hash: entry.hash });
            }
            let last = checked.head.as_ref().map_or(0, |head| head.seq);
            if let Some(lost) = heads.iter().map(|head| head.seq).max().filter(|seq| *seq > last) {
                let what = format!("the ledger has noted {lost} entries, {last} are there");
                checked.broken = Some(Break { seq: last + 1, what });
            }
            Ok(checked)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str) -> NewEntry {
        NewEntry {
            actor: "alice".to_owned(),
            address: "192.0.2.1".to_owned(),
            action: action.to_owned(),
            subject: String::new(),
            detail: String::new(),
        }
    }

    fn log() -> State {
        let state = State::in_memory().unwrap();
        for action in ["login", "sql", "logout"] {
            state.append_audit(&entry(action)).unwrap();
        }
        state
    }

    fn tamper(state: &State, sql: &str) {
        state
            .write(|t| {
                t.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_stays")?;
                t.execute_batch(sql)
            })
            .unwrap();
    }

    #[test]
    fn an_untouched_chain_fits_and_is_read_page_by_page() {
        let state = log();
        let head = state.audit_head().unwrap().unwrap();
        let checked = state.check_audit(std::slice::from_ref(&head)).unwrap();
        assert_eq!((checked.entries, checked.broken, checked.head), (3, None, Some(head)));
        let page = state.audit(Some(3), 1).unwrap();
        assert_eq!((page.len(), &*page[0].action), (1, "sql"));
        assert_eq!(State::in_memory().unwrap().check_audit(&[]).unwrap().head, None);
    }

    #[test]
    fn every_way_to_tamper_breaks_the_chain_where_it_happened() {
        for (sql, at) in [
            ("UPDATE audit SET actor = 'bob' WHERE seq = 2", 2),
            ("UPDATE audit SET time = time + 1 WHERE seq = 1", 1),
            ("UPDATE audit SET actor = 'alic', address = 'e192.0.2.1' WHERE seq = 2", 2),
            ("DELETE FROM audit WHERE seq = 2", 2),
            ("DELETE FROM audit WHERE seq = 1", 1),
            ("UPDATE audit SET seq = 4 WHERE seq = 3", 3),
        ] {
            let state = log();
            tamper(&state, sql);
            assert_eq!(state.check_audit(&[]).unwrap().broken.map(|b| b.seq), Some(at), "{sql}");
        }
    }

    #[test]
    fn a_cut_end_and_a_chain_made_anew_are_seen_by_the_noted_head() {
        let state = log();
        let head = state.audit_head().unwrap().unwrap();
        tamper(&state, "DELETE FROM audit WHERE seq = 3");
        assert_eq!(state.check_audit(&[]).unwrap().broken, None);
        assert_eq!(state.check_audit(std::slice::from_ref(&head)).unwrap().broken.unwrap().seq, 3);
        state.append_audit(&entry("something else")).unwrap();
        assert_eq!(state.check_audit(&[]).unwrap().broken, None);
        assert_eq!(state.check_audit(&[head]).unwrap().broken.unwrap().seq, 3);
    }

    #[test]
    fn entries_cannot_be_changed_by_sql() {
        let state = log();
        for sql in
            ["UPDATE audit SET actor = 'bob'", "DELETE FROM audit", "INSERT OR REPLACE INTO audit SELECT * FROM audit"]
        {
            let result = state.write(|t| t.execute_batch(sql));
            assert!(result.is_err(), "{sql}");
        }
        assert_eq!(state.check_audit(&[]).unwrap().entries, 3);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let state = State::in_memory().unwrap();
        state.append_audit(&NewEntry { detail: "é".repeat(MAX_TEXT), ..entry("x") }).unwrap();
        assert!(state.audit(None, 1).unwrap()[0].detail.len() <= MAX_TEXT + 3);
        assert_eq!(state.check_audit(&[]).unwrap().broken, None);
    }
}
