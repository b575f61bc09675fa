//! Stories: a threat told in Markdown, with pinned records and comments, for the storyboard and the report.
//!
//! The text is kept in versions that are never changed; an edit names the version it was made from, so that of
//! two people who edit at a time the second is told instead of the first being overwritten. A story that is
//! retired is no longer listed; nothing is deleted.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{State, StateError};
use crate::lake::Source;
use crate::record::{Micros, RecordId};

/// Pins one story may have.
pub const MAX_PINS: u32 = 1_000;
/// Comments one story may have.
pub const MAX_COMMENTS: u32 = 1_000;

/// Identity of a story.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct StoryId(pub i64);

/// A story to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewStory {
    /// Kind of record it began with.
    pub source: Source,
    /// What it is about: an address, network, name or URI.
    pub subject: String,
    /// The time it tells of.
    pub first: Micros,
    /// The first moment after it.
    pub last: Micros,
    /// Headline.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// Who tells it.
    pub author: String,
    /// When.
    pub time: Micros,
}

/// A story with its latest text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Story {
    /// Identity.
    pub id: StoryId,
    /// Kind of record it began with.
    pub source: Source,
    /// What it is about.
    pub subject: String,
    /// The time it tells of.
    pub first: Micros,
    /// The first moment after it.
    pub last: Micros,
    /// When it was first told.
    pub created: Micros,
    /// Who told it first.
    pub author: String,
    /// When it was retired.
    pub retired: Option<Micros>,
    /// The latest version.
    pub text: StoryVersion,
    /// Records pinned.
    pub pins: u32,
    /// Comments.
    pub comments: u32,
}

/// One version of a story's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoryVersion {
    /// 1 for the first.
    pub version: u32,
    /// Headline.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub time: Micros,
}

/// A record pinned to a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Its table.
    pub source: Source,
    /// Its identity.
    pub record: RecordId,
    /// Its first moment: where in the lake it is.
    pub first_seen: Micros,
    /// Why.
    pub note: Option<String>,
    /// Who pinned it.
    pub author: String,
    /// When.
    pub time: Micros,
}

/// A comment on a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comment {
    /// Its number.
    pub id: i64,
    /// Who.
    pub author: String,
    /// When.
    pub time: Micros,
    /// What, plain text.
    pub text: String,
}

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// It is done. The version or number it has now.
    Done(i64),
    /// There is no such story, or it is retired.
    Missing,
    /// Someone else changed it meanwhile; this is the version it has.
    Stale(u32),
    /// The story has as many of these as it may have.
    Full,
}

