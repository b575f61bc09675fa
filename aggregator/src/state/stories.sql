-- Stories: what an analyst tells of a threat. The text is kept in versions, none of which is ever changed.
CREATE TABLE stories (
    story_id INTEGER PRIMARY KEY AUTOINCREMENT,
    source   TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    subject  TEXT NOT NULL,              -- address, network, name or URI
    first    INTEGER NOT NULL,           -- the time it tells of: first <= t < last
    last     INTEGER NOT NULL CHECK (last > first),
    created  INTEGER NOT NULL,
    author   TEXT NOT NULL,
    retired  INTEGER
) STRICT;

CREATE TABLE story_versions (
    story_id INTEGER NOT NULL REFERENCES stories,
    version  INTEGER NOT NULL CHECK (version > 0),
    title    TEXT NOT NULL,
    text     TEXT NOT NULL,              -- Markdown
    author   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    PRIMARY KEY (story_id, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER story_versions_stay BEFORE UPDATE ON story_versions
    BEGIN SELECT raise(ABORT, 'a version of a story is never changed: append the next'); END;
CREATE TRIGGER story_versions_are_kept BEFORE DELETE ON story_versions
    BEGIN SELECT raise(ABORT, 'a version of a story is never deleted: retire the story'); END;

CREATE TABLE story_pins (
    story_id   INTEGER NOT NULL REFERENCES stories,
    source     TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    record_id  BLOB NOT NULL CHECK (length(record_id) = 16),
    first_seen INTEGER NOT NULL,         -- where in the lake it is
    note       TEXT,
    author     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    PRIMARY KEY (story_id, source, record_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE story_comments (
    comment_id INTEGER PRIMARY KEY AUTOINCREMENT,
    story_id   INTEGER NOT NULL REFERENCES stories,
    author     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    text       TEXT NOT NULL
) STRICT;
CREATE INDEX story_comments_of ON story_comments (story_id);