impl State {
    /// Adds a story with its first version.
    pub fn add_story(&self, new: &NewStory) -> Result<StoryId, StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO stories (source, subject, first, last, created, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (new.source.as_str(), &new.subject, new.first.0, new.last.0, new.time.0, &new.author),
            )?;
            let id = t.last_insert_rowid();
            put_version(t, id, 1, &new.title, &new.text, &new.author, new.time)?;
            Ok(StoryId(id))
        })
    }

    /// Stories that are not retired and tell of a moment in `[from, to)`, latest change first.
    pub fn stories(&self, from: Micros, to: Micros) -> Result<Vec<Story>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE s.retired IS NULL AND s.first < ?2 AND s.last > ?1 ORDER BY v.time DESC, s.story_id DESC"))?
                .query_map((from.0, to.0), read_story)?
                .collect()
        })
    }

    /// One story, retired or not.
    pub fn story(&self, id: StoryId) -> Result<Option<Story>, StateError> {
        self.read(|c| c.query_row(&format!("{SELECT} WHERE s.story_id = ?1"), [id.0], read_story).optional())
    }

    /// Appends a version made from version `base`.
    pub fn edit_story(
        &self,
        id: StoryId,
        base: u32,
        title: &str,
        text: &str,
        author: &str,
        time: Micros,
    ) -> Result<Changed, StateError> {
        self.write(|t| {
            let Some(latest) = latest(t, id)? else { return Ok(Changed::Missing) };
            if latest != base {
                return Ok(Changed::Stale(latest));
            }
            put_version(t, id.0, latest + 1, title, text, author, time)?;
            Ok(Changed::Done(i64::from(latest) + 1))
        })
    }

    /// Takes a story off the list.
    pub fn retire_story(&self, id: StoryId, time: Micros) -> Result<Changed, StateError> {
        self.write(|t| {
            let done =
                t.execute("UPDATE stories SET retired = ?2 WHERE story_id = ?1 AND retired IS NULL", (id.0, time.0))?;
            Ok(if done == 0 { Changed::Missing } else { Changed::Done(id.0) })
        })
    }

    /// Every version of a story's text, latest first.
    pub fn story_versions(&self, id: StoryId) -> Result<Vec<StoryVersion>, StateError> {
        self.read(|c| {
            c.prepare("SELECT version, title, text, author, time FROM story_versions WHERE story_id = ?1 ORDER BY version DESC")?
                .query_map([id.0], |row| read_version(row, 0))?
                .collect()
        })
    }

    /// Pins a record, or changes the note of one that is pinned.
    pub fn pin(&self, id: StoryId, pin: &Pin) -> Result<Changed, StateError> {
        self.write(|t| {
            if latest(t, id)?.is_none() {
                return Ok(Changed::Missing);
            }
            let others: u32 = t.query_row(
                "SELECT count(*) FROM story_pins WHERE story_id = ?1 AND (source, record_id) <> (?2, ?3)",
                (id.0, pin.source.as_str(), pin.record.0),
                |row| row.get(0),
            )?;
            if others >= MAX_PINS {
                return Ok(Changed::Full);
            }
            t.execute(
                "INSERT INTO story_pins (story_id, source, record_id, first_seen, note, author, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET note = excluded.note, author = excluded.author, time = excluded.time",
                (id.0, pin.source.as_str(), pin.record.0, pin.first_seen.0, &pin.note, &pin.author, pin.time.0),
            )?;
            Ok(Changed::Done(id.0))
        })
    }

    /// Takes a pin away.
    pub fn unpin(&self, id: StoryId, source: Source, record: RecordId) -> Result<Changed, StateError> {
        self.write(|t| {
            let done = t.execute(
                "DELETE FROM story_pins WHERE story_id = ?1 AND source = ?2 AND record_id = ?3",
                (id.0, source.as_str(), record.0),
            )?;
            Ok(if done == 0 { Changed::Missing } else { Changed::Done(id.0) })
        })
    }

    /// The records pinned to a story, by their time.
    pub fn pins(&self, id: StoryId) -> Result<Vec<Pin>, StateError> {
        self.read(|c| {
            c.prepare(
                "SELECT source, record_id, first_seen, note, author, time FROM story_pins WHERE story_id = ?1
                 ORDER BY first_seen, record_id",
            )?
            .query_map([id.0], |row| {
                Ok(Pin {
                    source: super::runs::read_source(row, 0)?,
                    record: RecordId(row.get(1)?),
                    first_seen: Micros(row.get(2)?),
                    note: row.get(3)?,
                    author: row.get(4)?,
                    time: Micros(row.get(5)?),
                })
            })?
            .collect()
        })
    }

    /// Adds a comment and gives its number.
    pub fn comment(&self, id: StoryId, author: &str, text: &str, time: Micros) -> Result<Changed, StateError> {
        self.write(|t| {
            if latest(t, id)?.is_none() {
                return Ok(Changed::Missing);
            }
            let already: u32 =
                t.query_row("SELECT count(*) FROM story_comments WHERE story_id = ?1", [id.0], |row| row.get(0))?;
            if already >= MAX_COMMENTS {
                return Ok(Changed::Full);
            }
            t.execute(
                "INSERT INTO story_comments (story_id, author, time, text) VALUES (?1, ?2, ?3, ?4)",
                (id.0, author, time.0, text),
            )?;
            Ok(Changed::Done(t.last_insert_rowid()))
        })
    }

    /// The comments on a story, oldest first.
    pub fn comments(&self, id: StoryId) -> Result<Vec<Comment>, StateError> {
        self.read(|c| {
            c.prepare(
                "SELECT comment_id, author, time, text FROM story_comments WHERE story_id = ?1 ORDER BY comment_id",
            )?
            .query_map([id.0], |row| {
                Ok(Comment { id: row.get(0)?, author: row.get(1)?, time: Micros(row.get(2)?), text: row.get(3)? })
            })?
            .collect()
        })
    }
}

const SELECT: &str = "SELECT s.story_id, s.source, s.subject, s.first, s.last, s.created, s.author, s.retired,
    (SELECT count(*) FROM story_pins p WHERE p.story_id = s.story_id),
    (SELECT count(*) FROM story_comments c WHERE c.story_id = s.story_id),
    v.version, v.title, v.text, v.author, v.time
    FROM stories s JOIN story_versions v ON v.story_id = s.story_id
    AND v.version = (SELECT max(version) FROM story_versions w WHERE w.story_id = s.story_id)";

/// The latest version of a story that is not retired.
fn latest(c: &Connection, id: StoryId) -> rusqlite::Result<Option<u32>> {
    c.query_row(
        "SELECT max(version) FROM story_versions JOIN stories USING (story_id) WHERE story_id = ?1 AND retired IS NULL",
        [id.0],
        |row| row.get(0),
    )
}

fn put_version(
    t: &Transaction<'_>,
    id: i64,
    version: u32,
    title: &str,
    text: &str,
    author: &str,
    time: Micros,
) -> rusqlite::Result<()> {
    t.execute(
        "INSERT INTO story_versions (story_id, version, title, text, author, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (id, version, title, text, author, time.0),
    )?;
    Ok(())
}

fn read_version(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<StoryVersion> {
    Ok(StoryVersion {
        version: row.get(at)?,
        title: row.get(at + 1)?,
        text: row.get(at + 2)?,
        author: row.get(at + 3)?,
        time: Micros(row.get(at + 4)?),
    })
}

fn read_story(row: &rusqlite::Row<'_>) -> rusqlite::Result<Story> {
    Ok(Story {
        id: StoryId(row.get(0)?),
        source: super::runs::read_source(row, 1)?,
        subject: row.get(2)?,
        first: Micros(row.get(3)?),
        last: Micros(row.get(4)?),
        created: Micros(row.get(5)?),
        author: row.get(6)?,
        retired: row.get::<_, Option<i64>>(7)?.map(Micros),
        pins: row.get(8)?,
        comments: row.get(9)?,
        text: read_version(row, 10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (State, StoryId) {
        let state = State::in_memory().unwrap();
        let id = state
            .add_story(&NewStory {
                source: Source::Flow,
                subject: "10.0.0.1".into(),
                first: Micros(100),
                last: Micros(200),
                title: "Beacon".into(),
                text: "**every** minute".into(),
                author: "ana".into(),
                time: Micros(1_000),
            })
            .unwrap();
        (state, id)
    }

    #[test]
    fn of_two_who_edit_at_a_time_the_second_is_told() {
        let (state, id) = state();
        assert_eq!(state.edit_story(id, 1, "A", "a", "ana", Micros(2_000)).unwrap(), Changed::Done(2));
        assert_eq!(state.edit_story(id, 1, "B", "b", "bob", Micros(2_001)).unwrap(), Changed::Stale(2));
        let story = state.story(id).unwrap().unwrap();
        assert_eq!((story.text.version, story.text.title.as_str(), story.author.as_str()), (2, "A", "ana"));
        let titles: Vec<String> = state.story_versions(id).unwrap().into_iter().map(|v| v.title).collect();
        assert_eq!(titles, ["A", "Beacon"]);
    }

    #[test]
    fn a_version_cannot_be_changed_or_deleted() {
        let (state, _) = state();
        assert!(state.write(|t| t.execute("UPDATE story_versions SET text = 'x'", [])).is_err());
        assert!(state.write(|t| t.execute("DELETE FROM story_versions", [])).is_err());
    }

    #[test]
    fn stories_are_listed_by_the_time_they_tell_of_until_they_are_retired() {
        let (state, id) = state();
        let listed = |from, to| state.stories(Micros(from), Micros(to)).unwrap().len();
        assert_eq!((listed(0, 100), listed(0, 101), listed(199, 300), listed(200, 300)), (0, 1, 1, 0));
        assert_eq!(state.retire_story(id, Micros(5)).unwrap(), Changed::Done(id.0));
        assert_eq!(state.retire_story(id, Micros(6)).unwrap(), Changed::Missing);
        assert_eq!(listed(0, 1_000), 0);
        assert_eq!(state.edit_story(id, 1, "A", "a", "ana", Micros(7)).unwrap(), Changed::Missing);
        assert!(state.story(id).unwrap().unwrap().retired.is_some());
    }

    #[test]
    fn pins_and_comments_are_bounded_and_pinning_twice_changes_the_note() {
        let (state, id) = state();
        let pin = |n: u32, note: &str| Pin {
            source: Source::Dns,
            record: RecordId([&[0; 12][..], &n.to_be_bytes()].concat().try_into().unwrap()),
            first_seen: Micros(150),
            note: Some(note.to_owned()),
            author: "ana".into(),
            time: Micros(3_000),
        };
        for n in 0..MAX_PINS {
            assert_eq!(state.pin(id, &pin(n, "why")).unwrap(), Changed::Done(id.0));
        }
        assert_eq!(state.pin(id, &pin(1_000_000, "one more")).unwrap(), Changed::Full);
        assert_eq!(state.pin(id, &pin(0, "because")).unwrap(), Changed::Done(id.0));
        assert_eq!(state.pins(id).unwrap().first().unwrap().note.as_deref(), Some("because"));
        assert_eq!(state.unpin(id, Source::Dns, pin(0, "").record).unwrap(), Changed::Done(id.0));
        assert_eq!(state.story(id).unwrap().unwrap().pins, MAX_PINS - 1);
        assert_eq!(state.comment(id, "bob", "<b>no</b>", Micros(4)).unwrap(), Changed::Done(1));
        assert_eq!(state.comment(StoryId(99), "bob", "x", Micros(4)).unwrap(), Changed::Missing);
        assert_eq!(state.comments(id).unwrap().first().unwrap().text, "<b>no</b>");
    }
}
